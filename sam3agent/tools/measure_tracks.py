"""The tool `measure_tracks`: what masklets do over time."""

from typing import Annotated

from pydantic import Field

from sam3agent.motion.camera_path import UNCERTAIN
from sam3agent.motion.clip_motion import TrackFacts, order_lines, pair_lines
from sam3agent.states import Observed
from sam3agent.time_rules import with_paths
from sam3agent.tools.arguments import MaskIds
from sam3agent.tools.evidence import known_candidates
from sam3agent.tools.registry import Arguments, ToolResult, ToolUseError, tool
from sam3agent.workbench import Workbench
from sam3model.errors import InputError


class MeasureTracks(Arguments):
    """Arguments of measure_tracks."""

    ids: Annotated[MaskIds, Field(max_length=64)] = Field(
        default_factory=list, description="Ids of the tracked masks to measure; empty for all."
    )


@tool(rank=32, needs_clip=True, progress=lambda _: "measuring what objects do")
def measure_tracks(bench: Workbench, args: MeasureTracks) -> ToolResult:
    """Measure what tracked masks do over time, without the motion of the camera: when each enters, leaves, stops,
    starts, turns or hides, where it goes, how fast and far, who is first, and what they do to each other. Track first.
    """
    candidates = known_candidates(bench, args.ids or bench.pool.ids)
    tracked = [c.id for c in candidates if len(c.masklet.areas) > 1]
    if not tracked:
        raise ToolUseError("no mask is tracked yet: call track with phrases, or with the id of a mask")
    try:
        pool = with_paths(bench.pool, bench.media)
    except InputError as error:
        raise ToolUseError(f"measuring needs all frames of the clip: {error}") from error
    paths = [c.path for c in pool.candidates if c.id in tracked and c.path]
    certain = paths[0].camera.certain
    facts = [TrackFacts.of(path, paths) for path in paths]
    last = bench.media.count - 1
    head = f"the clip has frames 0 to {last} ({bench.media.time(last):.1f} s)"
    orders, pairs = order_lines(facts), pair_lines(paths)
    warnings = [] if certain else [f"warning: {UNCERTAIN}"]
    text = "\n".join([head, *warnings, *(fact.line() for fact in facts), *orders, *pairs])
    data = {
        "masks": [fact.to_json() for fact in facts],
        "orders": orders,
        "pairs": pairs,
        "camera_certain": certain,
    }
    return ToolResult(text, data, Observed(text, pool=pool), pool)
