"""Open images: nothing that is opened, asked or tracked holds up calls on anything else."""

import asyncio
import threading
import time
from pathlib import Path

import anyio
import numpy as np
import pytest
from mcp import Client
from mcp.types import CallToolResult

from sam3agent.masks import Mask, Masklet, RleMasks
from sam3agent.media import Media
from sam3agent.mllm.base import MLLMReply, MLLMRequest
from sam3agent.pool import MaskPool
from sam3agent.segmenter import SegmenterSession
from sam3agent.servers import open_images
from sam3agent.servers.confined_files import Roots
from sam3agent.servers.fair_lane import FairLane
from sam3agent.servers.open_images import CAPACITY, MaskBoards, OpenImages
from sam3agent.testing import ScriptedBackend, ScriptedSegmenter, call
from sam3model.errors import InputError
from tests.drawn_match import PLAYERS, drawing
from tests.servers.desk import Desk, data, text


class SlowSegmenter(ScriptedSegmenter):
    """Waits for `go_on` before it encodes a second image."""

    def __init__(self) -> None:
        super().__init__(PLAYERS)
        self.encoding, self.go_on = threading.Event(), threading.Event()

    def open(self, media: Media) -> SegmenterSession:
        if self.opened:
            self.encoding.set()
            assert self.go_on.wait(20)
        return super().open(media)


def images_of(folder: Path, segmenter: ScriptedSegmenter) -> OpenImages:
    return OpenImages(segmenter, Roots([folder]).open)


def test_an_open_image_is_usable_while_another_is_encoded(tmp_path: Path) -> None:
    for name in ("open.png", "new.png"):
        drawing().save(tmp_path / name)
    segmenter = SlowSegmenter()

    async def use_both() -> None:
        images = images_of(tmp_path, segmenter)
        await images.get("open.png")
        other = asyncio.create_task(images.get("new.png"))
        while not segmenter.encoding.is_set():
            await asyncio.sleep(0.01)
        assert (await asyncio.wait_for(images.get("open.png"), 5)).media.size == (96, 64)
        assert not other.done()
        segmenter.go_on.set()
        await other

    asyncio.run(use_both())
    assert segmenter.opened == 2


def test_calls_at_once_encode_an_image_once_and_one_may_leave(tmp_path: Path) -> None:
    drawing().save(tmp_path / "a.png")
    segmenter = ScriptedSegmenter(PLAYERS)

    async def use() -> None:
        images = images_of(tmp_path, segmenter)
        calls = [asyncio.create_task(images.get("a.png")) for _ in range(8)]
        await asyncio.sleep(0)
        calls[0].cancel()
        opened = await asyncio.gather(*calls[1:])
        assert len(set(map(id, opened))) == 1

    asyncio.run(use())
    assert segmenter.opened == 1


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    class OnceBroken(ScriptedSegmenter):
        def open(self, media: Media) -> SegmenterSession:
            if not self.opened:
                self.opened = 1
                raise InputError("no memory")
            return super().open(media)

    drawing().save(tmp_path / "a.png")

    async def twice() -> None:
        images = images_of(tmp_path, OnceBroken(PLAYERS))
        with pytest.raises(InputError, match="no memory"):
            await images.get("a.png")
        assert (await images.get("a.png")).media.size == (96, 64)

    asyncio.run(twice())


class Waiting(ScriptedBackend):
    """Notes each question in order, and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked, self.go_on = list[str](), asyncio.Event()

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        assert request.state is not None
        self.asked.append(request.state.story.query)
        await self.go_on.wait()
        return call("report_no_match", reason="nothing")


def test_tools_answer_at_once_while_forty_questions_are_asked(tmp_path: Path) -> None:
    backend = Waiting()
    backend.free = True  # one question at a time
    desk = Desk(tmp_path, backend=backend)
    drawing().save(tmp_path / "other.png")

    async def talk() -> list[float]:
        took = list[float]()
        async with Client(desk.server) as client, anyio.create_task_group() as asking:
            for image in ("match.png", "other.png"):
                await client.call_tool("segment_phrase", {"image": image, "phrases": ["player"]})
            for number in range(40):
                asking.start_soon(client.call_tool, "ask", {"image": "match.png", "question": f"question {number}"})
            while not backend.asked:
                await asyncio.sleep(0.01)
            for image in ("other.png", "match.png"):
                started = time.monotonic()
                assert not (await client.call_tool("measure_masks", {"image": image})).is_error
                assert not (await client.call_tool("segment_phrase", {"image": image, "phrases": ["ball"]})).is_error
                took.append(time.monotonic() - started)
            backend.go_on.set()
        return took

    took = asyncio.run(talk())
    assert max(took) < 1.0  # two calls, each of which should take less than half a second
    assert list(dict.fromkeys(backend.asked)) == [f"question {number}" for number in range(40)]


def test_a_question_that_waits_leaves_the_queue_when_it_is_cancelled(tmp_path: Path) -> None:
    backend = Waiting()
    backend.free = True  # one question at a time
    desk = Desk(tmp_path, backend=backend)

    async def talk() -> None:
        async with Client(desk.server) as client, anyio.create_task_group() as asking:
            asking.start_soon(client.call_tool, "ask", {"image": "match.png", "question": "first"})
            while not backend.asked:
                await asyncio.sleep(0.01)
            with anyio.move_on_after(0.3):
                await client.call_tool("ask", {"image": "match.png", "question": "second"})
            asking.start_soon(client.call_tool, "ask", {"image": "match.png", "question": "third"})
            await asyncio.sleep(0.3)
            backend.go_on.set()

    asyncio.run(talk())
    assert list(dict.fromkeys(backend.asked)) == ["first", "third"]


def test_twenty_calls_at_once_over_many_images_and_a_clip(tmp_path: Path) -> None:
    from tests.agent.moving_blocks import write_clip

    desk = Desk(tmp_path)
    write_clip(tmp_path / "blocks.mp4")
    names = [f"{number}.png" for number in range(CAPACITY + 2)]
    for name in names:
        drawing().save(tmp_path / name)

    async def talk() -> list[CallToolResult]:
        async with Client(desk.server) as client:

            async def one(number: int) -> CallToolResult:
                if number % 5 == 4:
                    return await client.call_tool("track", {"image": "blocks.mp4", "phrases": ["player in white"]})
                name = names[number % len(names)]
                return await client.call_tool("segment_phrase", {"image": name, "phrases": ["player in white"]})

            return await asyncio.gather(*map(one, range(20)))

    for number, result in enumerate(asyncio.run(talk())):
        (search,) = data(result)["searches"]
        assert [mask["id"] for mask in search["masks"]] == [1, 2], (number, text(result))


def test_images_take_turns_in_a_lane() -> None:
    order = list[str]()

    async def work(lane: FairLane, key: str, name: str) -> None:
        async with lane.slot(key):
            order.append(name)
            await asyncio.sleep(0)

    async def crowd() -> None:
        lane = FairLane(1)
        busy = [asyncio.create_task(work(lane, "busy", f"busy {number}")) for number in range(6)]
        await asyncio.sleep(0)
        idle = asyncio.create_task(work(lane, "idle", "idle"))
        busy[2].cancel()
        await asyncio.gather(*busy, idle, return_exceptions=True)
        await asyncio.wait_for(work(lane, "late", "late"), 1)

    asyncio.run(crowd())
    assert order[:3] in (["busy 0", "busy 1", "idle"], ["busy 0", "idle", "busy 1"])
    assert order[3:] == ["busy 3", "busy 4", "busy 5", "late"]


def test_masks_that_were_not_used_lately_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_images, "FRESH_BOARDS", 1)
    full = np.zeros((400, 600), bool)
    full[50:300, 100:500] = True
    mask = Mask.from_full(full)
    assert mask is not None
    pool, _ = MaskPool().add("player", [(Masklet.of(mask), 0.9)])

    async def work() -> None:
        boards = MaskBoards()
        first, busy = boards.get("one", ("a.png", 1, 1, 1)), boards.get("one", ("b.png", 2, 2, 2))
        first.pool = busy.pool = pool
        async with busy.turn:
            boards.get("one", ("a.png", 1, 1, 1))  # b.png is the older one now, but in use
            await asyncio.sleep(0.1)
            assert busy.pool is pool
        boards.get("one", ("c.png", 3, 3, 3))
        while first.pool is pool:
            await asyncio.sleep(0.01)
        (candidate,) = first.pool.candidates
        assert isinstance(candidate.masklet.masks, RleMasks)
        assert candidate.id == 1 and (candidate.mask.full() == full).all() and candidate.mask.box == mask.box

    asyncio.run(work())


def test_a_board_in_use_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_images, "MAX_BOARDS", 1)
    mask = Mask.from_full(np.ones((8, 8), bool))
    assert mask is not None

    async def work() -> None:
        boards = MaskBoards()
        board = boards.get("one", ("a.png", 1, 1, 1))

        async def wait() -> None:
            async with board.turn:
                pass

        async with board.turn:
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            boards.get("one", ("b.png", 2, 2, 2))
            board.pool, _ = board.pool.add("player", [(Masklet.of(mask), 0.9)])
        boards.get("one", ("b.png", 2, 2, 2))
        boards.get("one", ("c.png", 3, 3, 3))  # between those who hold it and who wait
        assert boards.get("one", ("a.png", 1, 1, 1)) is board
        await waiting
        boards.get("one", ("d.png", 4, 4, 4))
        again = boards.get("one", ("a.png", 1, 1, 1))
        assert again is not board and again.pool.next_id == 2

    asyncio.run(work())
