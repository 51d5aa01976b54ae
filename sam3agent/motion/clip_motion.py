"""The paths of the masklets of a clip, and what each does in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sam3agent.masks import Masklet
from sam3agent.media import Media
from sam3agent.motion import motion_facts, pair_facts
from sam3agent.motion.camera_path import CameraPath, camera_path
from sam3agent.motion.masklet_path import MaskletPath
from sam3agent.motion.motion_facts import Fact, FrameSpans

FACTS: dict[str, Fact] = {
    name: getattr(motion_facts, name)
    for name in (
        "enters", "leaves", "returns", "remains", "hides", "stops", "starts", "stays", "turns", "goes_right",
        "goes_left", "grows", "shrinks",
    )
}  # fmt: skip
"""What one object can do."""
PAIR_FACTS = {name: getattr(pair_facts, name) for name in ("passes_behind", "passes_in_front", "overtakes", "touches")}
"""What an object can do to another one."""


@dataclass
class ClipMotion:
    """The paths of masklets, each computed once. background: all masklets, which the camera's motion leaves out."""

    media: Media
    background: Sequence[Masklet]
    _paths: dict[int, MaskletPath] = field(default_factory=dict)

    @cached_property
    def camera(self) -> CameraPath:
        """How the view moves, from what no masklet covers."""
        return camera_path(self.media, self.background)

    @cached_property
    def rate(self) -> float:
        """Frames per second."""
        seconds = self.media.time(self.media.count - 1)
        return (self.media.count - 1) / seconds if seconds > 0 else 25.0

    def path(self, number: int, masklet: Masklet) -> MaskletPath:
        """The path of the masklet with an id."""
        if number not in self._paths:
            media = self.media
            self._paths[number] = MaskletPath.of(number, masklet, media.count, media.size, self.rate, self.camera)
        return self._paths[number]


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """What one object does. happenings: moments by the name of the fact. speed: median, in widths of the image per
    second. travelled: widths of the image. nearest: id of the object that it comes closest to, pixels, and frame."""

    id: int
    first_frame: int
    last_frame: int
    seconds_seen: float
    happenings: dict[str, FrameSpans]
    speed: float
    travelled: float
    nearest: tuple[int, float, int] | None

    @classmethod
    def of(cls, path: MaskletPath, others: Sequence[MaskletPath]) -> "TrackFacts":
        """The facts of a path beside others."""
        frames = np.flatnonzero(path.seen)
        happenings = {name: moments for name, fact in FACTS.items() if (moments := fact(path))}
        gaps = [(pair_facts.nearest_gap(path, other), other.id) for other in others if other.id != path.id]
        near = min(((gap, apart, t, i) for (gap, apart, t), i in gaps if np.isfinite(gap)), default=None)
        return cls(
            path.id,
            int(frames[0]),
            int(frames[-1]),
            motion_facts.seconds_seen(path),
            happenings,
            motion_facts.fastness(path),
            motion_facts.travelled(path),
            (near[3], near[0], near[2]) if near else None,
        )

    def line(self) -> str:
        """One row of the table that a model reads."""
        told = [
            name.replace("_", " ") + ("" if name in ("remains", "stays") else f" ({_listed(moments)})")
            for name, moments in self.happenings.items()
        ]
        near = (
            f"; closest to mask {self.nearest[0]} ({self.nearest[1]:.0f} px, frame {self.nearest[2]})"
            if self.nearest
            else ""
        )
        return (
            f"mask {self.id}: frames {self.first_frame} to {self.last_frame}, seen for {self.seconds_seen:.1f} s; "
            f"{', '.join(told) or 'no event'}; speed {self.speed:.3f} widths/s, way {self.travelled:.2f} widths{near}"
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values; moments as [first, last] frames."""
        return {
            "id": self.id,
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "seconds_seen": round(self.seconds_seen, 3),
            "events": {name: [[m.start, m.end] for m in moments] for name, moments in self.happenings.items()},
            "speed_widths_per_s": round(self.speed, 4),
            "travelled_widths": round(self.travelled, 4),
            "nearest": {"id": self.nearest[0], "pixels": round(self.nearest[1], 1), "frame": self.nearest[2]}
            if self.nearest
            else None,
        }


MOST_IN_PAIRS = 12
"""Of more objects, what they do to each other is not looked for: the pairs are too many."""


def pair_lines(paths: Sequence[MaskletPath]) -> list[str]:
    """What objects do to each other, a line each: "mask 1 passes behind mask 2 (frames 3 to 9)"."""
    if len(paths) > MOST_IN_PAIRS:
        return []
    return [
        f"mask {one.id} {name.replace('_', ' ')} mask {two.id} ({_listed(moments)})"
        for one in paths
        for two in paths
        if one.id != two.id
        for name, fact in PAIR_FACTS.items()
        if (moments := fact(one, two))
    ]


def order_lines(facts: Sequence[TrackFacts]) -> list[str]:
    """The objects in order of time of each event that several have, and of speed, way and time in view."""
    lines = []
    for name in ("enters", "leaves", "returns", "stops", "starts", "turns"):
        doing = sorted((f.happenings[name][0].start, f.id) for f in facts if name in f.happenings)
        if len(doing) > 1:
            lines.append(f"{name}, first to last: {', '.join(f'{i} (frame {t})' for t, i in doing)}")
    if len(facts) > 1:
        for words, value in (
            ("fastest to slowest", lambda f: f.speed),
            ("longest to shortest way", lambda f: f.travelled),
            ("longest to shortest in view", lambda f: f.seconds_seen),
        ):
            lines.append(f"{words}: {', '.join(str(f.id) for f in sorted(facts, key=value, reverse=True))}")
    return lines


def _listed(moments: FrameSpans) -> str:
    return ", ".join(moment.words() for moment in moments)
