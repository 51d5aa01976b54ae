"""The `rules` backend: typed decisions from a grammar, without any model. All it looks at is masks and their pixels."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest, ToolCall
from sam3agent.rules.grammar import parse
from sam3agent.rules.plan import NounPhrase, Plan, Target
from sam3agent.rules.select import Selector, alternatives
from sam3agent.states import Story
from sam3agent.workbench import Workbench

MOST_PHRASES = 8

_plan = lru_cache(maxsize=64)(parse)


class RulesBackend(MLLM):
    """Understands position, order, size, count, colour, exclusion and simple relations; says when it finds nothing."""

    name = "rules"
    needs_messages = False
    free = True

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The decision that the grammar makes of the state."""
        if request.state is None or request.bench is None:
            raise MLLMError("the rules backend needs the agent's state, not messages")
        story, plan = request.state.story, _plan(request.state.story.query)
        if request.candidate is not None:
            return _judge(request.bench, plan, request.candidate)
        return _next(story, plan, request.bench)


def _next(story: Story, plan: Plan, bench: Workbench) -> MLLMReply:
    """Search, search again with other words, answer, or give up."""
    if wanted := _unused((what.phrase for what in plan.phrases()), story):
        return _call("segment_phrase", phrases=wanted[:MOST_PHRASES])
    selector = Selector(bench)
    ids = selector.answer(plan)
    essential = [target.what for target in plan.targets] if ids else plan.phrases()
    missing = [what for what in essential if not selector.find(what)]
    if others := _unused((other.phrase for what in missing for other in alternatives(what)), story):
        return _call("segment_phrase", phrases=others[:MOST_PHRASES])
    if ids:
        return _call("select_masks", ids=list(ids), reason=_because(plan, len(ids)))
    return _call("report_no_match", reason=_why_not(plan, missing))


def _judge(bench: Workbench, plan: Plan, mask_id: int) -> MLLMReply:
    """Whether a mask has the colours that the phrases which found it name."""
    candidate = bench.pool.get(mask_id)
    if candidate is None:
        return _verdict("unsure", "there is no such mask")
    found_by = {phrase for phrase, _ in candidate.phrases}
    claims = [
        (what, searched)
        for what in plan.phrases()
        for searched in (what, *alternatives(what))
        if searched.phrase in found_by
    ]
    if not all(what.colours for what, _ in claims):
        return _verdict("accept", "no colour was asked for")
    selector = Selector(bench)
    colours = " and ".join(dict.fromkeys(colour for what, _ in claims for colour in what.colours))
    share = max((selector.colour_share(candidate, what.colours) for what, _ in claims), default=0.0)
    fits = any(selector.confirms(candidate, what, searched) for what, searched in claims)
    return _verdict("accept" if fits else "reject", f"{share:.0%} of its pixels can be called {colours}")


def _unused(phrases: Iterable[str], story: Story) -> list[str]:
    return [phrase for phrase in dict.fromkeys(phrases) if phrase not in story.used_phrases]


def _because(plan: Plan, count: int) -> str:
    things = " and ".join(_describe(target) for target in plan.targets)
    return f"{count} found as {things}"


def _describe(target: Target) -> str:
    """A target in the grammar's own words, so that a reader sees what was understood."""
    said = f'"{target.what.phrase}"'
    if target.sides:
        said += f" in the {' '.join(target.sides)} half"
    if target.relation:
        said += f" ({target.relation.kind}: {', '.join(_describe(anchor) for anchor in target.relation.anchors)})"
    if target.ranking:
        place = "last" if target.ranking.start < 0 else f"number {target.ranking.start}"
        many = f"{target.ranking.count} starting with {place}" if target.ranking.count > 1 else place
        said += f" ({many} by {target.ranking.axis})"
    if target.exceptions:
        said += f" without {', '.join(_describe(exception) for exception in target.exceptions)}"
    return said


def _why_not(plan: Plan, missing: list[NounPhrase]) -> str:
    if missing:
        return f"nothing found for {', '.join(repr(what.phrase) for what in missing)}"
    return f"nothing fits {' and '.join(_describe(target) for target in plan.targets)}"


def _call(name: str, **arguments: Any) -> MLLMReply:
    return MLLMReply(tool_calls=(ToolCall(name, json.dumps(arguments)),), calls=0)


def _verdict(verdict: str, reason: str) -> MLLMReply:
    return MLLMReply(text=json.dumps({"reason": reason, "verdict": verdict}), calls=0)
