"""ODinW13 and RF100-VL: many small COCO sets of boxes; the figure is the mean of their APs."""

from pathlib import Path
from typing import Any

from evals.dataset_files import field, first_existing, inside, read_json, table
from evals.readers.coco import load, samples
from evals.samples import DatasetSplit, PhraseSample
from evals.scorers.detection import ImageTargets
from sam3model.data.coco import real_categories
from sam3model.errors import DataError

ODINW13 = (
    "AerialMaritimeDrone/large",
    "Aquarium/Aquarium Combined.v2-raw-1024.coco",
    "CottontailRabbits",
    "EgoHands/generic",
    "NorthAmericaMushrooms/North American Mushrooms.v1-416x416.coco",
    "Packages/Raw",
    "PascalVOC",
    "Raccoon/Raccoon.v2-raw.coco",
    "ShellfishOpenImages/raw",
    "VehiclesOpenImages/416x416",
    "pistols/export",
    "pothole",
    "thermalDogsAndPeople",
)
ODINW_FILE = "annotations_without_background.json"
ODINW_FOLDERS = {"test": ("test", "valid"), "val": ("valid", "mini_val", "val")}
"""PascalVOC has no test part with annotations; its validation part stands in, as officially."""
ROBOFLOW_FILE = "_annotations.coco.json"


def read_odinw(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """All 13 sets; raises `DataError` where one is missing, since the mean would be another figure."""
    found: list[PhraseSample[ImageTargets]] = []
    for place in ODINW13:
        flat = tuple(f"{place}/{part}_{ODINW_FILE}" for part in (dataset.split, "valid"))
        nested = tuple(f"{place}/{folder}/{ODINW_FILE}" for folder in ODINW_FOLDERS[dataset.split])
        path = first_existing(dataset.root, *nested, *flat)
        found += samples(load(path), path.parent, ("",), masks=False, subset=place.split("/")[0])
    return found


def read_rf100vl(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """Every folder of the root is a set in Roboflow's layout; all hundred should be there."""
    found: list[PhraseSample[ImageTargets]] = []
    for folder in sorted(path.name for path in dataset.root.iterdir() if path.is_dir()):
        path = inside(dataset.root, folder, dataset.split, ROBOFLOW_FILE)
        if path.exists():
            data = read_json(path)
            used = _real_categories(data, path)
            found += samples(load(path, data), path.parent, ("",), masks=False, subset=folder, used=used)
    if not found:
        raise DataError(f"{dataset.root}: there is no SET/{dataset.split}/{ROBOFLOW_FILE}")
    return found


def _real_categories(data: Any, path: Path) -> list[int]:
    """Ids of the categories that are asked for, the same as in training."""
    rows = real_categories(table(data, "categories", path), table(data, "annotations", path))
    return [field(row, "id", int, f"{path}: category") for row in rows]
