"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: references in a pickle (or JSON), masks in COCO's `instances.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.files import field, first_existing, image_size, inside, integers, picture, read_json, read_pickle, table
from evals.readers.coco import to_rle
from evals.registry import QuestionSample, Rle, Source
from evals.scorers.referring import Wanted, union
from sam3model.errors import DataError

IMAGES = ("train2014", "images/train2014", "images/mscoco/images/train2014", "coco/train2014")
NO_TARGET = -1
Row = Mapping[str, Any]


def read(source: Source, folder: str, partition: str) -> list[QuestionSample[Wanted]]:
    """Every sentence of a split. folder: refcoco, refcoco+, refcocog; partition: unc, google or umd."""
    path = inside(source.root, folder, f"refs({partition}).p")
    return _samples(source, folder, path, read_pickle(path))


def read_generalised(source: Source) -> list[QuestionSample[Wanted]]:
    """gRefCOCO: a reference may have several targets, or none."""
    path = first_existing(source.root, "grefcoco/grefs(unc).json", "grefcoco/grefs(unc).p")
    refs = read_json(path) if path.suffix == ".json" else read_pickle(path)
    return _samples(source, "grefcoco", path, refs)


def _samples(source: Source, folder: str, path: Path, refs: Any) -> list[QuestionSample[Wanted]]:
    if not isinstance(refs, list):
        raise DataError(f"{path}: expected a list of references, not a {type(refs).__name__}")
    instances = _Instances(inside(source.root, folder, "instances.json"))
    found = []
    for number, ref in enumerate(refs):
        where = f"{path}: reference {number}"
        if field(ref, "split", str, where) != source.split:
            continue
        image = instances.image(field(ref, "image_id", int, where), where)
        size = image_size(image, f"{instances.path}: image {image['id']}")
        ids = _annotation_ids(ref, where)
        wanted = Wanted(union([instances.mask(i, size, where) for i in ids], size))
        name = field(image, "file_name", str, f"{instances.path}: image {image['id']}")
        for sentence in field(ref, "sentences", (list, tuple), where):
            key = f"{field(ref, 'ref_id', int, where)}/{field(sentence, 'sent_id', int, where)}"
            question = field(sentence, "sent", str, where)
            found.append(QuestionSample(key, picture(source.root, IMAGES, name), question, wanted))
    return found


def _annotation_ids(ref: Row, where: str) -> Sequence[int]:
    """The annotations that a reference means; [-1] is none."""
    single = isinstance(field(ref, "ann_id", (int, list, tuple), where), int)
    ids = [ref["ann_id"]] if single else integers(ref, "ann_id", where)
    return [i for i in ids if i != NO_TARGET]


class _Instances:
    """Pictures and masks by id; a mask is made when it is asked for."""

    def __init__(self, path: Path) -> None:
        data = read_json(path)
        self.path = path
        self._images = {field(row, "id", int, f"{path}: image"): row for row in table(data, "images", path)}
        self._rows = {field(row, "id", int, f"{path}: annotation"): row for row in table(data, "annotations", path)}

    def image(self, image_id: int, where: str) -> Row:
        """The entry of a picture."""
        if image_id not in self._images:
            raise DataError(f"{where}: the field 'image_id' names picture {image_id}, which is not in {self.path}")
        return self._images[image_id]

    def mask(self, annotation_id: int, size: tuple[int, int], where: str) -> Rle:
        """The mask of an annotation."""
        row = self._rows.get(annotation_id)
        if row is None:
            raise DataError(f"{where}: the field 'ann_id' names {annotation_id}, which is not in {self.path}")
        place = f"{self.path}: annotation {annotation_id}"
        return to_rle(field(row, "segmentation", (list, dict), place), size, place)
