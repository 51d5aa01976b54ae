"""What is broken in a data set: counted by kind, named in the log, and too much only beyond a set share."""

import logging

from sam3model.errors import DataError

log = logging.getLogger(__name__)

_NAMED = 5
"""So many of a kind are named one by one; the others are counted."""


class Faults:
    """Broken pictures and annotations, each counted once."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, None]] = {}

    def note(self, kind: str, where: str) -> None:
        """Count `where` as broken in this way, and name it in the log if it is among the first."""
        places = self.found.setdefault(kind, {})
        if where in places:
            return
        places[where] = None
        if len(places) <= _NAMED:
            log.warning("skipped: %s: %s", where, kind)
        if len(places) == _NAMED:
            log.warning("more of this kind (%s) are only counted", kind)

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))

    def counts(self) -> dict[str, int]:
        """How many of each kind, the most frequent first."""
        return dict(sorted(((kind, len(places)) for kind, places in self.found.items()), key=lambda item: -item[1]))

    def refuse_beyond(self, share: float, total: int, what: str) -> None:
        """Raise `DataError` if more than `share` of `total` things (`what` names them) are broken."""
        if len(self) <= share * total:
            return
        kinds = ", ".join(f"{kind}: {count}" for kind, count in self.counts().items())
        first = next(iter(next(iter(self.found.values()))))
        raise DataError(
            f"{len(self)} of {total} {what} are broken, more than data.broken={share:g} allows "
            f"({kinds}; the first is {first})"
        )
