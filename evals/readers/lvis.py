"""LVIS v1: each image is queried with the categories that were checked in it, present or absent.

Other categories are not scored, whatever is predicted. The 300 best detections of an image count; since only checked
categories are queried, none of the 300 is spent on others, which differs from the official figure in the third digit.
"""

from collections.abc import Collection

from evals.dataset_files import image_opener
from evals.readers.coco import image_targets, load
from evals.samples import DatasetSplit, PhraseSample
from evals.scorers.detection import ImageTargets
from sam3model.data.coco_file import Row, class_phrase, required, table
from sam3model.data.dataset_paths import first_existing
from sam3model.errors import DataError

FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}


def read(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """The images of lvis_v1_SPLIT.json, which lie in COCO's train2017 and val2017 as their `coco_url` says."""
    path = first_existing(dataset.root, f"annotations/lvis_v1_{dataset.split}.json", f"lvis_v1_{dataset.split}.json")
    file = load(path)
    categories = file.categories()
    by_image = file.annotations_by_image(categories)
    groups = {
        row["id"]: FREQUENCIES.get(required(row, "frequency", str, f"{path}: category {row['id']}"), "")
        for row in table(file.content, "categories", path)
    }
    found = []
    for row in file.unique_images():
        name, size, targets = image_targets(file, row, by_image.get(row["id"], ()), masks=True)
        absent, unfinished = (
            _category_ids(row, field, categories, f"{path}: image {row['id']}")
            for field in ("neg_category_ids", "not_exhaustive_category_ids")
        )
        checked = tuple(sorted({*targets, *absent}))
        target = ImageTargets(row["id"], checked, targets, unfinished=unfinished, groups=groups)
        phrases = tuple(class_phrase(categories[i]) for i in checked)
        found.append(
            PhraseSample(str(row["id"]), image_opener(dataset.root, ("", "images"), name, size), phrases, target)
        )
    return found


def _category_ids(row: Row, name: str, categories: Collection[int], place: str) -> frozenset[int]:
    """A list of known category ids."""
    numbers = required(row, name, list, place)
    if unknown := [i for i in numbers if type(i) is not int or i not in categories]:
        raise DataError(f"{place}: the field {name!r} holds {unknown[0]!r}, which is not a category of the file")
    return frozenset(numbers)
