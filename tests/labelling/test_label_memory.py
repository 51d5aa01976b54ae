"""Ten thousand images: memory stays flat, and the files are whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labelling.coloured_blocks import draw

ROOT = Path(__file__).parents[2]
COUNT = 10_000
MEGABYTES = 40
"""What the second half of the run may add to the peak of the first."""

COMMAND = """
import json, resource, sys
from pathlib import Path
from sam3agent.labelling.label_data_set import DataSetFiles, label_data_set
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.label_splits import LabelSplits
from tests.labelling.coloured_blocks import make_blocks

peaks = []

def watch(event, values):
    if event == "done":
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

job = LabelJob(Path("out"), ("photos.txt",), phrases=("red block", "blue block"), segmenter=make_blocks)
summary = label_data_set(job, DataSetFiles(LabelSplits.parsed("train=0.9,val=0.1")), watch=watch)
end = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"done": len(peaks), "half": peaks[len(peaks) // 2], "end": end, "images": dict(summary.images)}))
"""


@pytest.mark.slow
def test_ten_thousand_images_need_no_more_memory_than_a_thousand(tmp_path: Path) -> None:
    """With a segmenter without weights: what is measured is all that surrounds the model."""
    for number in range(100):
        draw(tmp_path / "photos" / f"{number}.png", number)
    lines = (f"photos/{number % 100}.png\n" for number in range(COUNT))
    (tmp_path / "photos.txt").write_text("".join(lines))
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    value = json.loads(ran.stdout.splitlines()[-1])
    assert value["done"] == sum(value["images"].values()) == COUNT
    assert value["end"] - value["half"] < MEGABYTES, value
    splits = [
        json.loads((tmp_path / "out/annotations" / f"instances_{name}.json").read_text()) for name in ("train", "val")
    ]
    assert sum(len(split["images"]) for split in splits) == COUNT
    assert len({row["file_name"] for split in splits for row in split["images"]}) == COUNT
    assert len({row["id"] for split in splits for row in split["images"]}) == COUNT
    assert len(list((tmp_path / "out" / "journal").glob("*.jsonl"))) == 10
