"""GroundingSuite-Eval: one JSON object a line."""

from evals.files import field, first_existing, numbers, parse_json, picture, read_text
from evals.masks import read_rle
from evals.registry import QuestionSample, Source
from evals.scorers.grounding import Grounded
from evals.scorers.referring import union
from sam3model.errors import DataError

FILE = "GroundingSuite-Eval.jsonl"
FOLDERS = ("", "images", "unlabeled2017", "images/unlabeled2017", "coco/unlabeled2017")


def read(source: Source) -> list[QuestionSample[Grounded]]:
    """Every line; its caption is the question."""
    path = first_existing(source.root, FILE, f"GSEval/{FILE}")
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        row = parse_json(line, where)
        codes = field(row, "segmentation", (dict, list), where)
        masks = [
            read_rle(code, f"{where}: the field 'segmentation'")
            for code in (codes if isinstance(codes, list) else [codes])
        ]
        if not masks or len({tuple(mask["size"]) for mask in masks}) > 1:
            raise DataError(f"{where}: the field 'segmentation' holds no mask, or masks of different sizes")
        x0, y0, x1, y1 = numbers(field(row, "box", list, where), 4, f"{where}: the field 'box'")
        mask = union(masks, (masks[0]["size"][0], masks[0]["size"][1]))
        kind = str(field(row, "class_id", (int, str), where))
        truth = Grounded(mask, (x0, y0, x1 - x0, y1 - y0), kind)
        open_it = picture(source.root, FOLDERS, field(row, "image_path", str, where))
        key = str(field(row, "idx", (int, str), where))
        found.append(QuestionSample(key, open_it, field(row, "caption", str, where), truth))
    return found
