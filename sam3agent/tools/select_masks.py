"""The tool `select_masks`: the answer."""

from pydantic import Field

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.pool import listed_masks
from sam3agent.render import best_marks, fit, spotlight
from sam3agent.render.zoom import WHOLE_SIDE
from sam3agent.states import Selected
from sam3agent.tools.arguments import Reason, UniqueMaskIds
from sam3agent.tools.evidence import known_candidates, summary
from sam3agent.tools.registry import Arguments, ToolResult, tool
from sam3agent.workbench import Workbench


class SelectMasks(Arguments):
    """Arguments of select_masks."""

    ids: UniqueMaskIds = Field(description="Ids of the masks that answer the question.")
    reason: Reason = Field(default="", description="Why these masks, in one sentence.")


@tool(rank=40, ends=True)
def select_masks(bench: Workbench, args: SelectMasks) -> ToolResult:
    """Answer the question with these masks, and end. They may come from different phrases."""
    candidates = known_candidates(bench, args.ids)
    frame, marks = best_marks([(candidate.id, candidate.masklet) for candidate in candidates])
    image = LazyImage(
        EvidenceKey(frame, tuple(mark.id for mark in marks), "selected"),
        lambda: spotlight(*fit(bench.media.frame(frame), marks, WHOLE_SIDE)),
    )
    data = {"masks": [summary(c) for c in candidates], "reason": args.reason}
    text = f"selected {listed_masks(args.ids)}"
    return ToolResult(text, data, Selected(tuple(args.ids), args.reason), bench.pool, (image,))
