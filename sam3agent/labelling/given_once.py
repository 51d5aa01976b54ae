"""What a run has seen of its sources as typed: no image twice, and no name for two images.

It remembers the words and the files that patterns match, not the images inside folders, lists and archives.
"""

import hashlib
import os
from pathlib import Path

from sam3model.frames.frame_folder import IMAGE_SUFFIXES


class DistinctNames:
    """Names without two that differ in their endings or in upper case only: files beside images have their stems."""

    def __init__(self) -> None:
        self._seen = set[str]()

    def of(self, name: str, key: str) -> str:
        """The name; with a hash of the key if its stem was there before."""
        stem, ending = os.path.splitext(name)  # noqa: PTH122 (a name, not a path)
        if stem.lower() in self._seen:
            digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
            stem = f"{stem}-{digest}"
        self._seen.add(stem.lower())
        return stem + ending


class GivenOnce:
    """The files and folders of a run so far, and the names that they got; mutable.

    names: of words, and of the files that patterns match.
    """

    def __init__(self) -> None:
        self.names = DistinctNames()
        self._files, self._folders, self._urls = set[str](), set[str](), set[str]()

    def is_new(self, path: str) -> bool:
        """Whether a file was not given before, alone or in a folder; from now on it was."""
        place = _place(path)
        if place in self._files or self._was_walked(place):
            return False
        self._files.add(place)
        return True

    def is_new_url(self, url: str) -> bool:
        """Whether a URL was not given before, letter for letter; from now on it was."""
        if url in self._urls:
            return False
        self._urls.add(url)
        return True

    def is_new_folder(self, path: str) -> bool:
        """Whether a folder was not given before, alone or inside another; from now on it was."""
        place = _place(path)
        if place in self._folders or any(_reaches(parent, Path(place)) for parent in self._folders):
            return False
        self._folders.add(place)
        return True

    def was_given(self, path: str) -> bool:
        """Whether a file or folder that is found inside a folder was given before by itself."""
        return _place(path) in self._files or _place(path) in self._folders

    def _was_walked(self, place: str) -> bool:
        path = Path(place)
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
            return False
        return any(_reaches(folder, path.parent) or folder == str(path.parent) for folder in self._folders)


def _place(path: str) -> str:
    return os.path.normpath(Path(path).absolute())


def _reaches(folder: str, inner: Path) -> bool:
    """Whether going through a folder comes to a folder inside it: not through links or hidden folders."""
    if not inner.is_relative_to(folder):
        return False
    steps = [inner, *inner.parents][: len(inner.relative_to(folder).parts)]
    return bool(steps) and not any(step.name.startswith(".") or step.is_symlink() for step in steps)
