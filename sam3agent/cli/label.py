"""`sam3agent label`: many images at once, and a data set from them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from sam3agent.cli.image_sources import local_path
from sam3agent.cli.screen import Status, configure_logging, counted, say, say_json, warn
from sam3agent.config import load_settings
from sam3agent.labelling.label_data_set import (
    DataSetFiles,
    LabelSummary,
    Workers,
    check_label_formats,
    label_data_set,
    sources_of,
)
from sam3agent.labelling.label_job import ImageMode, LabelJob
from sam3agent.labelling.label_progress import LabelProgress, duration
from sam3agent.labelling.label_splits import LabelSplits
from sam3agent.written_lists import split_phrases
from sam3model.errors import InputError
from sam3model.parse import nearest

SHOWN_FAILURES = 10
"""Number of failures that are listed one by one; all are in failures.txt."""

LOG_SECONDS = 10.0
"""Time between two lines of progress in a log. A terminal shows one line, which is rewritten."""

OF_QUESTIONS = (
    "mllm", "model", "base_url", "api_key", "max_calls", "max_segmenter_calls", "max_seconds", "timeout",
)  # fmt: skip
"""Flags that only matter for questions."""

EXAMPLE = "sam3agent label photos/ --phrase dog --phrase cat --out pets"


@dataclass(frozen=True)
class LabelFlags:
    """The flags of the command as typed, without the settings."""

    sources: tuple[str, ...]
    phrases: tuple[str, ...]
    queries: tuple[str, ...]
    min_score: float
    exclusive: bool
    every: int
    out: Path | None
    formats: tuple[str, ...]
    split: str | None
    review: bool
    images: str
    workers: str
    actors: int | None
    concurrency: int

    def job(self, settings: Mapping[str, Any]) -> LabelJob:
        """The run that they describe. Raises `InputError`."""
        if not self.sources:
            raise InputError(f"Missing argument: the images, e.g. {EXAMPLE}")
        if self.out is None:
            raise InputError(f"Missing option --out: the folder of the data set, e.g. {EXAMPLE}")
        if self.images not in get_args(ImageMode):
            raise InputError(f"--images {self.images} is not known{nearest(self.images, get_args(ImageMode))}")
        queries = tuple(" ".join(query.split()) for query in self.queries if query.strip())
        useless = next((name for name in OF_QUESTIONS if settings.get(name) is not None), None)
        if useless and self.phrases and not queries:
            flag = f"--{useless.replace('_', '-')}"
            raise InputError(f"{flag} is for questions, and phrases ask none: add --query, or leave {flag} out")
        return LabelJob(
            out=self.out,
            sources=tuple(map(local_path, self.sources)),
            every=self.every,
            phrases=split_phrases(self.phrases),
            queries=queries,
            settings=load_settings(settings),
            min_score=self.min_score,
            exclusive=self.exclusive,
            images=self.images,  # pyright: ignore[reportArgumentType]
            calls=self.concurrency,
        )


def run_label(flags: LabelFlags, settings: Mapping[str, Any], *, as_json: bool, verbose: bool) -> int:
    """Label, write the data set, print what became of the images; the exit code: 1 if one of them failed."""
    configure_logging(verbose)
    job = flags.job(settings)
    files = DataSetFiles(LabelSplits.parsed(flags.split), check_label_formats(flags.formats), flags.review)
    if files.review and job.images == "none":
        raise InputError("--review shows the images of the data set: do not add --images none")
    workers = Workers.parsed(flags.workers, flags.actors)
    screen = LabelScreen(Status(quiet=as_json, verbose=verbose))
    screen.progress.count(sources_of(job))
    try:
        summary = label_data_set(job, files, workers, screen.watch)
    except KeyboardInterrupt:
        screen.status.done()
        warn(f"what is done is in {job.out}: the same command goes on from there")
        raise
    finally:
        screen.status.done()
    if as_json:
        say_json(_values(job, summary, screen.progress))
    else:
        _say(job, summary, screen.progress)
    return int(bool(summary.images.get("failed")))


class LabelScreen:
    """What the user sees of a run while it goes on; mutable."""

    def __init__(self, status: Status) -> None:
        self.status, self.progress = status, LabelProgress()
        self._told = 0.0

    def watch(self, event: str, values: Mapping[str, Any]) -> None:
        """Take note of what a run reports."""
        if event == "known":
            self.progress.known(values)
        elif event == "done":
            self.progress.done(values)
            if values["status"] == "failed":
                self._tell_failure(str(values["source"]), str(values["reason"]))
        elif event == "lost":
            self._warn(f"{values['source']}: its worker was lost; it is tried again")
        elif event == "remark":
            self._warn(f"warning: {values['text']}")
        self._tell_progress()

    def _tell_failure(self, source: str, reason: str) -> None:
        failed = self.progress.counts["failed"]
        if failed <= SHOWN_FAILURES:
            self._warn(reason if reason.startswith(source) else f"{source}: {reason}")
        elif failed == SHOWN_FAILURES + 1:
            self._warn("more images failed: all will be in failures.txt")

    def _tell_progress(self) -> None:
        now = time.monotonic()
        self.status.detail(str(self.progress))
        if now - self._told >= LOG_SECONDS or not self._told:
            self._told = now
            self.status.tell(str(self.progress))

    def _warn(self, text: str) -> None:
        self.status.done()
        warn(text)


def _values(job: LabelJob, summary: LabelSummary, progress: LabelProgress) -> dict[str, Any]:
    """JSON values, as --json prints them."""
    return {
        "out": str(job.out),
        "images": sum(summary.images.values()),
        "labelled": summary.images.get("labelled", 0),
        "no_match": summary.images.get("no_match", 0),
        "failed": summary.images.get("failed", 0),
        "done_now": progress.new,
        "splits": dict(summary.by_split),
        "masks": dict(summary.masks),
        "elapsed_s": round(progress.seconds, 3),
        "review": [str(path) for path in summary.sheets],
        "failures": str(summary.failures) if summary.failures else None,
        "weights": job.settings.weights,
    }


def _say(job: LabelJob, summary: LabelSummary, progress: LabelProgress) -> None:
    counts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in summary.images.items() if n)
    total = sum(summary.images.values())
    before = f" ({total - progress.new} of them done before)" if total > progress.new else ""
    say(f"{counted(total, 'image')}: {counts}{before}, {duration(progress.seconds)}")
    for name, number in summary.masks.items():
        say(f'  {counted(number, "mask")}  "{name}"')
    for split, number in summary.by_split.items():
        say(f"{split:<8}{counted(number, 'image')}  {job.out / 'annotations' / f'instances_{split}.json'}")
    if summary.sheets:
        say(f"review  {counted(len(summary.sheets), 'page')}  {summary.sheets[0]}")
    if summary.failures:
        say(f"failed  {summary.failures}")
