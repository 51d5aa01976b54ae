"""MeViS and ReVOS with the agent: each expression is a question about a clip, answered with masklets."""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from evals.asked_agent import ask_agent
from evals.plain_text import slug
from evals.sample_runners import question_prediction
from evals.samples import DatasetSplit, PredictedTrack, Rle, VideoFiles, VideoPrediction, VideoSample
from evals.scorers.referring import UNANSWERED
from evals.video.expressions import UNANSWERED_FILE, Expression, mevis_expressions, revos_expressions
from sam3agent.api import Agent
from sam3agent.media import ClipMedia
from sam3model.data.dataset_paths import inside
from sam3model.errors import DataError
from sam3model.files import replacing, write_json
from sam3model.metrics.referring_video import union_track
from sam3model.ops.masks import decode_rle
from sam3model.raster_files import opened_raster

ANSWER = "answer"
"""Prompt of the one track of an expression."""


def read_mevis(dataset: DatasetSplit) -> list[VideoSample[Expression]]:
    """The expressions of a split of MeViS. Raises `DataError`."""
    return _samples(mevis_expressions(dataset), inside(dataset.root, dataset.split, "JPEGImages"))


def read_revos(dataset: DatasetSplit) -> list[VideoSample[Expression]]:
    """The expressions of a split of ReVOS, also those without a target. Raises `DataError`."""
    return _samples(revos_expressions(dataset), inside(dataset.root, "JPEGImages"))


def _samples(expressions: list[Expression], frames: Path) -> list[VideoSample[Expression]]:
    unnamed = next((one for one in expressions if not one.text.strip()), None)
    if unnamed:
        raise DataError(f"expression {unnamed.key} has no text in its field 'exp'")
    return [VideoSample(one.key, partial(_files, one, frames), (one.text,), one) for one in expressions]


def _files(expression: Expression, frames: Path) -> VideoFiles:
    """Raises `DataError` if a frame is missing."""
    files = tuple(inside(frames, expression.video, f"{name}.jpg") for name in expression.frames)
    missing = next((file for file in files if not file.is_file()), None)
    if missing:
        raise DataError(f"{missing} is missing; the frames of the videos are needed to run the model")
    with opened_raster(files[0]) as image:
        width, height = image.size
    return VideoFiles(files, tuple(range(len(files))), (height, width))


class ExpressionRunner:
    """Asks the agent about one clip at a time, and keeps a trace of every expression. keep_images: see `ask_agent`."""

    def __init__(self, agent: Agent, folder: Path, keep_images: bool = False) -> None:
        self.system = f"{agent.segmenter.name} + {agent.backend.name}"
        self.agent = agent
        self.folder = folder
        self.keep_images = keep_images

    async def __call__(self, sample: VideoSample[Expression]) -> VideoPrediction:
        """One track: the union of the masklets that answer the expression; no mask at all for "no match".

        Raises `DataError` or `InputError` if the clip is unusable, and the MLLM's error if it cut the answer short; the
        expression then counts as failed.
        """
        from sam3model.frames import open_frames

        clip, (question,) = sample.load(), sample.phrases
        frames, trace = open_frames(clip.files), f"traces/{slug(sample.key)}"
        media = ClipMedia(frames, str(clip.files[0].parent))
        try:
            answer = await ask_agent(self.agent, media, question, self.folder / trace, self.keep_images)
        finally:
            frames.close()
        masks = [[mask.masklet.rle(t) for t in range(len(clip.kept))] for mask in answer.masks]
        union = [_as_text(mask) for mask in union_track(masks)] if masks else [None] * len(clip.kept)
        names = tuple(file.stem for file in clip.files)
        track = PredictedTrack(ANSWER, 1.0, tuple(union))
        return VideoPrediction(sample.phrases, names, clip.size, (track,), question_prediction(answer, question, trace))


def _as_text(mask: Rle | None) -> Rle | None:
    """A mask whose counts are text, as JSON needs them."""
    counts = mask["counts"] if mask else ""
    return {**mask, "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts} if mask else None


class ExpressionWriter:
    """VIDEO/EXPRESSION/FRAME.png: 255 inside the mask of the answer, a file for every frame."""

    def __init__(self, folder: Path, lists_unanswered: bool = False) -> None:
        """lists_unanswered: whether those that ended as `UNANSWERED`, without a mask, are listed in a file."""
        self.folder = folder
        self._lists = lists_unanswered
        self._unanswered: list[str] = []

    def add(self, sample: VideoSample[Expression], prediction: VideoPrediction) -> None:
        """Write the answer to an expression.

        One that ended as `UNANSWERED` must not be right where nothing is the answer: there, one pixel is marked.
        """
        (track,) = prediction.tracks
        empty = np.zeros(prediction.size, bool)
        unanswered = prediction.answer is not None and prediction.answer.status in UNANSWERED and not any(track.masks)
        empty[0, 0] = unanswered and not sample.target.annotations
        if unanswered:
            self._unanswered.append(sample.key)
        for name, mask in zip(prediction.frames, track.masks, strict=True):
            shown = decode_rle(dict(mask)) if mask else empty
            path = inside(self.folder, sample.key, f"{name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                Image.fromarray(255 * shown.astype(np.uint8)).save(temporary, "PNG")

    def close(self) -> Path:
        """The folder."""
        if self._lists and self._unanswered:
            write_json(self.folder / UNANSWERED_FILE, sorted(self._unanswered))
        else:
            (self.folder / UNANSWERED_FILE).unlink(missing_ok=True)
        return self.folder


def mevis_writer(_: DatasetSplit, folder: Path) -> ExpressionWriter:
    """The writer of a run on MeViS, whose server takes the masks alone."""
    return ExpressionWriter(folder)


def revos_writer(_: DatasetSplit, folder: Path) -> ExpressionWriter:
    """The writer of a run on ReVOS."""
    return ExpressionWriter(folder, lists_unanswered=True)
