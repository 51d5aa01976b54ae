"""The loop: ask the backend, read its decision, run the tool, advance the state, until an end or a budget."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sam3agent.agent.budget import Ledger
from sam3agent.agent.decisions import JUDGEMENT_SCHEMA, NoCallError, read_call, read_judgement
from sam3agent.agent.messages import Conversation
from sam3agent.agent.trace import Trace
from sam3agent.agent.transitions import Limits, advance
from sam3agent.deadlines import within
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest
from sam3agent.states import (
    ActiveState,
    Complaint,
    Event,
    Examined,
    FinalState,
    Finding,
    Generate,
    OutOfBudget,
    Searched,
    Story,
    Unreadable,
    Verify,
    verdict_lines,
)
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3agent.workbench import Workbench

log = logging.getLogger(__name__)

CONCURRENT_EXAMINATIONS = 8


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

    def __post_init__(self) -> None:
        self._conversation = Conversation(self.query, self.bench)
        self._tools = all_tools()
        self._schemas = tuple(tool.schema for tool in self._tools.values() if tool.fits(self.bench))
        self._replied = False
        self._gate = asyncio.Semaphore(CONCURRENT_EXAMINATIONS)

    async def run(self) -> FinalState:
        """Run the question to its end.

        Raises `MLLMError` if the backend is unusable in the first call, and errors of the segmenter. Nothing that a
        model replies raises an exception.
        """
        state = Generate(Story(self.query))
        while isinstance(state, ActiveState):
            event = await self._step(state)
            state = advance(state, event, self.limits)
            self.ledger.steps += 1
            self.trace.record("state", state=type(state).__name__, masks=list(state.story.pool.ids))
        return state

    async def _step(self, state: ActiveState) -> Event:
        """The next event in a state."""
        if reason := self.ledger.overdrawn():
            return OutOfBudget(reason)
        try:
            return await (self._examine(state) if isinstance(state, Verify) else self._act(state))
        except ToolUseError as error:
            if isinstance(error, NoCallError) and (note := self.backend.tools_ignored()):
                self._warn((note,))
            self.tell(f"unusable reply: {error}")
            self.trace.record("complaint", text=str(error))
            return Complaint(str(error))
        except _BudgetSpent as spent:
            return OutOfBudget(str(spent))
        except MLLMError as error:
            if error.fatal and not self._replied:
                raise
            return OutOfBudget(str(error))

    async def _act(self, state: ActiveState) -> Event:
        """One tool call."""
        reply = await self._decide(state)
        if reply.not_understood:
            return Unreadable(reply.not_understood)
        call = read_call(reply, tuple(self._tools))
        tool = self._tools[call.name]
        bench = self._bench(state)
        given, dropped = tool.read(call.arguments)
        if dropped:
            self.trace.record("dropped_arguments", name=call.name, arguments=list(dropped))
        arguments = tool.prepared(bench, given)
        if tool.cost == "segmenter" and not self.ledger.searches_left:
            raise _BudgetSpent(f"the budget of {self.ledger.budget.segmenter_calls} segmenter calls is used up")
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
        self.trace.record_tool(call.name, arguments.model_dump(), result)
        return result.event

    async def _examine(self, state: Verify) -> Event:
        """Examine all pending candidates concurrently; one call is kept in reserve for the answer."""
        pending = sorted(state.pending, key=lambda i: -c.score if (c := state.story.pool.get(i)) else 0)
        chosen = pending if self.backend.free else pending[: max(0, self.ledger.calls_left - 1)]
        self.tell(f"examining {len(chosen)} mask{'s' if len(chosen) != 1 else ''}")
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
        for line in verdict_lines(findings):
            self.tell(line)
        return Examined(findings)

    async def _judge(self, state: Verify, mask_id: int) -> Finding:
        """The finding on one candidate. After several unusable replies it is "unsure"."""
        complaint = ""
        async with self._gate:
            for tries in range(1 + self.limits.complaints):
                if complaint and not self.backend.free and self.ledger.calls_left <= 1:
                    break
                reply = await self._decide(state, mask_id, complaint, tries)
                try:
                    judgement = read_judgement(reply)
                except ToolUseError as error:
                    complaint = str(error)
                    self.trace.record("complaint", candidate=mask_id, text=complaint)
                else:
                    self.ledger.usable += 1
                    return Finding(mask_id, judgement.verdict, judgement.reason)
        return Finding(mask_id, "unsure", f"no usable judgement: {complaint}")

    async def _decide(
        self, state: ActiveState, candidate: int | None = None, complaint: str = "", number: int = 0
    ) -> MLLMReply:
        """One reply, within the budgets, recorded in ledger and trace."""
        cost = 0 if self.backend.free else 1
        if cost and not self.ledger.calls_left:
            raise _BudgetSpent(self.ledger.overdrawn())
        verifying = isinstance(state, Verify)
        request = MLLMRequest(
            messages=self._conversation.compose(state, candidate, complaint, number)
            if self.backend.needs_messages
            else (),
            tools=() if verifying else self._schemas,
            json_schema=JUDGEMENT_SCHEMA if verifying else None,
            timeout_s=self.ledger.seconds_left,
            state=state,
            bench=self._bench(state),
            candidate=candidate,
        )
        self.ledger.mllm_calls += cost
        try:
            reply = await asyncio.wait_for(self.backend.decide(request), max(self.ledger.seconds_left, 0.01))
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
            self.bench, pool=story.pool, used_phrases=story.used_phrases, searches_left=self.ledger.searches_left
        )
