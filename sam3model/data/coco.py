"""COCO files as training pictures: COCO, LVIS with its federated labels, ODinW, Roboflow-100-VL."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from sam3model.data.annotations import AnnotationReader, Row, grouped, key, numbered, read_json, required, rows
from sam3model.data.faults import Faults
from sam3model.data.layout import Place
from sam3model.data.records import AnnotatedSet, Concept, Record, Thing


def class_phrase(name: str) -> str:
    """A class name as people would say it, which training and scoring both ask for: no underscores or brackets.

    What stands in brackets tells namesakes apart (`bow_(weapon)`), so its words stay, and in their place; nobody says
    the brackets. All else is left as it is, capitals too: the tokenizer takes care of them.

    >>> class_phrase("bow_(decorative_ribbons)")
    'bow decorative ribbons'
    """
    return " ".join("".join(" " if letter in "_()[]" else letter for letter in name).split()) or name


def real_categories(categories: Sequence[Row], annotations: Sequence[Row]) -> list[Row]:
    """The categories without Roboflow's root one, which only serves the others as their supercategory.

    One that something is annotated as is real, whatever it looks like.
    """
    parents = [row.get("supercategory") for row in categories]
    used = grouped(annotations, "category_id")
    return [
        row
        for row in categories
        if key(row, "id") in used or row.get("supercategory") != "none" or row.get("name") not in parents
    ]


def read_coco(place: Place, *, masks: bool = True, broken: float = 0.1) -> AnnotatedSet:
    """Every picture of a COCO file with its classes as phrases.

    Classes that a picture has no annotation of are absent from it; in a federated file (LVIS) only those of its
    `neg_category_ids`, and its `not_exhaustive_category_ids` are not exhaustive. Crowd regions are no things, but make
    their class not exhaustive, and so does an annotation that cannot be used.

    Raises:
        DataError: the file is no COCO file, or more than a share `broken` of its pictures or annotations is unusable.
    """
    path = place.annotations
    content = read_json(path)
    phrases = _phrases(content, path)
    images, table = rows(content, "images", path), numbered(rows(content, "annotations", path))
    annotations, pictures = Faults(), Faults()
    reader = AnnotationReader(place, pictures, masks=masks, normalised=False)
    things = AnnotationReader(place, annotations, masks=masks, normalised=False)
    by_picture = grouped(table, "image_id")
    records, seen = [], set()
    for row in tqdm(images, desc=path.name, unit="picture", disable=None, leave=False):
        found = reader.picture(row, _file_name(row))
        number = key(row, "id")
        if number is None or number in seen:
            pictures.note("picture without an id of its own", str(row.get("file_name")))
            continue
        seen.add(number)
        of_picture = by_picture.pop(number, [])
        if found is not None:
            concepts = _concepts(row, of_picture, found[2], phrases, things)
            records.append(Record(*found, concepts, _absent(row, phrases)))
    for lost in (row for group in by_picture.values() for row in group):
        annotations.note("annotation of a picture that the file has not", f"annotation {lost.get('id')}")
    pictures.refuse_beyond(broken, len(images), f"pictures of {path}")
    annotations.refuse_beyond(broken, len(table), f"annotations of {path}")
    pictures.found |= annotations.found
    return AnnotatedSet(str(path), records, tuple(dict.fromkeys(phrases.values())), pictures)


def _phrases(content: Row, path: Path) -> dict[int, str]:
    """Category id -> phrase."""
    phrases = dict[int, str]()
    for row in real_categories(rows(content, "categories", path), rows(content, "annotations", path)):
        number = required(row, "id", int, f"{path}: category")
        phrases[number] = class_phrase(required(row, "name", str, f"{path}: category {number}"))
    return phrases


def _file_name(row: Row) -> Any:
    """As COCO says it, or as the end of the address that LVIS gives."""
    if "file_name" not in row and isinstance(row.get("coco_url"), str):
        return urlsplit(row["coco_url"]).path.strip("/")
    return row.get("file_name")


def _concepts(
    image: Row, table: Sequence[Row], size: tuple[int, int], phrases: Mapping[int, str], reader: AnnotationReader
) -> tuple[Concept, ...]:
    """The classes of a picture, things of one phrase together."""
    unfinished = {phrases.get(number) for number in _numbers(image, "not_exhaustive_category_ids")}
    found: dict[str, list[Thing]] = {}
    for row in table:
        where = f"annotation {row.get('id')}"
        phrase = phrases.get(number) if isinstance(number := row.get("category_id"), int) else None
        if phrase is None:
            reader.faults.note("annotation of a class that the file has not", where)
            continue
        things = found.setdefault(phrase, [])
        thing = None if row.get("iscrowd") else reader.thing(row, size, where)
        if thing is None:
            unfinished.add(phrase)
        else:
            things.append(thing)
    return tuple(Concept(phrase, tuple(things), phrase not in unfinished) for phrase, things in found.items())


def _absent(image: Row, phrases: Mapping[int, str]) -> tuple[str, ...] | None:
    if "neg_category_ids" not in image:
        return None
    return tuple(dict.fromkeys(phrases[number] for number in _numbers(image, "neg_category_ids") if number in phrases))


def _numbers(image: Row, name: str) -> list[Any]:
    value = image.get(name)
    return [number for number in value if isinstance(number, int)] if isinstance(value, list) else []
