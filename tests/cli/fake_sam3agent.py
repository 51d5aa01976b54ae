"""The command line over a known world in place of weights: `python -m tests.cli.fake_sam3agent ask …`.

With FRAME_SECONDS, tracking a frame takes that long; with TRACKER_PROBLEM, the weights have no tracker.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

from sam3agent import api
from sam3agent.cli import main
from sam3agent.testing import ScriptedClipSession
from tests.agent.moving_blocks import tracker
from tests.agent.world import World

_propagate = ScriptedClipSession.propagate


def _slowly(self: ScriptedClipSession, **arguments: Any) -> Iterator[Any]:
    for result in _propagate(self, **arguments):
        time.sleep(float(os.environ.get("FRAME_SECONDS", "0")))
        yield result


def _tracker(*_: object) -> Any:
    made = tracker(delay=2)
    made.problem = os.environ.get("TRACKER_PROBLEM")
    return made


ScriptedClipSession.propagate = _slowly  # pyright: ignore[reportAttributeAccessIssue]
api.make_segmenter = lambda *_: World()
api.make_tracker = _tracker

if __name__ == "__main__":
    main()
