"""Crowds end answered: 127 objects of an image with unusable replies, and 25 to 60 masklets of a clip."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from evals.simulated.mind import Mind
from evals.simulated.mllm_skill import Skill
from evals.simulated.mouth import Mouth
from evals.simulated.noisy_segmenter import NoisySegmenter
from evals.simulated.scene_questions import SceneQuestion
from evals.simulated.simulated_backend import SimulatedBackend
from sam3agent.api import Agent
from sam3agent.masks import Box
from sam3agent.mllm.base import LazyImage, MLLMReply
from sam3agent.rules.grammar import parse
from sam3agent.testing import ScriptedBackend, ScriptedSegmenter, ScriptedTracker, call
from sam3model.playground import Scene, SceneObject
from tests.agent.moving_blocks import clip
from tests.agent.world import RGB

COLOURS = ("red", "blue", "yellow", "white")
SIDE = 12


def crowd(objects: int = 127, columns: int = 16) -> Scene:
    """Balls of four colours in rows."""
    image = np.full((14 * SIDE, 2 * columns * SIDE, 3), (96, 120, 80), np.uint8)
    things = list[SceneObject]()
    for i in range(objects):
        x, y, colour = 4 + (i % columns) * 2 * SIDE, 2 + (i // columns) * (SIDE + 8), COLOURS[i % 7 % 4]
        mask = np.zeros(image.shape[:2], bool)
        mask[y : y + SIDE, x : x + SIDE] = True
        image[mask] = RGB[colour]
        box = (x, y, x + SIDE, y + SIDE)
        things.append(SceneObject(i, "ball", colour, "plain", "medium", mask, box, SIDE * SIDE, 1.0, ()))
    return Scene(("crowd", objects), "grass", image, tuple(things))


@pytest.mark.parametrize("text", ["all balls", "the leftmost red ball"])
def test_a_crowd_with_unusable_replies_ends_answered(text: str) -> None:
    scene = crowd()
    for seed in range(3):
        case = SceneQuestion(f"crowd/{text}", scene, text, frozenset({0}), parse(text))
        backend = SimulatedBackend(Mouth(Mind(case, Skill(verdict=0.9, bad=0.05), seed)))
        answer = Agent(NoisySegmenter(scene, seed=seed), backend).ask(Image.fromarray(scene.image), text)
        assert answer.status == "answered", (seed, answer.reason)
        assert answer.costs.mllm_calls < 30


def row_of_paths(number: int) -> list:
    """Objects side by side that stand still."""
    return [lambda _, i=i: standing(i) for i in range(number)]


def standing(i: int) -> Box:
    x, y = 1 + 6 * (i % 15), 2 + 15 * (i // 15)
    return (x, y, x + 4, y + 10)


@pytest.mark.parametrize("number", [25, 60])
def test_a_crowd_in_a_clip_ends_answered(number: int) -> None:
    tracker = ScriptedTracker({"player": row_of_paths(number)})
    lines = [
        call("track", phrases=["player"]),
        call("select_masks", what="player", ids=list(range(1, number + 1)), keep=["leftmost"]),
    ]
    backend = ScriptedBackend(list(garbled(lines)), {None: '{"verdict": "accept"}'})
    agent = Agent(ScriptedSegmenter({"player": []}), backend, tracker=tracker)
    answer = agent.ask(clip(), "leftmost player")
    assert answer.status == "answered" and len(answer.masks) == 1, answer.reason
    shown = [part for part in backend.requests[-1].messages[-1].parts if isinstance(part, LazyImage)]
    assert {i for part in shown for i in part.key.mask_ids} == set(range(1, number + 1))
    assert max(len(part.key.mask_ids) for part in shown) <= 20 and all(part.data for part in shown)


def garbled(lines: list[MLLMReply]) -> Iterator[MLLMReply | str]:
    """Two unusable replies before every line."""
    for line in lines:
        yield from ("", "hm", line)
