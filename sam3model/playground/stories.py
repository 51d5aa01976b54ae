"""The stories that objects of a clip live through along one axis: they cross, stop, start, turn, leave, come back."""

from sam3model.playground.camera import Camera
from sam3model.playground.dice import Dice

Keys = list[tuple[float, float]]
"""Frames and positions in pixels of the stage, connected at constant speed."""

STORIES = {
    "steady": 3.0,
    "cross": 2.0,
    "turn": 1.2,
    "late": 1.0,
    "stop": 2.0,
    "start": 1.6,
    "arrive_late": 0.6,
    "still": 0.7,
}
"""Stories and how often they are chosen."""
ALOFT = {"steady": 3.0, "cross": 2.0, "turn": 0.8, "late": 1.5}
"""Stories of what flies, which cannot stop."""
MARGIN = 6
"""Pixels between the edge of the view and an object that waits outside."""


class Storyteller:
    """Writes the keys of one object: `half` is half its width and `speed` its pixels per frame."""

    def __init__(self, camera: Camera, frames: int, half: float, speed: float, dice: Dice) -> None:
        self.camera, self.frames, self.half, self.speed, self.dice = camera, frames, half, max(speed, 0.05), dice

    def tell(self, story: str, way: int) -> Keys:
        """Keys of a story that begins towards `way`: 1 is right, -1 left."""
        if story == "still":
            return [(0.0, self.spot(self.dice.uniform(0, self.frames)))]
        return getattr(self, f"_{story}")(way)

    def spot(self, t: float, low: float = 0.12, high: float = 0.88) -> float:
        """A place in view at frame `t`."""
        left, right = self.camera.edges(t)
        left, right = left + self.half * 0.8, right - self.half * 0.8
        if left >= right:
            return (left + right) / 2
        return left + self.dice.uniform(low, high) * (right - left)

    def outside(self, t: float, side: int) -> float:
        """The nearest place out of view at frame `t` on a side, 1 for right and -1 for left."""
        left, right = self.camera.edges(t)
        return right + self.half + MARGIN if side > 0 else left - self.half - MARGIN

    def meet(self, t: float, x: float, way: int) -> Keys:
        """Be at `x` at frame `t`, moving towards `way`."""
        keys = self._arrive(t, x, way)
        return keys[:-1] + self._go_on(t, x, way)

    def _arrive(self, t: float, x: float, way: int) -> Keys:
        """Keys that end at `x` at frame `t`: it waits out of view first if it would come from far away."""
        lead = min(self.speed * t, abs(x - self.outside(0, -way)))
        begin = t - lead / self.speed
        return [(begin - 1e-3, x - way * lead), (t, x)]

    def _go_on(self, t: float, x: float, way: int) -> Keys:
        """Keys from frame `t` on: straight on; once out of view it comes back or stays away."""
        keys = [(t, x)]
        while t < self.frames + 10:
            goal = self.outside(min(t + 20, self.frames), way) + way * self.dice.uniform(0, 12)
            distance = (goal - x) * way
            if distance <= 0:
                return keys
            t, x = t + distance / self.speed, goal
            keys.append((t, x))
            pause = self.dice.uniform(0.08, 0.2) * self.frames + 3
            if t + pause + 6 > self.frames or self.dice.chance(0.2):
                return keys
            t, way = t + pause, -way
            keys.append((t, x))
        return keys

    def _steady(self, way: int) -> Keys:
        at = self.dice.uniform(0, 0.5) * self.frames
        return self.meet(at, self.spot(at), way)

    def _cross(self, way: int) -> Keys:
        at = self.dice.uniform(0, 0.3) * self.frames
        return self._go_on(at, self.outside(at, -way), way)

    def _stop(self, way: int) -> Keys:
        at = self.dice.uniform(0.3, 0.62) * self.frames
        return self._arrive(at, self.spot(at, 0.2, 0.8), way)

    def _start(self, way: int) -> Keys:
        at = self.dice.uniform(0.22, 0.55) * self.frames
        return self._go_on(at, self.spot(at, 0.15, 0.85), way)

    def _turn(self, way: int) -> Keys:
        at = self.dice.uniform(0.3, 0.6) * self.frames
        x = self.spot(at, 0.25, 0.75)
        return self._arrive(at, x, way) + self._go_on(at, x, -way)[1:]

    def _late(self, way: int) -> Keys:
        at = self.dice.uniform(0.2, 0.55) * self.frames
        return self._go_on(at, self.outside(at, -way), way)

    def _arrive_late(self, way: int) -> Keys:
        keys = self._late(way)
        begin, start = keys[0]
        stop = begin + self.dice.uniform(0.5, 0.75) * (self.frames - begin)
        x = start + way * self.speed * (stop - begin)
        left, right = self.camera.edges(stop)
        return [keys[0], (stop, x)] if left + self.half < x < right - self.half else keys
