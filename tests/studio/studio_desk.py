"""A studio over small drawn files, with a segmenter and a tracker that know where everything is."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from sam3agent.api import Agent
from sam3agent.media import Media
from sam3agent.segmenter import FoundInstances, ObjectClicks, Prompt
from sam3agent.servers.studio.studio_app import StudioDesks
from sam3agent.servers.studio.studio_server import StudioAddress, guarded_app, open_desks
from sam3agent.testing import ObjectPath, ScriptedTracker
from sam3model.frames import ClipWriter

SIZE = (96, 64)
FRAMES = 12
TOKEN = "a-token-of-the-tests"
BASE = "http://127.0.0.1:8400"


def left_player(t: int) -> tuple[int, int, int, int]:
    return (4 + 3 * t, 20, 16 + 3 * t, 44)


def right_player(t: int) -> tuple[int, int, int, int]:
    return (70, 30, 82, 56)


def ball(t: int) -> tuple[int, int, int, int]:
    return (50, 6, 58, 14)


PATHS: dict[str, list[ObjectPath]] = {"player": [left_player, right_player], "ball": [ball]}
SCORES = {"player": (0.9, 0.8), "ball": (0.35,)}
"""The ball is found with a score below the threshold."""


class PathSession:
    """Finds the boxes of the paths: all of a phrase, or the one under a click."""

    def __init__(self, size: tuple[int, int], paths: dict[str, list[ObjectPath]]) -> None:
        self.size = size
        self.paths = paths

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        return [self._of(phrase, threshold or 0.5, frame) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        return self._of("player", threshold or 0.5, frame)

    def segment_object(self, clicks: ObjectClicks, frame: int = 0) -> FoundInstances:
        left, top, right, bottom = clicks.box or (0, 0, 0, 0)
        x, y = clicks.points[0] if clicks.points else ((left + right) / 2, (top + bottom) / 2)
        boxes = [path(frame) for paths in self.paths.values() for path in paths]
        there = next((b for b in boxes if b and b[0] <= x < b[2] and b[1] <= y < b[3]), None)
        mask = np.zeros((self.size[1], self.size[0]), bool) if there is None else self._filled(there)
        return FoundInstances.of([mask], self.size, [0.97])

    def _of(self, phrase: str, threshold: float, frame: int) -> FoundInstances:
        paths, scores = self.paths.get(phrase, []), SCORES.get(phrase, ())
        found = [
            (self._filled(box), s)
            for path, s in zip(paths, scores, strict=True)
            if s > threshold and (box := path(frame))
        ]
        return FoundInstances.of([mask for mask, _ in found], self.size, [score for _, score in found])

    def _filled(self, box: tuple[int, int, int, int]) -> np.ndarray:
        mask = np.zeros((self.size[1], self.size[0]), bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        return mask


class PathSegmenter:
    """Opens media; counts how many were encoded."""

    name = "paths"

    def __init__(self, paths: dict[str, list[ObjectPath]] = PATHS) -> None:
        self.encoded = 0
        self.paths = paths

    def open(self, media: Media) -> PathSession:
        self.encoded += 1
        return PathSession(media.size, self.paths)


def drawn(t: int = 0) -> Image.Image:
    """The players and the ball on grass."""
    pixels = np.full((SIZE[1], SIZE[0], 3), (96, 130, 80), np.uint8)
    for paths in PATHS.values():
        for path in paths:
            x0, y0, x1, y1 = path(t) or (0, 0, 0, 0)
            pixels[y0:y1, x0:x1] = (240, 240, 235)
    return Image.fromarray(pixels)


def write_files(folder: Path) -> Path:
    """Two images, a clip, and a file that is no image."""
    folder.mkdir()
    for name in ("one.png", "two.png"):
        drawn().save(folder / name)
    (folder / "bad.jpg").write_bytes(b"this is no image")
    with ClipWriter(folder / "walk.mp4", SIZE, 10.0) as writer:
        for t in range(FRAMES):
            writer.write(np.asarray(drawn(t)))
    return folder


class StudioClient:
    """What a page does, without a page."""

    def __init__(self, desks: StudioDesks, client: TestClient) -> None:
        self.desks, self.client = desks, client
        self.items = {item["name"]: item["id"] for item in self.get("items")["items"]}

    def get(self, path: str) -> Any:
        reply = self.client.get(f"/api/{path}")
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, name: str, item: str = "one.png", **body: Any) -> dict[str, Any]:
        reply = self.client.post(f"/api/{name}", json={"item": self.items[item], **body})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def refusal(self, name: str, item: str = "one.png", **body: Any) -> str:
        reply = self.client.post(f"/api/{name}", json={"item": self.items[item], **body})
        assert reply.status_code == 400, (reply.status_code, reply.text)
        return reply.json()["error"]

    def look(self, item: str = "one.png", frame: int = 0) -> dict[str, Any]:
        return self.get(f"items/{self.items[item]}?frame={frame}")

    def answered(self, item: str = "one.png") -> dict[str, Any]:
        """The last question about an item, when it has ended."""
        return until(lambda: (q := self.get(f"items/{self.items[item]}/questions")[-1])["status"] != "running" and q)

    def followed(self, item: str = "walk.mp4") -> None:
        """Wait until nothing is being followed."""
        until(lambda: self.items[item] not in self.desks.engine.busy)


def until(ready: Any, seconds: float = 20.0) -> Any:
    """What `ready` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@contextmanager
def studio(folder: Path, out: Path, agent: Agent | None = None) -> Iterator[StudioClient]:
    """A running studio over the files of a folder."""
    agent = agent or Agent(PathSegmenter(), tracker=ScriptedTracker(PATHS))
    desks = open_desks(agent, [folder], out)
    app = guarded_app(desks, StudioAddress(), 8400, TOKEN)
    with TestClient(app, base_url=BASE, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield StudioClient(desks, client)


def counts(view: dict[str, Any]) -> list[tuple[str, bool]]:
    """Label and whether it is kept of every object."""
    return [(one["label"], one["kept"]) for one in view["objects"]]
