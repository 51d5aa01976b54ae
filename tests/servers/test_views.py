"""The page that shows masks inside a host (MCP Apps): what hosts are told of it, and what it can do."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server.apps import APP_MIME_TYPE

from sam3agent.servers.views.view_page import view_page
from sam3agent.servers.views.view_tools import PAGE, PAGE_TOOLS, VIEW_KEY, VIEWED
from sam3agent.testing import call
from tests.agent.moving_blocks import write_clip
from tests.servers.desk import Desk, data, text
from tests.servers.hosted_views import Host, clicked, hosted, kept
from tests.servers.view_host import APPS
from tests.studio.studio_desk import FRAMES, write_files


def listed(desk: Desk, *extensions: Any) -> tuple[dict[str, Any], list[str]]:
    """The tools by name and the addresses of the resources, as a client gets them."""

    async def talk() -> tuple[dict[str, Any], list[str]]:
        async with Client(desk.server, extensions=extensions) as client:
            tools = (await client.list_tools()).tools
            resources = (await client.list_resources()).resources
        dumped = {tool.name: tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in tools}
        return dumped, [str(one.uri) for one in resources]

    return asyncio.run(talk())


def test_hosts_are_told_of_the_page(tmp_path: Path) -> None:
    tools, resources = listed(Desk(tmp_path), APPS)
    assert {name for name, tool in tools.items() if tool.get("_meta", {}).get("ui") == {"resourceUri": PAGE}} == {
        *VIEWED
    }
    for name in PAGE_TOOLS:
        assert tools[name]["_meta"]["ui"] == {"resourceUri": PAGE, "visibility": ["app"]}
    assert tools["view_look"]["annotations"]["readOnlyHint"] is True
    assert PAGE in resources


def test_the_page_is_one_document_of_the_right_type(tmp_path: Path) -> None:
    async def read(host: Host) -> Any:
        return (await host.client.read_resource(PAGE)).contents

    (page,) = hosted(Desk(tmp_path), read)
    assert page.mime_type == APP_MIME_TYPE and page.text == view_page()
    assert page.text.startswith("<!doctype html>") and len(page.text) < 300_000
    assert not re.findall(r'src="|<link|\bfetch\(|localStorage|history\.|^import |^export ', page.text, re.MULTILINE)


def test_hosts_without_apps_see_what_they_saw_before(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    tools, resources = listed(desk)
    assert not {*PAGE_TOOLS} & {*tools} and PAGE not in resources
    assert [name for name, tool in tools.items() if "_meta" in tool] == []
    with_apps, _ = listed(desk, APPS)
    for name in PAGE_TOOLS:
        del with_apps[name]
    for tool in with_apps.values():
        tool.pop("_meta", None)
    assert with_apps == tools
    assert VIEW_KEY not in (desk.call("segment_phrase", phrases=["player"]).meta or {})


def test_a_search_shows_its_masks_and_why(tmp_path: Path) -> None:
    async def work(host: Host) -> Any:
        view = await host.view("segment_phrase", phrases=["player in white"])
        return await host.look(view, "start"), await host.look(view), await host.look(view, "images", frames=[0])

    start, sheet, images = hosted(Desk(tmp_path), work)
    assert start["listing"]["items"][0]["name"] == "match.png"
    assert all(kept(sheet).values()) and len(sheet["masks"]) == len(sheet["objects"]) > 1
    assert sheet["objects"][0]["why"].startswith("“player in white” matches with score 0.")
    assert sheet["undo"] is None and images["images"][0]["jpeg"].startswith("/9j/")


def test_an_answer_shows_what_was_rejected_and_how_it_was_found(tmp_path: Path) -> None:
    white = [call("segment_phrase", phrases=["player in white"]), call("select_masks", ids=[1], reason="furthest left")]

    async def work(host: Host) -> Any:
        await host.view("segment_phrase", phrases=["player in red"])  # the client's mask 1
        view = await host.view("ask", question="leftmost player in white")
        seen = await host.look(view), (await host.look(view, "start"))["questions"]
        await host.tool("segment_phrase", phrases=["player in white"])  # they have numbers now
        return *seen, await host.look(await host.view("ask", question="leftmost player in white"))

    sheet, (question,), again = hosted(Desk(tmp_path, [*white, *white]), work)
    assert kept(again) == {2: True, 4: False}
    assert kept(sheet) == {2: True, 3: False}
    first, second = sheet["objects"]
    assert first["why"] == "It answers “leftmost player in white”: furthest left"
    assert second["why"].startswith("It matches “player in white”, but is not part of the answer")
    (search,) = [step for step in question["steps"] if step.get("searches")]
    assert search["searches"] == [{"phrase": "player in white", "ids": [2, 3]}]
    assert question["status"] == "answered" and question["steps"][-1]["ids"] == [2]


def test_a_selection_shows_the_other_masks_as_rejected(tmp_path: Path) -> None:
    async def work(host: Host) -> Any:
        await host.tool("segment_phrase", phrases=["player in white"])
        return await host.look(await host.view("select_masks", ids=[2], reason="it is taller"))

    sheet = hosted(Desk(tmp_path), work)
    assert kept(sheet) == {2: True, 1: False}
    assert sheet["objects"][0]["why"] == "It was selected: it is taller"
    assert sheet["objects"][1]["why"].endswith("but it was not selected")


def test_what_a_user_does_is_what_tools_see(tmp_path: Path) -> None:
    async def work(host: Host) -> Any:
        view = await host.view("segment_phrase", phrases=["player"])
        await host.change(view, "click", object=1, click=[52, 8, 1])
        added = await host.change(view, "click", box=[49, 5, 59, 15], label="ball")
        await host.tool("segment_phrase", phrases=["ball"])
        seen = data(await host.tool("examine_masks", ids=[1, 3]))
        undone = await host.change(view, "undo")
        undone = await host.change(view, "undo")
        after = data(await host.tool("select_masks", ids=[1]))
        return added, seen, undone, after

    added, _, undone, after = hosted(clicked(tmp_path), work)
    assert kept(added) == {1: True, 2: True, 3: True}
    assert kept(undone) == {1: True, 2: True} and undone["undo"] is None
    assert after["masks"][0]["box"] == [4, 20, 16, 44]


def test_an_accepted_selection_is_told_in_words_with_its_files(tmp_path: Path) -> None:
    async def work(host: Host) -> Any:
        view = await host.view("segment_phrase", phrases=["player"])
        await host.change(view, "click", click=[52, 8, 1], label="ball")
        await host.change(view, "edit", objects=[2], kept=False)
        told = await host.change(view, "accept")
        await host.change(view, "edit", objects=[1, 3], kept=False)
        return told, await host.change(view, "accept")

    told, none = hosted(clicked(tmp_path), work)
    assert told["ids"] == [1, 3] and Path(told["files"]["masks_file"]).is_file()
    assert told["words"].splitlines()[:3] == [
        "The user looked at match.png and accepted masks 1, 3. The user rejected mask 2.",
        'mask 1 ("player"): box [4, 20, 16, 44]',
        'mask 3 ("ball"): box [50, 6, 58, 14]; added by the user',
    ]
    assert none["words"].startswith("The user looked at match.png and accepted none of the masks.")


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    async def work(host: Host) -> Any:
        view = await host.view("segment_phrase", phrases=["player in white"])
        said = [
            await host.refusal(view, "click", click=[2, 2, 1]),
            await host.refusal(view, "click", click=["a", 2, 1]),
            await host.refusal(view, "format"),
            await host.refusal("0" * 12, "undo"),
        ]
        os.utime(tmp_path / "match.png", (1, 1))
        return [*said, await host.refusal(view, "undo")]

    phrases_only, bad, unknown, gone, changed = hosted(Desk(tmp_path), work)
    assert "cannot be corrected by clicks" in phrases_only
    assert "click.0: must be a valid number" in bad and "no action 'format'" in unknown
    assert "no longer kept" in gone and "has changed since" in changed


def test_what_is_followed_is_what_tools_see(tmp_path: Path) -> None:
    write_files(tmp_path / "files")
    clip = {"image": "files/walk.mp4"}

    async def work(host: Host) -> Any:
        view = await host.view("track", **clip, phrases=["player"])
        await host.change(view, "click", click=[52, 8, 1], label="ball")
        await host.change(view, "follow")
        while not (await host.look(view, "news")).get("ended"):
            await asyncio.sleep(0.02)
        await host.look(view)
        return data(await host.tool("select_masks", **clip, ids=[3])), await host.change(view, "accept")

    selected, told = hosted(clicked(tmp_path), work)
    assert len(json.loads(Path(selected["masks_file"]).read_text())["annotations"]) == FRAMES
    assert f'mask 3 ("ball"): frames 0 to {FRAMES - 1}, box [50, 6, 58, 14]' in told["words"]


def test_long_messages_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam3agent.servers.views.view_desk.MAX_PART", 100)

    async def work(host: Host) -> Any:
        first = await host.look(await host.view("segment_phrase", phrases=["player in white"]))
        rest = [await host.look("0" * 12, "part", part=first["part"], index=i) for i in range(1, first["count"])]
        return [first, *rest]

    parts = hosted(Desk(tmp_path), work)
    assert len(parts) > 3 and all(len(part["text"]) <= 100 for part in parts)
    assert kept(json.loads("".join(part["text"] for part in parts))) == {1: True, 2: True}


def test_a_view_waits_for_a_job(tmp_path: Path) -> None:
    write_clip(tmp_path / "walk.mp4")

    async def work(host: Host) -> Any:
        result = await host.client.call_tool(
            "track", {"image": "walk.mp4", "phrases": ["player in white"], "wait_seconds": 0}
        )
        assert data(result)["job"]
        view = (result.meta or {})[VIEW_KEY]
        while "working" in (sheet := await host.look(view)):
            await asyncio.sleep(0.02)
        return sheet, await host.look(view, "images", frames=[0, 1])

    sheet, frames = hosted(Desk(tmp_path), work)
    assert sheet["kind"] == "clip" and sheet["objects"][0]["spans"] == [[0, 4], [7, 11]]
    assert [one["frame"] for one in frames["images"]] == [0, 1]


def test_what_was_merged_since_is_accepted_as_the_user_saw_it(tmp_path: Path) -> None:
    write_files(tmp_path / "files")
    clip = {"image": "files/walk.mp4"}

    async def work(host: Host) -> Any:
        view = await host.view("track", **clip, phrases=["player"])
        await host.look(view)
        await host.tool("merge_tracks", **clip, ids=[1, 2], parts=True)
        before = await host.tool("select_masks", **clip, ids=[1])
        return before, await host.change(view, "accept"), data(await host.tool("select_masks", **clip, ids=[1, 2]))

    before, told, after = hosted(clicked(tmp_path), work)
    assert before.is_error and "there is no mask 1" in text(before)
    assert told["ids"] == [1, 2] and [mask["id"] for mask in after["masks"]] == [1, 2]
    assert len(json.loads(Path(told["files"]["masks_file"]).read_text())["annotations"]) == 2 * FRAMES


def test_a_track_that_was_split_since_is_shown_as_its_parts(tmp_path: Path) -> None:
    write_files(tmp_path / "files")
    clip = {"image": "files/walk.mp4"}

    async def work(host: Host) -> None:
        view = await host.view("track", **clip, phrases=["player"])
        await host.look(view)
        await host.tool("split_track", **clip, id=1, frame=5)
        renamed = await host.change(view, "edit", objects=[2], label="referee")
        assert kept(renamed) == {2: True, 3: True, 4: True}
        assert "not there any more" in await host.refusal(view, "edit", objects=[1], label="referee")
        assert "there is no mask 1" in text(await host.tool("select_masks", **clip, ids=[1]))
        assert (await host.change(view, "accept"))["ids"] == [2, 3, 4]

    hosted(clicked(tmp_path), work)


@pytest.mark.parametrize(
    ("what", "numbers", "says"),
    [
        ("sheet", {"frame": "x"}, "numbers.frame"),
        ("masks", {"frame": 10**30}, "numbers.frame"),
        ("masks", {"frame": 0, "last": None}, "numbers.last"),
        ("images", {"frames": 5}, "numbers.frames"),
        ("images", {"frames": list(range(9))}, "at most 8"),
        ("images", {"frames": [0], "side": "wide"}, "numbers.side"),
        ("part", {"part": "0" * 16, "index": []}, "numbers.index"),
        ("latest", {"image": {}}, "numbers.image"),
        ("sheet", {"frame": 1}, "there is no frame 1"),
    ],
)
def test_a_look_that_makes_no_sense_is_refused_in_words(
    tmp_path: Path, what: str, numbers: dict[str, Any], says: str
) -> None:
    async def work(host: Host) -> Any:
        view = await host.view("segment_phrase", phrases=["player in white"])
        return await host.client.call_tool("view_look", {"view": view, "what": what, "numbers": numbers})

    refused = hosted(Desk(tmp_path), work)
    assert refused.is_error and says in text(refused)


def test_old_views_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam3agent.servers.views.view_desk.MAX_VIEWS", 2)

    async def work(host: Host) -> Any:
        views = [await host.view("segment_phrase", phrases=["player in white"]) for _ in range(3)]
        assert await host.look(views[1])
        return await host.refusal(views[0], "undo")

    assert "no longer kept" in hosted(Desk(tmp_path), work)


def test_a_host_without_meta_finds_the_latest_reply(tmp_path: Path) -> None:
    async def work(host: Host) -> Any:
        await host.view("segment_phrase", phrases=["player in white"])
        view = await host.view("segment_phrase", phrases=["player in red"])
        found = await host.look("0" * 12, "latest", image="match.png")
        nothing = await host.client.call_tool(
            "view_look", {"view": "0" * 12, "what": "latest", "numbers": {"image": "other.png"}}
        )
        return view, found["view"], text(nothing)

    view, found, nothing = hosted(Desk(tmp_path), work)
    assert found == view and "there are no masks" in nothing
