"""`evals eyesight` recovers the skill of a simulated MLLM, for glances and close looks, and says what follows."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.command import main
from evals.eyesight.eyesight_cases import EyesightCase, coco_cases, playground_cases
from evals.eyesight.eyesight_figures import EyesightFigures, advice
from evals.eyesight.eyesight_looks import SeenMask, seen
from evals.simulated.mind import Mind
from evals.simulated.mllm_skill import Skill
from evals.simulated.mouth import Mouth
from evals.simulated.scene_questions import SceneQuestion
from evals.simulated.simulated_backend import SimulatedBackend
from sam3agent.mllm.base import MLLMReply
from sam3agent.rules.grammar import parse
from sam3agent.testing import ScriptedBackend, call
from sam3model.playground import scene

CASES = tuple(playground_cases(40))


def simulated(case: EyesightCase, skill: Skill) -> SimulatedBackend:
    """A mind that is asked about this case."""
    split, index = case.key.split("/")
    plan = parse(case.query)
    assert plan.targets, case.query
    asked = SceneQuestion(case.key, scene(split, int(index)), case.query, frozenset({0}), plan)
    return SimulatedBackend(Mouth(Mind(asked, skill, seed=1)))


def measured(skill: Skill) -> list[SeenMask]:
    async def all_cases() -> list[SeenMask]:
        return [mask for case in CASES for mask in await seen(case, simulated(case, skill))]

    return asyncio.run(all_cases())


@pytest.mark.parametrize(("glance", "close"), [(0.65, 0.9), (0.85, 0.7)])
def test_the_skill_is_recovered_within_its_interval(glance: float, close: float) -> None:
    figures = EyesightFigures(measured(Skill(verdict=close, glance=glance)))
    spread = figures.spread()
    for name, true in (("glance", glance), ("close", close), ("difference", close - glance)):
        low, high = spread[name]
        # Such an interval misses the truth one time in twenty; one of 1.6 times its width, one in six hundred.
        assert abs(figures.compute()[name] - 100 * true) < 1.6 * (high - low) / 2, (name, spread[name])
        assert high - low < 20
    for name in ("glance fitting", "glance other"):
        assert abs(figures.compute()[name] - 100 * glance) < 14, name


def test_a_perfect_mllm_is_always_right() -> None:
    figures = EyesightFigures(measured(Skill(verdict=1.0))).compute()
    assert figures["glance"] == figures["close"] == 100 and figures["difference"] == 0


def test_cases_have_masks_of_both_kinds_in_any_order() -> None:
    assert all({one.fits for one in case.shown} == {True, False} and len(case.shown) <= 12 for case in CASES)
    first = [case.shown[0].fits for case in CASES]
    assert 0.2 < sum(first) / len(first) < 0.8
    assert [c.query for c in playground_cases(5)] == [c.query for c in CASES[:5]]


def test_the_advice_follows_the_figures_and_the_interval() -> None:
    figures = {"glance": 71.8, "close": 99.9}
    assert "--eyesight 0.72,0.98" in advice(figures, {"difference": (6.0, 9.0)})
    assert "where it decides" in advice(figures, {"difference": (6.0, 9.0)})
    assert "--effort low" in advice(figures, {"difference": (-9.0, -1.0)})
    assert "not decided" in advice(figures, {"difference": (-2.0, 9.0)}) and "not decided" in advice(figures, {})


def one_case() -> EyesightCase:
    return replace(CASES[0], shown=CASES[0].shown[:2])


@pytest.mark.parametrize(
    ("replies", "glances"),
    [
        ([call("select_masks", what="x", ids=[2])], [False, True]),
        ([call("select_masks", what="x", ids=[1, 2], keep=["leftmost"])], [True, True]),
        ([call("report_no_match")], [False, False]),
        ([call("segment_phrase", phrases=["another thing"])], [False, False]),
        (["hm", call("measure_masks"), call("select_masks", what="x", ids=[1])], [True, False]),
        (["hm"] * 4, [None, None]),
    ],
)
def test_what_a_reply_at_a_glance_says(replies: list[MLLMReply | str], glances: list[bool | None]) -> None:
    backend = ScriptedBackend(replies, {1: '{"verdict": "accept"}', None: '{"verdict": "unsure"}'})
    found = asyncio.run(seen(one_case(), backend))
    assert [mask.glance for mask in found] == glances
    assert [mask.close for mask in found] == [True, None]


def test_the_command_prints_figures_and_advice(capsys: pytest.CaptureFixture[str]) -> None:
    backend = ScriptedBackend(
        [call("select_masks", what="x", ids=[1])] * 3, {None: '{"verdict": "reject", "reason": "no"}'}
    )
    assert main(["eyesight", "--count", "3"], backend=backend) == 0
    shown = capsys.readouterr().out
    assert "scripted" in shown and "at a glance" in shown and "close look minus glance" in shown
    assert main(["eyesight"]) == 2 and "--model" in capsys.readouterr().err
    assert main(["eyesight", "--coco", "x.json"], backend=backend) == 2


def test_any_coco_file_can_be_asked_about(tmp_path: Path) -> None:
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(tmp_path / "a.png")
    square = lambda x: [[x, 10, x + 20, 10, x + 20, 30, x, 30]]  # noqa: E731
    rows = [(1, 2), (2, 30), (1, 55)]
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}],
        "categories": [{"id": 1, "name": "traffic_light"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": c, "bbox": [x, 10, 20, 20], "area": 400, "iscrowd": 0,
             "segmentation": square(x)}
            for n, (c, x) in enumerate(rows)
        ],
    }  # fmt: skip
    (tmp_path / "coco.json").write_text(json.dumps(content))
    (case,) = coco_cases(tmp_path / "coco.json", tmp_path, 5)
    assert case.open().size == (80, 60) and case.phrase in ("traffic light", "dog")
    assert sorted(one.fits for one in case.shown) == sorted(
        case.phrase == ("traffic light", "dog")[c - 1] for c, _ in rows
    )
