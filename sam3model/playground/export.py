"""Scenes as COCO data sets: pictures, masks as run-length codes, and the phrases and questions in `info`.

`python -m sam3model.playground.export FOLDER --domain shifted` writes one to fine-tune on: `train` and `valid`,
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
from sam3model.playground.questions import Question, questions
from sam3model.playground.scene import Scene, SceneObject, scene
from sam3model.playground.shifted import SHIFTED

CATEGORY = {name: number for number, name in enumerate(KINDS, start=1)}
DOMAINS: dict[str, Domain] = {"playground": PLAYGROUND, "shifted": SHIFTED}


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
        about = {
            "colour": thing.colour,
            "pattern": thing.pattern,
            "size": thing.size,
            "visible": round(thing.visible, 4),
        }
        found.append({
            "id": start + thing.id, "image_id": image_id, "category_id": CATEGORY[thing.kind], "iscrowd": 0,
            **_outline(thing), "attributes": about,
        })  # fmt: skip
    return found


def _outline(thing: SceneObject) -> dict[str, Any]:
    x0, y0, x1, y1 = thing.box
    return {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": thing.area, "segmentation": encode_rle(thing.mask)}


def _answered(item: Question | PhraseQuery, image_id: int, start: int, text: str) -> dict[str, Any]:
    about = {"kind": item.kind} if isinstance(item, Question) else {"hard": item.hard, "asks": asdict(item.description)}
    return {"image_id": image_id, "text": text, "annotation_ids": [start + i for i in item.ids], **about}


def save_picture(shown: Scene, path: Path) -> None:
    """Write the scene's picture as PNG, atomically."""
    with replacing(path) as temporary:
        Image.fromarray(shown.image).save(temporary, "PNG", optimize=True)


def write_folder(folder: Path, domain: str, pictures: int, held_out: int) -> None:
    """Write scenes of a domain as `train` and `valid`, each its pictures and `_annotations.coco.json`.

    A category is a kind, or a colour and a kind: `robot`, `teal robot`. A thing is annotated once for each that names
    it. A picture's `neg_category_ids` are what it is asked in vain: kinds that it lacks, and whatever differs in one
    word from something that it shows. A larger number of pictures begins with the same ones.

    Raises:
        OutputError: the folder cannot be written to.
    """
    for split, count in (("train", pictures), ("valid", held_out)):
        content = by_phrase(_saved(folder / split, domain, count), DOMAINS[domain])
        write_json(folder / split / "_annotations.coco.json", content, indent=1)


def _saved(place: Path, domain: str, count: int) -> Iterator[tuple[str, Scene]]:
    """Scenes of the split that a folder is named after, one at a time, each with the picture that it is written as."""
    for index in tqdm(range(count), desc=place.name, unit="scene", disable=None):
        drawn = scene(f"{domain}/{place.name}", index, domain=DOMAINS[domain])
        save_picture(drawn, place / f"{index:06d}.png")
        yield f"{index:06d}.png", drawn


def by_phrase(shown: Iterable[tuple[str, Scene]], domain: Domain) -> dict[str, Any]:
    """COCO dictionary of scenes with file names, with a category for every kind and for every colour of a kind."""
    names = [name for kind in domain.kinds.values() for name in (kind.name, *_coloured(kind))]
    number = {name: place for place, name in enumerate(names, start=1)}
    categories = [{"id": place, "name": name, "supercategory": name.split()[-1]} for name, place in number.items()]
    info = {"description": "Scenes, each thing annotated under every phrase that names it", "version": VERSION}
    content: dict[str, Any] = {"info": info, "images": [], "annotations": [], "categories": categories}
    for image_id, (file_name, drawn) in enumerate(shown, start=1):
        height, width = drawn.image.shape[:2]
        absent = [number[phrase] for phrase in _asked_in_vain(drawn, domain)]
        image = {"id": image_id, "file_name": file_name, "width": width, "height": height, "neg_category_ids": absent}
        content["images"].append(image)
        for thing in drawn.objects:
            row = {"image_id": image_id, "iscrowd": 0, **_outline(thing)}
            for phrase in _names(thing):
                place = len(content["annotations"]) + 1
                content["annotations"].append({"id": place, "category_id": number[phrase], **row})
    return content


def _coloured(kind: Kind) -> list[str]:
    return [f"{colour} {kind.name}" for colour in kind.colours]


def _names(thing: SceneObject) -> list[str]:
    return [thing.kind, f"{thing.colour} {thing.kind}"] if thing.colour else [thing.kind]


def _asked_in_vain(drawn: Scene, domain: Domain) -> list[str]:
    """Absent kinds, other colours of what is there, and the colours of what is there on what is not."""
    here = {thing.kind for thing in drawn.objects}
    colours = {thing.colour for thing in drawn.objects}
    named = {name for thing in drawn.objects for name in _names(thing)}
    wrong = [kind.name for kind in domain.kinds.values() if kind.name not in here]
    for kind in domain.kinds.values():
        wrong += [f"{one} {kind.name}" for one in kind.colours if kind.name in here or one in colours]
    return [phrase for phrase in wrong if phrase not in named]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a folder to fine-tune on."""
    parser = argparse.ArgumentParser(description="Write scenes as a COCO folder to fine-tune on.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--domain", choices=sorted(DOMAINS), default="shifted")
    parser.add_argument("--pictures", type=int, default=10, help="to learn from (default: 10)")
    parser.add_argument("--held-out", type=int, default=40, help="to judge on (default: 40)")
    args = parser.parse_args(arguments)
    if min(args.pictures, args.held_out) < 1:
        parser.exit(2, "export: --pictures and --held-out are at least 1\n")
    try:
        write_folder(args.folder, args.domain, args.pictures, args.held_out)
    except Sam3Error as error:
        parser.exit(2, f"export: {error}\n")


if __name__ == "__main__":
    main()
