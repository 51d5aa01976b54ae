"""The kinds of objects: names, sizes, colours and drawing functions."""

from collections.abc import Callable
from dataclasses import dataclass

from sam3model.playground import sprites_animals as animals
from sam3model.playground import sprites_food as food
from sam3model.playground import sprites_household as household
from sam3model.playground import sprites_nature as nature
from sam3model.playground import sprites_people as people
from sam3model.playground import sprites_shapes as shapes
from sam3model.playground import sprites_vehicles as vehicles
from sam3model.playground.palette import COLOURS
from sam3model.playground.pen import Pen

ALL = tuple(COLOURS)
FUR = ("orange", "brown", "black", "white")
PATTERNED = ("plain", "plain", "striped", "dotted")
PLAIN = ("plain",)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    box: width and height of the drawing in drawing units. pixels: length of the longer side at medium size.
    synonyms: pairs of singular and plural. tilt: maximum rotation in degrees. grounded: stands on the ground and casts
    a shadow there. sized: also comes small and large. colours: possible colour words; empty for a fixed look without a
    colour word.
    """

    name: str
    plural: str
    draw: Callable[[Pen], None]
    box: tuple[int, int]
    pixels: int
    synonyms: tuple[tuple[str, str], ...] = ()
    colours: tuple[str, ...] = ALL
    patterns: tuple[str, ...] = PLAIN
    tilt: float = 0
    grounded: bool = True
    sized: bool = True


_KINDS = (
    Kind("player", "players", people.player, (64, 100), 84, (("footballer", "footballers"),), sized=False),
    Kind("referee", "referees", people.referee, (64, 100), 84, colours=(), sized=False),
    Kind("ball", "balls", shapes.ball, (80, 80), 40, patterns=PATTERNED, tilt=180),
    Kind("car", "cars", vehicles.car, (100, 51), 76, (("automobile", "automobiles"),)),
    Kind("truck", "trucks", vehicles.truck, (100, 58), 84, (("lorry", "lorries"),)),
    Kind("bus", "buses", vehicles.bus, (100, 52), 88),
    Kind("bicycle", "bicycles", vehicles.bicycle, (100, 64), 68, (("bike", "bikes"),)),
    Kind("boat", "boats", vehicles.boat, (90, 96), 66, (("sailboat", "sailboats"),), tilt=4),
    Kind("plane", "planes", vehicles.plane, (100, 60), 78, (("airplane", "airplanes"),), tilt=14, grounded=False),
    Kind("rocket", "rockets", vehicles.rocket, (60, 100), 72, tilt=25, grounded=False),
    Kind("tree", "trees", nature.tree, (80, 100), 80, colours=("green", "orange", "red", "yellow", "pink", "purple")),
    Kind("house", "houses", nature.house, (96, 92), 76),
    Kind("mushroom", "mushrooms", nature.mushroom, (86, 84), 46, (("toadstool", "toadstools"),), tilt=6),
    Kind("flower", "flowers", nature.flower, (80, 100), 58, tilt=8),
    Kind("cloud", "clouds", nature.cloud, (100, 58), 70, colours=("white", "pink", "purple", "yellow"), grounded=False),
    Kind("cactus", "cacti", nature.cactus, (76, 96), 66, colours=("green", "blue", "purple", "pink")),
    Kind("cat", "cats", animals.cat, (82, 92), 56, (("kitten", "kittens"),), colours=FUR),
    Kind("dog", "dogs", animals.dog, (100, 80), 64, (("puppy", "puppies"),), colours=FUR),
    Kind("fish", "fish", animals.fish, (100, 64), 56, patterns=PATTERNED, tilt=14),
    Kind("bird", "birds", animals.bird, (100, 74), 54, tilt=10, grounded=False),
    Kind("butterfly", "butterflies", animals.butterfly, (100, 80), 48, tilt=20, grounded=False),
    Kind("turtle", "turtles", animals.turtle, (100, 62), 58),
    Kind("mug", "mugs", household.mug, (92, 80), 48, (("cup", "cups"),), patterns=PATTERNED),
    Kind("vase", "vases", household.vase, (66, 100), 60, patterns=PATTERNED),
    Kind("book", "books", household.book, (80, 96), 52, tilt=10),
    Kind("chair", "chairs", household.chair, (72, 100), 72),
    Kind("lamp", "lamps", household.lamp, (78, 100), 68, patterns=PATTERNED),
    Kind(
        "umbrella",
        "umbrellas",
        household.umbrella,
        (100, 92),
        66,
        (("parasol", "parasols"),),
        patterns=PATTERNED,
        tilt=14,
    ),
    Kind("hat", "hats", household.hat, (100, 58), 58, patterns=PATTERNED, tilt=8),
    Kind("bottle", "bottles", household.bottle, (44, 100), 60),
    Kind("bag", "bags", household.bag, (84, 88), 52, (("handbag", "handbags"),)),
    Kind("clock", "clocks", household.clock, (84, 88), 50),
    Kind("teapot", "teapots", household.teapot, (100, 76), 58, patterns=PATTERNED),
    Kind("apple", "apples", food.apple, (84, 90), 42, colours=("red", "green", "yellow"), tilt=12),
    Kind("banana", "bananas", food.banana, (100, 66), 54, colours=("yellow", "green", "brown"), tilt=25),
    Kind("pear", "pears", food.pear, (72, 100), 48, colours=("green", "yellow", "red", "brown"), tilt=12),
    Kind("cake", "cakes", food.cake, (84, 92), 48, (("cupcake", "cupcakes"),)),
    Kind("star", "stars", shapes.star, (90, 88), 50, patterns=PATTERNED, tilt=20, grounded=False),
    Kind("heart", "hearts", shapes.heart, (90, 84), 48, patterns=PATTERNED, tilt=15, grounded=False),
    Kind("triangle", "triangles", shapes.triangle, (90, 80), 50, patterns=PATTERNED, tilt=15, grounded=False),
    Kind("square", "squares", shapes.square, (76, 76), 44, patterns=PATTERNED, tilt=15, grounded=False),
    Kind("ring", "rings", shapes.ring, (84, 84), 50, patterns=PATTERNED, tilt=90, grounded=False),
    Kind("cross", "crosses", shapes.cross, (84, 84), 48, patterns=PATTERNED, tilt=12, grounded=False),
    Kind("moon", "moons", shapes.moon, (72, 92), 54, tilt=18, grounded=False),
    Kind("balloon", "balloons", shapes.balloon, (70, 100), 62, patterns=PATTERNED, tilt=10, grounded=False),
    Kind("kite", "kites", shapes.kite, (78, 100), 66, patterns=PATTERNED, tilt=25, grounded=False),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
