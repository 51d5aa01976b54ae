"""Themes of scenes: their typical objects and how these are arranged."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """The theme of a scene.

    kinds: typical kinds with their weights. avoid: colours that are hard to see on its background.
    horizon: top of the ground as a fraction of the image height; objects lower in the image are then nearer; 0: no
    ground. shadows: objects cast shadows.
    """

    name: str
    weight: float
    kinds: dict[str, float]
    avoid: tuple[str, ...] = ()
    horizon: float = 0.0
    shadows: bool = True


_HOME = (
    "mug",
    "vase",
    "book",
    "chair",
    "lamp",
    "hat",
    "bottle",
    "bag",
    "clock",
    "teapot",
    "apple",
    "banana",
    "pear",
    "cake",
    "cat",
    "dog",
    "ball",
    "umbrella",
)
_STUDIO = (
    *_HOME,
    "car",
    "truck",
    "bus",
    "bicycle",
    "boat",
    "plane",
    "rocket",
    "house",
    "mushroom",
    "flower",
    "cactus",
    "fish",
    "bird",
    "butterfly",
    "turtle",
)
_SHAPES = ("star", "heart", "triangle", "square", "ring", "cross", "moon", "ball", "balloon", "kite")

_THEMES = (
    Theme("pitch", 0.20, {"player": 8, "ball": 2, "referee": 1.2}, ("green",), 0.44),
    Theme(
        "street",
        0.12,
        {
            "car": 5,
            "truck": 2,
            "bus": 2,
            "bicycle": 2.5,
            "tree": 2,
            "house": 2,
            "dog": 1,
            "cat": 0.7,
            "ball": 0.7,
            "umbrella": 0.7,
            "bag": 0.5,
        },
        (),
        0.5,
    ),
    Theme(
        "sea", 0.09, {"boat": 5, "fish": 2.5, "bird": 1.5, "turtle": 1.5, "ball": 1, "balloon": 0.5}, ("blue",), 0.45
    ),
    Theme(
        "sky",
        0.10,
        {
            "balloon": 4,
            "kite": 3,
            "plane": 3,
            "bird": 2.5,
            "cloud": 2,
            "rocket": 1.5,
            "butterfly": 1,
            "star": 0.7,
            "moon": 0.7,
        },
        ("blue",),
        shadows=False,
    ),
    Theme("room", 0.16, dict.fromkeys(_HOME, 1.0), (), 0.5),
    Theme(
        "meadow",
        0.10,
        {
            "tree": 3,
            "flower": 3,
            "mushroom": 2.5,
            "house": 1.5,
            "dog": 2,
            "cat": 1.5,
            "butterfly": 1.5,
            "bird": 1,
            "turtle": 1,
            "ball": 1,
            "umbrella": 0.7,
            "apple": 0.7,
            "player": 0.7,
        },
        ("green",),
        0.46,
    ),
    Theme(
        "desert",
        0.06,
        {
            "cactus": 4,
            "car": 1.5,
            "truck": 1.5,
            "turtle": 1.5,
            "rocket": 1,
            "hat": 1,
            "bottle": 1,
            "umbrella": 1,
            "bird": 1,
            "house": 1,
        },
        ("orange", "brown"),
        0.48,
    ),
    Theme("studio", 0.12, dict.fromkeys(_STUDIO, 1.0)),
    Theme("shapes", 0.10, dict.fromkeys(_SHAPES, 1.0)),
)

THEMES: dict[str, Theme] = {theme.name: theme for theme in _THEMES}
