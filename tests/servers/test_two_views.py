"""Several views of one image, and the tools: a number means one mask, whoever changed it last."""

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from sam3agent.servers import open_images
from sam3agent.servers.open_images import MaskBoards
from sam3agent.servers.views import view_desk
from sam3agent.servers.views.mask_view import MaskView
from sam3agent.servers.views.view_desk import ViewDesk
from sam3agent.servers.views.wanted_sight import WantedSight
from sam3model.errors import InputError
from tests.servers.desk import data
from tests.servers.hosted_views import Host, clicked, hosted, kept

STROKE = {"object": 1, "stroke": [[30, 50]], "radius": 4}


def boxes(result: Any) -> dict[int, list[int]]:
    return {mask["id"]: mask["box"] for mask in data(result)["masks"]}


def test_a_correction_in_one_view_is_seen_in_another_and_can_be_corrected_there(tmp_path: Path) -> None:
    async def work(host: Host) -> None:
        first, second = [await host.view("segment_phrase", phrases=["player"]) for _ in range(2)]
        await host.look(first)
        before = await host.look(second)
        await host.change(first, "paint", **STROKE)
        seen, there = await host.look(second), await host.look(first)
        assert mask_of(seen, 1) == mask_of(there, 1) != mask_of(before, 1)
        assert seen["undo"] == "what changed elsewhere" and mask_of(seen, 2) == mask_of(before, 2)
        await host.change(second, "paint", **{**STROKE, "stroke": [[60, 50]]})
        assert boxes(await host.tool("select_masks", ids=[1])) == {1: [4, 20, 65, 55]}
        both = await host.look(first)
        await host.change(second, "undo")
        assert mask_of(await host.look(first), 1) == mask_of(there, 1) != mask_of(both, 1)

    hosted(clicked(tmp_path), work)


def mask_of(sheet: dict[str, Any], number: int) -> str:
    (shape,) = [one["shape"] for one in sheet["objects"] if one["id"] == number]
    return sheet["masks"][str(shape)]


def test_new_objects_of_two_views_have_different_numbers(tmp_path: Path) -> None:
    async def work(host: Host) -> None:
        first, second = [await host.view("segment_phrase", phrases=["player"]) for _ in range(2)]
        await host.look(first), await host.look(second)
        added = await host.change(first, "click", click=[52, 8, 1], label="ball")
        other = await host.change(second, "click", box=[49, 5, 59, 15], label="ball")
        await host.change(first, "undo")
        last = await host.change(second, "paint", stroke=[[30, 60]], radius=3, label="grass")
        assert (kept(added).keys() - {1, 2}, kept(other).keys() - {1, 2}) == ({3}, {4})
        assert kept(last).keys() == {1, 2, 4, 5} and kept(await host.change(first, "redo")).keys() == {1, 2, 3}

    hosted(clicked(tmp_path), work)


def test_what_is_accepted_is_what_the_page_showed(tmp_path: Path) -> None:
    """Another view changed a mask after this page had shown it."""

    async def work(host: Host) -> None:
        first, second = [await host.view("segment_phrase", phrases=["player"]) for _ in range(2)]
        await host.look(first), await host.look(second)
        await host.change(second, "paint", **STROKE)
        told = await host.change(first, "accept")
        assert 'mask 1 ("player"): box [4, 20, 16, 44]' in told["words"]
        assert boxes(await host.tool("select_masks", ids=[1])) == {1: [4, 20, 16, 44]}

    hosted(clicked(tmp_path), work)


def test_a_change_whose_request_is_cancelled_is_seen_by_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, begun, gate = MaskView.change, threading.Event(), threading.Event()

    def slow(self: MaskView, *given: Any) -> Any:
        done = change(self, *given)
        begun.set()
        assert gate.wait(60)
        return done

    async def work(host: Host) -> None:
        view = await host.view("segment_phrase", phrases=["player"])
        before = await host.look(view)
        monkeypatch.setattr(MaskView, "change", slow)
        request = asyncio.create_task(host.change(view, "paint", **STROKE))
        await asyncio.to_thread(begun.wait, 60)
        request.cancel()
        await asyncio.wait([request])
        await asyncio.sleep(0.1)  # until the server has heard of it
        gate.set()
        await host.tool("segment_phrase", phrases=["ball"])  # has its turn after the change
        assert boxes(await host.tool("select_masks", ids=[1])) == {1: [4, 20, 35, 55]}
        seen = await host.look(view)
        assert mask_of(seen, 1) != mask_of(before, 1) and seen["undo"] == "paint player 1"

    hosted(clicked(tmp_path), work)


def test_a_number_of_a_forgotten_image_never_means_another_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_images, "MAX_BOARDS", 1)

    async def work(host: Host) -> None:
        (tmp_path / "other.png").write_bytes((tmp_path / "match.png").read_bytes())
        view = await host.view("segment_phrase", phrases=["player"])
        await host.look(view)
        await host.tool("segment_phrase", image="other.png", phrases=["ball"])
        again = data(await host.tool("segment_phrase", phrases=["player"]))
        assert [mask["id"] for mask in again["searches"][0]["masks"]] == [3, 4]
        await host.change(view, "paint", **STROKE)
        assert boxes(await host.tool("select_masks", ids=[1, 3])) == {1: [4, 20, 35, 55], 3: [4, 20, 16, 44]}

    hosted(clicked(tmp_path), work)


def test_a_busy_client_pushes_out_nothing_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_desk, "MAX_VIEWS", 3)
    monkeypatch.setattr(open_images, "MAX_BOARDS", 3)

    async def work() -> None:
        boards, views = MaskBoards(), ViewDesk(cast(Any, None))
        mine = boards.get("quiet", ("a.png", 1, 1, 1))
        view = views.note("quiet", "segment_phrase", {"image": "a.png"})
        for number in range(10):
            boards.get("busy", (f"{number}.png", 1, 1, 1))
            views.note("busy", "segment_phrase", {"image": f"{number}.png"})
        assert boards.get("quiet", ("a.png", 1, 1, 1)) is mine
        assert await views.look("quiet", "", "latest", WantedSight(image="a.png")) == {"view": view}
        assert await views.look("busy", "", "latest", WantedSight(image="7.png"))
        with pytest.raises(InputError, match="there are no masks"):
            await views.look("busy", "", "latest", WantedSight(image="6.png"))

    asyncio.run(work())
