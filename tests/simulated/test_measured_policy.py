"""What the policy is worth with a simulated MLLM, and what its prompts cost."""

import pytest

from evals.simulated.mllm_skill import Skill
from evals.simulated.scene_questions import scene_questions
from evals.simulated.simulated_results import figures
from evals.simulated.simulated_run import Simulation, simulate
from sam3agent.agent.policy import EVERY_CANDIDATE, policy_of
from sam3agent.prompts import render

LETTERS_PER_TOKEN = 3
"""Fewer than English text has with any tokenizer of a vision-language model."""


@pytest.mark.parametrize("verdict", [0.7, 0.9])
def test_selecting_first_is_better_and_cheaper_than_looking_at_everything(verdict: float) -> None:
    cases = scene_questions(50)
    new, old = (
        figures(simulate(cases, Simulation(Skill(verdict=verdict), seed=5, policy=policy)))
        for policy in (policy_of("medium"), EVERY_CANDIDATE)
    )
    assert new["gIoU"] > old["gIoU"] + 4 and new["calls"] < old["calls"] - 1
    assert new["completed"] == 100 and new["no match wrong"] < 12


def test_unusable_replies_do_not_cost_answers() -> None:
    cases = scene_questions(30)
    bad = figures(simulate(cases, Simulation(Skill(bad=0.1), seed=5)))
    good = figures(simulate(cases, Simulation(Skill(), seed=5)))
    assert bad["completed"] == 100 and bad["gIoU"] > good["gIoU"] - 8


def test_the_system_prompt_is_short() -> None:
    assert len(render("system")) / LETTERS_PER_TOKEN < 1500
