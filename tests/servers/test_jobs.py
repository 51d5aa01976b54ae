"""Long work: progress with the time left, cancellation at once, and results that outlive a client's patience."""

import asyncio
import time
from pathlib import Path

import anyio
import pytest
from mcp import Client

from sam3agent.servers import jobs as jobs_module
from sam3agent.servers.jobs import KEPT, Job, Jobs, time_left
from sam3agent.servers.mcp_replies import Reply, ToolReply
from sam3agent.testing import call
from sam3agent.tools.registry import ToolUseError
from tests.agent.moving_blocks import FRAMES, write_clip
from tests.servers.desk import Desk, data, images, text

WHITE = [call("segment_phrase", phrases=["player in white"]), call("select_masks", ids=[1], reason="furthest left")]
TRACK = {"image": "blocks.mp4", "phrases": ["player in white"]}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    write_clip(tmp_path / "blocks.mp4")
    return Desk(tmp_path, WHITE)


def slow_frames(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[float]:
    """Make every frame of a clip take long; the times at which frames were read."""
    from sam3agent.media import SharedFrames

    read, quick = list[float](), SharedFrames.frame

    def slow(self: SharedFrames, t: int) -> object:
        read.append(time.monotonic())
        time.sleep(seconds)
        return quick(self, t)

    monkeypatch.setattr(SharedFrames, "frame", slow)
    return read


def job_id(said: str) -> str:
    assert "job_result" in said
    return said.split()[1]


def test_a_client_that_does_not_wait_fetches_the_result_later(desk: Desk) -> None:
    async def talk() -> None:
        async with Client(desk.server) as client:
            note = text(await client.call_tool("track", {**TRACK, "wait_seconds": 0}))
        async with Client(desk.server) as client:
            result = await client.call_tool("job_result", {"job": job_id(note)})
            assert [mask["id"] for mask in data(result)["searches"][0]["masks"]] == [1, 2]
            assert len(images(result)) == 1
            again = await client.call_tool("job_result", {"job": job_id(note)})
            assert data(again)["searches"] == data(result)["searches"]
            assert "done" in text(await client.call_tool("job_status", {}))

    asyncio.run(talk())


def test_a_question_becomes_a_job_too(desk: Desk) -> None:
    async def talk() -> None:
        async with Client(desk.server) as client:
            question = {"image": "match.png", "question": "leftmost player in white", "wait_seconds": 0}
            note = text(await client.call_tool("ask", question))
            assert data(await client.call_tool("job_result", {"job": job_id(note)}))["status"] == "answered"

    asyncio.run(talk())


def test_a_job_that_was_waited_for_is_forgotten(desk: Desk) -> None:
    tracked, listed = desk.calls(("track", TRACK), ("job_status", {}))
    assert not tracked.is_error and text(listed) == "there are no jobs"


@pytest.mark.parametrize("by_tool", [True, False])
def test_cancelling_stops_the_work_within_a_second(desk: Desk, monkeypatch: pytest.MonkeyPatch, by_tool: bool) -> None:
    read = slow_frames(monkeypatch, 0.2)

    async def talk() -> float:
        async with Client(desk.server) as client:
            if by_tool:
                note = text(await client.call_tool("track", {**TRACK, "wait_seconds": 0.5}))
                started = time.monotonic()
                said = text(await client.call_tool("cancel_job", {"job": job_id(note)}))
                assert "cancelled" in said
                assert "was cancelled" in text(await client.call_tool("job_result", {"job": job_id(note)}))
            else:
                with anyio.move_on_after(0.5):
                    await client.call_tool("track", TRACK)
                started = time.monotonic()
                assert text(await client.call_tool("job_status", {})).count("running") == 0
            await asyncio.sleep(1.5)
            return started

    started = asyncio.run(talk())
    assert 0 < len(read) < FRAMES and max(read) - started < 1


def test_mistakes_are_answered_with_a_sentence(desk: Desk) -> None:
    unknown, failed = desk.calls(("job_result", {"job": "nope"}), ("track", {"image": "none.mp4", "phrases": ["x"]}))
    assert unknown.is_error and "there is no job 'nope'" in text(unknown)
    assert failed.is_error and "there is no file" in text(failed)


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "left"),
    [
        (0, 10, 9, ""),
        (1, 10, 0.5, ""),
        (5, 10, 10, "about 10 s left"),
        (1, 100, 6, "about 10 min left"),
        (10, 10, 9, ""),
    ],
)
def test_the_time_left(done: int, total: int, elapsed: float, left: str) -> None:
    assert time_left(done, total, elapsed) == left


def test_progress_tells_the_time_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_frames(monkeypatch, 0.15)
    desk.call("track", **TRACK)
    assert any(line.endswith("s left") for line in desk.lines), desk.lines


async def nothing(_: Job) -> Reply:
    return Reply(ToolReply(image="a.png"), "nothing")


def test_only_the_latest_finished_jobs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def many() -> None:
        jobs = Jobs()
        started = [jobs.start("me", f"job {number}", ToolReply(image="a.png"), nothing) for number in range(KEPT + 10)]
        for job in started:
            await job.wait(1)
        assert len(jobs.of("me")) == KEPT and jobs.of("other") == []
        with pytest.raises(ToolUseError, match="there is no job"):
            jobs.get(started[0].id)
        monkeypatch.setattr(jobs_module, "KEPT_SECONDS", -1.0)
        assert jobs.of("me") == []

    asyncio.run(many())
