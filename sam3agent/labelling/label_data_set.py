"""A labelled data set from beginning to end: `label_data_set` is the command `sam3agent label` for Python."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam3agent.answer import make_folder
from sam3agent.folder_lock import locked
from sam3agent.labelling.coco_format import CocoFormat
from sam3agent.labelling.crew import Crew, ThreadCrew
from sam3agent.labelling.file_formats import FORMATS
from sam3agent.labelling.label_export import LabelFormat, LabelledImage, labelled_images
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.label_run import LabelRun, Watch
from sam3agent.labelling.label_sources import LabelSources
from sam3agent.labelling.label_splits import LabelSplits
from sam3agent.labelling.labeller import Labeller
from sam3agent.labelling.review_sheets import SHEETS, write_review
from sam3agent.labelling.shard_journals import FOLDER, ShardJournals, has_journal
from sam3agent.labelling.written_files import FilesOfDataSet, FilesOfKind, WrittenFiles
from sam3agent.mllm.errors import MLLMError
from sam3agent.written_lists import split_formats
from sam3model.errors import InputError
from sam3model.files import TEMPORARY_NAME, open_regular, replacing, unfinished

RAY = "ray"

FAILURES = "failures.txt"

DESCRIPTION = "labelled by sam3agent"
"""What the first field of annotation files says; it tells them from those of others."""


@dataclass(frozen=True)
class Workers:
    """Who does the work. count: processes of this machine, 1 for this one; actors with Ray, None for as many as fit.

    ray: use Ray. address: of its cluster; None for `RAY_ADDRESS`, or one on this machine.
    """

    count: int | None = 1
    ray: bool = False
    address: str | None = None

    @classmethod
    def parsed(cls, text: str, actors: int | None = None) -> "Workers":
        """From `4`, `ray` or `ray://HOST:PORT`. Raises `InputError`."""
        if text == RAY or text.startswith(f"{RAY}://"):
            return cls(actors, True, None if text == RAY else text)
        if actors is not None:
            raise InputError("--actors is for --workers ray")
        if not text.isdecimal() or int(text) < 1:
            raise InputError(f"--workers {text} is not a number, ray or ray://HOST:PORT")
        return cls(int(text))

    def crew(self, job: LabelJob) -> Crew:
        """The workers, started.

        Raises `ConfigError` for settings that no worker can use, without Ray, or if its cluster cannot be reached;
        `MLLMError` if processes of this machine cannot ask the MLLM.
        """
        if self.count == 1 and not self.ray:
            return ThreadCrew(job)
        with suppress(MLLMError) if self.ray else nullcontext():  # only machines with actors need vLLM
            Labeller(job).close()  # or every worker would die of settings that cannot be used
        if self.ray:
            from sam3agent.labelling.ray_crew import RayCrew

            return RayCrew(job, self.address, self.count)
        from sam3agent.labelling.process_crew import ProcessCrew

        return ProcessCrew(job, self.count or 1)


@dataclass(frozen=True)
class DataSetFiles:
    """What is written besides annotations/instances_SPLIT.json. formats: names of `FORMATS`. review: contact sheets."""

    splits: LabelSplits = field(default_factory=LabelSplits)
    formats: tuple[str, ...] = ()
    review: bool = False


@dataclass(frozen=True)
class LabelSummary:
    """What became of a run. images: how many ended in each status. masks: number of masks of each class.

    by_split: number of images in each split. failures: a file with those that failed; None if none did.
    """

    images: Mapping[str, int]
    masks: Mapping[str, int]
    by_split: Mapping[str, int]
    sheets: tuple[Path, ...] = ()
    failures: Path | None = None


def label_data_set(
    job: LabelJob, files: DataSetFiles | None = None, workers: Workers | None = None, watch: Watch | None = None
) -> LabelSummary:
    """Label the sources of a job and write the data set into its folder. The same call goes on after an interruption.

    Raises:
        InputError: a source is missing, or has no images; files of the folder that no run wrote would be lost.
        ConfigError: the folder holds another run, or another process writes into it; Ray is missing.
        CheckpointError, MLLMError, OutputError: what would fail for every image.
    """
    files, workers = files or DataSetFiles(), workers or Workers()
    sources = sources_of(job)
    sources.check()
    with locked(make_folder(job.out)):
        written, kinds = _written(job.out), _kinds(job, files)
        written.require_own(job.out, kinds)
        shards = ShardJournals(job.out, job.start)
        written.begin({})
        run = LabelRun(job, lambda: workers.crew(job), shards, watch or _nothing)
        try:
            counts = run.run(sources)
        finally:
            run.close()
        written.begin(kinds)
        summary = write_data_set(job, shards, run.shard_count, counts, files)
        written.finish(job.out, kinds)
        return summary


def sources_of(job: LabelJob) -> LabelSources:
    """The images of a job, as a stream."""
    return LabelSources(job.sources, job.every, job.out, job.images)


def write_data_set(
    job: LabelJob, shards: ShardJournals, count: int, images: Mapping[str, int], files: DataSetFiles
) -> LabelSummary:
    """Write the results in `count` shards in all formats; raises `OutputError`. images: how many ended how."""
    masks: Counter[str] = Counter(dict.fromkeys(job.classes, 0))
    by_split: Counter[str] = Counter(dict.fromkeys(files.splits.names, 0))
    tasks = (f"{name}.json"[:TEMPORARY_NAME] for name in files.splits.names)
    written = (("annotations", "instances_*"), *(("label-studio", name) for name in tasks))
    for left in (left for folder, name in written for left in unfinished(job.out / folder, name)):
        left.unlink(missing_ok=True)  # gigabytes, of a run that was killed here
    with ExitStack() as stack:
        formats = [stack.enter_context(one) for one in _formats(job, files).values()]
        for image in labelled_images(shards.records(count), files.splits):
            by_split[image.split] += 1
            masks.update(job.classes[label.kind] for label in image.labels)
            for one in formats:
                one.add(image)
    sheets = ()
    if files.review:
        sheets = tuple(write_review(labelled_images(shards.records(count), files.splits), job.out, job.classes))
    ended = {status: images.get(status, 0) for status in ("labelled", "no_match", "failed")}
    return LabelSummary(ended, dict(masks), dict(by_split), sheets, _write_failures(job.out, shards, count))


def check_label_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Names of formats besides coco, each once; they may be separated by commas. Raises `InputError`."""
    split = split_formats(names, [*FORMATS, "coco"], "coco")
    return tuple(name for name in split if name != "coco")


def _formats(job: LabelJob, files: DataSetFiles) -> dict[str, LabelFormat]:
    """The formats to write, by name; nothing is written before they are entered."""
    names = files.splits.names
    info = {"description": DESCRIPTION, "weights": job.settings.weights, "min_score": job.min_score}
    others = {name: FORMATS[name](job.out, job.classes, names) for name in files.formats}
    return {"coco": CocoFormat(job.out, job.classes, names, info), **others}


def _kinds(job: LabelJob, files: DataSetFiles) -> dict[str, FilesOfKind]:
    """All kinds of files that are written, besides images and journals."""
    sheets = {"review": FilesOfDataSet((SHEETS,))} if files.review else {}
    return {**_formats(job, files), "failures": FilesOfDataSet((FAILURES,)), **sheets}


def _written(out: Path) -> WrittenFiles:
    """What earlier runs wrote; in a folder of an older version, which did not keep it, all that is not of others."""
    path = out / FOLDER / "written.json"
    if not has_journal(out):
        return WrittenFiles(path, {})
    if kept := WrittenFiles.read(path):
        return kept
    files = (file for file in (out / "annotations").glob("instances_*.json") if _is_ours(file))
    splits = frozenset(file.stem.removeprefix("instances_") for file in files)
    return WrittenFiles(path, dict.fromkeys(("coco", *FORMATS, "failures", "review"), splits))


def _is_ours(annotations: Path) -> bool:
    """Whether a file begins as `CocoFormat` begins it."""
    begin = f'{{"info": {{"description": {json.dumps(DESCRIPTION)}'.encode()
    try:
        with open_regular(annotations) as file:
            return file.read(len(begin)) == begin
    except (InputError, OSError):
        return False


def _write_failures(out: Path, shards: ShardJournals, count: int) -> Path | None:
    """failures.txt: a line per image that failed, with the reason."""
    path = out / FAILURES
    failed = (record for record in shards.records(count) if record["status"] == "failed")
    first = next(failed, None)
    if first is None:
        path.unlink(missing_ok=True)
        return None
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for record in _chained(first, failed):
            file.write(f"{record['source']}\t{record['reason']}\n".encode("utf-8", "replace").decode("utf-8"))
    return path


def _chained(first: dict[str, Any], rest: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield first
    yield from rest


def _nothing(event: str, values: Mapping[str, Any]) -> None:
    """Watch without looking."""


__all__ = ["DataSetFiles", "LabelSummary", "LabelledImage", "Workers", "label_data_set"]
