"""Removal of young objects that turn out to be wrong: unmatched too often, or a duplicate of an older object."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sam3model.config import VideoConfig


@dataclass(frozen=True, slots=True)
class HotstartState:
    """What the rule remembers of each object that may still be removed.

    first_frame: frame of birth. keep_alive: matched minus unmatched frames, within bounds. unmatched: number of frames
    with a mask that no detection matched; no entry before the first. duplicates: number of frames on which two objects
    (older, younger) matched the same detection. removed: ids removed so far, which have no other entries.
    """

    first_frame: Mapping[int, int] = field(default_factory=dict)
    keep_alive: Mapping[int, int] = field(default_factory=dict)
    unmatched: Mapping[int, int] = field(default_factory=dict)
    duplicates: Mapping[tuple[int, int], int] = field(default_factory=dict)
    removed: frozenset[int] = frozenset()

    def without(self, ids: Collection[int]) -> "HotstartState":
        """The state without the entries of `ids`, such as objects that a user gave or took away."""
        if not ids:
            return self
        gone = set(ids)
        return replace(
            self,
            first_frame={i: frame for i, frame in self.first_frame.items() if i not in gone},
            keep_alive={i: count for i, count in self.keep_alive.items() if i not in gone},
            unmatched={i: count for i, count in self.unmatched.items() if i not in gone},
            duplicates={pair: count for pair, count in self.duplicates.items() if not gone & set(pair)},
        )


@dataclass(frozen=True, slots=True)
class HotstartStep:
    """Result of one frame: the new state, ids removed on this frame, and ids hidden on this frame only."""

    state: HotstartState
    removed: tuple[int, ...]
    suppressed: tuple[int, ...]


def hotstart_step(
    state: HotstartState,
    *,
    frame: int,
    new_ids: Iterable[int],
    matched: Mapping[int, Sequence[int]],
    unmatched: Iterable[int],
    empty: Iterable[int],
    config: VideoConfig,
    reverse: bool = False,
) -> HotstartStep:
    """Count the matches of a frame, and decide which young objects to remove and which objects to hide.

    matched: ids per detection. Ids that were never in `new_ids` (given by a user) take no part. An object is young
    while it was born within `hotstart_delay` frames; with a delay of 0, none is. In reverse, time runs backwards.
    """
    counted = _count(state, frame, new_ids, matched, unmatched, empty, config, reverse)

    def young(i: int) -> bool:
        if config.hotstart_delay <= 0:
            return False
        age = counted.first_frame[i] - frame if reverse else frame - counted.first_frame[i]
        return age < config.hotstart_delay

    lost = {i for i, n in counted.unmatched.items() if n >= config.hotstart_unmatched and young(i)}
    hidden = () if config.suppress_unmatched_only_within_hotstart else _worn_out(counted, lost)
    twins = {i for (_, i), n in counted.duplicates.items() if n >= config.hotstart_duplicate and young(i)}
    removed = lost | twins
    after = replace(counted.without(removed), removed=state.removed | removed) if removed else counted
    return HotstartStep(after, tuple(sorted(removed)), hidden)


def _count(
    state: HotstartState,
    frame: int,
    new_ids: Iterable[int],
    matched: Mapping[int, Sequence[int]],
    unmatched: Iterable[int],
    empty: Iterable[int],
    config: VideoConfig,
    reverse: bool,
) -> HotstartState:
    """Count one frame, without decisions."""
    first_frame, keep_alive = dict(state.first_frame), dict(state.keep_alive)
    misses, duplicates = dict(state.unmatched), dict(state.duplicates)
    for i in new_ids:
        first_frame.setdefault(i, frame)
        keep_alive[i] = config.keep_alive_initial
    shared = [[i for i in ids if i in first_frame] for ids in matched.values()]
    for i in {i for together in shared for i in together}:
        keep_alive[i] = min(config.keep_alive_max, keep_alive[i] + 1)
    missed = [i for i in unmatched if i in first_frame]
    for i in missed:
        misses[i] = misses.get(i, 0) + 1
    worn = [*missed, *(i for i in empty if i in first_frame)] if config.empty_lowers_keep_alive else missed
    for i in worn:
        keep_alive[i] = max(config.keep_alive_min, keep_alive[i] - 1)
    for together in shared:
        if len(together) > 1:
            oldest = (max if reverse else min)(together, key=first_frame.__getitem__)
            for i in together:
                if i != oldest:
                    duplicates[oldest, i] = duplicates.get((oldest, i), 0) + 1
    return HotstartState(first_frame, keep_alive, misses, duplicates, state.removed)


def _worn_out(state: HotstartState, lost: Collection[int]) -> tuple[int, ...]:
    """Ids that were unmatched at least once and whose counter ran out, except those in `lost`."""
    return tuple(sorted(i for i in state.unmatched if state.keep_alive[i] <= 0 and i not in lost))
