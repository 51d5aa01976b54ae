"""The page in a real browser, over a studio that knows where everything is. Run with `pytest -m browser`."""

import json
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from sam3agent.api import Agent
from sam3agent.servers.studio.studio_server import StudioAddress, guarded_app, listening_socket, open_desks
from sam3agent.testing import ScriptedTracker
from tests.studio.studio_desk import FRAMES, PATHS, TOKEN, PathSegmenter, until, write_files

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

NOTHING_OF = "Failed to load resource: the server responded with a status of 400"
"""What a browser logs about a thumbnail of a file that is not an image."""


@dataclass
class Served:
    """A studio on a port, in a thread. `stop` ends it as Ctrl+C does."""

    url: str
    stop: Callable[[], None]


def serve(folder: Path, out: Path, port: int | None = None) -> Served:
    desks = open_desks(Agent(PathSegmenter(), tracker=ScriptedTracker(PATHS)), [folder], out)
    listener = listening_socket(StudioAddress(port=port))
    number = listener.getsockname()[1]
    app = guarded_app(desks, StudioAddress(), number, TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(10)
        listener.close()

    until(lambda: server.started)
    return Served(f"http://127.0.0.1:{number}/?token={TOKEN}", stop)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as play:
        found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        opened = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = serve(write_files(tmp_path / "files"), tmp_path / "out")
    yield running
    running.stop()


class Page:
    """A tab. Places are given in pixels of the image."""

    def __init__(self, context: Any, url: str, name: str = "one.png") -> None:
        self.tab = context.new_page()
        self.problems: list[str] = []
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("console", lambda line: line.type == "error" and self.problems.append(line.text))
        self.tab.goto(url)
        self.open(name)

    def open(self, name: str) -> None:
        self.tab.locator("#film button", has_text=name).click()
        self.until(lambda: self.state("name") == name and self.tab.evaluate("() => studio.stage.image !== null"))

    def state(self, name: str) -> Any:
        return self.tab.evaluate("(name) => studio.state[name]", name)

    def objects(self) -> list[dict[str, Any]]:
        shown = "({id, label, kept, why, mask}) => ({id, label, kept, why, area: mask?.area ?? 0})"
        return self.tab.evaluate(f"() => studio.state.objects.map({shown})")

    def labels(self) -> list[tuple[str, bool]]:
        return [(one["label"], one["kept"]) for one in self.objects()]

    def at(self, x: float, y: float) -> dict[str, float]:
        return self.tab.evaluate(
            "([x, y]) => { const { view, canvas } = studio.stage, box = canvas.getBoundingClientRect();"
            " return { x: box.x + view.x + x * view.scale, y: box.y + view.y + y * view.scale }; }",
            [x + 0.5, y + 0.5],
        )

    def click(self, x: float, y: float, button: str = "left", *, extend: bool = False) -> None:
        if extend:
            self.tab.keyboard.down("Shift")
        self.tab.mouse.click(**self.at(x, y), button=button)
        self.tab.keyboard.up("Shift")

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.tab.mouse.move(**self.at(x0, y0))
        self.tab.mouse.down()
        self.tab.mouse.move(**self.at((x0 + x1) / 2, (y0 + y1) / 2))
        self.tab.mouse.move(**self.at(x1, y1))
        self.tab.mouse.up()

    def keys(self, *names: str) -> None:
        for name in names:
            self.tab.keyboard.press(name)

    def find(self, words: str, mode: str = "/") -> None:
        self.keys(mode)
        self.tab.keyboard.type(words)
        self.keys("Enter")

    def until(self, ready: Callable[[], Any]) -> Any:
        def waited() -> Any:
            self.tab.wait_for_timeout(20)
            return ready()

        return until(waited)

    def toast(self, words: str) -> None:
        self.tab.locator(".toast", has_text=words).first.wait_for()


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    opened = Page(context, served.url)
    yield opened
    assert [text for text in opened.problems if NOTHING_OF not in text] == []
    context.close()


def test_find_and_correct_by_click(page: Page) -> None:
    page.find("player, ball")
    page.until(lambda: page.labels() == [("player", True), ("player", True), ("ball", False)])
    page.click(8, 30)
    page.until(lambda: page.state("selected") == 1)
    page.click(52, 8, extend=True)
    page.until(lambda: page.objects()[0]["area"] == 12 * 24 + 64)
    page.click(52, 8, button="right")
    page.until(lambda: page.objects()[0]["area"] == 12 * 24)
    page.keys("z")
    page.until(lambda: page.objects()[0]["area"] == 12 * 24 + 64)
    page.click(8, 30)
    page.until(lambda: page.state("selected") is None)


def test_a_click_far_from_the_chosen_object_shows_another_one(page: Page) -> None:
    page.click(8, 30)
    page.until(lambda: len(page.labels()) == 1)
    page.click(75, 40)
    page.until(lambda: len(page.labels()) == 2)
    assert [one["area"] for one in page.objects()] == [12 * 24, 12 * 26]
    page.toast("Added as “object”")


def test_a_question_shows_its_steps_and_its_answer(page: Page) -> None:
    page.find("leftmost player", "q")
    page.tab.locator(".end.good", has_text="Answered").wait_for()
    assert page.tab.locator(".crop").count() == 2 and page.tab.locator(".crop.chosen").count() == 1
    assert "leftmost" in page.tab.locator(".answer").inner_text()
    page.until(lambda: page.labels() == [("player", True), ("player", False)])
    page.tab.locator(".rejected summary").click()
    page.tab.locator(".rejected .line").click()
    assert "not part of the answer" in page.tab.locator(".chosen .why").inner_text()
    page.keys("x")
    page.until(lambda: page.labels() == [("player", True), ("player", True)])


def test_boxes_examples_and_paint(page: Page) -> None:
    page.drag(48, 4, 60, 16)
    page.until(lambda: page.labels() == [("object", True)])
    page.keys("Escape", "e")
    page.drag(3, 19, 17, 45)
    page.until(lambda: len(page.labels()) == 3)
    page.keys("Escape", "Escape", "p")
    page.drag(30, 50, 40, 50)
    page.until(lambda: len(page.labels()) == 4)
    area = page.objects()[3]["area"]
    page.keys("x")
    page.drag(38, 50, 44, 50)
    page.until(lambda: 0 < page.objects()[3]["area"] < area)


def test_export(page: Page) -> None:
    page.find("player")
    page.until(lambda: len(page.labels()) == 2)
    page.keys("Enter")
    page.until(lambda: page.state("name") == "two.png")
    page.keys("s")
    with page.tab.expect_download() as started:
        page.tab.get_by_role("button", name="Save file").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        data = json.loads(archive.read("annotations.json"))
    assert started.value.suggested_filename == "files-coco.zip"
    assert [image["file_name"] for image in data["images"]] == ["one.png"] and len(data["annotations"]) == 2


def test_a_clip_is_followed_corrected_and_played(page: Page) -> None:
    page.open("walk.mp4")
    page.find("player")
    page.until(lambda: len(page.labels()) == 2)
    page.keys("t")
    page.until(lambda: page.tab.locator(".lane .span").count() == 2 and page.state("follow")["ended"])
    page.until(lambda: page.tab.evaluate("() => studio.state.objects[0].spans") == [[0, FRAMES - 1]])
    page.until(lambda: page.state("frame") == 0)
    page.keys("ArrowRight", "ArrowRight", "ArrowRight")
    page.until(lambda: page.state("seen") == 3 and page.objects()[0]["area"] > 0)
    page.click(20, 30)
    page.until(lambda: page.state("selected") == 1)
    page.click(52, 8, extend=True)
    page.until(lambda: page.objects()[0]["area"] == 12 * 24 + 64)
    assert page.tab.evaluate("() => studio.state.objects[0].shown") == [0, 3]
    page.keys("ArrowRight")
    page.until(lambda: page.state("frame") == 4 and page.objects()[0]["area"] == 12 * 24)
    page.keys("Home", "Space")
    page.until(lambda: page.state("playing") is False and page.state("frame") == FRAMES - 1)


def test_a_question_about_a_clip_shows_its_objects_on_every_frame(page: Page) -> None:
    page.open("walk.mp4")
    page.keys("q")
    page.tab.locator("#words").fill("the player that moves")
    page.keys("Enter")
    page.until(lambda: page.tab.locator(".lane .span").count() == 1)
    assert page.tab.evaluate("() => studio.state.objects.map((one) => one.spans)") == [[[0, FRAMES - 1]]] * 2
    page.until(lambda: page.tab.locator("figure.crop canvas").count() == 2)
    page.keys("Escape", "ArrowRight")
    page.until(lambda: page.state("seen") == 1)
    assert page.tab.evaluate("() => studio.stage.ghosts.length") == 0


def test_with_the_keyboard_only(page: Page) -> None:
    """Find, choose, correct with the crosshair, name, go on, and come back, without a pointer."""
    page.find("player")
    page.until(lambda: len(page.labels()) == 2)
    page.keys("ArrowDown")
    page.until(lambda: page.state("selected") == 1)
    page.keys("c")
    page.tab.evaluate("() => { studio.stage.crosshair = { x: 60, y: 10 }; }")
    while page.tab.evaluate("() => studio.stage.crosshair.x") > 54:
        page.keys("ArrowLeft")
    page.keys("Space")
    page.until(lambda: page.objects()[0]["area"] == 12 * 24 + 64)
    page.keys("Shift+Space")
    page.until(lambda: page.objects()[0]["area"] == 12 * 24)
    page.keys("Escape", "l")
    page.tab.keyboard.type("keeper")
    page.keys("Enter")
    page.until(lambda: page.labels()[0] == ("keeper", True))
    page.keys("Enter")
    page.until(lambda: page.state("name") == "two.png")
    page.keys("r")
    page.until(lambda: len(page.labels()) == 2)
    page.keys("k")
    page.until(lambda: page.state("name") == "one.png" and page.state("accepted"))
    page.keys("Shift+?")
    page.tab.get_by_role("heading", name="Keyboard").wait_for()
    page.keys("Escape")


def test_a_bad_file_says_so_and_can_be_skipped(page: Page) -> None:
    page.tab.locator("#film button", has_text="bad.jpg").click()
    page.tab.get_by_text("This file cannot be opened").wait_for()
    assert "bad.jpg is not an image" in page.tab.locator("#blank").inner_text()
    page.keys("Enter")
    page.until(lambda: page.state("name") == "one.png" and not page.state("problem"))


def test_two_tabs_show_the_same(page: Page, served: Served) -> None:
    other = Page(page.tab.context, served.url)
    page.find("player")
    other.until(lambda: len(other.labels()) == 2)
    other.click(8, 30)
    other.keys("x")
    page.until(lambda: page.labels() == [("player", False), ("player", True)])
    page.keys("z", "z")
    other.until(lambda: other.labels() == [])
    assert other.problems == [] or all(NOTHING_OF in text for text in other.problems)


def test_a_reload_and_a_new_server_lose_nothing(browser: Any, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "files")
    first = serve(folder, tmp_path / "out")
    context = browser.new_context()
    page = Page(context, first.url)
    page.find("player")
    page.until(lambda: len(page.labels()) == 2)
    page.tab.reload()
    page.until(lambda: page.tab.evaluate("() => globalThis.studio?.state.objects.length") == 2)
    first.stop()
    page.click(52, 8)
    page.toast("does not answer")
    page.until(lambda: page.tab.locator("body.offline").count() == 1)
    second = serve(folder, tmp_path / "out", int(first.url.split(":")[2].split("/")[0]))
    page.until(lambda: page.tab.locator("body.offline").count() == 0)
    page.click(52, 8)
    page.until(lambda: len(page.labels()) == 3)
    second.stop()
    context.close()


@pytest.mark.parametrize("size", [(1280, 720), (1024, 768), (820, 1180), (600, 900)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits(browser: Any, served: Served, size: tuple[int, int], scheme: str) -> None:
    """Nothing needs a scroll bar of the window, and what is needed most can be reached."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = Page(context, served.url)
    page.find("player")
    page.until(lambda: len(page.labels()) == 2)
    assert page.tab.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for name in ("#accept", "#words", "#undo", "#stage", "#help", ".object"):
        box = page.tab.locator(name).first.bounding_box()
        assert box and box["x"] >= 0 and box["y"] >= 0, name
        assert box["x"] + box["width"] <= size[0] and box["y"] + box["height"] <= size[1], name
    context.close()
