"""Messages composed from states. No chat history is kept: each request is written anew from the story.

The first two messages (system prompt; raw image and question) have the same bytes in every request of one question, so
a server's prefix cache applies. Only what matters now follows: the latest search, and the phrases used so far.
"""

import json
import re
from dataclasses import dataclass, field

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mllm.base import Message, Part, Text
from sam3agent.pool import Candidate
from sam3agent.prompts import render
from sam3agent.states import ActiveState, Generate, Story, Verify
from sam3agent.tools.evidence import close_up, numbered, raw_frame
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
            width, height = self.bench.size
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
        searched = Message("assistant", (Text(render("searched", searches=story.latest_searches)),))
        complaint, number = (complaint, number) if complaint else (story.complaint, story.complaints)
        example = "" if isinstance(state, Verify) or not complaint else self._example(story, complaint)
        correction = Text(render("complaint", complaint=complaint, number=number, example=example))
        correction = (correction,) if complaint else ()
        if isinstance(state, Verify):
            known = story.pool.get(candidate or 0)
            parts = self._examination(known) if known else ()
        elif isinstance(state, Generate) and not story.searches:
            parts = (Text(render("begin")),)
        else:
            parts = self._results(story)
        return (*self.prefix, searched, Message("user", (*parts, *correction)))

    def _example(self, story: Story, complaint: str) -> str:
        """A call to copy: of the tool whose arguments were wrong, else of the one that comes next."""
        tools, ids = all_tools(), story.pool.ids
        named = re.match(r"arguments of (\w+)", complaint)
        name = named[1] if named and named[1] in tools else "select_masks" if ids else "segment_phrase"
        call = {"name": name, "arguments": tools[name].example(ids)}
        return f"<tool_call>{json.dumps(call)}</tool_call>"

    def _examination(self, candidate: Candidate) -> tuple[Part, ...]:
        phrase = candidate.phrases[-1][0]
        located, zoomed = (self._once(image) for image in close_up(self.bench, candidate))
        return located, zoomed, Text(render("examine", id=candidate.id, phrase=phrase))

    def _results(self, story: Story) -> tuple[Part, ...]:
        candidates = story.pool.candidates
        text = render(
            "results",
            searches=story.latest_searches,
            used=story.used_phrases,
            masks=[
                {
                    "id": c.id,
                    "phrase": c.phrases[-1][0],
                    "score": c.score,
                    "box": list(c.mask.box),
                    "verdict": c.verdict,
                    "reason": c.reason,
                }
                for c in candidates
            ],
            rejected=story.rejected,
            facts=story.facts,
        )
        overview = (self._once(numbered(self.bench, candidates)),) if candidates else ()
        return Text(text), *overview, *story.shown, Text(render("next", masks=bool(candidates)))

    def _once(self, image: LazyImage) -> LazyImage:
        """The image with this key as it was rendered before, so that its bytes never change."""
        return self._images.setdefault(image.key, image)
