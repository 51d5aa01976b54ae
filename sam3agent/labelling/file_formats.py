"""Formats with a file per image: YOLO segmentation, Labelme and PNG maps; and Label Studio's tasks."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import quoteattr

import numpy as np

from sam3agent.labelling.image_placing import IMAGES
from sam3agent.labelling.label_export import LabelFormat, LabelledImage, text_file
from sam3agent.labelling.other_tools import label_studio_url, yolo_labels_of, yolo_settings
from sam3agent.labelling.outlines import polygon_of
from sam3agent.render.palette import colour_of
from sam3model.files import replacing, write_json, write_text


class YoloFormat(LabelFormat):
    """Ultralytics' segmentation format: a line per mask with its class and a polygon in fractions of the image."""

    def __init__(self, out: Path, classes: Sequence[str], splits: Sequence[str]) -> None:
        super().__init__(out, classes, splits)
        self._lists: dict[str, IO[str]] = {}

    def __enter__(self) -> "YoloFormat":
        super().__enter__()
        self._lists = {name: self.stack.enter_context(text_file(self.out / f"{name}.txt")) for name in self.splits}
        return self

    @property
    def patterns(self) -> Sequence[str]:
        """Settings and labels; those of images in a folder called `images` are inside the images."""
        return ("data.yaml", "labels/**/*.txt", "images/**/labels/**/*.txt")

    def of(self, split: str) -> Sequence[str]:
        """Its list."""
        return (f"{split}.txt",)

    def add(self, image: LabelledImage) -> None:
        """Write labels/NAME.txt, and the image into the list of its split."""
        path = f"{IMAGES}/{image.name}"
        lines = []
        for label in image.labels:
            points = (polygon_of(label.mask) / image.size).clip(0, 1).ravel().tolist()
            lines.append(" ".join([str(label.kind), *(f"{place:.6g}" for place in points)]))
        write_text(self.out / yolo_labels_of(path), "".join(line + "\n" for line in lines))
        self._lists[image.split].write(f"./{path}\n")

    def finish(self) -> None:
        """Write data.yaml. Without a split for validation, the training images are named for it."""
        splits = {name: f"{name}.txt" for name in self.splits}
        rows = {"train": splits.get("train", f"{self.splits[0]}.txt"), **splits}
        rows.setdefault("val", rows["train"])
        write_text(self.out / "data.yaml", yolo_settings(rows, self.classes))


class LabelmeFormat(LabelFormat):
    """A file per image for Labelme: polygons that can be edited, each with its score."""

    @property
    def patterns(self) -> Sequence[str]:
        """A file per image."""
        return ("labelme/**/*.json",)

    def add(self, image: LabelledImage) -> None:
        """Write labelme/NAME.json."""
        path = self.out / "labelme" / f"{image.stem}.json"
        shapes = [
            {
                "label": self.classes[label.kind],
                "points": polygon_of(label.mask).tolist(),
                "group_id": None,
                "description": f"score {label.score:.4f}",
                "shape_type": "polygon",
                "flags": {},
            }
            for label in image.labels
        ]
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": os.path.relpath(self.out / IMAGES / image.name, path.parent).replace(os.sep, "/"),
            "imageData": None,
            "imageHeight": image.size[1],
            "imageWidth": image.size[0],
        }
        write_json(path, content, indent=1)


class LabelStudioFormat(LabelFormat):
    """Tasks of Label Studio with predictions to correct: `label-studio/SPLIT.json` and the configuration.

    Images are named as files of its local storage, whose root is the output folder.
    """

    def __init__(self, out: Path, classes: Sequence[str], splits: Sequence[str]) -> None:
        super().__init__(out, classes, splits)
        self._files: dict[str, IO[str]] = {}
        self._begun = set[str]()

    def __enter__(self) -> "LabelStudioFormat":
        super().__enter__()
        folder = self.out / "label-studio"
        self._files = {name: self.stack.enter_context(text_file(folder / f"{name}.json")) for name in self.splits}
        for file in self._files.values():
            file.write("[")
        return self

    @property
    def patterns(self) -> Sequence[str]:
        """Tasks and configuration."""
        return ("label-studio/*.json", "label-studio/config.xml")

    def of(self, split: str) -> Sequence[str]:
        """Its tasks."""
        return (f"label-studio/{split}.json",)

    def add(self, image: LabelledImage) -> None:
        """Write one task."""
        file = self._files[image.split]
        file.write(("," if image.split in self._begun else "") + "\n" + json.dumps(self._task(image)))
        self._begun.add(image.split)

    def finish(self) -> None:
        """Complete the tasks, and write config.xml with a colour for each class."""
        for file in self._files.values():
            file.write("\n]\n")
        colours = ["#{:02x}{:02x}{:02x}".format(*colour_of(n)) for n in range(1, len(self.classes) + 1)]
        labels = "".join(
            f"    <Label value={quoteattr(name)} background={quoteattr(colour)}/>\n"
            for name, colour in zip(self.classes, colours, strict=True)
        )
        write_text(
            self.out / "label-studio" / "config.xml",
            '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
            f'  <PolygonLabels name="label" toName="image">\n{labels}  </PolygonLabels>\n</View>\n',
        )

    def _task(self, image: LabelledImage) -> dict[str, Any]:
        width, height = image.size
        results = [
            {
                "id": f"{image.number}-{place}",
                "type": "polygonlabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "score": label.score,
                "value": {
                    "points": np.round(polygon_of(label.mask) / image.size * 100, 4).tolist(),
                    "closed": True,
                    "polygonlabels": [self.classes[label.kind]],
                },
            }
            for place, label in enumerate(image.labels)
        ]
        prediction = {
            "model_version": "sam3agent",
            "score": min((label.score for label in image.labels), default=0.0),
            "result": results,
        }
        return {"data": {"image": label_studio_url(f"{IMAGES}/{image.name}")}, "predictions": [prediction]}


class PngFormat(LabelFormat):
    """Two maps per image: `classes/NAME.png` with the number of the class, `instances/NAME.png` with that of the mask.

    Both count from 1; 0 is the background. Where masks overlap, the one with the higher score is on top.
    """

    @property
    def patterns(self) -> Sequence[str]:
        """Two maps per image."""
        return ("classes/**/*.png", "instances/**/*.png")

    def add(self, image: LabelledImage) -> None:
        """Write both maps."""
        width, height = image.size
        kinds = np.zeros((height, width), np.uint8 if len(self.classes) < 256 else np.uint16)
        instances = np.zeros((height, width), np.uint16)
        numbered = enumerate(image.labels, start=1)
        for number, label in sorted(numbered, key=lambda pair: pair[1].score):
            mask, (x0, y0, x1, y1) = label.mask, label.mask.box
            kinds[y0:y1, x0:x1][mask.crop] = label.kind + 1
            instances[y0:y1, x0:x1][mask.crop] = number
        for folder, pixels in (("classes", kinds), ("instances", instances)):
            _save_png(pixels, self.out / folder / f"{image.stem}.png")


def _save_png(pixels: np.ndarray, path: Path) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")


FORMATS: dict[str, type[LabelFormat]] = {
    "yolo-seg": YoloFormat,
    "labelme": LabelmeFormat,
    "label-studio": LabelStudioFormat,
    "png": PngFormat,
}
"""What --format may name besides coco, which is always written."""
