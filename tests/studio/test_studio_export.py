"""Exports hold the same masks in every format, read back by readers that are not the writers."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.masks import Mask
from sam3agent.servers.studio.brush_masks import brush_rle
from sam3model.ops.masks import decode_rle
from tests.studio.studio_desk import FRAMES, SIZE, StudioClient


def exported(desk: StudioClient, name: str, which: str = "accepted") -> zipfile.ZipFile:
    reply = desk.client.get(f"/api/export/{name}?which={which}")
    assert reply.status_code == 200, reply.text
    return zipfile.ZipFile(io.BytesIO(reply.content))


@pytest.fixture
def labelled(desk: StudioClient) -> StudioClient:
    """Two players on an accepted image, one of them on an image that is not accepted, and a followed clip."""
    desk.post("find", phrases=["player", "ball"])
    desk.post("accept", accepted=True)
    desk.post("click", "two.png", click=[6, 22, 1], label="keeper")
    desk.post("find", "walk.mp4", phrases=["player"])
    desk.post("follow", "walk.mp4")
    desk.followed()
    desk.post("accept", "walk.mp4", accepted=True)
    return desk


def test_coco(labelled: StudioClient) -> None:
    with exported(labelled, "coco") as archive:
        data = json.loads(archive.read("annotations.json"))
        names = archive.namelist()
    assert [image["file_name"] for image in data["images"]][:2] == ["one.png", "walk.mp4/000000.jpg"]
    assert len(data["images"]) == 1 + FRAMES and "walk.mp4/000011.jpg" in names
    assert data["categories"] == [{"id": 1, "name": "player"}], "rejected objects are left out"
    ours = [one for one in data["annotations"] if one["image_id"] == 1]
    assert [one["bbox"] for one in ours] == [[4, 20, 12, 24], [70, 30, 12, 26]]
    assert decode_rle(ours[0]["segmentation"]).sum() == ours[0]["area"] == 12 * 24
    assert {one["track_id"] for one in data["annotations"] if one["image_id"] > 1} == {1, 2}


def test_all_items_with_objects(labelled: StudioClient) -> None:
    with exported(labelled, "coco", "all") as archive:
        data = json.loads(archive.read("annotations.json"))
    assert "two.png" in [image["file_name"] for image in data["images"]]
    assert [one["name"] for one in data["categories"]] == ["keeper", "player"]


def test_yolo(labelled: StudioClient) -> None:
    with exported(labelled, "yolo") as archive:
        lines = archive.read("labels/one.txt").decode().splitlines()
        assert 'names:\n  0: "player"' in archive.read("data.yaml").decode()
        assert Image.open(io.BytesIO(archive.read("images/one.png"))).size == SIZE
        assert "labels/walk.mp4/000003.txt" in archive.namelist()
    number, *places = lines[0].split()
    corners = np.array(places, float).reshape(-1, 2) * SIZE
    assert number == "0" and np.allclose([corners.min(0), corners.max(0)], [[4, 20], [16, 44]], atol=0.51)


def test_images_that_differ_in_their_endings_have_files_of_their_own(desk: StudioClient, folder: Path) -> None:
    Image.new("RGB", SIZE).save(folder / "one.bmp")
    desk.items |= {item["name"]: item["id"] for item in desk.get("items")["items"]}
    for name in ("one.png", "one.bmp"):
        desk.look(name)
        desk.post("accept", name, accepted=True)
    with exported(desk, "yolo") as archive:
        names = archive.namelist()
        assert not archive.read("data.yaml").startswith(b"path")
    assert len(set(names)) == len(names) == 5 and sum(name.startswith("labels/") for name in names) == 2


def test_png(labelled: StudioClient) -> None:
    with exported(labelled, "png") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("masks.csv").decode())))
        mask = np.asarray(Image.open(io.BytesIO(archive.read(rows[0]["mask"]))))
    assert rows[0]["image"] == "one.png" and rows[0]["label"] == "player" and rows[0]["area"] == "288"
    assert mask.shape == (SIZE[1], SIZE[0]) and set(np.unique(mask)) == {0, 255} and (mask > 0).sum() == 288


def test_label_studio(labelled: StudioClient) -> None:
    with exported(labelled, "label-studio") as archive:
        task = json.loads(archive.read("tasks.json"))[0]
        config = archive.read("label-config.xml").decode()
    assert '<Label value="player"/>' in config and task["data"]["image"] == "/data/local-files/?d=one.png"
    result = task["annotations"][0]["result"][0]
    assert result["value"]["brushlabels"] == ["player"] and result["original_width"] == SIZE[0]
    pixels = np.array(read_brush(result["value"]["rle"]), np.uint8).reshape(SIZE[1], SIZE[0], 4)
    assert (pixels[..., 3] > 0).sum() == 288 and pixels[20, 4].tolist() == [255] * 4


def test_nothing_to_export_says_what_to_do(desk: StudioClient) -> None:
    for which, words in (("accepted", "accept an image first"), ("all", "no objects yet")):
        reply = desk.client.get(f"/api/export/coco?which={which}")
        assert reply.status_code == 400 and words in reply.json()["error"]
    reply = desk.client.get("/api/export/cocoo?which=all")
    assert reply.status_code == 400 and "did you mean 'coco'" in reply.json()["error"]


def test_an_accepted_image_without_objects_is_exported_as_empty(desk: StudioClient) -> None:
    desk.look()
    desk.post("accept", accepted=True)
    with exported(desk, "coco") as archive:
        data = json.loads(archive.read("annotations.json"))
    assert [image["file_name"] for image in data["images"]] == ["one.png"] and data["annotations"] == []


def test_a_turned_photograph_is_exported_upright(desk: StudioClient, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 96), (200, 30, 30)).save(folder / "turned.jpg", exif=exif)
    desk.items |= {item["name"]: item["id"] for item in desk.get("items")["items"]}
    assert desk.look("turned.jpg")["width"] == 96
    desk.post("accept", "turned.jpg", accepted=True)
    with exported(desk, "yolo") as archive:
        assert Image.open(io.BytesIO(archive.read("images/turned.jpg"))).size == (96, 64)


def read_brush(data: list[int]) -> list[int]:
    """Label Studio's own way to read its brush masks, bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    length, word, sizes, out = take(32), take(5) + 1, None, list[int]()
    sizes = [take(4) + 1 for _ in range(4)]
    while len(out) < length:
        run, count = take(1), take(sizes[take(2)]) + 1
        out += [take(word)] * count if run else [take(word) for _ in range(count)]
    return out


def ragged(seed: int) -> Mask:
    """A mask of several parts with holes, some of which touch by their corners."""
    mask = Mask.from_full(np.random.default_rng(seed).random((14, 19)) < 0.55)
    assert mask is not None
    return mask


@pytest.mark.parametrize("seed", range(4))
def test_brush_masks_are_read_back(seed: int) -> None:
    mask = ragged(seed)
    pixels = np.array(read_brush(brush_rle(mask))).reshape(mask.height, mask.width, 4)
    assert ((pixels == 255) == mask.full()[..., None]).all()


def test_a_long_run_is_split() -> None:
    full = np.zeros((300, 400), bool)
    full[10:290] = True
    mask = Mask.from_full(full)
    assert mask is not None
    assert (np.array(read_brush(brush_rle(mask))).reshape(300, 400, 4)[..., 0] == full * 255).all()
