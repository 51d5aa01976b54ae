"""What a "no match" rests on."""

from collections.abc import Sequence

import numpy as np

from sam3agent.api import Agent
from sam3agent.segmenter import FoundInstances
from tests.agent.world import World


class Unsure(World):
    """A world that finds its car as a dog too, with a score below the threshold."""

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        return [
            FoundInstances.of(self.masks[3:4], self.image.size, np.array([0.31]))
            if phrase == "dog" and (threshold or 0.5) < 0.31
            else self._found(phrase)
            for phrase in phrases
        ]


def test_it_lists_what_was_searched_and_the_best_candidate_below_the_threshold() -> None:
    world = Unsure()
    answer = Agent(world).ask(world.image, "the dog")
    assert answer.status == "no_match"
    assert answer.to_json()["searched"] == [
        {"phrase": "dog", "found": 0, "best_score": 0.31},
        {"phrase": "puppy", "found": 0, "best_score": None},
    ]
    assert answer.to_json()["best_rejected"] == {
        "phrase": "dog", "score": 0.31, "box": [170, 90, 230, 120], "reason": "below the threshold of 0.5",
    }  # fmt: skip
    assert answer.absence is not None
    assert '"dog", score 0.31' in answer.absence.lines()[1]


def test_candidates_that_do_not_fit_are_named() -> None:
    world = World()
    answer = Agent(world).ask(world.image, "the fourth player from the left")
    assert answer.absence is not None and answer.absence.best is not None
    assert (answer.absence.best.phrase, answer.absence.best.why) == (
        "player",
        "it does not fit the rest of the question",
    )


def test_rejected_candidates_are_named_with_the_reason() -> None:
    class Blind(World):
        def _found(self, phrase: str) -> FoundInstances:
            return super()._found(" ".join(word for word in phrase.split() if word != "red"))

    world = Blind()
    answer = Agent(world).ask(world.image, "the red player")
    assert answer.absence is not None and answer.absence.best is not None
    assert "look red" in answer.absence.best.why


def test_an_answer_needs_no_such_proof() -> None:
    world = World()
    answer = Agent(world).ask(world.image, "all players")
    assert answer.absence is None
    assert "searched" not in answer.to_json()
