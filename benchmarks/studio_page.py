"""Time the studio with sam3-tiny in a real browser: first paint, and from a click to the mask on the screen.

python benchmarks/studio_page.py [--runs 20]     needs playwright and chromium
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import sync_playwright

from sam3model.resources import asset

PLAYERS = ((112, 430), (340, 480), (500, 560), (268, 250), (365, 250), (600, 460))
"""A place on each player of the demo image, in pixels."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "sam3agent",
            "studio",
            str(asset("match.png")),
            "--no-browser",
            "--out",
            folder,
        ]
        started = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                address = server.stdout.readline().strip() if server.stdout else ""
                rows = [("from the command to the address", 1000 * (time.monotonic() - started), "")]
                with sync_playwright() as play:
                    chromium = shutil.which("chromium") or shutil.which("google-chrome")
                    browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                    rows += measured(browser, address, runs)
            finally:
                server.terminate()
    for name, milliseconds, limit in rows:
        print(f"{name:<52} {milliseconds:8.0f} ms  {limit}")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def measured(browser: Any, address: str, runs: int) -> list[tuple[str, float, str]]:
    """Name, median in milliseconds and limit of each row."""
    paints = []
    for _ in range(5):
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        page = context.new_page()
        page.goto(address)
        page.wait_for_timeout(1500)
        paints.append(page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        context.close()
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.goto(address)
    page.wait_for_function("() => globalThis.studio?.state.warm", timeout=120_000)

    def phrase(_: int) -> None:
        page.keyboard.press("/")
        page.keyboard.type("player in white")
        page.keyboard.press("Enter")

    def click(number: int) -> None:
        page.keyboard.press("Escape")
        x, y = PLAYERS[number % len(PLAYERS)]
        page.mouse.click(*on_screen(page, x, y))

    def correct(number: int) -> None:
        x, y = PLAYERS[0]
        page.keyboard.press("Escape")
        page.mouse.click(*on_screen(page, x, y))
        page.mouse.click(*on_screen(page, x, y + 10), button="right")

    rows = [("first contentful paint", statistics.median(paints), "limit 1000")]
    rows.append(("a phrase, to masks on the screen", repeated(page, "find", phrase, runs), "limit 250"))
    rows.append(("a click, to a new mask on the screen", repeated(page, "click", click, runs), "limit 200"))
    phrase(0)
    page.wait_for_timeout(2000)
    rows.append(("a click, to a corrected mask on the screen", repeated(page, "click", correct, runs), "limit 200"))
    return rows


def repeated(page: Any, name: str, work: Callable[[int], None], runs: int) -> float:
    """Median time of an action until it is drawn, in milliseconds; it is undone each time, and done once before."""
    times = []
    for number in range(runs + 1):
        page.evaluate("() => performance.clearMeasures()")
        work(number)
        page.wait_for_function(f"() => performance.getEntriesByName('studio:{name}').length", timeout=60_000)
        times.append(page.evaluate(f"() => performance.getEntriesByName('studio:{name}')[0].duration"))
        page.keyboard.press("z")
        page.wait_for_function("() => performance.getEntriesByName('studio:undo').length", timeout=60_000)
    return statistics.median(times[1:])


def on_screen(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the image is in the window."""
    place = "([x, y]) => { const { view, canvas } = studio.stage, box = canvas.getBoundingClientRect();"
    return tuple(
        page.evaluate(f"{place} return [box.x + view.x + x * view.scale, box.y + view.y + y * view.scale]; }}", [x, y])
    )


if __name__ == "__main__":
    main()
