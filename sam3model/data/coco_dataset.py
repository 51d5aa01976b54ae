"""COCO files as training data: COCO, LVIS with its federated labels, ODinW, Roboflow-100-VL."""

import glob
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage, AnnotatedPhrase, Annotation
from sam3model.data.coco_fields import four_numbers
from sam3model.data.coco_file import CocoFile, Row, class_phrase, integers, where
from sam3model.data.dataset_layout import DatasetFiles, image_path, image_path_at_last
from sam3model.text import Tokenizer

log = logging.getLogger(__name__)

AGAIN = "given again by another row of its image: the copy is left out"


def read_coco(files: DatasetFiles, *, masks: bool = True, broken: float = 0.1) -> AnnotatedDataset:
    """Every image of a COCO file, with its classes as phrases.

    A class without annotations in an image is absent from it; in a federated file (LVIS) only the `neg_category_ids`
    are, and the `not_exhaustive_category_ids` are not exhaustive. Crowd regions are left out, and make their class not
    exhaustive; so does an unusable annotation. Classes whose names are the same to the tokenizer are one phrase.

    Raises:
        DataError: not a COCO file, or more than the fraction `broken` of its images or annotations is unusable.
    """
    file = CocoFile(files.annotations)
    classes, notes = class_phrases(file.categories(skip_root=True))
    notes = (*notes, *filter(None, [file.settle_boxes(), _unread_parts(files.annotations)]))
    for note in notes:
        log.warning("%s", note)
    by_image = file.annotations_by_image(classes)
    images, finder = [], ImageFinder(file, files)
    for group in tqdm(_same_images(file), desc=file.path.name, unit="image", disable=None, leave=False):
        row = _joined(group)
        if found := finder(row):
            annotations = [one for same in group for one in by_image.get(same["id"], ())]
            annotations = _distinct(file, annotations) if len(group) > 1 else annotations
            phrases = _phrases(file, row, annotations, found[2], classes, masks)
            present = {one.phrase for one in phrases}
            images.append(AnnotatedImage(*found, phrases, _absent(row, classes, present)))
    data = checked_dataset(file, images, classes.values(), broken, len(file.images))
    return replace(data, notes=notes)


def _unread_parts(path: Path) -> str | None:
    """A warning if a file is continued in others, as `sam3agent label` does with one that has very many images."""
    parts = sorted(path.parent.glob(f"{glob.escape(path.stem)}-[0-9][0-9][0-9][0-9][0-9].json"))
    second = path.with_name(f"{path.stem}-00002.json")
    if second not in parts:  # a year before a number is no part
        return None
    return f"{path.name} goes on in {second.name}, which is not read: join the files ({len(parts) + 1} in all)"


def _same_images(file: CocoFile) -> list[list[Row]]:
    """The images of a file; those with the same file name and size are one image, with the annotations of all."""
    groups = dict[str, list[Row]]()
    for place, row in enumerate(file.unique_images()):
        name = row.get("file_name")
        named = isinstance(name, str) and bool(name)
        same = f"file {name}, {row.get('width')}x{row.get('height')}" if named else f"number {place}"
        group = groups.setdefault(same, [])
        group.append(row)
        if len(group) > 1:
            file.repairs.note("image listed more than once: its annotations are joined", str(name))
    return list(groups.values())


def _joined(group: Sequence[Row]) -> Row:
    """Rows of one image as one: the first, with the lists of classes of all (LVIS)."""
    row = group[0]
    for name in ("neg_category_ids", "not_exhaustive_category_ids") if len(group) > 1 else ():
        if any(name in one for one in group):
            row = {**row, name: [number for one in group for number in integers(one, name)]}
    return row


def _distinct(file: CocoFile, rows: Iterable[Row]) -> list[Row]:
    """Annotations of an image that is listed more than once, without those that each of its rows has again.

    Merged exports give every object to every row: the same class, box and outline under another id.
    """
    kept, outlines = list[Row](), dict[tuple[object, ...], list[object]]()
    for row in rows:
        place = row["category_id"], four_numbers(row.get("bbox")), bool(row.get("iscrowd"))
        seen, outline = outlines.setdefault(place, []), row.get("segmentation") or None
        if outline in seen and (outline or place[1]):
            file.repairs.note(AGAIN, f"{where(row)} of image {row['image_id']}")
        else:
            seen.append(outline)
            kept.append(row)
    return kept


def class_phrases(categories: Mapping[int, str]) -> tuple[dict[int, str], tuple[str, ...]]:
    """The phrase of each category, and a note for names that the tokenizer reads alike: they share the first phrase."""
    tokenizer, first = Tokenizer(), dict[tuple[int, ...], str]()
    phrases, alike = dict[int, str](), dict[str, list[str]]()
    for number, name in categories.items():
        phrase = class_phrase(name)
        phrases[number] = shared = first.setdefault(tuple(tokenizer.encode(phrase)), phrase)
        names = alike.setdefault(shared, [])
        if name not in names:
            names.append(name)
    notes = (f"classes that read the same are one phrase, {phrase!r}: {', '.join(map(repr, names))}"
             for phrase, names in alike.items() if len(names) > 1)  # fmt: skip
    return phrases, tuple(notes)


class ImageFinder:
    """Finds the files of images, each of them once under a name that is not its own."""

    def __init__(self, file: CocoFile, files: DatasetFiles) -> None:
        self.file, self.folders = file, files.folders
        self.names = {name for row in file.images if isinstance(name := row.get("file_name"), str)}
        self.guessed = dict[Path, str]()

    def __call__(self, row: Row) -> tuple[str, Path, tuple[int, int]] | None:
        """Name, path and size (width, height) of an image; None after a fault."""
        if (name := self.file.file_name(row)) is None:
            return None
        path = image_path(name, self.folders)
        if path is None and (path := image_path_at_last(name, self.folders, self.names)) is not None:
            if self.guessed.setdefault(path, name) != name:
                path = None
            else:
                self.file.repairs.note("image found without the folders in its name", name)
        if path is None:
            return self.file.image_faults.note("image file is missing", name)
        size = self.file.size(row, path)
        return None if size is None else (name, path, size)


def checked_dataset(
    file: CocoFile, images: list[AnnotatedImage], vocabulary: Iterable[str], broken: float, total: int
) -> AnnotatedDataset:
    """The dataset of a file; raises `DataError` if it has too many faults. total: number of images in the file."""
    file.image_faults.refuse_beyond(broken, total, f"images of {file.path}")
    file.annotation_faults.refuse_beyond(broken, len(file.annotations), f"annotations of {file.path}")
    file.image_faults.found |= file.annotation_faults.found
    vocabulary = tuple(dict.fromkeys(vocabulary))
    return AnnotatedDataset(str(file.path), images, vocabulary, file.image_faults, file.repairs)


def _phrases(
    file: CocoFile, image: Row, rows: Iterable[Row], size: tuple[int, int], classes: Mapping[int, str], masks: bool
) -> tuple[AnnotatedPhrase, ...]:
    """The annotated classes of an image; classes with the same phrase are merged."""
    unfinished = {classes.get(number) for number in integers(image, "not_exhaustive_category_ids")}
    found: dict[str, list[Annotation]] = {}
    for row in rows:
        phrase = classes[row["category_id"]]
        annotations = found.setdefault(phrase, [])
        annotation = None if row.get("iscrowd") else file.annotation(row, size, masks=masks)
        if annotation is None:
            unfinished.add(phrase)
        else:
            annotations.append(annotation)
    return tuple(AnnotatedPhrase(phrase, tuple(some), phrase not in unfinished) for phrase, some in found.items())


def _absent(image: Row, classes: Mapping[int, str], present: Collection[str]) -> tuple[str, ...] | None:
    if "neg_category_ids" not in image:
        return None
    absent = (classes[number] for number in integers(image, "neg_category_ids") if number in classes)
    return tuple(dict.fromkeys(phrase for phrase in absent if phrase not in present))
