"""The simulated MLLM: its luck repeats, its skill is the one that was asked for, and a perfect one is nearly right."""

import numpy as np
import pytest

from evals.command import main
from evals.simulated.mask_cover import cover_of
from evals.simulated.mind import Mind
from evals.simulated.mllm_skill import Skill
from evals.simulated.noisy_segmenter import PERFECT, MaskNoise, NoisySegmenter
from evals.simulated.plan_answer import describe
from evals.simulated.scene_questions import scene_questions
from evals.simulated.simulated_results import SimulatedResult, figures, reliability
from evals.simulated.simulated_run import Simulation, simulate
from sam3agent.masks import Mask


def test_the_questions_mean_what_playground_says() -> None:
    cases = scene_questions(30)
    assert len(cases) == 30 and all(case.ideal() == case.truth for case in cases)
    assert any(not case.truth for case in cases) and any(case.plan.targets[0].ranking for case in cases)


@pytest.mark.parametrize("chance", [0.6, 0.9])
def test_close_looks_are_right_as_often_as_the_skill_says(chance: float) -> None:
    right, total = 0, 0
    for case in scene_questions(60):
        mind, kind = Mind(case, Skill(verdict=chance)), describe(case.plan.targets[0]).kind
        for thing in case.scene.objects:
            mask = Mask.from_full(thing.mask)
            assert mask is not None
            verdict = mind.close_verdict(cover_of(case.scene, mask), kind)
            right, total = right + ((verdict == "accept") == (thing.kind == kind)), total + 1
    assert total > 200 and abs(right / total - chance) < 0.06


def test_shared_misjudgements_come_again() -> None:
    case = scene_questions(1)[0]
    mask = Mask.from_full(case.scene.objects[0].mask)
    assert mask is not None
    cover = cover_of(case.scene, mask)
    always, never = (Mind(case, Skill(verdict=0.5, shared=shared), seed=1) for shared in (1.0, 0.0))
    assert len({always.close_verdict(cover, case.scene.objects[0].kind, str(view)) for view in range(12)}) == 1
    assert len({never.close_verdict(cover, case.scene.objects[0].kind, str(view)) for view in range(12)}) == 2
    assert len({never.close_verdict(cover, case.scene.objects[0].kind) for _ in range(12)}) == 1, "the same look"


def test_the_segmenter_errs_as_often_as_it_should() -> None:
    missed = found = 0
    for case in scene_questions(100):
        segmenter = NoisySegmenter(case.scene, MaskNoise(miss=0.3, attribute=0, other=0, part=0, jitter=False))
        for kind in {thing.kind for thing in case.scene.objects}:
            (instances,) = segmenter.segment_phrases([kind])
            there = sum(thing.kind == kind for thing in case.scene.objects)
            found, missed = found + len(instances.masks), missed + there - len(instances.masks)
            assert all(np.diff(instances.scores) <= 0)
    assert abs(missed / (missed + found) - 0.3) < 0.06


def test_two_runs_are_equal_and_other_seeds_differ() -> None:
    cases = scene_questions(12)
    first, again, other = (simulate(cases, Simulation(Skill(), seed=seed)) for seed in (3, 3, 4))
    assert first == again and first != other


def test_a_perfect_mind_over_perfect_masks_is_right() -> None:
    skill = Skill(verdict=1, phrase=1, reason=1, notice=1)
    results = simulate(scene_questions(30), Simulation(skill, PERFECT))
    assert figures(results)["gIoU"] > 97


def test_unusable_replies_cost_calls_and_no_answers() -> None:
    cases = scene_questions(15)
    good, bad = (figures(simulate(cases, Simulation(Skill(bad=chance)))) for chance in (0.0, 0.1))
    assert bad["calls"] > good["calls"] and bad["completed"] == 100


def test_calibration_compares_what_is_stated_with_what_is_right() -> None:
    def result(confidence: float | None, iou: float) -> SimulatedResult:
        return SimulatedResult("k", True, iou, "answered", True, 1, 1, 1, 1, confidence)

    rows, error = reliability([result(0.9, 1.0), result(0.9, 0.0), result(None, 0.0)])
    assert rows == [(0.9, 0.5, 2)] and error == pytest.approx(0.4)


def test_the_command_prints_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulated", "--questions", "6", "--verdict", "0.9", "--malformed", "0.05"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("gIoU", "calls", "depth", "tokens"))


def test_the_command_simulates_a_policy(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []
    for policy in (["--effort", "low"], ["--effort", "high"], ["--without", "selecting"]):
        assert main(["simulated", "--questions", "6", "--verdict", "0.6", *policy]) == 0
        calls.append(next(line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("calls")))
    assert len(set(calls)) == 3
    assert main(["simulated", "--questions", "1", "--without", "luck"]) == 2
    assert "no part 'luck'" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--verdict", "2"], ["--seeds", "0"], ["--questions", "0"], ["--first-scene", "-1"]])
def test_the_command_refuses_what_cannot_be(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulated", *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err
