"""What the next propagation has to do, given what a user did since the last one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Work = Literal["full", "partial", "fetch"]
"""full: detect and track all objects. partial: track some objects again. fetch: return what is there."""


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a session. `frame` is where a propagation started; `ids` are the objects that the step is about."""

    kind: Literal["full", "partial", "fetch", "add", "refine", "remove"]
    frame: int | None = None
    ids: tuple[int, ...] = ()

    @property
    def tracks(self) -> bool:
        """Whether the step computed frames."""
        return self.kind in ("full", "partial")


def next_propagation(history: Sequence[Action], frames: int | None) -> tuple[Work, tuple[int, ...]]:
    """What to do, and for "partial" the ids to track again, ascending. `frames`: length of the clip, if it is known.

    Objects that were added or refined since the last propagation are tracked again. After a propagation in both
    directions, or from an end of the clip, everything is known; after one from the middle, the same work is left for
    the other direction.
    """
    if not history:
        return "full", ()
    last = history[-1]
    if last.tracks:
        ends = (0,) if frames is None else (0, frames - 1)
        if last.frame in ends or (len(history) > 1 and history[-2].tracks):
            return "fetch", ()
        return ("full", ()) if last.kind == "full" else ("partial", last.ids)
    changed: set[int] = set()
    for action in reversed(history):
        if action.tracks or action.kind == "fetch":
            break
        if action.kind in ("add", "refine"):
            changed.update(action.ids)
    return ("partial", tuple(sorted(changed))) if changed else ("fetch", ())
