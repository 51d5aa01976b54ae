"""Questions for the best of several things, which only eyes can tell: what a comparison of two is worth."""

from itertools import combinations

import pytest

from evals.command import main
from evals.simulated.mind import Mind
from evals.simulated.mllm_skill import Skill
from evals.simulated.scene_questions import best_questions
from evals.simulated.simulated_results import figures
from evals.simulated.simulated_run import Simulation, simulate
from sam3agent.agent.policy import policy_of


def test_the_most_striking_thing_is_one_of_several() -> None:
    for case in best_questions(20):
        (best,) = case.truth
        kind = case.scene.objects[best].kind
        others = [thing.id for thing in case.scene.objects if thing.kind == kind and thing.id != best]
        assert others and all(case.charms[best] > case.charms[other] for other in others)
        assert case.text == f"the most striking {kind}"


@pytest.mark.parametrize("chance", [0.7, 0.9])
def test_of_two_things_the_right_one_is_seen_as_often_as_the_skill_says(chance: float) -> None:
    right = []
    for case in best_questions(80):
        mind = Mind(case, Skill(verdict=chance))
        for one, two in combinations(case.charms, 2):
            seen = mind.charm(one, "compared") > mind.charm(two, "compared")
            right.append(seen == (case.charms[one] > case.charms[two]))
    assert len(right) > 500 and sum(right) / len(right) == pytest.approx(chance, abs=0.06)


def test_a_comparison_costs_a_call_where_two_come_close_and_finds_more() -> None:
    cases, skill = best_questions(40), Skill(verdict=0.95, glance=0.75)
    compared, not_compared = (
        figures(simulate(cases, Simulation(skill, seed=7, policy=policy_of(without=without))))
        for without in ("", "compare")
    )
    assert compared["gIoU"] > not_compared["gIoU"] + 3
    assert 0.2 < compared["calls"] - not_compared["calls"] < 1 and compared["completed"] == 100


def test_the_command_asks_for_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulated", "--best", "--questions", "4"]) == 0
    assert "gIoU" in capsys.readouterr().out
