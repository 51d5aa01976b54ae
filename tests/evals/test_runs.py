"""The framework: resuming, failures, shards, reports, limits; always through the command."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from evals.app import main
from evals.results import Result
from sam3agent.mllm.base import MLLMError, MLLMReply, MLLMRequest
from sam3agent.mllm.errors import MLLMUnreachableError
from sam3agent.rules import RulesBackend
from tests.evals.world import Blocks, draw, rle_of, run

BOXES = [(8 * i, 8, 8 * i + 8, 24) for i in range(1, 6)]


@pytest.fixture
def count_root(tmp_path) -> Path:
    """Five pictures with one red block each; the question of number 3 names a blue one."""
    root = tmp_path / "count"
    rows = []
    for i, box in enumerate(BOXES):
        draw(root / f"images/{i}.png", ("red", box))
        what = "blue" if i == 3 else "red"
        rows.append({"image": f"{i}.png", "question": f"How many {what} blocks are there?", "number": 1})
    (root / "countbenchqa.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


@pytest.fixture
def asked_root(tmp_path) -> Path:
    """Five captions about three pictures."""
    root = tmp_path / "gs"
    rows = []
    for i, box in enumerate(BOXES):
        draw(root / f"{i % 3}.png", ("red", BOXES[i % 3]))
        row = {"idx": i, "image_path": f"{i % 3}.png", "caption": "the red block", "class_id": 0, "box": list(box)}
        rows.append({**row, "segmentation": rle_of(BOXES[i % 3])})
    (root / "GroundingSuite-Eval.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def test_an_interrupted_run_goes_on_where_it_was(count_root, capsys):
    broken = Blocks(broken=("blue blocks",), failure=KeyboardInterrupt())
    words = ["countbench", "--root", str(count_root), "--out", str(count_root / "out"), "--concurrency", "1"]
    assert main(words, segmenter=broken) == 130
    assert "goes on from here" in capsys.readouterr().err
    predictions = count_root / "out/predictions.jsonl"
    assert len(predictions.read_text().splitlines()) == 3
    with predictions.open("a") as file:
        file.write('{"key": "3.png", "phr')  # as if the machine had gone down while it wrote
    whole = Blocks()
    assert main(words, segmenter=whole) == 0
    assert whole.opened == 2
    result = json.loads((count_root / "out/metrics.json").read_text())
    assert result["figures"]["accuracy"] == 80
    assert result["scored"] == 5
    again = Blocks()
    assert main(words, segmenter=again) == 0
    assert again.opened == 0


def test_a_damaged_record_is_named(count_root, capsys):
    run("countbench", count_root)
    out = count_root.parent / "out-countbench"
    with (out / "predictions.jsonl").open("a") as file:
        file.write("what is this?\n")
    assert main(["countbench", "--root", str(count_root), "--out", str(out)], segmenter=Blocks()) == 2
    assert "predictions.jsonl: the prediction at byte" in capsys.readouterr().err


def test_failures_are_listed_and_tried_again(count_root, capsys):
    out = str(count_root / "out")
    words = ["countbench", "--root", str(count_root), "--out", out]
    assert main(words, segmenter=Blocks(broken=("blue blocks",))) == 1
    assert "1 of 5 samples failed" in capsys.readouterr().err
    result = Result.from_json(json.loads(Path(out, "metrics.json").read_text()))
    assert result.outcome.figures["accuracy"] == 100
    assert "the segmenter broke" in result.outcome.failures["3.png"]
    assert main(words, segmenter=Blocks()) == 0
    assert json.loads(Path(out, "metrics.json").read_text())["figures"]["accuracy"] == 80
    assert not Path(out, "failures.jsonl").exists()


def test_a_run_in_which_everything_fails_is_given_up(count_root, capsys):
    row = {"image": "0.png", "question": "How many blue blocks are there?", "number": 1}
    lines = [json.dumps({**row, "image": f"{i}.png"}) for i in range(100)]
    (count_root / "countbenchqa.jsonl").write_text("\n".join(lines))
    words = ["countbench", "--root", str(count_root), "--out", str(count_root / "out"), "--concurrency", "1"]
    assert main(words, segmenter=Blocks(broken=("blue blocks",))) == 1
    assert "20 samples in a row have failed" in capsys.readouterr().err
    assert len((count_root / "out/failures.jsonl").read_text().splitlines()) == 20


def test_a_folder_belongs_to_one_run(count_root, capsys):
    run("countbench", count_root)
    other = Blocks(name="other weights")
    run_out = str(count_root.parent / "out-countbench")
    assert main(["countbench", "--root", str(count_root), "--out", run_out], segmenter=other) == 2
    assert "holds a run with" in capsys.readouterr().err


def test_shards_join_into_the_figures_of_the_whole(count_root, capsys):
    whole = run("countbench", count_root)["figures"]
    for i in (1, 2, 3):
        words = ["countbench", "--root", str(count_root), "--out", str(count_root / f"runs/{i}"), "--shard", f"{i}/3"]
        assert main(words, segmenter=Blocks()) == 0
    capsys.readouterr()
    assert main(["report", str(count_root / "runs"), "--out", str(count_root / "report")]) == 0
    shown = capsys.readouterr().out
    assert json.loads((count_root / "report/report.json").read_text())[0]["figures"] == whole
    assert shown == (count_root / "report/report.md").read_text()
    assert "93.8" in shown  # the published figure stands beside ours
    assert main(["report", str(count_root / "runs/1"), str(count_root / "runs/3")]) == 2
    assert "shard 2/3 is missing" in capsys.readouterr().err


def test_a_limit_takes_the_first_samples_and_says_so(count_root, capsys):
    result = run("countbench", count_root, "--limit", "2")
    assert result["samples"] == 2
    assert "not the whole split" in capsys.readouterr().out


@dataclass
class Counting(RulesBackend):
    """The rules, slowed down, with the number of calls under way at once."""

    now: int = 0
    most: int = 0

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        return await super().decide(request)


@pytest.mark.parametrize("limit", [1, 3])
def test_questions_run_together_up_to_the_limit(asked_root, limit):
    backend, segmenter = Counting(), Blocks()
    words = ["groundingsuite", "--root", str(asked_root), "--out", str(asked_root / "out")]
    assert main([*words, "--concurrency", str(limit)], segmenter=segmenter, backend=backend) == 0
    assert backend.most == limit
    assert segmenter.opened == 3  # five captions, three pictures


class Failing(RulesBackend):
    """A server that goes away after the first question."""

    def __init__(self, good: int) -> None:
        self.good = good

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        self.good -= 1
        if self.good < 0:
            raise MLLMUnreachableError("No MLLM server answers at http://nowhere/v1.")
        return await super().decide(request)


def test_an_answer_cut_short_by_the_server_is_a_failure(asked_root):
    words = ["groundingsuite", "--root", str(asked_root), "--out", str(asked_root / "out"), "--concurrency", "1"]
    assert main(words, segmenter=Blocks(), backend=Failing(good=4)) == 1
    result = json.loads((asked_root / "out/metrics.json").read_text())
    assert result["figures"]["gIoU"] == 100
    assert result["scored"] + len(result["failures"]) == 5
    assert all("No MLLM server" in reason for reason in result["failures"].values())


def test_a_server_that_never_answers_ends_the_run_at_once(asked_root, capsys):
    words = ["groundingsuite", "--root", str(asked_root), "--out", str(asked_root / "out")]
    assert main(words, segmenter=Blocks(), backend=Failing(good=0)) == 1
    assert capsys.readouterr().err.startswith("evals: No MLLM server answers")
    assert issubclass(MLLMUnreachableError, MLLMError)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cocoo"], "did you mean coco?"),
        (["coco"], "needs --root"),
        (["coco", "--root", "/nowhere"], "there is no folder"),
        (["coco", "--root", "/tmp", "--split", "moon"], "it has val"),
        (["playground", "--shard", "3/2"], "expected i/n"),
        (["playground", "--limit", "0"], "at least 1"),
        (["playground", "--moon", "0"], "unrecognized arguments"),
        (["report", "/nowhere"], "holds no results"),
        (["saco-gold", "--root", "/tmp"], "gold_metaclip_merged_a_release_test.json"),
    ],
)
def test_bad_words_get_one_line(words, said, capsys):
    assert main(words, segmenter=Blocks()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_list_says_what_each_needs(capsys):
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
    assert wrong.stderr.startswith("evals: countbench: needs --root")
