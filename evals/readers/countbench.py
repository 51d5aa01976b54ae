"""CountBench with the questions of CountBenchQA, unpacked from its parquet file (see docs/benchmarks.md)."""

import re
from collections.abc import Mapping
from typing import Any

from evals.files import field, first_existing, parse_json, picture, read_text
from evals.registry import PhraseSample, Source
from sam3model.errors import DataError

FILE = "countbenchqa.jsonl"
QUESTION = re.compile(r"how many (?P<what>.+?)(?: (?:are|is|can|do|does|in|on|appear|were)\b.*)?\??", re.IGNORECASE)


def read(source: Source) -> list[PhraseSample[int]]:
    """Every picture with the one thing to be counted in it; the truth is the number."""
    path = first_existing(source.root, FILE)
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            where = f"{path}: line {number}"
            row = parse_json(line, where)
            count = field(row, "number", int, where)
            name = field(row, "image", str, where)
            found.append(PhraseSample(name, picture(source.root, ("", "images"), name), (_phrase(row, where),), count))
    return found


def _phrase(row: Mapping[str, Any], where: str) -> str:
    """What is counted: "How many headsets are there in the image?" -> "headsets"."""
    match = QUESTION.fullmatch(field(row, "question", str, where).strip())
    if match is None:
        raise DataError(f"{where}: the field 'question' does not ask how many: {row['question']!r}")
    return match["what"]
