"""Opening the clips that settings name, and `python -m train check` for them."""

import pytest
import torch
from PIL import Image

from sam3model.errors import ConfigError, DataError
from sam3model.training.clip_set_settings import ClipSetConfig
from sam3model.training.clip_sets import ClipShape, RecordedClips, open_clip_set
from sam3model.training.clip_settings import ClipDataConfig, ClipStage, ClipTrainConfig, ClipValidation
from tests.data import clip_data
from tests.data.annotated_sets import small_coco

SHAPE = ClipShape(64, 3, 2, 2)
SETS = ("davis", "mose", "sav", "ytvis", "lvvis", "burst", "veval")


@pytest.mark.parametrize("kind", SETS)
def test_every_data_set_opens_with_held_out_clips(kind, tmp_path):
    getattr(clip_data, kind)(tmp_path, 3)
    opened = open_clip_set(ClipSetConfig(source=kind, root=str(tmp_path)), seed=0, validated=9)
    assert isinstance(opened, RecordedClips)
    assert (len(opened.training_set), opened.count) == (2, 1)
    trained = {opened.training(SHAPE)(index).name.rsplit("/", 1)[0] for index in range(6)}
    validated = opened.validation(SHAPE)(0)
    assert len(trained) == 2
    assert validated.name.rsplit("/", 1)[0] not in trained
    assert torch.equal(validated.frames, opened.validation(SHAPE)(0).frames)


def test_a_validation_split_of_its_own_is_used(tmp_path):
    clip_data.davis(tmp_path, 2)
    clip_data.davis(tmp_path, 3, split="val")
    opened = open_clip_set(ClipSetConfig(source="davis", root=str(tmp_path)), seed=0, validated=9)
    assert opened.count == 3
    assert opened.validation(SHAPE)(0).name.startswith("val")


def test_still_images_of_coco_move(tmp_path):
    opened = open_clip_set(ClipSetConfig(source="coco", root=str(small_coco(tmp_path))), seed=0, validated=9)
    assert opened.count == 1
    assert opened.training(SHAPE)(0).frames.shape == (3, 3, 64, 64)


@pytest.mark.parametrize("kind", ["playground", "playground_scenes"])
def test_playground_has_other_clips_for_validation(kind):
    opened = open_clip_set(ClipSetConfig(source=kind), seed=0, validated=2)
    assert opened.count is None
    assert opened.training(SHAPE)(0).name.startswith("playground/train/")
    assert opened.validation(SHAPE)(0).name.startswith("playground/val/")


def test_settings_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"data.root is missing: give the folder"):
        ClipSetConfig(source="davis")
    with pytest.raises(ConfigError, match=r"data.stride must be a minimum and a maximum"):
        ClipSetConfig(stride=(3, 1))
    with pytest.raises(ConfigError, match=r"validation.metric: J is that of later frames, but validation.frames is 1"):
        ClipValidation(frames=1, metric="J")
    with pytest.raises(ConfigError, match=r"validation.metric: IoU@3 needs 2 corrections"):
        ClipValidation(metric="IoU@3", corrections=1)
    clip_data.davis(tmp_path)
    config = ClipSetConfig(source="davis", root=str(tmp_path), val_split="test-dev")
    with pytest.raises(ConfigError, match=r"data.val_split: there is no split 'test-dev'"):
        open_clip_set(config, seed=0, validated=1)


def test_a_missing_training_split_is_named(tmp_path):
    clip_data.davis(tmp_path, split="val")
    with pytest.raises(
        DataError, match=r"^data.split: there is no split 'train', set another one: there is no file .*train"
    ):
        open_clip_set(ClipSetConfig(source="davis", root=str(tmp_path)), seed=0, validated=1)


def test_check_summarises_clips_and_draws_them(tmp_path):
    from train.clip_check import check_clips

    root = clip_data.davis(tmp_path / "set", 4)
    (root / "JPEGImages/480p/train0/00000.png").write_bytes(b"")
    config = ClipTrainConfig(
        name="seen", out=str(tmp_path), data=ClipDataConfig(source="davis", root=str(root), broken=0.5),
        stages=(ClipStage(frames=3),), validation=ClipValidation(clips=1),
    )  # fmt: skip
    summary = check_clips(config)
    assert "3 for training, of 12 frames" in summary
    assert "36 of 36 frames" in summary
    assert "image file is unreadable (train0/0)" in summary
    with Image.open(tmp_path / "seen/contact_sheet.png") as sheet:
        assert sheet.height > 8 * 176
