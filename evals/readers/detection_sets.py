"""ODinW13 and RF100-VL: many small COCO datasets with boxes only; the figure is the mean of their APs."""

from evals.readers.coco import load, samples
from evals.samples import DatasetSplit, PhraseSample
from evals.scorers.detection import ImageTargets
from sam3model.data.dataset_paths import first_existing, inside
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
"""PascalVOC has no annotated test split; its validation split is used instead, as in the official evaluation."""
ROBOFLOW_FILE = "_annotations.coco.json"


def read_odinw(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """All 13 datasets; raises `DataError` if one is missing, since the mean would not be comparable."""
    found: list[PhraseSample[ImageTargets]] = []
    for place in ODINW13:
        flat = tuple(f"{place}/{name}_{ODINW_FILE}" for name in (dataset.split, "valid"))
        nested = tuple(f"{place}/{folder}/{ODINW_FILE}" for folder in ODINW_FOLDERS[dataset.split])
        path = first_existing(dataset.root, *nested, *flat)
        found += samples(load(path), path.parent, ("",), masks=False, subset=place.split("/")[0])
    return found


def read_rf100vl(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """Every folder of the root is a dataset in Roboflow's layout; there should be a hundred."""
    found: list[PhraseSample[ImageTargets]] = []
    for folder in sorted(path.name for path in dataset.root.iterdir() if path.is_dir()):
        path = inside(dataset.root, folder, dataset.split, ROBOFLOW_FILE)
        if path.exists():
            file = load(path)
            categories = file.categories(skip_root=True)
            found += samples(file, path.parent, ("",), masks=False, subset=folder, categories=categories)
    if not found:
        raise DataError(f"{dataset.root} holds no DATASET/{dataset.split}/{ROBOFLOW_FILE}")
    return found
