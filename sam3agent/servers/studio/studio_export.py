"""What was labelled as a zip file in a format of the field: COCO, YOLO, PNG masks or Label Studio."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from sam3agent.downloads import short_name
from sam3agent.labelling.other_tools import label_studio_url, yolo_labels_of, yolo_settings
from sam3agent.labelling.outlines import polygon_of
from sam3agent.masks import Mask
from sam3agent.media import open_media
from sam3agent.servers.studio.brush_masks import brush_rle
from sam3agent.servers.studio.studio_library import ItemLibrary, StudioItem
from sam3agent.servers.studio.studio_sheet import SheetObject
from sam3agent.servers.studio.studio_store import StudioStore
from sam3model.errors import InputError, Sam3Error
from sam3model.files import read_regular, replacing
from sam3model.parse import nearest
from sam3model.raster_files import MAX_FILE_BYTES, opened_raster

ORIENTATION = 0x0112
"""EXIF tag that says how an image is turned; masks are on the upright image."""


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """One image, or one frame of a clip, with its objects. name: of its image file. size: width and height."""

    item: StudioItem
    frame: int
    name: str
    size: tuple[int, int]
    objects: tuple[SheetObject, ...]
    store: StudioStore

    def masks(self) -> Iterator[tuple[SheetObject, Mask]]:
        """The objects with their masks on this frame."""
        counts = self.store.masks((one.shape for one in self.objects), self.frame)
        for one in self.objects:
            rle = {"size": [self.size[1], self.size[0]], "counts": counts.get(one.shape, "")}
            if one.shape in counts and (mask := Mask.from_rle(rle)) is not None:
                yield one, mask


def export(library: ItemLibrary, store: StudioStore, name: str, folder: Path, *, accepted_only: bool) -> Path:
    """Write a zip file into a folder; its path. The previous one of this format is replaced.

    Raises `InputError` for an unknown format or if there is nothing to export, `OutputError` if it cannot be written.
    """
    if name not in FORMATS:
        raise InputError(f"there is no format {name}{nearest(name, FORMATS)}")
    frames = list(labelled_frames(library, store, accepted_only=accepted_only))
    if not frames:
        raise InputError(
            "nothing is accepted yet: accept an image first, or export all"
            if accepted_only
            else "there are no objects yet"
        )
    labels = sorted({one.label for frame in frames for one in frame.objects})
    path = folder / f"{short_name(library.title)}-{name}.zip"
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        FORMATS[name](archive, frames, labels)
    return path


def labelled_frames(library: ItemLibrary, store: StudioStore, *, accepted_only: bool) -> Iterator[LabelledFrame]:
    """Every accepted image, with or without objects, and every frame with a mask of an accepted clip.

    accepted_only: if False, also those with a kept object that are not accepted.
    """
    taken = set[str]()
    for item in library.items():
        sheet, size = store.sheet(item.id), store.size(item.id)
        if size is None or not (sheet.accepted or (sheet.kept and not accepted_only)):
            continue
        width, height, count = size
        name = _free_name(item.name, taken)
        if count == 1:
            yield LabelledFrame(item, 0, name, (width, height), sheet.kept, store)
            continue
        for frame in sorted({frame for one in sheet.kept for frame in store.frames(one.shape)}):
            yield LabelledFrame(item, frame, f"{name}/{frame:06d}.jpg", (width, height), sheet.kept, store)


def _write_coco(archive: zipfile.ZipFile, frames: list[LabelledFrame], labels: list[str]) -> None:
    images, annotations = [], []
    for number, frame in enumerate(frames, start=1):
        width, height = frame.size
        images.append({"id": number, "file_name": frame.name, "width": width, "height": height})
        for one, mask in frame.masks():
            x0, y0, x1, y1 = mask.box
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1, "image_id": number, "category_id": labels.index(one.label) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0], "area": mask.area, "segmentation": mask.to_rle(), "iscrowd": 0,
                "score": round(one.score, 4),
            }  # fmt: skip
            if frame.item.kind == "clip":
                annotation["track_id"] = one.id
            annotations.append(annotation)
    categories = [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]
    archive.writestr(
        "annotations.json", json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    _write_frames(archive, [frame for frame in frames if frame.item.kind == "clip"], "")


def _write_yolo(archive: zipfile.ZipFile, frames: list[LabelledFrame], labels: list[str]) -> None:
    archive.writestr("data.yaml", yolo_settings({"train": "images", "val": "images"}, labels))
    for frame in frames:
        lines = []
        for one, mask in frame.masks():
            places = (polygon_of(mask) / np.array(frame.size)).ravel()
            lines.append(f"{labels.index(one.label)} " + " ".join(f"{place:.6f}" for place in places))
        archive.writestr(yolo_labels_of(f"images/{frame.name}"), "".join(f"{line}\n" for line in lines))
    _write_frames(archive, frames, "images/")


def _write_png(archive: zipfile.ZipFile, frames: list[LabelledFrame], labels: list[str]) -> None:
    from PIL import Image

    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["image", "mask", "label", "id", "score", "area"])
    for frame in frames:
        for one, mask in frame.masks():
            name = f"masks/{frame.name}/{one.id}.png"
            buffer = io.BytesIO()
            Image.fromarray(mask.full().view(np.uint8) * np.uint8(255)).save(buffer, "PNG")
            archive.writestr(name, buffer.getvalue())
            rows.writerow([frame.name, name, one.label, one.id, f"{one.score:.4f}", mask.area])
    archive.writestr("masks.csv", table.getvalue())
    _write_frames(archive, [frame for frame in frames if frame.item.kind == "clip"], "images/")


def _write_label_studio(archive: zipfile.ZipFile, frames: list[LabelledFrame], labels: list[str]) -> None:
    tasks = []
    for frame in frames:
        width, height = frame.size
        result = [
            {
                "id": f"{frame.item.id}-{frame.frame}-{one.id}", "type": "brushlabels", "origin": "manual",
                "from_name": "mask", "to_name": "image",
                "original_width": width, "original_height": height, "image_rotation": 0,
                "value": {"format": "rle", "rle": brush_rle(mask), "brushlabels": [one.label]},
            }
            for one, mask in frame.masks()
        ]  # fmt: skip
        tasks.append({"data": {"image": label_studio_url(frame.name)}, "annotations": [{"result": result}]})
    archive.writestr("tasks.json", json.dumps(tasks))
    choices = "".join(f"<Label value={quoteattr(label)}/>" for label in labels)
    brush = f'<BrushLabels name="mask" toName="image">{choices}</BrushLabels>'
    archive.writestr("label-config.xml", f'<View><Image name="image" value="$image"/>{brush}</View>\n')
    _write_frames(archive, [frame for frame in frames if frame.item.kind == "clip"], "")


def _write_frames(archive: zipfile.ZipFile, frames: list[LabelledFrame], prefix: str) -> None:
    """The image files themselves, as they are; turned upright, or cut from a clip, as JPEG."""
    media, opened = None, ""
    for frame in frames:
        if frame.item.kind == "image" and (data := _upright_file(frame.item.path)) is not None:
            archive.writestr(prefix + frame.name, data, zipfile.ZIP_STORED)
            continue
        try:
            if media is None or opened != frame.item.id:
                media, opened = open_media(frame.item.path), frame.item.id
            buffer = io.BytesIO()
            media.frame(frame.frame).save(buffer, "JPEG", quality=95)
        except Sam3Error as error:
            raise InputError(f"{frame.item.name} cannot be exported: {error}") from error
        archive.writestr(prefix + frame.name, buffer.getvalue(), zipfile.ZIP_STORED)


def _upright_file(path: Path) -> bytes | None:
    """The bytes of an image file; None if it is stored turned, or cannot be read as it is."""
    try:
        with opened_raster(path) as image:
            if image.getexif().get(ORIENTATION, 1) != 1:
                return None
        return read_regular(path, MAX_FILE_BYTES)
    except InputError:
        return None


def _free_name(name: str, taken: set[str]) -> str:
    """A name whose stem no other item has: files of several folders may share one, and labels have the stem alone."""
    stem, suffix = Path(name).stem, Path(name).suffix
    stems = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3)))
    free = next(one for one in stems if one.lower() not in taken)
    taken.add(free.lower())
    return free + suffix


FORMATS: dict[str, Callable[[zipfile.ZipFile, list[LabelledFrame], list[str]], None]] = {
    "coco": _write_coco,
    "yolo": _write_yolo,
    "png": _write_png,
    "label-studio": _write_label_studio,
}
"""Writers by the name of their format."""
