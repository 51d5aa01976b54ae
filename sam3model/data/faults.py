"""Policies for unusable images and annotations: count and skip them up to a limit, or refuse the first one."""

import logging

from sam3model.errors import DataError

log = logging.getLogger(__name__)

_LOGGED = 5
"""Number of faults of one kind that are logged; further ones are only counted."""


class Faults:
    """Unusable images and annotations of a dataset, each counted once by kind; training skips them.

    done: what the log says was done with them.
    """

    def __init__(self, done: str = "skipped") -> None:
        self.done = done
        self.found: dict[str, dict[str, None]] = {}

    def note(self, kind: str, where: str) -> None:
        """Count `where` as unusable, and log it if it is among the first of its kind."""
        places = self.found.setdefault(kind, {})
        if where in places:
            return
        places[where] = None
        if len(places) <= _LOGGED:
            log.warning("%s %s: %s", self.done, where, kind)
        if len(places) == _LOGGED:
            log.warning("further faults of this kind (%s) are only counted", kind)

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))

    def counts(self) -> dict[str, int]:
        """Number of faults of each kind, the most frequent first."""
        return dict(sorted(((kind, len(places)) for kind, places in self.found.items()), key=lambda item: -item[1]))

    def usual(self) -> str:
        """The most frequent kind in brackets, for messages; "" without faults."""
        return next((f" (most often: {kind})" for kind in self.counts()), "")

    def refuse_beyond(self, fraction: float, total: int, what: str) -> None:
        """Raise `DataError` if more than `fraction` of `total` items are unusable; `what` names the items."""
        if len(self) <= fraction * total:
            return
        kinds = ", ".join(f"{kind}: {count}" for kind, count in self.counts().items())
        first = next(iter(next(iter(self.found.values()))))
        raise DataError(
            f"{len(self)} of {total} {what} are unusable, more than data.broken={fraction:g} allows "
            f"({kinds}; the first is {first})"
        )


class StrictFaults(Faults):
    """Raises `DataError` for the first fault: evaluation must not skip anything, or its figures would change."""

    def __init__(self, source: object) -> None:
        super().__init__()
        self.source = source

    def note(self, kind: str, where: str) -> None:
        """Raise `DataError`, naming the file and the place."""
        raise DataError(f"{self.source}: {where}: {kind}")
