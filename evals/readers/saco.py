"""SA-Co/Gold and SA-Co/Silver: COCO-like files in which every entry of `images` is an (image, phrase) pair."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from evals.dataset_files import field, image_opener, image_size
from evals.readers.coco import load, to_rle
from evals.samples import DatasetSplit, PhraseSample, Rle
from evals.scorers.concepts import PhraseTarget
from sam3model.data.coco_file import Row, where
from sam3model.data.dataset_paths import first_existing

GOLD = ("metaclip", "sa1b", "crowded", "fg_food", "fg_sports_equipment", "attributes", "wiki_common")
SILVER = ("bdd100k", "droid", "ego4d", "fathomnet", "food_rec", "geode", "inaturalist", "nga_art", "sav", "yt1b")
GOLD_IMAGES = ("metaclip-images", "sa1b-images", "images", "")
Samples = list[PhraseSample[tuple[PhraseTarget, ...]]]


def read_gold(dataset: DatasetSplit) -> Samples:
    """One subset, or all seven; three annotators each."""
    samples: Samples = []
    for subset in GOLD if dataset.split == "all" else (dataset.split,):
        names = [f"gold_{subset}_merged_{annotator}_release_test.json" for annotator in "abc"]
        samples += _samples(dataset.root, subset, [_annotations(dataset.root, name) for name in names], GOLD_IMAGES)
    return samples


def read_silver(dataset: DatasetSplit) -> Samples:
    """One subset, or all ten; one annotator."""
    samples: Samples = []
    for subset in SILVER if dataset.split == "all" else (dataset.split,):
        names = (f"silver_{subset}_merged_test.json", f"silver_{subset}_test.json")
        folders = (subset, f"images/{subset}", f"{subset}-images", "images", "")
        samples += _samples(dataset.root, subset, [_annotations(dataset.root, *names)], folders)
    return samples


def _annotations(root: Path, *names: str) -> Path:
    folders = ("gt-annotations/", "annotations/", "annotation/", "")
    return first_existing(root, *(folder + name for folder in folders for name in names))


def _samples(root: Path, subset: str, paths: Sequence[Path], folders: Sequence[str]) -> Samples:
    """The pairs of a subset, grouped by image."""
    files = [_Annotator(path) for path in paths]
    by_image: dict[str, list[Row]] = defaultdict(list)
    for pair in files[0].pairs.values():
        if all(file.is_exhaustive(pair["id"]) for file in files):
            name = field(pair, "file_name", str, f"{paths[0]}: image {pair['id']}")
            by_image[name].append(pair)
    samples = []
    for name, pairs in by_image.items():
        phrases = tuple(field(p, "text_input", str, f"{paths[0]}: image {p['id']}") for p in pairs)
        targets = tuple(
            PhraseTarget(f"{subset}/{p['id']}", tuple(f.masks(p["id"]) for f in files if p["id"] in f.pairs), subset)
            for p in pairs
        )
        opener = image_opener(root, folders, name, image_size(pairs[0], f"{paths[0]}: image {pairs[0]['id']}"))
        samples.append(PhraseSample(f"{subset}/{name}", opener, phrases, targets))
    return samples


class _Annotator:
    """One annotator's file."""

    def __init__(self, path: Path) -> None:
        file = load(path, in_pixels=False)
        self.path = path
        self.pairs = {row["id"]: row for row in file.unique_images()}
        self._rows = file.annotations_by_image()

    def is_exhaustive(self, pair: int) -> bool:
        """Whether the annotator marked all instances of the pair; True unless the file says otherwise."""
        return bool(self.pairs.get(pair, {}).get("is_instance_exhaustive", True))

    def masks(self, pair: int) -> tuple[Rle, ...]:
        """The annotator's masks of a pair."""
        size = image_size(self.pairs[pair], f"{self.path}: image {pair}")
        rows = (row for row in self._rows.get(pair, ()) if not row.get("iscrowd", 0))
        return tuple(to_rle(row.get("segmentation"), size, f"{self.path}: {where(row)}") for row in rows)
