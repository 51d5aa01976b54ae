"""Nothing ends a benchmark with a traceback, and no two runs share a folder."""

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evals.command import main
from evals.dataset_files import read_bytes
from evals.journal import Journal
from evals.prediction_records import StoredPrediction
from evals.samples import PhrasePrediction
from sam3model.data.label_maps import read_labels
from sam3model.errors import DataError, MetricError, OutputError
from sam3model.files import read_regular
from sam3model.metrics.annotation_files import read_json
from tests.evals.block_images import Blocks, draw, write_json

ROW = {"question": "How many red blocks are there?", "number": 1}


@pytest.fixture
def root(tmp_path) -> Path:
    for i in range(4):
        draw(tmp_path / f"data/images/{i}.png", ("red", (8, 8, 24, 24)))
    lines = [json.dumps({"image": f"{i}.png", **ROW}) for i in range(4)]
    (tmp_path / "data/countbenchqa.jsonl").write_text("\n".join(lines))
    return tmp_path / "data"


def fails(arguments: list[str], code: int, capsys, **models) -> str:
    """Run the command, which must end with this code and one line of its own."""
    capsys.readouterr()
    assert main(arguments, **{"segmenter": Blocks(), **models}) == code
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert len([line for line in error.splitlines() if line.startswith("evals: ")]) == 1, error
    return error


@contextmanager
def full_after(path: Path) -> Iterator[None]:
    """A disk on which a file can grow by ten bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_second_run_in_a_folder_is_refused(root, tmp_path, capsys):
    arguments = ["countbench", "--root", str(root), "--out", str(tmp_path / "out")]
    with Journal(tmp_path / "out", "image-phrase", {}):
        assert "another process is running a benchmark in" in fails(arguments, 2, capsys)
    (tmp_path / "out/run.json").unlink()
    assert main(arguments, segmenter=Blocks()) == 0


def test_a_full_disk_ends_the_run_and_keeps_what_it_has(tmp_path):
    stored = StoredPrediction(PhrasePrediction(("a",), ((),)), 1.0, {"F1": 1.0})
    with Journal(tmp_path, "image-phrase", {}) as journal:
        journal.keep("first", stored)
        refused = pytest.raises(OutputError, match=r"cannot write .*predictions\.jsonl")
        with full_after(tmp_path / "predictions.jsonl"), refused:
            journal.keep("second", stored)  # written in part
    with Journal(tmp_path, "image-phrase", {}) as journal:
        assert journal.predictions.get("first") == stored
        assert "second" not in journal.predictions
        journal.keep("second", stored)
    assert len((tmp_path / "predictions.jsonl").read_text().splitlines()) == 2


class Broken:
    """A segmenter that does not even have a name."""

    @property
    def name(self) -> str:
        raise ZeroDivisionError("this should\nnever \x1b[2J happen")


class Hungry(Broken):
    @property
    def name(self) -> str:
        raise MemoryError


def test_an_unexpected_error_is_one_line(root, tmp_path, capsys):
    arguments = ["countbench", "--root", str(root), "--out", str(tmp_path / "out")]
    error = fails(arguments, 1, capsys, segmenter=Broken())
    assert error == "evals: unexpected error, please report it: ZeroDivisionError: this should never \\x1b[2J happen\n"
    assert "memory is used up" in fails(arguments, 1, capsys, segmenter=Hungry())


def test_an_unexpected_error_of_a_sample_is_no_traceback(root, tmp_path, capsys):
    arguments = ["countbench", "--root", str(root), "--out", str(tmp_path / "out"), "--concurrency", "1"]
    assert "4 of 4 samples failed" in fails(arguments, 1, capsys, segmenter=Blocks(broken=("red blocks",)))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--shard", "1/99999999999"], "expected i/n"),
        (["--shard", "1/10001"], "n at most 10000"),
        (["--shard", f"1/{'9' * 5000}"], "expected i/n"),
        (["--limit", "0"], "--limit must be at least 1, not 0"),
        (["--concurrency", "0"], "--concurrency must be from 1 to 1024, not 0"),
        (["--concurrency", "1000000"], "--concurrency must be from 1 to 1024"),
        (["--resamples", "-1"], "--resamples must be from 0"),
        (["--threshold", "2"], "threshold"),
        (["--out", ""], "--out is empty"),
        (["--out", "/dev/null/run"], "cannot write to /dev/null/run"),
        (["--out", "/proc/run"], "cannot write to /proc/run"),
    ],
)
def test_flags_out_of_range_are_named(root, flags, message, capsys):
    error = fails(["countbench", "--root", str(root), *flags], 2, capsys)
    assert message in error
    assert len(error) < 400
    if flags[0] == "--limit":
        assert "concurrency" not in error


METRICS = {
    "benchmark": "countbench",
    "split": "test",
    "system": "x",
    "figures": {"accuracy": 1},
    "samples": 1,
    "scored": 1,
    "failures": {},
    "seconds": 1,
    "settings": {},
}


def test_a_report_of_an_old_run(tmp_path, capsys):
    write_json(tmp_path / "run/metrics.json", METRICS)
    assert main(["report", str(tmp_path)]) == 0
    assert "| x " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "field"),
    [
        *(({name: bad}, name) for name in METRICS for bad in ([], {"a": []}, None, True) if name != "settings"),
        *(({"settings": bad}, "settings") for bad in ([], None, True)),
        ({"figures": {"accuracy": "1"}}, "figures"),
        ({"figures": {"accuracy": True}}, "figures"),
        ({"settings": {"shard": "x/y"}}, "shard"),
        ({"settings": {"shard": "1/99999999999"}}, "shard"),
        ({"settings": {"shard": [1]}}, "shard"),
        ({"settings": {"shard": "1/2"}}, "root"),
        ({"settings": {"limit": "x"}}, "limit"),
        ({"costs": {"questions": "many"}}, "statuses"),
        ({"costs": 5}, "costs"),
        ({"intervals_95": {"accuracy": [1]}}, "accuracy"),
        ({"record": 3}, "record"),
        ({"benchmark": "chess"}, "benchmark"),
        ({"figures": {"accuracy": 10**400}}, "figures"),
        ({"intervals_95": {"accuracy": [10**400, 1]}}, "accuracy"),
    ],
)
def test_a_field_of_another_type_in_metrics_is_named(tmp_path, change, field, capsys):
    write_json(tmp_path / "run/metrics.json", {**METRICS, **change})
    error = fails(["report", str(tmp_path)], 2, capsys)
    assert "metrics.json" in error
    assert field in error


@pytest.mark.parametrize("content", ["[" * 100_000, "{" * 9, "[]", "", "\0" * 9, '{"benchmark": 1e999}'])
def test_metrics_that_are_no_metrics_are_named(tmp_path, content, capsys):
    (tmp_path / "metrics.json").write_text(content)
    assert "metrics.json" in fails(["report", str(tmp_path)], 2, capsys)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("predictions.jsonl", '{"key": [1]}\n'),
        ("predictions.jsonl", '{"key": ' + "[" * 100_000 + "\n"),
        ("predictions.jsonl", '{"key": "0.png", "phrases": 5, "detections": 5}\n'),
        ("predictions.jsonl", '{"key": "0.png", "phrases": ["red blocks"], "detections": [[5]]}\n'),
        ("predictions.jsonl", '{"key": "0.png", "phrases": [], "detections": [], "scores": 7}\n'),
        ("run.json", "[" * 100_000),
        ("run.json", "[]"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(root, tmp_path, file, content, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / file).write_text(content)
    arguments = ["countbench", "--root", str(root), "--out", str(out), "--limit", "1"]
    capsys.readouterr()
    code = main(arguments, segmenter=Blocks())
    error = capsys.readouterr().err
    assert code in (1, 2)
    assert file in error
    assert "Traceback" not in error


def test_a_loop_of_links_is_named(tmp_path, capsys):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    write_json(tmp_path / "data/valid.json", {"videos": [], "categories": [], "annotations": []})
    for root, predictions in (("data", "loop"), ("loop", "data")):
        arguments = ["ytvis", "--root", str(tmp_path / root), "--predictions", str(tmp_path / predictions)]
        assert "loop" in fails([*arguments, "--out", str(tmp_path / "out")], 2, capsys)


def special(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(5 << 30)  # sparse


def within_seconds(action, seconds: float = 20.0) -> None:
    """Run an action that must not hang; its exception is raised here."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "sparse"])
def test_only_regular_files_of_bounded_size_are_read(tmp_path, kind):
    special(tmp_path / "file", kind)
    for read, error in ((read_bytes, DataError), (read_json, MetricError)):
        with pytest.raises(error, match="file"):
            within_seconds(lambda read=read: read(tmp_path / "file"))
    with pytest.raises(DataError, match="file"):
        within_seconds(lambda: read_labels(tmp_path, "file"))


def test_a_bounded_read_returns_at_most_the_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(Exception, match="the limit is 4 bytes"):
        read_regular(tmp_path / "file", 4)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("coco", "annotations/instances_val2017.json"),
        ("omnilabel", "dataset_all_val.json"),
        ("refcoco", "refcoco/refs(unc).p"),
        ("reasonseg", "val/x.json"),
        ("groundingsuite", "GroundingSuite-Eval.jsonl"),
        ("davis", "ImageSets/2017/val.txt"),
        ("burst", "test/all_classes.json"),
    ],
)
def test_a_special_file_in_a_data_set_is_named(tmp_path, name, file, kind, capsys):
    special(tmp_path / "data" / file, kind)
    arguments = [name, "--root", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    within_seconds(lambda: fails(arguments, 2, capsys, predictor=object()))


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_a_special_file_as_an_image_is_a_failed_sample(root, tmp_path, kind, capsys):
    (root / "images/1.png").unlink()
    special(root / "images/1.png", kind)
    arguments = ["countbench", "--root", str(root), "--out", str(tmp_path / "out")]
    within_seconds(lambda: fails(arguments, 1, capsys))
    assert list(json.loads((tmp_path / "out/metrics.json").read_text())["failures"]) == ["1.png"]


def test_a_closed_pipe_and_an_ascii_terminal_are_no_tracebacks(tmp_path):
    command = [sys.executable, "-m", "evals", "list"]
    reader, writer = os.pipe()
    os.close(reader)
    closed = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert closed.returncode == 1
    assert closed.stderr == ""


@pytest.mark.parametrize("file", ["predictions.jsonl", "metrics.json"])
def test_files_of_another_tool_are_not_written_over(root, tmp_path, file, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / file).write_text('{"mine": 1}')  # no end of line, as after a crash
    assert f"holds {file}" in fails(["countbench", "--root", str(root), "--out", str(tmp_path / "out")], 2, capsys)
    assert (tmp_path / "out" / file).read_text() == '{"mine": 1}'


def test_half_a_line_does_not_spoil_the_next_one(tmp_path):
    stored = StoredPrediction(PhrasePrediction(("a",), ((),)), 1.0, {"F1": 1.0})
    with Journal(tmp_path, "image-phrase", {}) as journal:
        journal.keep("first", stored)
        with full_after(tmp_path / "predictions.jsonl"), pytest.raises(OutputError):
            journal.keep("second", stored)
        journal.keep("third", stored)  # by another worker, and there is space again
    assert len(Journal(tmp_path, "image-phrase", {}).predictions) == 2


def test_a_full_disk_is_no_failure_of_the_samples(root, tmp_path, capsys):
    full = Blocks(broken=("red blocks",), failure=OutputError("cannot write x: No space left on device"))
    error = fails(["countbench", "--root", str(root), "--out", str(tmp_path / "out")], 1, capsys, segmenter=full)
    assert "No space left on device; what was predicted is kept" in error
    assert not (tmp_path / "out/metrics.json").exists()


def test_two_samples_with_one_key_are_both_scored_and_kept(root, tmp_path):
    line = (root / "countbenchqa.jsonl").read_text().splitlines()[0]
    (root / "countbenchqa.jsonl").write_text(f"{line}\n{line}\n")
    arguments = ["countbench", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main(arguments, segmenter=Blocks()) == 0
    assert read_json(tmp_path / "out/metrics.json")["samples"] == 2
    lines = (tmp_path / "out/predictions.jsonl").read_text().splitlines()
    assert {json.loads(line)["key"] for line in lines} == {"0.png", "0.png #2"}
    assert main(["report", str(tmp_path / "out")]) == 0
