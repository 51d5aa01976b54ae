"""CountBench with the questions of CountBenchQA, unpacked from its parquet file (see docs/benchmarks.md)."""

import re
from collections.abc import Mapping
from typing import Any

from evals.dataset_files import field, image_opener, read_json_lines
from evals.samples import DatasetSplit, PhraseSample
from sam3model.data.dataset_paths import first_existing
from sam3model.errors import DataError

FILE = "countbenchqa.jsonl"
QUESTION = re.compile(r"how many (?P<phrase>.+?)(?: (?:are|is|can|do|does|in|on|appear|were)\b.*)?\??", re.IGNORECASE)


def read(dataset: DatasetSplit) -> list[PhraseSample[int]]:
    """Every image with the phrase to count; the target is the count."""
    path = first_existing(dataset.root, FILE)
    samples = []
    for where, row in read_json_lines(path):
        count, name = field(row, "number", int, where), field(row, "image", str, where)
        open_image = image_opener(dataset.root, ("", "images"), name)
        samples.append(PhraseSample(name, open_image, (_phrase(row, where),), count))
    return samples


def _phrase(row: Mapping[str, Any], where: str) -> str:
    """The phrase to count: "How many headsets are there in the image?" -> "headsets"."""
    match = QUESTION.fullmatch(field(row, "question", str, where).strip())
    if match is None:
        raise DataError(f"{where}: the field 'question' does not start with 'How many': {row['question']!r}")
    return match["phrase"]
