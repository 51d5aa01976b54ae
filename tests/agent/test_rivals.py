"""The best one where only eyes can tell: two that come close are shown side by side, and the winner is evidence."""

from dataclasses import replace

import pytest

from sam3agent import Agent
from sam3agent import states as s
from sam3agent.agent.decisions import read_preference
from sam3agent.agent.policy import Policy, policy_of
from sam3agent.agent.standing import standing
from sam3agent.constraints import MaskGroup, Rule, kept_by
from sam3agent.mllm.base import LazyImage, MLLMReply
from sam3agent.testing import ScriptedBackend, call
from sam3agent.tools.registry import ToolUseError, all_tools
from tests.agent.test_policy import ROW, SEARCH, ask, boxes_pool, story_of, words
from tests.agent.world import World

QUESTION = "the friendliest player"
THREE = ((10, 10, 20, 20), (40, 30, 60, 50), (90, 12, 100, 20))


def best(*of: int, ids: tuple[int, ...] = (1, 2, 3)) -> MLLMReply:
    return call("select_masks", what="player", ids=ids, keep=[{"rule": "best", "by": "friendliest", "of": of}])


def better(mask_id: int | None) -> str:
    return f'{{"reason": "it smiles", "better": {mask_id or "null"}}}'


@pytest.mark.parametrize(("reply", "answer"), [(better(3), 3), (better(2), 2), (better(None), 2), ("hm", 2)])
def test_the_winner_of_a_comparison_is_the_answer(reply: str, answer: int) -> None:
    backend = ScriptedBackend([SEARCH, best(2, 3), *[reply] * 4])
    found = ask(backend, QUESTION)
    assert found.status == "answered" and [mask.id for mask in found.masks] == [answer]
    assert found.costs.mllm_calls == (6 if reply == "hm" else 3), "one comparison, whatever it says"


@pytest.mark.parametrize(
    ("reply", "told"), [(better(None), "no difference seen"), ("hm", "no usable comparison: "), (better(3), "mask 3")]
)
def test_what_a_comparison_yielded_is_told(reply: str, told: str) -> None:
    lines, backend = list[str](), ScriptedBackend([SEARCH, best(2, 3), *[reply] * 4])
    world = World()
    Agent(world, backend).ask(world.image, QUESTION, tell=lines.append)
    assert any(line.startswith(f"comparing masks 2, 3: {told}") for line in lines), lines


def test_both_are_shown_side_by_side_and_the_likelier_one_not_always_first() -> None:
    for of in ((2, 3), (3, 2)):
        backend = ScriptedBackend([SEARCH, best(*of), better(2)])
        ask(backend, QUESTION)
        asked = backend.requests[-1]
        (image,) = (part for part in asked.messages[-1].parts if isinstance(part, LazyImage))
        assert image.key.mask_ids == (2, 3) and image.opened().width > 1.9 * image.opened().height * 0.9
        assert '"friendliest"' in words(asked) and asked.json_schema and asked.json_schema.name == "preference"


@pytest.mark.parametrize(
    ("of", "policy"),
    [((2,), Policy()), ((2, 3), policy_of(without="compare")), ((2, 3), policy_of(eyesight="0.8,0.8"))],
    ids=["clear", "switched off", "a comparison says no more than a glance"],
)
def test_no_call_is_made_where_it_decides_nothing(of: tuple[int, ...], policy: Policy) -> None:
    found = ask(ScriptedBackend([SEARCH, best(*of)]), QUESTION, policy)
    assert [mask.id for mask in found.masks] == [2] and found.costs.mllm_calls == 2


def test_what_shows_something_else_is_no_rival() -> None:
    """Mask 3 was named as the likeliest, but close looks say that it shows something else."""
    pool, group = boxes_pool(*THREE, scores=[0.6] * 3), MaskGroup("thing", (1, 2, 3), (Rule("best", of=(3, 1, 2)),))
    away = (s.Sight(3, "thing", fits=False, close=True),)
    before, after = (standing(story_of(pool, group, sights=sights), Policy()) for sights in ((), away))
    assert before.ids == (3,) and before.favourite and before.favourite.rivals == (3, 1)
    assert after.ids == (1,) and after.favourite and after.favourite.rivals == (1, 2)


def test_comparisons_move_the_confidence() -> None:
    group = MaskGroup("thing", (1, 2, 3), (Rule("best", of=(1, 2)),))

    def after(*compared: s.Comparison) -> tuple[tuple[int, ...], float]:
        now = standing(replace(story_of(ROW, group), comparisons=compared), Policy())
        return now.ids, now.confidence

    clear = standing(story_of(ROW, replace(group, rules=(Rule("best", of=(1,)),))), Policy()).confidence
    won, lost, untold = (after(s.Comparison((1, 2), winner)) for winner in (1, 2, None))
    assert won[0] == untold[0] == (1,) and lost[0] == (2,)
    assert clear > won[1] > untold[1] == after()[1] > lost[1]


def test_best_is_a_rule_among_others() -> None:
    def kept(*rules: Rule) -> list[int]:
        return [c.id for c in kept_by(rules, ROW.candidates, ROW)]

    assert kept(Rule("leftmost", count=2), Rule("best", of=(3, 2, 1))) == [2]
    assert kept(Rule("best", count=2, of=(3, 1, 2))) == [1, 3] and kept(Rule("best", of=(2,), drop=True)) == [1, 3]
    assert kept(Rule("best", of=(9,))) == [1], "the best of the others, as far as is known"


def test_the_last_one_in_the_answer_and_the_next_one_are_compared() -> None:
    group = MaskGroup("thing", (1, 2, 3), (Rule("best", count=2, of=(3, 1, 2)),))
    now = standing(story_of(ROW, group), Policy())
    assert now.ids == (1, 3) and now.favourite and now.favourite.rivals == (1, 2)


@pytest.mark.parametrize("said", ['{"better": 3}', '{"better": "mask 3"}', 'I see.\n{"reason": "x", "better": "3"}'])
def test_the_better_one_is_read(said: str) -> None:
    assert read_preference(MLLMReply(text=said), (2, 3)).better == 3


@pytest.mark.parametrize("said", ["", "the left one", '{"better": 4}', '{"better": [2, 3]}', '{"verdict": "accept"}'])
def test_what_names_none_of_both_is_asked_again(said: str) -> None:
    with pytest.raises(ToolUseError):
        read_preference(MLLMReply(text=said), (2, 3))


@pytest.mark.parametrize("written", ["best of 5, 2", {"rule": "best", "of": "5, 2"}, {"rule": "best", "of": [5, 2]}])
def test_the_order_of_those_that_may_be_the_best_is_kept(written: object) -> None:
    selected = all_tools()["select_masks"].parse({"ids": [1, 2, 5], "keep": [written]})
    assert selected.keep[0].rule_of().of == (5, 2)
