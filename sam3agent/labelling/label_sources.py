"""What to label, as typed: images, folders, patterns, clips, COCO files and lists, as a stream of items.

Nothing is opened before it is needed, and no list of all images is kept. The order is the same in every run.
"""

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sam3agent.downloads import STDIN, is_url
from sam3agent.labelling.label_items import FrameOfClip, ImageFile, LabelItem, WebImage, clean_name
from sam3agent.labelling.shard_lists import LIST_SUFFIXES, ListEntry, entries_of_list, table_items, tar_items
from sam3agent.media import is_clip, open_clip
from sam3model.data.dataset_layout import image_path, image_path_at_last
from sam3model.errors import DataError, InputError
from sam3model.files import is_folder
from sam3model.frames.frame_folder import IMAGE_SUFFIXES, natural_key

MAX_NESTING = 3
"""Lists may name lists, this deep."""


@dataclass(frozen=True)
class LabelSources:
    """The images that words stand for; iterating reads them again from the start.

    every: of a clip, every n-th frame. out: the output folder, which is left out of folders that contain it.
    """

    words: tuple[str, ...]
    every: int = 1
    out: Path | None = None

    def check(self) -> None:
        """Raise `InputError` for a word that is missing, or that stands for no image."""
        for word in self.words:
            if word == STDIN:
                raise InputError("standard input is one image: label files, folders or lists")
            if not is_url(word) and next(self._items(word, _prefix(word)), None) is None:
                raise InputError(f"{word} has no images (JPEG, PNG, WebP, TIFF, …)")

    def __iter__(self) -> Iterator[LabelItem]:
        for word, prefix in zip(self.words, _distinct([_prefix(word) for word in self.words], self.words), strict=True):
            yield from self._items(word, prefix)

    def _items(self, word: str, prefix: str, depth: int = 0) -> Iterator[LabelItem]:
        """The images of a word. prefix: what their names begin with; of a single image, its name."""
        if is_url(word):
            yield LabelItem(word, clean_name(prefix), prefix, WebImage(word))
        elif is_folder(word):
            yield from self._folder(Path(word), prefix)
        elif not _exists(word) and (glob.has_magic(word) or _BRACES.search(word)):
            yield from self._pattern(word, depth)
        else:
            yield from self._file(word, prefix, depth)

    def _file(self, path: str, prefix: str, depth: int) -> Iterator[LabelItem]:
        if not _exists(path):
            raise InputError(f"there is no file {path}")
        kind = Path(path).suffix.lower()
        stem = prefix.removesuffix(Path(prefix).suffix)
        if kind == ".json":
            yield from _coco_items(Path(path), stem)
        elif kind in LIST_SUFFIXES:
            yield from self._list(path, stem, depth)
        elif kind == ".parquet":
            yield from table_items(path, stem)
        elif kind == ".tar" or path.lower().endswith((".tar.gz", ".tgz")):
            yield from tar_items(path, stem)
        elif is_clip(path):
            yield from _frames(path, stem, self.every)
        else:
            yield LabelItem(path, clean_name(prefix), prefix, ImageFile(path))

    def _folder(self, root: Path, prefix: str) -> Iterator[LabelItem]:
        """The images in a folder and in the folders inside it, as people count them."""
        out = self.out.resolve() if self.out else None
        for folder, inside, names in os.walk(root):
            inside[:] = sorted(
                (name for name in inside if not name.startswith(".") and (Path(folder) / name).resolve() != out),
                key=lambda name: natural_key(Path(name)),
            )
            images = [name for name in names if name[0] != "." and Path(name).suffix.lower() in IMAGE_SUFFIXES]
            images.sort(key=lambda name: natural_key(Path(name)))
            for name, unique in zip(images, _distinct(images, images), strict=True):
                path = Path(folder) / name
                shown = "/".join((prefix, *Path(folder).relative_to(root).parts, unique))
                yield LabelItem(str(path), clean_name(shown), shown, ImageFile(str(path)))

    def _pattern(self, pattern: str, depth: int) -> Iterator[LabelItem]:
        files = [path for one in _expanded(pattern) for path in _matches(one)]
        if not files:
            raise InputError(f"no file matches {pattern}")
        names = [Path(path).name for path in files]
        for path, name in zip(files, _distinct(names, files), strict=True):
            yield from self._file(path, name, depth)

    def _list(self, path: str, prefix: str, depth: int) -> Iterator[LabelItem]:
        if depth >= MAX_NESTING:
            raise InputError(f"{path}: lists name lists more than {MAX_NESTING} deep")
        for entry in entries_of_list(path):
            yield from self._entry(entry, path, f"{prefix}/{entry.row:09d}-", depth)

    def _entry(self, entry: ListEntry, path: str, prefix: str, depth: int) -> Iterator[LabelItem]:
        word = entry.text if is_url(entry.text) else str(Path(path).parent / Path(entry.text).expanduser())
        name = prefix + Path(entry.text.split("?")[0]).name
        source = f"{path}#{entry.row} {entry.text}"
        if is_url(word):
            yield LabelItem(source, clean_name(name), name, WebImage(word))
        elif Path(word).suffix.lower() in IMAGE_SUFFIXES:  # missing images are failures of their own
            yield LabelItem(source, clean_name(name), name, ImageFile(word))
        else:
            yield from self._items(word, name, depth + 1)


def _coco_items(path: Path, prefix: str) -> Iterator[LabelItem]:
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
    for name, unique in zip(rows, _distinct(rows, rows), strict=True):
        found = image_path(name, folders) or image_path_at_last(name, folders, known) or path.parent / name
        shown = f"{prefix}/{unique}"
        yield LabelItem(str(found), clean_name(shown), shown, ImageFile(str(found)))


def _frames(path: str, prefix: str, every: int) -> Iterator[LabelItem]:
    clip = open_clip(path)
    count = clip.count
    clip.frames.close()
    for frame in range(0, count, every):
        yield LabelItem(f"{path}#{frame}", f"{prefix}/{frame:06d}.jpg", prefix, FrameOfClip(path, frame))


def _prefix(word: str) -> str:
    """What the names of a word's images begin with: its last part."""
    path = urlsplit(word).path.rstrip("/") if is_url(word) else str(Path(word).resolve())
    return unquote(Path(path).name) or "images"


def _distinct(names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The names, with a hash of the key in those whose name without ending was there before."""
    seen, found = set[str](), list[str]()
    for name, key in zip(names, keys, strict=True):
        stem, ending = os.path.splitext(name)  # noqa: PTH122 (a name, not a path)
        if stem.lower() in seen:
            digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
            stem = f"{stem}-{digest}"
        seen.add(stem.lower())
        found.append(stem + ending)
    return found


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


def _matches(pattern: str) -> Iterable[str]:
    if not glob.has_magic(pattern):
        return [pattern]
    names = glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207 (any pattern, also an absolute one)
    return [str(path) for path in sorted(map(Path, names), key=natural_key) if not path.is_dir()]


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False
