"""The tool `split_track`: a mask of a clip that shows two things becomes two masks."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from sam3agent.pool import listed_masks
from sam3agent.states import Followed
from sam3agent.tools.arguments import MaskId
from sam3agent.tools.evidence import known_candidates, numbered
from sam3agent.tools.reading import whole_number
from sam3agent.tools.registry import Arguments, ToolResult, ToolUseError, tool
from sam3agent.tools.track_lines import frames_of, track_json, track_line
from sam3agent.workbench import Workbench


class SplitTrack(Arguments):
    """Arguments of split_track."""

    id: Annotated[MaskId, BeforeValidator(whole_number)] = Field(description="Id of the mask that shows two things.")
    frame: Annotated[int, Field(ge=1), BeforeValidator(whole_number)] = Field(
        description="The first frame on which it shows the second thing."
    )


@tool(
    rank=36,
    needs_clip=True,
    edits=True,
    progress=lambda args: f"splitting mask {args.id} at frame {args.frame}",
)
def split_track(bench: Workbench, args: SplitTrack) -> ToolResult:
    """Give a mask of a clip that goes over from one thing to another two new ids: before a frame, and from it on."""
    (candidate,) = known_candidates(bench, [args.id])
    frames = candidate.masklet.areas
    first, last = min(frames), max(frames)
    parts = [candidate.masklet.between(*ends) for ends in ((first, args.frame), (args.frame, last + 1))]
    masklets = [part for part in parts if part]
    if len(masklets) < 2:
        raise ToolUseError(
            f"mask {args.id} is on {frames_of(candidate)}, so that frame {args.frame} does not split it"
            + (f"; name a frame from {first + 1} to {last}" if first < last else "")
        )
    pool, ids = bench.pool.replaced([args.id], masklets)
    made = tuple(c for mask_id in ids if (c := pool.get(mask_id)))
    text = "\n".join([f"mask {args.id} is now {listed_masks(ids)}", *map(track_line, made)])
    data = {"masks": [track_json(c) for c in made], "replaced": [args.id]}
    return ToolResult(text, data, Followed(ids, pool, text), pool, (numbered(bench, made),))
