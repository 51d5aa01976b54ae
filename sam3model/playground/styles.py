"""The motion of one object by its style: walking, driving, rolling, flying, and the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import pi

import numpy as np

from sam3model.playground.camera import Camera
from sam3model.playground.dice import Dice
from sam3model.playground.gaits import Gait
from sam3model.playground.motion_paths import Motion, bounces, ease, facing, hops, pace, reflected, through, travelled
from sam3model.playground.pen import POSES
from sam3model.playground.scene_plan import ObjectPlan
from sam3model.playground.stories import Storyteller

WANDERING = ("flutter", "rise", "sway", "spin", "launch")
"""Styles that move whatever the story."""
SIZED, UNSIZED = 1.15, 1.3
"""Maximum growth with depth of kinds that come in several sizes, which keeps these apart, and of the others."""


@dataclass(frozen=True, slots=True)
class Part:
    """What an object is to do: its story, first direction, speed in pixels per second, and perhaps a meeting.

    y: fraction of the height of its lowest point. depth: larger is nearer; None: as low in the picture as it stands.
    meeting: frame and x at which it meets another object. take: number of the attempt; another one moves otherwise.
    """

    plan: ObjectPlan
    gait: Gait
    story: str
    way: int
    speed: float
    y: float
    depth: float | None
    meeting: tuple[float, float] | None
    dice: Dice
    take: int = 0

    @property
    def moves(self) -> bool:
        """Whether the object is to move at all."""
        return self.gait.style != "still" and (self.story != "still" or self.gait.style in WANDERING)


class Choreographer:
    """Turns the parts of a clip into motions over its stage."""

    def __init__(self, camera: Camera, frames: int, rate: float, horizon: float) -> None:
        self.camera, self.frames, self.rate, self.horizon = camera, frames, rate, horizon
        self.tall = camera.stage[1]
        self.styles: dict[str, Callable[[Part], Motion]] = {
            "walk": self._walk,
            "drive": self._drive,
            "roll": self._roll,
            "float": self._float,
            "fly": self._fly,
            "flutter": self._flutter,
            "rise": self._rise,
            "sway": self._sway,
            "spin": self._spin,
            "launch": self._launch,
            "toy": self._toy,
            "still": self._still,
        }

    def motion(self, part: Part) -> Motion:
        """The motion of an object that plays a part."""
        return self.styles[part.gait.style](replace(part, dice=part.dice.child("motion", part.take)))

    def unit(self, part: Part) -> float:
        """Pixels of the stage per drawing unit at the planned distance."""
        return part.plan.factor * part.plan.kind.pixels / max(part.plan.kind.box)

    def half(self, part: Part) -> float:
        """Half the width of the object in pixels of the stage."""
        return self.unit(part) * part.plan.kind.box[0] / 2

    def nearness(self, y: np.ndarray | float) -> np.ndarray | float:
        """How large things look at a height of the ground, relative to half way to the front."""
        if not self.horizon:
            return 1.0 + 0.0 * y
        return 0.78 + 0.44 * (y / self.tall - self.horizon) / (1 - self.horizon)

    def band(self, part: Part) -> tuple[float, float]:
        """Highest and lowest place of the ground that the object may stand on, in pixels of the stage."""
        grounded = self.horizon and part.plan.kind.grounded
        return (self.horizon + 0.07 if grounded else 0.2) * self.tall, 0.985 * self.tall

    def across(self, part: Part) -> np.ndarray:
        """The x of a part, (T,)."""
        teller = Storyteller(self.camera, self.frames, self.half(part), part.speed / self.rate, part.dice)
        if part.meeting:
            return through(teller.meet(*part.meeting, part.way), self.frames)
        return through(teller.tell(part.story, part.way), self.frames)

    def along(self, part: Part, x: np.ndarray, most: float) -> np.ndarray:
        """The y of the ground, (T,): it changes by at most the fraction `most` of the height while x changes."""
        low, high = self.band(part)
        way = travelled(x)
        y = part.y * self.tall
        change = part.dice.uniform(-most, most) * self.tall
        change = max(-0.5 * way[-1], min(0.5 * way[-1], change))
        goal = max(low, min(high, y + change))
        return y + (goal - y) * (way / way[-1] if way[-1] > 1 else 0 * way)

    def build(
        self,
        part: Part,
        x: np.ndarray,
        y: np.ndarray,
        height: np.ndarray | float = 0.0,
        angle: np.ndarray | float = 0.0,
        pose: np.ndarray | None = None,
        grow: np.ndarray | float = 1.0,
    ) -> Motion:
        """A motion from its curves; size follows from how near the ground point is."""
        zeros = np.zeros(self.frames)
        near = self.nearness(y) / self.nearness(part.plan.y * self.tall)
        most = SIZED if part.plan.kind.sized else UNSIZED
        scale = self.unit(part) * np.clip(near, 1 / most, most) * grow + zeros
        side = facing(x, part.way, part.gait.turns)
        depth = y + zeros if part.depth is None else zeros + part.depth
        steps = zeros.astype(int) if pose is None or not part.gait.poses else pose
        return Motion(x, y, height + zeros, scale, angle + zeros, side, depth, steps)

    def strides(self, part: Part, x: np.ndarray, y: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Way gone in strides of `length` widths, and the pose of every frame; standing is pose 0."""
        way = travelled(x, y) / (length * 2 * self.half(part))
        moving = np.concatenate([[0], np.diff(way)])
        moving[0] = moving[1] if len(moving) > 1 else 0
        pose = 1 + np.floor(way * POSES).astype(int) % POSES
        return way, np.where(moving > 0.004, pose, 0)

    def _walk(self, part: Part) -> Motion:
        x = self.across(part)
        y = self.along(part, x, 0.3 if part.dice.chance(0.5) else 0.06)
        way, pose = self.strides(part, x, y, 0.45 + 0.45 * part.speed / part.gait.fast)
        rise = self.unit(part) * part.gait.bob * part.plan.kind.box[1]
        return self.build(part, x, y, hops(2 * way, 1, rise) * (pose > 0), pose=pose)

    def _drive(self, part: Part) -> Motion:
        x = self.across(part)
        y = self.along(part, x, 0.07)
        rock = 0.5 * np.abs(np.sin(travelled(x) / 9)) * (pace(x) > 0.3)
        return self.build(part, x, y, rock)

    def _roll(self, part: Part) -> Motion:
        x = self.across(part)
        y = self.along(part, x, 0.12)
        radius = self.half(part)
        turn = np.degrees((x - x[0]) / radius)
        height = np.zeros(self.frames)
        if part.dice.chance(0.5):
            moving = np.clip(pace(x) * self.rate / part.speed, 0, 1)
            height = bounces(self.frames, self.rate, part.dice.uniform(0.6, 1.8) * radius) * moving
        return self.build(part, x, y, height, turn)

    def _float(self, part: Part) -> Motion:
        x = self.across(part)
        y = self.along(part, x, 0.05)
        t = np.arange(self.frames) / self.rate * part.dice.uniform(1.6, 2.6) + part.dice.uniform(0, 2 * pi)
        boat = part.plan.kind.name == "boat"
        return self.build(part, x, y, 1.2 * np.sin(t), (3.5 if boat else 5) * np.sin(t + 1), self._beat(part, 2.5))

    def _beat(self, part: Part, per_second: float) -> np.ndarray:
        """Poses of something that beats all the time, like wings."""
        start = part.dice.random()
        beats = np.arange(self.frames) * per_second * part.dice.uniform(0.85, 1.15) / self.rate + start
        return 1 + np.floor(beats * POSES).astype(int) % POSES

    def _fly(self, part: Part) -> Motion:
        x = self.across(part)
        low, high = self.band(part)
        change = part.dice.uniform(-0.22, 0.22) * self.tall
        way = travelled(x)
        y = part.y * self.tall + change * way / max(way[-1], 1)
        name = part.plan.kind.name
        if name == "bird":
            y = y + 5 * np.sin(np.arange(self.frames) / self.rate * 3 + part.dice.uniform(0, 2 * pi))
        slope = np.degrees(np.arctan2(change, max(way[-1], 1))) * (name != "cloud")
        side = facing(x, part.way, part.gait.turns)
        grow = self._approach(part)
        return self.build(part, x, np.clip(y, low, high), 0, slope * np.sign(side), self._beat(part, 2.2), grow)

    def _approach(self, part: Part) -> np.ndarray | float:
        """Growth of something that comes nearer or goes away, for some parts."""
        if not part.dice.chance(0.3):
            return 1.0
        u = ease(np.linspace(0, 1, self.frames))
        return 1 + part.dice.uniform(-0.16, 0.2) * min(1, self.frames / 24) * u

    def _flutter(self, part: Part) -> Motion:
        middle = self.across(part)
        t = np.arange(self.frames) / self.rate
        a, b = part.dice.uniform(0, 2 * pi), part.dice.uniform(0, 2 * pi)
        x = middle + 7 * np.sin(2.3 * t + a)
        y = part.y * self.tall + 16 * np.sin(1.7 * t + b) + 5 * np.sin(5.1 * t + a)
        low, high = self.band(part)
        return self.build(part, x, np.clip(y, low, high), 0, 8 * np.sin(2.1 * t + b), self._beat(part, 3))

    def _rise(self, part: Part) -> Motion:
        t = np.arange(self.frames)
        a = part.dice.uniform(0, 2 * pi)
        sway = np.sin(1.3 * t / self.rate + a)
        at = part.dice.uniform(0.1, 0.7) * self.frames
        teller = Storyteller(self.camera, self.frames, self.half(part), 1, part.dice)
        lift = -1 if part.dice.chance(0.85) else 1
        y = part.dice.uniform(0.35, 0.95) * self.tall + lift * part.speed / self.rate * (t - at)
        x = teller.spot(at) + 6 * sway + part.dice.uniform(-8, 8) * t / self.rate
        return self.build(part, x, y, 0, 5 * np.sin(1.3 * t / self.rate + a + 1))

    def _sway(self, part: Part) -> Motion:
        t = np.arange(self.frames) / self.rate
        a, b = part.dice.uniform(0, 2 * pi), part.dice.uniform(0, 2 * pi)
        teller = Storyteller(self.camera, self.frames, self.half(part), 1, part.dice)
        reach = part.speed * 1.1
        x = teller.spot(part.dice.uniform(0, self.frames)) + reach * np.sin(0.9 * t + a) + 4 * np.sin(2.3 * t + b)
        y = part.y * self.tall + 0.5 * reach * np.sin(1.4 * t + b)
        return self.build(part, x, y, 0, 12 * np.sin(0.9 * t + a + 0.8))

    def _spin(self, part: Part) -> Motion:
        t = np.arange(self.frames)
        turn = part.dice.uniform(-60, 60) * t / self.rate if part.dice.chance(0.5) else part.dice.uniform(-15, 15)
        half, tall = self.half(part), self.unit(part) * part.plan.kind.box[1]
        if part.meeting or part.dice.chance(0.5):
            x, y = self.across(part), part.y * self.tall + part.dice.uniform(-20, 20) * t / self.rate
            y = reflected(y, min(tall, self.tall - 4), self.tall - 2)
        else:
            heading = part.dice.uniform(0, 2 * pi)
            teller = Storyteller(self.camera, self.frames, half, 1, part.dice)
            step = part.speed / self.rate
            x = reflected(teller.spot(0) + step * np.cos(heading) * t, half, self.camera.stage[0] - half)
            y = reflected(part.y * self.tall + step * np.sin(heading) * t, min(tall, self.tall - 4), self.tall - 2)
        return self.build(part, x, y, 0, turn, None, self._approach(part))

    def _launch(self, part: Part) -> Motion:
        t = np.arange(self.frames)
        start = part.dice.uniform(0.1, 0.45) * self.frames if part.dice.chance(0.7) else -20
        lean = part.dice.uniform(-28, 28)
        step = part.speed / self.rate
        ramp = np.maximum(0, t - start)
        soft = 0.6 * self.rate
        way = step * (ramp - soft * (1 - np.exp(-ramp / soft)))
        teller = Storyteller(self.camera, self.frames, self.half(part), 1, part.dice)
        x = teller.spot(max(0, start)) + way * np.sin(np.radians(lean))
        ground = part.y * self.tall
        tilt = lean * ease(ramp / soft) if self.horizon else lean
        return self.build(part, x, np.full(self.frames, ground), way * np.cos(np.radians(lean)), tilt)

    def _toy(self, part: Part) -> Motion:
        if part.story == "still":
            return self._still(part)
        x = self.across(part)
        y = self.along(part, x, 0.12)
        if part.dice.chance(0.6):
            width = 2 * self.half(part)
            way = travelled(x, y)
            stride = part.dice.uniform(0.4, 0.55) * part.speed
            moving = np.clip(pace(x) * self.rate / max(part.speed, 1) * 1.5, 0, 1)
            height = hops(way, stride, part.dice.uniform(0.14, 0.26) * width) * moving
            return self.build(part, x, y, height, 5 * np.sin(np.pi * way / stride) * moving)
        return self.build(part, x, y)

    def _still(self, part: Part) -> Motion:
        teller = Storyteller(self.camera, self.frames, self.half(part), 1, part.dice)
        x = np.full(self.frames, teller.spot(part.dice.uniform(0, self.frames)))
        return self.build(part, x, np.full(self.frames, part.y * self.tall))
