"""The `rules` backend: typed decisions from a grammar. It sees masks and their pixels, and uses no model."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sam3agent.knowledge import knowledge_of, unread_warning, unread_words
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest, ToolCall
from sam3agent.rules.clip_backend import next_on_clip
from sam3agent.rules.clip_reader import parse_clip_question
from sam3agent.rules.grammar import parse
from sam3agent.rules.question_plan import QuestionPlan
from sam3agent.rules.reasons import explain
from sam3agent.rules.remarks import choice_warnings, objection, unknown_noun, word_warnings
from sam3agent.rules.selector import Selector, alternatives
from sam3agent.states import Story
from sam3agent.workbench import Workbench

MAX_PHRASES = 8

_plan = lru_cache(maxsize=64)(parse)
_clip_plan = lru_cache(maxsize=64)(parse_clip_question)


class RulesBackend(MLLM):
    """Understands position, order, size, count, colour, exceptions and simple relations, and gives reasons."""

    name = "rules"
    needs_messages = False
    free = True

    def unreadable(self, query: str, *, clip: bool = False) -> str:
        """Why the grammar does not read a question; empty if it does."""
        why = objection((_clip_plan if clip else _plan)(query))
        if why and not clip and not objection(_clip_plan(query)):
            return "the question is about what happens over time, and this is an image: ask about a clip"
        return why

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The decision of the grammar. Raises `MLLMError` if the request lacks the agent's state."""
        if request.state is None or request.bench is None:
            raise MLLMError("the rules backend needs the agent's state; call it through sam3agent.Agent")
        story, on_clip = request.state.story, request.bench.media.count > 1 and request.bench.tracker is not None
        plan = (_clip_plan if on_clip else _plan)(story.query)
        if why := self.unreadable(story.query, clip=on_clip):
            return MLLMReply(not_understood=why, calls=0)
        if request.candidate is not None:
            return _judge(request.bench, plan, request.candidate)
        return (next_on_clip if on_clip else _next)(story, plan, request.bench)


def _next(story: Story, plan: QuestionPlan, bench: Workbench) -> MLLMReply:
    """Search, search with other words, answer, or report no match."""
    if wanted := _unused((what.phrase for what in plan.phrases()), story):
        return _search(wanted[:MAX_PHRASES], bench)
    selector, knowledge = Selector(bench), knowledge_of(bench.session)
    choices = selector.resolve(plan)
    ids = list(dict.fromkeys(candidate.id for choice in choices for candidate in choice.kept))
    essential = [target.what for target in plan.targets] if ids else plan.phrases()
    missing = [what for what in essential if not selector.find(what)]
    if others := _unused((other.phrase for what in missing for other in alternatives(what)), story):
        return _search(others[:MAX_PHRASES], bench)
    empty = [what for what in plan.phrases() if not selector.find(what)]
    warnings = (*choice_warnings(plan, choices), *word_warnings(plan.phrases(), knowledge))
    if why := unknown_noun(empty, knowledge):
        if not ids:
            return MLLMReply(not_understood=why, calls=0)
        warnings = (*warnings, why)
    if ids:
        return _call("select_masks", warnings, ids=ids, reason=explain(choices))
    return _call("report_no_match", warnings, reason=explain(choices))


def _search(phrases: list[str], bench: Workbench) -> MLLMReply:
    """A search, unless a phrase is too long for the weights."""
    for phrase in phrases:
        if unread := unread_words(bench.session, phrase):
            return MLLMReply(not_understood=f"{unread_warning(phrase, unread)}; ask in fewer words", calls=0)
    return _call("segment_phrase", phrases=phrases)


def _judge(bench: Workbench, plan: QuestionPlan, mask_id: int) -> MLLMReply:
    """Whether a mask has the colours named by the phrases that found it."""
    candidate = bench.pool.get(mask_id)
    if candidate is None:
        return _verdict("unsure", f"mask {mask_id} does not exist")
    found_by = {phrase for phrase, _ in candidate.phrases}
    claims = [
        (what, searched)
        for what in plan.phrases()
        for searched in (what, *alternatives(what))
        if searched.phrase in found_by
    ]
    if not all(what.colours for what, _ in claims):
        return _verdict("accept", "the phrase contains no colour")
    selector = Selector(bench)
    colours = " and ".join(dict.fromkeys(colour for what, _ in claims for colour in what.colours))
    ratio = max((selector.colour_ratio(candidate, what.colours) for what, _ in claims), default=0.0)
    fits = any(selector.confirms(candidate, what, searched) for what, searched in claims)
    return _verdict("accept" if fits else "reject", f"{ratio:.0%} of its pixels look {colours}")


def _unused(phrases: Iterable[str], story: Story) -> list[str]:
    return [phrase for phrase in dict.fromkeys(phrases) if phrase not in story.used_phrases]


def _call(name: str, warnings: tuple[str, ...] = (), **arguments: Any) -> MLLMReply:
    return MLLMReply(tool_calls=(ToolCall(name, json.dumps(arguments)),), calls=0, warnings=warnings)


def _verdict(verdict: str, reason: str) -> MLLMReply:
    return MLLMReply(text=json.dumps({"reason": reason, "verdict": verdict}), calls=0)
