"""The tool `track`: follow objects through a clip."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from sam3agent.masks import Masklet
from sam3agent.media import ClipMedia
from sam3agent.pool import listed_masks
from sam3agent.states import Followed, Search, Searched
from sam3agent.tools.arguments import FrameNumber, OneMaskId, Phrases
from sam3agent.tools.evidence import known_candidates, numbered
from sam3agent.tools.keep_rules import KeepRules
from sam3agent.tools.registry import Arguments, ToolResult, ToolUseError, tool
from sam3agent.tools.track_lines import frames_of, frames_without, track_json, track_line
from sam3agent.tracker import ClipSession, ObjectTracker, TrackOptions
from sam3agent.workbench import Workbench
from sam3model.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult


class TrackObjects(Arguments):
    """Arguments of track."""

    phrases: Annotated[Phrases, Field(max_length=8)] = Field(
        default_factory=list, description="Short noun phrases: follow all instances of each."
    )
    id: OneMaskId = Field(default=None, description="In place of phrases: follow the one object of this mask.")
    frame: FrameNumber | None = Field(
        default=None, description="With id: the frame on which the mask is right; by default the one with most of it."
    )
    plan: KeepRules = Field(
        default_factory=list,
        description="Rules that choose the answer from what is found, as `keep` of select_masks, without ids.",
    )
    first_frame: FrameNumber = Field(default=0, description="First frame to track; frames count from 0.")
    last_frame: FrameNumber | None = Field(default=None, description="Last frame to track; by default the last one.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.phrases) == (self.id is not None):
            raise ValueError("give either phrases or the id of a mask")
        return self


@dataclass
class _Sightings:
    """What a session found on the frames that it saw: phrase, score and masks by frame for each of its ids. breaks: why
    the clip broke off."""

    frames: set[int] = field(default_factory=set)
    phrases: dict[int, str | None] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    masks: dict[int, dict[int, Mapping[str, Any]]] = field(default_factory=dict)
    breaks: str = ""

    def add(self, result: "FrameResult", frame: int) -> None:
        """Add the objects of a frame; `frame` is its number in the clip."""
        self.frames.add(frame)
        for row, number in enumerate(int(given) for given in result.ids):
            self.phrases.setdefault(number, result.phrases[row])
            self.scores.setdefault(number, float(result.scores[row]))
            self.masks.setdefault(number, {})[frame] = result.masks[row]

    def masklets(self, phrase: str) -> list[tuple[Masklet, float]]:
        """What a phrase found, best first."""
        ids = sorted((i for i in self.masks if self.phrases[i] == phrase), key=lambda i: -self.scores[i])
        return [(masklet, self.scores[i]) for i in ids if (masklet := Masklet.from_rles(self.masks[i]))]


def _checked(bench: Workbench, args: TrackObjects) -> TrackObjects:
    """The arguments with frames of the clip, and as many phrases as the budget allows."""
    last = bench.media.count - 1 if args.last_frame is None else args.last_frame
    if not args.first_frame <= last < bench.media.count:
        raise ToolUseError(f"there are no frames {args.first_frame} to {last}: they are 0 to {bench.media.count - 1}")
    new: dict[str, Any] = {"last_frame": last, "phrases": args.phrases[: bench.searches_left]}
    if args.id is not None:
        (candidate,) = known_candidates(bench, [args.id])
        new["frame"] = candidate.frame if args.frame is None else args.frame
        if new["frame"] not in candidate.masklet.masks:
            raise ToolUseError(f"mask {args.id} is not on frame {new['frame']}; it is on {frames_of(candidate)}")
        if not args.first_frame <= new["frame"] <= last:
            raise ToolUseError(
                f"the mask is on frame {new['frame']}, which is not among frames {args.first_frame} to {last}"
            )
    return args.model_copy(update=new)


def _progress(args: TrackObjects) -> str:
    return f"tracking {', '.join(map(repr, args.phrases)) or f'mask {args.id}'}"


@tool(rank=15, cost="segmenter", needs_clip=True, progress=_progress, prepared=_checked)
def track(bench: Workbench, args: TrackObjects) -> ToolResult:
    """Follow objects through a clip: all instances of phrases, or the one object of a mask.

    Phrases work as in segment_phrase, but on every frame, so that objects which appear later are found too. Each
    object is one mask with one id on all frames. With id, that mask is followed to both sides and keeps its id: on
    frames where nothing was found, segment_phrase searches one by itself, and its masks are followed from there.
    """
    clip, tracker = bench.media, bench.tracker
    if not isinstance(clip, ClipMedia) or tracker is None:
        raise ToolUseError("there is no tracker for this: use segment_phrase, which searches one frame")
    try:
        found = _follow(bench, args, clip, tracker)
    except (CheckpointError, InputError) as error:
        raise ToolUseError(f"this cannot be tracked ({error}); segment_phrase searches the first frame") from error
    return _of_mask(bench, args.id, found) if args.id is not None else _of_phrases(bench, args, found)


def _follow(bench: Workbench, args: TrackObjects, clip: ClipMedia, tracker: ObjectTracker) -> _Sightings:
    """Prompt a new session and go through the frames, those after the prompt first."""
    numbers, found = range(args.first_frame, (args.last_frame or 0) + 1), _Sightings()
    session = tracker.open(clip.part(numbers), TrackOptions(bench.threshold))
    for done, result in enumerate(_results(bench, args, session), start=1):
        if isinstance(result, InputError):
            if not found.masks:
                raise result
            found.breaks = str(result)
            continue
        found.add(result, numbers[result.frame])
        bench.report(min(done, len(numbers)), len(numbers))
    return found


def _results(bench: Workbench, args: TrackObjects, session: ClipSession) -> "Iterator[FrameResult | InputError]":
    """The results of all frames; a clip that breaks off ends them with the error."""
    ways = [False]
    if args.id is None:
        session.add_phrases(args.phrases, frame=0)
        start = 0
    else:
        (candidate,) = known_candidates(bench, [args.id])
        start = (args.frame or 0) - args.first_frame
        session.add_mask(candidate.masklet.masks[args.frame or 0].full(), frame=start)
        ways += [True] if start else []
    for reverse in ways:
        try:
            yield from session.propagate(start=start, reverse=reverse)
        except InputError as error:
            yield error


def _of_phrases(bench: Workbench, args: TrackObjects, found: _Sightings) -> ToolResult:
    pool, searches = bench.pool, list[Search]()
    for phrase in args.phrases:
        pool, ids = pool.add(phrase, found.masklets(phrase))
        where = frames_without([c for mask_id in ids if (c := pool.get(mask_id))], found.frames)
        searches.append(Search(phrase, ids, f"none on {where}" if ids and where else "", frozenset(found.frames)))
    shown = tuple(c for search in searches for mask_id in search.found if (c := pool.get(mask_id)))
    lines = [line for s in searches for line in (s.line(), *(track_line(c) for c in shown if c.id in s.found))]
    data = [{"phrase": s.phrase, "masks": [track_json(c) for c in shown if c.id in s.found]} for s in searches]
    return ToolResult(
        "\n".join([*lines, *_remarks(found)]),
        {"searches": data},
        Searched(tuple(searches), pool, tuple(rule.rule_of() for rule in args.plan)),
        pool,
        (numbered(bench, shown),) if shown else (),
        segmenter_calls=len(args.phrases),
    )


def _of_mask(bench: Workbench, mask_id: int, found: _Sightings) -> ToolResult:
    """The masklet takes the place of the mask, under its id."""
    (old,) = known_candidates(bench, [mask_id])
    merged = {frame: rle for masks in found.masks.values() for frame, rle in masks.items()}
    masklet = Masklet.from_rles(merged) or old.masklet
    pool = bench.pool.extend(mask_id, masklet)
    shown = tuple(c for c in [pool.get(mask_id)] if c)
    text = "\n".join([f"followed {listed_masks([mask_id])}", *map(track_line, shown), *_remarks(found)])
    data = {"masks": [track_json(c) for c in shown]}
    event = Followed((mask_id,), pool, text, frozenset(found.frames))
    return ToolResult(text, data, event, pool, (numbered(bench, shown),), segmenter_calls=1)


def _remarks(found: _Sightings) -> list[str]:
    return [f"the clip breaks off, and only the frames before are tracked: {found.breaks}"] if found.breaks else []
