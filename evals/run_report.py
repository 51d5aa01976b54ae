"""`python -m evals report DIR...`: finished runs, with shards joined, as one Markdown and JSON table."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evals.benchmark_registry import BENCHMARKS, find
from evals.benchmark_results import BenchmarkResult, RunOutcome, read_result
from evals.benchmark_types import VideoBenchmark
from evals.journal import METRICS, RUN, Predictions
from evals.prediction_records import is_for
from evals.result_tables import cost_table, details, table
from evals.run_record import differing_software
from evals.samples import DatasetSplit
from evals.shards import Shard, read_shard
from evals.tally import Tally
from evals.video.video_scorer import VideoScorer, video_samples
from sam3model.errors import ConfigError, DataError, Sam3Error
from sam3model.files import write_json, write_text

log = logging.getLogger(__name__)


def report(folders: Sequence[Path], out: Path | None = None) -> str:
    """Markdown of all runs in or below the folders; also written to `out`, as report.md and report.json.

    Raises `ConfigError` if a folder has no finished run or a shard is missing.
    """
    runs = {run.resolve(): run for folder in folders for run in _runs(folder)}  # folders may overlap
    results = _joined(list(runs.values()))
    by_benchmark: dict[tuple[str, str], list[BenchmarkResult]] = defaultdict(list)
    for result in results:
        by_benchmark[result.benchmark, result.split].append(result)
    sections = [
        "\n\n".join(filter(None, (table(find(name), group), cost_table(group), details(find(name), group))))
        for (name, _), group in sorted(by_benchmark.items())
    ]
    text = "\n\n".join(sections) + "\n"
    if out is not None:
        write_text(out / "report.md", text)
        write_json(out / "report.json", [result.to_json() for result in results], indent=1)
    return text


def _runs(folder: Path) -> list[Path]:
    """Folders of finished runs, this one or below it; others are named in the log."""
    runs = sorted(path.parent for path in folder.rglob(METRICS))
    unfinished = sorted({path.parent for path in folder.rglob(RUN)} - set(runs)) if runs else []
    if unfinished:
        more = f" and {len(unfinished) - 1} others are" if len(unfinished) > 1 else " is"
        log.warning("%s%s left out: not finished; run the same command again to go on", unfinished[0], more)
    if not runs:
        hint = "; the run is not finished: run its command again" if (folder / RUN).is_file() else ""
        raise ConfigError(f"{folder} contains no results of a run{hint}")
    return runs


def _joined(folders: Sequence[Path]) -> list[BenchmarkResult]:
    """Results, with the shards of a run joined."""
    whole, shards = [], defaultdict(list)
    for folder in folders:
        result = read_result(folder / METRICS)
        if result.benchmark not in BENCHMARKS:
            raise DataError(f"{folder / METRICS}: benchmark {result.benchmark!r} is unknown to this version")
        if result.settings.get("shard"):
            common = {name: value for name, value in result.settings.items() if name != "shard"}
            shards[result.benchmark, result.split, result.system, str(sorted(common.items()))].append((folder, result))
        else:
            whole.append(result)
    groups = list(shards.values())
    return whole + [_join(parts, _apart(parts, groups)) for parts in groups]


Parts = Sequence[tuple[Path, BenchmarkResult]]
"""Shards of one run, each with its folder."""


def _apart(parts: Parts, groups: Sequence[Parts]) -> str:
    """Why a shard that is missing here and in another folder is not of this run; empty without any."""
    ours = parts[0][1]
    here = [read_shard(result.settings["shard"]) for _, result in parts]
    for folder, theirs in (part for group in groups if group is not parts for part in group):
        place = read_shard(theirs.settings["shard"])
        missing = place not in here and place[1] == here[0][1]
        if missing and (theirs.benchmark, theirs.split) == (ours.benchmark, ours.split):
            one, other = ({"system": run.system, **run.settings, "shard": None} for run in (ours, theirs))
            names = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
            return f"; the one in {folder} is of another run, with another {', '.join(names)}"
    return ""


def _join(parts: Parts, apart: str = "") -> BenchmarkResult:
    """Score the predictions of all shards together: AP and correlations are not means over shards.

    apart: what to say of other shards if one is missing.
    """
    first = parts[0][1]
    places = [read_shard(result.settings["shard"]) for _, result in parts]
    count = places[0][1]
    if any(shards != count for _, shards in places):
        raise ConfigError(f"{first.benchmark}: shards of {count} and of other numbers cannot be joined")
    present = dict[int, Path]()
    for (shard, _), (folder, _) in zip(places, parts, strict=True):
        if (other := present.setdefault(shard, folder)) is not folder:
            raise ConfigError(f"{first.benchmark}: shard {shard + 1}/{count} is in {other} and in {folder}: name one")
    if absent := [f"{i + 1}/{count}" for i in range(count) if i not in present]:
        shown = ", ".join(absent[:10]) + (f" and {len(absent) - 10} more" if len(absent) > 10 else "")
        raise ConfigError(f"{first.benchmark}: shard {shown} is missing{apart}")
    predictions = [Predictions(folder, find(first.benchmark).kind) for folder, _ in parts]
    failures = {key: reason for _, result in parts for key, reason in result.outcome.failures.items()}
    settings = {name: value for name, value in first.settings.items() if name != "shard"}
    outcome = rescore(
        first.benchmark, DatasetSplit(Path(settings["root"]), first.split), settings.get("limit"), predictions
    )
    seconds = sum(result.outcome.seconds for _, result in parts)
    outcome = replace(outcome, failures={**outcome.failures, **failures}, seconds=seconds)
    return replace(first, outcome=outcome, settings=settings, record=_joined_record([result for _, result in parts]))


def _joined_record(shards: Sequence[BenchmarkResult]) -> Mapping[str, Any]:
    """The record of shards: the first, with those of all if they were made with different software, which is named."""
    first, records = shards[0], {str(shard.settings["shard"]): shard.record for shard in shards}
    names = differing_software(list(records.values()))
    if not names:
        return first.record
    what = f"{first.benchmark} {first.split}, {first.system}"
    log.warning("%s: shards were made with another %s; report.json has all records", what, ", ".join(names))
    return {**first.record, "shards": records}


def rescore(name: str, dataset: DatasetSplit, limit: int | None, predictions: Sequence[Predictions]) -> RunOutcome:
    """Score stored predictions; a sample without one is a failure."""
    benchmark = find(name)
    if isinstance(benchmark, VideoBenchmark):
        with TemporaryDirectory() as folder:
            scorer = VideoScorer(benchmark, dataset, Path(folder))
            return _rescore(Shard(video_samples(benchmark, dataset), limit, 0, 1), Tally(scorer), predictions)
    return _rescore(Shard(benchmark.read(dataset), limit, 0, 1), Tally(benchmark.scorer()), predictions)


def _rescore(samples: Shard, tally: Tally, predictions: Sequence[Predictions]) -> RunOutcome:
    failures = {}
    for index in range(len(samples)):
        sample = samples[index]
        parts = [part for part in predictions if sample.key in part]
        found = (stored for part in parts if (stored := part.get(sample.key)))
        stored = next((one for one in found if is_for(one.prediction, sample)), None)
        if stored is None:
            failures[sample.key] = "its prediction is for another sample" if parts else "no prediction"
            continue
        try:
            tally.add(sample, stored)
        except Sam3Error as error:
            failures[sample.key] = str(error)
    return tally.outcome(len(samples), failures)
