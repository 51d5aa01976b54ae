"""LVIS v1: each picture is asked for the categories that were checked in it, positive or negative.

Others are not scored, whatever is found. Of a picture the 300 best detections count; as only checked categories are
asked for, none of the 300 goes to one that is not scored, a difference to the official figure in the third digit.
"""

from urllib.parse import urlsplit

from evals.dataset_files import field, first_existing, image_opener, integers, read_json, table
from evals.readers.coco import load, targets_of
from evals.samples import DatasetSplit, PhraseSample
from evals.scorers.detection import ImageTargets
from sam3model.data.coco import class_phrase
from sam3model.errors import DataError

FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}


def read(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """The pictures of lvis_v1_SPLIT.json; they lie in train2017 and val2017 of COCO, as `coco_url` says."""
    path = first_existing(dataset.root, f"annotations/lvis_v1_{dataset.split}.json", f"lvis_v1_{dataset.split}.json")
    data = read_json(path)
    file = load(path, data)
    groups = {
        row["id"]: FREQUENCIES.get(field(row, "frequency", str, f"{path}: category {row['id']}"), "")
        for row in table(data, "categories", path)
    }
    found = []
    for image in file.images:
        where = f"{path}: image {image['id']}"
        targets = targets_of(file, image, masks=True)
        unfinished = frozenset(integers(image, "not_exhaustive_category_ids", where))
        absent = integers(image, "neg_category_ids", where)
        if unknown := [i for i in (*absent, *unfinished) if i not in file.categories]:
            raise DataError(
                f"{where}: the field 'neg_category_ids' or 'not_exhaustive_category_ids' holds {unknown[0]!r}"
            )
        asked = tuple(sorted({*targets, *absent}))
        truth = ImageTargets(image["id"], asked, targets, unfinished=unfinished, groups=groups)
        name = urlsplit(field(image, "coco_url", str, where)).path.strip("/")
        open_it = image_opener(dataset.root, ("", "images"), name)
        phrases = tuple(class_phrase(file.categories[i]) for i in asked)
        found.append(PhraseSample(str(image["id"]), open_it, phrases, truth))
    return found
