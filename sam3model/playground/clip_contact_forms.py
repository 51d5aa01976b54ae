"""Questions about who plays the ball, who passes behind what, and who overtakes whom; see `ClipWording`."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from sam3model.playground.clip_comparison_forms import gap
from sam3model.playground.clip_facts import OPEN, Moment, Moments, runs
from sam3model.playground.clip_question_forms import ClipContext, ClipGroup, ClipWording, spanned, those
from sam3model.playground.clip_trails import Trail

CLOSE = 0.06
"""Widths of the image between a player's feet and a ball that may look like a contact."""
TOUCHES = (
    ("touches the ball", "touch the ball"),
    ("kicks the ball", "kick the ball"),
    ("plays the ball", "play the ball"),
)


def touching(ctx: ClipContext, player: Trail) -> Moments | None:
    """When a player touches the only ball; None if it may look so at other times."""
    clip = ctx.facts.clip
    balls = [trail for trail in clip.trails if trail.obj.kind == "ball"]
    if clip.theme != "pitch" or len(balls) != 1 or any(obj.kind == "ball" for obj in clip.unclear):
        return None
    ball = balls[0]
    frames = [one.frame for one in clip.events if one.name == "touches" and (one.id, one.other) == (player.id, ball.id)]
    half = (player.boxes[:, 2] - player.boxes[:, 0] + ball.boxes[:, 2] - ball.boxes[:, 0]) / 2
    steps = np.abs(player.place - ball.place)
    close = (steps[:, 0] < half) & (steps[:, 1] < CLOSE * ctx.facts.width) & (player.inside > 0.1) & (ball.inside > 0.1)
    for t in frames:
        if min(player.shown[t], ball.inside[t]) < OPEN or ball.open[max(0, t - 2) : t + 3].max() < 0.3:
            return None
        for state, start, end in runs(close.astype(int)):
            if state and start <= t + 2 and end >= t - 2:  # the run to the ball and after it
                close[start : end + 1] = False
    last = clip.count - 1
    return None if close.any() else tuple(Moment(max(0, t - 1), min(last, t + 1)) for t in frames)


def _touches(ctx: ClipContext) -> tuple[ClipGroup, dict[int, Moments]] | None:
    groups = [group for group in ctx.groups if group.description.kind == "player" and len(group.trails) > 1]
    if not groups:
        return None
    group = ctx.dice.pick(groups)
    found = {trail.id: touching(ctx, trail) for trail in group.trails}
    clear = {i: moments for i, moments in found.items() if moments is not None}
    return (group, clear) if len(clear) == len(found) else None


def touch(ctx: ClipContext) -> ClipWording:
    """All players that touch the ball."""
    found = _touches(ctx)
    if not found:
        return None
    group, doing = found[0], {i: moments for i, moments in found[1].items() if moments}
    if not 0 < len(doing) < len(found[1]):
        return None
    proof = spanned([moment for moments in doing.values() for moment in moments])
    return those(ctx, group, len(doing), ctx.dice.pick(TOUCHES)), tuple(doing), proof


def untouched(ctx: ClipContext) -> ClipWording:
    """All players that never touch the ball."""
    found = _touches(ctx)
    ids = tuple(i for i, moments in found[1].items() if not moments) if found else ()
    if not found or not 0 < len(ids) < len(found[1]):
        return None
    form = ("never touches the ball", "never touch the ball")
    return those(ctx, found[0], len(ids), form), ids, ctx.facts.whole()


def touch_order(ctx: ClipContext) -> ClipWording:
    """The player who touches the ball first or last."""
    found = _touches(ctx)
    order = sorted((moment.start, i, moment) for i, all_ in found[1].items() for moment in all_) if found else []
    if not found or len({i for _, i, _ in order}) < 2:
        return None
    word = ctx.dice.pick(("first", "first", "last"))
    _, chosen, proof = order[0 if word == "first" else -1]
    form = ctx.dice.pick(TOUCHES)
    np_ = ctx.np(found[0])
    text = ctx.dice.pick(
        (
            f"the {np_} who {form[0]} {word}",
            f"the {word} {np_} to {form[1]}",
            f"the {np_} who is the {word} to {form[1]}",
        )
    )
    return text, (chosen,), proof


def passing(ctx: ClipContext) -> ClipWording:
    """The objects that pass behind or in front of another one."""
    group = ctx.group(1)
    anchor = group and ctx.anchor(group)
    if not group or not anchor:
        return None
    front = ctx.dice.chance(0.5)
    found = {trail.id: passes(ctx, trail, anchor[1], front=front) for trail in group.trails}
    doing = {i: moments for i, moments in found.items() if moments}
    if not doing or None in found.values():
        return None
    word = "in front of" if front else "behind"
    form = ctx.dice.pick(
        (
            (f"passes {word} the {anchor[0]}", f"pass {word} the {anchor[0]}"),
            (f"moves past {word} the {anchor[0]}", f"move past {word} the {anchor[0]}"),
        )
    )
    return those(ctx, group, len(doing), form), tuple(doing), spanned([one for all_ in doing.values() for one in all_])


def passes(ctx: ClipContext, trail: Trail, anchor: Trail, *, front: bool) -> Moments | None:
    """When an object goes past an anchor, from one side to the other, and overlaps it; None if it only half does."""
    near = gap(trail, anchor) <= 0
    if not near.any():
        return ()
    side = np.sign(trail.centres[:, 0] - anchor.centres[:, 0])
    half = (anchor.boxes[:, 2] - anchor.boxes[:, 0]) / 2
    clear = np.where(np.abs(trail.centres[:, 0] - anchor.centres[:, 0]) > half, side, 0)
    known = np.flatnonzero(clear)
    swaps = [(int(a), int(b)) for a, b in pairwise(known) if clear[a] != clear[b]]
    if len(swaps) != 1 or not ctx.facts.moves(trail):
        return None
    start, end = swaps[0]
    part = slice(start, end + 1)
    nearer = trail.depth[part] > anchor.depth[part]
    middle = slice(start + 1, end) if end - start > 1 else part
    low = np.maximum(trail.boxes[middle, 1], anchor.boxes[middle, 1])
    high = np.minimum(trail.boxes[middle, 3], anchor.boxes[middle, 3])
    tall = np.minimum(*(one.boxes[middle, 3] - one.boxes[middle, 1] for one in (trail, anchor)))
    if near.sum() and (high - low < 0.35 * tall).any():
        return None
    visible = min(trail.inside[part].min(), anchor.inside[part].min())
    ways = [float(np.ptp(one.place[part, 0])) for one in (trail, anchor)]
    if visible < 0.8 or ways[0] < 0.6 * ways[1] or not (nearer.all() or not nearer.any()):
        return None
    return (Moment(start, end),) if bool(nearer.all()) == front else ()


def overtaking(ctx: ClipContext) -> ClipWording:
    """The object that overtakes another one."""
    group = ctx.group(1)
    anchor = group and ctx.anchor(group)
    if not group or not anchor:
        return None
    found = {trail.id: overtakes(ctx, trail, anchor[1]) for trail in group.trails}
    doing = {i: moments for i, moments in found.items() if moments}
    if not doing or None in found.values():
        return None
    form = (f"overtakes the {anchor[0]}", f"overtake the {anchor[0]}")
    return those(ctx, group, len(doing), form), tuple(doing), spanned([one for all_ in doing.values() for one in all_])


def overtakes(ctx: ClipContext, trail: Trail, anchor: Trail) -> Moments | None:
    """When an object comes from behind another one that moves the same way, and gets ahead of it, both in view."""
    both = np.flatnonzero((trail.inside > 0.7) & (anchor.inside > 0.7))
    if len(both) < 3 or np.ptp(both) != len(both) - 1:
        return None if len(both) else ()
    ahead = (trail.centres[both, 0] - anchor.centres[both, 0]) / ctx.facts.width
    ways = [sign for sign in (-1, 1) if ctx.facts.goes(trail, sign) and ctx.facts.goes(anchor, sign)]
    if np.ptp(np.sign(ahead)) == 0:
        return ()
    if not ways:
        return None
    clear = ahead[0] * ways[0] < -0.04 and ahead[-1] * ways[0] > 0.04
    return (Moment(int(both[0]), int(both[-1])),) if clear else None


CONTACT_FORMS: dict[str, Callable[[ClipContext], ClipWording]] = {
    maker.__name__: maker for maker in (touch, untouched, touch_order, passing, overtaking)
}
