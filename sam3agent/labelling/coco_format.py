"""COCO annotation files: `annotations/instances_SPLIT.json`, which our trainer and every other one reads."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from sam3agent.labelling.label_export import LabelFormat, LabelledImage, text_file

PART_IMAGES = 500_000
"""Maximum number of images in a file: readers parse it whole. More are in `instances_SPLIT-00002.json` and so on."""


class CocoFormat(LabelFormat):
    """One file per split, with RLE segmentations and scores; image and annotation ids count over all splits."""

    def __init__(
        self,
        out: Path,
        classes: Sequence[str],
        splits: Sequence[str],
        info: dict[str, Any] | None = None,
        part_images: int = PART_IMAGES,
    ) -> None:
        """info: what the field `info` says about the labels."""
        super().__init__(out, classes, splits)
        self.info, self.part_images = info or {}, part_images
        self.folder = out / "annotations"
        self._parts: dict[str, _CocoPart] = {}
        self._annotations = 0
        self._written = set[str]()

    def __enter__(self) -> "CocoFormat":
        super().__enter__()
        self._parts = {name: self._part(name, 1) for name in self.splits}
        return self

    @property
    def patterns(self) -> Sequence[str]:
        """All its files, also those of other splits."""
        return ("annotations/instances_*.json",)

    def of(self, split: str) -> Sequence[str]:
        """Its file, and those in which it goes on."""
        name = f"annotations/instances_{split}"
        return (f"{name}.json", f"{name}-{'[0-9]' * 5}.json")

    def add(self, image: LabelledImage) -> None:
        """Write one image with its annotations."""
        part = self._parts[image.split]
        if part.images >= self.part_images:
            part.finish(self._categories)
            part = self._parts[image.split] = self._part(image.split, part.number + 1)
        rows = []
        for label in image.labels:
            self._annotations += 1
            x0, y0, x1, y1 = label.box
            rows.append(
                {
                    "id": self._annotations,
                    "image_id": image.number,
                    "category_id": label.kind + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": label.area,
                    "segmentation": label.rle,
                    "score": label.score,
                    "iscrowd": 0,
                }
            )
        width, height = image.size
        part.add({"id": image.number, "file_name": image.name, "width": width, "height": height}, rows)

    def finish(self) -> None:
        """Complete all files, and delete those in which a split no longer goes on."""
        for part in self._parts.values():
            part.finish(self._categories)
        for path in (path for split in self.splits for pattern in self.of(split) for path in self.out.glob(pattern)):
            if path.name not in self._written:
                path.unlink(missing_ok=True)

    @property
    def _categories(self) -> list[dict[str, Any]]:
        return [{"id": number, "name": name} for number, name in enumerate(self.classes, start=1)]

    def _part(self, split: str, number: int) -> "_CocoPart":
        name = f"instances_{split}.json" if number == 1 else f"instances_{split}-{number:05d}.json"
        self._written.add(name)
        return _CocoPart(self.folder / name, number, self.info, self.stack)


class _CocoPart:
    """A file that is being written: images go into it, annotations wait beside it."""

    def __init__(self, path: Path, number: int, info: dict[str, Any], stack: ExitStack) -> None:
        self.number, self.images = number, 0
        self._own = stack.enter_context(ExitStack())
        self._file: IO[str] = self._own.enter_context(text_file(path))
        self._later: IO[str] = self._own.enter_context(
            tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent)  # noqa: SIM115 (closed by the stack)
        )
        self._rows = 0
        self._file.write(f'{{"info": {json.dumps(info)},\n"images": [')

    def add(self, image: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        self._file.write(("," if self.images else "") + "\n" + json.dumps(image))
        self.images += 1
        for row in rows:
            self._later.write(("," if self._rows else "") + "\n" + json.dumps(row))
            self._rows += 1

    def finish(self, categories: Sequence[dict[str, Any]]) -> None:
        self._file.write('\n],\n"annotations": [')
        self._later.seek(0)
        shutil.copyfileobj(self._later, self._file)
        self._file.write(f'\n],\n"categories": {json.dumps(categories)}}}\n')
        self._own.close()
