"""Runs: resuming, failures, shards, reports, limits and kinds of samples, mostly through the command."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from evals.benchmark_registry import BENCHMARKS
from evals.benchmark_results import read_result
from evals.benchmark_types import VideoBenchmark
from evals.command import main
from evals.prediction_records import StoredPrediction, from_record, to_record
from evals.samples import (
    DatasetSplit,
    Detection,
    PhrasePrediction,
    PredictedTrack,
    Prediction,
    QuestionPrediction,
    SampleKind,
    VideoPrediction,
    VideoSample,
)
from sam3agent.mllm.base import MLLMError, MLLMReply, MLLMRequest
from sam3agent.mllm.errors import MLLMUnreachableError
from sam3agent.rules import RulesBackend
from sam3model.errors import InputError
from tests.evals.block_images import Blocks, draw, rle_of, run
from tests.evals.failing_server import Failing

BOXES = [(8 * i, 8, 8 * i + 8, 24) for i in range(1, 6)]


@pytest.fixture
def count_root(tmp_path) -> Path:
    """Five images with one red block each; question 3 asks for a blue one."""
    root = tmp_path / "count"
    rows = []
    for i, box in enumerate(BOXES):
        draw(root / f"images/{i}.png", ("red", box))
        colour = "blue" if i == 3 else "red"
        rows.append({"image": f"{i}.png", "question": f"How many {colour} blocks are there?", "number": 1})
    (root / "countbenchqa.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


@pytest.fixture
def caption_root(tmp_path) -> Path:
    """Five captions about three images."""
    root = tmp_path / "gs"
    rows = []
    for i, box in enumerate(BOXES):
        draw(root / f"{i % 3}.png", ("red", BOXES[i % 3]))
        row = {"idx": i, "image_path": f"{i % 3}.png", "caption": "the red block", "class_id": 0, "box": list(box)}
        rows.append({**row, "segmentation": rle_of(BOXES[i % 3])})
    (root / "GroundingSuite-Eval.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def test_an_interrupted_run_resumes(count_root, capsys):
    broken = Blocks(broken=("blue blocks",), failure=KeyboardInterrupt())
    arguments = ["countbench", "--root", str(count_root), "--out", str(count_root / "out"), "--concurrency", "1"]
    assert main(arguments, segmenter=broken) == 130
    assert "run the same command again to resume" in capsys.readouterr().err
    predictions = count_root / "out/predictions.jsonl"
    assert len(predictions.read_text().splitlines()) == 3
    with predictions.open("a") as file:
        file.write('{"key": "3.png", "phr')  # as after a crash while writing
    whole = Blocks()
    assert main(arguments, segmenter=whole) == 0
    assert whole.opened == 2
    result = json.loads((count_root / "out/metrics.json").read_text())
    assert result["figures"]["accuracy"] == 80
    assert result["scored"] == 5
    again = Blocks()
    assert main(arguments, segmenter=again) == 0
    assert again.opened == 0


def test_a_damaged_prediction_is_reported(count_root, capsys):
    run("countbench", count_root)
    out = count_root.parent / "out-countbench"
    with (out / "predictions.jsonl").open("a") as file:
        file.write("what is this?\n")
    assert main(["countbench", "--root", str(count_root), "--out", str(out)], segmenter=Blocks()) == 2
    assert "predictions.jsonl: the prediction at byte" in capsys.readouterr().err


def test_failures_are_listed_and_retried(count_root, capsys):
    out = str(count_root / "out")
    arguments = ["countbench", "--root", str(count_root), "--out", out]
    assert main(arguments, segmenter=Blocks(broken=("blue blocks",))) == 1
    assert "1 of 5 samples failed" in capsys.readouterr().err
    result = read_result(Path(out, "metrics.json"))
    assert result.outcome.figures["accuracy"] == 100
    assert "the segmenter broke" in result.outcome.failures["3.png"]
    assert main(arguments, segmenter=Blocks()) == 0
    assert json.loads(Path(out, "metrics.json").read_text())["figures"]["accuracy"] == 80
    assert not Path(out, "failures.jsonl").exists()


def test_a_run_stops_after_20_consecutive_failures(count_root, capsys):
    row = {"image": "0.png", "question": "How many blue blocks are there?", "number": 1}
    lines = [json.dumps({**row, "image": f"{i}.png"}) for i in range(100)]
    (count_root / "countbenchqa.jsonl").write_text("\n".join(lines))
    arguments = ["countbench", "--root", str(count_root), "--out", str(count_root / "out"), "--concurrency", "1"]
    assert main(arguments, segmenter=Blocks(broken=("blue blocks",))) == 1
    assert "20 samples in a row failed" in capsys.readouterr().err
    assert len((count_root / "out/failures.jsonl").read_text().splitlines()) == 20


def test_a_folder_holds_one_run(count_root, capsys):
    run("countbench", count_root)
    other = Blocks(name="other weights")
    run_out = str(count_root.parent / "out-countbench")
    assert main(["countbench", "--root", str(count_root), "--out", run_out], segmenter=other) == 2
    assert "holds a run with" in capsys.readouterr().err


def test_joined_shards_have_the_figures_of_the_whole_run(count_root, capsys):
    whole = run("countbench", count_root)["figures"]
    for i in (1, 2, 3):
        arguments = [
            "countbench",
            "--root",
            str(count_root),
            "--out",
            str(count_root / f"runs/{i}"),
            "--shard",
            f"{i}/3",
        ]
        assert main(arguments, segmenter=Blocks()) == 0
    capsys.readouterr()
    assert main(["report", str(count_root / "runs"), "--out", str(count_root / "report")]) == 0
    shown = capsys.readouterr().out
    assert json.loads((count_root / "report/report.json").read_text())[0]["figures"] == whole
    assert shown == (count_root / "report/report.md").read_text()
    assert "93.8" in shown  # the published figure is shown, too
    assert main(["report", str(count_root / "runs/1"), str(count_root / "runs/3")]) == 2
    assert "shard 2/3 is missing" in capsys.readouterr().err
    assert main(["report", str(count_root / "runs"), str(count_root / "runs/1")]) == 0  # a folder named twice
    assert capsys.readouterr().out == shown
    shutil.copytree(count_root / "runs/1", count_root / "runs/copy")
    assert main(["report", str(count_root / "runs")]) == 2
    assert "shard 1/3 is in" in capsys.readouterr().err


def test_a_report_does_not_score_predictions_for_other_samples(count_root, capsys):
    for i in (1, 2):
        run("countbench", count_root, "--shard", f"{i}/2")
    text = (count_root / "countbenchqa.jsonl").read_text()
    (count_root / "countbenchqa.jsonl").write_text(text.replace("blue", "red"))
    folders = [str(count_root.parent / f"out-countbench--shard{i}_2") for i in (1, 2)]
    assert main(["report", *folders, "--out", str(count_root / "report")]) == 0
    result = json.loads((count_root / "report/report.json").read_text())[0]
    assert list(result["failures"].values()) == ["its prediction is for another sample"]
    assert result["scored"] == 4


def test_shards_of_different_runs_are_told_apart(count_root, capsys):
    run("countbench", count_root, "--shard", "1/2")
    run("countbench", count_root, "--shard", "2/2", "--threshold", "0.3")
    folders = [str(count_root.parent / f"out-countbench--shard{i}") for i in ("1_2", "2_2--threshold0.3")]
    assert main(["report", *folders]) == 2
    message = f"shard 2/2 is missing; the one in {folders[1]} is of another run, with another threshold"
    assert message in capsys.readouterr().err
    run("countbench", count_root, "--shard", "1/2", "--threshold", "0.3")  # the same shard is not the missing one
    folders.append(str(count_root.parent / "out-countbench--shard1_2--threshold0.3"))
    assert main(["report", folders[0], folders[2]]) == 2
    assert "shard 2/2 is missing\n" in capsys.readouterr().err
    assert main(["report", folders[0], folders[2], folders[1]]) == 2
    assert message in capsys.readouterr().err


def test_a_report_looks_for_a_prediction_in_every_shard(count_root):
    whole = run("countbench", count_root)
    for i in (1, 2):
        run("countbench", count_root, "--shard", f"{i}/2")
    folders = [count_root.parent / f"out-countbench--shard{i}_2" for i in (1, 2)]
    line = json.loads((folders[1] / "predictions.jsonl").read_text().splitlines()[0])
    with (folders[0] / "predictions.jsonl").open("a") as file:
        file.write(json.dumps({**line, "phrases": ["green blocks"]}) + "\n")
    assert main(["report", *map(str, folders), "--out", str(count_root / "report")]) == 0
    result = json.loads((count_root / "report/report.json").read_text())[0]
    assert not result["failures"]
    assert result["figures"] == whole["figures"]


def test_a_limit_takes_the_first_samples_and_is_reported(count_root, capsys):
    result = run("countbench", count_root, "--limit", "2")
    assert result["samples"] == 2
    assert "not the whole split" in capsys.readouterr().out


@dataclass
class SlowRules(RulesBackend):
    """The rules backend, slowed down; counts concurrent calls."""

    current: int = 0
    maximum: int = 0

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        self.current += 1
        self.maximum = max(self.maximum, self.current)
        await asyncio.sleep(0.02)
        self.current -= 1
        return await super().decide(request)


@pytest.mark.parametrize("limit", [1, 3])
def test_questions_run_concurrently_up_to_the_limit(caption_root, limit):
    backend, segmenter = SlowRules(), Blocks()
    arguments = ["groundingsuite", "--root", str(caption_root), "--out", str(caption_root / "out")]
    assert main([*arguments, "--concurrency", str(limit)], segmenter=segmenter, backend=backend) == 0
    assert backend.maximum == limit
    assert segmenter.opened == 3  # five captions, three images


def test_an_answer_cut_short_by_the_server_is_a_failure(caption_root):
    arguments = [
        "groundingsuite",
        "--root",
        str(caption_root),
        "--out",
        str(caption_root / "out"),
        "--concurrency",
        "1",
    ]
    assert main(arguments, segmenter=Blocks(), backend=Failing(good=4)) == 1
    result = json.loads((caption_root / "out/metrics.json").read_text())
    assert result["figures"]["gIoU"] == 100
    assert result["scored"] + len(result["failures"]) == 5
    assert all("No MLLM server" in reason for reason in result["failures"].values())


def test_an_unreachable_server_stops_the_run_at_once(caption_root, capsys):
    arguments = ["groundingsuite", "--root", str(caption_root), "--out", str(caption_root / "out")]
    assert main(arguments, segmenter=Blocks(), backend=Failing(good=0)) == 1
    assert capsys.readouterr().err.startswith("evals: No MLLM server answers")
    assert issubclass(MLLMUnreachableError, MLLMError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cocoo"], "did you mean coco?"),
        (["coco"], "--root is missing"),
        (["coco", "--root", "/nowhere"], "--root /nowhere is not a folder"),
        (["coco", "--root", "/tmp", "--split", "moon"], "choose from val"),
        (["playground", "--shard", "3/2"], "expected i/n"),
        (["playground", "--limit", "0"], "at least 1"),
        (["playground", "--moon", "0"], "unrecognized arguments"),
        (["report", "/nowhere"], "contains no results"),
        (["davis", "--root", "/tmp"], "ImageSets/2017/val.txt"),
        (["mevis", "--root", "/tmp"], "there is no file /tmp/valid_u/meta_expressions.json"),
        (["saco-gold", "--root", "/tmp"], "gold_metaclip_merged_a_release_test.json"),
    ],
)
def test_invalid_arguments_get_a_one_line_error(arguments, message, capsys):
    assert main(arguments, segmenter=Blocks()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_list_shows_required_files(capsys):
    assert main(["list", "countbench", "reasonseg"]) == 0
    shown = capsys.readouterr().out
    assert "CountBenchQA" in shown
    assert "X.jpg and X.json" in shown
    assert main(["list"]) == 0
    names = [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if line and line[0] != " "]
    assert {"playground", "saco-gold", "coco", "lvis", "odinw", "rf100vl", "refcoco+", "omnilabel", "mmr"} <= set(names)


def test_the_command_as_a_process(count_root):
    wrong = subprocess.run([sys.executable, "-m", "evals", "countbench"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("evals: countbench: --root is missing")


def test_predictions_are_read_back_by_kind():
    detection = Detection(0.5, (0.0, 0.0, 2.0, 2.0), rle_of(BOXES[0]))
    predictions: dict[SampleKind, Prediction] = {
        "image-phrase": PhrasePrediction(("red block", "blue block"), ((detection,), ())),
        "video": VideoPrediction(
            ("red block",),
            ("00000", "00001"),
            (48, 64),
            (PredictedTrack("red block", 0.5, (None, detection.mask)),),
            QuestionPrediction("red block", "answered", (96, 64), (), warnings=("slow",)),
        ),
        "image-question": QuestionPrediction("which?", "answered", (48, 64), (detection,), trace="traces/1"),
    }
    for kind, prediction in predictions.items():
        stored = StoredPrediction(prediction, 1.5, {"IoU": 0.25})
        record = json.loads(json.dumps(to_record("key", stored)))
        assert from_record(record, kind) == ("key", stored)
        old = {name: value for name, value in record.items() if name not in ("seconds", "scores")}
        assert from_record(old, kind) == ("key", StoredPrediction(prediction))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("tokens", [], "tokens: must be a valid integer"),
        ("tokens", 10**30, "tokens: must be less than"),
        ("status", None, "status: must be a valid string"),
        ("size", [10**9, 10**9], "size: not the height and width"),
        (
            "detections",
            [{"score": 0.5, "box": [0, 0, 2, 2], "mask": {"size": [10**9, 768], "counts": "0"}}],
            "impossible",
        ),
        ("seconds", "long", "must be a valid number"),
    ],
)
def test_a_damaged_prediction_is_refused_before_it_is_scored(field, value, reason):
    stored = StoredPrediction(QuestionPrediction("which?", "answered", (48, 64), ()))
    record = json.loads(json.dumps({**to_record("key", stored), field: value}))
    with pytest.raises((ValueError, InputError), match=re.escape(reason)):
        from_record(record, "image-question")


def test_samples_have_the_kind_of_their_benchmark(count_root, caption_root):
    for name, root in (("countbench", count_root), ("groundingsuite", caption_root), ("playground", Path())):
        benchmark = BENCHMARKS[name]
        assert not isinstance(benchmark, VideoBenchmark)
        assert benchmark.read(DatasetSplit(root, benchmark.splits[0]))[0].kind == benchmark.kind
    assert VideoSample.kind == BENCHMARKS["davis"].kind == "video"


def test_a_prediction_with_other_phrases_is_not_reused(count_root):
    run("countbench", count_root)
    text = (count_root / "countbenchqa.jsonl").read_text()
    (count_root / "countbenchqa.jsonl").write_text(text.replace("blue", "red"))
    segmenter = Blocks()
    assert run("countbench", count_root, segmenter=segmenter)["figures"]["accuracy"] == 100
    assert segmenter.opened == 1
