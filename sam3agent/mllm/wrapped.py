"""A backend around another one."""

from sam3agent.mllm.base import MLLM, MLLMReply, MLLMRequest


class WrappedBackend(MLLM):
    """Passes everything on to another backend. Subclasses add to `decide`."""

    def __init__(self, backend: MLLM) -> None:
        self._backend = backend
        self.free, self.needs_messages = backend.free, backend.needs_messages

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The name of the other backend."""
        return self._backend.name

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply of the other backend. Raises `MLLMError`."""
        return await self._backend.decide(request)

    def tools_ignored(self) -> str:
        """As the other backend says."""
        return self._backend.tools_ignored()

    def unreadable(self, query: str, *, clip: bool = False) -> str:
        """As the other backend says."""
        return self._backend.unreadable(query, clip=clip)

    async def close(self) -> None:
        """Close all connections."""
        await self._backend.close()
