"""What the MCP server replies: structured results, and text and images beside them."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from sam3agent.answer import Answer
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.pool import listed_masks
from sam3agent.states import Status
from sam3model.printable import printable

if TYPE_CHECKING:
    from mcp.types import CallToolResult

MAX_IMAGES = 16
"""Maximum number of images in one reply; to see more, the caller asks again."""


class ToolReply(BaseModel):
    """Structured result of a tool: its data, the image it worked on, and the files it wrote, if any."""

    model_config = ConfigDict(extra="allow")

    image: str
    masks_file: str | None = Field(default=None, description="The selected masks: COCO JSON with RLE segmentations.")
    overlay_file: str | None = Field(default=None, description="The image with the selected masks highlighted.")


class MaskHandle(BaseModel):
    """One mask of an answer. `id` can be passed to the other tools; box is xyxy in pixels, area is in pixels."""

    id: int
    box: tuple[int, int, int, int]
    score: float
    area: int
    phrase: str


class AskReply(ToolReply):
    """Structured result of `ask`. For the status "exhausted", the masks are the best answer so far.

    warnings: what the answer does not take into account. searched, best_rejected: the evidence for "no_match".
    """

    question: str
    status: Status
    reason: str
    masks: list[MaskHandle]
    mllm_calls: int
    segmenter_calls: int
    elapsed_s: float
    weights: str
    backend: str
    trace: str | None = None
    warnings: list[str] = Field(default_factory=list)
    searched: list[dict[str, Any]] = Field(default_factory=list)
    best_rejected: dict[str, Any] | None = None


def call_result(reply: BaseModel, text: str, images: Sequence[LazyImage]) -> "CallToolResult":
    """Text, images and structured content in one result."""
    from mcp.types import CallToolResult, ImageContent, TextContent

    shown = images[:MAX_IMAGES]
    if len(images) > len(shown):
        text += f"\n(only the first {len(shown)} of {len(images)} images are shown; ask for fewer masks at once)"
    content: list[Any] = [TextContent(type="text", text=printable(text))]
    for image in shown:
        data = base64.b64encode(image.data).decode("ascii")
        content.append(ImageContent(type="image", data=data, mime_type=image.media_type))
    return CallToolResult(content=content, structured_content=reply.model_dump(mode="json"))


def ask_result(image: str, answer: Answer) -> "CallToolResult":
    """The result of `ask`: the answer in words, its data, and its overlay if there are masks."""
    masks = [MaskHandle(id=m.id, box=m.box, score=m.score, area=m.area, phrase=m.phrase) for m in answer.masks]
    reply = AskReply(
        image=image,
        question=answer.query,
        status=answer.status,
        reason=answer.reason,
        masks=masks,
        mllm_calls=answer.costs.mllm_calls,
        segmenter_calls=answer.costs.segmenter_calls,
        elapsed_s=round(answer.costs.elapsed_s, 3),
        weights=answer.weights,
        backend=answer.backend,
        masks_file=str(answer.masks_path) if answer.masks_path else None,
        overlay_file=str(answer.overlay_path) if answer.overlay_path else None,
        trace=str(answer.trace_path) if answer.trace_path else None,
        warnings=list(answer.warnings),
        **(answer.absence.to_json() if answer.absence else {}),
    )
    key = EvidenceKey(answer.selection.frame, tuple(mask.id for mask in answer.masks), "answer")
    return call_result(reply, _sentence(answer), (LazyImage(key, answer.overlay),) if answer.masks else ())


def _sentence(answer: Answer) -> str:
    """The answer in words."""
    masks = listed_masks(mask.id for mask in answer.masks)
    words = {
        "answered": f"Answer: {masks}.",
        "no_match": "No match.",
        "not_understood": "Not understood.",
        "exhausted": f"No final answer; best so far: {masks}.",
    }
    sentence = f"{words[answer.status]} {answer.reason} (decided by {answer.backend})".replace("  ", " ")
    evidence = answer.absence.lines() if answer.absence else []
    return "\n".join([sentence, *evidence, *(f"Warning: {warning}" for warning in answer.warnings)])
