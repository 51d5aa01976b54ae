"""Confidence intervals and scores per sample: equal to a plain bootstrap that scores every resample from the start."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evals.benchmark_types import Scorer
from evals.command import main
from evals.intervals import Draws, Resampling, intervals
from evals.samples import (
    ClickPrediction,
    ClickSample,
    Detection,
    MaskedClip,
    MaskletPrediction,
    MaskletSample,
    PhrasePrediction,
    PhraseSample,
    PredictedTrack,
    QuestionPrediction,
    QuestionSample,
)
from evals.scorers.clicks import ClickScorer
from evals.scorers.concepts import ConceptScorer, PhraseTarget
from evals.scorers.counting import CountingScorer
from evals.scorers.detection import DetectionScorer, DetectionTarget, ImageTargets
from evals.scorers.grounding import GroundingScorer, GroundingTarget
from evals.scorers.mmr import MmrScorer
from evals.scorers.playground_clips import MaskletScorer
from evals.scorers.referring import MaskTarget, PlaygroundScorer, ReasoningScorer, ReferringScorer
from sam3model.ops.masks import encode_rle

SIZE = (12, 16)
Pair = tuple[Any, Any]
rng = np.random.default_rng(3)


def block(x: int, width: int) -> dict[str, Any]:
    mask = np.zeros(SIZE, bool)
    mask[2:9, x : x + width] = True
    return encode_rle(mask)


def blocks(count: int) -> list[tuple[int, int]]:
    return [(int(rng.integers(0, 8)), int(rng.integers(0, 7))) for _ in range(count)]


def found(count: int) -> tuple[Detection, ...]:
    return tuple(Detection(float(rng.random()), (x, 2, max(w, 1), 7), block(x, max(w, 1))) for x, w in blocks(count))


def no_image() -> Image.Image:
    raise AssertionError("a scorer needs no image")


def question(key: str, target: Any) -> Pair:
    status = ("answered", "no_match")[int(rng.integers(2))]
    prediction = QuestionPrediction("which?", status, SIZE, found(int(rng.integers(0, 2))))
    return QuestionSample(key, no_image, "which?", target), prediction


def mask_question(key: str, kinds: Sequence[str] = ("",)) -> Pair:
    kind = kinds[int(rng.integers(len(kinds)))]
    x, width = blocks(1)[0]
    return question(key, MaskTarget(block(x, 0 if kind.startswith("none:") else width), kind))


def phrases(key: str) -> Pair:
    targets = tuple(
        PhraseTarget(f"{key}/{i}", (tuple(block(x, w + 1) for x, w in blocks(int(rng.integers(0, 3)))),))
        for i in (0, 1)
    )
    sample = PhraseSample(key, no_image, ("a", "b"), targets)
    return sample, PhrasePrediction(("a", "b"), (found(2), found(int(rng.integers(0, 2)))))


def image(key: str) -> Pair:
    boxes = {c: [(x, 2, w + 1, 7) for x, w in blocks(int(rng.integers(0, 3)))] for c in (1, 2)}
    targets = {c: tuple(DetectionTarget(b, block(b[0], b[2]), 7 * b[2], False) for b in bs) for c, bs in boxes.items()}
    sample = PhraseSample(key, no_image, ("a", "b"), ImageTargets(int(key), (1, 2), targets))
    return sample, PhrasePrediction(("a", "b"), (found(3), found(1)))


def count(key: str) -> Pair:
    return PhraseSample(key, no_image, ("a",), int(rng.integers(0, 3))), PhrasePrediction(("a",), (found(2),))


def clicks(key: str) -> Pair:
    masks = tuple(block(x, w + 1) for x, w in blocks(int(rng.integers(1, 3))))
    rows = tuple(tuple(block(x, w) for x, w in blocks(2)) for _ in masks)
    return ClickSample(key, no_image, masks), ClickPrediction(("1 click", "box"), rows)


def grounding(key: str) -> Pair:
    x, width = blocks(1)[0]
    return question(key, GroundingTarget(block(x, width + 1), (x, 2, width + 1, 7), "0"))


def several(key: str) -> Pair:
    return question(key, tuple(block(x, w + 1) for x, w in blocks(2)))


def clip(key: str) -> Pair:
    frames = tuple(np.zeros((*SIZE, 3), np.uint8) for _ in range(4))
    masks = tuple(tuple(block(x, w + 1) for x, w in blocks(4)) for _ in range(2))
    whole = MaskedClip(frames, masks, ("a", "a"), (0, 1), ((0, 1), ()))
    tracks = tuple(PredictedTrack(str(i), 1.0, tuple(block(x, w) for x, w in blocks(4))) for i in (0, 1))
    named = tuple(PredictedTrack("a", 0.9, track.masks) for track in tracks)
    sample = MaskletSample(key, ("a", "b"), lambda: whole)
    return sample, MaskletPrediction(("a", "b"), {"mask": tracks, "click": tracks, "phrase": named})


SCORERS: dict[str, tuple[Callable[[], Any], Callable[[str], Pair], set[str]]] = {
    "reasoning": (ReasoningScorer, mask_question, {"gIoU", "cIoU"}),
    "referring": (ReferringScorer, mask_question, {"gIoU", "cIoU", "Pr@0.5", "N_acc", "T_acc"}),
    "playground": (
        PlaygroundScorer,
        partial(mask_question, kinds=("left", "none:kind")),
        {"gIoU", "gIoU answerable", "no match reported", "cIoU", "gIoU left"},
    ),
    "mmr": (MmrScorer, several, {"gIoU", "cIoU", "union gIoU"}),
    "grounding": (GroundingScorer, grounding, {"gIoU", "box Acc@0.5"}),
    "counting": (CountingScorer, count, {"accuracy", "MAE"}),
    "concepts": (partial(ConceptScorer, ap=True), phrases, {"cgF1", "pmF1", "IL_MCC", "AP"}),
    "detection": (partial(DetectionScorer, concepts=True), image, {"box AP", "mask AP", "cgF1"}),
    "clicks": (ClickScorer, clicks, {"IoU 1 click", "IoU>=0.8 box"}),
    "clips": (MaskletScorer, clip, {"mask J&F", "click J&F", "mask ID switches", "cgF1", "pHOTA", "ID switches"}),
}


def scored(make: Callable[[], Any], pairs: Sequence[Pair]) -> Any:
    scorer = make()
    for sample, prediction in pairs:
        scores = scorer.update(sample, prediction)
        assert scores
        assert all(isinstance(value, int | float) for value in scores.values())
    return scorer


@pytest.mark.parametrize("name", SCORERS)
def test_a_resample_has_the_figures_of_its_samples(name):
    make, draw, names = SCORERS[name]
    pairs = [draw(str(number)) for number in range(12)]
    scorer: Scorer = scored(make, pairs)
    assert isinstance(scorer, Resampling)
    kept = np.array([[1] * 12, [1, 0] * 6, [0, 1, 1] * 4])  # without repetition, so that the scorer can score them
    figures = scorer.resample(Draws(kept.astype(float), [sample.key for sample, _ in pairs]))
    assert names <= set(figures)
    for row, flags in enumerate(kept):
        expected = scored(make, [pair for pair, flag in zip(pairs, flags, strict=True) if flag]).compute()
        for figure in figures:
            if figure in expected:
                assert figures[figure][row] == pytest.approx(expected[figure], abs=1e-9, nan_ok=True), figure


def test_a_repeated_sample_counts_repeatedly():
    pairs = [phrases(str(number)) for number in range(4)]
    whole: Any = scored(partial(ConceptScorer, ap=True), pairs)
    twice = whole.resample(Draws(np.array([[2.0, 0, 1, 0]]), list("0123")))
    copy = [
        (PhraseSample("9", no_image, s.phrases, tuple(PhraseTarget(f"9{t.key}", t.annotators) for t in s.target)), p)
        for s, p in pairs[:1]
    ]
    expected = scored(partial(ConceptScorer, ap=True), [pairs[0], *copy, pairs[2]]).compute()
    for figure in ("cgF1", "AP"):
        assert twice[figure][0] == pytest.approx(expected[figure])


def test_intervals_hold_the_figure_and_are_the_same_again():
    pairs = [mask_question(str(number)) for number in range(40)]
    scorer = scored(ReasoningScorer, pairs)
    figures = scorer.compute()
    keys = [sample.key for sample, _ in pairs]
    first = intervals(scorer, keys, figures)
    low, high = first["gIoU"]
    assert low < figures["gIoU"] < high
    assert intervals(scorer, reversed(keys), figures) == first
    assert intervals(scorer, keys, figures, resamples=0) == {}
    assert intervals(scorer, keys[:1], figures) == {}


def test_the_interval_of_a_mean_has_the_width_that_theory_says():
    values = np.array([0.0, 1.0] * 200)
    drawn = intervals(_Mean(values), map(str, range(400)), {"mean": 0.5})
    low, high = drawn["mean"]
    error = 1.96 * values.std() / 20  # standard error of the mean of 400 values
    assert (low, high) == pytest.approx((0.5 - error, 0.5 + error), abs=0.01)


class _Mean:
    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def resample(self, draws: Draws) -> dict[str, np.ndarray]:
        return {"mean": draws.mean([str(i) for i in range(len(self.values))], self.values)}


def test_resamples_of_a_benchmark_without_intervals_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    flags = ["--root", str(tmp_path), "--out", str(tmp_path / "out"), "--resamples"]
    for name in ("davis", "revos", "omnilabel"):
        assert main([name, *flags, "50"]) == 2
        assert f"{name} has no confidence intervals: leave out --resamples" in capsys.readouterr().err
        assert main([name, *flags, "0"]) == 2
        assert "leave out --resamples" not in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert "--resamples" not in capsys.readouterr().out
    assert main(["davis", "countbench", *flags, "50"]) == 2  # there is no data
    assert "leave out --resamples" not in capsys.readouterr().err
    assert "davis has no confidence intervals: --resamples changes nothing there" in caplog.text
    assert "countbench has no confidence intervals" not in caplog.text
