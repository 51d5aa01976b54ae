"""Scenes as COCO datasets: images, masks as RLE, and phrases and questions in `info`.

`python -m sam3model.playground.export FOLDER --domain shifted` writes a dataset for fine-tuning: `train` and `valid`,
with a category for every phrase of one or two words.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from sam3model.errors import Sam3Error
from sam3model.files import replacing, write_json
from sam3model.ops.masks import encode_rle
from sam3model.playground.dice import VERSION
from sam3model.playground.domain import PLAYGROUND, Domain
from sam3model.playground.kinds import KINDS, Kind
from sam3model.playground.phrases import PhraseQuery, phrases
from sam3model.playground.questions import Question
from sam3model.playground.scene import Scene, SceneObject, scene
from sam3model.playground.shifted import SHIFTED

CATEGORY = {name: number for number, name in enumerate(KINDS, start=1)}
DOMAINS: dict[str, Domain] = {"playground": PLAYGROUND, "shifted": SHIFTED}


def to_coco(records: Iterable[tuple[Scene, str, Sequence[Question]]]) -> dict[str, Any]:
    """COCO dictionary of scenes, each with its file name and questions.

    The `annotation_ids` of `info.phrases` and `info.questions` are the matching annotations; empty means no match.
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
        info["phrases"] += [_with_answers(query, number, start, query.phrase) for query in phrases(shown)]
        info["questions"] += [_with_answers(question, number, start, question.text) for question in asked]
    return content


def _annotations(shown: Scene, image_id: int, start: int) -> list[dict[str, Any]]:
    found = []
    for obj in shown.objects:
        about = {"colour": obj.colour, "pattern": obj.pattern, "size": obj.size, "visible": round(obj.visible, 4)}
        found.append({
            "id": start + obj.id, "image_id": image_id, "category_id": CATEGORY[obj.kind], "iscrowd": 0,
            **_box_and_mask(obj), "attributes": about,
        })  # fmt: skip
    return found


def _box_and_mask(obj: SceneObject) -> dict[str, Any]:
    x0, y0, x1, y1 = obj.box
    return {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": obj.area, "segmentation": encode_rle(obj.mask)}


def _with_answers(item: Question | PhraseQuery, image_id: int, start: int, text: str) -> dict[str, Any]:
    about = {"kind": item.kind} if isinstance(item, Question) else {"hard": item.hard, "asks": asdict(item.description)}
    return {"image_id": image_id, "text": text, "annotation_ids": [start + i for i in item.ids], **about}


def save_image(shown: Scene, path: Path) -> None:
    """Write the image of a scene as PNG, atomically."""
    with replacing(path) as temporary:
        Image.fromarray(shown.image).save(temporary, "PNG", optimize=True)


def write_folder(folder: Path, domain: str, images: int, held_out: int) -> None:
    """Write scenes of a domain as `train` and `valid`, each with its images and `_annotations.coco.json`.

    A category is a kind, or a colour and a kind: `robot`, `teal robot`. An object has one annotation per category that
    matches it. The `neg_category_ids` of an image are absent kinds, and categories that differ in one word from a
    present one. The images of a smaller dataset are the first ones of a larger one.

    Raises:
        OutputError: the folder cannot be written to.
    """
    for split, count in (("train", images), ("valid", held_out)):
        content = by_phrase(_saved(folder / split, domain, count), DOMAINS[domain])
        write_json(folder / split / "_annotations.coco.json", content, indent=1)


def _saved(place: Path, domain: str, count: int) -> Iterator[tuple[str, Scene]]:
    """Save the scenes of the split that the folder is named after; yields file names and scenes one by one."""
    for index in tqdm(range(count), desc=place.name, unit="scene", disable=None):
        drawn = scene(f"{domain}/{place.name}", index, domain=DOMAINS[domain])
        save_image(drawn, place / f"{index:06d}.png")
        yield f"{index:06d}.png", drawn


def by_phrase(shown: Iterable[tuple[str, Scene]], domain: Domain) -> dict[str, Any]:
    """COCO dictionary of scenes by file name, with a category for every kind and for every colour of a kind."""
    names = [name for kind in domain.kinds.values() for name in (kind.name, *_coloured(kind))]
    number = {name: place for place, name in enumerate(names, start=1)}
    categories = [{"id": place, "name": name, "supercategory": name.split()[-1]} for name, place in number.items()]
    info = {"description": "Scenes with an annotation per object and matching phrase", "version": VERSION}
    content: dict[str, Any] = {"info": info, "images": [], "annotations": [], "categories": categories}
    for image_id, (file_name, drawn) in enumerate(shown, start=1):
        height, width = drawn.image.shape[:2]
        absent = [number[phrase] for phrase in _negatives(drawn, domain)]
        image = {"id": image_id, "file_name": file_name, "width": width, "height": height, "neg_category_ids": absent}
        content["images"].append(image)
        for obj in drawn.objects:
            row = {"image_id": image_id, "iscrowd": 0, **_box_and_mask(obj)}
            for phrase in _names(obj):
                place = len(content["annotations"]) + 1
                content["annotations"].append({"id": place, "category_id": number[phrase], **row})
    return content


def _coloured(kind: Kind) -> list[str]:
    return [f"{colour} {kind.name}" for colour in kind.colours]


def _names(obj: SceneObject) -> list[str]:
    return [obj.kind, f"{obj.colour} {obj.kind}"] if obj.colour else [obj.kind]


def _negatives(drawn: Scene, domain: Domain) -> list[str]:
    """Absent kinds, present kinds in other colours, and absent kinds in present colours."""
    here = {obj.kind for obj in drawn.objects}
    colours = {obj.colour for obj in drawn.objects}
    named = {name for obj in drawn.objects for name in _names(obj)}
    wrong = [kind.name for kind in domain.kinds.values() if kind.name not in here]
    for kind in domain.kinds.values():
        wrong += [f"{one} {kind.name}" for one in kind.colours if kind.name in here or one in colours]
    return [phrase for phrase in wrong if phrase not in named]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write Playground scenes as a COCO dataset for fine-tuning.")
    parser.add_argument("folder", type=Path, help="where to write the dataset")
    parser.add_argument(
        "--domain", choices=sorted(DOMAINS), default="shifted", help="kind of scenes (default: shifted)"
    )
    parser.add_argument("--images", type=int, default=10, help="number of training images (default: 10)")
    parser.add_argument("--pictures", dest="images", type=int, help=argparse.SUPPRESS, default=argparse.SUPPRESS)
    parser.add_argument("--held-out", type=int, default=40, help="number of validation images (default: 40)")
    args = parser.parse_args(arguments)
    if min(args.images, args.held_out) < 1:
        parser.exit(2, "export: --images and --held-out must be at least 1\n")
    try:
        write_folder(args.folder, args.domain, args.images, args.held_out)
    except Sam3Error as error:
        parser.exit(2, f"export: {error}\n")


if __name__ == "__main__":
    main()
