"""Which earlier frames a frame reads: pure functions over frame numbers (section 4.1 of arXiv 2408.00714 and SAM 3)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sam3model.config import TrackerConfig


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What one frame reads.

    maps: (frame, row of the temporal code) of each memory map, in the order of the tokens.
    pointers: (frame, offset) of each object pointer; the offset is a time difference, or a rank under memory selection.
    pointer_span: offset that has position 1.
    """

    maps: tuple[tuple[int, int], ...]
    pointers: tuple[tuple[int, int], ...]
    pointer_span: int

    @property
    def frames(self) -> frozenset[int]:
        """All frames that are read."""
        return frozenset(frame for frame, _ in (*self.maps, *self.pointers))


def plan_memory(
    frame: int,
    conditioning: Collection[int],
    others: Mapping[int, float],
    config: TrackerConfig,
    *,
    count: int | None = None,
    reverse: bool = False,
) -> MemoryPlan:
    """What `frame` reads.

    Args:
        frame: the current frame.
        conditioning: frames with a prompt, in the order in which they were added.
        others: tracked frames and how well the objects were seen on each (`seen_score`).
        config: sizes and rules.
        count: number of frames of the clip; None if unknown.
        reverse: whether time runs backwards.
    """
    chosen = closest_conditioning(frame, conditioning, config.max_conditioning_frames)
    rest = set(conditioning).difference(chosen)
    span = config.max_pointers if count is None else min(count, config.max_pointers)
    seen = seen_frames(frame, others, config, count=count, reverse=reverse) if config.memory_selection else None
    step = 1 if reverse else -1
    maps = [(one, config.memory_frames - 1) for one in chosen]
    for back in range(config.memory_frames - 1, 0, -1):
        if seen is None:
            earlier = frame + step * back
        elif back <= len(seen):
            earlier = seen[-back]
        else:
            continue
        if earlier in others or earlier in rest:
            maps.append((earlier, back - 1))
    pointers = [(one, abs(frame - one)) for one in chosen if (one >= frame if reverse else one <= frame)]
    for back in range(1, span if seen is None else min(span, len(seen))):
        earlier = frame + step * back if seen is None else seen[-back]
        if earlier in others or earlier in rest:
            pointers.append((earlier, back))
    return MemoryPlan(tuple(maps), tuple(pointers), span - 1)


def closest_conditioning(
    frame: int, conditioning: Collection[int], limit: int, keep_first: bool = False
) -> tuple[int, ...]:
    """The conditioning frames that `frame` reads, at most `limit` (-1: all), in order.

    The nearest before, the nearest at or after, then by distance. keep_first: the earliest before, else the latest, is
    always among them.
    """
    if limit == -1 or len(conditioning) <= limit:
        return tuple(conditioning)
    chosen: list[int] = []
    before = [one for one in conditioning if one < frame]
    after = [one for one in conditioning if one >= frame]
    if keep_first:
        chosen.append(min(before) if before else max(after))
    if before and max(before) not in chosen:
        chosen.append(max(before))
    if after and min(after) not in chosen:
        chosen.append(min(after))
    others = sorted((one for one in conditioning if one not in chosen), key=lambda one: abs(one - frame))
    return tuple((*chosen, *others)[:limit]) if len(chosen) < limit else tuple(chosen)


def seen_frames(
    frame: int, others: Mapping[int, float], config: TrackerConfig, *, count: int | None = None, reverse: bool = False
) -> list[int]:
    """Tracked frames on which the objects were seen, oldest first; the adjacent frame is always the last.

    The first frame of the clip never counts when time runs forward.
    """
    if (not reverse and frame == 0) or (reverse and count is not None and frame == count - 1):
        return []
    limit = (config.max_pointers if count is None else min(count, config.max_pointers)) - 1
    adjacent = frame + 1 if reverse else frame - 1
    found: list[int] = []
    for one in _backwards(frame, others, reverse):
        if others[one] > config.selection_threshold:
            found.append(one)
        if len(found) >= limit:
            break
    found.reverse()
    return found if adjacent in found else [*found, adjacent]


def _backwards(frame: int, others: Iterable[int], reverse: bool) -> list[int]:
    """Frames before `frame` in the direction of time, nearest first."""
    if reverse:
        return sorted(one for one in others if one > frame)
    return sorted((one for one in others if 0 < one < frame), reverse=True)


def uses_candidates(points: int, *, first_prompt: bool, while_tracking: bool = True) -> bool:
    """Whether the mask decoder chooses among three candidates: for no point or one, which are ambiguous."""
    return points <= 1 and (first_prompt or while_tracking)
