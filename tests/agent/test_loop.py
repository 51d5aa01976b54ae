"""The loop with a scripted MLLM over a world that is known."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam3agent.agent.budget import Budget
from sam3agent.agent.policy import EFFORTS, EVERY_CANDIDATE, Policy
from sam3agent.agent.trace import read_trace
from sam3agent.agent.transitions import Limits
from sam3agent.answer import Answer
from sam3agent.api import Agent
from sam3agent.images import EvidenceKey
from sam3agent.mllm.base import LazyImage, Message, MLLMError, MLLMReply, MLLMRequest, Text, ToolCall, Usage
from sam3agent.mllm.errors import MLLMBusyError, MLLMUnreachableError
from sam3agent.rules import RulesBackend
from sam3agent.states import Finding, verdict_lines
from sam3agent.testing import ScriptedBackend, call
from sam3model.errors import InputError
from tests.agent.world import World

ACCEPT = {None: '{"verdict": "accept", "reason": "yes"}'}
SEARCH = call("segment_phrase", phrases=["player"])


def ask(
    backend,
    world: World | None = None,
    budget: Budget | None = None,
    out: Path | None = None,
    policy: Policy = EVERY_CANDIDATE,
) -> Answer:
    """A question under the policy that looks at every candidate; test_policy.py has the others."""
    world = world or World()
    return Agent(world, backend, budget, policy=policy).ask(world.image, "leftmost player", out=out)


def told(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))


def test_search_examine_select() -> None:
    world, backend = World(), ScriptedBackend([SEARCH, call("select_masks", ids=[1], reason="leftmost")], ACCEPT)
    answer = ask(backend, world)
    assert answer.status == "answered" and answer.reason == "leftmost"
    assert [mask.id for mask in answer.masks] == [1]
    assert (answer.masks[0].mask == world.masks[0]).all()
    assert answer.masks[0].box == (20, 40, 40, 100)
    assert (answer.costs.mllm_calls, answer.costs.segmenter_calls, answer.costs.steps) == (5, 1, 3)
    assert world.opened == 1


def test_candidates_are_examined_concurrently() -> None:
    class Slow(ScriptedBackend):
        async def decide(self, request: MLLMRequest) -> MLLMReply:
            if request.candidate is not None:
                together.append(request.candidate)
                await asyncio.wait_for(barrier(), 5)
            return await super().decide(request)

    together: list[int] = []

    async def barrier() -> None:
        while len(together) < 3:
            await asyncio.sleep(0)

    assert ask(Slow([SEARCH, call("select_masks", ids=[1])], ACCEPT)).status == "answered"


def test_each_candidate_is_shown_whole_and_zoomed() -> None:
    backend = ScriptedBackend([SEARCH, call("select_masks", ids=[1])], ACCEPT)
    ask(backend)
    examined = [request for request in backend.requests if request.candidate == 2]
    (last,) = [request.messages[-1] for request in examined]
    assert [part.key for part in last.parts if isinstance(part, LazyImage)] == [
        EvidenceKey(0, (2,), "located"),
        EvidenceKey(0, (2,), "zoomed"),
    ]
    assert examined[0].json_schema is not None and examined[0].tools == backend.requests[0].tools


def test_rejected_masks_are_gone_and_answers_combine_phrases() -> None:
    lines = [
        SEARCH,
        call("segment_phrase", phrases=["car"]),
        call("select_masks", ids=[2]),
        call("select_masks", ids=[1, 4]),
    ]
    backend = ScriptedBackend(lines, {2: '{"verdict": "reject", "reason": "a shadow"}', None: ACCEPT[None]})
    answer = ask(backend)
    assert [mask.id for mask in answer.masks] == [1, 4]
    assert [mask.phrase for mask in answer.masks] == ["player", "car"]
    complaints = [part.text for part in backend.requests[-1].messages[-1].parts if isinstance(part, Text)]
    assert "there is no mask 2; the masks are 1, 3, 4" in complaints[-1]


def test_the_prefix_is_stable_and_history_is_pruned() -> None:
    lines = [call("segment_phrase", phrases=[p]) for p in ("dog", "player", "ball")]
    backend = ScriptedBackend([*lines, call("report_no_match")], ACCEPT)
    ask(backend)
    prefixes = {
        tuple(p.data if isinstance(p, LazyImage) else p.text for m in r.messages[:2] for p in m.parts)
        for r in backend.requests
    }
    assert len(prefixes) == 1
    assert [len(request.messages) for request in backend.requests][:2] == [4, 5]
    assert {len(request.messages) for request in backend.requests[1:]} == {5}
    assert len({repr(request.tools) for request in backend.requests}) == 1
    search, found, last = backend.requests[-1].messages[2:]
    assert search.call == ToolCall("segment_phrase", '{"phrases":["ball"]}') and found.role == "tool"
    assert '"ball": mask' in told(found) and '"player": mask' not in told(found)
    assert '"dog", "player", "ball"' in told(last)


def test_all_requests_until_the_next_search_share_the_call_and_its_result() -> None:
    lines = [SEARCH, call("measure_masks"), call("examine_masks", ids=[1]), call("select_masks", ids=[1])]
    backend = ScriptedBackend(lines, ACCEPT)
    ask(backend)
    assert len({repr(request.messages[2:4]) for request in backend.requests[1:]}) == 1
    assert max(len(request.messages) for request in backend.requests) == 7


def test_measuring_is_told_with_the_next_request() -> None:
    backend = ScriptedBackend([SEARCH, call("measure_masks"), call("select_masks", ids=[1])], ACCEPT)
    ask(backend)
    measure, facts = backend.requests[-1].messages[-3:-1]
    assert measure.call and measure.call.name == "measure_masks" and facts.role == "tool"
    assert all(words in told(facts) for words in ("mask 1: middle left", "1 from the left", "white 100%"))
    assert "middle left" not in told(backend.requests[-1].messages[-1]), "it is said once"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "no idea",
        MLLMReply(text="{", finish="length"),
        MLLMReply(text="Sorry.", finish="refusal"),
        call("fly_away"),
        call("segment_phrase", phrases=[]),
        call("segment_phrase", phrases=[f"player {n}" for n in range(9)]),
        call("select_masks", ids=[99]),
        MLLMReply(tool_calls=(ToolCall("segment_phrase", '{"phrases": '),)),
    ],
)
def test_a_bad_reply_is_told_back_and_asked_again(bad) -> None:
    backend = ScriptedBackend([bad, SEARCH, bad, call("select_masks", ids=[1])], ACCEPT)
    answer = ask(backend)
    assert answer.status == "answered"
    repeated = [part.text for part in backend.requests[1].messages[-1].parts if isinstance(part, Text)]
    assert "could not be used" in repeated[-1]


def test_tools_for_clips_are_not_there_on_an_image() -> None:
    """Two masks of an image would become one, and a complaint that names a tool makes small models call it."""
    lines = [SEARCH, call("merge_tracks", ids=[1, 2]), call("select_masks", ids=[1])]
    backend = ScriptedBackend(lines, ACCEPT)
    answer = ask(backend)
    assert answer.status == "answered" and [mask.id for mask in answer.masks] == [1]
    complaint = told(backend.requests[-1].messages[-1])
    offered = [tool.name for tool in backend.requests[-1].tools]
    assert f"there is no tool 'merge_tracks' here; call exactly one of {', '.join(offered)}." in complaint
    assert "track" not in complaint.replace("merge_tracks", "")


def test_a_phrase_is_not_searched_twice() -> None:
    world = World()
    ask(ScriptedBackend([SEARCH, SEARCH, call("select_masks", ids=[1])], ACCEPT), world)
    assert world.searched == ["player"]


def test_nonsense_without_end_is_exhausted_with_the_best_so_far() -> None:
    answer = ask(ScriptedBackend([SEARCH, *["hm"] * 50], ACCEPT))
    assert answer.status == "exhausted" and [mask.id for mask in answer.masks] == [1, 2, 3]


def test_a_candidate_without_a_usable_judgement_stays_unsure() -> None:
    backend = ScriptedBackend([SEARCH, call("select_masks", ids=[1])], {None: "no json"})
    assert ask(backend).status == "answered"


@pytest.mark.parametrize(("calls", "most"), [(1, 1), (2, 2), (3, 3), (4, 4)])
def test_the_call_budget_holds_exactly(calls: int, most: int) -> None:
    answer = ask(ScriptedBackend([SEARCH, *["hm"] * 50], ACCEPT), budget=Budget(mllm_calls=calls))
    assert answer.status == "exhausted" and answer.costs.mllm_calls <= most


def test_the_segmenter_budget_holds() -> None:
    world = World()
    lines = [call("segment_phrase", phrases=[f"player {n}", f"car {n}"]) for n in range(9)]
    answer = ask(ScriptedBackend(lines, ACCEPT), world, Budget(segmenter_calls=3))
    assert answer.status == "exhausted" and answer.costs.segmenter_calls == len(world.searched) == 3


def test_what_the_segmenter_refuses_and_what_cannot_be_encoded_is_told_back(tmp_path: Path) -> None:
    class Picky(World):
        def segment_phrases(self, phrases, threshold=None, frame=0):
            if "bad" in phrases:
                raise InputError("too long")
            return super().segment_phrases(phrases, threshold, frame)

    odd = MLLMReply(text="\ud800", tool_calls=(ToolCall("\ud800" * 900, "{}"),))
    wrong = MLLMReply(tool_calls=(ToolCall("segment_phrase", '{"\\ud800": 1}'),))
    lines = [odd, wrong, call("segment_phrase", phrases=["bad"]), SEARCH, call("select_masks", ids=[1])]
    backend = ScriptedBackend(lines, ACCEPT)
    assert ask(backend, Picky(), out=tmp_path).status == "answered"
    told = [part.text for r in backend.requests for part in r.messages[-1].parts if isinstance(part, Text)]
    assert any("this cannot be searched: too long" in text for text in told)
    assert all(text.encode() and len(text) < 3000 for text in told)


def test_the_last_search_may_still_be_answered() -> None:
    backend = ScriptedBackend([SEARCH, call("select_masks", ids=[1])], ACCEPT)
    assert ask(backend, budget=Budget(segmenter_calls=1)).status == "answered"


def test_a_repeated_search_is_no_search_even_without_budget() -> None:
    """The repetition is refused before the budget is looked at, so the answer can still be given."""
    lines = [call("segment_phrase", phrases=["player", "car"]), SEARCH, call("select_masks", ids=[1])]
    backend = ScriptedBackend(lines, ACCEPT)
    assert ask(backend, budget=Budget(segmenter_calls=1)).status == "answered"
    told = [part.text for part in backend.requests[-1].messages[-1].parts if isinstance(part, Text)]
    assert "these phrases have been searched already: player" in told[-1]


def test_only_what_is_searched_is_reported_and_recorded(tmp_path: Path) -> None:
    lines = [SEARCH, call("segment_phrase", phrases=["player", "car", "ball"]), call("select_masks", ids=[1])]
    world, reported = World(), list[str]()
    agent = Agent(world, ScriptedBackend(lines, ACCEPT), Budget(segmenter_calls=2))
    agent.ask(world.image, "leftmost player", out=tmp_path, tell=reported.append)
    assert [line for line in reported if line.startswith("searching")] == [
        "searching for 'player'",
        "searching for 'car'",
    ]
    calls = [record["arguments"] for record in read_trace(tmp_path) if record["event"] == "tool"]
    assert calls[1]["phrases"] == ["car"]


def test_masks_cannot_be_measured_before_there_are_any() -> None:
    backend = ScriptedBackend([call("measure_masks"), SEARCH, call("select_masks", ids=[1])], ACCEPT)
    assert ask(backend).status == "answered"
    told = [part.text for part in backend.requests[1].messages[-1].parts if isinstance(part, Text)]
    assert "there are no masks yet" in told[-1]


def test_an_endless_reply_ends_with_the_time() -> None:
    class Endless(ScriptedBackend):
        async def decide(self, request: MLLMRequest) -> MLLMReply:
            await asyncio.sleep(60)
            return MLLMReply()

    answer = ask(Endless([]), budget=Budget(seconds=0.2))
    assert answer.status == "exhausted" and answer.costs.elapsed_s < 5 and "0.2 seconds" in answer.reason


def test_a_backend_that_cannot_be_reached_fails_at_once_but_exhausts_later() -> None:
    with pytest.raises(MLLMUnreachableError):
        ask(ScriptedBackend([MLLMUnreachableError("no server")]))
    answer = ask(ScriptedBackend([SEARCH, MLLMUnreachableError("gone")], ACCEPT))
    assert answer.status == "exhausted" and answer.reason == "gone" and len(answer.masks) == 3
    assert ask(ScriptedBackend([MLLMBusyError("overloaded")])).status == "exhausted"


def test_tokens_are_counted() -> None:
    lines = [MLLMReply(text="hm", usage=Usage(10, 2, 5)), MLLMReply(text="hm", usage=Usage(11, 3, 6))]
    assert ask(ScriptedBackend(lines)).costs.usage == Usage(21, 5, 11)


POLICIES = [EVERY_CANDIDATE, *EFFORTS.values()]
RULES = st.sampled_from(
    ["leftmost", "nearest to 2", "not 1", {"rule": "behind", "of": [1]}, {"rule": "largest", "drop": True}]
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(['{"verdict": "reject"}', '{"verdict": "accept"}', "<tool_call>", "{}"]),
    st.builds(lambda ids: call("select_masks", ids=ids), st.lists(st.integers(-1, 5), max_size=3)),
    st.builds(lambda ids: call("examine_masks", ids=ids), st.lists(st.integers(1, 4), max_size=3)),
    st.builds(
        lambda p: call("segment_phrase", phrases=p), st.lists(st.sampled_from(["player", "car", "dog"]), max_size=3)
    ),
    st.just(call("measure_masks")),
    st.builds(
        lambda ids, keep, missing: call("select_masks", what="player", ids=ids, keep=keep, missing=missing),
        st.lists(st.integers(1, 4), min_size=1, max_size=3),
        st.lists(RULES, max_size=2),
        st.lists(st.sampled_from(["car", "dog", "ball"]), max_size=2),
    ),
    st.just('{"wrong": [1], "missing": ["ball"]}'),
    st.builds(MLLMReply, text=st.text(max_size=5), finish=st.sampled_from(["length", "refusal"])),
    st.builds(MLLMError, st.text(max_size=5)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(texts, max_size=40), st.integers(1, 12), st.integers(1, 4), st.sampled_from(POLICIES))
def test_any_script_ends_within_its_budget(lines: list, calls: int, searches: int, policy: Policy) -> None:
    world = World()
    limits = Limits(complaints=2, rounds=5)
    agent = Agent(world, ScriptedBackend(lines), Budget(calls, searches, 60), limits, policy=policy)
    answer = agent.ask(world.image, "anything")
    assert answer.status in ("answered", "no_match", "exhausted")
    assert answer.costs.mllm_calls <= calls and answer.costs.segmenter_calls <= searches


def test_asking_works_inside_a_running_event_loop() -> None:
    async def notebook() -> Answer:
        return ask(ScriptedBackend([SEARCH, call("select_masks", ids=[1])], ACCEPT))

    assert asyncio.run(notebook()).status == "answered"


def test_a_backend_without_an_mllm_has_no_budget_of_calls(tmp_path: Path) -> None:
    answer = ask(RulesBackend(), budget=Budget(mllm_calls=1), out=tmp_path)
    assert answer.status == "answered" and answer.costs.mllm_calls == 0
    findings = [record for record in read_trace(tmp_path) if record["event"] == "finding"]
    assert [finding["id"] for finding in findings] == [1, 2, 3]


def test_connections_are_closed_with_the_event_loop() -> None:
    class Connected(ScriptedBackend):
        closed = 0

        async def close(self) -> None:
            self.closed += 1

    backend = Connected([MLLMUnreachableError("no server"), SEARCH, call("report_no_match")], ACCEPT)
    with pytest.raises(MLLMUnreachableError):
        ask(backend)
    assert ask(backend).status == "no_match" and backend.closed == 2


@pytest.mark.parametrize("policy", [EVERY_CANDIDATE, Policy()])
def test_nothing_is_absent_that_was_not_searched(policy: Policy) -> None:
    """A small model may say at a glance that there is nothing; "no match" would then rest on nothing."""
    lazy = ScriptedBackend([call("report_no_match", reason="no dog")] * 4)
    answer = ask(lazy, policy=policy)
    assert answer.status == "exhausted" and answer.masks == () and "nothing has been searched yet" in answer.reason
    assert "segment_phrase" in told(lazy.requests[1].messages[-1]), "what to call is shown"
    search = call("segment_phrase", phrases=["dog"])
    backend = ScriptedBackend([call("report_no_match"), search, *[call("report_no_match", reason="no dog")] * 2])
    answer = ask(backend, policy=policy)
    assert answer.status == "no_match" and answer.absence
    assert [one.phrase for one in answer.absence.searched] == ["dog"]


def test_many_verdicts_are_told_in_one_line() -> None:
    few = [Finding(1, "accept", "white"), Finding(2, "reject", "")]
    assert verdict_lines(few) == ["mask 1: accept (white)", "mask 2: reject"]
    many = [Finding(i, "accept" if i < 15 else "reject", "because") for i in range(1, 21)]
    (line,) = verdict_lines(many)
    assert line == (
        "20 masks: accept 14 (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …), reject 6 (15, 16, 17, 18, 19, 20); "
        "all verdicts are in the trace"
    )
