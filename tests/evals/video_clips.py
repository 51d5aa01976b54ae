"""Generated clips on disk, a stand-in predictor that knows the truth, and a small real model with random weights."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sam3model.build import Sam3Model, build
from sam3model.config import PARTS, Sam3Config, VideoConfig
from sam3model.errors import InputError
from sam3model.frame_results import FrameResult
from sam3model.frames import FrameSource
from sam3model.ops.masks import encode_rle
from tests.evals.video_datasets import SIZE, label_map, square, write_png
from tests.model.video_goldens import INTERACTIVE, TRACKER, detector_config

Found = list[tuple[str | None, np.ndarray]]
"""Phrase and mask of every object on a frame; phrases are None for objects given by masks."""
FRAMES = 5


def masks_at(t: int, video: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Two squares: the first moves right, the second appears on frame 2 and moves up."""
    return square(1 + video, 1 + t), (square(8 - t, 10) if t >= 2 else None)


def write_frames(folder: Path, video: int = 0, frames: int = FRAMES, suffix: str = ".jpg") -> None:
    """Frames with the squares in red and blue; the green of each pixel names the video and frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for t in range(frames):
        image = np.zeros((*SIZE, 3), np.uint8)
        for mask, colour in zip(masks_at(t, video), ((255, 0, 0), (0, 0, 255)), strict=True):
            if mask is not None:
                image[mask] = colour
        Image.fromarray(image).save(folder / f"{t:05d}{suffix}")


def write_davis(root: Path, videos: int = 3) -> Path:
    """DAVIS: videos v0, v1, ... with objects 1 and 2."""
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("".join(f"v{k}\n" for k in range(videos)))
    for k in range(videos):
        write_frames(root / f"JPEGImages/480p/v{k}", k)
        for t in range(FRAMES):
            objects = {label: mask for label, mask in enumerate(masks_at(t, k), 1) if mask is not None}
            write_png(root / f"Annotations/480p/v{k}/{t:05d}.png", label_map(objects))
    return root


class Truth:
    """A predictor that returns what `truth(video, frame)` says, with phrases or in the order of the given masks.

    The video is known by the name of its folder of frames. broken: videos that raise `failure`. It notes what it was
    asked for: opened videos, and (frame, object, area) of the given masks.
    """

    def __init__(
        self,
        truth: Callable[[str, int], Found],
        broken: tuple[str, ...] = (),
        failure: BaseException | None = None,
    ) -> None:
        self.truth = truth
        self.broken = broken
        self.failure = failure or InputError("the predictor broke")
        self.opened: list[str] = []
        self.phrases: list[tuple[str, ...]] = []
        self.given: list[tuple[int, int, int]] = []

    def open(self, source: FrameSource, **_: Any) -> "TruthSession":
        video = source.files[0].parent.name  # type: ignore[attr-defined]
        self.opened.append(video)
        if video in self.broken:
            raise self.failure
        return TruthSession(self, source, video)


class TruthSession:
    def __init__(self, owner: Truth, frames: FrameSource, video: str) -> None:
        self.owner, self.frames, self.video = owner, frames, video
        self.phrases: list[str] = []
        self.follows: dict[int, int] = {}

    def add_phrases(self, phrases: Any) -> None:
        self.phrases += phrases
        self.owner.phrases.append(tuple(phrases))

    def add_mask(self, mask: np.ndarray, *, frame: int, object_id: int | None = None) -> None:
        """The object is the one of the truth with this mask."""
        matches = [k for k, (_, own) in enumerate(self.owner.truth(self.video, frame)) if np.array_equal(own, mask)]
        assert len(matches) == 1
        assert object_id is not None
        self.owner.given.append((frame, object_id, int(mask.sum())))
        self.follows[object_id] = matches[0]

    def propagate(self, *, start: int | None = None) -> Iterator[FrameResult]:
        assert start is not None
        assert self.frames.count is not None
        for t in range(start, self.frames.count):
            found = self.owner.truth(self.video, t)
            if self.phrases:
                rows = [(k, phrase, mask) for k, (phrase, mask) in enumerate(found) if phrase in self.phrases]
            else:
                rows = [(k, None, found[row][1]) for k, row in sorted(self.follows.items())]
            yield result(t, rows)


def result(t: int, rows: Sequence[tuple[int, str | None, np.ndarray]]) -> FrameResult:
    count = len(rows)
    return FrameResult(
        frame=t,
        time=t / 30,
        size=(SIZE[1], SIZE[0]),
        ids=np.array([row[0] for row in rows], np.int64),
        boxes=np.zeros((count, 4), np.float32),
        scores=np.full(count, 0.9, np.float32),
        tracker_scores=np.ones(count, np.float32),
        masks=tuple(encode_rle(row[2]) for row in rows),
        phrases=tuple(row[1] for row in rows),
    )


def squares(video: str, t: int) -> Found:
    """The objects of `write_davis`."""
    first, second = masks_at(t, int(video[1:]))
    return [(None, first), (None, np.zeros(SIZE, bool) if second is None else second)]


def small_model(path: Path) -> Path:
    """Save a small model with all parts and random weights."""
    from sam3model.checkpoint.save import save_native

    torch.manual_seed(0)
    model = build(Sam3Config(detector_config(), INTERACTIVE, TRACKER, VideoConfig()), parts=PARTS)
    assert isinstance(model, Sam3Model)
    save_native(model, path)
    return path
