"""Budgets of time count from the start and hold, whatever is slow."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from sam3agent.agent.budget import Budget
from sam3agent.api import Agent
from sam3agent.deadlines import within
from sam3agent.media import Media, open_media
from sam3agent.mllm.base import MLLM, MLLMReply, MLLMRequest
from sam3agent.segmenter import FoundInstances, LocalSegmenter
from sam3agent.testing import ScriptedBackend, call
from sam3model.errors import CheckpointError
from tests.drawn_match import drawing, segmenter

SLOW = 6.0
SEARCH = call("segment_phrase", phrases=["player in white"])


@dataclass
class SlowSegmenter:
    """The scripted segmenter, slow to open or to search."""

    opening: float = 0
    searching: float = 0
    name: str = "slow"

    def open(self, media: Media) -> "SlowSession":
        time.sleep(self.opening)
        return SlowSession(segmenter().open(media), self.searching)


@dataclass
class SlowSession:
    inner: Any
    searching: float

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> Sequence[FoundInstances]:
        time.sleep(self.searching)
        return self.inner.segment_phrases(phrases, threshold, frame)


class SlowBackend(MLLM):
    name = "slow"

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        await asyncio.sleep(SLOW)
        return SEARCH


@pytest.mark.parametrize(
    ("parts", "backend", "reason"),
    [
        (SlowSegmenter(opening=SLOW), ScriptedBackend([SEARCH]), "loading the weights"),
        (SlowSegmenter(searching=SLOW), ScriptedBackend([SEARCH]), "0.5 seconds is used up"),
        (SlowSegmenter(), SlowBackend(), "0.5 seconds is used up"),
    ],
    ids=["opening", "searching", "deciding"],
)
def test_the_time_of_a_question_holds(parts: SlowSegmenter, backend: MLLM, reason: str) -> None:
    started = time.monotonic()
    answer = Agent(parts, backend, Budget(seconds=0.5)).ask(drawing(), "leftmost player in white")
    assert time.monotonic() - started < 2.5
    assert answer.status == "exhausted" and reason in answer.reason
    assert answer.costs.elapsed_s >= 0.5


def test_time_counts_from_the_start_of_the_command() -> None:
    backend = ScriptedBackend([SEARCH])
    answer = Agent(segmenter(), backend, Budget(seconds=60)).ask(drawing(), "player", started=time.monotonic() - 61)
    assert answer.status == "exhausted" and answer.costs.elapsed_s > 60 and not backend.requests


def test_results_and_exceptions_come_through() -> None:
    def fail() -> None:
        raise KeyError("gone")

    assert asyncio.run(within(5, lambda: 7)) == 7
    assert asyncio.run(within(None, sum, [1, 2])) == 3
    with pytest.raises(KeyError, match="gone"):
        asyncio.run(within(5, fail))


def test_a_process_does_not_wait_for_what_was_given_up() -> None:
    code = (
        "import asyncio, time\n"
        "from sam3agent.deadlines import leave, within\n"
        "try: asyncio.run(within(0.1, time.sleep, 60))\n"
        "except TimeoutError: print('given up')\n"
        "leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (3, "given up\n")


class Loads:
    """A model that counts how often it was asked for."""

    weights = "counted"

    def __init__(self) -> None:
        self.count = 0

    def image_predictor(self) -> Any:
        self.count += 1
        raise CheckpointError("there are no weights")


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    model = Loads()
    local = LocalSegmenter(model=model)  # pyright: ignore[reportArgumentType]
    media = open_media(drawing())
    with local._lock, pytest.raises(TimeoutError):
        asyncio.run(within(0.05, local.open, media))
    for thread in threading.enumerate():
        if thread.name == "sam3agent-work":
            thread.join(5)
    assert model.count == 0
    with pytest.raises(CheckpointError):
        asyncio.run(within(5, local.open, media))
    assert model.count == 1
