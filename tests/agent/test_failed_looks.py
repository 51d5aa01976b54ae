"""A look that only checks a selection once more and fails: the answer stays settled, and says so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sam3agent.agent.budget import Budget
from sam3agent.agent.policy import Policy
from sam3agent.agent.trace import read_trace
from sam3agent.agent.transitions import Limits
from sam3agent.api import Agent
from sam3agent.cli.replay import run_replay
from sam3agent.mllm.base import MLLMReply, MLLMRequest
from sam3agent.mllm.errors import MLLMBusyError, MLLMError, MLLMUnreachableError
from sam3agent.segmenter import FoundInstances
from sam3agent.testing import ScriptedBackend, call
from tests.agent.test_policy import LEFTMOST, NO, SEARCH, YES, ask
from tests.agent.test_rivals import best
from tests.agent.world import World


class FaintWorld(World):
    """A segmenter that is not sure of its masks."""

    def _found(self, phrase: str) -> FoundInstances:
        found = super()._found(phrase)
        return replace(found, scores=np.linspace(0.75, 0.56, len(found.scores), dtype=np.float32))


RIGHT = call("select_masks", ids=[3], **LEFTMOST)
"""A selection that one look is likely to change."""
UNSURE = Policy(sure=0.99, doubt=0.9)
"""Every answer is checked, and no mask looked at."""


def late(_: MLLMRequest) -> MLLMReply:
    raise TimeoutError


FAULTS: list[MLLMError | Callable[[MLLMRequest], MLLMReply]] = [
    MLLMBusyError("gone"),
    MLLMUnreachableError("gone"),
    late,
]
LOOKS = {
    "look": (RIGHT, Policy()),
    "check": (call("select_masks", what="player", ids=[1, 2, 3]), UNSURE),
    "comparison": (best(2, 3), Policy()),
}


@pytest.mark.parametrize("fault", FAULTS, ids=["busy", "unreachable", "late"])
@pytest.mark.parametrize(("selection", "policy"), LOOKS.values(), ids=LOOKS)
def test_a_selection_stays_the_answer_if_a_further_look_fails(
    selection: MLLMReply, policy: Policy, fault: MLLMError | Callable[[MLLMRequest], MLLMReply], tmp_path: Path
) -> None:
    world, backend = World(), ScriptedBackend([SEARCH, selection, fault], {None: fault})
    answer = Agent(world, backend, policy=policy).ask(world.image, "all players", out=tmp_path)
    assert answer.status == "answered" and answer.masks and answer.confidence is not None and not answer.failed
    why = "the budget of 300 seconds is used up" if fault is late else "gone"
    assert f"further looks were not made: {why}" in answer.warnings
    failed = [record for record in read_trace(tmp_path) if record["event"] == "failed_look"]
    assert failed and all(record["ids"] and record["text"] == why for record in failed)


def test_failed_looks_are_shown_by_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, backend = World(), ScriptedBackend([SEARCH, RIGHT], {None: MLLMError("gone")})
    Agent(world, backend).ask(world.image, "leftmost player", out=tmp_path / "t")
    for rerun in (False, True):
        run_replay(tmp_path / "t", rerun=rerun, out=tmp_path / "o", as_json=False, verbose=False)
        shown = capsys.readouterr().out
        assert "warning: further looks were not made: " in shown
        assert rerun or "no look at mask 1: gone" in shown


def test_one_failed_look_of_several_costs_only_itself() -> None:
    backend = ScriptedBackend([SEARCH, RIGHT], {1: YES, None: MLLMError("gone")})
    answer = ask(backend)
    assert answer.status == "answered" and [mask.id for mask in answer.masks] == [1]


@pytest.mark.parametrize("budget", [Budget(mllm_calls=2), Budget(mllm_calls=3)])
def test_calls_that_end_with_a_selection_are_enough(budget: Budget) -> None:
    answer = ask(ScriptedBackend([SEARCH, RIGHT], {None: NO}), budget=budget)
    assert answer.status == "answered" and answer.costs.mllm_calls <= budget.mllm_calls
    (remark,) = answer.warnings
    assert remark.startswith("further looks were not made: ") and f"{budget.mllm_calls} MLLM calls" in remark


@pytest.mark.parametrize(("selection", "policy"), [LOOKS["check"], LOOKS["comparison"]])
def test_a_check_without_a_usable_reply_is_named(selection: MLLMReply, policy: Policy, tmp_path: Path) -> None:
    world, backend = World(), ScriptedBackend([SEARCH, selection, *["hm"] * 4])
    answer = Agent(world, backend, policy=policy).ask(world.image, "all players", out=tmp_path)
    assert answer.status == "answered" and "further looks were not made: " in answer.warnings[0]
    assert "failed_look" in [record["event"] for record in read_trace(tmp_path)]


def test_the_last_round_may_select() -> None:
    answer = ask(ScriptedBackend([SEARCH, RIGHT], {None: NO}), limits=Limits(rounds=1))
    assert answer.status == "answered"
    assert "further looks were not made: the limit of 1 rounds is reached" in answer.warnings


def test_what_could_not_be_searched_before_the_answer_is_named() -> None:
    lines = [SEARCH, call("select_masks", what="player", ids=[1, 2, 3], missing=["referee"])]
    answer = ask(ScriptedBackend(lines, {None: YES}), "all players", budget=Budget(segmenter_calls=1))
    assert answer.status == "answered"
    remark = '"referee" could not be searched before the answer: the budget of 1 segmenter calls is used up'
    assert remark in answer.warnings


def test_what_is_missing_is_searched_after_the_last_call() -> None:
    world = World()
    lines = [SEARCH, call("select_masks", what="player", ids=[1, 2, 3], missing=["white player"])]
    answer = ask(ScriptedBackend(lines), "all players", world=world, budget=Budget(mllm_calls=2))
    assert answer.status == "answered" and world.searched == ["player", "white player"]


@pytest.mark.parametrize("last", ["nothing", "the choice is given back"])
def test_what_is_not_settled_is_no_answer(last: str) -> None:
    """A "no match" at a glance was not looked for; a selection that was rejected is open again."""
    gone = MLLMError("gone")
    if last == "nothing":
        answer = ask(ScriptedBackend([SEARCH, call("report_no_match", what="player")], {None: gone}))
    else:
        referee = call("select_masks", what="referee", ids=[3])
        answer = ask(ScriptedBackend([SEARCH, referee, gone], {None: NO}), "the referee", Policy(doubt=0.05))
    assert answer.status == "exhausted" and answer.reason == "gone"


def test_a_guess_that_nobody_selected_or_looked_at_is_no_answer() -> None:
    """Mask 1 may be the leftmost player, but mask 3 was selected, and the look that would tell fails."""
    answer = ask(ScriptedBackend([SEARCH, RIGHT], {None: MLLMError("gone")}), world=FaintWorld())
    assert answer.status == "exhausted" and [mask.id for mask in answer.masks] == [1]
