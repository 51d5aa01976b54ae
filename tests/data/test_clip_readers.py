"""Clips of data sets as training samples, and annotations that are malformed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sam3model.data.clip_annotations import mask_pixels
from sam3model.data.clip_burst_reader import read_burst_clips
from sam3model.data.clip_folder_reader import read_davis_clips, read_mose_clips
from sam3model.data.clip_sav_reader import read_sav_clips
from sam3model.data.clip_vis_reader import read_lvvis_clips, read_veval_clips, read_ytvis_clips
from sam3model.data.image_view import shrink
from sam3model.data.transforms import Crop, Flip
from sam3model.errors import DataError
from sam3model.ops.resize import preprocess
from tests.data import clip_data
from tests.data.clip_data import FRAMES, OBJECTS, SIZE, blue, number_of, picture, red, source

READERS = {
    "davis": (clip_data.davis, read_davis_clips),
    "mose": (clip_data.mose, read_mose_clips),
    "ytvis": (clip_data.ytvis, read_ytvis_clips),
    "lvvis": (clip_data.lvvis, read_lvvis_clips),
    "veval": (clip_data.veval, read_veval_clips),
    "burst": (clip_data.burst, read_burst_clips),
    "sav": (clip_data.sav, read_sav_clips),
    "sav_folders": (clip_data.sav_folders, read_sav_clips),
}
EVERY = {"burst": 3, "sav": 4, "sav_folders": 4}
"""Distance of annotated frames."""


def frame_of(name: str) -> int:
    """The first frame of a sample, by its name."""
    return int(name.rsplit("/", 1)[1])


@pytest.mark.parametrize("kind", READERS)
def test_frames_and_masks_are_those_of_the_data_set(kind, tmp_path):
    write, read = READERS[kind]
    data = read(write(tmp_path), "train")
    assert len(data) == 3
    assert not data.faults
    every = EVERY.get(kind, 1)
    for index in range(4):
        sample = source(data)(index)
        first = frame_of(sample.name)
        assert first % every == 0
        for k in range(3):
            expected = preprocess(picture(first + k * every), 32)
            assert (sample.frames[k] - expected).abs().mean() < (0.03 if kind == "sav" else 1e-6)
            allowed = [shrink(mask(first + k * every)[None], 16)[0] for mask in OBJECTS.values()]
            for mask in sample.masks[k].numpy():
                assert any(np.array_equal(mask, one) for one in allowed)
        assert sample.masks[0].any((1, 2)).all()
        assert sample.annotated.all()


@pytest.mark.parametrize("kind", ["ytvis", "veval", "burst"])
def test_objects_have_the_phrase_of_their_class(kind, tmp_path):
    write, read = READERS[kind]
    clip = read(write(tmp_path), "train").clips[0].open()
    expected = {"the red box", "a blue box"} if kind == "veval" else {"red box", "blue box"}
    assert set(clip.phrases.values()) == expected


def test_hidden_and_unknown_objects_differ(tmp_path):
    """Where a format says that an object is hidden, an empty mask is the truth; where it says nothing, it is not."""
    hidden = read_ytvis_clips(clip_data.ytvis(tmp_path / "a"), "train").clips[0].open().masks(0)
    assert set(hidden.masks) == {"1"}
    assert not hidden.unknown
    unknown = read_sav_clips(clip_data.sav_folders(tmp_path / "b"), "train").clips[0].open().masks(0)
    assert unknown.unknown == {"001"}


def test_samples_depend_on_seed_and_number_alone(tmp_path):
    data = read_davis_clips(clip_data.davis(tmp_path), "train")
    one, same = source(data, seed=3)(17), source(data, seed=3)(17)
    assert one.name == same.name
    assert torch.equal(one.frames, same.frames)
    assert torch.equal(one.masks, same.masks)
    assert len({source(data, seed=seed)(17).name for seed in range(8)}) > 1
    epoch = {source(data)(index).name.rsplit("/", 1)[0] for index in range(3)}
    assert len(epoch) == 3, "each clip once per epoch"


def test_the_distance_of_frames_is_drawn_and_shortened_for_short_clips(tmp_path):
    data = read_davis_clips(clip_data.davis(tmp_path), "train")
    steps = set()
    for index in range(12):
        sample = source(data, frames=4, stride=(1, 3))(index)
        greens = [number_of(frame) for frame in sample.frames]
        steps |= set(np.diff(greens))
        assert greens[0] == frame_of(sample.name)
    assert steps == {1, 2, 3}
    sample = source(data, frames=8, stride=(5, 5))(0)
    greens = [number_of(frame) for frame in sample.frames]
    assert set(np.diff(greens)) == {1}


def test_reversed_samples_run_backwards(tmp_path):
    data = read_davis_clips(clip_data.davis(tmp_path), "train")
    for index in range(6):
        sample = source(data, reverse=1.0, stride=(2, 2))(index)
        greens = [number_of(frame) for frame in sample.frames]
        assert set(np.diff(greens)) == {-2}


def test_a_clip_that_is_too_short_turns_around(tmp_path):
    data = read_sav_clips(clip_data.sav_folders(tmp_path), "train")  # three annotated frames: 0, 4, 8
    sample = source(data, frames=5, objects=1)(0)
    greens = [number_of(frame) for frame in sample.frames]
    first = frame_of(sample.name)
    assert greens == {0: [0, 4, 8, 4, 0], 4: [4, 8, 4, 0, 4], 8: [8, 4, 0, 4, 8]}[first]


def test_frames_between_annotated_ones_are_not_annotated(tmp_path):
    data = read_burst_clips(clip_data.burst(tmp_path), "train")
    sample = source(data, frames=4, between=True, objects=1)(0)
    assert frame_of(sample.name) % 3 == 0
    numbers = [number_of(frame) for frame in sample.frames]
    assert sample.annotated[:, 0].tolist() == [number % 3 == 0 for number in numbers]
    assert not sample.masks[~sample.annotated].any()


def test_an_object_that_is_not_annotated_on_a_frame_has_no_mask_there(tmp_path):
    data = read_sav_clips(clip_data.sav_folders(tmp_path), "train")
    sample = source(data, frames=3, reverse=1.0, objects=2)(0)
    assert frame_of(sample.name) == 8
    assert sample.annotated.tolist() == [[True, True], [True, True], [True, False]]


def test_automatic_masks_of_sa_v_are_used_when_wanted(tmp_path):
    clip_data.sav(tmp_path)
    names = [set(read_sav_clips(tmp_path, "train", automatic=flag).clips[0].open().masks(4).masks) for flag in (0, 1)]
    assert names == [{"manual 0"}, {"manual 0", "automatic 0"}]


def test_a_clip_of_sa_v_with_automatic_masks_alone_is_read(tmp_path):
    folder = clip_data.sav(tmp_path, videos=1) / "sav_train/sav_000"
    content = json.loads((folder / "sav_000000_manual.json").read_text())
    (folder / "sav_000000_manual.json").write_text(json.dumps(content | {"masklet": [], "masklet_id": []}))
    clip = read_sav_clips(tmp_path, "train", automatic=True).clips[0].open()
    assert set(clip.masks(4).masks) == {"automatic 0"}


def test_annotations_of_sa_v_beyond_the_last_frame_are_missing_frames(tmp_path):
    root = clip_data.sav(tmp_path, videos=1, video=False, frames=range(8))
    clips = source(read_sav_clips(root, "train"), frames=3)
    assert clips(0).frames.shape[0] == 3
    assert clips.faults.found == {"frame is missing": {"sav_000000/8": None}}


@pytest.mark.parametrize("frames", [range(FRAMES), range(0, FRAMES, 4)])
def test_extracted_frames_of_sa_v_are_found_by_their_numbers(frames, tmp_path):
    clip = read_sav_clips(clip_data.sav(tmp_path, video=False, frames=frames), "train").clips[0].open()
    assert clip.annotated == (0, 4, 8)
    for t in clip.annotated:
        assert np.array_equal(clip.frames.read(t).permute(1, 2, 0).numpy(), picture(t))
        assert np.array_equal(mask_pixels(clip.masks(t).masks["manual 0"], clip.size), red(t))


def test_transforms_are_the_same_for_all_frames(tmp_path):
    data = read_davis_clips(clip_data.davis(tmp_path), "train")
    plain, mirrored = (source(data, transforms=some)(2) for some in ((), (Flip(1.0),)))
    assert torch.equal(plain.frames.flip(-1), mirrored.frames)
    assert torch.equal(plain.masks.flip(-1), mirrored.masks)
    cropped = source(data, transforms=(Crop(0.5, 0.5, 0.5, 1.0),), objects=1)(2)
    assert cropped.masks[0].any()
    assert cropped.masks.sum() > plain.masks[:, :1].sum()


def edited(root: Path, change) -> Path:
    """The annotation file of `ytvis`, changed."""
    path = root / "train.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return root


def test_a_malformed_mask_is_unknown_and_counted(tmp_path):
    def change(content):
        content["annotations"][0]["segmentations"][2] = {"size": [32, 48], "counts": [7]}
        content["annotations"][0]["segmentations"][3] = {"size": [30, 48], "counts": "x"}

    data = read_ytvis_clips(edited(clip_data.ytvis(tmp_path), change), "train")
    assert data.faults.counts() == {
        "RLE 'counts' do not add up to the image area": 1,
        "'segmentation' has another size than the image": 1,
    }
    clip = data.clips[0].open()
    assert clip.masks(2).unknown == {"1"}
    assert set(clip.masks(4).masks) == {"1", "2"}


def test_malformed_videos_are_left_out_and_missing_frames_counted(tmp_path):
    def change(content):
        content["videos"][0]["width"] = "wide"
        del content["videos"][1]["file_names"]
        content["annotations"][5]["segmentations"].pop()

    root = edited(clip_data.ytvis(tmp_path, videos=4), change)
    (root / "train/JPEGImages/v3/00001.png").unlink()
    data = read_ytvis_clips(root, "train", broken=0.6)
    assert [record.name for record in data.clips] == ["2", "3"]
    assert data.faults.counts() == {
        "'width' or 'height' is invalid": 1,
        "the field 'file_names' is missing": 1,
        "frame is missing": 1,
        "'segmentations' does not have one entry per frame": 1,
    }
    assert list(data.clips[0].open().masks(5).masks) == ["21"]
    with pytest.raises(DataError, match=r"2 of 4 clips of .*train.json are unusable, more than data.broken=0.4 allows"):
        read_ytvis_clips(root, "train", broken=0.4)


def test_frames_outside_the_data_set_are_not_read(tmp_path):
    def change(content):
        content["videos"][0]["file_names"] = [f"../../../v0/{t:05d}.png" for t in range(FRAMES)]

    data = read_ytvis_clips(edited(clip_data.ytvis(tmp_path / "set"), change), "train", broken=0.5)
    assert [record.name for record in data.clips] == ["1", "2"]
    assert data.faults.counts() == {"fewer than 2 frames are there": 1}


def test_a_folder_that_is_missing_is_counted(tmp_path):
    root = clip_data.davis(tmp_path)
    (root / "Annotations/480p/train0").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"1 of 3 clips of .* are unusable, more than data.broken=0.1 allows"):
        read_davis_clips(root, "train")
    assert len(read_davis_clips(root, "train", broken=0.5)) == 2


def test_frames_without_a_label_map_are_skipped_over(tmp_path):
    clip = read_mose_clips(clip_data.mose(tmp_path, every=5), "train").clips[0].open()
    assert clip.annotated == (0, 5, 10)
    assert np.array_equal(mask_pixels(clip.masks(5).masks["2"], SIZE), blue(5))


def test_a_category_that_is_no_id_leaves_an_object_without_a_phrase(tmp_path):
    path = clip_data.burst(tmp_path / "burst") / "train/all_classes.json"
    content = json.loads(path.read_text())
    content["sequences"][0]["track_category_ids"]["1"] = [1]
    path.write_text(json.dumps(content))
    assert read_burst_clips(tmp_path / "burst", "train").clips[0].open().phrases == {"2": "blue box"}

    def change(content):
        content["annotations"][0]["category_id"] = {"id": 1}

    clips = read_ytvis_clips(edited(clip_data.ytvis(tmp_path / "ytvis"), change), "train").clips
    assert set(clips[0].open().phrases.values()) == {"blue box"}


def as_text(content):
    """Ids and sizes as a labelling tool writes them, and flags in words."""
    for row in content["videos"]:
        row.update(id=str(row["id"]), width=float(row["width"]))
    for row in content["annotations"]:
        row.update(video_id=float(row["video_id"]), category_id=str(row["category_id"]), iscrowd="0")
    content["categories"][1].update(id=2.0)


def test_numbers_may_be_floats_or_text(tmp_path):
    data = read_ytvis_clips(edited(clip_data.ytvis(tmp_path / "ytvis"), as_text), "train")
    assert [record.name for record in data.clips] == ["0", "1", "2"]
    assert data.clips[0].open().phrases == {"1": "red box", "2": "blue box"}

    path = clip_data.burst(tmp_path / "burst") / "train/all_classes.json"
    content = json.loads(path.read_text())
    content["sequences"][0].update(width=float(SIZE[0]), track_category_ids={"1": "1", "2": 2.0})
    path.write_text(json.dumps(content))
    assert read_burst_clips(tmp_path / "burst", "train").clips[0].open().phrases == {"1": "red box", "2": "blue box"}


def test_objects_of_no_video_and_videos_with_one_id_are_counted(tmp_path):
    def change(content):
        content["annotations"][5]["video_id"] = 77
        content["videos"][1]["id"] = 0

    root = edited(clip_data.ytvis(tmp_path), change)
    data = read_ytvis_clips(root, "train", broken=0.6)
    assert [record.name for record in data.clips] == ["0", "2"]
    assert data.faults.counts() == {"'video_id' is not in the file": 3, "'id' is missing or not unique": 1}
    edited(root, lambda content: content["videos"][1].update(id=1))
    with pytest.raises(DataError, match=r"1 of 6 annotations of .* are unusable, more than data.broken=0.1 allows"):
        read_ytvis_clips(root, "train")


def test_two_objects_with_one_id_are_two_objects(tmp_path):
    root = edited(clip_data.ytvis(tmp_path), lambda content: content["annotations"][1].update(id=1))
    clip = read_ytvis_clips(root, "train").clips[0].open()
    assert len(clip.masks(5).masks) == 2
    assert sorted(clip.phrases.values()) == ["blue box", "red box"]


@pytest.mark.parametrize("kind", ["ytvis", "burst"])
def test_two_classes_with_one_id_are_refused(kind, tmp_path):
    root = getattr(clip_data, kind)(tmp_path)
    path = root / ("train.json" if kind == "ytvis" else "train/all_classes.json")
    content = json.loads(path.read_text())
    content["categories"][1]["id"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="category 1 is 'red box' and 'blue box'"):
        (read_ytvis_clips if kind == "ytvis" else read_burst_clips)(root, "train")


def test_a_clip_that_is_listed_twice_is_read_once(tmp_path):
    davis = clip_data.davis(tmp_path / "davis")
    with (davis / "ImageSets/2017/train.txt").open("a") as file:
        file.write("train0\n")
    assert [record.name for record in read_davis_clips(davis, "train").clips] == ["train0", "train1", "train2"]

    path = clip_data.burst(tmp_path / "burst") / "train/all_classes.json"
    content = json.loads(path.read_text())
    content["sequences"].append(content["sequences"][0])
    names = content["sequences"][1]["annotated_image_paths"]
    names[1] = names[0]
    path.write_text(json.dumps(content))
    data = read_burst_clips(tmp_path / "burst", "train", broken=0.5)
    assert [record.name for record in data.clips] == ["LaSOT/v0", "LaSOT/v2"]
    assert data.faults.counts() == {"its name is not unique": 1, "'annotated_image_paths' has a frame twice": 1}


@pytest.mark.parametrize(
    ("convert", "reason"),
    [
        (lambda labels: Image.fromarray((labels > 0) * np.uint8(255)), "files have only label 255, which is void"),
        (lambda labels: Image.fromarray(labels).convert("RGB"), "file is no indexed or 8-bit grey PNG of labels"),
        (lambda labels: Image.fromarray(labels).convert("LA"), "file is no indexed or 8-bit grey PNG of labels"),
        (lambda labels: Image.fromarray(labels.astype(np.uint16)), "file is no indexed or 8-bit grey PNG of labels"),
    ],
)
def test_what_is_wrong_with_label_maps_is_said(convert, reason, tmp_path):
    root = clip_data.davis(tmp_path, videos=1)
    for path in (root / "Annotations").rglob("*.png"):
        convert(np.asarray(Image.open(path))).save(path)
    with pytest.raises(DataError, match=f"100 clips in a row cannot be used: .*most often: mask {reason}"):
        source(read_davis_clips(root, "train"))(0)


def test_a_frame_with_void_alone_shows_that_the_objects_are_gone(tmp_path):
    root = clip_data.davis(tmp_path, videos=1)
    for t in range(1, FRAMES):
        clip_data.write_labels(root / f"Annotations/480p/train0/{t:05d}.png", 255 * red(t))
    data = read_davis_clips(root, "train")
    empty = data.clips[0].open().masks(1)
    assert not empty.masks
    assert not empty.unknown
    clips = source(data)
    sample = clips(0)
    assert sample.masks[0].any()
    assert not sample.masks[1:].any()
    assert sample.annotated.all()
    assert not clips.faults
