"""The `rules` backend: typed decisions from a grammar. It sees masks and their pixels, and uses no model."""

import json
from functools import lru_cache

from sam3agent.deadlines import within
from sam3agent.knowledge import knowledge_of
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest
from sam3agent.rules.clip_backend import next_on_clip
from sam3agent.rules.clip_reader import parse_clip_question
from sam3agent.rules.grammar import parse
from sam3agent.rules.question_plan import QuestionPlan
from sam3agent.rules.reasons import explain
from sam3agent.rules.remarks import (
    NAME_AN_MLLM,
    choice_warnings,
    objection,
    open_attachment,
    score_warnings,
    unknown_noun,
    word_warnings,
)
from sam3agent.rules.selector import Selector, alternatives
from sam3agent.rules.tool_replies import call_tool, search, unused
from sam3agent.states import Story
from sam3agent.workbench import Workbench

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
        """The decision of the grammar. Raises `MLLMError` if the request lacks the agent's state.

        It is made on another thread: what happens in a clip is measured on all its frames, which takes seconds, and a
        server has others to answer meanwhile.
        """
        return await within(None, self._decided, request)

    def _decided(self, request: MLLMRequest) -> MLLMReply:
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
    if wanted := unused(plan.phrases(), story):
        return search("segment_phrase", wanted, bench)
    selector, knowledge = Selector(bench), knowledge_of(bench.session)
    choices = selector.resolve(plan)
    ids = list(dict.fromkeys(candidate.id for choice in choices for candidate in choice.kept))
    essential = [target.what for target in plan.targets] if ids else plan.phrases()
    missing = [what for what in essential if not selector.find(what)]
    if others := unused((other for what in missing for other in alternatives(what)), story):
        return search("segment_phrase", others, bench)
    empty = [what for what in plan.phrases() if not selector.find(what)]
    warnings = (*choice_warnings(plan, choices), *word_warnings(plan.phrases(), knowledge, empty))
    if why := unknown_noun(empty, knowledge):
        if not ids:
            return MLLMReply(not_understood=why, calls=0)
        warnings = (*warnings, why)
    if ids:
        warnings = (*warnings, *score_warnings(candidate for choice in choices for candidate in choice.kept))
        return call_tool("select_masks", warnings, ids=ids, reason=explain(choices))
    if (doubt := open_attachment(plan)) and any(choice.found for choice in choices):
        return MLLMReply(not_understood=f"{doubt}, and then nothing matches; {NAME_AN_MLLM}", calls=0)
    return call_tool("report_no_match", warnings, reason=explain(choices))


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


def _verdict(verdict: str, reason: str) -> MLLMReply:
    return MLLMReply(text=json.dumps({"reason": reason, "verdict": verdict}), calls=0)
