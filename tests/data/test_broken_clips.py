"""Clips of data sets with broken frames, masks and videos: what cannot be used is named, and the rest is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3model.data.clip_folder_reader import read_davis_clips, read_mose_clips
from sam3model.data.clip_sav_reader import read_sav_clips
from sam3model.errors import DataError
from tests.clips import cut
from tests.data import clip_data
from tests.data.clip_data import FRAMES, SIZE, number_of, picture, source


def test_a_broken_frame_is_counted_and_replaced_by_the_next(tmp_path):
    root = clip_data.davis(tmp_path, videos=1)
    folder = root / "JPEGImages/480p/train0"
    (folder / "00005.png").write_bytes(b"not an image")
    (folder / "00006.png").write_bytes((folder / "00006.png").read_bytes()[:90])
    clips = source(read_davis_clips(root, "train"), frames=10, stride=(1, 1))
    numbers = [number_of(frame) for frame in clips(0).frames]
    assert not {5, 6} & set(numbers)
    assert set(clips.faults.found) == {"image file is unreadable"}
    assert "train0/5" in clips.faults.found["image file is unreadable"]


def damage_mask(root: Path) -> str:
    clip_data.write_labels(root / "Annotations/480p/train0/00003.png", np.ones((5, 5)))
    return "mask file has another size than the frame"


def damage_png(root: Path) -> str:
    (root / "Annotations/480p/train0/00003.png").write_bytes(b"PNG")
    return "mask file is unreadable"


def damage_size(root: Path) -> str:
    Image.fromarray(picture(3, (24, 16))).save(root / "JPEGImages/480p/train0/00003.png")
    return "image size differs from its annotations"


@pytest.mark.parametrize("damage", [damage_mask, damage_png, damage_size])
def test_a_frame_with_unusable_masks_or_another_size_is_left_out(damage, tmp_path):
    root = clip_data.davis(tmp_path, videos=1)
    reason = damage(root)
    clips = source(read_davis_clips(root, "train"), frames=12)
    numbers = {number_of(frame) for frame in clips(0).frames}
    assert numbers == set(range(FRAMES)) - {3}
    assert clips.faults.counts() == {reason: 1}


def test_a_clip_cut_off_shows_what_is_left(tmp_path):
    root = clip_data.sav(tmp_path, videos=1)
    cut(root / "sav_train/sav_000/sav_000000.mp4", 0.92)
    clips = source(read_sav_clips(root, "train"), frames=3)
    shown = {number_of(frame) for frame in clips(0).frames}
    assert shown == {0, 4}
    assert clips.faults.found == {"frame is damaged or cut off": {"sav_000000/8": None}}


def test_a_clip_with_one_usable_frame_is_skipped_and_named(tmp_path):
    root = clip_data.davis(tmp_path, videos=2)
    for t in range(1, FRAMES):
        (root / f"JPEGImages/480p/train0/{t:05d}.png").write_bytes(b"")
    clips = source(read_davis_clips(root, "train"))
    assert {clips(index).name.split("/")[0] for index in range(6)} == {"train1"}
    assert list(clips.faults.found["fewer than 2 frames can be used"]) == ["train0"]


def test_a_clip_without_any_object_is_skipped_and_named(tmp_path):
    root = clip_data.mose(tmp_path, videos=2)
    for t in range(FRAMES):
        clip_data.write_labels(root / f"train/Annotations/v0/{t:05d}.png", np.zeros(SIZE[::-1]))
    clips = source(read_mose_clips(root, "train"))
    assert clips(0).name.startswith("v1/")
    assert clips(1).name.startswith("v1/")
    assert list(clips.faults.found["no object is visible"]) == ["v0"]


def test_unusable_videos_are_skipped_and_named(tmp_path):
    root = clip_data.sav(tmp_path, videos=4)
    folder = root / "sav_train/sav_000"
    (folder / "sav_000000.mp4").write_bytes(b"no video")
    (folder / "sav_000001_manual.json").write_text("{")
    (folder / "sav_000002.mp4").unlink()
    data = read_sav_clips(root, "train", broken=0.5)
    assert data.faults.found == {"its video or folder of frames is missing": {"clip sav_000002": None}}
    clips = source(data)
    assert {clips(index).name.split("/")[0] for index in range(6)} == {"sav_000003"}
    assert clips.faults.counts() == {"video file is unreadable": 1, "its JSON file is unreadable": 1}


def test_when_no_clip_can_be_used_the_error_says_what_to_do(tmp_path):
    root = clip_data.davis(tmp_path, videos=1)
    data = read_davis_clips(root, "train")
    for file in (root / "JPEGImages/480p/train0").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match="100 clips in a row cannot be used: run `python -m train check`"):
        source(data)(0)
