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
from sam3agent.images import LazyImage
from sam3agent.masks import Mask
from sam3agent.mllm.base import Message, MLLMReply, MLLMRequest, Text, ToolCall
from sam3agent.pool import MaskPool, Verdict

_MASK = re.compile(
    r'^- mask (\d+) \("(.*?)", score [\d.]+, box \[[\d, ]+\]\)(?:: (accepted|rejected|unsure))?', re.MULTILINE
)
_VERDICTS: Mapping[str, Verdict] = {"accepted": "accept", "rejected": "reject", "unsure": "unsure"}


@dataclass
class Mouth:
    """One question, answered request by request."""

    mind: Mind
    _asked: Counter[tuple] = field(default_factory=Counter)
    _covers: dict[int, tuple[Mask, Cover]] = field(default_factory=dict)

    def reply(self, request: MLLMRequest) -> MLLMReply:
        """The reply to one request; `request.bench` says which pixels the masks have that its images show."""
        pool = request.bench.pool if request.bench else MaskPool()
        return self._look(request, pool) if request.json_schema else self._act(request, pool)

    def _look(self, request: MLLMRequest, pool: MaskPool) -> MLLMReply:
        text = _text(request.messages[-1])
        named = re.search(r'Look at mask (\d+), found for "(.*?)"', text)
        if named is None:
            return MLLMReply("I do not know what to look at.")
        cover = self._shown(request.messages[-1], pool)[int(named[1])]
        if way := self._misbehaves(BAD_LOOKS, "look", cover.id, cover.whole):
            return bad_look(way)
        return MLLMReply(json.dumps({"reason": "seen closely", "verdict": self.mind.close_verdict(cover, named[2])}))

    def _act(self, request: MLLMRequest, pool: MaskPool) -> MLLMReply:
        text = _text(request.messages[-1])
        found = re.search(r"Phrases searched so far: (.*)\. Do not", text)
        tried = tuple(re.findall(r'"(.*?)"', found[1])) if found else ()
        covers = self._shown(request.messages[-1], pool)
        shown = [
            ShownMask(int(n), covers[int(n)], phrase, _VERDICTS.get(word)) for n, phrase, word in _MASK.findall(text)
        ]
        good = self._decided(shown, tried)
        way = self._misbehaves(BAD_CALLS, "act", len(tried))
        return bad_call(way, good) if way else MLLMReply(tool_calls=(good,))

    def _decided(self, shown: list[ShownMask], tried: tuple[str, ...]) -> ToolCall:
        mind, used = self.mind, self._searches(tried)
        if not tried:
            return _call("segment_phrase", phrases=mind.phrases(0, tried))
        discarded = frozenset(thing[0] for thing, n in mind.looks.items() if n) - {m.cover.id for m in shown}
        wish = mind.choose(shown, used, discarded) if shown else mind.give_up(used)
        if wish.search:
            return _call("segment_phrase", phrases=mind.phrases(used, tried))
        if wish.numbers:
            return _call("select_masks", ids=list(wish.numbers), reason="these fit")
        return _call("report_no_match", reason="nothing fits")

    def _searches(self, tried: tuple[str, ...]) -> int:
        """How many searches were made, each possibly of several phrases."""
        used, seen = 0, tuple[str, ...]()
        while len(seen) < len(tried):
            seen = (*seen, *self.mind.phrases(used, seen))
            used += 1
        return used

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
        return {c.id: self._cover(c.id, c.mask) for i in ids if (c := pool.get(i))}

    def _cover(self, mask_id: int, mask: Mask) -> Cover:
        known = self._covers.get(mask_id)
        if known is None or known[0] is not mask:
            known = self._covers[mask_id] = mask, cover_of(self.mind.case.scene, mask)
        return known[1]


def _call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(name, json.dumps(arguments))


def _text(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))
