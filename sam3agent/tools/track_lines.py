"""Tracked masks in words and as JSON values."""

from collections.abc import Iterable, Sequence, Set
from typing import Any

from sam3agent.motion.motion_facts import FrameSpan, runs
from sam3agent.pool import Candidate
from sam3agent.tools.evidence import scored_box


def track_line(candidate: Candidate) -> str:
    """One row for a model: the frames of a masklet, and where it is on two of them."""
    first = min(candidate.masklet.areas)
    return (
        f"mask {candidate.id}: {frames_of(candidate)}; "
        f"box {list(candidate.masklet.masks[first].box)} on frame {first}, "
        f"{list(candidate.mask.box)} on frame {candidate.frame}, where it is largest"
    )


def frames_of(candidate: Candidate) -> str:
    """The frames of a masklet in words."""
    frames = candidate.masklet.areas
    return f"frames {min(frames)} to {max(frames)}, visible on {len(frames)}"


MOST_SPANS = 4
"""Stretches of frames that are listed."""


def frames_without(candidates: Sequence[Candidate], frames: Iterable[int]) -> str:
    """Those of some frames on which none of the masks is, in words."""
    return spans_of(frozenset(frames).difference(*(c.masklet.areas for c in candidates)))


def spans_of(frames: Set[int]) -> str:
    """Frame numbers in words: "frames 3 to 9, frame 12"; empty if there are none."""
    stretches = runs(t in frames for t in range(max(frames, default=-1) + 2))
    spans = [FrameSpan(first, last).words() for there, first, last in stretches if there]
    return ", ".join([*spans[:MOST_SPANS], *(["…"] if len(spans) > MOST_SPANS else [])])


def track_json(candidate: Candidate) -> dict[str, Any]:
    """The same as JSON values."""
    frames = candidate.masklet.areas
    first = min(frames)
    return {
        **scored_box(candidate),
        "first_frame": first,
        "last_frame": max(frames),
        "frames_visible": len(frames),
        "first_box": list(candidate.masklet.masks[first].box),
        "best_frame": candidate.frame,
    }
