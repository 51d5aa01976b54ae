"""Following objects from a view: a job like `track`, in its lane and in order, which can be stopped at any time."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sam3agent.servers.views.view_desk import ViewDesk
from sam3agent.testing import ScriptedTracker
from sam3model.errors import InputError
from tests.servers.desk import Desk, data, text
from tests.servers.hosted_views import Host, hosted
from tests.studio.studio_desk import FRAMES, PATHS, PathSegmenter, write_files


class GatedClips(ScriptedTracker):
    """Notes each run that begins, and waits before its fourth frame until it is let go."""

    def __init__(self) -> None:
        super().__init__(PATHS)
        self.begun, self.held, self.gate = 0, threading.Event(), threading.Event()
        self.fault = ""

    async def has_begun(self) -> bool:
        return self.begun > 0

    def open(self, source: Any, options: Any = None) -> Any:
        session = super().open(source)
        propagate = session.propagate

        def gated(**given: Any) -> Iterator[Any]:
            self.begun += 1
            for result in propagate(**given):
                if result.frame > 3:
                    self.held.set()
                    assert self.gate.wait(60)
                    if self.fault:
                        raise InputError(self.fault)
                yield result

        session.propagate = gated  # type: ignore[method-assign]
        return session


async def until(ready: Any) -> Any:
    """What a coroutine returns, once that is something."""
    async with asyncio.timeout(60):
        while not (found := await ready()):
            await asyncio.sleep(0.01)
    return found


async def ended(host: Host, view: str) -> dict[str, Any]:
    async def look() -> Any:
        news = await host.look(view, "news")
        return news if news.get("ended") else None

    return await until(look)


@pytest.fixture
def tracker() -> GatedClips:
    return GatedClips()


@pytest.fixture
def desk(tmp_path: Path, tracker: GatedClips) -> Desk:
    folder = write_files(tmp_path / "files")
    for name in ("walk.mp4", "again.mp4"):
        (tmp_path / name).write_bytes((folder / "walk.mp4").read_bytes())
    return Desk(tmp_path, segmenter=PathSegmenter(), tracker=tracker)


async def followed(host: Host, image: str) -> str:
    """A view of a clip whose objects are being followed."""
    view = await host.view("segment_phrase", image=image, phrases=["player"])
    await host.change(view, "follow")
    return view


async def states(host: Host) -> list[str]:
    """The jobs and where they are, the latest first."""
    lines = text(await host.client.call_tool("job_status", {})).splitlines()
    return [line.partition(" (")[2].replace("): ", " ").partition(";")[0] for line in lines]


def test_runs_wait_for_each_other_and_tools_see_what_they_found(desk: Desk, tracker: GatedClips) -> None:
    async def work(host: Host) -> None:
        first, second = await followed(host, "walk.mp4"), await followed(host, "again.mp4")
        await until(tracker.has_begun)
        assert "stop that first" in await host.refusal(first, "undo")
        track = asyncio.create_task(host.tool("track", image="walk.mp4", phrases=["ball"]))
        await asyncio.sleep(0.1)
        assert await states(host) == ["track waiting", "follow waiting", "follow running"] and tracker.begun == 1
        tracker.gate.set()
        assert not (await track).is_error
        for view in (first, second):
            assert (await ended(host, view))["problem"] == ""

        async def all_done() -> bool:
            return "follow running" not in await states(host)

        await until(all_done)  # no page has looked since
        chosen = data(await host.tool("select_masks", image="again.mp4", ids=[1]))
        assert len(json.loads(Path(chosen["masks_file"]).read_text())["annotations"]) == FRAMES

    hosted(desk, work)


def test_a_run_is_stopped_while_it_waits_and_while_it_works(desk: Desk, tracker: GatedClips) -> None:
    async def work(host: Host) -> None:
        first, second = await followed(host, "walk.mp4"), await followed(host, "again.mp4")
        await until(tracker.has_begun)
        await host.change(second, "stop")
        await ended(host, second)
        assert (await host.change(second, "undo"))["objects"]
        said = text(await host.client.call_tool("job_status", {}))
        (job,) = [line.split()[1] for line in said.splitlines() if "running" in line]
        assert "cancelled" in text(await host.client.call_tool("cancel_job", {"job": job}))
        tracker.gate.set()
        await ended(host, first)
        assert (await host.look(first))["objects"][0]["spans"] == [[0, 3]]
        assert tracker.begun == 1

    hosted(desk, work)


async def stopped(host: Host, tracker: GatedClips) -> str:
    """A view of a clip whose objects were followed up to the fourth frame."""
    view = await followed(host, "walk.mp4")
    assert await asyncio.to_thread(tracker.held.wait, 60)
    await host.change(view, "stop")

    async def is_cancelled() -> bool:
        return await states(host) == ["follow cancelled"]

    await until(is_cancelled)
    tracker.gate.set()
    news = await ended(host, view)
    assert (news["done"], news["total"], news["problem"]) == (3, FRAMES - 1, "")
    return view


def test_tools_see_what_a_stopped_run_found_before_a_page_looks(desk: Desk, tracker: GatedClips) -> None:
    async def work(host: Host) -> None:
        await stopped(host, tracker)

        async def count() -> bool:
            chosen = data(await host.tool("select_masks", image="walk.mp4", ids=[1]))
            return len(json.loads(Path(chosen["masks_file"]).read_text())["annotations"]) == 4

        await until(count)

    hosted(desk, work)


def test_a_refused_action_keeps_what_was_followed(
    desk: Desk, tracker: GatedClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later(*_: Any, **__: Any) -> None:
        """The action is the first that hands over what was found."""

    async def work(host: Host) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(ViewDesk, "_synced", later)
            view = await stopped(host, tracker)
        assert "to take this part from" in await host.refusal(view, "click", click=[2, 60, 0])
        assert [one["spans"] for one in (await host.look(view))["objects"]] == [[[0, 3]], [[0, 3]]]

    hosted(desk, work)


def test_a_run_that_fails_is_a_job_that_failed(desk: Desk, tracker: GatedClips) -> None:
    tracker.fault = "frame 4 cannot be read"

    async def work(host: Host) -> None:
        view = await followed(host, "walk.mp4")
        tracker.gate.set()
        assert (await ended(host, view))["problem"] == tracker.fault

        async def failed() -> bool:
            return await states(host) == ["follow failed"]

        await until(failed)
        job = text(await host.client.call_tool("job_status", {})).split()[1]
        result = await host.client.call_tool("job_result", {"job": job})
        assert result.is_error and tracker.fault in text(result)
        assert (await host.look(view))["objects"][0]["spans"] == [[0, 3]]

    hosted(desk, work)


def test_a_run_that_is_stopped_before_its_job_begins_leaves_the_view_free(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = ViewDesk._follow

    def stopping(self: ViewDesk, view: str, *given: Any) -> None:
        follow(self, view, *given)
        noted = self._noted.get(view)
        assert noted is not None
        noted.stop()

    monkeypatch.setattr(ViewDesk, "_follow", stopping)

    async def work(host: Host) -> None:
        view = await followed(host, "walk.mp4")
        assert (await ended(host, view))["done"] == 0
        assert (await host.change(view, "undo"))["objects"]

    hosted(desk, work)
