"""Scenes as a COCO data set: pictures, masks as run-length codes, and the phrases and questions in `info`."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from sam3model.data.playground.dice import VERSION
from sam3model.data.playground.kinds import KINDS
from sam3model.data.playground.phrases import PhraseQuery, phrases
from sam3model.data.playground.questions import Question, questions
from sam3model.data.playground.scene import Scene, scene
from sam3model.files import replacing, write_json
from sam3model.ops.masks import encode_rle

CATEGORY = {name: number for number, name in enumerate(KINDS, start=1)}


def write_split(folder: Path, split: str, count: int, *, first: int = 0, scale: int = 1) -> Path:
    """Write `count` scenes of a split as `images/*.png` and `annotations.json` in `folder`; the latter's path."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    records = []
    for index in tqdm(range(first, first + count), desc=split, unit="scene", disable=None):
        shown = scene(split, index, scale=scale)
        name = f"{split}_{index:06d}.png"
        save_picture(shown, images / name)
        records.append((shown, f"images/{name}", questions(shown)))
    path = folder / "annotations.json"
    write_json(path, to_coco(records), indent=1)
    return path


def to_coco(records: Iterable[tuple[Scene, str, Sequence[Question]]]) -> dict[str, Any]:
    """COCO dictionary of scenes, each with its file name and the questions asked about it.

    `info.phrases` and `info.questions` name their answers by `annotation_ids`; none of them means no match.
    """
    info: dict[str, Any] = {"description": "Playground scenes", "version": VERSION, "phrases": [], "questions": []}
    categories = [{"id": number, "name": name, "supercategory": "thing"} for name, number in CATEGORY.items()]
    content: dict[str, Any] = {"info": info, "images": [], "annotations": [], "categories": categories}
    for number, (shown, file_name, asked) in enumerate(records, start=1):
        start = len(content["annotations"]) + 1
        height, width = shown.image.shape[:2]
        image = {"id": number, "file_name": file_name, "width": width, "height": height, "theme": shown.theme}
        content["images"].append(image | {"split": shown.name[0], "index": shown.name[1]})
        content["annotations"] += _annotations(shown, number, start)
        info["phrases"] += [_answered(query, number, start, query.phrase) for query in phrases(shown)]
        info["questions"] += [_answered(question, number, start, question.text) for question in asked]
    return content


def _annotations(shown: Scene, image_id: int, start: int) -> list[dict[str, Any]]:
    found = []
    for thing in shown.objects:
        x0, y0, x1, y1 = thing.box
        about = {
            "colour": thing.colour,
            "pattern": thing.pattern,
            "size": thing.size,
            "visible": round(thing.visible, 4),
        }
        found.append({
            "id": start + thing.id, "image_id": image_id, "category_id": CATEGORY[thing.kind], "iscrowd": 0,
            "bbox": [x0, y0, x1 - x0, y1 - y0], "area": thing.area, "segmentation": encode_rle(thing.mask),
            "attributes": about,
        })  # fmt: skip
    return found


def _answered(item: Question | PhraseQuery, image_id: int, start: int, text: str) -> dict[str, Any]:
    about = {"kind": item.kind} if isinstance(item, Question) else {"hard": item.hard, "asks": asdict(item.description)}
    return {"image_id": image_id, "text": text, "annotation_ids": [start + i for i in item.ids], **about}


def save_picture(shown: Scene, path: Path) -> None:
    """Write the scene's picture as PNG, atomically."""
    with replacing(path) as temporary:
        Image.fromarray(shown.image).save(temporary, "PNG", optimize=True)
