"""Where the data sets of clips keep their annotations and frames, as downloaded."""

from pathlib import Path
from typing import NamedTuple

from sam3model.data.dataset_paths import first_existing, folders, inside
from sam3model.errors import DataError, InputError
from sam3model.files import read_regular

VIS_FRAMES = ("{split}/JPEGImages", "JPEGImages", "")
"""Folders that may hold the frames of YouTube-VIS and LV-VIS, relative to the root."""
VEVAL_FRAMES = (
    "media/saco_sav/JPEGImages_24fps", "media/saco_yt1b/JPEGImages_6fps", "media/saco_sg/JPEGImages_6fps", "",
)  # fmt: skip
MAX_LIST_BYTES = 1 << 26
"""Maximum size of a file with the names of videos."""
BURST_FRAMES = ("frames/{split}", "frames", "{split}")


class VosFolders(NamedTuple):
    """Where a split has its annotations and frames, and the names of its videos."""

    annotations: Path
    frames: Path
    videos: list[str]


def davis_folders(root: Path, split: str) -> VosFolders:
    """The folders of DAVIS 2017 at 480p. Raises `DataError`."""
    videos = _listed(inside(root, "ImageSets", "2017", f"{split}.txt"))
    return VosFolders(inside(root, "Annotations", "480p"), inside(root, "JPEGImages", "480p"), videos)


def mose_folders(root: Path, split: str) -> VosFolders:
    """The folders of MOSE. Raises `DataError`."""
    annotations = inside(root, split, "Annotations")
    return VosFolders(annotations, inside(root, split, "JPEGImages"), folders(annotations))


def sav_folders(root: Path, split: str) -> VosFolders:
    """The folders of SA-V: frames at 24 per second, annotations at 6. Raises `DataError`."""
    name = f"sav_{split}"
    annotations = inside(root, name, "Annotations_6fps")
    listed = inside(root, name, f"{name}.txt")
    videos = _listed(listed) if listed.exists() else folders(annotations)
    return VosFolders(annotations, inside(root, name, "JPEGImages_24fps"), videos)


def sav_split(root: Path, split: str) -> Path:
    """The folder of a split of SA-V, in whichever form. Raises `DataError` if it is missing."""
    return first_existing(root, f"sav_{split}", split)


def ytvis_annotations(root: Path, split: str) -> Path:
    """The annotation file of YouTube-VIS. Raises `DataError` if it is missing."""
    return first_existing(root, f"{split}.json", f"{split}/instances.json", f"annotations/instances_{split}.json")


def lvvis_annotations(root: Path, split: str) -> Path:
    """The annotation file of LV-VIS. Raises `DataError` if it is missing."""
    name = f"{split}_instances.json"
    return first_existing(root, f"{split}/{name}", name, f"annotations/{name}")


def veval_annotations(root: Path, split: str) -> Path:
    """The annotation file of SA-Co/VEval. Raises `DataError` if it is missing."""
    name = f"saco_veval_{split}"
    return first_existing(root, f"annotation/{name}.json", f"{name}.json")


def burst_annotations(root: Path, split: str) -> Path:
    """The annotation file of BURST with all classes. Raises `DataError` if it is missing."""
    return first_existing(root, f"{split}/all_classes.json", f"annotations/{split}/all_classes.json")


def _listed(path: Path) -> list[str]:
    """The lines of a text file that are not empty, each once."""
    try:
        text = read_regular(path, MAX_LIST_BYTES).decode("utf-8-sig", errors="replace")
    except InputError as error:
        raise DataError(str(error)) from error
    return list(dict.fromkeys(line for raw in text.splitlines() if (line := raw.strip())))
