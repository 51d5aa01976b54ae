"""Answers and reasons of the rules on images whose objects are known."""

from pathlib import Path

import numpy as np
import pytest

from sam3agent.agent.budget import Budget
from sam3agent.agent.recorded import ReplayBackend
from sam3agent.agent.trace import read_trace
from sam3agent.answer import Answer
from sam3agent.api import Agent
from sam3agent.rules.grammar import parse
from sam3agent.segmenter import FoundInstances
from tests.agent.world import RGB, Block, World


def selected(world: World, answer: Answer) -> set[int]:
    """Indices of the blocks whose masks are in an answer."""
    return {index for mask in answer.masks for index, full in enumerate(world.masks) if (mask.mask == full).all()}


@pytest.mark.parametrize(
    ("query", "blocks"),
    [
        ("leftmost player in white", [0]),
        ("the rightmost player", [1]),
        ("every player except the one in blue", [0, 1]),
        ("the player closest to the red car", [1]),
        ("the player farthest from the red car", [0]),
        ("the largest ball", [5]),
        ("the second player from the left", [2]),
        ("the fourth player from the left", []),
        ("all balls in the bottom half of the picture", [4]),
        ("all players in the top half of the picture and the red car", [0, 2, 3]),
        ("all players to the right of the player in blue", [1]),
        ("the player between the player in white and the car", [2]),
        ("the dog", []),
        ("the player closest to the dog", []),
        ("all players in red", []),
        ("the footballer in blue", [2]),
        ("the first two players from the left", [0, 2]),
        ("players who are not in white", [2]),
        ("players apart from the ones in white", [2]),
        ("the rightmost player not in white", [2]),
        ("players in neither white nor blue", []),
        ("balls larger than the ball nearest to the player in blue", [5]),
        ("all players except the leftmost one", [1, 2]),
    ],
)
def test_answers(query: str, blocks: list[int]) -> None:
    world = World()
    answer = Agent(world).ask(world.image, query)
    assert answer.status == ("answered" if blocks else "no_match"), answer.reason
    assert selected(world, answer) == set(blocks)
    assert (answer.backend, answer.costs.mllm_calls) == ("rules", 0)


ROOM = (
    Block("sofa", "red", (20, 80, 100, 120)),
    Block("dog", "white", (30, 60, 50, 82)),
    Block("dog", "blue", (150, 90, 170, 110)),
    Block("table", "green", (130, 60, 220, 72)),
    Block("rug", "blue", (100, 125, 240, 160)),
    Block("ball", "yellow", (160, 50, 168, 60)),
    Block("ball", "yellow", (180, 146, 190, 154)),
    Block("ball", "white", (224, 60, 234, 70)),
)


@pytest.mark.parametrize(
    ("query", "blocks"),
    [
        ("the dog on the sofa", [1]),
        ("the dog on the table", []),
        ("the dog under the table", [2]),
        ("the ball on the table", [5]),
        ("the ball on the rug", [6]),
        ("the ball under the table", [6]),
        ("the balls near the table", [5, 7]),
        ("the ball next to the sofa", [5]),
        ("the ball on the chair", []),
        ("the left dog", [1]),
        ("the right dog", [2]),
        ("right dogs", [2]),
        ("the two left balls", [5, 6]),
        ("the left ball", [5]),
        ("top right ball", [5]),
        ("top left ball", []),
        ("every ball but the left one", [6, 7]),
    ],
)
def test_sides_and_places(query: str, blocks: list[int]) -> None:
    world = World(ROOM)
    answer = Agent(world).ask(world.image, query)
    assert selected(world, answer) == set(blocks), answer.reason


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("leftmost player in white", 'leftmost of 2 "player in white" matches'),
        ("the red car", 'the only "red car" match'),
        ("all players", 'all 3 "player" matches'),
        ("two players", 'best 2 of 3 "player" matches'),
        ("the two rightmost players", 'rightmost 2 of 3 "player" matches'),
        ("the second player from the left", 'second from the left of 3 "player" matches'),
        ("the second largest ball", 'second largest of 2 "ball" matches'),
        ("the player in the middle", 'most central of 3 "player" matches'),
        ("the fourth player from the left", 'only 3 "player" matches, so no fourth from the left'),
        ("all balls in the bottom half of the picture", 'the only "ball" match in the bottom half'),
        ("player in the top left corner", 'topmost of 2 "player" matches in the top left quarter'),
        ("ball in the top left corner", 'none of 2 "ball" matches is in the top left quarter'),
        ("the player closest to the red car", 'closest of 3 "player" matches to the "red car" match'),
        ("the two balls near the car", 'the 2 "ball" matches closest to the "car" match'),
        ("the player near the leftmost ball", 'closest of 3 "player" matches to the leftmost of 2 "ball" matches'),
        ("the player to the left of the car", 'best of 3 "player" matches to the left of the "car" match'),
        ("all balls near the car", 'none of 2 "ball" matches is near the "car" match'),
        ("the car behind the red car", 'no other "car" match to compare with the "red car" match'),
        ("the player between the balls", 'best of 2 "player" matches between the 2 "ball" matches'),
        ("every player except the one in blue", 'all 3 "player" matches except the "player in blue" match'),
        ("all players except the leftmost one", 'all 3 "player" matches except the leftmost'),
        ("all balls except the dog", 'both "ball" matches (nothing to leave out: nothing found for "dog")'),
        ("all cars except the red ones", 'nothing left after leaving out the "red car" match'),
        ("the car and the ball", 'the only "car" match and both "ball" matches'),
        ("the dog, the car and the ball", 'the only "car" match and both "ball" matches; nothing found for "dog"'),
        ("the player closest to the dog", 'nothing found for "dog"'),
    ],
)
def test_reasons(query: str, reason: str) -> None:
    world = World()
    assert Agent(world).ask(world.image, query).reason == reason


def test_behind_means_partly_hidden() -> None:
    world = World(
        [
            Block("car", "red", (40, 40, 100, 80)),
            Block("car", "blue", (150, 40, 210, 80)),
            Block("ball", "yellow", (80, 50, 130, 110)),
        ]
    )
    assert Agent(world).ask(world.image, "the car behind the ball").masks[0].box[:2] == (40, 40)
    assert Agent(world).ask(world.image, "the ball in front of the red car").status == "answered"
    assert Agent(world).ask(world.image, "the ball behind the red car").status == "no_match"


class RoughWorld(World):
    """A world where a phrase that ends in a colour finds the upper two thirds of each block only."""

    def _found(self, phrase: str) -> FoundInstances:
        found = super()._found(phrase)
        if phrase.rsplit(maxsplit=1)[-1] in RGB:
            masks = [mask.copy() for mask in found.masks]
            for mask in masks:
                mask[np.flatnonzero(mask.any(axis=1))[-20:]] = False
            return FoundInstances.of(masks, self.image.size, found.scores)
        return found


@pytest.mark.parametrize(
    ("query", "blocks"),
    [
        ("every player except the one in blue", [0, 1]),
        ("the leftmost player not in white", [2]),
        ("every player except the players in white", [2]),
    ],
)
def test_an_exception_leaves_out_an_object_whose_mask_it_draws_roughly(query: str, blocks: list[int]) -> None:
    world = RoughWorld()
    assert selected(world, Agent(world).ask(world.image, query)) == set(blocks)


def test_a_mask_of_the_wrong_colour_is_rejected_with_the_measured_ratio() -> None:
    class Blind(World):
        def _found(self, phrase: str):
            return super()._found(" ".join(word for word in phrase.split() if word != "red"))

    world = Blind()
    answer = Agent(world).ask(world.image, "the red player")
    assert answer.status == "no_match"
    lines: list[str] = []
    Agent(world).ask(world.image, "the red player", tell=lines.append)
    assert any("reject (0% of its pixels look red)" in line for line in lines)


def test_the_mllm_budget_does_not_limit_a_free_backend() -> None:
    world = World([Block("ball", "yellow", (8 * i, 10, 8 * i + 6, 16)) for i in range(25)])
    answer = Agent(world, budget=Budget(mllm_calls=1)).ask(world.image, "all balls")
    assert len(answer.masks) == 25


def test_an_unreadable_question_is_refused_before_the_image_is_encoded(tmp_path: Path) -> None:
    world = World()
    answer = Agent(world).ask(world.image, "der Spieler links", out=tmp_path)
    assert (answer.status, world.opened) == ("not_understood", 0)
    assert "read English only" in answer.reason
    again = Agent(world, ReplayBackend(read_trace(tmp_path))).ask(world.image, "der Spieler links")
    assert (again.status, again.reason) == (answer.status, answer.reason)


def test_a_phrase_that_no_search_takes_is_not_understood() -> None:
    world = World()
    answer = Agent(world).ask(world.image, f"the {'x' * 90} {'y' * 90}")
    assert (answer.status, world.opened) == ("not_understood", 0)
    assert answer.reason.endswith("is too long to search for: ask in fewer words")


def test_a_number_after_but_only_counts() -> None:
    (target,) = parse("the dogs, but only the two largest").targets
    assert target.ranking and (target.ranking.axis, target.ranking.count) == ("large", 2)
