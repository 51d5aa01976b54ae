"""Messages composed from states. No chat history is kept: each request is written anew from the story.

The first two messages (system prompt; raw image and question) have the same bytes in every request of one question, so
a server's prefix cache applies. The latest search follows, as a tool call with its result, the same for all requests
until the next search. Then only what matters now: at most one more call, whose result has not been used yet.
"""

import json
import re
from dataclasses import dataclass, field

from sam3agent.agent.beliefs import belongs
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.masks import on_frame
from sam3agent.mllm.base import Message, Part, Text, ToolCall
from sam3agent.pool import Candidate, listed_masks
from sam3agent.prompts import render
from sam3agent.render import fitted_size
from sam3agent.render.zoom import WHOLE_SIDE
from sam3agent.states import ActiveState, Compare, Generate, PastCall, Recheck, Refine, Story, Verify
from sam3agent.tools.evidence import close_up, numbered_views, raw_frame, side_by_side
from sam3agent.tools.registry import all_tools
from sam3agent.workbench import Workbench


@dataclass
class Conversation:
    """Composes the messages of one question about one medium; every image is rendered once and kept."""

    query: str
    bench: Workbench
    _images: dict[EvidenceKey, LazyImage] = field(default_factory=dict)
    _prefix: tuple[Message, ...] = ()

    @property
    def prefix(self) -> tuple[Message, ...]:
        """System prompt, raw image and question; always the same bytes."""
        if not self._prefix:
            width, height = fitted_size(self.bench.size, WHOLE_SIDE)
            frames = self.bench.media.count
            tracked = self.bench.tracker is not None
            question = Text(
                render("question", query=self.query, width=width, height=height, frames=frames, tracked=tracked)
            )
            raw = raw_frame(self.bench)
            self._prefix = (Message("system", (Text(render("system")),)), Message("user", (raw, question)))
        return self._prefix

    def compose(
        self, state: ActiveState, candidate: int | None = None, complaint: str = "", number: int = 0
    ) -> tuple[Message, ...]:
        """The messages for a state.

        candidate: the mask to examine while verifying. complaint, number: why the last reply on it was unusable, and
        how many were; by default what the story says.
        """
        story = state.story
        complaint, number = (complaint, number) if complaint else (story.complaint, story.complaints)
        calls = not isinstance(state, Verify | Compare | Recheck)
        example = self._example(story, complaint) if complaint and calls else ""
        correction = Text(render("complaint", complaint=complaint, number=number, example=example))
        correction = (correction,) if complaint else ()
        if isinstance(state, Verify):
            known = story.pool.get(candidate or 0)
            parts = self._examination(known, story) if known else ()
        elif isinstance(state, Recheck):
            parts = self._selection(story, state.ids)
        elif isinstance(state, Compare):
            parts = self._comparison(state)
        elif isinstance(state, Generate) and not story.searches:
            parts = (Text(render("begin")),)
        else:
            parts = self._results(story)
        past = (*_search(story), *(_last_call(story) if isinstance(state, Generate | Refine) else ()))
        return (*self.prefix, *past, Message("user", (*parts, *correction)))

    def _example(self, story: Story, complaint: str) -> str:
        """A call to copy: of the tool whose arguments were wrong, else of the one that comes next."""
        tools, ids = all_tools(), story.pool.ids
        named = re.match(r"arguments of (\w+)", complaint)
        name = named[1] if named and named[1] in tools else "select_masks" if ids else "segment_phrase"
        call = {"name": name, "arguments": tools[name].example(ids)}
        return f"<tool_call>{json.dumps(call)}</tool_call>"

    def _examination(self, candidate: Candidate, story: Story) -> tuple[Part, ...]:
        """A close look; a second one at the same mask has another crop and other words, or it would tell the same."""
        again = any(sight.close and sight.id == candidate.id for sight in story.sights)
        located, zoomed = (self._once(image) for image in close_up(self.bench, candidate, again=again))
        what, question = sought_in(story, candidate.id), bool(story.groups)
        return located, zoomed, Text(render("examine", id=candidate.id, what=what, again=again, question=question))

    def _selection(self, story: Story, ids: tuple[int, ...]) -> tuple[Part, ...]:
        """The last check: the selection by itself, numbered."""
        chosen = tuple(c for c in story.pool.candidates if c.id in ids)
        rules = [r.name.replace("_", " ") for group in story.groups for r in group.rules if r.name != "best"]
        text = render(
            "check",
            chosen=listed_masks(ids),
            rules=", ".join(rules),
            members=listed_masks(sorted({i for group in story.groups for i in group.ids})),
            what=" or ".join(dict.fromkeys(group.what for group in story.groups)),
        )
        return *(self._once(image) for image in numbered_views(self.bench, chosen)), Text(text)

    def _comparison(self, state: Compare) -> tuple[Part, ...]:
        """Two candidates side by side, in the order of their ids: the likelier one does not always come first."""
        ids = sorted(state.ids)
        shown = [c for mask_id in ids if (c := state.story.pool.get(mask_id))]
        text = render("compare", ids=ids, what=state.what, by=state.by)
        return self._once(side_by_side(self.bench, shown)), Text(text)

    def _results(self, story: Story) -> tuple[Part, ...]:
        candidates = story.pool.candidates
        views = numbered_views(self.bench, candidates)
        text = render(
            "results",
            used=story.used_phrases,
            clip=self.bench.media.count > 1,
            masks=[
                {
                    "id": c.id,
                    "phrase": c.phrases[-1][0],
                    "score": c.score,
                    "box": self._shown_box(c),
                    "place": self._on_frame(c),
                    "verdict": c.verdict,
                    "reason": c.reason,
                    "judged": c.judged_as if c.judged_as != c.phrases[-1][0] else "",
                }
                for c in candidates
            ],
            rejected=[
                {
                    "id": f.id,
                    "phrase": f.phrase or c.phrases[-1][0],
                    "box": self._shown_box(c),
                    "place": self._on_frame(c),
                    "reason": f.reason,
                }
                for f, c in zip(story.rejected, story.discarded, strict=True)
            ],
            facts="" if story.called else story.facts,
            views=len(views),
        )
        return Text(text), *map(self._once, views), *story.shown, Text(render("next", masks=bool(candidates)))

    def _shown_box(self, candidate: Candidate) -> list[int]:
        """The box in the pixels of the image that is shown, which is smaller than a large one."""
        shown, whole = fitted_size(self.bench.size, WHOLE_SIDE), self.bench.size
        return [round(side * shown[n % 2] / whole[n % 2]) for n, side in enumerate(candidate.mask.box)]

    def _on_frame(self, candidate: Candidate) -> str:
        """The frame that the box is of, in words; empty for an image."""
        return on_frame(candidate.frame if self.bench.media.count > 1 else None)

    def _once(self, image: LazyImage) -> LazyImage:
        """The image with this key as it was rendered before, so that its bytes never change."""
        return self._images.setdefault(image.key, image)


def _search(story: Story) -> tuple[Message, ...]:
    """The latest search and what it found; without one, a word of the assistant, so that the roles alternate."""
    if not story.searches:
        return (Message("assistant", (Text(render("searched", searches=())),)),)
    phrases = {"phrases": [search.phrase for search in story.latest_searches]}
    made = story.searching or PastCall("segment_phrase", json.dumps(phrases, ensure_ascii=False))
    return _called(made, render("searched", searches=[search.line() for search in story.latest_searches]))


def _last_call(story: Story) -> tuple[Message, ...]:
    """The call whose result is told with the next request, and this result."""
    return _called(story.called, story.facts) if story.called and story.facts else ()


def _called(made: PastCall, result: str) -> tuple[Message, ...]:
    return Message("assistant", (), ToolCall(made.name, made.arguments)), Message("tool", (Text(result),))


def sought_in(story: Story, mask_id: int) -> str:
    """What a look at a mask is about: what its group seeks; without a selection, the phrase that found it last."""
    group = next((g for g in story.groups if mask_id in g.ids), None)
    if group is None:
        found = story.pool.get(mask_id)
        group = next((g for g in story.groups if found and belongs(found, g, story.pool)), None)
        return group.what if group else found.phrases[-1][0] if found else ""
    return group.what
