"""What the MCP server replies: words, images and structured data, written as the profile of the client says."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sam3agent.answer import Answer
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.masks import on_frame
from sam3agent.pool import listed_masks
from sam3agent.servers.reply_images import shown_images
from sam3agent.servers.reply_profiles import ReplyProfile
from sam3agent.servers.result_files import ResultFolder
from sam3agent.servers.written_paths import RESULTS
from sam3agent.states import Status
from sam3model.printable import printable

if TYPE_CHECKING:
    from mcp.types import CallToolResult

MAX_LINES = 60
"""Number of masks that the words list one by one."""

ENVELOPE = 2000
"""Bytes of a reply that are neither words, images nor data."""


class ToolReply(BaseModel):
    """Structured result of a tool: its words and data, the image it worked on, and the files it wrote, if any."""

    model_config = ConfigDict(extra="allow")

    image: str = Field(description="The image or clip; write it like this in later calls.")
    words: str = Field(default="", description="The result in words, as in the text content.")
    images: list[str] = Field(default_factory=list, description="Files of the images in this reply.")
    masks_file: str | None = Field(default=None, description="The selected masks: COCO JSON with RLE segmentations.")
    overlay_file: str | None = Field(default=None, description="The image with the selected masks highlighted.")
    resources: list[str] = Field(default_factory=list, description="sam3:// names of the files, for resources/read.")
    job: str | None = Field(default=None, description="Set if the work goes on: job_result returns its result.")


class MaskHandle(BaseModel):
    """One mask of an answer. `id` can be passed to the other tools; box is xyxy in pixels, area is in pixels.

    frame: of a clip, the frame that box and area are of.
    """

    id: int
    box: tuple[int, int, int, int]
    score: float
    area: int
    phrase: str
    frame: int | None = None


class AskReply(ToolReply):
    """Structured result of `ask`. For the status "exhausted", the masks are the best answer so far.

    status: "working" if the question goes on as a job. warnings: what the answer does not take into account. searched,
    best_rejected: the evidence for "no_match". confidence: that the answer is right, 0..1; null if nobody weighed it.
    """

    question: str
    status: Status | Literal["working"] = "working"
    reason: str = ""
    masks: list[MaskHandle] = Field(default_factory=list)
    confidence: float | None = None
    mllm_calls: int = 0
    segmenter_calls: int = 0
    elapsed_s: float = 0.0
    weights: str = ""
    backend: str = ""
    trace: str | None = None
    warnings: list[str] = Field(default_factory=list)
    searched: list[dict[str, Any]] = Field(default_factory=list)
    best_rejected: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Reply:
    """The result of a call before it is written for a client. text: the result in words, without boxes and files."""

    data: ToolReply
    text: str
    images: tuple[LazyImage, ...] = ()

    def settled(self) -> "Reply":
        """The same with images that are rendered already, so that nothing else is kept in memory."""
        return Reply(self.data, self.text, tuple(image.settled() for image in self.images))

    @property
    def nbytes(self) -> int:
        """Size in memory in bytes, about."""
        return _json_size(self.data.model_dump(mode="json")) + sum(len(i.data) for i in self.images if i.was_sent)

    def written(self, profile: ReplyProfile, results: ResultFolder) -> "CallToolResult":
        """Words, images and structured data as one result, not larger than the profile allows.

        The structured data is always there, because the SDK checks it; `ResultServer` leaves it out where it would hide
        the rest.
        """
        from mcp.types import CallToolResult, ImageContent, TextContent

        said = printable("\n".join([_with_boxes(self.data, self.text), *_files(self.data)]))
        words = said[: profile.max_bytes // 8]
        data = self.data.model_copy(update={"words": words, "resources": _addresses(self.data, results)})
        taken = _json_size(words) + (_json_size(data.model_dump(mode="json")) if profile.structured else 0)
        shown, remark = shown_images(self.images, profile, profile.max_bytes - taken - ENVELOPE)
        if remark:
            words += f"\n({remark})"
        if profile.structured or not profile.images:
            paths = [str(path) for image in shown if (path := results.keep_shown(image.data, image.label))]
            data = data.model_copy(update={"words": words, "images": paths})
            words += "".join(f"\nImage: {path}" for path in paths) if not profile.images else ""
        content: list[Any] = [TextContent(type="text", text=words)]
        for image in shown if profile.images else ():
            encoded = base64.b64encode(image.data).decode("ascii")
            content.append(ImageContent(type="image", data=encoded, mime_type=image.media_type))
        return CallToolResult(content=content, structured_content=data.model_dump(mode="json"))


def ask_reply(image: str, answer: Answer) -> Reply:
    """The reply of `ask`: the answer in words, its data, and its overlay if there are masks."""
    clip = answer.selection.media.count > 1
    masks = [
        MaskHandle(
            id=m.id, box=m.box, score=m.score, area=m.area, phrase=m.phrase, frame=m.masklet.key_frame if clip else None
        )
        for m in answer.masks
    ]
    data = AskReply(
        image=image,
        question=answer.query,
        status=answer.status,
        reason=answer.reason,
        masks=masks,
        confidence=answer.confidence,
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
    return Reply(data, _sentence(answer), (LazyImage(key, answer.overlay),) if answer.masks else ())


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


def _with_boxes(data: ToolReply, text: str) -> str:
    """The text with the box and score of each mask, unless it has the boxes already.

    They join the line that begins with the mask, if there is one; the others are listed at the end.
    """
    lines = text.splitlines()
    starts = {match[1]: row for row, line in enumerate(lines) if (match := re.match(r"mask (\d+): ", line))}
    listed = list[str]()
    for mask, found_by in _masks(data.model_dump(mode="json")):
        if "box" not in mask:  # measured over time
            continue
        place = f"box {mask['box']}{on_frame(mask.get('frame'))}"
        place += f", score {mask['score']:.2f}" if "score" in mask else ""
        row = starts.get(str(mask["id"]))
        if str(mask["box"]) in text:
            continue
        if row is None:
            listed.append(f"mask {mask['id']}{found_by}: {place}")
        else:
            lines[row] += f"; {place}"
    if len(listed) > MAX_LINES:
        listed[MAX_LINES:] = [f"… and {len(listed) - MAX_LINES} more masks"]
    return "\n".join([*lines, *listed])


def _masks(data: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every mask in the data of a reply, once, and the phrase that found it, as part of a sentence."""
    seen = set[int]()
    groups = [(search.get("masks", ()), search.get("phrase", "")) for search in data.get("searches", ())]
    for masks, phrase in [(data.get("masks", ()), ""), *groups]:
        for mask in masks:
            if mask["id"] not in seen:
                seen.add(mask["id"])
                found_by = mask.get("phrase") or phrase
                yield mask, f' ("{found_by}")' if found_by else ""


def _files(data: ToolReply) -> list[str]:
    pasted = f"{data.image} (write the image like this in later calls)" if data.image.startswith(RESULTS) else None
    named = {"Image": pasted, "Masks": data.masks_file, "Overlay": data.overlay_file}
    return [f"{name}: {path}" for name, path in named.items() if path]


def _addresses(data: ToolReply, results: ResultFolder) -> list[str]:
    files = (data.masks_file, data.overlay_file, getattr(data, "trace", None))
    return [results.address(Path(file)) for file in files if file and Path(file).is_relative_to(results.folder)]


def _json_size(value: Any) -> int:
    return len(json.dumps(value).encode())
