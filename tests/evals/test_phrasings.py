"""The questions in many wordings: their answers, their segmenter and their figures."""

from pathlib import Path

import numpy as np
import pytest

from evals.command import main
from evals.phrasings.phrasing_set import phrasings, scenes
from evals.phrasings.true_masks import TrueMaskSession
from evals.samples import Detection, QuestionPrediction, Rle
from evals.scorers.phrasings import PhrasingTarget, outcome
from sam3model.ops.masks import encode_rle


def test_there_are_many_and_a_third_is_held_back() -> None:
    kinds = {one.kind for one in phrasings()}
    assert len(phrasings()) >= 600
    assert 0.3 < np.mean([one.held_back for one in phrasings()]) < 0.37
    assert {"ordinals", "counts", "negation", "comparison", "relations", "unions", "typos", "unanswerable"} <= kinds
    assert len({one.key for one in phrasings()}) == len(phrasings())


def test_the_segmenter_with_true_masks_skips_words_that_it_does_not_know() -> None:
    shown = scenes()[-1]
    session = TrueMaskSession(shown)
    found, none = session.segment_phrases(["half of the player than white", "wug"])
    assert len(found.masks) == sum(one.kind == "player" and one.colour == "white" for one in shown.objects)
    assert len(none.masks) == 0


def square(at: int) -> Rle:
    mask = np.zeros((20, 60), bool)
    mask[5:15, at : at + 10] = True
    return encode_rle(mask)


ONE, TWO = square(0), square(30)


@pytest.mark.parametrize(
    ("target", "masks", "status", "warnings", "expected"),
    [
        ((ONE, TWO), (TWO, ONE), "answered", (), "right"),
        ((ONE,), (ONE,), "answered", ("open",), "right"),
        ((ONE,), (ONE, TWO), "answered", (), "silently wrong"),
        ((ONE,), (TWO,), "answered", ("open",), "warned"),
        ((ONE,), (), "no_match", (), "silently wrong"),
        ((ONE,), (TWO,), "answered", ("sam3-tiny knows drawn scenes only; …",), "silently wrong"),
        ((ONE,), (), "not_understood", (), "not understood"),
        ((), (), "no_match", (), "right"),
        ((), (ONE,), "answered", (), "silently wrong"),
        (None, (), "not_understood", (), "right"),
        (None, (), "no_match", (), "silently wrong"),
        (None, (ONE,), "answered", ("open",), "right"),
        ((ONE,), (TWO,), "answered", ("mask 1 has a score of 0.52, close to the threshold: look at it",), "warned"),
        (None, (ONE,), "answered", ("mask 1 has a score of 0.52, close to the threshold: …",), "silently wrong"),
    ],
)
def test_outcomes(
    target: tuple[Rle, ...] | None, masks: tuple[Rle, ...], status: str, warnings: tuple[str, ...], expected: str
) -> None:
    detections = tuple(Detection(0.9, (0, 0, 1, 1), mask) for mask in masks)
    prediction = QuestionPrediction("?", status, (20, 60), detections, warnings=warnings)
    assert outcome(PhrasingTarget(target, "plain"), prediction) == expected


def test_a_missing_part_must_be_said() -> None:
    prediction = QuestionPrediction("?", "answered", (20, 60), (Detection(0.9, (0, 0, 1, 1), ONE),))
    assert outcome(PhrasingTarget((ONE,), "unions", partial=True), prediction) == "silently wrong"


def test_the_benchmark_runs_with_true_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["playground-phrasings", "--shard", "1/8", "--out", str(tmp_path)]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "true masks + rules" in output
    assert "silently wrong" in output
