"""Masks inside a host, in a real browser: a sandboxed page over a real server. Run with `pytest -m browser`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sam3agent.api import Agent
from sam3agent.config import Settings
from sam3agent.servers.mcp_server import build_server
from sam3agent.testing import ScriptedTracker
from tests.servers.view_host import HostedView, ServerLine, opened_browser
from tests.studio.studio_desk import FRAMES, PATHS, PathSegmenter, write_files

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def view(browser: Any, tmp_path: Path) -> Iterator[HostedView]:
    folder = write_files(tmp_path / "files")
    agent = Agent(PathSegmenter(), tracker=ScriptedTracker(PATHS))
    line = ServerLine(build_server(Settings(out=tmp_path / "out"), roots=[folder], agent=agent))
    context = browser.new_context(viewport={"width": 780, "height": 800})
    opened = HostedView(context.new_page(), line)
    yield opened
    assert opened.problems == []
    assert opened.largest() < 1_000_000
    context.close()
    line.close()


PLAYERS = {"image": "one.png", "phrases": ["player"]}


def test_masks_are_numbered_and_say_why(view: HostedView) -> None:
    view.show("segment_phrase", PLAYERS)
    view.ready().until(lambda: len(view.objects()) == 2)
    assert view.look("() => studio.stage.numbered")
    view.click(8, 30)
    reason = view.frame.locator(".chosen .why")
    reason.wait_for()
    assert reason.inner_text() == "“player” matches with score 0.90"
    assert view.sent("ui/notifications/size-changed")[-1]["height"] > 300


def test_clicks_correct_and_add_and_the_model_is_told(view: HostedView) -> None:
    view.show("segment_phrase", PLAYERS)
    view.ready().until(lambda: len(view.objects()) == 2)
    view.click(8, 30)
    view.until(lambda: view.look("() => studio.state.selected") == 1)
    view.click(52, 8, extend=True)
    view.until(lambda: view.objects()[0]["area"] == 12 * 24 + 64)
    view.click(8, 30)
    view.click(52, 8, button="right")
    view.frame.locator(".toast", has_text="Choose an object first").wait_for()
    view.click(75, 40)
    view.frame.get_by_role("button", name="Reject").click()
    view.until(lambda: [one["kept"] for one in view.objects()] == [True, False])
    view.frame.get_by_role("button", name="Accept this mask").click()
    (told,) = view.until(lambda: view.sent("ui/update-model-context"))
    words = told["content"][0]["text"]
    assert words.startswith("The user looked at one.png and accepted mask 1. The user rejected mask 2.\n")
    assert 'mask 1 ("player"): box [4, 6, 58, 44]; corrected by the user' in words
    assert told["structuredContent"]["masks"] == [1] and Path(told["structuredContent"]["masks_file"]).is_file()
    view.frame.locator(".toast.good", has_text="the assistant knows with your next message").wait_for()


def test_a_click_adds_a_mask_that_tools_know(view: HostedView) -> None:
    view.show("segment_phrase", PLAYERS)
    view.ready().until(lambda: len(view.objects()) == 2)
    view.click(53, 9)
    view.until(lambda: len(view.objects()) == 3)
    measured = view.line.tool("measure_masks", {"image": "one.png", "ids": [3]})
    assert not measured.get("isError"), measured
    view.tab.keyboard.press("z")
    view.until(lambda: len(view.objects()) == 2)


def test_a_host_that_takes_no_context_is_no_dead_end(view: HostedView) -> None:
    view.show("segment_phrase", PLAYERS, refuses=True)
    view.ready().until(lambda: len(view.objects()) == 2)
    view.frame.get_by_role("button", name="Accept these 2 masks").click()
    view.frame.locator(".toast", has_text="write that it should use masks 1, 2").wait_for()


def test_an_answer_shows_what_was_looked_at(view: HostedView) -> None:
    view.show("ask", {"image": "one.png", "question": "leftmost player"}, context={"theme": "dark"})
    view.ready().until(lambda: len(view.objects()) == 2)
    assert [(one["id"], one["kept"]) for one in view.objects()] == [(1, True), (2, False)]
    assert view.look("() => getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 27)"
    view.frame.locator(".rejected summary").click()
    view.frame.locator(".rejected .line").click()
    assert "not part of the answer" in view.frame.locator(".chosen .why").inner_text()
    assert view.frame.locator(".crop").count() == 2


def test_a_clip_is_shown_played_and_followed(view: HostedView) -> None:
    view.show("track", {"image": "walk.mp4", "phrases": ["player"]})
    view.ready().until(
        lambda: view.look("() => studio.state.objects.map((one) => one.spans)") == [[[0, FRAMES - 1]]] * 2
    )
    view.frame.locator("#stage").focus()
    view.tab.keyboard.press("Space")
    view.until(lambda: view.look("() => !studio.state.playing && studio.state.frame") == FRAMES - 1)
    view.tab.keyboard.press("Home")
    view.until(lambda: view.look("() => studio.state.seen") == 0)
    view.click(53, 9)
    view.until(lambda: len(view.objects()) == 3)
    view.tab.keyboard.press("t")
    view.until(lambda: view.look("() => studio.state.objects[2].spans") == [[0, FRAMES - 1]])
    view.frame.get_by_role("button", name="Accept these 3 masks").click()
    (told,) = view.until(lambda: view.sent("ui/update-model-context"))
    assert f"frames 0 to {FRAMES - 1}" in told["content"][0]["text"]


def test_a_host_that_keeps_the_meta_to_itself_shows_the_latest_reply(view: HostedView) -> None:
    view.show("segment_phrase", PLAYERS, keepsMeta=True)
    view.ready().until(lambda: len(view.objects()) == 2)


def test_a_failed_call_says_why(view: HostedView) -> None:
    view.show("segment_phrase", {"image": "none.png", "phrases": ["player"]})
    view.frame.locator("#blank", has_text="there is no file").wait_for()
    view.problems.clear()
