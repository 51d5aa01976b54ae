"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: references in a pickle or JSON, masks in `instances.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.dataset_files import (
    field,
    first_existing,
    image_opener,
    image_size,
    inside,
    integers,
    read_json,
    read_pickle,
    table,
)
from evals.readers.coco import to_rle
from evals.samples import DatasetSplit, QuestionSample, Rle
from evals.scorers.referring import MaskTarget, union
from sam3model.errors import DataError

IMAGES = ("train2014", "images/train2014", "images/mscoco/images/train2014", "coco/train2014")
NO_TARGET = -1
Row = Mapping[str, Any]


def read(dataset: DatasetSplit, folder: str, partition: str) -> list[QuestionSample[MaskTarget]]:
    """Every sentence of a split. folder: refcoco, refcoco+, refcocog; partition: unc, google or umd."""
    path = inside(dataset.root, folder, f"refs({partition}).p")
    return _samples(dataset, folder, path, read_pickle(path))


def read_generalised(dataset: DatasetSplit) -> list[QuestionSample[MaskTarget]]:
    """gRefCOCO: a reference may have several targets, or none."""
    path = first_existing(dataset.root, "grefcoco/grefs(unc).json", "grefcoco/grefs(unc).p")
    refs = read_json(path) if path.suffix == ".json" else read_pickle(path)
    return _samples(dataset, "grefcoco", path, refs)


def _samples(dataset: DatasetSplit, folder: str, path: Path, refs: Any) -> list[QuestionSample[MaskTarget]]:
    if not isinstance(refs, list):
        raise DataError(f"{path}: expected a list of references, not a {type(refs).__name__}")
    instances = _Instances(inside(dataset.root, folder, "instances.json"))
    samples = []
    for number, ref in enumerate(refs):
        where = f"{path}: reference {number}"
        if field(ref, "split", str, where) != dataset.split:
            continue
        image = instances.image(field(ref, "image_id", int, where), where)
        size = image_size(image, f"{instances.path}: image {image['id']}")
        ids = _annotation_ids(ref, where)
        target = MaskTarget(union([instances.mask(i, size, where) for i in ids], size))
        name = field(image, "file_name", str, f"{instances.path}: image {image['id']}")
        for sentence in field(ref, "sentences", (list, tuple), where):
            key = f"{field(ref, 'ref_id', int, where)}/{field(sentence, 'sent_id', int, where)}"
            question = field(sentence, "sent", str, where)
            samples.append(QuestionSample(key, image_opener(dataset.root, IMAGES, name), question, target))
    return samples


def _annotation_ids(ref: Row, where: str) -> Sequence[int]:
    """Ids of the annotations of a reference; [-1] means none."""
    single = isinstance(field(ref, "ann_id", (int, list, tuple), where), int)
    ids = [ref["ann_id"]] if single else integers(ref, "ann_id", where)
    return [i for i in ids if i != NO_TARGET]


class _Instances:
    """Images and masks by id; masks are made on access."""

    def __init__(self, path: Path) -> None:
        data = read_json(path)
        self.path = path
        self._images = {field(row, "id", int, f"{path}: image"): row for row in table(data, "images", path)}
        self._rows = {field(row, "id", int, f"{path}: annotation"): row for row in table(data, "annotations", path)}

    def image(self, image_id: int, where: str) -> Row:
        """The entry of an image."""
        if image_id not in self._images:
            raise DataError(f"{where}: the field 'image_id' is {image_id}, which is not in {self.path}")
        return self._images[image_id]

    def mask(self, annotation_id: int, size: tuple[int, int], where: str) -> Rle:
        """The mask of an annotation."""
        row = self._rows.get(annotation_id)
        if row is None:
            raise DataError(f"{where}: the field 'ann_id' is {annotation_id}, which is not in {self.path}")
        location = f"{self.path}: annotation {annotation_id}"
        return to_rle(field(row, "segmentation", (list, dict), location), size, location)
