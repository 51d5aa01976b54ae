"""A backend like an MLLM server that stops answering."""

from sam3agent.mllm.base import MLLMError, MLLMReply, MLLMRequest
from sam3agent.mllm.errors import MLLMUnreachableError
from sam3agent.rules import RulesBackend


class Failing(RulesBackend):
    """A server that fails after `good` calls."""

    def __init__(self, good: int, error: MLLMError | None = None) -> None:
        self.good = good
        self.error = error or MLLMUnreachableError("No MLLM server answers at http://nowhere/v1.")

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        self.good -= 1
        if self.good < 0:
            raise self.error
        return await super().decide(request)
