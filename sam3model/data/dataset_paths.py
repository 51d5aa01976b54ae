"""Paths and folders of data sets, which may name files that are missing or lie elsewhere."""

from collections.abc import Callable
from pathlib import Path

from sam3model.errors import DataError
from sam3model.frames.frame_folder import IMAGE_SUFFIXES, natural_key


def inside(root: Path, *names: str) -> Path:
    """Path of a file under the root of a data set.

    Raises `DataError` if the path is outside the root, also through links.
    """
    path = root.joinpath(*names)
    base = root.resolve()
    try:
        escapes = not path.resolve().is_relative_to(base)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{root}: {'/'.join(names)!r} is not a valid path") from error
    if escapes:
        raise DataError(f"{root}: {'/'.join(names)!r} is outside the data set")
    return path


def first_existing(root: Path, *names: str) -> Path:
    """The first of several possible paths that exists. Raises `DataError` if none does."""
    for name in names:
        if (path := inside(root, name)).exists():
            return path
    raise DataError(f"{root}: {' or '.join(names)} is missing")


def folders(folder: Path) -> list[str]:
    """Sorted names of the subfolders. Raises `DataError` if the folder cannot be listed."""
    return _names(folder, lambda path: path.is_dir())


def png_names(folder: Path) -> list[str]:
    """Sorted names of the PNG files. Raises `DataError` if the folder cannot be listed."""
    return _names(folder, lambda path: path.suffix == ".png")


def frame_files(folder: Path) -> tuple[tuple[Path, ...], dict[str, int]]:
    """The frames of a video in order, and the number of each by its name without suffix.

    Raises `DataError` if the folder cannot be listed, has no images, or two images of one frame.
    """
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}") from error
    if not paths:
        raise DataError(f"{folder} contains no images")
    files = tuple(sorted(paths, key=natural_key))
    numbers = {path.stem: number for number, path in enumerate(files)}
    if len(numbers) < len(files):
        raise DataError(f"{folder} contains two images of one frame")
    return files, numbers


def _names(folder: Path, accept: Callable[[Path], bool]) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and accept(path))
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}") from error
