"""SA-Co/Gold and SA-Co/Silver: COCO-like files in which every entry of `images` is a (picture, phrase) pair."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.files import field, first_existing, image_size, picture, read_json, table
from evals.readers.coco import to_rle
from evals.registry import PhraseSample, Rle, Source
from evals.scorers.concepts import Concept
from sam3model.errors import DataError

GOLD = ("metaclip", "sa1b", "crowded", "fg_food", "fg_sports_equipment", "attributes", "wiki_common")
SILVER = ("bdd100k", "droid", "ego4d", "fathomnet", "food_rec", "geode", "inaturalist", "nga_art", "sav", "yt1b")
GOLD_IMAGES = ("metaclip-images", "sa1b-images", "images", "")
Row = Mapping[str, Any]
Samples = list[PhraseSample[tuple[Concept, ...]]]


def read_gold(source: Source) -> Samples:
    """One subset, or all seven; three annotators each."""
    found: Samples = []
    for subset in GOLD if source.split == "all" else (source.split,):
        names = [f"gold_{subset}_merged_{annotator}_release_test.json" for annotator in "abc"]
        found += _samples(source.root, subset, [_annotations(source.root, name) for name in names], GOLD_IMAGES)
    return found


def read_silver(source: Source) -> Samples:
    """One subset, or all ten; one annotator."""
    found: Samples = []
    for subset in SILVER if source.split == "all" else (source.split,):
        names = (f"silver_{subset}_merged_test.json", f"silver_{subset}_test.json")
        folders = (subset, f"images/{subset}", f"{subset}-images", "images", "")
        found += _samples(source.root, subset, [_annotations(source.root, *names)], folders)
    return found


def _annotations(root: Path, *names: str) -> Path:
    folders = ("gt-annotations/", "annotations/", "annotation/", "")
    return first_existing(root, *(folder + name for folder in folders for name in names))


def _samples(root: Path, subset: str, paths: Sequence[Path], folders: Sequence[str]) -> Samples:
    """The pairs of a subset, gathered by picture."""
    files = [_Annotator(path) for path in paths]
    pictures: dict[str, list[Row]] = defaultdict(list)
    for pair in files[0].pairs.values():
        if all(file.is_exhaustive(pair["id"]) for file in files):
            name = field(pair, "file_name", str, f"{paths[0]}: image {pair['id']}")
            pictures[name].append(pair)
    found = []
    for name, pairs in pictures.items():
        phrases = tuple(field(p, "text_input", str, f"{paths[0]}: image {p['id']}") for p in pairs)
        truth = tuple(
            Concept(f"{subset}/{p['id']}", tuple(f.masks(p["id"]) for f in files if p["id"] in f.pairs), subset)
            for p in pairs
        )
        found.append(PhraseSample(f"{subset}/{name}", picture(root, folders, name), phrases, truth))
    return found


class _Annotator:
    """One annotator's file."""

    def __init__(self, path: Path) -> None:
        data = read_json(path)
        self.path = path
        self.pairs = {field(row, "id", int, f"{path}: image"): row for row in table(data, "images", path)}
        self._rows: dict[int, list[Row]] = defaultdict(list)
        for row in table(data, "annotations", path):
            where = f"{path}: annotation {row.get('id')}"
            if field(row, "image_id", int, where) not in self.pairs:
                raise DataError(f"{where}: the field 'image_id' names no image of the file")
            if not row.get("iscrowd", 0):
                self._rows[row["image_id"]].append(row)

    def is_exhaustive(self, pair: int) -> bool:
        """False only where the annotator marks the pair as unfinished."""
        return bool(self.pairs.get(pair, {}).get("is_instance_exhaustive", True))

    def masks(self, pair: int) -> tuple[Rle, ...]:
        """The masks that this annotator drew."""
        size = image_size(self.pairs[pair], f"{self.path}: image {pair}")
        rows = self._rows.get(pair, ())
        return tuple(
            to_rle(field(r, "segmentation", (dict, list), w := f"{self.path}: annotation {r.get('id')}"), size, w)
            for r in rows
        )
