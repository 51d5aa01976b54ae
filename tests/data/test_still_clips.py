"""Still images turned into clips by smooth motion."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sam3model.data.affine_motion import AffineMotion, warp_image, warp_masks
from sam3model.data.coco_dataset import read_coco
from sam3model.data.dataset_layout import find_files
from sam3model.data.image_view import resize_masks, shrink
from sam3model.data.moving_stills import DatasetStills, MovingStills, SceneStills, StillImage
from sam3model.errors import ConfigError, DataError
from tests.data.annotated_sets import boxes_only, small_coco

STILL = AffineMotion(0, 0, 0, 0, 1)
"""No motion at all."""


class Discs:
    """A white disc on a dark gradient; the mask is the disc."""

    def __init__(self, size: tuple[int, int] = (120, 80), centre: tuple[int, int] = (60, 40)) -> None:
        y, x = np.mgrid[: size[1], : size[0]]
        self.mask = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= 12**2
        image = np.stack([x * 100 // size[0], y * 100 // size[1], 0 * x], 2).astype(np.uint8)
        image[self.mask] = 255
        self.image = torch.from_numpy(image).permute(2, 0, 1)

    def name(self, number: int) -> str:
        return f"disc {number}"

    def __call__(self, number: int, rng: np.random.Generator, objects: int) -> StillImage:
        return StillImage(self.name(number), self.image, self.mask[None])


def white(frame: torch.Tensor) -> np.ndarray:
    return (frame > 0.8).all(0).numpy()


def centre(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)


def test_image_and_masks_move_together():
    for index in range(6):
        sample = MovingStills(Discs(), size=64, frames=6)(index)
        for frame, mask in zip(sample.frames, sample.masks[:, 0].numpy(), strict=True):
            shared = (white(frame) & mask).sum() / (white(frame) | mask).sum()
            assert shared > 0.8
        assert sample.annotated.all()


def test_masks_are_made_small_one_by_one(monkeypatch: pytest.MonkeyPatch):
    """Those of a photograph of 24 megapixels need a gigabyte as floats. The result is that of all at once."""
    masks = np.random.default_rng(0).random((5, 90, 120)) > 0.4
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(masks).float()[None], (48, 48), mode="bilinear", antialias=True
    )[0]
    sizes, interpolate = list[int](), torch.nn.functional.interpolate

    def counted(pixels: torch.Tensor, *values, **settings) -> torch.Tensor:
        sizes.append(pixels.numel())
        return interpolate(pixels, *values, **settings)

    monkeypatch.setattr(torch.nn.functional, "interpolate", counted)
    assert torch.equal(resize_masks(masks, 48), whole)
    assert np.array_equal(shrink(masks, 48), whole.numpy() >= 0.5)
    assert max(sizes) == 90 * 120


def test_without_motion_all_frames_are_the_image():
    sample = MovingStills(Discs(), size=64, frames=3, motion=STILL)(0)
    assert torch.equal(sample.frames[0], sample.frames[2])
    assert torch.equal(sample.masks[0], sample.masks[2])
    assert np.abs(centre(sample.masks[0, 0].numpy()) - 31.5).max() < 1


def test_motion_grows_smoothly_over_the_clip():
    """A shift alone: every frame goes on in the direction of the first step, and no step is a jump."""
    motion = AffineMotion(shift=0.3, rotation=0, shear=0, scale=0, zoom=1)
    for seed in range(5):
        grids = motion.grids(9, 16, 1.5, np.random.default_rng(seed)).numpy()
        moved = grids[:, 8, 8] - grids[0, 8, 8]
        steps = np.diff(moved, axis=0)
        assert (steps * np.sign(moved[-1]) >= 0).all()
        assert np.abs(steps).max() <= 2 * np.abs(moved[-1]).max() / 8
        assert np.abs(moved[-1]).max() <= 0.6 + 1e-6


def test_a_rotation_keeps_circles_round_whatever_the_aspect():
    """A disc in a wide image is an ellipse in the square; turned by 90 degrees in the image, it is the same ellipse."""
    discs, motion = Discs((160, 80), (80, 40)), AffineMotion(0, 180, 0, 0, 1)
    for index in range(4):
        masks = MovingStills(discs, size=128, frames=4, motion=motion)(index).masks[:, 0].numpy()
        for mask in masks[1:]:
            assert (mask & masks[0]).sum() / (mask | masks[0]).sum() > 0.85


def test_the_image_goes_on_beyond_its_border():
    """No frame has a black edge: the darkest pixel of a bright image stays bright."""
    image = torch.full((3, 40, 40), 200, dtype=torch.uint8)
    grids = AffineMotion(0.5, 45, 10, 0.5, 1).grids(8, 32, 1.0, np.random.default_rng(0))
    assert all(int(warp_image(image, grid).min()) >= 199 for grid in grids)
    assert grids.abs().max() > 1.2, "this motion shows the border"


def test_a_mirrored_copy_belongs_to_the_object_only_if_it_touches_the_border():
    masks = torch.zeros(2, 32, 32)
    masks[0, 8:24, :6] = 1  # at the border
    masks[1, 8:24, 3:9] = 1  # not at it
    shift = torch.tensor([[[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]])
    grid = torch.nn.functional.affine_grid(shift, [1, 1, 32, 32], align_corners=False)[0]
    found = warp_masks(masks, grid)
    columns = [np.flatnonzero(mask.any(0).numpy()).tolist() for mask in found]
    assert columns == [list(range(10, 22)), list(range(19, 25))]


def test_objects_may_leave():
    motion = AffineMotion(shift=1.0, rotation=0, shear=0, scale=0, zoom=1)
    areas = [MovingStills(Discs(), size=64, frames=8, motion=motion)(i).masks[:, 0].sum((1, 2)) for i in range(12)]
    assert all(area[0] > 0 for area in areas)
    assert any(area[-1] == 0 for area in areas)


def test_images_of_a_data_set_are_clips(tmp_path):
    data = read_coco(find_files(small_coco(tmp_path), "train"))
    source = MovingStills(DatasetStills(data, seed=1), seed=1, size=32, frames=4, objects=2, mask_stride=2)
    again = MovingStills(DatasetStills(data, seed=1), seed=1, size=32, frames=4, objects=2, mask_stride=2)
    sample = source(7)
    count = sample.masks.shape[1]
    assert sample.frames.shape == (4, 3, 32, 32)
    assert sample.masks.shape == (4, count, 16, 16)
    assert 1 <= count <= 2
    assert sample.masks[0].any((1, 2)).all()
    assert torch.equal(sample.frames, again(7).frames)
    assert {source(index).name for index in range(6)} == {f"{k}.png" for k in range(1, 7)}


def test_unusable_images_are_counted_and_replaced(tmp_path):
    small_coco(tmp_path)
    (tmp_path / "train/2.png").write_bytes(b"not an image")
    Image.new("RGB", (7, 7)).save(tmp_path / "train/3.png")
    file = tmp_path / "train/_annotations.coco.json"
    content = json.loads(file.read_text())
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != 5]
    file.write_text(json.dumps(content))
    source = MovingStills(DatasetStills(read_coco(find_files(tmp_path, "train"))), size=32, frames=2)
    assert {source(index).name for index in range(12)} <= {"1.png", "4.png", "6.png"}
    assert source.faults.found == {
        "image file is unreadable": {"2.png": None},
        "image size differs from its annotations": {"3.png": None},
        "no object of the image has a mask that can be used": {"5.png": None},
    }


def test_a_data_set_without_masks_is_refused(tmp_path):
    data = read_coco(find_files(boxes_only(tmp_path), "train"))
    with pytest.raises(DataError, match="100 images in a row cannot be used"):
        MovingStills(DatasetStills(data), size=32, frames=2)(0)


def test_scenes_of_playground_are_clips():
    sample = MovingStills(SceneStills("train"), size=64, frames=3, objects=3, mask_stride=2)(4)
    assert sample.name == "playground/train/4"
    assert sample.frames.shape == (3, 3, 64, 64)
    assert sample.masks[0].any((1, 2)).all()


def test_impossible_motion_is_refused():
    with pytest.raises(ConfigError, match="no setting may be negative, zoom below 1"):
        AffineMotion(zoom=0.5)
