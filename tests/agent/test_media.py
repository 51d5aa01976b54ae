"""A medium of several frames: candidates are masklets, and evidence belongs to a frame."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.answer import Selection
from sam3agent.masks import Mask, Masklet
from sam3agent.media import ImageMedia, Media, open_media
from sam3agent.pool import MaskPool
from sam3agent.segmenter import LocalSegmenter
from sam3agent.testing import ScriptedSegmenter
from sam3agent.tools.evidence import close_up, numbered
from sam3agent.tools.registry import all_tools
from sam3agent.workbench import Workbench
from tests.drawn_match import drawing

SIZE = (40, 30)


@dataclass
class Clip:
    """Frames in memory, ten a second."""

    frames: list[Image.Image]

    @property
    def count(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].size

    def frame(self, t: int) -> Image.Image:
        return self.frames[t]

    def time(self, t: int) -> float:
        return t / 10


def clip() -> Clip:
    return Clip([Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue")])


def block(x: int, width: int = 6) -> Mask:
    full = np.zeros((SIZE[1], SIZE[0]), bool)
    full[5:15, x : x + width] = True
    mask = Mask.from_full(full)
    assert mask is not None
    return mask


MOVING = Masklet({0: block(0), 1: block(4, 8), 2: block(8)})
LATE = Masklet({2: block(30)})


def bench() -> Workbench:
    media = clip()
    assert isinstance(media, Media)
    pool, ids = MaskPool().add("ball", [(MOVING, 0.9), (LATE, 0.8)])
    assert ids == (1, 2)
    return Workbench(media, ScriptedSegmenter({}).open(media), pool)


def test_an_image_is_a_medium_of_one_frame() -> None:
    media = open_media(drawing())
    assert isinstance(media, ImageMedia) and open_media(media) is media
    assert (media.count, media.size, media.time(0)) == (1, (96, 64), 0.0)
    assert media.frame(0).mode == "RGB"


def test_overlap_of_masklets_counts_all_frames() -> None:
    half = Masklet({0: block(0)})
    assert MOVING.iou(MOVING) == 1.0 and MOVING.iou(LATE) == 0.0
    assert MOVING.iou(half) == pytest.approx(60 / 200)


def test_evidence_is_of_the_frame_with_the_largest_mask() -> None:
    work = bench()
    located, zoomed = close_up(work, work.pool.candidates[0])
    assert (located.key.frame, zoomed.key.frame) == (1, 1) and located.key != zoomed.key
    assert str(zoomed.key) == "zoomed-1-f1"
    red, green, blue = np.asarray(zoomed.render())[0, 0]
    assert green > max(red, blue)  # frame 1 is green


def test_the_overview_is_the_frame_with_most_candidates() -> None:
    shown = numbered(bench(), bench().pool.candidates)
    assert (shown.key.frame, shown.key.mask_ids) == (2, (1, 2))


def test_tools_work_on_clips() -> None:
    tools, work = all_tools(), bench()
    facts = tools["measure_masks"].call(work, {}).data["masks"]
    assert [fact["colours"] for fact in facts] == [{"green": 1.0}, {"blue": 1.0}]
    assert len(tools["examine_masks"].call(work, {"ids": [1, 2]}).images) == 4
    assert tools["select_masks"].call(work, {"ids": [1]}).images[0].key.frame == 1


def test_a_selection_on_a_clip_is_saved_with_all_frames(tmp_path: Path) -> None:
    work = bench()
    saved = Selection.from_pool(work.media, work.pool, (1,)).save(tmp_path, "clip", "the ball")
    assert saved.files is not None
    coco = json.loads(saved.files.masks.read_text())
    assert [image["id"] for image in coco["images"]] == [1, 2, 3]
    assert [a["image_id"] for a in coco["annotations"]] == [1, 2, 3]
    assert Image.open(saved.files.overlay).getpixel((30, 20))[1] > 0  # the key frame is green


def test_masklets_survive_json() -> None:
    back = Masklet.from_json(json.loads(json.dumps(MOVING.to_json())))
    assert back is not None and back.iou(MOVING) == 1.0 and back.key_frame == 1


def test_the_local_segmenter_encodes_a_frame_once() -> None:
    frames = [drawing(), drawing().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    segmenter = LocalSegmenter(device="cpu", dtype="float32")
    session = segmenter.open(Clip(frames))
    encoded: list[Image.Image] = []
    original = segmenter.model.image_predictor().encode
    segmenter.model.image_predictor().encode = lambda image: encoded.append(image) or original(image)
    for frame in (0, 1, 1, 0):
        session.segment_phrases(["player"], 0.5, frame)
    assert encoded == [frames[1]]
