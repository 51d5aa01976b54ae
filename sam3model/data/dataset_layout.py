"""Where common datasets keep their annotation files and images."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from sam3model.errors import DataError

_ALIASES = {"val": ("val", "valid", "validation", "mini_val"), "train": ("train", "training")}
_WITH_IMAGES = ("_annotations.coco.json", "annotations_without_background.json", "annotations.json")
"""Annotation files that lie in the folder of their images: Roboflow's, ODinW's, and our own."""
_YEARS = ("", "2017", "2014")


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """The annotation file of a split, and the folders that may hold its images."""

    annotations: Path
    folders: tuple[Path, ...]


def find_files(root: Path, split: str, annotations: str | None = None, images: str | None = None) -> DatasetFiles:
    """The files of a split: those given, else the first common location that exists.

    Raises:
        DataError: `root` is not a folder, or holds no annotation file; the message says where they were looked for.
    """
    if not root.is_dir():
        raise DataError(f"data.root: {root} is not a folder")
    paths = [root / annotations] if annotations else list(_usual(root, split))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DataError(_missing(root, split, annotations))
    if images is not None:
        return DatasetFiles(path, (root / images,))
    names = _names(split)
    inside = [f"{name}{year}" for name in names for year in _YEARS]
    folders = [path.parent, *(root / top / name for top in ("", "images") for name in inside), root / "images", root]
    return DatasetFiles(path, tuple(dict.fromkeys(folder for folder in folders if folder.is_dir())))


def has_split(root: Path, split: str) -> bool:
    """Whether the annotation file of a split is in a common location."""
    return any(path.is_file() for path in _usual(root, split))


def splits(root: Path) -> list[str]:
    """Names of the splits whose annotation files are in a common location."""
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    return [name for name in dict.fromkeys(("train", "val", "test", *folders)) if has_split(root, name)]


def image_path(name: str, folders: Sequence[Path]) -> Path | None:
    """The image file in the first folder that has it; None if it is missing or its name leads out of the folder.

    Backslashes are slashes unless there is a file with such a name, and either Unicode form of an accent is found.
    """
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        return None
    slashes = name.replace("\\", "/")
    forms = (name, slashes, *(unicodedata.normalize(form, slashes) for form in ("NFC", "NFD")))
    return next((path for form in dict.fromkeys(forms) if (path := _first_file(form, folders))), None)


def image_path_at_last(name: str, folders: Sequence[Path], others: Collection[str]) -> Path | None:
    """As `image_path`, but a name with other folders in front is looked for without them, at last as a bare file name.

    Small and capital letters are then alike, if only one file comes into question.

    others: file names of the data set; a file that one of them names exactly belongs to that image.
    """
    if "\0" in name:
        return None
    plain = re.sub(r"^[a-z]+://|[?#].*$", "", name) if "://" in name else name
    for form in dict.fromkeys((plain, unquote(plain))):  # labelling tools write %20
        parts = [part for part in form.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for start in range(len(parts)):
            shorter = "/".join(parts[start:])
            if (shorter == name or shorter not in others) and (path := image_path(shorter, folders)):
                return path
    return _in_other_letters(plain.replace("\\", "/"), folders, others)


def _in_other_letters(name: str, folders: Sequence[Path], others: Collection[str]) -> Path | None:
    """The only file whose name differs from this one in small and capital letters alone; None if there is none."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    if not parts:
        return None
    for folder in folders:
        inner = folder.joinpath(*parts[:-1])
        for place in dict.fromkeys((inner, folder)):
            path = _by_small_letters(place).get(parts[-1].casefold())
            if path and path.name not in others and path.relative_to(folder).as_posix() not in others:
                return path
    return None


@lru_cache(maxsize=4)
def _by_small_letters(folder: Path) -> dict[str, Path | None]:
    """The files of a folder by their names in small letters; None where several read alike."""
    found = dict[str, Path | None]()
    try:
        for path in folder.iterdir():
            if path.is_file():
                name = path.name.casefold()
                found[name] = None if name in found else path
    except OSError:
        return {}
    return found


def _first_file(name: str, folders: Sequence[Path]) -> Path | None:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    try:
        return next((path for folder in folders if (path := folder / name).is_file()), None)
    except OSError:  # a name that is too long
        return None


def _names(split: str) -> tuple[str, ...]:
    return _ALIASES.get(split, (split,))


def _usual(root: Path, split: str) -> list[Path]:
    places = []
    for name in _names(split):
        places += [root / name / file for file in _WITH_IMAGES]
        places += [root / f"{name}_annotations_without_background.json"]
        for folder in (root / "annotations", root):
            places += [folder / f"instances_{name}{year}.json" for year in _YEARS]
            places += [folder / f"lvis_v1_{name}.json", folder / f"{name}.json"]
    return [*places, root / "annotations.json"] if split == "train" else places


def _missing(root: Path, split: str, annotations: str | None) -> str:
    if annotations:
        return f"{root / annotations} does not exist"
    sets = sorted(path.name for path in root.iterdir() if path.is_dir() and has_split(path, split))
    if sets:
        shown = ", ".join(sets[:3]) + (", …" if len(sets) > 3 else "")
        return f"{root} holds {len(sets)} datasets ({shown}): choose one, e.g. data.root={root / sets[0]}"
    return (
        f"{root} has no annotations for {split!r}: looked for {split}/_annotations.coco.json, "
        f"annotations/instances_{split}.json and similar; give the file as data.annotations=FILE"
    )
