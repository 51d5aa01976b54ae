"""The tool `segment_phrase`: search for phrases with the segmenter."""

from typing import Annotated

from pydantic import Field

from sam3agent.knowledge import unread_warning, unread_words
from sam3agent.pool import masklets
from sam3agent.states import Search, Searched
from sam3agent.tools.arguments import FrameNumber, Phrases
from sam3agent.tools.evidence import numbered, summary
from sam3agent.tools.keep_rules import KeepRules
from sam3agent.tools.registry import Arguments, ToolResult, ToolUseError, tool
from sam3agent.workbench import Workbench
from sam3model.errors import InputError


class SegmentPhrase(Arguments):
    """Arguments of segment_phrase."""

    phrases: Annotated[Phrases, Field(min_length=1, max_length=8)] = Field(
        description='Short noun phrases, each searched by itself, e.g. ["player in white", "referee"].'
    )
    frame: FrameNumber = Field(default=0, description="In a clip: the frame to search; by default the first one.")
    plan: KeepRules = Field(
        default_factory=list,
        description="Rules that choose the answer from what is found, as `keep` of select_masks, without ids.",
    )


def _new_phrases(bench: Workbench, args: SegmentPhrase) -> SegmentPhrase:
    """The phrases not searched on this frame yet, as many as the budget allows."""
    if args.frame >= bench.media.count:
        raise ToolUseError(f"there is no frame {args.frame}: the last one is {bench.media.count - 1}")
    used = [phrase for phrase, frame in bench.searched if frame == args.frame]
    new = [phrase for phrase in args.phrases if phrase not in used]
    if not new:
        where, other = (f" on frame {args.frame}", " or another frame") if bench.media.count > 1 else ("", "")
        raise ToolUseError(
            f"these phrases have been searched{where} already: {', '.join(used)}; use other words{other}"
        )
    for phrase in new:
        if unread := unread_words(bench.session, phrase):
            raise ToolUseError(f"{unread_warning(phrase, unread)}; use a shorter phrase")
    return args.model_copy(update={"phrases": new[: bench.searches_left]})


def _progress(args: SegmentPhrase) -> str:
    return f"searching for {', '.join(map(repr, args.phrases))}"


@tool(rank=10, cost="segmenter", progress=_progress, prepared=_new_phrases)
def segment_phrase(bench: Workbench, args: SegmentPhrase) -> ToolResult:
    """Find all instances of each phrase and give each instance a numbered mask.

    A phrase is a short singular noun phrase with visible attributes only: "player in white", "striped ball". No
    positions, counts or relations: the segmenter does not understand "leftmost" or "behind".
    """
    try:
        results = bench.session.segment_phrases(args.phrases, bench.threshold, args.frame)
    except InputError as error:
        raise ToolUseError(f"this cannot be searched: {error}") from error
    pool, searches = bench.pool, list[Search]()
    for phrase, instances in zip(args.phrases, results, strict=True):
        pool, found = pool.add(phrase, masklets(instances, args.frame))
        where = f"on frame {args.frame}" if args.frame else ""
        searches.append(Search(phrase, found, where, frozenset({args.frame})))
    candidates = {candidate.id: candidate for candidate in pool.candidates}
    masks = {mask_id: summary(candidate, bench.media) for mask_id, candidate in candidates.items()}
    data = [{"phrase": s.phrase, "masks": [masks[mask_id] for mask_id in s.found]} for s in searches]
    shown = tuple(c for c in pool.candidates if any(c.score_for(phrase) is not None for phrase in args.phrases))
    return ToolResult(
        "\n".join(search.line() for search in searches),
        {"searches": data},
        Searched(tuple(searches), pool, tuple(rule.rule_of() for rule in args.plan)),
        pool,
        (numbered(bench, shown),) if shown else (),
        segmenter_calls=len(args.phrases),
    )
