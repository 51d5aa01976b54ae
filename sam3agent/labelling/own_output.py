"""What runs write into their output folder, which is no source of theirs."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sam3agent.labelling.image_placing import IMAGES
from sam3agent.labelling.label_job import ImageMode
from sam3model.files import expanded

_ANY = re.compile("")
_WRITTEN = {"classes": re.compile(r".*\.png$"), "instances": re.compile(r".*\.png$"), "review": re.compile(r"page-")}
"""Names of the images that runs write besides those that they label, by folder: --format png and --review."""


class OwnOutput:
    """Tells sources from the images that runs with one output folder, if any, write. images: whether those are there.

    Folders are compared without symbolic links, and files by their folder: images of a data set may be links.
    """

    def __init__(self, out: Path | None, images: ImageMode) -> None:
        self._out = os.path.realpath(out) if out else None
        self._written = dict(_WRITTEN) if images == "none" else {**_WRITTEN, IMAGES: _ANY}
        left = [out.absolute(), Path(self._out)] if out and self._out else []
        left += [folder / IMAGES for folder in left] if images != "none" else []
        self._left_out = frozenset(map(os.path.normpath, left))

    def overwrites(self, folder: Path) -> bool:
        """Whether a run places images into a folder of its sources itself, and not only inside of it."""
        if not self._out or IMAGES not in self._written:
            return False
        place = os.path.realpath(folder)
        return self.is_at(folder) or _is_inside(place, os.path.join(self._out, IMAGES))  # noqa: PTH118 (many are text)

    def is_at(self, folder: Path) -> bool:
        """Whether a folder is the output folder."""
        return os.path.realpath(folder) == self._out

    def is_left_out(self, folder: str) -> bool:
        """Whether a folder, as an absolute path, is left out of a folder around it."""
        return folder in self._left_out

    def written_in(self, folder: str) -> re.Pattern[str] | None:
        """What the names of files in a folder begin with that runs wrote; None if they do not write there."""
        place = os.path.realpath(folder)
        if not self._out or place == self._out or not _is_inside(place, self._out):
            return None
        return self._written.get(Path(os.path.relpath(place, self._out)).parts[0])

    def others(self, pattern: str, paths: Iterable[str]) -> Iterator[str]:
        """The files that a pattern matches, without those of runs.

        The output folder is left out, as of a folder, unless the pattern begins inside: then what runs write there is.
        """
        if not self._out:
            yield from paths
            return
        begins_inside = _is_inside(os.path.realpath(_fixed_part(pattern)), self._out)
        own = dict[str, re.Pattern[str] | None]()
        for path in paths:
            folder, name = os.path.split(path)
            if folder not in own:
                inside = not begins_inside and _is_inside(os.path.realpath(folder), self._out)
                own[folder] = _ANY if inside else self.written_in(folder)
            written = own[folder]
            if written is None or not written.match(name):
                yield path


def _is_inside(place: str, folder: str) -> bool:
    return place == folder or place.startswith(os.path.join(folder, ""))  # noqa: PTH118 (many are text)


def _fixed_part(pattern: str) -> str:
    """The folder in which a pattern begins."""
    folder = str(expanded(pattern).parent)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120 (many are text)
    return folder
