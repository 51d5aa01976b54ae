"""Miniature data sets of clips, in the layout of each download."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sam3model.data.clip_annotations import ClipDataset
from sam3model.data.clip_source import AnnotatedClips
from tests.clips import write_clip
from tests.evals.video_datasets import rle, runs

SIZE = (48, 32)
"""Width and height of every clip."""
FRAMES = 12


def red(t: int) -> np.ndarray:
    """The mask of the red object: a rectangle that moves right."""
    mask = np.zeros(SIZE[::-1], bool)
    mask[4:14, 2 + 2 * t : 14 + 2 * t] = True
    return mask


def blue(t: int) -> np.ndarray:
    """The mask of the blue object: below, only from frame 4 on."""
    mask = np.zeros(SIZE[::-1], bool)
    if t >= 4:
        mask[18:28, 30:42] = True
    return mask


OBJECTS: dict[str, Callable[[int], np.ndarray]] = {"1": red, "2": blue}


def picture(t: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Frame `t`, with the number of the frame as the green of the background."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    image[..., 1] = 20 * t
    image[red(t)], image[blue(t)] = (255, 0, 0), (0, 0, 255)
    return np.asarray(Image.fromarray(image).resize(size))


def write_frames(folder: Path, numbers: range = range(FRAMES)) -> list[str]:
    """Frames as PNG files, and their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for t in numbers:
        Image.fromarray(picture(t)).save(folder / f"{t:05d}.png")
    return [f"{t:05d}.png" for t in numbers]


def write_labels(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette([value for label in range(256) for value in (label, 255 - label, 128)])
    image.save(path)


def labels_of(t: int) -> np.ndarray:
    return red(t) * 1 + blue(t) * 2


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def davis(root: Path, videos: int = 3, split: str = "train") -> Path:
    names = [f"{split}{k}" for k in range(videos)]
    (root / "ImageSets/2017").mkdir(parents=True, exist_ok=True)
    (root / f"ImageSets/2017/{split}.txt").write_text("".join(f"{name}\n" for name in names))
    for name in names:
        write_frames(root / "JPEGImages/480p" / name)
        for t in range(FRAMES):
            write_labels(root / f"Annotations/480p/{name}/{t:05d}.png", labels_of(t))
    return root


def mose(root: Path, videos: int = 3, every: int = 1) -> Path:
    """Label maps for every n-th frame, as in YouTube-VOS."""
    for k in range(videos):
        write_frames(root / f"train/JPEGImages/v{k}")
        for t in range(0, FRAMES, every):
            write_labels(root / f"train/Annotations/v{k}/{t:05d}.png", labels_of(t))
    return root


def sav_folders(root: Path, videos: int = 3) -> Path:
    """Object 000 has a mask for every fourth frame, object 001 only from frame 4 on."""
    for k in range(videos):
        write_frames(root / f"sav_train/JPEGImages_24fps/v{k}")
        for t in range(0, FRAMES, 4):
            write_labels(root / f"sav_train/Annotations_6fps/v{k}/000/{t:05d}.png", red(t) * 255)
            if t >= 4:
                write_labels(root / f"sav_train/Annotations_6fps/v{k}/001/{t:05d}.png", blue(t))
    return root


def sav(root: Path, videos: int = 3, video: bool = True, frames: range = range(FRAMES)) -> Path:
    """Videos, or folders with some of the frames, and manual and automatic masks of every fourth frame."""
    for k in range(videos):
        name = f"sav_{k:06d}"
        folder = root / "sav_train/sav_000"
        folder.mkdir(parents=True, exist_ok=True)
        if video:
            write_clip(folder / f"{name}.mp4", FRAMES, size=SIZE, gop=4, draw=lambda t, _: picture(t))
        else:
            write_frames(folder / name, frames)
        common = {"video_id": name, "video_width": float(SIZE[0]), "video_height": float(SIZE[1])}
        common["video_frame_count"] = float(FRAMES)
        manual = [[rle(red(t))] for t in range(0, FRAMES, 4)]
        automatic = [[rle(blue(t))] for t in range(0, FRAMES, 4)]
        write_json(folder / f"{name}_manual.json", common | {"masklet": manual, "masklet_id": [0]})
        write_json(folder / f"{name}_auto.json", common | {"masklet": automatic, "masklet_id": [0]})
    return root


def vis_content(videos: int = 3, frames: int = FRAMES, folder: str = "") -> dict[str, Any]:
    """YouTube-VIS: null where an object is hidden, and uncompressed masks."""
    content: dict[str, Any] = {
        "videos": [], "annotations": [], "categories": [{"id": 1, "name": "red_box"}, {"id": 2, "name": "blue box"}],
    }  # fmt: skip
    for k in range(videos):
        names = [f"{folder}v{k}/{t:05d}.png" for t in range(frames)]
        row = {"id": k, "width": SIZE[0], "height": SIZE[1], "length": frames, "file_names": names}
        content["videos"].append(row)
        for name, mask in OBJECTS.items():
            masks = [runs(mask(t)) if mask(t).any() else None for t in range(frames)]
            number = 10 * k + int(name)
            content["annotations"].append(
                {"id": number, "video_id": k, "category_id": int(name), "segmentations": masks}
            )
    return content


def ytvis(root: Path, videos: int = 3) -> Path:
    for k in range(videos):
        write_frames(root / f"train/JPEGImages/v{k}")
    write_json(root / "train.json", vis_content(videos))
    return root


def lvvis(root: Path, videos: int = 3) -> Path:
    for k in range(videos):
        write_frames(root / f"train/JPEGImages/v{k}")
    write_json(root / "train_instances.json", vis_content(videos))
    return root


def veval(root: Path, videos: int = 3) -> Path:
    """One more video has phrases, but no object."""
    for k in range(videos + 1):
        write_frames(root / f"media/saco_yt1b/JPEGImages_6fps/v{k}")
    content = vis_content(videos + 1)
    content["annotations"] = [row for row in content["annotations"] if row["video_id"] < videos]
    content["video_np_pairs"] = [
        {"video_id": k, "category_id": 1, "noun_phrase": "the red box"} for k in range(videos + 1)
    ]
    for row in content["annotations"]:
        row["noun_phrase"] = "the red box" if row["category_id"] == 1 else "a blue box"
    write_json(root / "annotation/saco_veval_train.json", content)
    return root


def burst(root: Path, videos: int = 3) -> Path:
    """Every third frame is annotated; objects that are not mentioned are hidden."""
    sequences = []
    for k in range(videos):
        names = write_frames(root / f"frames/train/LaSOT/v{k}")
        segments = [
            {name: {"rle": rle(mask(t))["counts"]} for name, mask in OBJECTS.items() if mask(t).any()}
            for t in range(0, FRAMES, 3)
        ]
        sequences.append(
            {
                "dataset": "LaSOT", "seq_name": f"v{k}", "width": SIZE[0], "height": SIZE[1], "all_image_paths": names,
                "annotated_image_paths": names[::3], "segmentations": segments,
                "track_category_ids": {"1": 1, "2": 2},
            }
        )  # fmt: skip
    categories = [{"id": 1, "name": "red_box"}, {"id": 2, "name": "blue box"}]
    write_json(root / "train/all_classes.json", {"sequences": sequences, "categories": categories})
    return root


def source(data: ClipDataset, **settings) -> AnnotatedClips:
    return AnnotatedClips(data, **({"size": 32, "frames": 3, "mask_stride": 2} | settings))


def number_of(frame: torch.Tensor) -> int:
    """The number of a frame, from its background."""
    return round(float((frame[1, 0, 0] + 1) * 127.5) / 20)
