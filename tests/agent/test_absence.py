"""What a "no match" rests on."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sam3agent.absence import LOWEST_SCORE
from sam3agent.api import Agent
from sam3agent.cli.replay import run_replay
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


def test_without_time_to_look_below_the_threshold_nothing_is_claimed_about_it(tmp_path: Path) -> None:
    class Slow(Unsure):
        def segment_phrases(
            self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
        ) -> list[FoundInstances]:
            if threshold == LOWEST_SCORE:
                raise TimeoutError
            return super().segment_phrases(phrases, threshold, frame)

    world = Slow()
    answer = Agent(world).ask(world.image, "the dog", out=tmp_path / "t")
    assert answer.status == "no_match" and answer.absence is not None
    told = ['searched "dog" (nothing found), "puppy" (nothing found)', "best rejected: none above the threshold"]
    assert answer.absence.lines() == told


@pytest.mark.parametrize("rerun", [False, True])
@pytest.mark.parametrize("query", ["the dog", "the fourth player from the left", "the red player"])
def test_replay_shows_what_a_no_match_rests_on(
    query: str, rerun: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = Unsure()
    answer = Agent(world).ask(world.image, query, out=tmp_path / "t")
    assert answer.status == "no_match" and answer.absence is not None
    for as_json in (False, True):
        run_replay(tmp_path / "t", rerun=rerun, out=tmp_path / f"{as_json}", as_json=as_json, verbose=False)
        shown = capsys.readouterr().out
        if as_json:
            assert {key: json.loads(shown)[key] for key in ("searched", "best_rejected")} == answer.absence.to_json()
        else:
            assert all(line in shown for line in answer.absence.lines())
            assert rerun or "dog" in query or shown.count("mask ") >= 3, "every candidate, with the reason"


def test_a_score_that_is_written_as_the_threshold_is_below_it_in_a_rerun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Almost(World):
        def segment_phrases(
            self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
        ) -> list[FoundInstances]:
            masks = self.masks[3:4] if (threshold or 0.5) < 0.49999 else []
            return [FoundInstances.of(masks, self.image.size, [0.49999][: len(masks)]) for _ in phrases]

    world = Almost()
    answer = Agent(world, threshold=0.5).ask(world.image, "the dog", out=tmp_path / "t")
    assert answer.status == "no_match" and answer.to_json()["searched"][0]["best_score"] == 0.5
    run_replay(tmp_path / "t", rerun=True, out=tmp_path / "o", as_json=True, verbose=False)
    assert json.loads(capsys.readouterr().out)["status"] == "no_match"


def test_an_answer_needs_no_such_proof() -> None:
    world = World()
    answer = Agent(world).ask(world.image, "all players")
    assert answer.absence is None
    assert "searched" not in answer.to_json()
