"""The loop: ask the backend, read its decision, run the tool, advance the state, until an end or a budget."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sam3agent.agent.budget import Ledger
from sam3agent.agent.decisions import (
    COMPLETENESS_SCHEMA,
    JUDGEMENT_SCHEMA,
    PREFERENCE_SCHEMA,
    NoCallError,
    read_call,
    read_completeness,
    read_judgement,
    read_preference,
)
from sam3agent.agent.messages import Conversation, sought_in
from sam3agent.agent.offers import offered_tools
from sam3agent.agent.policy import EVERY_CANDIDATE, Policy
from sam3agent.agent.trace import Trace
from sam3agent.agent.transitions import Limits, advance
from sam3agent.deadlines import within
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest
from sam3agent.pool import MaskPool, listed_masks
from sam3agent.states import (
    ActiveState,
    Answered,
    Compare,
    Compared,
    Comparison,
    Complaint,
    Event,
    Examined,
    FinalState,
    Finding,
    Generate,
    OfTool,
    OutOfBudget,
    PastCall,
    Recheck,
    Rechecked,
    Searched,
    Story,
    Unreadable,
    Verify,
    Widen,
    verdict_lines,
)
from sam3agent.tools.mask_facts import mask_colours
from sam3agent.tools.registry import Tool, ToolResult, ToolUseError, all_tools
from sam3agent.workbench import Workbench

log = logging.getLogger(__name__)

CONCURRENT_EXAMINATIONS = 8

RESERVE = 8
"""Calls kept for the answer while candidates are examined, of a large budget; replies may be unusable."""

COLOUR_SAMPLES = 1500
"""Pixels of a mask from which its colours are estimated."""

OTHER_TEMPERATURE = 0.7
"""Temperature of a second look at the same candidate, which must differ from the first to be worth its call."""


Found = TypeVar("Found")
_SCHEMAS = {Verify: JUDGEMENT_SCHEMA, Compare: PREFERENCE_SCHEMA, Recheck: COMPLETENESS_SCHEMA}
"""What is replied in states that ask for no tool call."""


class _BudgetSpent(Exception):  # noqa: N818 (control flow, not an error)
    """A budget ran out during a step."""


@dataclass
class AgentLoop:
    """One question about one medium. `tell` receives a line of text whenever something happens."""

    query: str
    bench: Workbench
    backend: MLLM
    ledger: Ledger
    limits: Limits = field(default_factory=Limits)
    trace: Trace = field(default_factory=Trace)
    tell: Callable[[str], None] = log.info
    policy: Policy = EVERY_CANDIDATE

    def __post_init__(self) -> None:
        self._conversation = Conversation(self.query, self.bench)
        self._tools = all_tools()
        self._schemas = offered_tools(self.bench, self.policy)
        self._replied = False
        self._gate = asyncio.Semaphore(CONCURRENT_EXAMINATIONS)

    async def run(self) -> FinalState:
        """Run the question to its end.

        Raises `MLLMError` if the backend is unusable in the first call, and errors of the segmenter. Nothing that a
        model replies raises an exception.
        """
        state = Generate(Story(self.query))
        while isinstance(state, ActiveState):
            event = await self.step(state)
            state = advance(state, event, self.limits, self.policy)
            self.ledger.steps += 1
            self.trace.record("state", state=type(state).__name__, masks=list(state.story.pool.ids))
        if isinstance(state, Answered) and state.unchecked:
            self._unchecked(state.unchecked)
        return state

    async def step(self, state: ActiveState) -> Event:
        """The next event in a state. Raises `MLLMError` as `run` does."""
        if (reason := self.ledger.overdrawn()) and not isinstance(state, Widen):  # which needs no call
            return OutOfBudget(reason)
        try:
            match state:
                case Verify():
                    return await self._examine(state)
                case Widen():
                    return await self._widen(state)
                case Compare():
                    return await self._compare(state)
                case Recheck():
                    return await self._check(state)
                case _:
                    return await self._act(state)
        except ToolUseError as error:
            if isinstance(error, NoCallError) and (note := self.backend.tools_ignored()):
                self._warn((note,))
            self.tell(f"unusable reply: {error}")
            self.trace.record("complaint", text=str(error))
            return Complaint(str(error))
        except (_BudgetSpent, MLLMError) as error:
            if isinstance(error, MLLMError) and error.fatal and not self._replied:
                raise
            if isinstance(state, Compare | Recheck):
                self._failed_look(state.ids, error)
            failed = isinstance(error, MLLMError) and self.ledger.seconds_left > 0
            return OutOfBudget(str(error), interrupted=failed)

    async def _act(self, state: ActiveState) -> Event:
        """One tool call."""
        reply = await self._decide(state)
        if reply.not_understood:
            return Unreadable(reply.not_understood)
        call = read_call(reply, tuple(schema.name for schema in self._schemas))
        tool = self._tools[call.name]
        given, dropped = tool.read(call.arguments)
        if dropped:
            self.trace.record("dropped_arguments", name=call.name, arguments=list(dropped))
        result = await self._run(tool, state, given)
        return result.event

    async def _run(self, tool: Tool, state: ActiveState, given: Any) -> ToolResult:
        """A tool called with validated arguments, within the budgets, and recorded."""
        bench = self._bench(state)
        arguments = tool.ready(bench, given)
        if tool.cost == "segmenter" and not self.ledger.searches_left:
            raise _BudgetSpent(f"the budget of {self.ledger.budget.segmenter_calls} segmenter calls is used up")
        if not self.ledger.seconds_left:
            raise _BudgetSpent(self.ledger.overtime())
        if tool.progress:
            self.tell(tool.progress(arguments))
        try:
            result = await within(self.ledger.seconds_left, tool.run, bench, arguments)
        except TimeoutError:
            self.ledger.usable += 1
            raise _BudgetSpent(self.ledger.overtime()) from None
        self.ledger.usable += 1
        self.ledger.segmenter_calls += result.segmenter_calls
        if isinstance(result.event, Searched):
            self.tell("; ".join(result.text.splitlines()))
        await within(None, self.trace.record_tool, tool.name, arguments.model_dump(), result)
        event = result.event
        if isinstance(event, OfTool):
            event = replace(event, call=PastCall(tool.name, arguments.model_dump_json(exclude_defaults=True)))
        if isinstance(event, Searched) and not self.policy.every and self.policy.colours:
            with suppress(TimeoutError):  # the next step ends the question, and needs no colours
                event = replace(event, pool=await within(self.ledger.seconds_left, _with_colours, event.pool, bench))
        return replace(result, event=event)

    async def _widen(self, state: Widen) -> Event:
        """Search for what was said to be missing, in a clip on all frames; nothing new if that is not possible."""
        for tool in (self._tools["track"], self._tools["segment_phrase"]):
            if tool.fits(self.bench):
                try:
                    return (await self._run(tool, state, tool.parse({"phrases": list(state.phrases)}))).event
                except ToolUseError:
                    continue
                except _BudgetSpent as spent:
                    phrases = ", ".join(f'"{phrase}"' for phrase in state.phrases)
                    self._warn((f"{phrases} could not be searched before the answer: {spent}",))
                    break
        return Searched((), state.story.pool)

    async def _check(self, state: Recheck) -> Event:
        """Show the selection once more against the question; nothing new if no reply is usable."""
        try:
            found = await self._judged(state, read_completeness)
        except ToolUseError as error:
            self._failed_look(state.ids, error)
            self._unchecked(str(error))
            return Rechecked()
        return Rechecked(tuple(found.wrong), tuple(found.missing))

    async def _compare(self, state: Compare) -> Event:
        """Show two masks side by side; no winner if no reply is usable."""
        try:
            winner = (await self._judged(state, lambda reply: read_preference(reply, state.ids))).better
            seen = listed_masks([winner]) if winner else "no difference seen"
        except ToolUseError as error:
            winner, seen = None, f"no usable comparison: {error}"
            self._failed_look(state.ids, error)
            self._unchecked(str(error))
        self.tell(f"comparing {listed_masks(state.ids)}: {seen}")
        return Compared(Comparison(state.ids, winner))

    async def _judged(
        self, state: ActiveState, read: Callable[[MLLMReply], Found], candidate: int | None = None, spare: int = 1
    ) -> Found:
        """What a reply says that is no tool call. spare: calls that are left for others.

        Raises `ToolUseError` after several unusable replies, or if there is no call left for it.
        """
        error = ToolUseError("no calls are left for it")
        for tries in range(1 + self.limits.complaints):
            if not self.backend.free and self.ledger.calls_left <= spare:
                break
            reply = await self._decide(state, candidate, str(error) if tries else "", tries)
            try:
                found = read(reply)
            except ToolUseError as unusable:
                error = unusable
                self.trace.record("complaint", candidate=candidate, text=str(error))
            else:
                self.ledger.usable += 1
                return found
        raise error

    async def _examine(self, state: Verify) -> Event:
        """Examine all pending candidates concurrently; some calls are kept in reserve for the answer."""
        pending = sorted(state.pending, key=lambda i: -c.score if (c := state.story.pool.get(i)) else 0)
        chosen = pending if self.backend.free else pending[: max(0, self.ledger.calls_left - self._reserve)]
        if len(chosen) < len(pending):
            left, most = self.ledger.calls_left, self.ledger.budget.mllm_calls
            self._unchecked(f"the last {min(left, self._reserve)} of {most} MLLM calls are kept for the answer")
        if chosen:
            self.tell(f"examining {len(chosen)} mask{'s' if len(chosen) != 1 else ''}")
        results = await asyncio.gather(*(self.look(state, mask_id) for mask_id in chosen), return_exceptions=True)
        findings = tuple(result for result in results if isinstance(result, Finding))
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, MLLMError | _BudgetSpent):
                raise failure
        for mask_id, result in zip(chosen, results, strict=True):
            if isinstance(result, BaseException):
                self._failed_look((mask_id,), result)
        if failures and not findings:
            raise next((one for one in failures if isinstance(one, MLLMError)), failures[0])
        for finding in findings:
            self.trace.record("finding", id=finding.id, verdict=finding.verdict, reason=finding.reason)
        for line in verdict_lines(findings):
            self.tell(line)
        return Examined(findings)

    def _unchecked(self, why: str) -> None:
        self._warn((f"further looks were not made: {why}",))

    def _failed_look(self, ids: Sequence[int], error: BaseException) -> None:
        """Record that a look at masks was not possible."""
        self.tell(f"no look at {listed_masks(ids)}: {error}")
        self.trace.record("failed_look", ids=list(ids), text=str(error))

    @property
    def _reserve(self) -> int:
        return min(RESERVE, max(1, self.ledger.budget.mllm_calls // 7))

    async def look(self, state: Verify, mask_id: int) -> Finding:
        """The finding on one candidate. After several unusable replies it is "unsure"."""
        async with self._gate:
            try:
                found = await self._judged(state, read_judgement, mask_id, self._reserve)
            except ToolUseError as error:
                return Finding(mask_id, "unsure", f"no usable judgement: {error}")
        return Finding(mask_id, found.verdict, found.reason, sought_in(state.story, mask_id))

    async def _decide(
        self, state: ActiveState, candidate: int | None = None, complaint: str = "", number: int = 0
    ) -> MLLMReply:
        """One reply, within the budgets, recorded in ledger and trace."""
        cost = 0 if self.backend.free else 1
        if cost and not self.ledger.calls_left:
            raise _BudgetSpent(self.ledger.overdrawn())
        schema = _SCHEMAS.get(type(state))
        again = candidate is not None and any(s.close and s.id == candidate for s in state.story.sights)
        request = MLLMRequest(
            messages=self._conversation.compose(state, candidate, complaint, number)
            if self.backend.needs_messages
            else (),
            tools=self._schemas,
            json_schema=schema,
            temperature=OTHER_TEMPERATURE if again else None,
            timeout_s=self.ledger.seconds_left,
            state=state,
            bench=self._bench(state),
            candidate=candidate,
        )
        self.ledger.mllm_calls += cost
        try:
            async with asyncio.timeout(max(self.ledger.seconds_left, 0.01)):
                reply = await self.backend.decide(request)
        except TimeoutError:
            raise _BudgetSpent(self.ledger.overtime()) from None
        self._replied = True
        self.ledger.mllm_calls += reply.calls - cost
        self.ledger.usage += reply.usage
        self._warn(reply.warnings)
        self.trace.record_exchange(type(state).__name__, request, reply)
        return reply

    def _warn(self, warnings: Sequence[str]) -> None:
        """Keep warnings for the answer, and tell those that are new."""
        for warning in warnings:
            if warning not in self.ledger.warnings:
                self.tell(warning)
                self.trace.record("warning", text=warning)
        self.ledger.warn(warnings)

    def _bench(self, state: ActiveState) -> Workbench:
        """The workbench as a tool sees it in this state."""
        story = state.story
        return replace(
            self.bench, pool=story.pool, searched=story.single_searches, searches_left=self.ledger.searches_left
        )


def _with_colours(pool: MaskPool, bench: Workbench) -> MaskPool:
    """The pool with the colours of all candidates that have none yet."""
    new = [c for c in pool.candidates if c.colours is None]
    return pool.coloured({c.id: mask_colours(bench, c, COLOUR_SAMPLES) for c in new})
