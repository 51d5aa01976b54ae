"""What a run reports: statuses, costs, scores, the software; folders; several benchmarks in one command."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.benchmark_registry import BENCHMARKS
from evals.benchmark_results import BenchmarkResult, RunOutcome, read_result
from evals.command import main
from evals.published import PUBLISHED
from evals.result_tables import table
from evals.run_costs import short_reason
from evals.run_folders import run_folder, weights_label
from sam3agent.mllm.base import MLLMReply, MLLMRequest
from sam3agent.rules import RulesBackend
from tests.evals.block_images import Blocks, draw, rle_of, write_json

BOX = (8, 8, 24, 24)
CAPTIONS = ("the red block", "the blue block", "the leftmost red block", "the red block")


@pytest.fixture
def root(tmp_path) -> Path:
    """Four captions about two images, and a counting data set of the same images."""
    rows = []
    for i, caption in enumerate(CAPTIONS):
        draw(tmp_path / f"data/{i % 2}.png", ("red", BOX))
        draw(tmp_path / f"data/images/{i % 2}.png", ("red", BOX))
        row = {"idx": i, "image_path": f"{i % 2}.png", "caption": caption, "class_id": 0, "box": list(BOX)}
        rows.append({**row, "segmentation": rle_of(BOX)})
    (tmp_path / "data/GroundingSuite-Eval.jsonl").write_text("\n".join(map(json.dumps, rows)))
    count = {"image": "0.png", "question": "How many red blocks are there?", "number": 1}
    (tmp_path / "data/countbenchqa.jsonl").write_text(json.dumps(count))
    return tmp_path / "data"


class Useless(RulesBackend):
    """A model of which no reply can be used, after `good` calls that can."""

    name = "useless"

    def __init__(self, good: int = 0) -> None:
        self.good = good

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        self.good -= 1
        return await super().decide(request) if self.good >= 0 else MLLMReply(text="banana")


def asked(root: Path, out: Path, backend: RulesBackend, code: int, *flags: str) -> dict:
    arguments = ["groundingsuite", "--root", str(root), "--out", str(out), "--concurrency", "1", *flags]
    assert main(arguments, segmenter=Blocks(), backend=backend) == code
    return json.loads((out / "metrics.json").read_text())


def test_statuses_and_costs_are_counted(root, tmp_path, capsys):
    result = asked(root, tmp_path / "out", RulesBackend(), 0)
    costs = result["costs"]
    assert sum(costs["statuses"].values()) == 4
    assert costs["statuses"]["answered"] == 3
    assert costs["totals"]["segmenter_calls"] >= 4
    assert costs["means"]["segmenter_calls"] == pytest.approx(costs["totals"]["segmenter_calls"] / 4)
    assert costs["totals"]["seconds"] > 0
    shown = capsys.readouterr().out
    assert "| answered | no match | not understood | exhausted |" in " ".join(shown.split())
    assert read_result(tmp_path / "out/metrics.json").to_json() == result


def test_a_run_of_unusable_replies_says_so_and_fails(root, tmp_path, capsys):
    costs = asked(root, tmp_path / "out", Useless(), 1)["costs"]
    assert costs["statuses"] == {"exhausted": 4}
    assert costs["unusable"] == 4
    ((reason, count),) = costs["exhausted"].items()
    assert "unusable repl" in reason
    assert count == 4
    captured = capsys.readouterr()
    assert "4 of 4 questions failed technically (4 ended in unusable replies" in captured.err
    assert "exhausted because: " in captured.out


def test_a_few_unusable_replies_are_only_counted(root, tmp_path, capsys):
    question = asked(root, tmp_path / "one", RulesBackend(), 0, "--limit", "3")["costs"]
    assert question["unusable"] == 0
    costs = asked(root, tmp_path / "out", Useless(good=7), 0)["costs"]  # enough for more than half of the questions
    assert 1 <= costs["unusable"] <= 2
    assert "failed technically" not in capsys.readouterr().err


def test_every_stored_prediction_has_scores_and_seconds(root, tmp_path):
    asked(root, tmp_path / "out", RulesBackend(), 0)
    lines = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").read_text().splitlines()]
    assert [line["scores"]["IoU"] for line in lines] == [1.0, 0.0, 1.0, 1.0]
    assert all(line["seconds"] > 0 and line["reason"] for line in lines)


def test_predictions_of_an_older_version_get_scores_and_are_not_made_again(root, tmp_path):
    out = tmp_path / "out"
    before = asked(root, out, RulesBackend(), 0)
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    old = [{k: v for k, v in line.items() if k not in ("scores", "seconds", "reason")} for line in lines]
    (out / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    run = json.loads((out / "run.json").read_text())
    later = ("record", "threshold", "max_seconds", "max_segmenter_calls")
    write_json(out / "run.json", {name: value for name, value in run.items() if name not in later})
    segmenter = Blocks()
    arguments = ["groundingsuite", "--root", str(root), "--out", str(out)]
    assert main(arguments, segmenter=segmenter, backend=RulesBackend()) == 0
    assert segmenter.opened == 0
    assert json.loads((out / "metrics.json").read_text())["figures"] == before["figures"]
    latest = {line["key"]: line for line in map(json.loads, (out / "predictions.jsonl").read_text().splitlines())}
    assert all("IoU" in line["scores"] for line in latest.values())
    size = (out / "predictions.jsonl").stat().st_size
    assert main(arguments, segmenter=segmenter, backend=RulesBackend()) == 0
    assert (out / "predictions.jsonl").stat().st_size == size


def test_the_record_says_with_what_a_run_was_made(root, tmp_path):
    record = asked(root, tmp_path / "out", RulesBackend(), 0)["record"]
    assert record["date"].startswith("20")
    assert record["versions"]["numpy"] == np.__version__
    assert "commit" in record
    assert "started_with" not in record
    run = json.loads((tmp_path / "out/run.json").read_text())
    write_json(tmp_path / "out/run.json", {**run, "record": {**run["record"], "commit": "an older one"}})
    record = asked(root, tmp_path / "out", RulesBackend(), 0)["record"]
    assert record["started_with"]["commit"] == "an older one"


@pytest.mark.parametrize("flags", [("--threshold", "0.95"), ("--max-seconds", "9")])
def test_a_threshold_and_a_time_limit_belong_to_the_run(root, tmp_path, flags, capsys):
    figures = asked(root, tmp_path / "out", RulesBackend(), 0, *flags)["figures"]
    assert figures["gIoU"] == pytest.approx(75)  # this segmenter has no threshold
    arguments = ["groundingsuite", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main(arguments, segmenter=Blocks(), backend=RulesBackend()) == 2
    assert flags[0][2:].replace("-", "_") in capsys.readouterr().err


class Strict(Blocks):
    """Records the thresholds that it was given."""

    def open(self, media):
        session, given = super().open(media), self.__dict__.setdefault("given", set())
        find = session.segment_phrases

        def segment_phrases(phrases, threshold=None, frame=0):
            given.add(threshold)
            return find(phrases, threshold, frame)

        session.segment_phrases = segment_phrases
        return session


@pytest.mark.parametrize("name", ["countbench", "groundingsuite"])
def test_the_threshold_reaches_the_segmenter(root, tmp_path, name):
    segmenter = Strict()
    arguments = [name, "--root", str(root), "--out", str(tmp_path / "out"), "--threshold", "0.25"]
    assert main(arguments, segmenter=segmenter, backend=RulesBackend()) == 0
    assert 0.25 in segmenter.__dict__["given"]
    assert None not in segmenter.__dict__["given"]


def test_several_benchmarks_in_one_command(root, tmp_path, capsys):
    names = ["countbench", "groundingsuite", "countbench"]
    flags = ["--root", str(root), "--out", str(tmp_path / "all"), "--limit", "2", "--mllm", "rules"]
    assert main([*names, *flags], segmenter=Blocks(), backend=RulesBackend()) == 0
    shown = capsys.readouterr().out
    assert shown.index("## countbench") < shown.index("## groundingsuite")
    assert sorted(path.parent.name for path in (tmp_path / "all").rglob("metrics.json")) == names[:2]
    assert main(["report", str(tmp_path / "all")]) == 0


def test_a_benchmark_that_fails_does_not_stop_the_others(root, tmp_path, capsys):
    flags = ["--root", str(root), "--out", str(tmp_path / "all")]
    assert main(["refcoco", "countbench", *flags], segmenter=Blocks(), backend=RulesBackend()) == 2
    captured = capsys.readouterr()
    assert "refs(unc).p" in captured.err
    assert "## countbench" in captured.out


def test_predictions_belong_to_one_benchmark(root, capsys):
    assert main(["coco", "davis", "--root", str(root), "--predictions", str(root)]) == 2
    assert "name only one" in capsys.readouterr().err
    assert main(["--limit", "3"]) == 2
    assert "--limit comes before the name of a benchmark" in capsys.readouterr().err


def test_folders_are_named_by_weights_and_backend(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["groundingsuite", "--root", str(root), "--limit", "1"]
    assert main(arguments, segmenter=Blocks(), backend=RulesBackend()) == 0
    assert main(arguments, segmenter=Blocks(name="runs/x/final.safetensors"), backend=Useless()) == 1
    assert main([*arguments, "--shard", "1/1"], segmenter=Blocks(), backend=RulesBackend()) == 0
    assert main(["countbench", "--root", str(root)], segmenter=Blocks()) == 0
    folders = sorted(path.parent.relative_to("runs/evals").as_posix() for path in Path().rglob("metrics.json"))
    suite = "groundingsuite/test"
    assert folders == [
        "countbench/test-blocks",
        *(f"{suite}-blocks-rules", f"{suite}-blocks-rules-1-of-1", f"{suite}-x-final-useless"),
    ]
    assert main(["report"]) == 0  # reads runs/evals


def test_a_run_in_a_folder_of_an_older_version_goes_on(root, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    arguments = ["groundingsuite", "--root", str(root)]
    old = Path("runs/evals/groundingsuite/test")
    assert main([*arguments, "--out", str(old)], segmenter=Blocks(), backend=RulesBackend()) == 0
    again = Blocks()
    assert main(arguments, segmenter=again, backend=RulesBackend()) == 0
    assert again.opened == 0
    assert "going on with the run in runs/evals/groundingsuite/test" in caplog.text
    assert main(arguments, segmenter=Blocks(name="other"), backend=RulesBackend()) == 0  # another run: its own folder
    assert Path("runs/evals/groundingsuite/test-other-rules/metrics.json").exists()


def test_a_report_names_what_is_not_finished(root, tmp_path, caplog, capsys):
    asked(root, tmp_path / "runs/one", RulesBackend(), 0)
    asked(root, tmp_path / "runs/two", RulesBackend(), 0)
    (tmp_path / "runs/two/metrics.json").unlink()
    capsys.readouterr()
    assert main(["report", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().out.count("this run, 4 samples") == 1
    assert f"{tmp_path / 'runs/two'} is left out: not finished" in caplog.text


def test_names_of_folders_stay_short_and_plain():
    assert weights_label("/very/long/path/to/my weights (1).pt") == "to-my-weights-1"
    assert weights_label("") == ""
    assert run_folder("coco", "val", ("tiny",), None) == Path("runs/evals/coco/val-tiny")
    assert short_reason("no answer | after\x1b 5 rounds: x") == r"no answer / after\x1b 5 rounds"


def test_a_figure_has_one_column_and_a_published_row_is_shown_once():
    for name, benchmark in BENCHMARKS.items():
        for split in benchmark.splits:
            result = BenchmarkResult(name, split, "ours", RunOutcome(1, 1, {benchmark.headline[0]: 50.0}))
            rows = [line for line in table(benchmark, [result]).splitlines() if line.startswith("|")]
            header = [cell.strip() for cell in rows[0].strip("|").split("|")]
            assert len(set(header)) == len(header), name
            assert len(set(rows)) == len(rows), name
    assert "refcoco" in PUBLISHED


def test_a_score_that_is_not_finite_is_a_named_failure(root, tmp_path):
    arguments = ["countbench", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main(arguments, segmenter=Blocks(score=float("nan"))) == 1
    failures = json.loads((tmp_path / "out/metrics.json").read_text())["failures"]
    assert "the score of mask 1 is nan, not a finite number" in failures["0.png"]
    assert not (tmp_path / "out/predictions.jsonl").read_text()
