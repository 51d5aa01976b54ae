"""The two Playground benchmarks: with perfect predictions, with no predictions, and by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.command import main
from evals.readers.playground import PlaygroundPhrases, read_questions
from evals.samples import DatasetSplit, Detection, QuestionPrediction, QuestionSample
from evals.scorers.referring import MaskTarget, PlaygroundScorer
from evals.shards import Shard
from sam3agent.media import Media
from sam3agent.segmenter import Prompt
from sam3model.instances import Instances, no_instances
from sam3model.playground import Scene, phrases, questions, scene
from tests.evals.block_images import rle_of, run

A, B = (8, 8, 24, 24), (8, 8, 24, 40)


@cache
def first_scenes() -> list[Scene]:
    return [scene("heldout", i) for i in range(2)]


@dataclass
class Oracle:
    """A segmenter that returns the ground truth of the first held-out scenes, or nothing if `finds` is False."""

    finds: bool = True
    name: str = "oracle"

    def open(self, media: Media) -> "OracleSession":
        return OracleSession(self, np.asarray(media.frame(0)))


@dataclass
class OracleSession:
    oracle: Oracle
    pixels: np.ndarray

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[Instances]:
        return [self._find(phrase) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> Instances:
        return self._find(prompt.phrase or "")

    def _find(self, phrase: str) -> Instances:
        height, width = self.pixels.shape[:2]
        drawn = next((known for known in first_scenes() if np.array_equal(known.image, self.pixels)), None)
        ids = {q.phrase: q.ids for q in phrases(drawn)}.get(phrase, ()) if self.oracle.finds and drawn else ()
        if drawn is None or not ids:
            return no_instances((width, height), phrase)
        objects = [drawn.objects[i] for i in ids]
        boxes = np.array([item.box for item in objects], np.float32)
        return Instances(np.stack([item.mask for item in objects]), boxes, np.full(len(ids), 0.9, np.float32), phrase)


def test_included_weights_run(tmp_path):
    assert main(["playground", "--limit", "2", "--out", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out/metrics.json").read_text())
    assert result["system"] == "tiny"
    assert result["settings"]["weights_file"]
    assert result["figures"]["pairs"] == sum(len(phrases(drawn)) for drawn in first_scenes())
    assert 0 <= result["figures"]["cgF1"] <= 100


def test_perfect_predictions_score_100(tmp_path):
    result = run("playground", tmp_path, "--limit", "2", segmenter=Oracle())
    got = result["figures"]
    assert got["cgF1"] == pytest.approx(100, abs=0.05)
    assert got["IL_MCC"] == pytest.approx(1, abs=1e-4)
    assert got["AP"] == pytest.approx(100)
    assert got["pairs"] == sum(len(phrases(scene("heldout", i))) for i in range(2))


def test_no_predictions_report_no_match(tmp_path):
    result = run("playground-questions", tmp_path, "--limit", "6", segmenter=Oracle(finds=False))
    expected = [question for i in range(3) for question in questions(scene("heldout", i))][:6]
    unanswerable = sum(not question.ids for question in expected)
    got = result["figures"]
    assert got["gIoU answerable"] == 0
    assert got["gIoU"] == pytest.approx(100 * unanswerable / 6)
    assert got["unanswerable"] == unanswerable
    assert got.get("no match reported", 100) == 100


def test_numbers_of_scenes_and_questions():
    scenes = PlaygroundPhrases("heldout")
    assert len(scenes) == 500
    assert scenes[3].key == "heldout/3"
    assert [scenes[index].key for index in (490, 491)] == ["heldout/490", "heldout/491"]
    samples = read_questions(DatasetSplit(Path(), "heldout"))
    assert len(samples) == len({sample.key for sample in samples}) == 200


def prediction(status: str, *boxes: tuple[int, int, int, int]) -> QuestionPrediction:
    return QuestionPrediction("q", status, (48, 64), tuple(Detection(0.9, (0, 0, 1, 1), rle_of(box)) for box in boxes))


def test_question_figures_by_hand():
    scorer = PlaygroundScorer()
    cases = [
        ("plain", [A], prediction("answered", A)),  # 1
        ("size", [B], prediction("answered", A)),  # 1/2
        ("none:noun", [], prediction("no_match")),  # 1
        ("none:noun", [], prediction("answered", A)),  # 0
        ("none:half", [], prediction("exhausted")),  # 0: it has no answer
    ]
    for number, (kind, boxes, answer) in enumerate(cases):
        sample = QuestionSample(str(number), lambda: Image.new("RGB", (64, 48)), "q", MaskTarget(rle_of(*boxes), kind))
        scorer.update(sample, answer)
    got = scorer.compute()
    assert got["gIoU"] == pytest.approx(100 * 2.5 / 5)
    assert got["gIoU answerable"] == pytest.approx(75)
    assert got["no match reported"] == pytest.approx(100 / 3)
    assert got["gIoU none:noun"] == pytest.approx(50)
    assert got["questions"] == 5


def test_shards_split_the_samples():
    keys = [
        [Shard(PlaygroundPhrases("heldout"), 5, shard, 2)[i].key for i in range(n)] for shard, n in ((0, 3), (1, 2))
    ]
    assert keys == [["heldout/0", "heldout/2", "heldout/4"], ["heldout/1", "heldout/3"]]
