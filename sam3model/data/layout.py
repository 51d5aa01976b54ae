"""Where the usual data sets keep their annotations and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sam3model.errors import DataError

_ALIASES = {"val": ("val", "valid", "validation", "mini_val"), "train": ("train", "training")}
_BESIDE = ("_annotations.coco.json", "annotations_without_background.json", "annotations.json")
"""Files that lie in the folder of their pictures: Roboflow's, ODinW's, and our own."""
_YEARS = ("", "2017", "2014")


@dataclass(frozen=True, slots=True)
class Place:
    """An annotation file and the folders in which its pictures may lie."""

    annotations: Path
    folders: tuple[Path, ...]


def find(root: Path, split: str, annotations: str | None = None, images: str | None = None) -> Place:
    """The files of a split: where the settings say, or the first usual place that is there.

    Raises:
        DataError: no such folder, or no annotation file in it; names what it holds instead.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder")
    paths = [root / annotations] if annotations else list(_usual(root, split))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DataError(_missing(root, split, annotations))
    if images is not None:
        return Place(path, (root / images,))
    names = _names(split)
    inside = [f"{name}{year}" for name in names for year in _YEARS]
    folders = [path.parent, *(root / top / name for top in ("", "images") for name in inside), root / "images", root]
    return Place(path, tuple(dict.fromkeys(folder for folder in folders if folder.is_dir())))


def has_split(root: Path, split: str) -> bool:
    """Whether a usual annotation file of this split is there."""
    return any(path.is_file() for path in _usual(root, split))


def splits(root: Path) -> list[str]:
    """Names of the parts whose usual annotation files are there."""
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    return [name for name in dict.fromkeys(("train", "val", "test", *folders)) if has_split(root, name)]


def picture_path(name: str, folders: Sequence[Path]) -> Path | None:
    """The picture of this name, in the first folder that has it; None if it is missing or its name leads out."""
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        return None
    return next((path for folder in folders if (path := folder / name).is_file()), None)


def _names(split: str) -> tuple[str, ...]:
    return _ALIASES.get(split, (split,))


def _usual(root: Path, split: str) -> list[Path]:
    places = []
    for name in _names(split):
        places += [root / name / file for file in _BESIDE]
        places += [root / f"{name}_annotations_without_background.json"]
        for folder in (root / "annotations", root):
            places += [folder / f"instances_{name}{year}.json" for year in _YEARS]
            places += [folder / f"lvis_v1_{name}.json", folder / f"{name}.json"]
    return [*places, root / "annotations.json"] if split == "train" else places


def _missing(root: Path, split: str, annotations: str | None) -> str:
    if annotations:
        return f"there is no {root / annotations}"
    sets = sorted(path.name for path in root.iterdir() if path.is_dir() and has_split(path, split))
    if sets:
        shown = ", ".join(sets[:3]) + (", …" if len(sets) > 3 else "")
        return f"{root} holds {len(sets)} data sets ({shown}): name one of them, as data.root={root / sets[0]}"
    return (
        f"{root} has no annotations for {split!r}: looked for {split}/_annotations.coco.json, "
        f"annotations/instances_{split}.json and the like; name the file as data.annotations=FILE"
    )
