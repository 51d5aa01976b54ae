"""What weights know, judged from their record, and what answers say about it."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sam3agent.api import Agent
from sam3agent.knowledge import WeightsKnowledge, drawn_knowledge, knowledge_from, knowledge_of, notice_of
from sam3agent.media import ImageMedia
from sam3agent.segmenter import FoundInstances, LocalSegmenter
from sam3model.text.phrase_cache import PhraseCache
from tests.agent.world import World


class KnowingWorld(World):
    """A world whose weights know Playground only, and read at most four words."""

    knowledge = drawn_knowledge("tiny")

    def unread_words(self, phrase: str) -> tuple[str, ...]:
        return tuple(phrase.split()[4:])


def header(source: str) -> dict[str, str]:
    return {"training": json.dumps({"settings": {"data": {"source": source}}})}


def test_the_record_decides_and_not_the_name() -> None:
    assert knowledge_from("my.safetensors", header("playground")).drawn_only
    assert "player" in knowledge_from("my.safetensors", header("playground")).kinds
    assert knowledge_from("tiny", header("coco")) == WeightsKnowledge("tiny")


@pytest.mark.parametrize(
    "metadata", [{}, {"training": "{"}, {"training": "[]"}, {"training": json.dumps({"settings": None})}]
)
def test_without_a_readable_record_nothing_is_assumed(metadata: dict[str, str]) -> None:
    assert not knowledge_from("tiny", metadata).drawn_only


def test_a_general_noun_means_every_kind_of_it() -> None:
    known = drawn_knowledge("tiny")
    assert "red ball" in known.meant("red object")
    assert len(known.meant("object")) == len(known.kinds)
    assert known.meant("person in white") == ("player in white", "referee in white")
    assert known.meant("player in white") == ()
    assert WeightsKnowledge().meant("object") == ()


def test_the_notice_is_read_from_the_header_of_the_weights() -> None:
    assert "drawn scenes only" in notice_of("tiny")
    assert notice_of("no-such-weights.safetensors") == ""


def test_an_unknown_word_has_a_suggestion() -> None:
    known = drawn_knowledge("tiny")
    assert known.unknown("playr in white") == ("playr",)
    assert (known.suggestion("playr"), known.suggestion("xylophone")) == ("player", None)


def test_a_general_noun_is_searched_as_every_kind_and_an_object_is_found_once() -> None:
    world = World()

    class Predictor:
        report = SimpleNamespace(metadata=header("playground"))

        def encode(self, image: object) -> None: ...

        def predict(self, encoded: None, phrases: Sequence[str], threshold: float) -> list[FoundInstances]:
            return [world._found("car" if phrase == "truck" else phrase) for phrase in phrases]

    model: Any = SimpleNamespace(weights="tiny", image_predictor=Predictor)
    session = LocalSegmenter(model=model).open(ImageMedia(world.image))
    (found,) = session.segment_phrases(["object"])
    assert len(found.masks) == len(world.blocks)
    assert (np.diff(found.scores) <= 0).all()
    assert knowledge_of(session).drawn_only


def test_answers_name_the_limit_to_drawn_scenes() -> None:
    world = KnowingWorld()
    answer = Agent(world).ask(world.image, "the red car")
    assert answer.warnings == ("sam3-tiny knows drawn scenes only; for photographs use --weights facebook/sam3",)
    assert answer.to_json()["warnings"] == list(answer.warnings)
    assert Agent(World()).ask(world.image, "the red car").warnings == ()


@pytest.mark.parametrize(
    ("query", "said"), [("the playr", 'did you mean "player"?'), ("the zebra", "they know player, referee, ball")]
)
def test_finding_nothing_of_an_unknown_word_is_no_proof(query: str, said: str) -> None:
    world = KnowingWorld()
    answer = Agent(world).ask(world.image, query)
    assert answer.status == "not_understood"
    assert said in answer.reason


def test_an_unknown_adjective_is_warned_about() -> None:
    world = KnowingWorld()
    answer = Agent(world).ask(world.image, "the shiny red car")
    assert answer.status == "answered"
    assert any('"shiny"' in warning for warning in answer.warnings)


def test_words_beyond_the_text_window_are_named_before_anything_is_searched() -> None:
    world = KnowingWorld()
    answer = Agent(world).ask(world.image, "the large striped red shiny ball")
    assert (answer.status, world.searched) == ("not_understood", [])
    assert 'these words are not read: "ball"' in answer.reason


def test_the_words_that_a_text_window_cuts() -> None:
    cache = PhraseCache(model=None, context_length=6)  # pyright: ignore[reportArgumentType]
    assert cache.unread_words("red ball on grass") == ()
    assert cache.unread_words("red ball on grass and sand") == ("and", "sand")
