"""The simulated MLLM as a backend of the agent: it counts calls in sequence, and tokens as a server would."""

import asyncio
import math
from dataclasses import dataclass

from evals.simulated.mouth import Mouth
from sam3agent.images import LazyImage
from sam3agent.mllm.base import MLLM, MLLMReply, MLLMRequest, Text, Usage
from sam3agent.render import fitted_size
from sam3agent.render.zoom import WHOLE_SIDE, ZOOM_SIDE

PATCH = 32
"""Qwen3-VL reads an image as one token per square of so many pixels a side."""

LETTERS = 4
"""Letters of English text per token."""


@dataclass
class SimulatedBackend(MLLM):
    """Answers with a mouth.

    depth: number of calls one after another, if each takes the same time and those made together run together.
    """

    mouth: Mouth
    depth: int = 0
    name: str = "simulated"

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply of the mouth, with the tokens of the request."""
        begun = self.depth + 1
        await asyncio.sleep(0)  # lets requests that are made together begin together
        self.depth = max(self.depth, begun)
        reply = self.mouth.reply(request)
        said = len(reply.text) + sum(len(call.name) + len(call.arguments) for call in reply.tool_calls)
        usage = Usage(_prompt_tokens(request), said // LETTERS + 1)
        return MLLMReply(reply.text, reply.tool_calls, reply.finish, usage)


def _prompt_tokens(request: MLLMRequest) -> int:
    """Tokens of all texts, images and tools of a request. Images are counted by their size, without drawing them."""
    size = request.bench.size if request.bench else (1, 1)
    tokens = sum(len(repr(tool)) for tool in request.tools) // LETTERS
    tokens += sum(len(m.call.name) + len(m.call.arguments) for m in request.messages if m.call) // LETTERS
    for part in (part for message in request.messages for part in message.parts):
        if isinstance(part, Text):
            tokens += len(part.text) // LETTERS
        elif isinstance(part, LazyImage):
            tokens += _image_tokens(part, size)
    return tokens


def _image_tokens(image: LazyImage, size: tuple[int, int]) -> int:
    close = {"zoomed": (ZOOM_SIDE, ZOOM_SIDE), "compared": (2 * ZOOM_SIDE, ZOOM_SIDE)}
    width, height = close.get(image.key.kind) or fitted_size(size, WHOLE_SIDE)
    return math.ceil(width / PATCH) * math.ceil(height / PATCH)
