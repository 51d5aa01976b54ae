"""The whole agent with a failing server: every question ends with the right status, and nothing is raised."""

import asyncio
import gc
import json
import time
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sam3agent.agent.budget import Budget
from sam3agent.answer import Answer
from sam3agent.api import Agent
from sam3agent.media import Media, open_media
from sam3agent.mllm import errors
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from tests.drawn_match import drawing, segmenter
from tests.mllm.fault_server import (
    Behaviour,
    FaultServer,
    Handler,
    body,
    completion,
    cut,
    endless,
    error,
    fault_server,
    hang_up,
    reply,
    silent,
)

QUICK = Endpoint(connect_s=1, read_s=20, reply_s=20, retries=1, backoff_s=0.01, longest_pause_s=0.1)
BUDGET = Budget(mllm_calls=12, segmenter_calls=6, seconds=30)
SEARCH = reply(calls=[("segment_phrase", {"phrases": ["player in white"]})])
ACCEPT = reply('{"reason": "white kit", "verdict": "accept"}')
SELECT = reply(calls=[("select_masks", {"ids": [1], "reason": "furthest left"})])


def ask(server: FaultServer, budget: Budget = BUDGET, out: Path | None = None, reply_s: float = 20) -> Answer:
    backend = OpenAIBackend(replace(QUICK, base_url=server.url, reply_s=reply_s), "test-model")
    started = time.monotonic()
    answer = Agent(segmenter(), backend, budget).ask(drawing(), "leftmost player in white", out=out)
    assert time.monotonic() - started < budget.seconds + 2
    assert answer.costs.mllm_calls <= budget.mllm_calls
    return answer


def ids(answer: Answer) -> list[int]:
    return [mask.id for mask in answer.masks]


def by_kind(**kinds: Behaviour) -> Behaviour:
    """One behaviour for examinations (requests with a schema), another for tool calls."""

    def play(handler: Handler) -> None:
        request = handler.owner.requests[-1]
        kinds["judge" if "response_format" in request else "act"](handler)

    return play


def test_a_question_without_faults(tmp_path: Path) -> None:
    with fault_server(SEARCH, ACCEPT, ACCEPT, SELECT) as server:
        answer = ask(server, out=tmp_path)
    assert (answer.status, ids(answer), answer.costs.mllm_calls) == ("answered", [1], 4)
    assert answer.costs.usage.prompt_tokens == 44


MISTAKES = {
    "empty": reply(""),
    "no choices": body('{"choices": []}'),
    "truncated": reply('{"name": "segment_ph', finish="length"),
    "refused": reply(refusal="I cannot help with that."),
    "unknown tool": reply(calls=[("teleport", {})]),
    "broken arguments": reply(calls=[("segment_phrase", '{"phrases": [')]),
    "wrong arguments": reply(calls=[("segment_phrase", {"words": 3})]),
    "unknown mask": reply(calls=[("select_masks", {"ids": [42]})]),
    "plain text": reply("The leftmost player is on the left."),
    "deep nesting": reply(calls=[("segment_phrase", "[" * 50_000)]),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_sent_back_and_the_question_continues(mistake: Behaviour) -> None:
    with fault_server(mistake, SEARCH, ACCEPT, ACCEPT, mistake, SELECT) as server:
        answer = ask(server)
    assert (answer.status, ids(answer), answer.costs.mllm_calls) == ("answered", [1], 6)
    again = json.dumps(server.requests[1]["messages"][-1])
    assert "could not be used" in again


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_repeated_mistakes_exhaust_the_question(mistake: Behaviour) -> None:
    with fault_server(default=mistake) as server:
        answer = ask(server)
    assert (answer.status, ids(answer)) == ("exhausted", [])
    assert answer.reason


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_repeated_mistakes_at_the_end_keep_the_best_answer_so_far(mistake: Behaviour) -> None:
    with fault_server(SEARCH, ACCEPT, ACCEPT, default=mistake) as server:
        answer = ask(server)
    assert (answer.status, ids(answer)) == ("exhausted", [1, 2])


@pytest.mark.parametrize("verdict", ["", "maybe", '{"verdict": "perhaps"}', "[]", '{"reason": 3}', "{" * 9999])
def test_after_an_invalid_verdict_a_mask_is_unsure(verdict: str) -> None:
    with fault_server(SEARCH, default=by_kind(judge=reply(verdict), act=SELECT)) as server:
        answer = ask(server)
    assert (answer.status, ids(answer)) == ("answered", [1])


TRANSIENT = {
    "429": error(429, Retry_After="0.01"),
    "500": error(500),
    "cut": cut(),
    "hang up": hang_up(),
    "not JSON": body("{oh no"),
    "empty body": body(""),
    "HTML page": body("<html></html>", 200, "text/html"),
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_a_transient_fault_is_retried(fault: Behaviour) -> None:
    with fault_server(fault, SEARCH, fault, ACCEPT, ACCEPT, fault, SELECT) as server:
        answer = ask(server)
    assert (answer.status, answer.costs.mllm_calls) == ("answered", 4)


@pytest.mark.parametrize("outage", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_an_outage_keeps_the_best_answer_so_far(outage: Behaviour) -> None:
    with fault_server(SEARCH, ACCEPT, ACCEPT, default=outage) as server:
        answer = ask(server)
    assert (answer.status, ids(answer)) == ("exhausted", [1, 2])
    assert server.url in answer.reason


@pytest.mark.parametrize("end", [endless(), silent(), endless(status=500)], ids=["endless", "silent", "endless error"])
def test_an_endless_reply_keeps_the_best_answer_so_far(end: Behaviour) -> None:
    with fault_server(SEARCH, ACCEPT, ACCEPT, default=end) as server:
        answer = ask(server, reply_s=1.5)
    assert (answer.status, ids(answer)) == ("exhausted", [1, 2])
    assert "did not finish its reply" in answer.reason


@pytest.mark.parametrize("outage", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_an_outage_during_examination_keeps_the_masks_found(outage: Behaviour) -> None:
    with fault_server(default=by_kind(judge=outage, act=SEARCH)) as server:
        answer = ask(server)
    assert (answer.status, ids(answer)) == ("exhausted", [1, 2])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (error(401), errors.MLLMKeyRefusedError),
        (error(404, "no such model"), errors.MLLMUnknownModelError),
        (error(400, "maximum context length is 10 tokens"), errors.MLLMContextError),
    ],
)
def test_a_fatal_error_is_raised_in_the_first_call_and_later_keeps_the_best_answer(fault: Behaviour, kind: Any) -> None:
    with fault_server(default=fault) as server, pytest.raises(kind):
        ask(server)
    with fault_server(SEARCH, ACCEPT, ACCEPT, default=fault) as server:
        answer = ask(server)
    assert (answer.status, ids(answer)) == ("exhausted", [1, 2])


def test_the_time_budget_with_a_slow_server() -> None:
    with fault_server(SEARCH, default=silent()) as server:
        answer = ask(server, replace(BUDGET, seconds=2))
    assert (answer.status, ids(answer)) == ("exhausted", [1, 2])


def test_the_call_budget() -> None:
    script = [reply(calls=[("segment_phrase", {"phrases": [f"player {i}"]})]) for i in range(9)]
    with fault_server(*script, default=ACCEPT) as server:
        answer = ask(server, replace(BUDGET, mllm_calls=3))
    assert answer.status == "exhausted"
    assert answer.costs.mllm_calls == 3 == len(server.requests)


def test_system_prompt_and_image_are_a_stable_prefix() -> None:
    with fault_server(SEARCH, ACCEPT, ACCEPT, SELECT) as server:
        ask(server)
    first = [json.dumps(request["messages"][:2]) for request in server.requests]
    assert len(first) == 4 and len(set(first)) == 1
    assert completion()["model"] == server.requests[0]["model"]


@dataclass
class RememberedSegmenter:
    """The scripted segmenter, whose sessions are known as long as they are in memory, and can be closed."""

    name: str = "remembered"
    sessions: list[weakref.ref[Any]] = field(default_factory=list)
    closed: int = 0

    def open(self, media: Media) -> Any:
        session = segmenter().open(media)
        session.close = self.close  # pyright: ignore[reportAttributeAccessIssue]
        self.sessions.append(weakref.ref(session))
        return session

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    "fault", [error(401), error(429, Retry_After="99999"), cut(), silent(), endless(status=500), reply("")]
)
def test_a_failed_question_leaves_no_session_in_memory(fault: Behaviour) -> None:
    """Not even until the next garbage collection: encoded images are large."""
    known = RememberedSegmenter()
    gc.collect()
    gc.disable()
    try:
        with fault_server(SEARCH, default=fault) as server:
            client = OpenAIBackend(replace(QUICK, base_url=server.url, reply_s=0.5), "test-model")
            assert Agent(known, client, BUDGET).ask(drawing(), "leftmost player in white").status == "exhausted"
        alive = [session() for session in known.sessions if session() is not None]
    finally:
        gc.enable()
    assert not alive
    assert known.closed == 1


def test_a_question_that_fails_at_once_closes_its_session() -> None:
    known = RememberedSegmenter()
    with fault_server(default=error(401)) as server, pytest.raises(errors.MLLMKeyRefusedError):
        client = OpenAIBackend(replace(QUICK, base_url=server.url), "test-model")
        Agent(known, client, BUDGET).ask(drawing(), "leftmost player in white")
    assert known.closed == 1


def test_a_session_of_the_caller_stays_open() -> None:
    known = RememberedSegmenter()
    session = known.open(open_media(drawing()))
    with fault_server(SEARCH, ACCEPT, ACCEPT, SELECT) as server:
        client = OpenAIBackend(replace(QUICK, base_url=server.url), "test-model")
        answer = asyncio.run(Agent(known, client, BUDGET).aask(drawing(), "leftmost player in white", session=session))
    assert answer.status == "answered" and known.closed == 0
