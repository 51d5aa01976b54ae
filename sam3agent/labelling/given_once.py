"""What a run has seen of its sources: no image twice, and no name for two images.

It remembers the files given alone, those that patterns match and the images of COCO files, as hashes of 8 bytes; and
the folders and URLs of the command line as they are. Images inside folders, rows of lists and archives are not
remembered.
"""

import hashlib
import os
from collections.abc import Callable

from sam3agent.labelling.label_items import clean_part, short_hash
from sam3model.frames.frame_folder import IMAGE_SUFFIXES


class DistinctNames:
    """Names without two that differ in their endings or in upper case only: files beside images have their stems."""

    def __init__(self) -> None:
        self._seen = set[int]()

    def of(self, name: str, key: str) -> str:
        """The name; with a hash of the key if its stem was there before."""
        stem, ending = os.path.splitext(name)  # noqa: PTH122 (a name, not a path)
        return self._distinct(stem, key) + ending

    def of_folder(self, name: str) -> str:
        """The name of a folder; cleaned and with a hash of it if another is cleaned to the same."""
        clean = clean_part(name)
        distinct = self._distinct(clean, name)
        return name.replace("\\", "_") if distinct == clean else distinct

    def _distinct(self, stem: str, key: str) -> str:
        if _digest(stem.lower()) in self._seen:
            stem = f"{stem}-{short_hash(key)}"
        self._seen.add(_digest(stem.lower()))
        return stem


class GivenOnce:
    """The files and folders of a run so far, and the names that they got; mutable.

    names: of words, and of the files that patterns match. is_left_out: whether going through a folder around one, as an
    absolute path, does not come to it.
    """

    def __init__(self, is_left_out: Callable[[str], bool]) -> None:
        self.names = DistinctNames()
        self._is_left_out = is_left_out
        self._files, self._folders, self._urls = set[int](), set[str](), set[str]()

    def is_new(self, path: str) -> bool:
        """Whether a file was not given before, alone or in a folder; from now on it was."""
        place = _place(path)
        digest = _digest(place)
        if digest in self._files or self._was_walked(place):
            return False
        self._files.add(digest)
        return True

    def is_new_url(self, url: str) -> bool:
        """Whether a URL was not given before; from now on it was. url: without user name and password, as recorded.

        URLs that differ in the account alone are one image: the record of the second would replace that of the first.
        """
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

    def has_file(self, path: str) -> bool:
        """Whether a file that is found inside a folder was given before by itself."""
        return bool(self._files) and _digest(_place(path)) in self._files

    def has_folder(self, path: str) -> bool:
        """Whether a folder that is found inside another was given before by itself."""
        return _place(path) in self._folders

    def _was_walked(self, place: str) -> bool:
        folder, name = os.path.split(place)
        is_image = name[0] != "." and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122
        return is_image and self._comes_to(folder)

    def _comes_to(self, folder: str) -> bool:
        """Whether a folder is one of those given, or inside one: not through links or hidden folders."""
        if not self._folders:
            return False
        steps = list[str]()
        while folder not in self._folders:
            steps.append(folder)
            parent = os.path.dirname(folder)  # noqa: PTH120 (many are text)
            if parent == folder:
                return False
            folder = parent
        return not any(self._is_left_out(step) or _is_hidden(step) or os.path.islink(step) for step in steps)  # noqa: PTH114


def _place(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (without links resolved)


def _is_hidden(path: str) -> bool:
    return os.path.split(path)[1].startswith(".")


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
