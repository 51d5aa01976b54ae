"""The tool `segment_phrase`: search for phrases with the segmenter."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from sam3agent.pool import listed_masks, masklets
from sam3agent.states import Search, Searched
from sam3agent.tools.arguments import Phrase, without_duplicates
from sam3agent.tools.evidence import numbered, summary
from sam3agent.tools.registry import Arguments, ToolResult, ToolUseError, tool
from sam3agent.workbench import Workbench
from sam3model.errors import InputError


class SegmentPhrase(Arguments):
    """Arguments of segment_phrase."""

    phrases: Annotated[list[Phrase], Field(min_length=1, max_length=8), AfterValidator(without_duplicates)] = Field(
        description='Short noun phrases, each searched by itself, e.g. ["player in white", "referee"].'
    )

    @field_validator("phrases", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


@tool(rank=10, cost="segmenter", progress=lambda args: f"searching for {', '.join(map(repr, args.phrases))}")
def segment_phrase(bench: Workbench, args: SegmentPhrase) -> ToolResult:
    """Find all instances of each phrase and give each instance a numbered mask.

    A phrase is a short singular noun phrase with visible attributes only: "player in white", "striped ball". No
    positions, counts or relations: the segmenter does not understand "leftmost" or "behind".
    """
    phrases = _new_phrases(bench, args)
    try:
        results = bench.session.segment_phrases(phrases, bench.threshold)
    except InputError as error:
        raise ToolUseError(f"this cannot be searched: {error}") from error
    pool, searches = bench.pool, list[Search]()
    for phrase, instances in zip(phrases, results, strict=True):
        pool, found = pool.add(phrase, masklets(instances))
        searches.append(Search(phrase, found))
    candidates = {candidate.id: candidate for candidate in pool.candidates}
    data = [{"phrase": s.phrase, "masks": [summary(candidates[mask_id]) for mask_id in s.found]} for s in searches]
    shown = tuple(c for c in pool.candidates if any(c.score_for(phrase) is not None for phrase in phrases))
    return ToolResult(
        "\n".join(map(_line, searches)),
        {"searches": data},
        Searched(tuple(searches), pool),
        pool,
        (numbered(bench, shown),) if shown else (),
        segmenter_calls=len(phrases),
    )


def _new_phrases(bench: Workbench, args: SegmentPhrase) -> list[str]:
    """The phrases not searched yet, as many as the budget allows."""
    new = [phrase for phrase in args.phrases if phrase not in bench.used_phrases]
    if not new:
        used = ", ".join(bench.used_phrases)
        raise ToolUseError(f"these phrases have been searched already: {used}; use other words")
    return new[: bench.searches_left]


def _line(search: Search) -> str:
    return f'"{search.phrase}": {listed_masks(search.found) if search.found else "nothing found"}'
