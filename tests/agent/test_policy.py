"""The policy: select first, then look where a look decides. Each part, by what it changes."""

from pathlib import Path

import numpy as np
import pytest

from sam3agent import states as s
from sam3agent.agent.beliefs import belief, words_of
from sam3agent.agent.policy import EFFORTS, EVERY_CANDIDATE, Policy, policy_of
from sam3agent.agent.standing import standing, without_nested
from sam3agent.agent.trace import read_trace
from sam3agent.agent.transitions import advance
from sam3agent.answer import Answer
from sam3agent.api import Agent
from sam3agent.constraints import MaskGroup, Rule, kept_by
from sam3agent.media import ImageMedia
from sam3agent.mllm.base import LazyImage, MLLMRequest, Text
from sam3agent.pool import MaskPool, masklets
from sam3agent.rule_terms import NAMING, TIME_RULES
from sam3agent.segmenter import FoundInstances
from sam3agent.testing import ScriptedBackend, call
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3agent.workbench import Workbench
from sam3model.errors import ConfigError
from tests.agent.world import Block, World

YES, NO = '{"verdict": "accept", "reason": "yes"}', '{"verdict": "reject", "reason": "no"}'
SEARCH = call("segment_phrase", phrases=["player"])
MEDIUM = Policy()
LEFTMOST = {"what": "player", "keep": ["leftmost"]}


def ask(backend: ScriptedBackend, query: str = "leftmost player", policy: Policy = MEDIUM, **more) -> Answer:
    world = more.pop("world", None) or World()
    return Agent(world, backend, policy=policy, **more).ask(world.image, query)


def boxes_pool(*boxes: tuple[int, int, int, int], scores: list[float] | None = None, phrase: str = "thing") -> MaskPool:
    masks = np.zeros((len(boxes), 60, 120), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    found = FoundInstances.of(masks, (120, 60), scores or list(np.linspace(0.95, 0.9, len(boxes))))
    return MaskPool().add(phrase, masklets(found))[0]


def story_of(pool: MaskPool, *groups: MaskGroup, query: str = "things", sights: tuple[s.Sight, ...] = ()) -> s.Story:
    return s.Story(query, pool=pool, searches=(s.Search("thing", pool.ids),), latest=1, groups=groups, sights=sights)


def looked_at(backend: ScriptedBackend) -> list[int]:
    return [request.candidate for request in backend.requests if request.candidate is not None]


def words(request: MLLMRequest) -> str:
    """All that follows the first messages: earlier calls, their results, and what is asked now."""
    return "\n".join(part.text for m in request.messages[2:] for part in m.parts if isinstance(part, Text))


def test_a_selection_without_doubt_needs_no_look() -> None:
    backend = ScriptedBackend([SEARCH, call("select_masks", ids=[1, 2, 3], reason="by rule", **LEFTMOST)])
    answer = ask(backend)
    assert [mask.id for mask in answer.masks] == [1] and answer.costs.mllm_calls == 2
    assert answer.confidence is not None and answer.confidence > 0.8


def test_what_a_selection_left_out_is_looked_at_only_if_it_would_change_the_answer() -> None:
    backend = ScriptedBackend([SEARCH, call("select_masks", ids=[3], **LEFTMOST)], {None: NO, 1: YES})
    assert [mask.id for mask in ask(backend).masks] == [1]
    assert 1 in looked_at(backend), "it is further left"
    backend = ScriptedBackend([SEARCH, call("select_masks", ids=[1, 3], **LEFTMOST)], {None: YES})
    ask(backend)
    assert 2 not in looked_at(backend), "whether it is a player changes nothing"


def test_a_second_look_differs_from_the_first() -> None:
    backend = ScriptedBackend([SEARCH, call("select_masks", ids=[3], **LEFTMOST)], {None: NO})
    ask(backend)
    first, second = [request for request in backend.requests if request.candidate == 1][:2]
    kinds = [[p.key.kind for p in r.messages[-1].parts if isinstance(p, LazyImage)] for r in (first, second)]
    assert kinds[0] != kinds[1] and words(first) != words(second)
    assert first.temperature is None and second.temperature and second.temperature > 0


def test_looks_say_what_is_sought() -> None:
    sought = call("select_masks", what="player in white", ids=[3], keep=["leftmost"])
    backend = ScriptedBackend([SEARCH, sought], {None: NO})
    ask(backend, "leftmost player in white", policy_of(without="hints,colours"))
    text = words(next(request for request in backend.requests if request.candidate is not None))
    assert 'The question seeks "player in white"' in text


def test_no_match_is_not_accepted_on_one_look() -> None:
    backend = ScriptedBackend(
        [SEARCH, call("report_no_match", what="player"), call("select_masks", ids=[1])], {None: YES}
    )
    answer = ask(backend)
    assert answer.status == "answered" and looked_at(backend)
    backend = ScriptedBackend([SEARCH, call("report_no_match", what="player"), call("report_no_match")], {None: NO})
    answer = ask(backend)
    assert answer.status == "no_match" and answer.masks == ()
    backend = ScriptedBackend([SEARCH, call("report_no_match", what="player")])
    assert ask(backend, policy=policy_of(without="second_look")).status == "no_match" and not looked_at(backend)


def test_nothing_found_is_searched_once_more_before_there_is_no_match() -> None:
    lines = [
        call("segment_phrase", phrases=["goalkeeper"]),
        call("report_no_match"),
        SEARCH,
        call("select_masks", ids=[1]),
    ]
    assert ask(ScriptedBackend(lines, {None: YES})).status == "answered"


def test_what_is_missing_is_searched_without_a_call() -> None:
    world = World()
    lines = [SEARCH, call("select_masks", what="player", ids=[1, 2, 3], missing=["white player"])]
    answer = ask(ScriptedBackend(lines, {None: YES}), "all players", world=world)
    assert world.searched == ["player", "white player"] and answer.costs.mllm_calls == 2
    world = World()
    ask(ScriptedBackend(lines, {None: YES}), "all players", policy_of(without="hints"), world=world)
    assert world.searched == ["player"]


def test_masks_of_other_things_that_were_missing_give_the_choice_back() -> None:
    both = call("select_masks", what="player", ids=[1, 2, 3], others=[{"what": "ball", "ids": [4, 5]}])
    lines = [SEARCH, call("select_masks", what="player", ids=[1, 2, 3], missing=["ball"]), both]
    answer = ask(ScriptedBackend(lines, {None: YES}), "all players and the balls")
    assert [mask.id for mask in answer.masks] == [1, 2, 3, 4, 5]


def test_two_readings_of_the_rules_that_differ_are_asked_about() -> None:
    def lines(rule: str) -> list:
        search = call("segment_phrase", phrases=["player"], plan=[rule])
        return [
            search,
            call("select_masks", ids=[1, 2, 3], **LEFTMOST),
            call("select_masks", ids=[1, 2, 3], **LEFTMOST),
        ]

    backend = ScriptedBackend(lines("rightmost"))
    assert ask(backend).costs.mllm_calls == 3
    assert "first read as: rightmost 1; and now as: leftmost 1" in words(backend.requests[-1])
    assert ask(ScriptedBackend(lines("leftmost"))).costs.mllm_calls == 2


def test_measured_colours_outweigh_a_wrong_glance() -> None:
    lines = [SEARCH, call("select_masks", what="player in white", ids=[1, 2, 3])]
    answer = ask(ScriptedBackend(lines, {None: YES}), "all players in white")
    assert [mask.id for mask in answer.masks] == [1, 2], "mask 3 is blue"
    answer = ask(ScriptedBackend(lines, {None: YES}), "all players in white", policy_of(without="colours"))
    assert [mask.id for mask in answer.masks] == [1, 2, 3]


def test_a_selection_by_eye_is_not_added_to() -> None:
    """Without rules, the words of a selection may not say why others were left out."""
    backend = ScriptedBackend([SEARCH, call("select_masks", what="player", ids=[1])], {None: YES})
    assert [mask.id for mask in ask(backend, "the player who has just scored").masks] == [1]


def test_rejected_masks_give_the_choice_back() -> None:
    lines = [SEARCH, call("select_masks", what="referee", ids=[3]), call("report_no_match", what="referee")]
    backend = ScriptedBackend(lines, {None: NO})
    answer = ask(backend, "the referee", Policy(doubt=0.05))
    assert answer.status == "no_match" and "No mask shows 'referee'" in words(backend.requests[-1])


def test_an_unsure_answer_is_checked_and_the_check_may_reopen_the_search() -> None:
    world = World()
    policy = Policy(sure=0.99, doubt=0.9)
    lines = [SEARCH, call("select_masks", what="player", ids=[1, 2, 3]), '{"wrong": [], "missing": ["white player"]}']
    answer = ask(ScriptedBackend(lines), "all players", policy, world=world)
    assert world.searched == ["player", "white player"] and answer.costs.mllm_calls == 3
    assert ask(ScriptedBackend(lines), "all players", Policy(check=False, doubt=0.9)).costs.mllm_calls == 2


def test_effort_trades_calls() -> None:
    pool = boxes_pool(*((12 * i, 5, 12 * i + 8, 30) for i in range(9)), scores=[0.7] * 9)
    state = s.Refine(s.Story("all things", pool=pool, searches=(s.Search("thing", pool.ids),), latest=1))
    selected = s.Selected(pool.ids, "", (MaskGroup("thing", pool.ids[:4]),))
    pending = {}
    for effort, policy in EFFORTS.items():
        after = advance(state, selected, policy=policy)
        pending[effort] = len(after.pending) if isinstance(after, s.Verify) else 0
    assert pending["low"] < pending["medium"] < pending["high"]


def crowd(count: int = 60) -> World:
    corners = [(4 + 11 * (i % 20), 5 + 50 * (i // 20)) for i in range(count)]
    return World([Block("player", "white", (x, y, x + 7, y + 35)) for x, y in corners])


def test_a_crowd_is_shown_in_parts() -> None:
    lines = [SEARCH, call("select_masks", what="player", ids=list(range(1, 31))), '{"wrong": [], "missing": []}']
    backend = ScriptedBackend(lines, {None: YES})
    assert ask(backend, "all players", EFFORTS["high"], world=crowd()).status == "answered"
    shown = [part.key.mask_ids for part in backend.requests[1].messages[-1].parts if isinstance(part, LazyImage)]
    assert sorted(i for ids in shown for i in ids) == list(range(1, 61)) and max(map(len, shown)) <= 20
    assert all(part.data for part in backend.requests[1].messages[-1].parts if isinstance(part, LazyImage))


def test_looks_at_a_crowd_leave_calls_for_the_answer() -> None:
    backend = ScriptedBackend([SEARCH, "hm", "hm", call("select_masks", ids=[1, 2])], {None: "hm"})
    answer = ask(backend, "all players", EVERY_CANDIDATE, world=crowd())
    assert answer.status == "answered" and 50 < answer.costs.mllm_calls <= 60


@pytest.mark.parametrize("policy", [Policy(), EVERY_CANDIDATE], ids=["weighed", "every"])
def test_all_requests_of_a_question_begin_with_the_same_bytes(policy: Policy) -> None:
    lines = [SEARCH, call("select_masks", ids=[3], **LEFTMOST), call("report_no_match")]
    backend = ScriptedBackend(lines, {None: NO})
    ask(backend, policy=policy)
    assert any(r.json_schema for r in backend.requests) and any(not r.json_schema for r in backend.requests)
    beginnings = {
        (repr(r.tools), *(p.data if isinstance(p, LazyImage) else p.text for m in r.messages[:2] for p in m.parts))
        for r in backend.requests
    }
    assert len(beginnings) == 1


def test_the_model_writes_down_what_it_sees_before_it_selects() -> None:
    backend = ScriptedBackend([SEARCH, call("report_no_match"), call("report_no_match")], {None: NO})
    ask(backend)
    (schema,) = [tool.parameters for tool in backend.requests[0].tools if tool.name == "select_masks"]
    assert next(iter(schema["properties"])) == "seen" and schema["required"][0] == "seen"
    assert all_tools()["select_masks"].parse('{"ids": [1]}').ids == [1], "other callers need not"


def test_a_trace_is_rerun_with_its_policy(tmp_path: Path) -> None:
    from sam3agent.agent.recorded import RecordedSegmenter, ReplayBackend, recorded_image

    world = World()
    lines = [SEARCH, call("select_masks", ids=[3], **LEFTMOST)]
    first = Agent(world, ScriptedBackend(lines, {None: NO, 1: YES}), policy=EFFORTS["high"]).ask(
        world.image, "leftmost player", out=tmp_path
    )
    records = read_trace(tmp_path)
    again = Agent(RecordedSegmenter(records), ReplayBackend(records)).ask(
        recorded_image(records, tmp_path), "leftmost player"
    )
    assert [m.id for m in again.masks] == [m.id for m in first.masks] == [1]
    assert (again.confidence, again.costs.mllm_calls) == (first.confidence, first.costs.mllm_calls)
    del records[0]["policy"]
    assert ReplayBackend(records).policy == EVERY_CANDIDATE


ROW = boxes_pool((10, 10, 20, 20), (40, 30, 60, 50), (90, 12, 100, 20))
"""Three things; the second is the largest and the lowest."""


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (Rule("leftmost"), (1,)),
        (Rule("leftmost", count=2), (1, 2)),
        (Rule("rightmost", position=2), (2,)),
        (Rule("leftmost", position=-1), (3,)),
        (Rule("leftmost", position=4), ()),
        (Rule("largest", drop=True), (1, 3)),
        (Rule("bottommost"), (2,)),
        (Rule("nearest", of=(3,)), (2,)),
        (Rule("farthest", of=(3,)), (1,)),
        (Rule("right_of", of=(1,)), (2, 3)),
        (Rule("below", of=(1,)), (2, 3)),
        (Rule("above", of=(3,)), (1,)),
        (Rule("left_half"), (1, 2)),
        (Rule("not", of=(1, 2)), (3,)),
        (Rule("nearest", of=(9,)), ()),
    ],
)
def test_rules_are_computed(rule: Rule, kept: tuple[int, ...]) -> None:
    assert tuple(c.id for c in kept_by([rule], ROW.candidates, ROW)) == kept


@pytest.mark.parametrize("name", sorted(NAMING - TIME_RULES))
def test_a_rule_that_lacks_its_masks_says_so(name: str) -> None:
    world = World()
    bench = Workbench(ImageMedia(world.image), world.open(ImageMedia(world.image)), pool=ROW)
    with pytest.raises(ToolUseError, match=f'"{name.replace("_", " ")}" needs the ids of masks in `of`'):
        all_tools()["select_masks"].call(bench, {"ids": [1, 2], "keep": [name]})


def test_each_object_counts_once() -> None:
    part, whole, other = (10, 10, 20, 20), (10, 10, 22, 40), (60, 10, 70, 40)
    pool = boxes_pool(whole, part, other)
    assert [c.id for c in without_nested(pool.candidates)] == [1, 3]
    both = boxes_pool((10, 10, 20, 20), (24, 10, 34, 20), (9, 9, 36, 21))
    assert [c.id for c in without_nested(both.candidates)] == [1, 2], "a mask of two objects is none of them"


def test_beliefs_follow_the_evidence() -> None:
    pool = boxes_pool((10, 10, 20, 20), scores=[0.8])
    group = MaskGroup("thing", (1,))

    def p(*looks: bool, close: bool = True, policy: Policy = MEDIUM) -> float:
        sights = tuple(s.Sight(1, "thing", fits, close) for fits in looks)
        return belief(pool.candidates[0], group, story_of(pool, group, sights=sights), policy)

    assert p(False) < p() < p(True) < p(True, True)
    assert p(True, close=False) < p(True), "a close look says more"
    assert p(False, False, False) > 0.02, "the same mistake may come again"
    keen, dull = policy_of(eyesight="0.9,0.95"), policy_of(eyesight="0.5,0.5")
    assert p(True, policy=keen) > p(True) > p(True, policy=dull) == pytest.approx(p())
    assert p(True, False) == pytest.approx(p(False, True)) and p(True, False, False) < p() < p(True, True, False)


def test_only_a_more_general_phrase_says_less() -> None:
    pool = boxes_pool((10, 10, 20, 20), scores=[0.8])
    exact, more = (MaskGroup(what, (1,)) for what in ("thing", "striped thing"))
    known = [belief(pool.candidates[0], group, story_of(pool, group), MEDIUM) for group in (more, exact)]
    assert known[0] < known[1]


def test_worth_is_the_chance_that_a_look_changes_the_answer() -> None:
    pool = boxes_pool((10, 10, 20, 20), (40, 10, 50, 20), (90, 10, 100, 20), scores=[0.6, 0.6, 0.6])
    group = MaskGroup("thing", (1, 2, 3), (Rule("leftmost"),))
    now = standing(story_of(pool, group), Policy())
    worth = dict(now.worth)
    assert now.ids == (1,) and worth[1] > 0.2 and worth[2] == worth[3] == 0


def test_colours_are_words_that_describe() -> None:
    assert words_of("player in white").colours == ("white",) and words_of("the red cars").colours == ("red",)
    assert words_of("orange").colours == () and words_of("ripe orange").colours == ()


@pytest.mark.parametrize("wrong", ["colour", "second look", "facts,nothing"])
def test_unknown_parts_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="the parts are second_look"):
        policy_of(without=wrong)


@pytest.mark.parametrize("wrong", ["0.7", "a,b", "0.7,1.2", "0.3,0.8", "nan,0.8", "0.7,0.8,0.9"])
def test_an_eyesight_is_two_chances(wrong: str) -> None:
    with pytest.raises(ConfigError, match="evals eyesight"):
        policy_of(eyesight=wrong)


def test_the_best_guess_is_an_answer_if_it_is_likelier_than_none() -> None:
    group = MaskGroup("thing", (1, 2))

    def guessed(*scores: float) -> tuple[int, ...]:
        boxes = [(10 + 30 * i, 10, 20 + 30 * i, 20) for i in range(len(scores))]
        return standing(story_of(boxes_pool(*boxes, scores=list(scores)), group), MEDIUM).ids

    assert guessed(0.45) == (), "more likely, nothing matches"
    assert guessed(0.45, 0.4) == (1,), "one of them is likely"
    assert guessed(0.2, 0.1) == ()


def test_what_the_question_compares_with_must_be_there() -> None:
    search = call("segment_phrase", phrases=["player", "umbrella"], plan=[{"rule": "nearest"}])
    by_eye = call("select_masks", what="the player nearest to the umbrella", ids=[3])
    backend = ScriptedBackend([search, by_eye, call("report_no_match", what="player")], {None: YES})
    answer = ask(backend, "the player nearest to the umbrella")
    assert 'Nothing was found for "umbrella", which the question compares with' in words(backend.requests[2])
    assert answer.status == "no_match" and answer.costs.mllm_calls == 3, "no look at players changes that"
    there = call("segment_phrase", phrases=["player", "car"], plan=[{"rule": "nearest"}])
    backend = ScriptedBackend([there, by_eye, by_eye], {None: YES})
    assert ask(backend, "the player nearest to the car").status == "answered"
    assert "Nothing was found" not in words(backend.requests[2])
