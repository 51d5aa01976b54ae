"""What a run has seen of its sources as typed: no image twice, and no name for two images.

It remembers the words and the files that patterns match, not the images inside folders, lists and archives.
"""

import hashlib
import os
from collections.abc import Callable

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

    names: of words, and of the files that patterns match. is_left_out: whether going through a folder around one, as an
    absolute path, does not come to it.
    """

    def __init__(self, is_left_out: Callable[[str], bool]) -> None:
        self.names = DistinctNames()
        self._is_left_out = is_left_out
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
        if self._comes_to(place):
            return False
        self._folders.add(place)
        return True

    def was_given(self, path: str) -> bool:
        """Whether a file or folder that is found inside a folder was given before by itself."""
        return _place(path) in self._files or _place(path) in self._folders

    def _was_walked(self, place: str) -> bool:
        folder, name = os.path.split(place)
        is_image = name[0] != "." and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122
        return is_image and self._comes_to(folder)

    def _comes_to(self, folder: str) -> bool:
        """Whether a folder is one of those given, or inside one: not through links or hidden folders."""
        while self._folders and folder not in self._folders:
            parent, name = os.path.split(folder)
            if parent == folder or name.startswith(".") or self._is_left_out(folder) or os.path.islink(folder):  # noqa: PTH114
                return False
            folder = parent
        return bool(self._folders)


def _place(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (without links resolved)
