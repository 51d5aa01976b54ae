"""MMR: questions with several targets, objects and their parts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.dataset_files import field, image_opener, image_size, read_json
from evals.readers.coco import to_rle
from evals.samples import DatasetSplit, QuestionSample, Rle
from evals.scorers.referring import union
from sam3model.data.dataset_paths import first_existing
from sam3model.errors import DataError

FILES = {"val": "val", "obj_only": "test_obj_only", "part_only": "test_part_only", "mixed": "test_mixed"}
FOLDERS = ("", "images", "coco", "refer_seg/images/mscoco/images")


def read(dataset: DatasetSplit) -> list[QuestionSample[tuple[Rle, ...]]]:
    """Every question of every image; the target is the list of masks of its answer."""
    name = f"MMR_{FILES[dataset.split]}.json"
    path = first_existing(dataset.root, f"MMR/{name}", name)
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of images, not a {type(rows).__name__}")
    return [sample for number, row in enumerate(rows) for sample in _questions(dataset.root, path, number, row)]


def _questions(root: Path, path: Path, number: int, row: Any) -> list[QuestionSample[tuple[Rle, ...]]]:
    where = f"{path}: image {number}"
    questions, answers = field(row, "questions", list, where), field(row, "answers", list, where)
    if len(questions) != len(answers):
        raise DataError(f"{where}: the field 'answers' has {len(answers)} entries for {len(questions)} questions")
    size = image_size(row, where)
    open_image = image_opener(root, FOLDERS, field(row, "file_name", str, where), size)
    samples = []
    for index, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        if not isinstance(question, str) or not isinstance(answer, list):
            raise DataError(f"{where}: the fields 'questions' and 'answers' must have a string and a list per question")
        masks = tuple(_mask(part, size, f"{where}: answer {index}") for part in answer)
        samples.append(QuestionSample(f"{number}/{index}", open_image, question, masks))
    return samples


def _mask(part: Mapping[str, Any], size: tuple[int, int], where: str) -> Rle:
    """One target: an RLE, or a list of RLEs to join."""
    codes = field(part, "segmentation", (dict, list), where)
    if isinstance(codes, Sequence) and codes and all(isinstance(code, Mapping) for code in codes):
        return union([to_rle(code, size, where) for code in codes], size)
    return to_rle(codes, size, where)
