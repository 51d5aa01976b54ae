"""How far a labelling run is: images done, rate, time left and failures."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

WINDOW = 60.0
"""Seconds over which the rate is measured."""


class LabelProgress:
    """Counts what a run reports; mutable. The total is counted on a thread beside it, because sources are streams."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.new = 0
        self.lost = 0
        self.total: int | None = None
        self._started = time.monotonic()
        self._recent: deque[float] = deque(maxlen=4096)

    def count(self, items: Iterable[object]) -> None:
        """Begin to count a stream of images, to know how many are left."""

        def work() -> None:
            try:
                self.total = sum(1 for _ in items)
            except Exception:  # the run itself meets the same error, and reports it
                return

        threading.Thread(target=work, name="sam3agent-count", daemon=True).start()

    def done(self, record: Mapping[str, Any]) -> None:
        """An image has ended."""
        self.counts[record["status"]] += 1
        self.new += 1
        self._recent.append(time.monotonic())

    def known(self, counts: Mapping[str, int]) -> None:
        """Images that were done before."""
        self.counts.update(counts)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Images per second over the last minute; 0 before the second image."""
        now = time.monotonic()
        while self._recent and now - self._recent[0] > WINDOW:
            self._recent.popleft()
        if len(self._recent) < 2:
            return 0.0
        return (len(self._recent) - 1) / max(1e-6, now - self._recent[0])

    def __str__(self) -> str:
        done, rate = self.counts.total(), self.rate
        of = f" of {self.total}" if self.total is not None else ""
        parts = [f"{done}{of} images", f"{rate:.1f}/s" if rate else "starting"]
        if self.total is not None and rate:
            parts.append(f"{duration((self.total - done) / rate)} left")
        if failed := self.counts["failed"]:
            parts.append(f"{failed} failed")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(42), duration(125), duration(7300), duration(200000)
    ('42 s', '2 min 05 s', '2 h 01 min', '2 d 7 h')
    """
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{minutes} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{days} d {hours % 24} h"
