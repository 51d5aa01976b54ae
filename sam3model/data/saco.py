"""SA-Co files as training pictures: every entry of `images` is a (picture, phrase) pair, its boxes are normalised."""

from collections.abc import Sequence

from tqdm import tqdm

from sam3model.data.annotations import AnnotationReader, Row, grouped, key, numbered, read_json, rows
from sam3model.data.faults import Faults
from sam3model.data.layout import Place
from sam3model.data.records import AnnotatedSet, Concept, Record


def read_saco(place: Place, *, masks: bool = True, broken: float = 0.1) -> AnnotatedSet:
    """The pairs of a SA-Co file, gathered by picture. A pair without annotations is a negative phrase.

    Only phrases that a picture is paired with are asked about it. A pair that is not `is_instance_exhaustive` keeps
    that mark, and is never a negative one. One that is `is_pixel_exhaustive` all the same still says where the phrase
    fits and where not. Neither holds where an annotation is a crowd or cannot be used.

    Raises:
        DataError: the file is no SA-Co file, or more than a share `broken` of its pairs or annotations is unusable.
    """
    path = place.annotations
    content = read_json(path)
    pairs, table = rows(content, "images", path), numbered(rows(content, "annotations", path))
    annotations, pictures = Faults(), Faults()
    reader = AnnotationReader(place, pictures, masks=masks, normalised=True)
    things = AnnotationReader(place, annotations, masks=masks, normalised=True)
    by_pair = grouped(table, "image_id")
    records = []
    for name, group in tqdm(grouped(pairs, "file_name").items(), desc=path.name, unit="picture", disable=None):
        found = reader.picture(group[0], name)
        of_pairs = [by_pair.pop(key(pair, "id"), []) for pair in group]
        if found is not None:
            asked = [_concept(pair, of_pair, found[2], things) for pair, of_pair in zip(group, of_pairs, strict=True)]
            concepts = [concept for concept in asked if concept is not None]
            absent = tuple(concept.phrase for concept in concepts if concept.exhaustive and not concept.things)
            records.append(Record(*found, tuple(one for one in concepts if one.phrase not in absent), absent))
    for lost in (row for group in by_pair.values() for row in group):
        annotations.note("annotation of a pair that the file has not", f"annotation {lost.get('id')}")
    pictures.refuse_beyond(broken, len(grouped(pairs, "file_name")), f"pictures of {path}")
    annotations.refuse_beyond(broken, len(table), f"annotations of {path}")
    pictures.found |= annotations.found
    phrases = dict.fromkeys(text for pair in pairs if isinstance(text := pair.get("text_input"), str))
    return AnnotatedSet(str(path), records, tuple(phrases), pictures)


def _concept(pair: Row, table: Sequence[Row], size: tuple[int, int], reader: AnnotationReader) -> Concept | None:
    """A pair with its annotations; None if it has no phrase."""
    phrase = pair.get("text_input")
    if not isinstance(phrase, str) or not phrase.strip():
        return reader.faults.note("pair without a phrase", f"image {pair.get('id')}")
    single = [row for row in table if not row.get("iscrowd")]
    things = [reader.thing(row, size, f"annotation {row.get('id')}") for row in single]
    known = tuple(thing for thing in things if thing is not None)
    whole, of_pixels = len(known) == len(table), pair.get("is_pixel_exhaustive")
    exhaustive = whole and bool(pair.get("is_instance_exhaustive", True))
    return Concept(phrase, known, exhaustive, None if of_pixels is None else whole and bool(of_pixels))
