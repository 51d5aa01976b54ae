"""Objects are shown only once detections have confirmed them on several frames in a row."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ConfirmationState:
    """matched: number of matched frames in a row, of each object up to now. confirmed: ids confirmed for good."""

    matched: Mapping[int, int] = field(default_factory=dict)
    confirmed: frozenset[int] = frozenset()

    def unconfirmed(self, ids: Iterable[int]) -> tuple[int, ...]:
        """Those of `ids` that are not confirmed yet."""
        return tuple(i for i in ids if i not in self.confirmed)

    def without(self, ids: Collection[int]) -> "ConfirmationState":
        """The state without the objects `ids`."""
        counts = {i: count for i, count in self.matched.items() if i not in ids}
        return ConfirmationState(counts, self.confirmed.difference(ids))


def confirmation_step(
    state: ConfirmationState, ids: Iterable[int], matched: Collection[int], frames: int
) -> ConfirmationState:
    """Count one frame. ids: the objects after this frame. matched: ids that a detection matched, or that are new.

    An object is confirmed once it was matched on `frames` frames in a row, and stays so.

    >>> state = confirmation_step(ConfirmationState(), [4], [4], 2)
    >>> state.unconfirmed([4]), confirmation_step(state, [4], [4], 2).unconfirmed([4])
    ((4,), ())
    """
    counts = {i: state.matched.get(i, 0) + 1 if i in matched else 0 for i in ids}
    confirmed = {i for i, count in counts.items() if count >= frames or i in state.confirmed}
    return ConfirmationState(counts, frozenset(confirmed))
