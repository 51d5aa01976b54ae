"""A host of MCP Apps for tests: a page that shows views in a sandbox, in a real browser, over a real server."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from tests.studio.studio_desk import until

HOST_PAGE = Path(__file__).parent / "host_page.html"
APPS = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
PAGE = "ui://sam3agent/masks.html"


class ServerLine:
    """A client of a server that declares MCP Apps, on an event loop of its own thread."""

    def __init__(self, server: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self.client: Client | None = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(server),), daemon=True)
        self._thread.start()
        self._ready.wait(20)

    async def _serve(self, server: Any) -> None:
        async with Client(server, extensions=[APPS]) as self.client:
            self._ready.set()
            await self._ended.wait()

    def do(self, work: Callable[[Client], Coroutine[Any, Any, Any]]) -> dict[str, Any]:
        """What a request returns, as JSON values."""
        assert self.client is not None
        result = asyncio.run_coroutine_threadsafe(work(self.client), self._loop).result(120)
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)

    def tool(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool."""
        return self.do(lambda client: client.call_tool(name, given))

    def close(self) -> None:
        """Hang up."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)


class HostedView:
    """The page in its sandbox. Places are in pixels of the image."""

    def __init__(self, tab: Any, line: ServerLine) -> None:
        self.tab, self.line = tab, line
        self.problems: list[str] = []
        tab.on("pageerror", lambda error: self.problems.append(str(error)))
        tab.on("console", lambda said: said.type == "error" and self.problems.append(said.text))
        tab.expose_function("callServer", line.tool)
        tab.goto(HOST_PAGE.as_uri())

    def show(self, name: str, given: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Call a tool as a model would, and show its result."""
        html = self.line.do(lambda client: client.read_resource(PAGE))["contents"][0]["text"]
        result = self.line.tool(name, given)
        self.tab.evaluate(
            "([html, given, result, options]) => show(html, given, result, options)", [html, given, result, options]
        )
        return result

    @property
    def frame(self) -> Any:
        """The sandbox."""
        return self.tab.locator("#view").element_handle().content_frame()

    def look(self, script: str, given: Any = None) -> Any:
        """The value of a script in the page."""
        return self.frame.evaluate(script, given)

    def ready(self) -> "HostedView":
        """Wait until the image is shown, and has its place."""
        self.until(lambda: self.look("() => (globalThis.studio?.stage.image ?? null) !== null"))
        place, before = "() => JSON.stringify([studio.stage.view, innerWidth, innerHeight])", ""
        while (now := self.look(place)) != before:  # the host makes room for it
            before = now
            self.tab.wait_for_timeout(250)
        return self

    def objects(self) -> list[dict[str, Any]]:
        shown = "({id, label, kept, why, mask}) => ({id, label, kept, why, area: mask?.area ?? 0})"
        return self.look(f"() => studio.state.objects.map({shown})")

    def click(self, x: float, y: float, button: str = "left", *, extend: bool = False) -> None:
        place = (
            "([x, y]) => { const { view, canvas } = studio.stage, box = canvas.getBoundingClientRect();"
            " return [box.x + view.x + x * view.scale, box.y + view.y + y * view.scale]; }"
        )
        left, top = self.look(place, [x + 0.5, y + 0.5])
        box = self.tab.locator("#view").bounding_box()
        if extend:
            self.tab.keyboard.down("Shift")
        self.tab.mouse.click(box["x"] + 1 + left, box["y"] + 1 + top, button=button)
        self.tab.keyboard.up("Shift")

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The params of the messages of a kind that the page has sent."""
        return self.tab.evaluate(
            "(method) => log.filter((one) => one.method === method).map((one) => one.params)", method
        )

    def largest(self) -> int:
        """Size of the largest message in either direction, in characters."""
        return self.tab.evaluate("() => Math.max(...log.map((one) => one.size))")

    def until(self, ready: Callable[[], Any]) -> Any:
        def waited() -> Any:
            self.tab.wait_for_timeout(20)
            return ready()

        return until(waited)


@contextmanager
def opened_browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
