"""The grammar as a table, what it refuses, and what it leaves open."""

import random

import numpy as np
import pytest

from sam3agent.api import Agent
from sam3agent.masks import Mask, Masklet
from sam3agent.pool import Candidate
from sam3agent.rules.grammar import parse
from sam3agent.rules.question_plan import Target
from sam3agent.rules.remarks import score_warnings
from sam3agent.rules.spelling import misspelt
from sam3agent.rules.words import singular
from sam3agent.segmenter import FoundInstances
from tests.agent.world import World


def show(target: Target) -> str:
    """A target in short notation."""
    text = target.what.phrase + ("s*" if target.what.plural else "")
    text += "".join(f" @{side}" for side in target.sides)
    if target.relation:
        anchors = ", ".join(show(anchor) for anchor in target.relation.anchors)
        count = f" x{target.relation.count}" if target.relation.count > 1 else ""
        text += f" {target.relation.kind}({anchors}){count}"
    if target.ranking:
        text += f" {target.ranking.axis}[{target.ranking.start}:{target.ranking.count}]"
    return text + "".join(f" -({show(exception)})" for exception in target.exceptions)


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        ("leftmost player in white", "player in white left[1:1]"),
        ("the largest and the smallest ball", "ball large[1:1] | ball small[1:1]"),
        ("the first and the second player from the left", "player left[1:1] | player left[2:1]"),
        ("the right-most red car", "red car right[1:1]"),
        ("the topmost small red ball", "small red ball top[1:1]"),
        ("the player in white furthest to the left", "player in white left[1:1]"),
        ("the two leftmost red balls", "red balls* left[1:2]"),
        ("the three largest striped fish", "striped fish large[1:3]"),
        ("second player in blue from the left", "player in blue left[2:1]"),
        ("the third red bus from the right", "red bus right[3:1]"),
        ("the player second from the left", "player left[2:1]"),
        ("the last car from the left", "car left[-1:1]"),
        ("Where is the second largest dog?", "dog large[2:1]"),
        ("the biggest of the two dogs", "dogs* large[1:1]"),
        ("Which player is furthest to the left?", "player left[1:1]"),
        ("please show me all the footballers", "footballers*"),
        ("the cat in the picture", "cat"),
        ("all players on the left side", "players* @left"),
        ("the red balls in the left half of the picture", "red balls* @left"),
        ("car in the top left corner", "car @top @left"),
        ("the tallest person on the left side", "person @left tall[1:1]"),
        ("the person in the middle", "person middle[1:1]"),
        ("every player except the one in blue", "players* -(player in blues*)"),
        ("all balls except the red ones", "balls* -(red balls*)"),
        ("all cars that are not blue", "cars* -(blue cars*)"),
        ("people not wearing white", "persons* -(person in whites*)"),
        ("every red ball but the rightmost one", "red balls* -(red ball right[1:1])"),
        ("every cup other than the smallest one", "cups* -(cup small[1:1])"),
        ("the car behind the tree", "car behind(tree)"),
        ("the car in front of the green tree", "car front(green tree)"),
        ("the player closest to the red car", "player nearest(red car)"),
        ("the closest player to the red car", "player nearest(red car)"),
        ("the two players closest to the ball", "players* nearest(ball) x2"),
        ("the cat farthest from the small blue house", "cat farthest(small blue house)"),
        ("all mugs to the left of the yellow teapot", "mugs* left(yellow teapot)"),
        ("all dogs below the red car", "dogs* below(red car)"),
        ("the man between the car and the tree", "man between(car, tree)"),
        ("the red car and the player in blue", "red car | player in blue"),
        ("red and blue balls", "red balls* | blue balls*"),
        ("the red and the blue ball", "red ball | blue ball"),
        ("the black and white cat", "black and white cat"),
        ("a person in a red shirt", "person in red shirt"),
        ("the left player", "player left[1:1]"),
        ("right-hand dog", "dog right[1:1]"),
        ("left player in white", "player in white left[1:1]"),
        ("the two left balls", "balls* left[1:2]"),
        ("all left players", "players* @left"),
        ("top left ball", "ball @top @left"),
        ("the left and the right dog", "dog left[1:1] | dog right[1:1]"),
        ("the man's left hand", "man's left hand"),
        ("the left shoe", "left shoe"),
        ("every ball but the left one", "balls* -(ball left[1:1])"),
        ("the left one", "object left[1:1]"),
        ("the red one", "red object"),
        ("the one on the far right", "object right[1:1]"),
        ("the two leftmost", "object left[1:2]"),
        ("the biggest", "object large[1:1]"),
        ("the middle player", "player middle[1:1]"),
        ("third player from the left", "player left[3:1]"),
        ("the dog on the sofa", "dog on(sofa)"),
        ("the dog that is sitting on the chair", "dog on(chair)"),
        ("the dog behind the left tree", "dog behind(tree left[1:1])"),
        ("the cup on the table on the left", "cup @left on(table)"),
        ("the cup on the left table", "cup on(table left[1:1])"),
        ("the man near the left car", "man nearest(car left[1:1])"),
        ("the player on the left wearing white", "player wearing white @left"),
        ("the left of the two dogs", "dogs* left[1:1]"),
        ("the ball to the left of the two dogs", "ball left(dogs*)"),
        ("the ball on the left side of the car", "ball left(car)"),
        ("the cat lying under the table", "cat below(table)"),
        ("the ball next to the car", "ball nearest(car)"),
        ("all balls near the car", "balls* near(car)"),
        ("the two balls near the car", "balls* nearest(car) x2"),
        ("the man holding the umbrella", "man holding umbrella"),
        ("the cat on the photo", "cat"),
        ("a person on skis", "person on skis"),
        ("all players", "players*"),
        ("How many red balls are there in the picture?", "red balls*"),
        ("how many of the balls are blue", "blue balls*"),
        ("count all the dogs on the sofa", "dogs* on(sofa)"),
        ("which player is the second tallest", "player tall[2:1]"),
        ("which one is red?", "red object"),
        ("which one is the leftmost player", "player left[1:1]"),
        ("all cars that are blue", "blue cars*"),
        ("what is on the table", "objects* on(table)"),
        ("what is left of the tree?", "objects* left(tree)"),
        ("things behind the tree", "objects* behind(tree)"),
        ("the upper left", "object @top @left"),
        ("bottom right corner", "object @bottom @right"),
        ("how many balls", "balls*"),
        ("the largest", "object large[1:1]"),
        (
            "the players who are not in white, pink or purple",
            "players* -(player in whites*) -(player in pinks*) -(player in purples*)",
        ),
        ("players in neither white nor red", "players* -(player in whites*) -(player in reds*)"),
        ("all cups but the red and blue ones", "cups* -(red cups*) -(blue cups*)"),
        ("all balls on the left except the largest one", "balls* @left -(balls* @left large[1:1])"),
        ("bikes, but only the white one", "white bikes*"),
        ("all players not on the left side", "players* -(players* @left)"),
        ("balls without dots", "balls* -(dotted balls*)"),
        ("how many balls have stripes?", "striped balls*"),
        ("players in white or red", "player in whites* | player in reds*"),
        ("the first two players from the left", "players* left[1:2]"),
        ("the last two players from the left", "players* right[1:2]"),
        ("the second and third player from the left", "player left[2:1] | player left[3:1]"),
        ("the third book from left to right", "book left[3:1]"),
        ("counting from the right, the third book", "book right[3:1]"),
        ("player number 2 from the left", "player left[2:1]"),
        ("of the red balls, the largest", "red balls* large[1:1]"),
        ("the biggest one of all the red balls", "red balls* large[1:1]"),
        ("balls larger than the dotted ball", "balls* larger(dotted ball)"),
        ("all balls not as big as the mug", "balls* smaller(mug)"),
        ("who is on the far left?", "person left[1:1]"),
        ("everything red", "red objects*"),
        ("the red ball and the smallest one", "red ball | red ball small[1:1]"),
        ("the biggest red and the smallest blue ball", "red ball large[1:1] | blue ball small[1:1]"),
        ("a black and a white cat", "black cat | white cat"),
        ("the player closest to the ball in red", "player in red nearest(ball)"),
        ("the player farthest from the ball who is not in white", "player farthest(ball) -(player in whites*)"),
        ("the ball nearest to the player who is in red", "ball nearest(player in red)"),
        (
            "players between the leftmost and the rightmost player",
            "players* between(player left[1:1], player right[1:1])",
        ),
        ("players left of the rightmost", "players* left(players* right[1:1])"),
        ("the players and the ball except the leftmost player", "players* -(player left[1:1]) | ball"),
        ("every tree except the pink and the leftmost one", "trees* -(pink trees*) -(tree left[1:1])"),
        ("trees which are not the largest or the leftmost", "trees* -(trees* large[1:1]) -(trees* left[1:1])"),
        ("trees that are neither the largest nor the leftmost", "trees* -(trees* large[1:1]) -(trees* left[1:1])"),
        ("the players who are not in red and are in white", "player in whites* -(player in reds*)"),
        ("the player who is left of the ball and is in red", "player in red left(ball)"),
        ("every player who wears red please", "player in reds*"),
        ("the player who is closest to the ball and not the leftmost", "player nearest(ball) -(players* left[1:1])"),
        ("the balls near the player in red that are white", "white balls* near(player in red)"),
        ("the cats behind the man wearing red which are black", "black cats* behind(man wearing red)"),
        ("the players left of the keeper in green who are in white", "player in whites* left(keeper in green)"),
        ("the lady next to the car who is in red", "lady in red nearest(car)"),
        ("the man next to the car which is in red", "man nearest(car in red)"),
        ("the largest of the balls as well as the goal", "balls* large[1:1] | goal"),
        ("the balls between the two largest", "balls* between(balls* large[1:2])"),
        ("the umpire behind the catcher in red", "umpire behind(catcher in red)"),
        ("the balls near the player who is in red that are white", "white balls* near(player in red)"),
        ("all cups near the plate that is white that are blue", "blue cups* near(white plate)"),
        ("the chairs near the table that have stripes", "striped chairs* near(table)"),
        ("the woman behind the table which is brown in red", "woman in red behind(brown table)"),
    ],
)
def test_grammar(query: str, plan: str) -> None:
    assert " | ".join(show(target) for target in parse(query).targets) == plan


@pytest.mark.parametrize(
    ("query", "said_of"),
    [
        ("the man next to the car that is in red", '"that is in red" is read as said of "man"'),
        ("the man next to the car that is red", '"that is red" is read as said of "car"'),
        ("the player left of the rightmost who is in red", '"who is in red" is read as said of "the rightmost"'),
        ("the waiter behind the glork in red", '"in red" is read as said of "waiter"'),
        ("the balls near the player left of the goal that are white", '"that are white" is read as said of "goal"'),
    ],
)
def test_the_owner_of_a_clause_that_may_be_said_of_two_things_is_named(query: str, said_of: str) -> None:
    assert said_of in parse(query).notes


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "no words"),
        ("the balls between the rightmost", "two things"),
        ("the ball between the leftmost players", "two things"),
        ("?!", "no words"),
        ("half of the balls", "half of the balls"),
        ("the least striped ball", "least"),
        ("the brightest ball", "brightest"),
        ("all but two players", "two players"),
        ("the ball next to him", "him"),
        ("the dog beside her", "her"),
        ("the players around them", "them"),
        ("himself", "himself"),
        ("the cup between themselves", "themselves"),
        ("the former", "former"),
        ("identical balls", "identical balls"),
        ("ball xor dog", "xor"),
        ("the northernmost ball", "northernmost"),
        ("the medium-sized ball", "medium-sized"),
        ("the ball the player kicks", "the player kicks"),
        ("the player who looks at the ball", "looks"),
        ("is the ball red?", "is the ball red"),
        ("every second player", "every second"),
        ("each third ball from the left", "each third"),
        ("zero players", "zero"),
        ("players left of all balls", "all balls"),
        ("the player near both balls", "both balls"),
        ("the second player to the left of the ball", "from where"),
        ("the ball left of the car and right of the tree", "right of the tree"),
        ("players in red and white", "both colours or either"),
        ("the car nearest to the camera", "camera"),
        ("the leftmost and", "and"),
        ("Find the ball. Then find the dog.", "then find"),
        ("the smallest of the trees and butterflies", "several kinds"),
        ("the bigger of the cat and the pink tree", "several kinds"),
        ("the butterfly left of the cat or the tree", "say which"),
        ("the player in white, the leftmost", "the leftmost"),
        ("leftmost, player in white", "player in white"),
        ("the tree on the left below the butterfly on the left", "on the left"),
        ("the -1 player", "-1"),
        ("left of " * 12 + "the ball", "left of"),
        ("the ball " + "left of the ball " * 5, "nests"),
        ("the " + "9" * 5000 + " balls", "9999"),
        ("ball " * 70, "at most"),
        ("最左边的白衣球员", "English"),
        ("el jugador de blanco", "English"),
        ("der linke Spieler", "English"),
        ("самый левый игрок", "English"),
    ],
)
def test_what_is_not_understood_is_named(query: str, named: str) -> None:
    plan = parse(query)
    assert plan.targets == ()
    assert named in plan.objection


def test_any_text_gives_a_plan_or_an_objection() -> None:
    dice = random.Random(0)
    words = [
        "the",
        "a",
        "all",
        "not",
        "no",
        "except",
        "and",
        "or",
        ",",
        ".",
        "ball",
        "red",
        "left",
        "of",
        "leftmost",
        "3",
    ]
    words += ["second", "that", "is", "in", "with", "one", "who", "balls", "(", "\ud800"]
    for _ in range(400):
        plan = parse(" ".join(dice.choice(words) for _ in range(dice.randint(0, 70))))
        assert bool(plan.targets) != bool(plan.objection)


@pytest.mark.parametrize(
    ("query", "meant"), [("the leftmots player", "leftmost"), ("teh ball", "the"), ("the largset ball", "largest")]
)
def test_a_slip_is_asked_about(query: str, meant: str) -> None:
    world = World()
    answer = Agent(world).ask(world.image, query)
    assert (answer.status, world.searched) == ("not_understood", [])
    assert f'did you mean "{meant}"?' in answer.reason


@pytest.mark.parametrize("word", ["closet", "block", "night", "tower", "lift", "bottle", "seconds"])
def test_a_noun_is_no_slip(word: str) -> None:
    assert misspelt(word) == ""


@pytest.mark.parametrize(
    ("query", "warning"),
    [
        ("the dog and the ball", 'no match for "dog"'),
        ("the player", 'names one "player" and 3 match'),
        ("the car next to the ball", 'refers to one "ball" and 2 match'),
        ("the four leftmost players", "names 4 of"),
        ("two players", 'names 2 of "player" and 3 match'),
        ("all balls except the dog", 'nothing matches "dog"'),
        ("all balls except the car", 'leaving out "car" changed nothing'),
        ("all players except the player in white", 'leaves out one "player in white" and 2 match'),
        ("the second player", "counted from the left"),
        ("the leftmost players", "not how many"),
        ("the players closest to the car", "not how many"),
        ("all players and all balls except the largest", 'the exception is read as that of "balls" only'),
        ("the leftmost player and ball", 'the order is read as that of "player" only'),
        ("red cars and balls", '"red" is read as said of "cars" only'),
        ("the players left of the car and the ball", '"ball" is read as part of the answer, not of the place'),
        ("the balls left of the car that is red", None),
        ("the ball left of the car that is red", '"that is red" is read as said of "car"'),
    ],
)
def test_what_a_question_leaves_open_is_said(query: str, warning: str | None) -> None:
    world = World()
    answer = Agent(world).ask(world.image, query)
    assert answer.status == "answered", answer.reason
    if warning is None:
        assert answer.warnings == ()
    else:
        assert any(warning in text for text in answer.warnings), answer.warnings


def test_no_match_of_one_of_two_readings_is_no_finding() -> None:
    world = World()
    answer = Agent(world).ask(world.image, "the ball left of the car that is white")
    assert answer.status == "not_understood"
    assert '"that is white" is read as said of "car"' in answer.reason


@pytest.mark.parametrize(
    "query", ["leftmost player in white", "all players", "the red car", "every ball but the left one"]
)
def test_a_question_without_open_ends_has_no_warnings(query: str) -> None:
    world = World()
    assert Agent(world).ask(world.image, query).warnings == ()


def test_masks_with_low_scores_are_named() -> None:
    whole = Mask.from_full(np.ones((4, 4), bool))
    assert whole
    scores = enumerate((0.9, 0.6, 0.52, 0.55), start=1)
    found = [Candidate(number, Masklet.of(whole), (("ball", score),)) for number, score in scores]
    assert score_warnings(found[:2]) == []
    assert score_warnings(found[:3]) == ["mask 3 has a score of 0.52, close to the threshold: look at it"]
    (both,) = score_warnings(found)
    assert both == "2 masks have scores close to the threshold (mask 3 has a score of 0.52): look at them"


def test_a_low_score_is_a_warning_of_the_answer() -> None:
    class Unsure(World):
        """Finds everything with a score of 0.55."""

        def _found(self, phrase: str) -> FoundInstances:
            found = super()._found(phrase)
            return FoundInstances(found.masks, found.boxes, np.full_like(found.scores, 0.55))

    world = Unsure()
    answer = Agent(world).ask(world.image, "the red car")
    assert answer.status == "answered"
    assert any("has a score of 0.55, close to the threshold" in text for text in answer.warnings)


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("buses", "bus"), ("houses", "house"), ("crosses", "cross"), ("butterflies", "butterfly"), ("cacti", "cactus"),
        ("people", "person"), ("fish", "fish"), ("shoes", "shoe"), ("glass", "glass"), ("bus", "bus"),
    ],
)  # fmt: skip
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one
