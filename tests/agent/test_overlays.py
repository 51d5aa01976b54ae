"""What overlays say: ids and phrases, that nothing matched, and that labels hide little of what they mark."""

import numpy as np
from PIL import Image

from sam3agent.answer import Selection
from sam3agent.masks import Mask, Masklet
from sam3agent.media import ImageMedia
from sam3agent.pool import MaskPool, masklets
from sam3agent.render import best_marks, captioned
from sam3agent.render.labels import label_image, place
from tests.agent.world import World


def block(x: int, y: int, width: int, height: int, size: tuple[int, int] = (400, 300)) -> Mask:
    full = np.zeros((size[1], size[0]), bool)
    full[y : y + height, x : x + width] = True
    mask = Mask.from_full(full)
    assert mask is not None
    return mask


def test_labels_have_ids_and_phrases_if_there_are_several_phrases() -> None:
    masks = [(1, Masklet.of(block(10, 10, 30, 30))), (2, Masklet.of(block(90, 90, 30, 30)))]
    assert [mark.text for mark in best_marks(masks, {1: "player", 2: "player"})[1]] == [None, None]
    several = best_marks(masks, {1: "player", 2: "a very small\nball behind the player"})[1]
    assert [mark.text for mark in several] == ["1 player", "2 a very small ball beh…"]


def test_an_overlay_of_two_phrases_differs_from_one_of_numbers() -> None:
    world = World()
    found = world.segment_phrases(["car", "ball"])
    pool, _ = MaskPool().add("car", masklets(found[0]))
    both, _ = pool.add("ball", masklets(found[1]))
    same, _ = pool.add("car", masklets(found[1]))
    with_phrases, numbers = (Selection.from_pool(ImageMedia(world.image), p).overlay() for p in (both, same))
    assert not np.array_equal(np.asarray(with_phrases), np.asarray(numbers))


def test_an_overlay_without_masks_says_so_below_the_image() -> None:
    image = World().image
    selection = Selection(ImageMedia(image), ())
    assert np.array_equal(np.asarray(selection.overlay()), np.asarray(image))
    shown = np.asarray(selection.overlay("no match: the dog"))
    assert shown.shape[1] == image.width and shown.shape[0] > image.height
    band = shown[image.height :]
    assert band.max() > 200 and (band < 60).mean() > 0.5  # light words on a dark band
    assert (shown[: image.height] <= np.asarray(image)).all()


def test_any_caption_fits_any_image() -> None:
    for size in ((1, 1), (17, 300), (300, 17), (1200, 90)):
        for text in ("no match: ball", "no match: " + "word " * 400, "x" * 5000, "", "  \n "):
            shown = captioned(Image.new("RGB", size, "white"), text)
            assert shown.width == size[0] and shown.height < size[1] + 400


def test_labels_hide_little_of_any_mask() -> None:
    masks = [block(60, 60, 40, 60), block(105, 60, 40, 60), block(60, 130, 40, 60), block(105, 130, 40, 60)]
    sizes = [label_image(f"{i} player in white", (200, 0, 0), 13).size for i in range(1, 5)]
    for mask_index, rect in enumerate(place(masks, sizes, (400, 300))):
        for mask in masks:
            hidden = mask.full()[rect[1] : rect[3], rect[0] : rect[2]].sum() / mask.area
            assert hidden < 0.1, (mask_index, hidden)


def test_a_small_mask_keeps_its_label_beside_it() -> None:
    ball = block(200, 150, 30, 30)
    (rect,) = place([ball], [(24, 20)], (400, 300))
    assert not ball.full()[rect[1] : rect[3], rect[0] : rect[2]].any()
