"""The masklets that a plan selects in a clip: what they do over time, then places and relations at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sam3agent.masks import Masklet
from sam3agent.motion import motion_facts, pair_facts
from sam3agent.motion.clip_motion import FACTS, PAIR_FACTS, ClipMotion
from sam3agent.motion.event_order import compared, in_order, on_side
from sam3agent.motion.masklet_path import MaskletPath
from sam3agent.motion.motion_facts import FrameSpan, FrameSpans
from sam3agent.pool import Candidate, MaskPool
from sam3agent.rules.question_plan import Happening, NounPhrase, Target, When
from sam3agent.rules.remarks import loose_anchor
from sam3agent.rules.selector import Choice, Selector, left_out
from sam3agent.workbench import Workbench

MEASURES = {
    "fastest": (motion_facts.fastness, 1), "slowest": (motion_facts.fastness, -1),
    "farthest": (motion_facts.travelled, 1), "longest": (motion_facts.seconds_seen, 1),
    "shortest": (motion_facts.seconds_seen, -1),
}  # fmt: skip
"""Measure of an object, and whether more of it (1) or less (-1) comes first."""

SAME = 0.01
"""Measures that differ by a smaller part are the same."""


@dataclass(frozen=True, slots=True)
class ClipChoice:
    """How a target of a clip was resolved. found: candidates of its phrase. doing: those that do what it says, with the
    moments that show it, by id. kept: the answer. frame: where places were read; None if there are none. events: the
    moments of the last thing that it says, which others are compared with."""

    target: Target
    found: Sequence[Candidate]
    doing: Sequence[Candidate]
    moments: dict[int, FrameSpans]
    placed: Choice | None
    kept: Sequence[Candidate]
    frame: int | None
    exceptions: tuple["ClipChoice", ...] = ()
    missing: str = ""
    events: dict[int, FrameSpans] = field(default_factory=dict)

    @property
    def proof(self) -> FrameSpan | None:
        """The frames from the first to the last moment of the answer; None if it rests on no moment."""
        frames = [moment for c in self.kept for moment in self.moments.get(c.id, ())]
        if frames:
            return FrameSpan(min(m.start for m in frames), max(m.end for m in frames))
        return None if self.frame is None else FrameSpan(self.frame, self.frame)


@dataclass
class ClipSelector:
    """Resolves plans on a clip whose objects are tracked.

    remarks: what the clip leaves open: measures that several objects share, and several objects where the
    question refers to one.
    """

    bench: Workbench
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def motion(self) -> ClipMotion:
        """The paths of the candidates."""
        return ClipMotion(self.bench.media, [c.masklet for c in self.bench.pool.candidates])

    @cached_property
    def finder(self) -> Selector:
        """Finds candidates by phrases; the colours of each are measured once, on its key frame."""
        return Selector(self.bench)

    def path(self, candidate: Candidate) -> MaskletPath:
        """The path of a candidate."""
        return self.motion.path(candidate.id, candidate.masklet)

    def find(self, target: Target) -> list[Candidate]:
        """Candidates of the phrase of a target."""
        return self.finder.find(target.what)

    def choose(self, target: Target) -> ClipChoice:
        """Resolve one target."""
        found = self.find(target)
        doing, moments, events, missing = list(found), dict[int, FrameSpans](), dict[int, FrameSpans](), ""
        for happening in (one for one in target.happenings if one.name not in MEASURES):
            events, missing_now = self._happening(happening, found)
            missing = missing or missing_now
            doing = [c for c in doing if c.id in events]
            for mask_id, when in events.items():
                moments[mask_id] = (*moments.get(mask_id, ()), *when)
        exceptions = tuple(map(self.choose, target.exceptions))
        excluded = {one for e in exceptions for one in left_out(found, target.what, e.kept, e.target.what)}
        placed, frame = None, None
        kept = doing
        if target.exclude_first:
            kept = [c for c in kept if c.id not in excluded]
        if target.ranking:
            kept = self._most(target, kept, excluded, moments)
        if target.sides or target.relation or target.ranking:
            frame = self.frame_of(target.when or When("start"))
            plain = replace(target, happenings=(), exceptions=(), when=None)
            placed = self._at(frame, kept, plain)
            self.remarks += [remark for anchor in placed.anchors for remark in loose_anchor(anchor)]
            chosen = {c.id for c in placed.kept}
            kept = [c for c in kept if c.id in chosen]
        if not target.ranking:
            kept = self._most(target, kept, excluded, moments)
        kept = [c for c in kept if c.id not in excluded]
        return ClipChoice(target, found, doing, moments, placed, kept, frame, exceptions, missing, events)

    def _most(
        self, target: Target, kept: list[Candidate], excluded: set[int], moments: dict[int, FrameSpans]
    ) -> list[Candidate]:
        """The fastest, or the most so of another measure, of those that fit the rest of the target."""
        for happening in (one for one in target.happenings if one.name in MEASURES):
            fits = self._extreme(happening, [c for c in kept if c.id not in excluded])
            kept = [c for c in kept if c.id in fits]
            for mask_id, when in fits.items():
                moments[mask_id] = (*moments.get(mask_id, ()), *when)
        return kept

    def frame_of(self, when: When) -> int:
        """The number of the frame that a time means."""
        media = self.bench.media
        last = media.count - 1
        if when.kind == "second":
            return min(range(media.count), key=lambda t: abs(media.time(t) - when.value))
        return {"start": 0, "end": last, "frame": min(last, int(when.value))}[when.kind]

    def _at(self, frame: int, candidates: Sequence[Candidate], target: Target) -> Choice:
        """A target resolved on one frame, among some candidates; its anchors are any masks on that frame."""
        mine = {c.id for c in candidates}
        there = [
            replace(c, masklet=Masklet.of(c.masklet.masks[frame], frame))
            for c in self.bench.pool.candidates
            if frame in c.masklet.masks and self.path(c).presence[frame] != "hidden"
        ]
        view = self.bench.with_pool(MaskPool(tuple(there), self.bench.pool.next_id))
        return _OnFrame(view, self.finder, target.what, mine).choose(target)

    def _happening(self, happening: Happening, found: Sequence[Candidate]) -> tuple[dict[int, FrameSpans], str]:
        """The candidates that do something, with the moments, by id; and which object it refers to is missing."""
        if happening.name == "outermost" and happening.when and happening.side:
            return self._outermost(happening, found), ""
        anchors = [c for target in happening.anchors for c in self._referred(target).kept]
        if happening.anchors and not anchors:
            return {}, happening.anchors[0].what.phrase
        if happening.name == "approaches":
            return self._nearest(found, anchors), ""
        doing = {c.id: self._moments(happening, c, anchors) for c in found}
        if happening.compared:
            word, target = happening.compared
            other = self._referred(target)
            events = [moment for c in other.kept for moment in other.events.get(c.id, ())]
            if not events:
                return {}, f"{target.what.phrase} that {target.happenings[-1].words}"
            doing = {i: compared(found_, word, events) for i, found_ in doing.items()}
        if happening.negated:
            whole = (FrameSpan(0, self.bench.media.count - 1),)
            doing = {i: () if moments else whole for i, moments in doing.items()}
        if happening.order:
            doing = in_order(doing, happening.order, happening.count)
        return {i: moments for i, moments in doing.items() if moments}, ""

    def _referred(self, target: Target) -> ClipChoice:
        """The objects that a happening refers to. Of several where it names one, any counts, and a remark says so."""
        choice = self.choose(target)
        if not target.what.plural and not target.number and len(choice.kept) > 1:
            phrase, several = target.what.phrase, len(choice.kept)
            self.remarks.append(f'the question refers to one "{phrase}" and {several} match: any of them counts')
        return choice

    def _moments(self, happening: Happening, candidate: Candidate, anchors: Sequence[Candidate]) -> FrameSpans:
        path = self.path(candidate)
        if happening.name == "present":
            frame = self.frame_of(happening.when or When("end"))
            return (FrameSpan(frame, frame),) if path.in_view(frame) else ()
        if anchors:
            others = [self.path(anchor) for anchor in anchors if anchor.id != candidate.id]
            return tuple(moment for other in others for moment in PAIR_FACTS[happening.name](path, other))
        moments = FACTS[happening.name](path)
        if happening.side:
            moments = tuple(m for m in moments if on_side(path, m, happening.side, first=happening.name != "leaves"))
        return moments

    def _extreme(self, happening: Happening, found: Sequence[Candidate]) -> dict[int, FrameSpans]:
        measure, sign = MEASURES[happening.name]
        measured = {c.id: measure(self.path(c)) for c in found}
        order = sorted(found, key=lambda c: -sign * measured[c.id])
        start = len(order) - 1 if happening.order < 0 else happening.order - 1
        chosen = order[start : start + happening.count]
        values = [measured[c.id] for c in order]
        edges = [n for n in (start, start + happening.count) if 0 < n < len(order)]
        if any(abs(values[n] - values[n - 1]) <= SAME * max(abs(values[n]), abs(values[n - 1])) for n in edges):
            self.remarks.append(
                f'"{happening.words}": several are the same by measure, so the choice among them is open'
            )
        return {c.id: (motion_facts.time_seen(self.path(c)),) for c in chosen}

    def _outermost(self, happening: Happening, found: Sequence[Candidate]) -> dict[int, FrameSpans]:
        frame = self.frame_of(happening.when or When("start"))
        axis, sign = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}[happening.side or "left"]
        there = [c for c in found if self.path(c).presence[frame] in ("in", "part")]
        best = min(there, key=lambda c: sign * self.path(c).middle(frame)[axis], default=None)
        return {best.id: (FrameSpan(frame, frame),)} if best else {}

    def _nearest(self, found: Sequence[Candidate], anchors: Sequence[Candidate]) -> dict[int, FrameSpans]:
        """The candidate that comes closest to any anchor, at any time."""
        near = [
            (closest, c.id)
            for c in found
            if (closest := pair_facts.nearest_of(self.path(c), [self.path(a) for a in anchors if a.id != c.id]))
        ]
        (_, _, t), mask_id = min(near, default=((0.0, 0.0, 0), 0))
        return {mask_id: (FrameSpan(t, t),)} if near else {}


class _OnFrame(Selector):
    """A selector on the masks of one frame. What an object is, is judged on the whole clip; where it is, here.

    mine: ids among which the subject is; anchors may be any object.
    """

    def __init__(self, bench: Workbench, whole: Selector, subject: NounPhrase, mine: set[int]) -> None:
        super().__init__(bench)
        self.whole, self.subject, self.mine = whole, subject, mine

    def find(self, what: NounPhrase) -> list[Candidate]:
        found = (self.bench.pool.get(c.id) for c in self.whole.find(what))
        return [c for c in found if c and (what != self.subject or c.id in self.mine)]
