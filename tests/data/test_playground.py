"""The Playground: the same scene everywhere, exact masks, true phrases, and questions that have one answer."""

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
from sam3model.playground.export import to_coco, write_split
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
    things = []
    for thing in shown.objects:
        nudge = [jitter.uniform(-1, 1) if jitter else 0 for _ in range(4)]
        box = tuple(edge + move for edge, move in zip(thing.box, nudge, strict=True))
        area = thing.area * (jitter.uniform(0.9, 1.1) if jitter else 1)
        words = frozenset({thing.colour, thing.pattern, thing.size})
        things.append(Seen(thing.id, thing.kind, words, box, area))  # pyright: ignore[reportArgumentType]
    return Viewer(things, (shown.image.shape[1], shown.image.shape[0]), NOUNS)


def test_a_scene_is_the_same_in_every_process_and_order() -> None:
    def run(indices: list[int], seed: str) -> set[str]:
        code = FINGERPRINT.replace("INDICES", repr(indices))
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        return set(done.stdout.splitlines())

    forwards = run([0, 1, 2, 3, 4, 5], "1")
    assert forwards == run([5, 3, 1, 4, 2, 0], "2")
    assert len({line.split()[1] for line in forwards}) == 6


def test_splits_show_different_scenes() -> None:
    pictures = {
        hashlib.sha256(scene(s, 3, size=(128, 128)).image.tobytes()).hexdigest() for s in ("train", "val", "heldout")
    }
    assert len(pictures) == 3


def test_masks_are_disjoint_boxes_tight_and_things_clearly_seen(scenes: list[Scene]) -> None:
    for shown in scenes:
        assert [thing.id for thing in shown.objects] == list(range(len(shown.objects)))
        assert np.stack([thing.mask for thing in shown.objects]).sum(0).max() == 1
        for thing in shown.objects:
            rows, columns = np.nonzero(thing.mask)
            assert thing.mask.shape == shown.image.shape[:2]
            assert thing.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert thing.visible >= 0.45
            assert thing.area >= 120
            assert all(hider < thing.id for hider in thing.hidden_by)
            assert bool(thing.hidden_by) <= (thing.visible < 0.93)


def test_the_generator_has_the_promised_variety(scenes: list[Scene]) -> None:
    assert len(KINDS) >= 30
    assert len(COLOURS) == 10
    assert len({thing.kind for shown in scenes for thing in shown.objects}) >= 30
    assert {thing.colour for shown in scenes for thing in shown.objects} >= set(COLOURS)
    assert {thing.pattern for shown in scenes for thing in shown.objects} == {"plain", "striped", "dotted"}
    assert {thing.size for shown in scenes for thing in shown.objects} == {"small", "medium", "large"}
    counts = {len(shown.objects) for shown in scenes}
    assert min(counts) == 1
    assert max(counts) == 15
    assert any(thing.hidden_by for shown in scenes for thing in shown.objects)


def test_colour_words_are_true_to_the_pixels(scenes: list[Scene]) -> None:
    flat = {"star", "square", "triangle", "heart", "cross", "moon", "ring"}
    names, palette = list(COLOURS), np.array(list(COLOURS.values()), float)
    seen = 0
    for shown in scenes:
        for thing in shown.objects:
            if thing.kind in flat and thing.pattern == "plain":
                middle = np.median(shown.image[thing.mask].astype(float), axis=0)
                hues = [
                    np.abs(middle / middle.sum() - one / one.sum()).sum() + abs(middle.sum() - one.sum()) / 900
                    for one in palette
                ]
                assert names[int(np.argmin(hues))] == thing.colour
                seen += 1
    assert seen > 20


def test_phrases_name_exactly_the_things_with_these_attributes(scenes: list[Scene]) -> None:
    hard = 0
    for shown in scenes:
        queries = phrases(shown)
        assert any(query.ids for query in queries)
        for query in queries:
            assert {thing.id for thing in viewer(shown).named(query.phrase)} == set(query.ids), query.phrase
            if query.hard:
                assert not query.ids
                hard += 1
    assert hard >= 2 * len(scenes)


def test_questions_are_answered_alike_by_a_second_reader_and_with_a_shaking_hand(scenes: list[Scene]) -> None:
    kinds: dict[str, int] = {}
    for shown in scenes:
        hands = [None, *(random.Random(seed) for seed in range(4))]
        for question in questions(shown):
            kinds[question.kind] = kinds.get(question.kind, 0) + 1
            assert bool(question.ids) != question.kind.startswith("none:")
            for hand in hands:
                assert viewer(shown, hand).answer(question.text) == set(question.ids), (shown.name, question)
    assert set(kinds) == set(TEMPLATES)
    unanswerable = sum(number for kind, number in kinds.items() if kind.startswith("none:"))
    assert 0.15 <= unanswerable / sum(kinds.values()) <= 0.25


def test_a_smaller_canvas_keeps_the_scale_of_things() -> None:
    for index in range(20):
        shown = scene("train", index, size=(128, 128), count=(1, 4))
        assert shown.image.shape == (128, 128, 3)
        assert 1 <= len(shown.objects) <= 4
        assert all(thing.area >= 120 for thing in shown.objects)


def test_a_larger_scale_shows_the_same_scene() -> None:
    small, large = scene("val", 5), scene("val", 5, scale=2)
    assert large.image.shape == (2 * small.image.shape[0], 2 * small.image.shape[1], 3)
    assert [(thing.kind, thing.colour) for thing in large.objects] == [
        (thing.kind, thing.colour) for thing in small.objects
    ]


@pytest.mark.parametrize("wrong", [{"size": (20, 128)}, {"count": (0, 3)}, {"count": (4, 2)}, {"scale": 0}])
def test_an_impossible_scene_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="no Playground scene"):
        scene("train", 0, **wrong)


def test_coco_export_reads_back_to_the_same_masks(tmp_path: Path) -> None:
    shown = scene("val", 2)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(to_coco([(shown, "a.png", questions(shown))])))
    coco = COCO(path)
    for thing, annotation in zip(shown.objects, coco.loadAnns(coco.getAnnIds()), strict=True):
        assert np.array_equal(coco.annToMask(annotation), thing.mask)
        assert coco.loadCats(annotation["category_id"])[0]["name"] == thing.kind
        assert annotation["area"] == thing.area


def test_a_split_is_written_with_its_pictures(tmp_path: Path) -> None:
    content = json.loads(write_split(tmp_path, "val", 2).read_text())
    assert all((tmp_path / image["file_name"]).is_file() for image in content["images"])
    known = {annotation["id"]: annotation["image_id"] for annotation in content["annotations"]}
    for asked in content["info"]["questions"] + content["info"]["phrases"]:
        assert all(known[i] == asked["image_id"] for i in asked["annotation_ids"])


def test_the_shipped_match_is_the_generators_and_its_truth_holds(tmp_path: Path) -> None:
    write_match(str(tmp_path))
    again, info = (json.loads((folder / "match.json").read_text())["info"] for folder in (tmp_path, ASSETS))
    assert again == info
    shown, asked = match()
    coco = COCO(ASSETS / "match.json")
    shipped = np.asarray(Image.open(ASSETS / "match.png"), float)
    assert np.abs(shipped - shown.image).mean() < 0.5
    for thing, annotation in zip(shown.objects, coco.loadAnns(coco.getAnnIds()), strict=True):
        mask = coco.annToMask(annotation).astype(bool)
        assert np.count_nonzero(mask & thing.mask) >= 0.99 * np.count_nonzero(mask | thing.mask)
    assert asked[0].text == info["questions"][0]["text"] == "leftmost player in white"
    for question in asked:
        assert viewer(shown).answer(question.text) == set(question.ids), question
    white = [thing for thing in shown.objects if (thing.kind, thing.colour) == ("player", "white")]
    assert len(white) >= 3
    assert {"ball", "player"} <= {thing.kind for thing in shown.objects}
