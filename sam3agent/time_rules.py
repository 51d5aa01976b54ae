"""Rules over time for tracked masks: what they do, in which order, and before or after what. Computed, never asked."""

from collections.abc import Callable, Mapping, Sequence

from sam3agent.media import Media
from sam3agent.motion import motion_facts, pair_facts
from sam3agent.motion.clip_motion import ClipMotion
from sam3agent.motion.event_order import compared, in_order, on_side, place_in
from sam3agent.motion.masklet_path import MaskletPath
from sam3agent.motion.motion_facts import Fact, FrameSpan, FrameSpans
from sam3agent.pool import Candidate, MaskPool
from sam3agent.rule_terms import AT_MOMENTS, MEASURING, Rule, TimePoint

_FACTS: Mapping[str, Fact] = {
    "appears": motion_facts.appears,
    "disappears": motion_facts.disappears,
    "enters": motion_facts.enters,
    "leaves": motion_facts.leaves,
    "returns": motion_facts.returns,
    "stops": motion_facts.stops,
    "starts": motion_facts.starts,
    "turns": motion_facts.turns,
    "hides": motion_facts.hides,
    "stays": motion_facts.stays,
    "moves": motion_facts.moves,
    "moves_left": motion_facts.goes_left,
    "moves_right": motion_facts.goes_right,
    "moves_up": motion_facts.goes_up,
    "moves_down": motion_facts.goes_down,
    "grows": motion_facts.grows,
    "shrinks": motion_facts.shrinks,
    "always_seen": motion_facts.remains,
}
_PAIR_FACTS: Mapping[str, Callable[[MaskletPath, MaskletPath], FrameSpans]] = {
    "touches": pair_facts.touches,
    "passes_behind": pair_facts.passes_behind,
    "passes_in_front_of": pair_facts.passes_in_front,
    "overtakes": pair_facts.overtakes,
}
_MEASURES: Mapping[str, Callable[[MaskletPath], float]] = {
    "fastest": lambda path: -motion_facts.fastness(path),
    "slowest": motion_facts.fastness,
    "longest_way": lambda path: -motion_facts.travelled(path),
    "longest_seen": lambda path: -motion_facts.seconds_seen(path),
    "shortest_seen": motion_facts.seconds_seen,
}
"""Those with the least of it come first."""


def with_paths(pool: MaskPool, media: Media) -> MaskPool:
    """The pool with the path of every candidate, as rules over time need them.

    Raises `InputError` if a frame cannot be read.
    """
    if all(candidate.path is not None for candidate in pool.candidates):
        return pool
    motion = ClipMotion(media, [candidate.masklet for candidate in pool.candidates])
    return pool.on_paths({c.id: motion.path(c.id, c.masklet) for c in pool.candidates})


def moments_of(rule: Rule, members: Sequence[Candidate], pool: MaskPool) -> dict[int, FrameSpans]:
    """The moments at which a rule over time holds, by the ids of the members that it names.

    Members whose paths are not known are not named.
    """
    known = {c.id: c.path for c in members if c.path is not None}
    if rule.name in MEASURING:
        return _most(rule, known, _anchors(rule, pool))
    doing = {i: _doing(rule, path, _anchors(rule, pool)) for i, path in known.items()}
    if rule.before:
        doing = {i: compared(spans, "before", _event(rule.before, pool)) for i, spans in doing.items()}
    if rule.after:
        doing = {i: compared(spans, "after", _event(rule.after, pool)) for i, spans in doing.items()}
    if rule.position and rule.name in AT_MOMENTS:
        doing = in_order(doing, rule.position, rule.count)
    return {i: spans for i, spans in doing.items() if spans}


def _anchors(rule: Rule, pool: MaskPool) -> list[MaskletPath]:
    return [c.path for mask_id in rule.of if (c := pool.get(mask_id)) and c.path is not None]


def _doing(rule: Rule, path: MaskletPath, anchors: Sequence[MaskletPath]) -> FrameSpans:
    if rule.name == "visible":
        frame = path.frame_at(rule.at or 0)
        return (FrameSpan(frame, frame),) if path.in_view(frame) else ()
    if fact := _PAIR_FACTS.get(rule.name):
        spans = (span for other in anchors if other.id != path.id for span in fact(path, other))
        return tuple(sorted(spans, key=lambda span: span.start))
    spans = _FACTS[rule.name](path)
    if rule.side:
        spans = tuple(span for span in spans if on_side(path, span, rule.side, first=rule.name != "leaves"))
    return spans


def _event(point: TimePoint, pool: MaskPool) -> FrameSpans:
    """When a time is; none if the mask never does what is said of it."""
    if point.frame is not None:
        return (FrameSpan(point.frame, point.frame),)
    candidate = pool.get(point.mask or 0)
    return _FACTS[point.does](candidate.path) if candidate and candidate.path is not None and point.does else ()


def _most(rule: Rule, known: Mapping[int, MaskletPath], anchors: Sequence[MaskletPath]) -> dict[int, FrameSpans]:
    """Those with the most of a measure, or those that come closest to any anchor at any time."""
    if measure := _MEASURES.get(rule.name):
        order = sorted(known, key=lambda i: measure(known[i]))
        return {i: (motion_facts.time_seen(known[i]),) for i in place_in(order, rule.position or 1, rule.count)}
    near = {i: pair_facts.nearest_of(path, anchors) for i, path in known.items() if i not in rule.of}
    found = sorted((closest, i) for i, closest in near.items() if closest)
    return {i: (FrameSpan(closest[2], closest[2]),) for closest, i in place_in(found, rule.position or 1, rule.count)}
