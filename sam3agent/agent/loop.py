"""The loop: ask the backend, read its decision, run the tool, advance the state, until an end or a budget."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sam3agent.agent.budget import Ledger
from sam3agent.agent.decisions import (
    JUDGEMENT_SCHEMA,
    ExamineMasks,
    MeasureMasks,
    ReportNoMatch,
    SegmentPhrase,
    SelectMasks,
    read_call,
    read_judgement,
)
from sam3agent.agent.messages import Conversation
from sam3agent.agent.states import (
    Asking,
    Complaint,
    End,
    Event,
    Examined,
    Finding,
    Generate,
    LookAgain,
    Measured,
    NothingThere,
    OutOfBudget,
    Search,
    Searched,
    Selected,
    Story,
    Verify,
)
from sam3agent.agent.trace import Trace, reply_record
from sam3agent.agent.transitions import Limits, advance
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest, Picture
from sam3agent.tools.masks import REGISTRY
from sam3agent.tools.registry import ToolUseError
from sam3agent.tools.workbench import ToolResult, Workbench

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Examinations under way at the same time."""


class _BudgetSpent(Exception):  # noqa: N818 (control flow, not an error)
    """A budget ran out while something was under way."""


@dataclass
class Run:
    """One question about one picture. `tell` gets a line of plain words whenever something happens."""

    query: str
    bench: Workbench
    backend: MLLM
    ledger: Ledger
    limits: Limits = field(default_factory=Limits)
    trace: Trace = field(default_factory=Trace)
    tell: Callable[[str], None] = log.info

    def __post_init__(self) -> None:
        self._conversation = Conversation(self.query, self.bench)
        self._tools = tuple(tool.schema for tool in REGISTRY.values())
        self._heard = False
        self._free = getattr(self.backend, "free", False)
        self._talks = getattr(self.backend, "needs_messages", True)
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> End:
        """Drive the question to one of its ends.

        Raises `MLLMError` where the backend is unusable from the first call on, and what the segmenter raises; nothing
        that a model says raises anything.
        """
        state = Generate(Story(self.query))
        while isinstance(state, Asking):
            event = await self._step(state)
            state = advance(state, event, self.limits)
            self.trace.record("state", state=type(state).__name__, masks=list(state.story.pool.ids))
        return state

    async def _step(self, state: Asking) -> Event:
        """What happens next in a state, as an event."""
        if reason := self.ledger.overdrawn():
            return OutOfBudget(reason)
        try:
            return await (self._examine(state) if isinstance(state, Verify) else self._act(state))
        except ToolUseError as error:
            self.tell(f"the reply cannot be used: {error}")
            self.trace.record("complaint", text=str(error))
            return Complaint(str(error))
        except _BudgetSpent as spent:
            return OutOfBudget(str(spent))
        except MLLMError as error:
            if error.fatal and not self._heard:
                raise
            return OutOfBudget(str(error))

    async def _act(self, state: Asking) -> Event:
        """One tool call."""
        reply = await self._decide(state)
        call = read_call(reply, tuple(REGISTRY))
        tool = REGISTRY[call.name]
        arguments = tool.parse(call.arguments)
        if isinstance(arguments, SegmentPhrase):
            arguments = self._worth_searching(state, arguments)
            self.tell(f"searching for {', '.join(map(repr, arguments.phrases))}")
        bench = self.bench.with_pool(state.story.pool)
        result = await asyncio.to_thread(tool.run, bench, arguments)
        self._record_tool(call.name, arguments.model_dump(), result)
        return self._event(arguments, result)

    def _event(self, arguments: Any, result: ToolResult) -> Event:
        """The event that a tool call amounts to."""
        match arguments:
            case SegmentPhrase():
                self.ledger.segmenter_calls += len(arguments.phrases)
                self.tell("; ".join(result.text.splitlines()))
                found = result.data["searches"]
                searches = tuple(Search(s["phrase"], tuple(m["id"] for m in s["masks"])) for s in found)
                return Searched(searches, result.pool)
            case ExamineMasks():
                return LookAgain(tuple(arguments.ids))
            case MeasureMasks():
                self.tell("measuring masks")
                return Measured(result.text)
            case SelectMasks():
                return Selected(tuple(arguments.ids), arguments.reason)
            case ReportNoMatch():
                return NothingThere(arguments.reason)
        return Complaint("this tool cannot be called here")

    def _worth_searching(self, state: Asking, arguments: SegmentPhrase) -> SegmentPhrase:
        """The phrases that are new and within the budget; raises `ToolUseError` where none is new."""
        used = state.story.used_phrases
        new = [phrase for phrase in arguments.phrases if phrase not in used]
        if not new:
            raise ToolUseError(f"these phrases have been searched already: {', '.join(used)}; use other words")
        room = self.ledger.budget.segmenter_calls - self.ledger.segmenter_calls
        if room <= 0:
            raise _BudgetSpent(f"the budget of {self.ledger.budget.segmenter_calls} segmenter calls is used up")
        return SegmentPhrase(phrases=new[:room])

    async def _examine(self, state: Verify) -> Event:
        """Every pending candidate looked at, concurrently; one call stays in reserve for the answer."""
        pending = sorted(state.pending, key=lambda i: -c.score if (c := state.story.pool.get(i)) else 0)
        chosen = pending if self._free else pending[: max(0, self.ledger.calls_left - 1)]
        self.tell(f"looking at {len(chosen)} mask{'s' if len(chosen) != 1 else ''}")
        results = await asyncio.gather(*(self._judge(state, mask_id) for mask_id in chosen), return_exceptions=True)
        findings = tuple(result for result in results if isinstance(result, Finding))
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, MLLMError | _BudgetSpent):
                raise failure
        if failures and not findings:
            raise failures[0]
        for finding in findings:
            self.trace.record("finding", id=finding.id, verdict=finding.verdict, reason=finding.reason)
            self.tell(f"mask {finding.id}: {finding.verdict}{f' ({finding.reason})' if finding.reason else ''}")
        return Examined(findings)

    async def _judge(self, state: Verify, mask_id: int) -> Finding:
        """The finding on one candidate; bad replies are told back a few times, then it stays unsure."""
        complaint = ""
        async with self._gate:
            for _ in range(1 + self.limits.complaints):
                if complaint and not self._free and self.ledger.calls_left <= 1:
                    break
                reply = await self._decide(state, mask_id, complaint)
                try:
                    judgement = read_judgement(reply)
                except ToolUseError as error:
                    complaint = str(error)
                    self.trace.record("complaint", candidate=mask_id, text=complaint)
                else:
                    return Finding(mask_id, judgement.verdict, judgement.reason)
        return Finding(mask_id, "unsure", f"no usable judgement: {complaint}")

    async def _decide(self, state: Asking, candidate: int | None = None, complaint: str = "") -> MLLMReply:
        """One reply, counted, timed and traced."""
        cost = 0 if self._free else 1
        if cost and not self.ledger.calls_left:
            raise _BudgetSpent(self.ledger.overdrawn())
        messages = self._conversation.compose(state, candidate, complaint) if self._talks else ()
        request = MLLMRequest(
            messages=messages,
            tools=() if isinstance(state, Verify) else self._tools,
            json_schema=JUDGEMENT_SCHEMA if isinstance(state, Verify) else None,
            timeout_s=self.ledger.seconds_left,
            state=state,
            bench=self.bench.with_pool(state.story.pool),
            candidate=candidate,
        )
        self.ledger.mllm_calls += cost
        try:
            reply = await asyncio.wait_for(self.backend.decide(request), max(self.ledger.seconds_left, 0.01))
        except TimeoutError:
            raise _BudgetSpent(f"the budget of {self.ledger.budget.seconds:g} seconds is used up") from None
        self._heard = True
        self.ledger.mllm_calls += reply.calls - cost
        self.ledger.book(reply)
        self._record_reply(state, request, reply)
        return reply

    def _record_reply(self, state: Asking, request: MLLMRequest, reply: MLLMReply) -> None:
        parts = [part for message in request.messages[2:] for part in message.parts]
        sent = [part for m in request.messages for part in m.parts if isinstance(part, Picture) and part.was_sent]
        common = {"state": type(state).__name__, "candidate": request.candidate}
        texts = [part.text for part in parts if not isinstance(part, Picture)]
        self.trace.record("ask", **common, texts=texts, pictures=self.trace.keep(sent))
        self.trace.record("reply", **common, **reply_record(reply))

    def _record_tool(self, name: str, arguments: dict[str, Any], result: ToolResult) -> None:
        if self.trace.folder is None:
            return
        found = [mask for search in result.data.get("searches", ()) for mask in search["masks"]]
        pool = {candidate.id: candidate for candidate in result.pool.candidates}
        masks = [
            {"id": c.id, "phrases": [list(pair) for pair in c.phrases], "rle": c.mask.to_rle()}
            for mask_id in dict.fromkeys(mask["id"] for mask in found)
            if (c := pool.get(mask_id))
        ]
        pictures = self.trace.keep(result.pictures) if found else []
        self.trace.record(
            "tool", name=name, arguments=arguments, data=dict(result.data), masks=masks, pictures=pictures
        )
