"""Asks the agent one question, with a trace; an answer that the MLLM's server cut short is an error."""

import shutil
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from sam3agent.agent.trace import FILE_NAME as TRACE
from sam3agent.mllm.base import MLLMError, MLLMReply, MLLMRequest
from sam3agent.mllm.wrapped import WrappedBackend

if TYPE_CHECKING:
    from PIL import Image

    from sam3agent.answer import Answer
    from sam3agent.api import Agent
    from sam3agent.media import Media


async def ask_agent(
    agent: "Agent", image: "Image.Image | Media", question: str, folder: Path, keep_images: bool = False
) -> "Answer":
    """The agent's answer, with its trace in `folder`.

    keep_images: also keep the images that the agent looked at and an overlay of the answer, which `sam3agent replay`
    needs; about 1 MB per question. Raises the MLLM's error if it cut the answer short, or a further look at it.
    """
    own = copy(agent)
    own.backend = backend = _ErrorRecorder(agent.backend)
    try:
        answer = await own.aask(image, question, out=folder, save=keep_images)
    finally:
        if not keep_images:
            _keep_trace_only(folder)
    if backend.error is not None:
        raise backend.error
    return answer


class _ErrorRecorder(WrappedBackend):
    """A backend that remembers the error of its last call."""

    error: MLLMError | None = None

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        try:
            reply = await super().decide(request)
        except MLLMError as error:
            self.error = error
            raise
        self.error = None
        return reply


def _keep_trace_only(folder: Path) -> None:
    """Delete everything in a trace's folder but the JSON lines."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != TRACE:
            path.unlink()
