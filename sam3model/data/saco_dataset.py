"""SA-Co files as training data: every entry of `images` is an (image, phrase) pair; boxes are normalised."""

from collections.abc import Iterable

from tqdm import tqdm

from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage, AnnotatedPhrase
from sam3model.data.coco_dataset import ImageFinder, checked_dataset
from sam3model.data.coco_file import CocoFile, Row, grouped
from sam3model.data.dataset_layout import DatasetFiles


def read_saco(files: DatasetFiles, *, masks: bool = True, broken: float = 0.1) -> AnnotatedDataset:
    """The pairs of a SA-Co file, grouped by image. A pair without annotations is a negative phrase.

    Only phrases paired with an image are used for it. A pair that is not `is_instance_exhaustive` is never a negative;
    if it is `is_pixel_exhaustive`, it still tells which pixels match. Neither flag holds if an annotation is a crowd or
    unusable.

    Raises:
        DataError: not a SA-Co file, or more than the fraction `broken` of its images or annotations is unusable.
    """
    file = CocoFile(files.annotations)
    by_pair = file.annotations_by_image()
    pairs = grouped(file.unique_images(), "file_name")
    images, finder = [], ImageFinder(file, files)
    for group in tqdm(pairs.values(), desc=file.path.name, unit="image", disable=None, leave=False):
        if found := finder(group[0]):
            phrases = [_phrase(file, pair, by_pair.get(pair["id"], ()), found[2], masks) for pair in group]
            known = [phrase for phrase in phrases if phrase is not None]
            absent = tuple(one.phrase for one in known if one.exhaustive and not one.annotations)
            images.append(AnnotatedImage(*found, tuple(one for one in known if one.phrase not in absent), absent))
    vocabulary = (text for pair in file.images if isinstance(text := pair.get("text_input"), str))
    return checked_dataset(file, images, vocabulary, broken, len(grouped(file.images, "file_name")))


def _phrase(
    file: CocoFile, pair: Row, rows: Iterable[Row], size: tuple[int, int], masks: bool
) -> AnnotatedPhrase | None:
    """A pair with its annotations; None after a fault."""
    phrase = pair.get("text_input")
    if not isinstance(phrase, str) or not phrase.strip():
        return file.annotation_faults.note("'text_input' is missing", f"image {pair.get('id')}")
    rows = list(rows)
    found = [file.annotation(row, size, masks=masks, normalised=True) for row in rows if not row.get("iscrowd")]
    known = tuple(annotation for annotation in found if annotation is not None)
    complete, every_pixel = len(known) == len(rows), pair.get("is_pixel_exhaustive")
    exhaustive = complete and bool(pair.get("is_instance_exhaustive", True))
    return AnnotatedPhrase(phrase, known, exhaustive, None if every_pixel is None else complete and bool(every_pixel))
