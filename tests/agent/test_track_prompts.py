"""Prompts of `track` as they are typed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.tracking.track_prompts import (
    ExampleBoxes,
    PromptTexts,
    ShownObject,
    TrackPrompts,
    TrackSpan,
    check_prompts,
    read_mask,
)
from sam3model.errors import InputError
from tests.agent.moving_blocks import SIZE, clip


def read(**texts: tuple[str, ...]) -> TrackPrompts:
    return TrackPrompts.read(PromptTexts(**texts))


def test_phrases_may_be_separated_by_commas() -> None:
    assert read(phrases=("player,ball", "red  car", "ball")).phrases == ("player", "ball", "red car")


def test_clicks_without_a_number_are_of_one_object() -> None:
    prompts = read(clicks=("0:10,20", "0:11,21", "3:5,6"), clicks_out=("0:30,40",), object_boxes=("0:1,2,30,40:2",))
    assert prompts.objects == (
        ShownObject(1, 0, ((10, 20), (11, 21), (30, 40)), (1, 1, 0)),
        ShownObject(2, 0, box=(1, 2, 30, 40)),
        ShownObject(1, 3, ((5, 6),), (1,)),
    )


def test_boxes_are_examples_and_object_boxes_are_objects() -> None:
    prompts = read(phrases=(" a  dog ",), boxes=("4:1,2,3,4",), negative_boxes=("4:5,6,7,8",))
    assert prompts.phrases == ("a dog",)
    assert prompts.examples == ExampleBoxes(4, ((1, 2, 3, 4), (5, 6, 7, 8)), (1, 0))
    assert prompts.objects == ()


def test_a_palette_image_is_several_objects_and_any_other_is_one(tmp_path: Path) -> None:
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    labels[4:9, 4:9], labels[20:30, 20:30], labels[40:, 40:] = 2, 7, 255
    palette = Image.fromarray(labels).convert("P")
    palette.frombytes(labels.tobytes())
    palette.save(tmp_path / "labels.png")
    Image.fromarray(np.where(labels == 7, 255, labels % 3 * 20).astype(np.uint8)).save(tmp_path / "grey.png")
    many = read(masks=(f"1:{tmp_path}/labels.png",)).objects
    assert [(prompt.number, prompt.frame) for prompt in many] == [(2, 1), (7, 1)]
    masks = [read_mask(*prompt.mask, SIZE) for prompt in many if prompt.mask]
    assert [int(mask.sum()) for mask in masks] == [25, 100]
    (one,) = read(masks=(f"0:{tmp_path}/grey.png:5",)).objects
    assert one.number == 5 and one.mask and read_mask(*one.mask, SIZE).sum() == 100


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({}, "nothing to track"),
        ({"phrases": ("dog", "cat"), "boxes": ("0:1,2,3,4",)}, "one --phrase"),
        ({"phrases": (" ",)}, "empty"),
        ({"clicks": ("10,20",)}, "FRAME:x,y"),
        ({"clicks": ("0:10",)}, "FRAME:x,y"),
        ({"clicks": ("0:10,20:0",)}, "FRAME:x,y:OBJECT"),
        ({"clicks": ("0:10,nan",)}, "FRAME:x,y"),
        ({"clicks": ("-1:10,20",)}, "FRAME:x,y"),
        ({"boxes": ("0:1,2,3",)}, "FRAME:x0,y0,x1,y1"),
        ({"boxes": ("0:1,2,3,4:2",)}, "FRAME:x0,y0,x1,y1"),
        ({"boxes": ("0:1,2,3,4", "1:1,2,3,4")}, "one frame"),
        ({"object_boxes": ("0:9,2,3,4",)}, "empty"),
        ({"object_boxes": ("0:1,2,3,4", "0:5,6,7,8")}, "number other objects"),
        ({"masks": ("mask.png",)}, "FRAME:FILE"),
        ({"masks": ("0:none.png",)}, "no file none.png"),
    ],
)
def test_malformed_prompts_are_answered_with_a_line(texts: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        read(**texts)
    assert "\n" not in str(error.value)


def test_spans() -> None:
    whole, part = TrackSpan.of(clip()), TrackSpan.of(clip(), 2, 9, every=3, reverse=True)
    assert list(whole.frames) == list(range(12)) and whole.first == 0
    assert list(part.frames) == [2, 5, 8] and part.first == 8 and part.index(5) == 1
    assert whole.is_after(3, 2) and part.is_after(2, 3)
    with pytest.raises(InputError, match="2 to 8, every 3"):
        part.index(4)
    for first, last in ((12, None), (0, 12), (5, 4)):
        with pytest.raises(InputError, match="--from" if last != 12 else "--to"):
            TrackSpan.of(clip(), first, last)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"clicks": ("12:10,20",)}, "frame 12 is not tracked"),
        ({"clicks": ("0:96,20",)}, "outside the image of 96x64 pixels"),
        ({"object_boxes": ("0:100,2,103,4",)}, "outside the image of 96x64 pixels"),
        ({"boxes": ("0:-5,2,-1,4",)}, "outside the image of 96x64 pixels"),
    ],
)
def test_prompts_must_be_inside_the_clip(texts: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_prompts(read(**texts), TrackSpan.of(clip()), clip())


def test_boxes_over_the_border_are_accepted() -> None:
    texts = {"boxes": ("0:-5,2,9,4",), "object_boxes": ("0:80,2,300,70",)}
    check_prompts(read(**texts), TrackSpan.of(clip()), clip())
