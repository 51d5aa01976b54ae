"""GroundingSuite-Eval: one JSON object per line."""

from evals.dataset_files import field, image_opener, numbers, read_json_lines
from evals.rle_masks import read_rle
from evals.samples import DatasetSplit, QuestionSample
from evals.scorers.grounding import GroundingTarget
from evals.scorers.referring import union
from sam3model.data.dataset_paths import first_existing
from sam3model.errors import DataError

FILE = "GroundingSuite-Eval.jsonl"
FOLDERS = ("", "images", "unlabeled2017", "images/unlabeled2017", "coco/unlabeled2017")


def read(dataset: DatasetSplit) -> list[QuestionSample[GroundingTarget]]:
    """One sample per line, with the caption as the question."""
    path = first_existing(dataset.root, FILE, f"GSEval/{FILE}")
    samples = []
    for where, row in read_json_lines(path):
        codes = field(row, "segmentation", (dict, list), where)
        codes = codes if isinstance(codes, list) else [codes]
        masks = [read_rle(code, f"{where}: the field 'segmentation'") for code in codes]
        if not masks or len({tuple(mask["size"]) for mask in masks}) > 1:
            raise DataError(f"{where}: the field 'segmentation' has no mask, or masks of different sizes")
        x0, y0, x1, y1 = numbers(field(row, "box", list, where), 4, f"{where}: the field 'box'")
        size = masks[0]["size"][0], masks[0]["size"][1]
        mask = union(masks, size)
        class_id = str(field(row, "class_id", (int, str), where))
        target = GroundingTarget(mask, (x0, y0, x1 - x0, y1 - y0), class_id)
        open_image = image_opener(dataset.root, FOLDERS, field(row, "image_path", str, where), size)
        key = str(field(row, "idx", (int, str), where))
        samples.append(QuestionSample(key, open_image, field(row, "caption", str, where), target))
    return samples
