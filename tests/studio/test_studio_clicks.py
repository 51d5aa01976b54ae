"""A click changes the part of a mask around it, and leaves the rest as it was."""

import numpy as np
import pytest

from sam3agent.masks import Mask
from sam3agent.segmenter import FoundInstances, ObjectClicks
from sam3agent.servers.studio.studio_clicks import change_at, corrected
from sam3model.errors import InputError

SIZE = (120, 90)


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[y0:y1, x0:x1] = True
    return mask


class OneReading:
    """A session that answers every click with the same mask."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask

    def segment_object(self, clicks: ObjectClicks, frame: int = 0) -> FoundInstances:
        return FoundInstances.of([self.mask], SIZE, [0.9])


def correct(earlier: np.ndarray, reading: np.ndarray, *clicks: tuple[float, float, int]) -> np.ndarray:
    mask = Mask.from_full(earlier)
    assert mask is not None
    return corrected(OneReading(reading), mask, clicks, 0).full()  # type: ignore[arg-type]


def test_a_model_that_redraws_everything_changes_one_part_only() -> None:
    earlier = box(10, 10, 50, 50)
    reading = (box(14, 14, 50, 50) & ~box(20, 30, 40, 50)) | box(70, 60, 110, 80) | box(50, 20, 64, 40)
    assert (correct(earlier, reading, (56, 30, 1)) == (earlier | box(50, 20, 64, 40))).all()
    assert (correct(earlier, reading, (30, 40, 0)) == (earlier & ~box(20, 30, 40, 50))).all()


def test_a_thin_edge_does_not_connect_two_parts() -> None:
    change = box(10, 10, 30, 30) | box(30, 18, 70, 20) | box(70, 10, 100, 30)
    part, solid = change_at(change, (20, 20))
    assert solid and (part[:, :29] == change[:, :29]).all() and not part[:, 40:].any()
    thin, solid = change_at(change, (19, 50))
    assert not solid and thin[18:20, 30:70].all()


@pytest.mark.parametrize("scale", [1, 7, 20])
def test_large_images_change_as_small_ones_do(scale: int) -> None:
    change = np.kron(box(10, 10, 30, 30) | box(60, 10, 100, 30), np.ones((scale, scale), bool))
    part, _ = change_at(change, (20 * scale, 20 * scale))
    expected = np.kron(box(10, 10, 30, 30), np.ones((scale, scale), bool))
    assert (part ^ expected).sum() <= 0.02 * expected.sum()


def test_clicks_that_change_nothing_say_so() -> None:
    earlier = box(10, 10, 50, 50)
    for click, words in (((20, 20, 1), "already"), ((80, 80, 0), "is not part"), ((80, 80, 1), "nothing can be added")):
        with pytest.raises(InputError, match=words):
            correct(earlier, earlier, click)
    with pytest.raises(InputError, match="nothing would be left"):
        correct(earlier, box(60, 60, 80, 80), (20, 20, 0))


def test_a_click_beside_an_object_does_not_add_the_background() -> None:
    small, background = box(10, 10, 30, 30), ~box(10, 10, 30, 30)
    for beside in (background, box(0, 40, 120, 90), box(2, 35, 118, 88) | box(35, 2, 118, 88)):
        with pytest.raises(InputError, match="looks like the background"):
            correct(small, beside, (80, 60, 1))
    half = box(10, 10, 60, 80)
    assert (correct(half, box(60, 10, 110, 80), (80, 40, 1)) == box(10, 10, 110, 80)).all()


def test_a_click_adds_the_rest_of_a_large_object_to_a_small_part_of_it() -> None:
    for car in (box(10, 10, 90, 60), box(10, 10, 120, 50)):
        assert (correct(box(10, 10, 20, 20), car, (60, 40, 1)) == car).all()
