"""Facts about what masklets do, on clips of drawn blocks whose paths are known."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from PIL import Image

from sam3agent.masks import Mask, Masklet
from sam3agent.motion.camera_path import CameraPath, camera_path
from sam3agent.motion.clip_motion import FACTS, ClipMotion, TrackFacts, order_lines, pair_lines
from sam3agent.motion.masklet_path import MaskletPath
from sam3agent.motion.motion_facts import travelled
from sam3agent.motion.pair_facts import overtakes, passes_behind, passes_in_front, touches

WIDTH, HEIGHT, RATE = 160, 96, 10.0
Place = Callable[[int], tuple[float, float]]


def block(x: float, y: float, side: int = 20, hidden_from: float = WIDTH) -> Mask | None:
    """A square whose left edge is at `x`, cut off at the border and where something covers it."""
    full = np.zeros((HEIGHT, WIDTH), bool)
    x0, y0 = round(x), round(y)
    full[max(0, y0) : max(0, y0 + side), max(0, x0) : max(0, min(x0 + side, round(hidden_from)))] = True
    return Mask.from_full(full)


def path(place: Place, frames: int = 30, number: int = 1, camera: CameraPath | None = None) -> MaskletPath:
    masks = {t: mask for t in range(frames) if (mask := block(*place(t)))}
    return MaskletPath.of(number, Masklet(masks), frames, (WIDTH, HEIGHT), RATE, camera or CameraPath.fixed(frames))


def told(place: Place) -> set[str]:
    """The names of all facts that hold."""
    return {name for name, fact in FACTS.items() if fact(path(place))}


@pytest.mark.parametrize(
    ("place", "facts"),
    [
        (lambda t: (60, 40), {"remains", "stays"}),
        (lambda t: (10 + 3 * t, 40), {"remains", "goes_right"}),
        (lambda t: (120 - 3 * t, 40), {"remains", "goes_left"}),
        (lambda t: (-40 + 6 * t, 40), {"enters", "goes_right"}),
        (lambda t: (100 + 4 * t, 40), {"leaves", "goes_right"}),
        (lambda t: (100 + 8 * min(t, 20 - t), 40), {"leaves", "returns", "enters"}),
        (lambda t: (20 + 4 * min(t, 15), 40), {"remains", "stops", "goes_right"}),
        (lambda t: (20 + 4 * max(0, t - 15), 40), {"remains", "starts", "goes_right"}),
        (lambda t: (20 + 4 * min(t, 29 - t), 40), {"remains", "turns"}),
    ],
)
def test_a_path_has_its_facts_and_no_others(place: Place, facts: set[str]) -> None:
    assert told(place) == facts


def test_moments_are_where_things_happen() -> None:
    (stop,) = FACTS["stops"](path(lambda t: (20 + 4 * min(t, 15), 40)))
    assert 14 <= stop.start <= 17
    (entry,) = FACTS["enters"](path(lambda t: (-40 + 6 * t, 40)))
    assert 3 <= entry.start <= 5 and 5 <= entry.end <= 7


def test_what_is_covered_is_hidden_and_has_not_left() -> None:
    masks = {t: mask for t in range(30) if not 12 <= t <= 18 and (mask := block(30 + 2 * t, 40))}
    hidden = MaskletPath.of(1, Masklet(masks), 30, (WIDTH, HEIGHT), RATE, CameraPath.fixed(30))
    assert [(m.start, m.end) for m in FACTS["hides"](hidden)] == [(12, 18)]
    assert not FACTS["leaves"](hidden) and FACTS["remains"](hidden)


def test_growing_and_shrinking() -> None:
    masks = {t: mask for t in range(20) if (mask := block(60 - t / 2, 40 - t / 2, side=20 + t))}
    grown = MaskletPath.of(1, Masklet(masks), 20, (WIDTH, HEIGHT), RATE, CameraPath.fixed(20))
    assert FACTS["grows"](grown) and not FACTS["shrinks"](grown)


def test_a_pair_passes_overtakes_and_touches() -> None:
    still, walker = path(lambda t: (70, 40), number=2), path(lambda t: (10 + 4 * t, 36))
    assert passes_behind(walker, still) and not passes_in_front(walker, still)  # its foot is higher in the image
    assert passes_in_front(path(lambda t: (10 + 4 * t, 44)), still)
    slow, fast = path(lambda t: (40 + t, 20), number=2), path(lambda t: (10 + 4 * t, 60))
    assert overtakes(fast, slow) and not overtakes(slow, fast)
    ball = path(lambda t: (60, 50) if t < 10 else (60 + 4 * (t - 10), 50), number=3)
    kicker, other = path(lambda t: (38, 46)), path(lambda t: (130, 5), number=4)
    assert touches(kicker, ball) and not touches(other, ball)


def textured(seed: int = 0) -> np.ndarray:
    """A smooth random picture, larger than a frame."""
    noise = np.random.default_rng(seed).integers(0, 255, (16, 32), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((480, 240), Image.Resampling.BICUBIC))


class View:
    """A clip in which the camera shows a part of a picture on every frame: left, top, and its zoom."""

    size = (WIDTH, HEIGHT)

    def __init__(self, views: list[tuple[float, float, float]]) -> None:
        self._views, self._picture = views, Image.fromarray(textured())
        self.count = len(views)

    def frame(self, t: int) -> Image.Image:
        x, y, zoom = self._views[t]
        box = (x, y, x + WIDTH / zoom, y + HEIGHT / zoom)
        return self._picture.resize(self.size, Image.Resampling.BILINEAR, box=box).convert("RGB")

    def time(self, t: int) -> float:
        return t / RATE


@pytest.mark.parametrize(
    "views",
    [
        [(100.0 + 3 * t, 60.0, 1.0) for t in range(12)],
        [(100.0 - 2 * t, 60.0 + t, 1.0) for t in range(12)],
        [(100.0 + t, 60.0 + t / 2, 1.0 + t / 40) for t in range(12)],
    ],
)
def test_the_motion_of_the_camera_is_found(views: list[tuple[float, float, float]]) -> None:
    found = camera_path(View(views), [])
    (x0, y0, zoom0), (x1, y1, zoom1) = views[0], views[-1]
    assert found.scale[-1] == pytest.approx(zoom1 / zoom0, abs=0.02)
    assert found.shift[-1] == pytest.approx([(x0 - x1) * zoom1, (y0 - y1) * zoom1], abs=2.5)


def test_a_fixed_camera_does_not_move_and_noise_adds_nothing_up() -> None:
    assert not camera_path(View([(100.0, 60.0, 1.0)] * 8), []).moves


def test_a_slow_zoom_adds_up_although_neighbouring_frames_hardly_differ() -> None:
    found = camera_path(View([(100.0, 60.0, 1.0 + t / 400) for t in range(24)]), [])
    assert found.scale[-1] == pytest.approx(1 + 23 / 400, abs=0.01)


def test_a_background_without_texture_says_that_the_camera_is_uncertain() -> None:
    class Sky(View):
        def frame(self, t: int) -> Image.Image:
            return Image.new("RGB", self.size, (120, 160, 220))

    assert not camera_path(Sky([(0.0, 0.0, 1.0)] * 3), []).certain
    assert camera_path(View([(100.0, 60.0, 1.0)] * 3), []).certain


def test_a_ball_below_the_feet_is_nearer_and_not_touched() -> None:
    ball = path(lambda t: (60, 50) if t < 10 else (60 + 4 * (t - 10), 50), number=3)
    assert [(m.start, m.end) for m in touches(path(lambda t: (38, 50)), ball)] == [(9, 11)]
    assert not touches(path(lambda t: (50, 36)), ball)


def test_what_stands_still_before_a_panning_camera_stays() -> None:
    views = [(100.0 + 3 * t, 60.0, 1.0) for t in range(20)]
    camera = camera_path(View(views), [])
    still = path(lambda t: (110 - 3 * t, 40), frames=20, camera=camera)
    assert FACTS["stays"](still) and not FACTS["goes_left"](still)


def test_facts_are_told_in_words_and_numbers() -> None:
    masklets: Mapping[int, Masklet] = {
        1: Masklet({t: mask for t in range(20) if (mask := block(-40 + 6 * t, 40))}),
        2: Masklet({t: mask for t in range(20) if (mask := block(120, 40))}),
    }
    motion = ClipMotion(View([(0.0, 0.0, 1.0)] * 20), list(masklets.values()))
    paths = [motion.path(number, masklet) for number, masklet in masklets.items()]
    first, second = (TrackFacts.of(one, paths) for one in paths)
    assert order_lines([first, second])[-1] == "longest to shortest in view: 2, 1"
    assert pair_lines(paths) == []
    walkers = [path(lambda t: (70, 40), number=2), path(lambda t: (10 + 4 * t, 36))]
    assert pair_lines(walkers) == ["mask 1 passes behind mask 2 (frames 12 to 18)"]
    assert first.line().startswith("mask 1: frames 4 to 19, seen for 1.6 s; enters (frames ")
    assert second.to_json()["events"]["stays"] == [[0, 19]] and second.nearest and second.nearest[0] == 1


def test_the_way_goes_on_where_the_border_cuts_off_a_part() -> None:
    """It stands, and then leaves at the top: most of its way is seen in part only."""
    place = lambda t: (60, 8 - 2 * max(0, t - 18))  # noqa: E731
    leaving = path(place, frames=28)
    assert travelled(leaving) == pytest.approx(18 / WIDTH, abs=3 / WIDTH) and not FACTS["stays"](leaving)


def test_the_way_goes_on_where_something_covers_a_part() -> None:
    def behind(t: int) -> Mask | None:  # a sign in front covers its middle at first, but none of its sides
        found = block(10 + 4 * t, 40)
        if found and t < 15:
            found.crop[4:, 2:18] = False
        return found

    masks = {t: mask for t in range(24) if (mask := behind(t))}
    found = MaskletPath.of(1, Masklet(masks), 24, (WIDTH, HEIGHT), RATE, CameraPath.fixed(24))
    assert np.isnan(found.ground[:15]).all() and travelled(found) == pytest.approx(4 * 23 / WIDTH, abs=0.02)


def test_a_ball_that_is_covered_or_slows_down_is_not_touched() -> None:
    def rolling(t: int) -> tuple[float, float]:
        return 20 + 60 * (1 - (1 - min(t, 24) / 24) ** 2), 50

    def covered(t: int) -> Mask | None:  # somebody in front hides its right part on two frames
        return block(*rolling(t), hidden_from=rolling(t)[0] + (6 if t in (9, 10) else 20))

    ball = MaskletPath.of(
        3, Masklet({t: m for t in range(30) if (m := covered(t))}), 30, (WIDTH, HEIGHT), RATE, CameraPath.fixed(30)
    )
    assert not touches(path(lambda t: (60, 46)), ball)


def test_who_passes_is_who_moves_then() -> None:
    """The other one went a long way before, and stands while it is passed."""
    other = path(lambda t: (min(80, 10 + 14 * t), 40), frames=40, number=2)
    walker = path(lambda t: (120 - 4 * max(0, t - 12) if t < 30 else 52, 36), frames=40)
    assert passes_behind(walker, other) and not passes_behind(other, walker)
