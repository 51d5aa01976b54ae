"""The tool `merge_tracks`: masks of a clip that show one thing become one mask."""

from functools import reduce
from itertools import combinations
from typing import Annotated

from pydantic import Field

from sam3agent.masks import Masklet
from sam3agent.pool import Candidate, listed_masks
from sam3agent.states import Followed
from sam3agent.tools.arguments import MaskIds
from sam3agent.tools.evidence import known_candidates, numbered
from sam3agent.tools.registry import Arguments, ToolResult, ToolUseError, tool
from sam3agent.tools.track_lines import track_json, track_line
from sam3agent.workbench import Workbench

HANDOVER = 2
"""Frames on which two masks of one thing may be apart: where one track ends and the next one begins."""
SAME_PLACE = 0.3
"""IoU from which two masks on one frame show the same thing."""


class MergeTracks(Arguments):
    """Arguments of merge_tracks."""

    ids: Annotated[MaskIds, Field(min_length=2, max_length=16)] = Field(description="Ids of masks that show one thing.")
    parts: bool = Field(default=False, description="They are parts of one thing, seen at the same time.")


@tool(rank=34, needs_clip=True, edits=True, progress=lambda args: f"merging {listed_masks(args.ids)}")
def merge_tracks(bench: Workbench, args: MergeTracks) -> ToolResult:
    """Give masks of a clip that show one thing one new id, such as a player who was lost and found again.

    They must be seen one after the other. Masks of parts, seen at the same time, need `parts`.
    """
    candidates = known_candidates(bench, args.ids)
    remarks = [remark for one, two in combinations(candidates, 2) if (remark := _meeting(one, two, parts=args.parts))]
    masklet = reduce(Masklet.joined, (candidate.masklet for candidate in candidates))
    pool, ids = bench.pool.replaced(args.ids, [masklet])
    made = tuple(c for mask_id in ids if (c := pool.get(mask_id)))
    verb = f"{listed_masks(args.ids)} are now {listed_masks(ids)}"
    text = "\n".join([verb, *map(track_line, made), *remarks])
    data = {"masks": [track_json(c) for c in made], "replaced": list(args.ids)}
    return ToolResult(text, data, Followed(ids, pool, text), pool, (numbered(bench, made),))


def _meeting(one: Candidate, two: Candidate, *, parts: bool) -> str:
    """A remark on frames with both masks; empty if there are none.

    Raises `ToolUseError` if they are apart on more than a few: one thing is not at two places.
    """
    common = sorted({*one.masklet.areas} & {*two.masklet.areas})
    if not common or parts:
        return ""
    apart = [t for t in common if not _same_place(one.masklet, two.masklet, t)]
    frames = f"frame{'s' * (len(common) > 1)} {common[0]}{f' to {common[-1]}' if len(common) > 1 else ''}"
    if len(apart) > HANDOVER:
        raise ToolUseError(
            f"masks {one.id} and {two.id} are both seen on {frames}, at different places on {len(apart)} of them, so "
            "they are not one thing; if they are parts of one, set parts to true"
        )
    return f"warning: masks {one.id} and {two.id} were both seen on {frames}"


def _same_place(one: Masklet, two: Masklet, frame: int) -> bool:
    a, b = one.masks[frame], two.masks[frame]
    shared = a.intersection(b)
    return shared >= SAME_PLACE * (a.area + b.area - shared)
