"""What to label, as typed: images, folders, patterns, clips, COCO files and lists, as a stream of items.

Nothing is opened before it is needed, and no list of all images is kept: the files that one pattern matches, the images
of one folder or the rows of one COCO file are in memory at once, and what `GivenOnce` remembers. The order is the same
in every run. What cannot be read is an item too (`UnreadableSource`), so that it is counted and the rest labelled.
"""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from sam3agent.downloads import STDIN, is_url, shown_url, split_url
from sam3agent.labelling.given_once import DistinctNames, GivenOnce
from sam3agent.labelling.label_items import (
    FrameOfClip,
    ImageFile,
    LabelItem,
    UnreadableSource,
    WebImage,
    clean_name,
    clean_part,
)
from sam3agent.labelling.label_job import ImageMode
from sam3agent.labelling.own_output import OwnOutput
from sam3agent.labelling.shard_lists import (
    LIST_SUFFIXES,
    ListEntry,
    entries_of_list,
    entry_item,
    table_items,
    tar_items,
)
from sam3agent.media import is_clip, open_clip
from sam3model.data.dataset_layout import image_path, image_path_at_last
from sam3model.errors import DataError, InputError, reason_of
from sam3model.files import exists, expanded, is_folder
from sam3model.frames.frame_folder import IMAGE_SUFFIXES, natural_key

MAX_NESTING = 3
"""Lists may name lists, this deep."""


@dataclass(frozen=True)
class LabelSources:
    """The images that words stand for; iterating reads them again from the start.

    every: of a clip, every n-th frame. out: the output folder, which is left out of folders that contain it.
    images: how images get into it.
    """

    words: tuple[str, ...]
    every: int = 1
    out: Path | None = None
    images: ImageMode = "link"

    def check(self) -> None:
        """Raise `InputError` for a word that is missing, that stands for no image, or that the output folder is.

        A word of which nothing can be read is refused as well; a clip or an archive only if it is so of all words.
        """
        damaged = list[InputError]()
        for word in self.words:
            if word == STDIN:
                raise InputError("standard input is one image: label files, folders or lists")
            if is_folder(word) and self._own.overwrites(Path(word)):
                raise InputError(
                    f"--out {self.out} would write into the folder {word}, which is labelled: choose another"
                )
            try:
                has_image = self._has_image(word)
            except InputError as error:
                if not (exists(word) and _holds_images(word)):
                    raise
                damaged.append(error)
            else:
                if not has_image:
                    raise InputError(f"{word} has no images (JPEG, PNG, WebP, TIFF, …)")
        if damaged and len(damaged) == len(self.words):
            raise damaged[0]

    def __iter__(self) -> Iterator[LabelItem]:
        once = self._nothing_given()
        for word in self.words:
            yield from _or_why_not(word, _prefix(word), self._items(word, "", once))

    def _has_image(self, word: str) -> bool:
        """Whether a word has an image. Raises `InputError` if nothing is found of it because it cannot be read."""
        if is_url(word):
            return True
        reason = ""
        for item in self._items(word, _prefix(word), self._nothing_given()):
            if not isinstance(item.place, UnreadableSource):
                return True
            reason = reason or item.place.reason
        if reason:
            raise InputError(reason)
        return False

    @cached_property
    def _own(self) -> OwnOutput:
        return OwnOutput(self.out, self.images)

    def _nothing_given(self) -> GivenOnce:
        return GivenOnce(self._own.is_left_out)

    def _items(self, word: str, prefix: str, once: GivenOnce, depth: int = 0) -> Iterator[LabelItem]:
        """The images of a word. prefix: what their names begin with; of a single image, its name.

        Without a prefix, the word is one of the command line: it is left out if it was given before.
        """
        if is_url(word):
            if prefix or once.is_new_url(shown_url(word)):
                name = prefix or once.names.of(clean_part(_prefix(word)), word)
                yield LabelItem(shown_url(word), clean_name(name), name, WebImage(word))
        elif is_folder(word):
            if prefix or once.is_new_folder(word):
                yield from self._folder(Path(word), prefix or once.names.of(clean_part(_prefix(word)), word), once)
        elif not exists(word) and (glob.has_magic(word) or _BRACES.search(word)):
            yield from self._pattern(word, once, depth)
        elif prefix or not exists(word) or once.is_new(word):
            yield from self._file(word, prefix or once.names.of(clean_part(_prefix(word)), word), once, depth)

    def _file(self, path: str, prefix: str, once: GivenOnce, depth: int) -> Iterator[LabelItem]:
        if not exists(path):
            raise InputError(f"there is no file {path}")
        kind = Path(path).suffix.lower()
        stem = prefix.removesuffix(Path(prefix).suffix)
        if kind == ".json":
            yield from _coco_items(Path(path), stem, once)
        elif kind in LIST_SUFFIXES:
            yield from self._list(path, stem, once, depth)
        elif kind == ".parquet":
            yield from table_items(path, stem)
        elif kind == ".tar" or path.lower().endswith((".tar.gz", ".tgz")):
            yield from tar_items(path, stem)
        elif is_clip(path):
            yield from _frames(path, stem, self.every)
        else:
            yield LabelItem(path, clean_name(prefix), prefix, ImageFile(path))

    def _folder(self, root: Path, prefix: str, once: GivenOnce) -> Iterator[LabelItem]:
        """The images in a folder and in the folders inside it, as people count them."""
        distinct_folders = {str(root): prefix}
        is_out, unread = self._own.is_at(root), list[OSError]()
        for folder, inside, names in os.walk(root, onerror=unread.append):
            here, real = Path(folder), Path(folder).resolve()
            inside[:] = sorted(
                (name for name in inside if name[0] != "." and not self._own.is_left_out(str(real / name))),
                key=lambda name: natural_key(Path(name)),
            )
            inside[:] = [name for name in inside if not once.has_folder(str(here / name))]
            within, folders = distinct_folders.pop(folder), DistinctNames()
            distinct_folders |= {os.path.join(folder, name): f"{within}/{folders.of_folder(name)}" for name in inside}  # noqa: PTH118
            images = [name for name in names if name[0] != "." and Path(name).suffix.lower() in IMAGE_SUFFIXES]
            if is_out and (written := self._own.written_in(folder)) is not None:
                images = [name for name in images if not written.match(name)]
            images.sort(key=lambda name: natural_key(Path(name)))
            distinct = DistinctNames()
            for name in images:
                unique, path = distinct.of(clean_name(name.replace("\\", "_")), name), str(here / name)
                if not once.has_file(path):
                    group = "/".join((prefix, *here.relative_to(root).parts, name))
                    yield LabelItem(path, clean_name(f"{within}/{unique}"), group, ImageFile(path))
        for error in unread:
            path = str(error.filename)
            yield _unreadable(path, f"{prefix}/{Path(path).name}", f"cannot read the folder {path}: {reason_of(error)}")

    def _pattern(self, pattern: str, once: GivenOnce, depth: int) -> Iterator[LabelItem]:
        matches = [(one, _matches(one)) for one in _expanded(pattern)]
        files = [path for one, paths in matches for path in self._own.others(one, paths)]
        if not files and any(paths for _, paths in matches):
            raise InputError(f"--out {self.out} would write into the files that {pattern} matches: choose another")
        if not files:
            raise InputError(f"no file matches {pattern}")
        for path in files:
            if not exists(path) or once.is_new(path):
                name = once.names.of(clean_part(Path(path).name), path)
                yield from _or_why_not(path, name, self._file(path, name, once, depth))

    def _list(self, path: str, prefix: str, once: GivenOnce, depth: int) -> Iterator[LabelItem]:
        if depth >= MAX_NESTING:
            raise InputError(f"{path}: lists name lists more than {MAX_NESTING} deep")
        for entry in entries_of_list(path):
            yield from self._entry(entry, path, prefix, once, depth)

    def _entry(self, entry: ListEntry, path: str, prefix: str, once: GivenOnce, depth: int) -> Iterator[LabelItem]:
        image = entry_item(path, prefix, entry)
        place, name = image.place, f"{prefix}/{entry.name}"
        if not isinstance(place, ImageFile) or Path(place.path).suffix.lower() in IMAGE_SUFFIXES:
            yield image  # missing images are failures of their own
            return
        items = self._items(place.path, name, once, depth + 1)  # another row may name the same file or folder
        for item in _or_why_not(place.path, name, items):
            begin = name if item.group.startswith(name) else name.removesuffix(Path(name).suffix)
            group = item.group.replace(begin, image.group.rstrip("/"), 1)
            yield replace(item, source=f"{image.source}: {item.source}", group=group)


def _or_why_not(path: str, prefix: str, items: Iterator[LabelItem]) -> Iterator[LabelItem]:
    """The images of a source and, if it cannot be read to its end, an item that says why."""
    try:
        yield from items
    except (DataError, InputError) as error:
        yield _unreadable(path, prefix, str(error))


def _unreadable(path: str, prefix: str, reason: str) -> LabelItem:
    return LabelItem(path, clean_name(prefix), prefix, UnreadableSource(path, reason))


def _coco_items(path: Path, prefix: str, once: GivenOnce) -> Iterator[LabelItem]:
    """The images of a COCO file, found as the trainer finds them."""
    from sam3model.data.coco_file import CocoFile

    try:
        file = CocoFile(path)
    except DataError as error:
        raise InputError(f"{error} (a .json source is a COCO file)") from error
    top = path.parent.parent if path.parent.name == "annotations" else path.parent
    split = re.sub(r"^instances_|[0-9]{4}$", "", path.stem)
    inside = (path.parent, top / split, top / "images" / split, top / path.stem.removeprefix("instances_"))
    folders = [folder for folder in dict.fromkeys((*inside, top / "images", top)) if folder.is_dir()]
    rows = [name for row in file.unique_images() if (name := file.file_name(row))]
    known = set(rows)
    distinct = DistinctNames()
    for name in rows:
        unique = distinct.of(clean_name(name), name)
        found = image_path(name, folders) or image_path_at_last(name, folders, known) or path.parent / name
        if once.is_new(str(found)):
            yield LabelItem(str(found), clean_name(f"{prefix}/{unique}"), f"{prefix}/{name}", ImageFile(str(found)))


def _frames(path: str, prefix: str, every: int) -> Iterator[LabelItem]:
    clip = open_clip(path)
    count = clip.count
    clip.frames.close()
    for frame in range(0, count, every):
        yield LabelItem(f"{path}#{frame}", clean_name(f"{prefix}/{frame:06d}.jpg"), prefix, FrameOfClip(path, frame))


def _prefix(word: str) -> str:
    """What the names of a word's images begin with: its last part."""
    path = split_url(word).path.rstrip("/") if is_url(word) else str(Path(word).resolve())
    return unquote(Path(path).name) or "images"


_BRACES = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")


def _expanded(pattern: str) -> Iterator[str]:
    """The patterns that braces stand for, as WebDataset writes shards: shard-{000..099}.tar."""
    braces = _BRACES.search(pattern)
    if not braces:
        yield pattern
        return
    first, last = braces[1], braces[2]
    for number in range(int(first), int(last) + 1):
        yield from _expanded(f"{pattern[: braces.start()]}{number:0{len(first)}d}{pattern[braces.end() :]}")


def _matches(pattern: str) -> list[str]:
    if not glob.has_magic(pattern):
        return [pattern]
    names = glob.glob(str(expanded(pattern)), recursive=True)  # noqa: PTH207 (any pattern, also an absolute one)
    return [str(path) for path in sorted(map(Path, names), key=natural_key) if not path.is_dir()]


def _holds_images(path: str) -> bool:
    """Whether a file is a clip or an archive, which may be damaged; other words that cannot be read are mistakes."""
    return Path(path).suffix.lower() == ".tar" or is_clip(path)
