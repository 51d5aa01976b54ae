"""Annotations of images and clips: a data set with what is usable, or one line; masks are read or refused as well."""

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from sam3model.data.clip_annotations import ClipDataset, ClipRecord, mask_pixels
from sam3model.data.clip_burst_reader import read_burst_clips
from sam3model.data.clip_sav_reader import read_sav_clips
from sam3model.data.clip_vis_reader import read_lvvis_clips, read_veval_clips, read_ytvis_clips
from sam3model.data.coco_dataset import read_coco
from sam3model.data.dataset_layout import DatasetFiles, find_files
from sam3model.data.saco_dataset import read_saco
from sam3model.errors import DataError
from sam3model.ops.masks import encode_rle
from tests.data import annotated_sets, clip_data
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import damaged_bytes, damaged_json

CLIPS: dict[str, tuple[Callable[..., Path], Callable[..., ClipDataset], str]] = {
    "ytvis": (clip_data.ytvis, read_ytvis_clips, "train.json"),
    "lvvis": (clip_data.lvvis, read_lvvis_clips, "train_instances.json"),
    "veval": (clip_data.veval, read_veval_clips, "annotation/saco_veval_train.json"),
    "burst": (clip_data.burst, read_burst_clips, "train/all_classes.json"),
    "sav": (clip_data.sav, read_sav_clips, "sav_train/sav_000/sav_000000_manual.json"),
}


@cache
def original(kind: str) -> tuple[Path, bytes]:
    """A small data set of a kind, which stays until the tests end, and its annotation file."""
    root = Path(tempfile.mkdtemp(prefix="sam3agent-fuzz-"))
    write, _, name = CLIPS[kind]
    write(root, 1)
    return root, (root / name).read_bytes()


@cache
def coco_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        annotated_sets.small_coco(Path(folder), count=3)
        return (Path(folder) / "train/_annotations.coco.json").read_bytes()


def damaged(data: Callable[[], bytes]) -> st.SearchStrategy[bytes]:
    """An annotation file with other values or other bytes."""
    values = st.deferred(lambda: damaged_json(json.loads(data()))).map(lambda value: json.dumps(value).encode())
    return values | st.deferred(lambda: damaged_bytes(data(), most=2))


def in_a_line(error: Exception) -> None:
    assert "\n" not in str(error) and 0 < len(str(error)) < 1500


@fuzzed(damaged(coco_file), st.sampled_from([0.0, 0.1, 1.0]), st.booleans(), quick=40)
def test_coco(folder: Path, content: bytes, broken: float, masks: bool) -> None:
    for number in (1, 2, 3):
        annotated_sets.write_image(folder / f"train/{number}.png", number)
    (folder / "train/_annotations.coco.json").write_bytes(content)
    try:
        files = find_files(folder, "train")
        data = read_coco(files, masks=masks, broken=broken)
    except DataError as error:
        in_a_line(error)
        return
    for image in data.images:
        for phrase in image.phrases:
            for one in phrase.annotations:
                x0, y0, x1, y1 = one.box
                assert x0 <= x1 and y0 <= y1


@fuzzed(
    st.sampled_from(sorted(CLIPS)).flatmap(lambda kind: st.tuples(st.just(kind), damaged(lambda: original(kind)[1]))),
    quick=30,
)
def test_clips(folder: Path, case: tuple[str, bytes]) -> None:
    kind, content = case
    source, _ = original(kind)
    _, read, name = CLIPS[kind]
    shutil.copytree(source, folder / "set", copy_function=lambda a, b: Path(b).symlink_to(a))
    (folder / "set" / name).unlink()
    (folder / "set" / name).write_bytes(content)
    try:
        data = read(folder / "set", "train", broken=1.0)
    except DataError as error:
        in_a_line(error)
        return
    for record in data.clips:
        look_at(record)


def look_at(record: ClipRecord) -> None:
    """Every annotated frame of a clip with its masks, of the size that the clip has."""
    try:
        clip = record.open()
    except DataError as error:
        in_a_line(error)
        return
    with closing(clip.frames):
        for t in clip.annotated[:40]:
            try:
                found = clip.masks(t)
                frame = clip.frames.read(t)
            except DataError as error:
                in_a_line(error)
                continue
            assert tuple(frame.shape) == (3, clip.size[1], clip.size[0])
            for mask in found.masks.values():
                assert mask_pixels(mask, clip.size).shape == (clip.size[1], clip.size[0])


PAIRS = {
    "images": [
        {"id": n, "file_name": f"{n}.png", "width": 40, "height": 30, "text_input": text, "is_instance_exhaustive": 1}
        for n, text in ((1, "cat"), (2, "dog"), (3, "cat"))
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "bbox": [0.1, 0.2, 0.3, 0.3], "area": 0.09, "iscrowd": 0,
         "segmentation": encode_rle(annotated_sets.blob(1))},
    ],
    "categories": [{"id": 1, "name": "visual"}],
}  # fmt: skip


@fuzzed(damaged(lambda: json.dumps(PAIRS).encode()), quick=30)
def test_pairs_of_images_and_phrases(folder: Path, content: bytes) -> None:
    for number in (1, 2, 3):
        annotated_sets.write_image(folder / f"{number}.png", number)
    (folder / "pairs.json").write_bytes(content)
    try:
        data = read_saco(DatasetFiles(folder / "pairs.json", (folder,)), broken=1.0)
    except DataError as error:
        in_a_line(error)
        return
    assert all(min(image.size) > 0 for image in data.images)
