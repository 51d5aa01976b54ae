"""Shards of one run, made on several machines: weights are told apart by content, software by the records."""

import json
import os
from pathlib import Path

import pytest

from evals.command import main
from evals.run_record import differing_software
from evals.weights_hash import modified, weights_hash
from tests.evals.block_images import Blocks, draw, write_json


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images with a red block each."""
    rows = []
    for i in range(2):
        draw(tmp_path / f"data/images/{i}.png", ("red", (8, 8, 24, 24)))
        rows.append({"image": f"{i}.png", "question": "How many red blocks are there?", "number": 1})
    (tmp_path / "data/countbenchqa.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "data"


def ran(root: Path, weights: Path, out: Path, *flags: str) -> int:
    arguments = ["countbench", "--root", str(root), "--out", str(out), "--weights", str(weights), *flags]
    return main(arguments, segmenter=Blocks(name=str(weights)))


def test_copies_of_weights_are_the_same_and_any_changed_byte_is_not(tmp_path: Path) -> None:
    content = bytes(3 << 20)
    (tmp_path / "a.safetensors").write_bytes(content)
    (tmp_path / "b.safetensors").write_bytes(content)
    os.utime(tmp_path / "b.safetensors", (1, 1))
    (tmp_path / "c.safetensors").write_bytes(content[: 1 << 20] + b"\1" + content[1 + (1 << 20) :])
    one, copy, other = (weights_hash(str(tmp_path / f"{name}.safetensors")) for name in "abc")
    assert one == copy != other
    for name in ("d", "e"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "e" / "notes.txt").write_text("of no account")
    assert weights_hash(str(tmp_path / "d")) == weights_hash(str(tmp_path / "e")) is not None
    (tmp_path / "e" / "config.json").write_text('{"a": 1}')
    assert weights_hash(str(tmp_path / "d")) != weights_hash(str(tmp_path / "e"))
    assert weights_hash("facebook/sam3") is weights_hash(str(tmp_path / "missing")) is None


def test_shards_with_copied_weights_join_and_those_with_other_weights_do_not(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, runs = tmp_path / "w.safetensors", tmp_path / "runs"
    weights.write_bytes(b"weights")
    assert ran(root, weights, runs / "1", "--shard", "1/2") == 0
    os.utime(weights, (1, 1))
    assert ran(root, weights, runs / "2", "--shard", "2/2") == 0
    assert main(["report", str(runs)]) == 0
    weights.write_bytes(b"trained")
    assert ran(root, weights, runs / "2", "--shard", "2/2") == 2
    assert "holds a run with weights_file " in capsys.readouterr().err
    assert ran(root, weights, tmp_path / "more/2", "--shard", "2/2") == 0
    assert main(["report", str(runs / "1"), str(tmp_path / "more")]) == 2
    assert "is of another run, with another weights_file" in capsys.readouterr().err


def test_a_run_that_was_recorded_with_a_modification_time_goes_on(root: Path, tmp_path: Path) -> None:
    weights, out = tmp_path / "w.safetensors", tmp_path / "out"
    weights.write_bytes(b"weights")
    assert ran(root, weights, out) == 0
    run = json.loads((out / "run.json").read_text())
    write_json(out / "run.json", {**run, "weights_file": modified(str(weights))})
    assert ran(root, weights, out) == 0
    os.utime(weights, (1, 1))
    assert ran(root, weights, out) == 2


def test_shards_of_different_software_are_named(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for shard in ("1/2", "2/2"):
        assert ran(root, tmp_path / "none", tmp_path / "runs" / shard[0], "--shard", shard) == 0
    path = tmp_path / "runs/2/metrics.json"
    result = json.loads(path.read_text())
    assert main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "same")]) == 0
    assert "shards were made" not in caplog.text
    result["record"] |= {"commit": "older", "versions": {**result["record"]["versions"], "torch": "2.6.0"}}
    write_json(path, result)
    assert main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "joined")]) == 0
    assert "shards were made with another commit, torch; report.json has all records" in caplog.text
    same, joined = (json.loads((tmp_path / n / "report.json").read_text())[0]["record"] for n in ("same", "joined"))
    assert "shards" not in same and joined["shards"]["2/2"]["commit"] == "older"


def test_what_a_resumed_run_was_started_with_counts() -> None:
    now = {"commit": "b", "versions": {"torch": "2.13"}}
    assert differing_software([now, {**now, "date": "later"}]) == []
    assert differing_software([now, {**now, "started_with": {**now, "commit": "a"}}]) == ["commit"]
    assert differing_software([now, {}]) == ["commit", "torch"]
