"""What a mind says in the protocol of the agent: requests in, replies out.

A request is read as a model reads it: its text as it is written, and in each image the masks that its key names.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from evals.simulated.bad_replies import BAD_CALLS, BAD_LOOKS, bad_call, bad_look
from evals.simulated.mask_cover import Cover, cover_of
from evals.simulated.mind import Mind, ShownMask
from evals.simulated.plan_answer import describe, objects_of
from evals.simulated.stated_rules import described, planned, state
from sam3agent.images import LazyImage
from sam3agent.masks import Mask
from sam3agent.mllm.base import Message, MLLMReply, MLLMRequest, Text, ToolCall
from sam3agent.pool import Candidate, MaskPool, Verdict

_MASK = re.compile(
    r'^- mask (\d+) \("(.*?)", score [\d.]+, box \[[\d, ]+\]\)(?:: (accepted|rejected|unsure))?', re.MULTILINE
)
_VERDICTS: Mapping[str, Verdict] = {"accepted": "accept", "rejected": "reject", "unsure": "unsure"}


@dataclass
class Mouth:
    """One question, answered request by request."""

    mind: Mind
    _asked: Counter[tuple] = field(default_factory=Counter)
    _looks: Counter[tuple] = field(default_factory=Counter)
    _known: tuple[str, ...] = ()
    _rounds: int = 0
    _covers: dict[int, tuple[Mask, Cover]] = field(default_factory=dict)

    def reply(self, request: MLLMRequest) -> MLLMReply:
        """The reply to one request; `request.bench` says which pixels the masks have that its images show."""
        pool = request.bench.pool if request.bench else MaskPool()
        schema = request.json_schema.name if request.json_schema else ""
        if schema == "completeness":
            return self._check(request, pool)
        if schema == "preference":
            return self._prefer(request, pool)
        return self._look(request, pool) if schema else self._act(request, pool)

    def _look(self, request: MLLMRequest, pool: MaskPool) -> MLLMReply:
        """A close look. A new draw only if it differs from the first in its crop, words or temperature."""
        text = _text(request.messages[-1])
        named = re.search(r"[Mm]ask (\d+)", text), re.search(r'enclose one whole "(.*?)"', text)
        if not all(named):
            return MLLMReply("I do not know what to look at.")
        number, phrase = (match[1] for match in named if match)
        cover = self._shown(request.messages[-1], pool)[int(number)]
        if way := self._misbehaves(BAD_LOOKS, "look", cover.id, cover.whole):
            return bad_look(way)
        view = ",".join(part.key.kind for part in request.messages[-1].parts if isinstance(part, LazyImage))
        if request.temperature:
            self._looks[(cover.id, cover.whole)] += 1
            view = f"{view} {self._looks[(cover.id, cover.whole)]}"
        return MLLMReply(json.dumps({"reason": "seen", "verdict": self.mind.close_verdict(cover, phrase, view)}))

    def _check(self, request: MLLMRequest, pool: MaskPool) -> MLLMReply:
        """One more glance at the selected masks, and one more chance to notice what has no mask."""
        mind, covers = self.mind, self._shown(request.messages[-1], pool)
        if way := self._misbehaves(BAD_LOOKS, "check"):
            return bad_look(way)
        targets = mind.case.plan.targets
        wrong = [number for number, cover in covers.items() if not self._glanced(cover, len(covers))]
        have = {c.id for c in map(self._cover, pool.candidates)}
        plain = [t for t in targets if not (t.sides or t.relation or t.ranking or t.exceptions)]
        missing = [
            target.what.phrase
            for target in plain
            for thing in objects_of(mind.case.scene, target)
            if thing.id not in have and mind.notices(thing.id, "check") < mind.skill.notice
        ]
        return MLLMReply(json.dumps({"reason": "seen", "wrong": wrong, "missing": list(dict.fromkeys(missing))}))

    def _prefer(self, request: MLLMRequest, pool: MaskPool) -> MLLMReply:
        """A look at two masks side by side; what is no thing at all is never better."""
        covers = self._shown(request.messages[-1], pool)
        if way := self._misbehaves(BAD_LOOKS, "compare"):
            return bad_look(way)
        seen = {n: self.mind.charm(cover.id, "compared") for n, cover in covers.items() if cover.id >= 0}
        return MLLMReply(json.dumps({"reason": "seen", "better": max(seen, key=seen.__getitem__, default=None)}))

    def _glanced(self, cover: Cover, count: int) -> bool:
        """Whether a mask among others is taken for one of the things sought."""
        mind = self.mind
        thing = mind.case.scene.objects[cover.id] if cover.id >= 0 else None
        true = bool(thing and cover.whole and any(describe(t).matches(thing) for t in mind.case.plan.targets))
        return true != mind.glances_wrong(cover, count, "check")

    def _tried(self, request: MLLMRequest) -> tuple[str, ...]:
        """The phrases searched so far, as the request lists them."""
        found = re.search(r"Phrases searched so far: (.*)\. Do not", _text(request.messages[-1]))
        return tuple(re.findall(r'"(.*?)"', found[1])) if found else ()

    def _act(self, request: MLLMRequest, pool: MaskPool) -> MLLMReply:
        text, tried = "\n".join(map(_text, request.messages[2:])), self._tried(request)
        covers = self._shown(request.messages[-1], pool)
        shown = [ShownMask(int(n), covers[int(n)], f, _VERDICTS.get(word)) for n, f, word in _MASK.findall(text)]
        good = self._decided(shown, tried, request, text)
        way = self._misbehaves(BAD_CALLS, "act", len(tried))
        return bad_call(way, good) if way else MLLMReply(tool_calls=(good,))

    def _decided(self, shown: list[ShownMask], tried: tuple[str, ...], request: MLLMRequest, text: str) -> ToolCall:
        mind, used = self.mind, self._searches(tried)
        twice = "twice" in _text(request.messages[0])
        plan = planned(mind) if _offers(request, "plan", "segment_phrase") and not tried else []
        more = {"plan": plan} if plan else {}
        searching = _call("segment_phrase", phrases=mind.phrases(used, tried, twice=twice), **more)
        if not tried or "search once more" in text:
            return searching
        if not shown:
            return searching if mind.give_up(used).search else self._none()
        if _offers(request, "keep"):
            return self._stated(shown, used, request, text) or (
                searching if mind.give_up(used).search else self._none()
            )
        wish = mind.choose(shown, used)
        if wish.search:
            return searching
        words = {"what": mind.case.text} if _offers(request, "what") else {}
        return _call("select_masks", ids=list(wish.numbers), **words) if wish.numbers else self._none()

    def _stated(self, shown: list[ShownMask], used: int, request: MLLMRequest, text: str) -> ToolCall | None:
        """Masks with rules; a search if what is wanted has no mask at all; None if nothing is seen that fits."""
        again, in_vain = "was first read as" in text, "which the question compares with" in text
        stated = state(self.mind, shown, used, again, in_vain)
        phrases = self.mind.phrases(used, self._tried(request))
        if stated.groups:
            first, *others = (group.arguments() for group in stated.groups)
            more = {"others": others} if others else {}
            missing = {"missing": phrases} if stated.missing and _offers(request, "missing") else {}
            return _call("select_masks", **first, **more, **missing)
        return _call("segment_phrase", phrases=phrases) if stated.missing and used < self.mind.skill.attempts else None

    def _none(self) -> ToolCall:
        return _call("report_no_match", what=described(self.mind), reason="nothing fits")

    def _searches(self, tried: tuple[str, ...]) -> int:
        """How many searches were made, each possibly of several phrases."""
        if tried[: len(self._known)] != self._known or not self._known:
            self._known, self._rounds = (), 0
        if len(tried) > len(self._known):
            self._known, self._rounds = tried, self._rounds + 1
        return self._rounds

    def _misbehaves(self, ways: tuple[str, ...], *key: object) -> str:
        """The way in which this reply is unusable, or "". Every time a thing is asked is a new draw."""
        self._asked[key] += 1
        n = self._asked[key]
        if self.mind.dice("bad?", *key, n) >= self.mind.skill.bad:
            return ""
        return ways[int(self.mind.dice("bad", *key, n) * len(ways))]

    def _shown(self, message: Message, pool: MaskPool) -> dict[int, Cover]:
        """What the masks in the images of a message show."""
        ids = [i for part in message.parts if isinstance(part, LazyImage) for i in part.key.mask_ids]
        return {c.id: self._cover(c) for i in ids if (c := pool.get(i))}

    def _cover(self, candidate: Candidate) -> Cover:
        known = self._covers.get(candidate.id)
        if known is None or known[0] is not candidate.mask:
            known = self._covers[candidate.id] = candidate.mask, cover_of(self.mind.case.scene, candidate.mask)
        return known[1]


def _offers(request: MLLMRequest, argument: str, name: str = "select_masks") -> bool:
    """Whether a tool is offered with an argument."""
    return any(argument in tool.parameters["properties"] for tool in request.tools if tool.name == name)


def _call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(name, json.dumps(arguments))


def _text(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))
