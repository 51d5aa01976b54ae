"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: references in a pickle or JSON file, masks in `instances.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.dataset_files import field, image_opener, image_size, integers, read_json, read_pickle
from evals.readers.coco import to_rle
from evals.samples import DatasetSplit, QuestionSample
from evals.scorers.referring import MaskTarget, union
from sam3model.data.coco_file import table
from sam3model.data.dataset_paths import first_existing, inside
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
    instances = inside(dataset.root, folder, "instances.json")
    data = read_json(instances)
    images, annotations = (_by_id(data, name, instances) for name in ("images", "annotations"))
    samples = []
    for number, ref in enumerate(refs):
        where = f"{path}: reference {number}"
        if field(ref, "split", str, where) != dataset.split:
            continue
        image = _entry(images, "image_id", field(ref, "image_id", int, where), where, instances)
        place = f"{instances}: image {image['id']}"
        size, name = image_size(image, place), field(image, "file_name", str, place)
        rows = [_entry(annotations, "ann_id", i, where, instances) for i in _annotation_ids(ref, where)]
        masks = [to_rle(row.get("segmentation"), size, f"{instances}: annotation {row['id']}") for row in rows]
        target = MaskTarget(union(masks, size))
        for sentence in field(ref, "sentences", (list, tuple), where):
            key = f"{field(ref, 'ref_id', int, where)}/{field(sentence, 'sent_id', int, where)}"
            question = field(sentence, "sent", str, where)
            samples.append(QuestionSample(key, image_opener(dataset.root, IMAGES, name, size), question, target))
    return samples


def _annotation_ids(ref: Row, where: str) -> Sequence[int]:
    """Ids of the annotations of a reference; [-1] means none."""
    single = isinstance(field(ref, "ann_id", (int, list, tuple), where), int)
    ids = [ref["ann_id"]] if single else integers(ref, "ann_id", where)
    return [i for i in ids if i != NO_TARGET]


def _by_id(data: Any, name: str, path: Path) -> dict[int, Row]:
    return {field(row, "id", int, f"{path}: {name}"): row for row in table(data, name, path)}


def _entry(rows: Mapping[int, Row], name: str, number: int, where: str, path: Path) -> Row:
    """The entry of `instances.json` that the field `name` of a reference refers to."""
    if number not in rows:
        raise DataError(f"{where}: {name} {number} is not in {path}")
    return rows[number]
