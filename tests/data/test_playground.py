"""Playground: reproducible scenes, exact masks, correct phrases, and questions with one answer."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from sam3model.errors import InputError
from sam3model.playground import Scene, phrases, questions, scene
from sam3model.playground.export import to_coco
from sam3model.playground.kinds import KINDS
from sam3model.playground.match import main as write_match
from sam3model.playground.match import match
from sam3model.playground.palette import COLOURS
from sam3model.playground.questions import TEMPLATES
from tests.data.viewer import Seen, Viewer

ASSETS = Path(__file__).parents[2] / "assets"
NOUNS = {
    word: kind.name
    for kind in KINDS.values()
    for word in (kind.name, kind.plural, *(word for pair in kind.synonyms for word in pair))
}
FINGERPRINT = """
import hashlib
from sam3model.playground import phrases, questions, scene
for index in INDICES:
    shown = scene("train", index)
    text = repr([(q.phrase, q.ids) for q in phrases(shown)] + [(q.text, q.ids) for q in questions(shown)])
    print(index, hashlib.sha256(shown.image.tobytes() + text.encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene("train", index) for index in range(130)]


def viewer(shown: Scene, jitter: random.Random | None = None) -> Viewer:
    objects = []
    for obj in shown.objects:
        nudge = [jitter.uniform(-1, 1) if jitter else 0 for _ in range(4)]
        box = tuple(edge + move for edge, move in zip(obj.box, nudge, strict=True))
        area = obj.area * (jitter.uniform(0.9, 1.1) if jitter else 1)
        words = frozenset({obj.colour, obj.pattern, obj.size})
        objects.append(Seen(obj.id, obj.kind, words, box, area))  # pyright: ignore[reportArgumentType]
    return Viewer(objects, (shown.image.shape[1], shown.image.shape[0]), NOUNS)


def test_a_scene_does_not_depend_on_process_or_order() -> None:
    def run(indices: list[int], seed: str) -> set[str]:
        code = FINGERPRINT.replace("INDICES", repr(indices))
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        return set(done.stdout.splitlines())

    forwards = run([0, 1, 2, 3, 4, 5], "1")
    assert forwards == run([5, 3, 1, 4, 2, 0], "2")
    assert len({line.split()[1] for line in forwards}) == 6


def test_splits_have_different_scenes() -> None:
    images = {
        hashlib.sha256(scene(s, 3, size=(128, 128)).image.tobytes()).hexdigest() for s in ("train", "val", "heldout")
    }
    assert len(images) == 3


def test_masks_are_disjoint_boxes_tight_and_objects_visible(scenes: list[Scene]) -> None:
    for shown in scenes:
        assert [obj.id for obj in shown.objects] == list(range(len(shown.objects)))
        assert np.stack([obj.mask for obj in shown.objects]).sum(0).max() == 1
        for obj in shown.objects:
            rows, columns = np.nonzero(obj.mask)
            assert obj.mask.shape == shown.image.shape[:2]
            assert obj.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert obj.visible >= 0.45
            assert obj.area >= 120
            assert all(hider < obj.id for hider in obj.hidden_by)
            assert bool(obj.hidden_by) <= (obj.visible < 0.93)


def test_the_generator_covers_kinds_colours_patterns_and_sizes(scenes: list[Scene]) -> None:
    assert len(KINDS) >= 30
    assert len(COLOURS) == 10
    assert len({obj.kind for shown in scenes for obj in shown.objects}) >= 30
    assert {obj.colour for shown in scenes for obj in shown.objects} >= set(COLOURS)
    assert {obj.pattern for shown in scenes for obj in shown.objects} == {"plain", "striped", "dotted"}
    assert {obj.size for shown in scenes for obj in shown.objects} == {"small", "medium", "large"}
    counts = {len(shown.objects) for shown in scenes}
    assert min(counts) == 1
    assert max(counts) == 15
    assert any(obj.hidden_by for shown in scenes for obj in shown.objects)


def test_colour_words_match_the_pixels(scenes: list[Scene]) -> None:
    flat = {"star", "square", "triangle", "heart", "cross", "moon", "ring"}
    names, palette = list(COLOURS), np.array(list(COLOURS.values()), float)
    seen = 0
    for shown in scenes:
        for obj in shown.objects:
            if obj.kind in flat and obj.pattern == "plain":
                middle = np.median(shown.image[obj.mask].astype(float), axis=0)
                hues = [
                    np.abs(middle / middle.sum() - one / one.sum()).sum() + abs(middle.sum() - one.sum()) / 900
                    for one in palette
                ]
                assert names[int(np.argmin(hues))] == obj.colour
                seen += 1
    assert seen > 20


def test_phrases_match_exactly_the_objects_with_their_attributes(scenes: list[Scene]) -> None:
    hard = 0
    for shown in scenes:
        queries = phrases(shown)
        assert any(query.ids for query in queries)
        for query in queries:
            assert {obj.id for obj in viewer(shown).named(query.phrase)} == set(query.ids), query.phrase
            if query.hard:
                assert not query.ids
                hard += 1
    assert hard >= 2 * len(scenes)


def test_a_second_implementation_gives_the_same_answers_even_with_jitter(scenes: list[Scene]) -> None:
    kinds: dict[str, int] = {}
    for shown in scenes:
        jitters = [None, *(random.Random(seed) for seed in range(4))]
        for question in questions(shown):
            kinds[question.kind] = kinds.get(question.kind, 0) + 1
            assert bool(question.ids) != question.kind.startswith("none:")
            for jitter in jitters:
                assert viewer(shown, jitter).answer(question.text) == set(question.ids), (shown.name, question)
    assert set(kinds) == set(TEMPLATES)
    unanswerable = sum(number for kind, number in kinds.items() if kind.startswith("none:"))
    assert 0.15 <= unanswerable / sum(kinds.values()) <= 0.25


def test_a_smaller_canvas_keeps_the_scale_of_objects() -> None:
    for index in range(20):
        shown = scene("train", index, size=(128, 128), count=(1, 4))
        assert shown.image.shape == (128, 128, 3)
        assert 1 <= len(shown.objects) <= 4
        assert all(obj.area >= 120 for obj in shown.objects)


def test_a_larger_scale_shows_the_same_scene() -> None:
    small, large = scene("val", 5), scene("val", 5, scale=2)
    assert large.image.shape == (2 * small.image.shape[0], 2 * small.image.shape[1], 3)
    assert [(obj.kind, obj.colour) for obj in large.objects] == [(obj.kind, obj.colour) for obj in small.objects]


@pytest.mark.parametrize("wrong", [{"size": (20, 128)}, {"count": (0, 3)}, {"count": (4, 2)}, {"scale": 0}])
def test_invalid_arguments_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="invalid Playground scene"):
        scene("train", 0, **wrong)


def test_coco_export_reads_back_to_the_same_masks(tmp_path: Path) -> None:
    shown = scene("val", 2)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(to_coco([(shown, "a.png", questions(shown))])))
    coco = COCO(path)
    for obj, annotation in zip(shown.objects, coco.loadAnns(coco.getAnnIds()), strict=True):
        assert np.array_equal(coco.annToMask(annotation), obj.mask)
        assert coco.loadCats(annotation["category_id"])[0]["name"] == obj.kind
        assert annotation["area"] == obj.area


def test_the_shipped_match_equals_the_generated_one(tmp_path: Path) -> None:
    write_match(str(tmp_path))
    again, info = (json.loads((folder / "match.json").read_text())["info"] for folder in (tmp_path, ASSETS))
    assert again == info
    shown, asked = match()
    coco = COCO(ASSETS / "match.json")
    shipped = np.asarray(Image.open(ASSETS / "match.png"), float)
    assert np.abs(shipped - shown.image).mean() < 0.5
    for obj, annotation in zip(shown.objects, coco.loadAnns(coco.getAnnIds()), strict=True):
        mask = coco.annToMask(annotation).astype(bool)
        assert np.count_nonzero(mask & obj.mask) >= 0.99 * np.count_nonzero(mask | obj.mask)
    assert asked[0].text == info["questions"][0]["text"] == "leftmost player in white"
    for question in asked:
        assert viewer(shown).answer(question.text) == set(question.ids), question
    white = [obj for obj in shown.objects if (obj.kind, obj.colour) == ("player", "white")]
    assert len(white) >= 3
    assert {"ball", "player"} <= {obj.kind for obj in shown.objects}
