"""Runs: the same data set whoever does the work, going on after kills, and what a bad image costs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam3agent.config import Settings
from sam3agent.labelling.label_data_set import DataSetFiles, Workers, label_data_set
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.label_splits import LabelSplits
from sam3agent.media import Media
from sam3agent.mllm.errors import MLLMBusyError, MLLMError
from sam3agent.segmenter import FoundInstances
from sam3agent.testing import ScriptedBackend, call
from sam3model.errors import ConfigError, InputError
from tests.labelling.coloured_blocks import POISON, draw, draw_folder, make_blocks, tree

ROOT = Path(__file__).parents[2]
ALL = DataSetFiles(LabelSplits.parsed("train=0.7,val=0.3"), ("yolo-seg", "labelme", "label-studio", "png"), review=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of images."""
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "photos", 12)
    return tmp_path


def job(out: str, **changes: Any) -> LabelJob:
    first = LabelJob(
        Path(out), sources=("photos",), phrases=("red block", "blue block"), segmenter=make_blocks, shard_size=5
    )
    return replace(first, **changes)


class Watched:
    """What a run reports."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, event: str, values: Mapping[str, Any]) -> None:
        self.events.append((event, values))

    def sources(self, event: str) -> list[str]:
        return [values["source"] for name, values in self.events if name == event]


def test_processes_write_what_one_process_writes(place: Path) -> None:
    one = label_data_set(job("one"), ALL)
    two = label_data_set(job("two"), ALL, Workers(2))
    assert one.images == two.images and one.images["labelled"] > 6 and one.masks["red block"] > 3
    assert tree(place / "one") == tree(place / "two")
    assert {"annotations/instances_val.json", "journal/000002.jsonl", "review/page-001.jpg"} <= set(tree(place / "one"))


def test_a_worker_that_dies_costs_nothing(place: Path) -> None:
    draw(place / "photos" / "6.png", 6, corner=(0, 250, 0))
    once = Settings(weights=str(place / "flag.die-once"))
    watched = Watched()
    label_data_set(job("two", settings=once), ALL, Workers(2), watched)
    assert (place / "flag.died").exists()
    lost = watched.sources("lost")
    assert "photos/6.png" in lost and len(lost) <= 4  # what one worker had in hand
    assert sorted(watched.sources("done")) == sorted(str(path) for path in Path("photos").iterdir())  # each once
    label_data_set(job("one", settings=once), ALL)
    assert tree(place / "one") == tree(place / "two")


def test_an_image_that_kills_workers_fails_and_the_others_are_labelled(place: Path) -> None:
    draw(place / "photos" / "4.png", 4, corner=POISON)
    summary = label_data_set(job("out"), workers=Workers(2))
    assert summary.images["failed"] == 1 and sum(summary.images.values()) == 12
    assert summary.failures and summary.failures.read_text().startswith("photos/4.png\t")
    assert "its worker died each of 3 times" in summary.failures.read_text()


def test_workers_that_always_die_end_the_run(place: Path) -> None:
    for number in range(12):
        draw(place / "photos" / f"{number}.png", number, corner=POISON)
    from sam3model.errors import Sam3Error

    with pytest.raises(Sam3Error, match="workers die before they label anything"):
        label_data_set(job("out"), workers=Workers(2))


COMMAND = """
import sys, time
from pathlib import Path
from sam3agent.labelling.label_data_set import Workers, label_data_set
from tests.labelling.coloured_blocks import BlockSegmenter
from tests.labelling.test_label_runs import ALL, job

class Slow(BlockSegmenter):
    def open(self, media):
        time.sleep(0.05)
        return super().open(media)

def slow(settings):
    return Slow(settings.weights)

if __name__ == "__main__":
    label_data_set(job("killed", segmenter=slow), ALL, Workers(int(sys.argv[1])))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_command_goes_on_after_a_kill(place: Path, workers: int) -> None:
    draw_folder(place / "photos", 60)
    (place / "command.py").write_text(COMMAND)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "command.py", str(workers)], cwd=place, env=environment)
    fifth = place / "killed" / "journal" / "000004.jsonl"
    deadline = time.monotonic() + 120
    while not fifth.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shards = (place / "killed" / "journal").glob("[0-9]*.jsonl")  # without one that was being written anew
    done = sum(shard.read_bytes().count(b'"event": "image"') for shard in shards)
    assert 10 <= done < 60, "killed too early or too late to show anything"
    assert not (place / "killed" / "annotations").exists()
    for left in ("journal/.000001.json.0123abcd", "journal/.000001.jsonl.0123abcd", "label-studio/.val.json.0123abcd"):
        (place / "killed" / left).parent.mkdir(exist_ok=True)
        (place / "killed" / left).touch()  # as if it was killed while writing this file
    watched = Watched()
    label_data_set(job("killed"), ALL, watch=watched)
    assert len(watched.sources("done")) >= 60 - done - 1
    assert len(watched.sources("done")) <= 60 - done + 1  # a line that was half written
    label_data_set(job("whole"), ALL)
    assert tree(place / "killed") == tree(place / "whole")


def test_workers_end_when_their_coordinator_is_killed(place: Path) -> None:
    (place / "command.py").write_text(COMMAND.replace("0.05", "0.3"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "command.py", "2"], cwd=place, env=environment)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("this system does not list the children of a process")
    deadline = time.monotonic() + 120
    while not (place / "killed" / "journal" / "000000.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    while not (words := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    workers = [int(word) for word in words]
    process.kill()
    process.wait()
    while any(_runs(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers and not any(_runs(worker) for worker in workers)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_bad_image_is_named_and_tried_again(place: Path) -> None:
    (place / "photos" / "3.png").write_text("no image")
    first = label_data_set(job("out"))
    assert first.images["failed"] == 1 and first.failures
    assert "3.png is not an image" in first.failures.read_text()
    names = {row["file_name"] for row in json.loads(Path("out/annotations/instances_train.json").read_text())["images"]}
    assert "photos/3.png" not in names and len(names) == 11
    draw(place / "photos" / "3.png", 3)
    watched = Watched()
    again = label_data_set(job("out"), watch=watched)
    assert watched.sources("done") == ["photos/3.png"] and again.images["failed"] == 0
    assert not Path("out/failures.txt").exists()


def test_new_and_changed_images_alone_are_labelled(place: Path) -> None:
    label_data_set(job("out"))
    draw(place / "photos" / "0a.png", 99)  # sorts before the others, so that all move on
    draw(place / "photos" / "9.png", 77, size=(128, 64))
    watched = Watched()
    label_data_set(job("out"), watch=watched)
    done = watched.sources("done")
    assert {"photos/0a.png", "photos/9.png"} <= set(done) and len(done) <= 5  # and one at the end of each shard
    label_data_set(job("fresh"))
    assert tree(place / "out") == tree(place / "fresh")


def test_other_files_are_written_without_labelling_again(place: Path) -> None:
    label_data_set(job("out"), ALL)
    watched = Watched()
    label_data_set(job("out"), DataSetFiles(LabelSplits.parsed("train=0.5,test=0.5")), watch=watched)
    assert not watched.sources("done")
    assert {path.name for path in Path("out/annotations").iterdir()} == {"instances_train.json", "instances_test.json"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"phrases": ("red block",)}, "phrases"),
        ({"min_score": 0.7}, "min_score"),
        ({"settings": Settings(weights="other")}, "weights"),
        ({"sources": ("photos/1.png",)}, "sources"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(place: Path, change: dict[str, Any], named: str) -> None:
    label_data_set(job("out"))
    before = tree(place / "out")
    with pytest.raises(ConfigError, match=f"holds another run \\({named}"):
        label_data_set(job("out", **change))
    assert tree(place / "out") == before


def test_a_run_of_an_older_version_is_refused(place: Path) -> None:
    label_data_set(job("out"))
    journal = Path("out/journal/000000.jsonl")
    sources = '"sources": ["https://me:secret@example.org/a.jpg"]'
    older = journal.read_text().replace('"version": 2', '"version": 1').replace('"sources": ["photos"]', sources)
    journal.write_text(older)
    with pytest.raises(ConfigError, match=r"holds a run of another version .* choose another --out") as error:
        label_data_set(job("out"))
    assert "secret" in older and "secret" not in str(error.value)


@pytest.mark.parametrize("named", ["best/model.safetensors", "best"])
def test_weights_that_were_written_anew_are_other_weights(place: Path, named: str) -> None:
    trained = Settings(weights=str(place / named))
    file = place / "best" / "model.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"first")
    label_data_set(job("out", settings=trained))
    label_data_set(job("out", settings=trained))
    file.write_bytes(b"later")
    with pytest.raises(ConfigError, match=r"holds another run \(weights"):
        label_data_set(job("out", settings=trained))


def test_a_damaged_journal_can_be_deleted(place: Path) -> None:
    label_data_set(job("out"))
    before = tree(place / "out")
    Path("out/journal/000000.jsonl").unlink()
    with pytest.raises(ConfigError, match="holds another run"):
        label_data_set(job("out", min_score=0.7))
    label_data_set(job("out"))
    assert tree(place / "out") == before


def test_only_what_a_killed_run_was_writing_is_deleted(place: Path) -> None:
    split = "a-very-long-name-of-a-split-of-a-data-set"
    own = [Path(f"annotations/instances_{split}.json"), Path(f"label-studio/{split}.json"), Path("journal/000001.json")]
    left = [place / "out" / path.parent / f".{path.name[:32]}.0123abcd" for path in own]
    others = [place / "out" / "annotations" / name for name in (".instances_a.json.original", ".mine.json.0123abcd")]
    for path in (*left, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    label_data_set(job("out"), DataSetFiles(LabelSplits(((split, 1.0),))))
    assert not any(path.exists() for path in left) and all(path.exists() for path in others)


def test_two_runs_do_not_share_a_folder(place: Path) -> None:
    from sam3agent.folder_lock import locked

    (place / "out").mkdir()
    with locked(place / "out"), pytest.raises(ConfigError, match="another process"):
        label_data_set(job("out"))


def test_min_score_and_exclusive(place: Path) -> None:
    everything = label_data_set(job("a", phrases=("red block", "red thing")))
    assert everything.masks["red block"] == everything.masks["red thing"] > 0
    once = label_data_set(job("b", phrases=("red block", "red thing"), exclusive=True))
    assert sum(once.masks.values()) == everything.masks["red block"]
    high = label_data_set(job("c", phrases=("red block",), min_score=0.8))
    scores = [row["score"] for row in json.loads(Path("c/annotations/instances_train.json").read_text())["annotations"]]
    assert 0 < high.masks["red block"] < everything.masks["red block"] and min(scores) >= 0.8


class TwoViews:
    """One object, of which one phrase finds less, with a lower score."""

    name = "two views"

    def open(self, media: Media) -> "TwoViews":
        return self

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        whole = np.zeros((64, 96), bool)
        whole[10:30, 10:31] = True
        part = whole.copy()
        part[:, 30] = False
        return [FoundInstances.of([part], (96, 64), [0.6]), FoundInstances.of([whole], (96, 64), [0.9])]


def test_an_exclusive_object_has_the_mask_of_its_class(place: Path) -> None:
    seen = {"segmenter": lambda _: TwoViews(), "sources": ("photos/1.png",)}
    label_data_set(job("out", exclusive=True, **seen))
    (row,) = json.loads(Path("out/annotations/instances_train.json").read_text())["annotations"]
    assert (row["category_id"], row["score"], row["bbox"]) == (2, 0.9, [10, 10, 21, 20])


def test_a_query_is_a_class_that_the_agent_answers(place: Path) -> None:
    summary = label_data_set(job("out", queries=("the leftmost red block",)))
    content = json.loads(Path("out/annotations/instances_train.json").read_text())
    boxes: dict[tuple[int, int], list[list[int]]] = {}
    for row in content["annotations"]:
        boxes.setdefault((row["image_id"], row["category_id"]), []).append(row["bbox"])
    answers = {image: found for (image, kind), found in boxes.items() if kind == 3}
    assert summary.masks["the leftmost red block"] == len(answers) > 2
    for image, found in answers.items():
        assert len(found) == 1 and found[0][0] == min(box[0] for box in boxes[image, 1])


def test_an_answer_that_a_failing_server_left_unchecked_is_asked_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, select = call("segment_phrase", phrases=["red block"]), call("select_masks", what="red block", ids=[1])
    backend = ScriptedBackend([search, select], {None: MLLMBusyError("gone")})
    monkeypatch.setattr("sam3agent.api.make_backend", lambda _: backend)
    draw(place / "one" / "1.png", 0)
    asked = job("out", sources=("one",), phrases=(), queries=("red blocks",), settings=Settings(mllm="openai"))
    assert label_data_set(asked).images["failed"] == 1
    failures = Path("out/failures.txt").read_text()
    assert "no final answer to 'red blocks': the MLLM failed before all looks at it were made" in failures
    backend = ScriptedBackend([search, select], {None: '{"verdict": "accept"}'})
    assert label_data_set(asked).images["labelled"] == 1


def test_a_question_that_is_not_understood_ends_the_run(place: Path) -> None:
    with pytest.raises(ConfigError, match="is not understood"):
        label_data_set(job("out", queries=("der Block links",)))


def test_settings_that_no_worker_can_use_are_named(place: Path) -> None:
    settings = Settings(without="nonsense")
    with pytest.raises(ConfigError, match="there is no part 'nonsense' of the policy"):
        label_data_set(job("out", queries=("the leftmost red block",), settings=settings), workers=Workers(2))


def test_ray_alone_does_not_need_the_mllm_on_this_machine(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam3agent.mllm.vllm.find_spec", lambda name: None)
    monkeypatch.setattr("sam3agent.labelling.ray_crew.RayCrew", lambda *_: "crew")
    asking = job("out", queries=("the red block",), settings=Settings(mllm="vllm", model="some/model"))
    assert Workers(2, ray=True).crew(asking) == "crew"
    with pytest.raises(MLLMError, match="vLLM is not installed"):
        Workers(2).crew(asking)


def test_jobs_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to search for"):
        job("out", phrases=())
    with pytest.raises(InputError, match="two classes"):
        job("out", queries=("red block",))
    with pytest.raises(InputError, match="min-score"):
        job("out", min_score=1.5)
    for text in ("0", "many", "-1"):
        with pytest.raises(InputError, match="--workers"):
            Workers.parsed(text)
    assert Workers.parsed("ray://head:10001") == Workers(None, True, "ray://head:10001")


@pytest.mark.parametrize("text", ["train", "train=0.9", "train=0.9,val=0.2", "train=0.5,train=0.5", "a=1,b=0", "=1"])
def test_splits_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--split"):
        LabelSplits.parsed(text)


def test_splits_are_stable_and_have_the_fractions() -> None:
    splits = LabelSplits.parsed("train=0.8,val=0.1,test=0.1")
    found = [splits.of(f"photos/{number}.jpg") for number in range(2000)]
    assert 1500 < found.count("train") < 1700 and 150 < found.count("val") < 250
    assert found[:5] == [LabelSplits.parsed("train=0.8,val=0.1,test=0.1").of(f"photos/{n}.jpg") for n in range(5)]
