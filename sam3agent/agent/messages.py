"""Messages derived from states. Nothing is remembered as chat: each request is written anew from the story.

The first two messages (system prompt; raw picture and question) are the same objects at every call of one question, so
a server's prefix cache keeps them. After them comes only what matters now: the latest search, and the phrases used.
"""

from dataclasses import dataclass, field

from sam3agent.agent.pool import Candidate
from sam3agent.agent.states import Asking, Generate, Story, Verify
from sam3agent.mllm.base import Message, Picture, Text
from sam3agent.prompts import render
from sam3agent.render import fit
from sam3agent.render.zoom import WHOLE_SIDE
from sam3agent.tools.masks import close_up, numbered
from sam3agent.tools.workbench import Workbench


@dataclass
class Conversation:
    """Writes the messages of one question about one picture; pictures are rendered once and kept."""

    query: str
    bench: Workbench
    _pictures: dict[str, Picture] = field(default_factory=dict)
    _prefix: tuple[Message, ...] = ()

    @property
    def prefix(self) -> tuple[Message, ...]:
        """System prompt, raw picture, question: byte-stable."""
        if not self._prefix:
            raw = Picture("picture", lambda: fit(self.bench.picture, (), WHOLE_SIDE)[0])
            width, height = self.bench.size
            question = Text(render("question", query=self.query, width=width, height=height))
            self._prefix = (Message("system", (Text(render("system")),)), Message("user", (raw, question)))
        return self._prefix

    def compose(self, state: Asking, candidate: int | None = None, complaint: str = "") -> tuple[Message, ...]:
        """The messages for a state; `candidate` is the mask to be examined while verifying."""
        story = state.story
        searched = Message("assistant", (Text(render("searched", searches=story.latest_searches)),))
        complaint = complaint or story.complaint
        telling = (Text(render("complaint", complaint=complaint)),) if complaint else ()
        if isinstance(state, Verify):
            known = story.pool.get(candidate or 0)
            parts = self._examination(known) if known else ()
        elif isinstance(state, Generate) and not story.searches:
            parts = (Text(render("begin")),)
        else:
            parts = self._results(story)
        return (*self.prefix, searched, Message("user", (*parts, *telling)))

    def _examination(self, candidate: Candidate) -> tuple[Text | Picture, ...]:
        phrase = candidate.phrases[-1][0]
        located, zoomed = (self._once(picture) for picture in close_up(self.bench, candidate))
        return located, zoomed, Text(render("examine", id=candidate.id, phrase=phrase))

    def _results(self, story: Story) -> tuple[Text | Picture, ...]:
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
        shown = (self._once(numbered(self.bench, candidates)),) if candidates else ()
        return Text(text), *shown, Text(render("next", masks=bool(candidates)))

    def _once(self, picture: Picture) -> Picture:
        """The picture of this label as it was rendered before, so that its bytes never change."""
        return self._pictures.setdefault(picture.label, picture)
