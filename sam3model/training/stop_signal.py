"""Signals that end a run after the current step."""

import logging
import signal
from types import FrameType
from typing import Any, ClassVar, Self

from sam3model.training.parallel import World

log = logging.getLogger(__name__)


class StopSignal:
    """Turns a signal into a request to stop: the current step ends, the state is saved, and the run returns.

    `received` is 0 before any signal, 1 after SIGTERM or Ctrl-C, and 2 after SIGUSR1 or SIGUSR2 from a scheduler.
    Schedulers and launchers may repeat their signals; a second Ctrl-C ends the run at once.
    """

    LEVELS: ClassVar = {"SIGTERM": 1, "SIGINT": 1, "SIGUSR1": 2, "SIGUSR2": 2}

    def __init__(self) -> None:
        self.received = 0
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        try:
            for name in self.LEVELS.keys() & signal.Signals.__members__:
                self.previous[signal.Signals[name]] = signal.signal(signal.Signals[name], self._note)
        except ValueError:
            log.debug("not in the main thread: signals are not handled")
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def shared(self, world: World) -> float:
        """The largest `received` of all processes."""
        return world.largest(self.received)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.received:
            log.warning("%s: stopping after this step", signal.Signals(number).name)
        self.received = max(self.received, self.LEVELS[signal.Signals(number).name])
