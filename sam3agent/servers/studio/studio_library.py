"""What the studio may open: the images and clips named on the command line, each under an id made from its path.

The page names items by these ids only, never by paths, so it can reach no other file.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from sam3agent.media import CLIP_SUFFIXES, is_clip
from sam3model.errors import InputError
from sam3model.files import expanded

ItemKind = Literal["image", "clip"]


@dataclass(frozen=True, slots=True)
class StudioItem:
    """An image or clip. id: short and stable. name: its path below what was opened. path: the real path."""

    id: str
    name: str
    path: Path
    kind: ItemKind


class ItemLibrary(Protocol):
    """What a page may open."""

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        ...

    def items(self) -> list[StudioItem]:
        """Every item, in order."""
        ...

    def item(self, item_id: str) -> StudioItem:
        """The item with an id. Raises `InputError` if there is none."""
        ...


class StudioLibrary:
    """The items of some files and folders. Folders are read again whenever the items are listed."""

    def __init__(self, opened: Sequence[Path]) -> None:
        """Raises `InputError` if one does not exist, or is neither a file nor a folder."""
        self._opened = tuple(dict.fromkeys(_real(path) for path in opened))
        self._known: dict[str, StudioItem] = {}

    @property
    def title(self) -> str:
        """What was opened, in a few words."""
        first = self._opened[0].name or str(self._opened[0])
        return first if len(self._opened) == 1 else f"{first} and {len(self._opened) - 1} more"

    def items(self) -> list[StudioItem]:
        """Every item in the order of the command line; in a folder, sorted as people count."""
        found = (
            item
            for path in self._opened
            for item in (_in_folder(path) if path.is_dir() else [_item(path, path.name, _kind(path))])
        )
        self._known = {item.id: item for item in found}
        return list(self._known.values())

    def item(self, item_id: str) -> StudioItem:
        """The item with an id. Raises `InputError` if there is none, or it is gone."""
        item = self._known.get(item_id)
        if item is None or not item.path.is_file():
            self.items()
            item = self._known.get(item_id)
        if item is not None and item.path.resolve() == item.path:  # it was not replaced by a link to somewhere else
            return item
        raise InputError("this file is not there any more: it was moved, renamed or deleted")


def _real(path: Path) -> Path:
    try:
        real = expanded(path).resolve(strict=True)
    except FileNotFoundError as error:
        raise InputError(f"there is no file or folder {path}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot open {path}: {getattr(error, 'strerror', None) or error}") from error
    if not (real.is_dir() or real.is_file()):
        raise InputError(f"{path} is neither a file nor a folder")
    return real


def _item(path: Path, name: str, kind: ItemKind) -> StudioItem:
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    return StudioItem(digest[:12], name, path, kind)


def _in_folder(folder: Path) -> list[StudioItem]:
    """The images and clips in a folder. Links that lead out of it are left out."""
    from sam3model.frames.frame_folder import IMAGE_SUFFIXES, natural_key

    suffixes = IMAGE_SUFFIXES | {".gif", *CLIP_SUFFIXES}
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != "."]
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror}") from error
    paths = ((path.name, path.resolve()) for path in sorted(names, key=natural_key))
    inside = ((name, real) for name, real in paths if real.is_relative_to(folder) and real.is_file())
    return [_item(real, name, _kind(real)) for name, real in inside]


def _kind(path: Path) -> ItemKind:
    """By the ending of the name; a file is only read where that does not tell."""
    from sam3model.frames.frame_folder import IMAGE_SUFFIXES

    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return "clip" if suffix in CLIP_SUFFIXES or is_clip(path) else "image"
