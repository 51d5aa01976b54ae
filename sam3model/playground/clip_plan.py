"""The plan of a clip: its theme, objects, camera, light, and the motion of every object."""

from dataclasses import dataclass, replace

import numpy as np

from sam3model.playground.ball_play import Touch, play_ball
from sam3model.playground.camera import Camera, Size, plan_camera, plan_light
from sam3model.playground.clip_paths import ClipEvent, ObjectPath, find_events, object_path, seen_enough
from sam3model.playground.dice import Dice
from sam3model.playground.domain import Domain
from sam3model.playground.gaits import gait_of, speeds
from sam3model.playground.motion_paths import Motion
from sam3model.playground.scene_plan import ObjectPlan, plan_objects
from sam3model.playground.stories import ALOFT, STORIES
from sam3model.playground.styles import Choreographer, Part
from sam3model.playground.themes import Theme

FRAMES = (8, 120)
RATES = (10, 12, 12, 15)
TAKES = 4
"""How often objects that would not be seen are given another way."""
LIVELY = 2.2
"""How much more often kinds that move are chosen than in still scenes."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipPlan:
    """Everything about a clip but its pixels; light (T, 3): gains of the colour channels."""

    theme: Theme
    camera: Camera
    light: np.ndarray
    rate: float
    plans: tuple[ObjectPlan, ...]
    paths: tuple[ObjectPath, ...]
    events: tuple[ClipEvent, ...]


def choose_frames(dice: Dice) -> int:
    """Number of frames of a clip: 8 to 120, 40 on average."""
    low, high = FRAMES
    return min(high, low + int((high - low + 1) * dice.random() ** 2.5))


def plan_clip(domain: Domain, theme: Theme, size: Size, frames: int, number: int, dice: Dice) -> ClipPlan:
    """Plan a clip of at most `number` objects; those that would never be seen are dropped."""
    rate = dice.pick(RATES)
    camera = plan_camera(size, frames, rate, dice.child("camera"))
    light = plan_light(frames, rate, dice.child("light"))
    plans = _cast(domain, theme, number, min(size), dice.child("things"))
    stage = Choreographer(camera, frames, rate, theme.horizon)
    parts = _parts(plans, theme, stage, dice.child("parts"))
    parts, paths, touches = _rehearsed(parts, theme, stage, dice)
    kept = _kept(paths, camera, {number for touch in touches for number in (touch.player, touch.ball)})
    ids = {number: i for i, number in enumerate(kept)}
    plays = [(t.frame, ids[t.player], ids[t.ball]) for t in touches if t.player in ids and t.ball in ids]
    chosen = tuple(paths[i] for i in kept)
    return ClipPlan(theme, camera, light, rate, tuple(parts[i].plan for i in kept), chosen, find_events(chosen, plays))


def _rehearsed(
    parts: list[Part], theme: Theme, stage: Choreographer, dice: Dice
) -> tuple[list[Part], list[ObjectPath], list[Touch]]:
    """Parts, paths and touches, where objects that would not be seen have tried another way."""
    take, match = 0, 0
    while True:
        motions, touches = _motions(parts, theme, stage, dice.child("ball", match))
        motions = [_settled(motion, i) for i, motion in enumerate(motions)]
        paths = [object_path(p.plan.kind, motion, stage.camera) for p, motion in zip(parts, motions, strict=True)]
        seen = seen_enough(paths, stage.camera, 0.55)
        if all(seen) or take == TAKES:
            return parts, paths, touches
        take += 1
        match += any(not seen[number] for touch in touches for number in (touch.player, touch.ball))
        parts = [p if fine else _another_way(p, take, stage) for p, fine in zip(parts, seen, strict=True)]


def _another_way(part: Part, take: int, stage: Choreographer) -> Part:
    """The part after `take` failed takes: simpler each time."""
    story = "steady" if part.story == "meet" or (take > 1 and part.story != "still") else part.story
    y = part.y
    if take > 2:
        low, high = stage.band(part)
        y = part.dice.child("place", take).uniform(0.5 * (low + high), high) / stage.tall
    return replace(part, take=take, meeting=None, story=story, y=y)


def _settled(motion: Motion, number: int) -> Motion:
    """The motion with depths that never tie with another object's."""
    return replace(motion, depth=motion.depth - 1e-4 * number)


def _kept(paths: list[ObjectPath], camera: Camera, busy: set[int]) -> list[int]:
    """Numbers of the objects that are seen or `busy` with the ball; the one seen best if there is none."""
    kept = list(range(len(paths)))
    while True:
        seen = seen_enough([paths[i] for i in kept], camera)
        left = [i for i, fine in zip(kept, seen, strict=True) if fine or i in busy]
        if left == kept:
            break
        kept = left
    return kept or [max(range(len(paths)), key=lambda i: float(paths[i].inside.sum()))]


def _cast(domain: Domain, theme: Theme, number: int, side: int, dice: Dice) -> list[ObjectPlan]:
    """The objects of a clip: more of them move than in a still scene, and some look alike."""
    weights = {
        name: weight * (LIVELY if gait_of(domain.kinds[name]).style not in ("still", "toy") else 1)
        for name, weight in theme.kinds.items()
    }
    plans = plan_objects(domain, replace(theme, kinds=weights), number, side, dice)
    if theme.name == "pitch" and number > 1 and dice.chance(0.85):
        plans = _one_ball(domain, plans, dice)
    for i in range(1, len(plans)):
        if dice.chance(0.22):
            one = dice.pick(plans[:i])
            if one.kind.name not in ("referee", "ball"):
                plans[i] = replace(plans[i], kind=one.kind, colour=one.colour, pattern=one.pattern, size=one.size)
                plans[i] = replace(plans[i], factor=one.factor * dice.uniform(0.97, 1.03))
    return _enlivened(domain, theme, plans, dice)


def _enlivened(domain: Domain, theme: Theme, plans: list[ObjectPlan], dice: Dice) -> list[ObjectPlan]:
    """The objects with at least two that can move, or one of a few."""
    able = {name: weight for name, weight in theme.kinds.items() if gait_of(domain.kinds[name]).style != "still"}
    stiff = [i for i, plan in enumerate(plans) if gait_of(plan.kind).style == "still"]
    lacking = min(2, (len(plans) + 1) // 2) - (len(plans) - len(stiff))
    for i in stiff[: max(0, lacking)]:
        kind = domain.kinds[dice.weighted(able)]
        colours = [colour for colour in kind.colours if colour not in theme.avoid] or kind.colours
        colour, pattern = dice.pick(colours) if colours else "", dice.pick(kind.patterns)
        factor = dice.uniform(0.96, 1.08)
        plans[i] = replace(plans[i], kind=kind, colour=colour, pattern=pattern, size="medium", factor=factor)
    return plans


def _one_ball(domain: Domain, plans: list[ObjectPlan], dice: Dice) -> list[ObjectPlan]:
    """The objects of a pitch with exactly one ball."""
    balls = [i for i, plan in enumerate(plans) if plan.kind.name == "ball"]
    keep = dice.pick(balls) if balls else dice.integer(0, len(plans) - 1)
    ball = domain.kinds["ball"]
    players = [plan for plan in plans if plan.kind.name == "player"]
    for i, plan in enumerate(plans):
        if i == keep and i not in balls:
            colour = dice.pick(("white", "white", "white", "orange", "yellow", "red"))
            factor = dice.uniform(0.66, 0.76)
            plans[i] = replace(plan, kind=ball, colour=colour, pattern="plain", size="small", factor=factor)
        elif i != keep and i in balls and players:
            other = dice.pick(players)
            plans[i] = replace(other, y=plan.y, dice=plan.dice)
    return plans


def _parts(plans: list[ObjectPlan], theme: Theme, stage: Choreographer, dice: Dice) -> list[Part]:
    rates = speeds([plan.kind for plan in plans], dice)
    parts: list[Part] = []
    for i, (plan, speed) in enumerate(zip(plans, rates, strict=True)):
        own = dice.child(i)
        gait = gait_of(plan.kind)
        story = own.weighted(ALOFT if gait.style == "fly" else STORIES)
        if gait.style == "toy" and own.chance(0.5):
            story = "still"
        if story == "still" and sum(part.moves for part in parts) < min(2, i):
            story = "steady"
        y = plan.y
        if parts and own.chance(0.45) and gait.style != "still":
            y = own.pick(parts).y + own.pick((-1, 1)) * own.uniform(0.028, 0.06)
            low = theme.horizon + 0.08 if theme.horizon and plan.kind.grounded else 0.25
            y = max(low, min(0.98, y))
        depth = None if theme.horizon and plan.kind.grounded else own.uniform(0, 1) * stage.tall
        parts.append(Part(plan, gait, story, own.pick((-1, 1)), speed, y, depth, None, own))
    if not any(part.moves for part in parts):
        able = [i for i, part in enumerate(parts) if part.gait.style != "still"]
        parts[able[0]] = replace(parts[able[0]], story="steady")
    return _meetings(parts, stage, dice.child("meetings"))


def _meetings(parts: list[Part], stage: Choreographer, dice: Dice) -> list[Part]:
    """Let look-alikes, and some others, cross paths in the middle of the picture."""
    free = [i for i, part in enumerate(parts) if part.gait.style in ("walk", "drive", "float", "fly", "roll", "spin")]
    for i in free:
        for j in free:
            one, two = parts[i].plan, parts[j].plan
            alike = one.kind is two.kind and one.colour == two.colour
            if i < j and not parts[i].meeting and not parts[j].meeting and dice.chance(0.75 if alike else 0.06):
                at = dice.uniform(0.3, 0.65) * stage.frames
                left, right = stage.camera.edges(at)
                x = left + dice.uniform(0.3, 0.7) * (right - left)
                way = dice.pick((-1, 1))
                y = max(parts[i].y, parts[j].y) - dice.uniform(0.028, 0.055)
                parts[i] = replace(parts[i], meeting=(at, x), way=way, story="meet")
                parts[j] = replace(parts[j], meeting=(at, x), way=-way, story="meet", y=y)
    return parts


def _motions(parts: list[Part], theme: Theme, stage: Choreographer, dice: Dice) -> tuple[list[Motion], list[Touch]]:
    motions = [stage.motion(part) for part in parts]
    balls = [i for i, part in enumerate(parts) if part.plan.kind.name == "ball"]
    players = [i for i, part in enumerate(parts) if part.plan.kind.name == "player"]
    if theme.name != "pitch" or len(balls) != 1 or not players:
        return motions, []
    played, touches = play_ball(parts, balls[0], players, stage, motions, dice)
    return played, touches
