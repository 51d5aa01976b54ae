"""COCO files as training data: COCO, LVIS with its federated labels, ODinW, Roboflow-100-VL."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tqdm import tqdm

from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage, AnnotatedPhrase, Annotation
from sam3model.data.coco_file import CocoFile, Row, class_phrase, integers
from sam3model.data.dataset_layout import DatasetFiles, image_path


def read_coco(files: DatasetFiles, *, masks: bool = True, broken: float = 0.1) -> AnnotatedDataset:
    """Every image of a COCO file, with its classes as phrases.

    A class without annotations in an image is absent from it; in a federated file (LVIS) only the `neg_category_ids`
    are, and the `not_exhaustive_category_ids` are not exhaustive. Crowd regions are left out, and make their class not
    exhaustive; so does an unusable annotation.

    Raises:
        DataError: not a COCO file, or more than the fraction `broken` of its images or annotations is unusable.
    """
    file = CocoFile(files.annotations)
    classes = {number: class_phrase(name) for number, name in file.categories(skip_root=True).items()}
    by_image = file.annotations_by_image(classes)
    images = []
    for row in tqdm(file.unique_images(), desc=file.path.name, unit="image", disable=None, leave=False):
        if found := locate_image(file, row, files):
            phrases = _phrases(file, row, by_image.get(row["id"], ()), found[2], classes, masks)
            images.append(AnnotatedImage(*found, phrases, _absent(row, classes)))
    return checked_dataset(file, images, classes.values(), broken, len(file.images))


def locate_image(file: CocoFile, row: Row, files: DatasetFiles) -> tuple[str, Path, tuple[int, int]] | None:
    """Name, path and size (width, height) of an image; None after a fault."""
    if (found := file.image(row)) is None:
        return None
    path = image_path(found[0], files.folders)
    return (found[0], path, found[1]) if path else file.image_faults.note("image file is missing", found[0])


def checked_dataset(
    file: CocoFile, images: list[AnnotatedImage], vocabulary: Iterable[str], broken: float, total: int
) -> AnnotatedDataset:
    """The dataset of a file; raises `DataError` if it has too many faults. total: number of images in the file."""
    file.image_faults.refuse_beyond(broken, total, f"images of {file.path}")
    file.annotation_faults.refuse_beyond(broken, len(file.annotations), f"annotations of {file.path}")
    file.image_faults.found |= file.annotation_faults.found
    return AnnotatedDataset(str(file.path), images, tuple(dict.fromkeys(vocabulary)), file.image_faults)


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


def _absent(image: Row, classes: Mapping[int, str]) -> tuple[str, ...] | None:
    if "neg_category_ids" not in image:
        return None
    absent = (classes[number] for number in integers(image, "neg_category_ids") if number in classes)
    return tuple(dict.fromkeys(absent))
