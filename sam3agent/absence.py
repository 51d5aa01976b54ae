"""What a "no match" rests on: what was searched, and the best candidate that was rejected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sam3agent.masks import Box, on_frame
from sam3agent.pool import Candidate, masklets
from sam3agent.segmenter import DEFAULT_THRESHOLD
from sam3agent.states import Story
from sam3agent.workbench import Workbench
from sam3model.errors import Sam3Error

LOWEST_SCORE = 0.005
"""Candidates below this score are not worth a look."""
MAX_PHRASES = 8
"""How many of the searched phrases are searched again for candidates below the threshold."""

UNFIT = "it does not fit the rest of the question"
"""Why a candidate is left out that was not rejected by itself."""


@dataclass(frozen=True, slots=True)
class SearchedPhrase:
    """A phrase that was searched. found: number of masks above the threshold. best: highest score, None if unknown."""

    phrase: str
    found: int
    best: float | None = None


@dataclass(frozen=True, slots=True)
class RejectedCandidate:
    """The best candidate that is not in the answer. score: 0..1. box: xyxy in pixels. why: in a few words.

    frame: of a clip, the frame that the box is of.
    """

    phrase: str
    score: float
    box: Box
    why: str
    frame: int | None = None

    def line(self) -> str:
        """The candidate in words."""
        place = f"box {','.join(map(str, self.box))}{on_frame(self.frame)}"
        return f'"{self.phrase}", score {self.score:.2f}, {place} ({self.why})'


@dataclass(frozen=True, slots=True)
class Absence:
    """What a "no match" rests on: everything that was searched, and the best candidate that was rejected, if any.

    looked_below: whether what found nothing was searched again, for candidates below the threshold.
    """

    searched: tuple[SearchedPhrase, ...]
    best: RejectedCandidate | None = None
    looked_below: bool = True

    def lines(self) -> list[str]:
        """The evidence in words, a line for each part."""
        phrases = ", ".join(f'"{one.phrase}" ({one.found or "nothing"} found)' for one in self.searched)
        none = f"none with a score of {LOWEST_SCORE} or more" if self.looked_below else "none above the threshold"
        return [f"searched {phrases or 'nothing'}", f"best rejected: {self.best.line() if self.best else none}"]

    def to_json(self) -> dict[str, Any]:
        """searched, best_rejected."""
        searched = [{"phrase": s.phrase, "found": s.found, "best_score": _rounded(s.best)} for s in self.searched]
        best = self.best and {
            "phrase": self.best.phrase,
            "score": round(self.best.score, 4),
            "box": list(self.best.box),
            **({} if self.best.frame is None else {"frame": self.best.frame}),
            "reason": self.best.why,
        }
        return {"searched": searched, "best_rejected": best}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, looked_below: bool = True) -> "Absence":
        """The inverse of `to_json`, of checked values."""
        searched = tuple(SearchedPhrase(s["phrase"], s["found"], s.get("best_score")) for s in data["searched"])
        best = data.get("best_rejected")
        if best is None:
            return cls(searched, None, looked_below)
        box = cast("Box", tuple(best["box"]))
        rejected = RejectedCandidate(best["phrase"], best["score"], box, best["reason"], best.get("frame"))
        return cls(searched, rejected, looked_below)


def absence_of(story: Story, bench: Workbench, *, look_below: bool = True) -> Absence:
    """The evidence for "no match".

    look_below: search phrases that found nothing again, with the lowest threshold.
    """
    threshold = DEFAULT_THRESHOLD if bench.threshold is None else bench.threshold
    counts = {search.phrase: len(search.found) for search in story.searches}
    empty = [phrase for phrase, found in counts.items() if not found][:MAX_PHRASES]
    seen = _below(empty, bench) if look_below else None
    below = seen or {}
    best = {phrase: found[1] for phrase, found in below.items()}
    searched = tuple(SearchedPhrase(phrase, found, best.get(phrase)) for phrase, found in counts.items())
    clip = bench.media.count > 1
    low, first = f"below the threshold of {threshold:g}", 0 if clip else None
    options = [RejectedCandidate(*found, low, first) for found in below.values()]
    options += [_refused(candidate, on_clip=clip) for candidate in (*story.pool.candidates, *story.discarded)]
    return Absence(searched, max(options, key=lambda option: option.score, default=None), seen is not None)


def _below(phrases: Sequence[str], bench: Workbench) -> dict[str, tuple[str, float, Box]] | None:
    """The best candidate of each phrase that found nothing, with its score and box; of a clip, on its first frame.

    None if the segmenter fails.
    """
    if not phrases:
        return {}
    try:
        results = bench.session.segment_phrases(phrases, LOWEST_SCORE)
    except Sam3Error:
        return None
    tops = {phrase: masklets(found)[:1] for phrase, found in zip(phrases, results, strict=True)}
    return {phrase: (phrase, top[0][1], top[0][0].mask.box) for phrase, top in tops.items() if top}


def _refused(candidate: Candidate, *, on_clip: bool) -> RejectedCandidate:
    phrase, score = max(candidate.phrases, key=lambda pair: pair[1])
    why = UNFIT
    if candidate.verdict == "reject":
        why = candidate.reason or "rejected"
    return RejectedCandidate(phrase, score, candidate.mask.box, why, candidate.frame if on_clip else None)


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
