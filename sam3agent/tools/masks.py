"""The tools themselves. Their docstrings are what a model and the MCP server say of them."""

from sam3agent.agent.decisions import ExamineMasks, MeasureMasks, ReportNoMatch, SegmentPhrase, SelectMasks
from sam3agent.agent.pool import Candidate
from sam3agent.agent.transitions import no_such_mask
from sam3agent.mllm.base import Picture
from sam3agent.render import Mark, fit, locate, overlay, spotlight, zoom
from sam3agent.render.zoom import WHOLE_SIDE
from sam3agent.tools.facts import measure
from sam3agent.tools.registry import Registry, ToolUseError
from sam3agent.tools.workbench import ToolResult, Workbench
from sam3model.errors import InputError

REGISTRY = Registry()
"""Every tool by name."""


@REGISTRY.tool
def segment_phrase(bench: Workbench, args: SegmentPhrase) -> ToolResult:
    """Find every instance of each phrase and give each a numbered mask.

    A phrase is a short noun phrase, singular, with at most what can be seen on the thing itself: "player in white",
    "striped ball". No positions, counts or relations: the segmenter does not understand "leftmost" or "behind".
    """
    try:
        results = bench.session.segment_phrases(args.phrases, bench.threshold)
    except InputError as error:
        raise ToolUseError(f"this cannot be searched: {error}") from error
    pool = bench.pool
    lines, searches = list[str](), list[dict]()
    for phrase, instances in zip(args.phrases, results, strict=True):
        pool, found = pool.add(phrase, instances)
        masks = [_summary(c) for mask_id in found if (c := pool.get(mask_id))]
        searches.append({"phrase": phrase, "masks": masks})
        ids = ", ".join(str(mask_id) for mask_id in found)
        lines.append(f'"{phrase}": {f"mask {ids}" if found else "nothing found"}')
    new = tuple(c for c in pool.candidates if any(c.score_for(phrase) is not None for phrase in args.phrases))
    pictures = (numbered(bench, new),) if new else ()
    return ToolResult("\n".join(lines), {"searches": searches}, pool, pictures)


@REGISTRY.tool
def examine_masks(bench: Workbench, args: ExamineMasks) -> ToolResult:
    """Look at masks closely: for each one the whole picture with the mask, and a zoomed crop around it."""
    candidates = _known(bench, args.ids)
    pictures = tuple(picture for candidate in candidates for picture in close_up(bench, candidate))
    text = "\n".join(f"mask {c.id}: whole picture with the mask, then zoomed" for c in candidates)
    return ToolResult(text, {"masks": [_summary(c) for c in candidates]}, bench.pool, pictures)


@REGISTRY.tool
def measure_masks(bench: Workbench, args: MeasureMasks) -> ToolResult:
    """Measure masks: place, order from the left and from the top, size, and colours, as exact numbers."""
    candidates = _known(bench, args.ids or bench.pool.ids)
    facts = measure(bench.pixels, candidates)
    data = {
        "masks": [
            {
                "id": f.id,
                "box": list(f.box),
                "place": f.place,
                "area_share": round(f.share, 5),
                "rank_from_left": f.from_left,
                "rank_from_top": f.from_top,
                "rank_by_size": f.from_largest,
                "colours": {name: round(share, 3) for name, share in f.colours.items()},
            }
            for f in facts
        ]
    }
    return ToolResult("\n".join(f.line() for f in facts) or "there are no masks", data, bench.pool)


@REGISTRY.tool
def select_masks(bench: Workbench, args: SelectMasks) -> ToolResult:
    """Answer the question with these masks, and end. They may come from different phrases."""
    candidates = _known(bench, args.ids)
    picture = Picture("answer", lambda: spotlight(*fit(bench.picture, marks(candidates), WHOLE_SIDE)))
    data = {"masks": [_summary(c) for c in candidates], "reason": args.reason}
    return ToolResult(f"selected mask {', '.join(map(str, args.ids))}", data, bench.pool, (picture,))


@REGISTRY.tool
def report_no_match(bench: Workbench, args: ReportNoMatch) -> ToolResult:
    """Answer that nothing in the picture fits the question, and end."""
    return ToolResult("no match", {"masks": [], "reason": args.reason}, bench.pool)


def marks(candidates: tuple[Candidate, ...]) -> tuple[Mark, ...]:
    """Candidates as marks to draw."""
    return tuple(Mark(candidate.id, candidate.mask) for candidate in candidates)


def numbered(bench: Workbench, candidates: tuple[Candidate, ...]) -> Picture:
    """The whole picture with candidates numbered."""
    ids = " ".join(str(candidate.id) for candidate in candidates)
    return Picture(f"masks {ids}", lambda: overlay(*fit(bench.picture, marks(candidates), WHOLE_SIDE)))


def close_up(bench: Workbench, candidate: Candidate) -> tuple[Picture, Picture]:
    """One candidate in the whole picture, and zoomed."""
    mark = Mark(candidate.id, candidate.mask)
    return (
        Picture(f"mask {mark.id} located", lambda: locate(bench.picture, mark)),
        Picture(f"mask {mark.id} zoomed", lambda: zoom(bench.picture, mark)),
    )


def _known(bench: Workbench, ids: list[int] | tuple[int, ...]) -> tuple[Candidate, ...]:
    """The candidates of ids; raises `ToolUseError` where one does not exist."""
    if missing := bench.pool.missing(ids):
        raise ToolUseError(no_such_mask(missing, bench.pool.ids))
    return tuple(c for mask_id in ids if (c := bench.pool.get(mask_id)))


def _summary(candidate: Candidate) -> dict:
    return {"id": candidate.id, "box": list(candidate.mask.box), "score": round(candidate.score, 4)}
