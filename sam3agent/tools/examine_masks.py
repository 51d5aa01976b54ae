"""The tool `examine_masks`: a close look at masks."""

from typing import Annotated

from pydantic import Field

from sam3agent.states import LookAgain
from sam3agent.tools.arguments import MaskIds
from sam3agent.tools.evidence import close_up, known_candidates, summary
from sam3agent.tools.registry import Arguments, ToolResult, tool
from sam3agent.workbench import Workbench


class ExamineMasks(Arguments):
    """Arguments of examine_masks."""

    ids: Annotated[MaskIds, Field(min_length=1, max_length=64)] = Field(description="Ids of the masks to examine.")


@tool(rank=20)
def examine_masks(bench: Workbench, args: ExamineMasks) -> ToolResult:
    """Look at masks closely: for each one, the whole image with the mask, and a zoomed crop around it."""
    candidates = known_candidates(bench, args.ids)
    images = tuple(image for candidate in candidates for image in close_up(bench, candidate))
    text = "\n".join(f"mask {c.id}: the whole image with the mask, then zoomed" for c in candidates)
    data = {"masks": [summary(c, bench.media) for c in candidates]}
    return ToolResult(text, data, LookAgain(tuple(args.ids)), bench.pool, images)
