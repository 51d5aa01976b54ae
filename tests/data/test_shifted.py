"""The shifted domain: nothing from Playground, exact ground truth, and a dataset that the trainer can read."""

import subprocess
import sys

import numpy as np
import pytest

from sam3model.data.coco_dataset import read_coco
from sam3model.data.dataset_layout import find_files
from sam3model.data.image_files import read_image
from sam3model.data.segmentations import to_rle
from sam3model.ops.masks import decode_rle
from sam3model.playground import Scene, scene
from sam3model.playground.domain import PLAYGROUND
from sam3model.playground.export import main, write_folder
from sam3model.playground.shifted import SHIFTED


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene("shifted/train", index, domain=SHIFTED) for index in range(60)]


def nouns(domain) -> set[str]:
    pairs = [pair for kind in domain.kinds.values() for pair in ((kind.name, kind.plural), *kind.synonyms)]
    return {word for pair in pairs for word in pair}


def test_no_kind_colour_or_theme_is_from_playground():
    assert not nouns(SHIFTED) & nouns(PLAYGROUND)
    assert not set(SHIFTED.themes) & set(PLAYGROUND.themes)
    assert not {kind.draw for kind in SHIFTED.kinds.values()} & {kind.draw for kind in PLAYGROUND.kinds.values()}
    assert not set(SHIFTED.colours) & set(PLAYGROUND.colours)
    for ours in SHIFTED.colours.values():
        for theirs in PLAYGROUND.colours.values():
            assert np.abs(np.subtract(ours, theirs)).sum() > 85


def test_every_kind_colour_and_theme_appears(scenes):
    assert {obj.kind for shown in scenes for obj in shown.objects} == set(SHIFTED.kinds)
    assert {obj.colour for shown in scenes for obj in shown.objects} == set(SHIFTED.colours)
    assert {shown.theme for shown in scenes} == set(SHIFTED.themes)


def test_masks_are_disjoint_boxes_tight_and_scenes_repeatable(scenes):
    for index, shown in enumerate(scenes):
        assert np.stack([obj.mask for obj in shown.objects]).sum(0).max() == 1
        for obj in shown.objects:
            rows, columns = np.nonzero(obj.mask)
            assert obj.mask.shape == shown.image.shape[:2]
            assert obj.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert obj.area == len(rows) >= 100
        if index % 20 == 0:
            again = scene("shifted/train", index, domain=SHIFTED)
            assert np.array_equal(again.image, shown.image)


def test_colour_words_match_the_pixels(scenes):
    names, palette = list(SHIFTED.colours), np.array(list(SHIFTED.colours.values()), float)
    for obj, image in ((obj, shown.image) for shown in scenes for obj in shown.objects if obj.kind == "anchor"):
        middle = np.median(image[obj.mask].astype(float), axis=0)
        hues = np.abs(middle / middle.sum() - palette / palette.sum(1, keepdims=True)).sum(1)
        assert names[int(np.argmin(hues + np.abs(middle.sum() - palette.sum(1)) / 900))] == obj.colour


@pytest.mark.parametrize("domain", ["shifted", "playground"])
def test_an_exported_dataset_is_read_back_with_the_same_masks(tmp_path, domain):
    write_folder(tmp_path, domain, images=2, held_out=3)
    chosen = {"shifted": SHIFTED, "playground": PLAYGROUND}[domain]
    for split, count in (("train", 2), ("val", 3)):
        found = read_coco(find_files(tmp_path, split))
        assert len(found) == count
        assert not found.faults.counts()
        for index, image in enumerate(found.images):
            drawn = scene(f"{domain}/{'train' if split == 'train' else 'valid'}", index, domain=chosen)
            assert np.array_equal(read_image(image.path, image.size).permute(1, 2, 0), drawn.image)
            named = {phrase.phrase: phrase for phrase in image.phrases}
            for obj in drawn.objects:
                for phrase in {obj.kind, f"{obj.colour} {obj.kind}".strip()}:
                    masks = [decode_rle(to_rle(one.segmentation, image.size)) for one in named[phrase].annotations]
                    assert sum(np.array_equal(mask, obj.mask) for mask in masks) == 1
            assert set(named) <= set(found.vocabulary)
            assert image.absent
            assert not set(image.absent) & set(named)
            shown = {word for phrase in named for word in phrase.split()}
            near = [phrase for phrase in image.absent if " " in phrase]
            assert near
            assert all(shown & set(phrase.split()) for phrase in near)


def test_a_larger_dataset_begins_with_the_same_images(tmp_path):
    write_folder(tmp_path / "few", "shifted", images=1, held_out=1)
    write_folder(tmp_path / "more", "shifted", images=3, held_out=1)
    few, more = ((tmp_path / name / "train" / "000000.png").read_bytes() for name in ("few", "more"))
    assert few == more


def test_the_command_writes_a_dataset_or_a_one_line_error(tmp_path, capsys):
    folder = tmp_path / "set"
    command = [sys.executable, "-m", "sam3model.playground.export", str(folder), "--images", "1"]
    subprocess.run([*command, "--held-out", "1"], check=True, capture_output=True)
    assert sorted(path.name for path in (folder / "train").iterdir()) == ["000000.png", "_annotations.coco.json"]
    (tmp_path / "file").write_text("")
    wrong = (([str(folder), "--images", "0"], "at least 1"), ([str(tmp_path / "file")], "cannot write"))
    for words, message in wrong:
        with pytest.raises(SystemExit, match="2"):
            main(words)
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
