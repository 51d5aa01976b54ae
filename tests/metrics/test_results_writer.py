import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam3model.errors import MetricError, OutputError
from sam3model.metrics.results_writer import YTVISResultsWriter

ROOT = Path(__file__).resolve().parents[2]
PROCESS = """
import sys, numpy as np, torch.distributed as dist
from sam3model.metrics.results_writer import YTVISResultsWriter
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
writer = YTVISResultsWriter(out)
for video in ([1, 2], [3, 1])[rank]:  # video 1 is padding in the second process
    writer.update(video, 7, [[np.eye(3), None]], [0.5 + rank / 10])
print(writer.write())
dist.destroy_process_group()
"""


def test_two_processes_write_one_file_without_duplicates(tmp_path):
    out = tmp_path / "new" / "results.json"
    processes = []
    for rank in range(2):
        command = [sys.executable, "-c", PROCESS, str(rank), str(tmp_path / "store"), str(out)]
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    printed = [p.communicate(timeout=120)[0].strip() for p in processes]
    assert [p.returncode for p in processes] == [0, 0]
    assert printed == [str(out), "None"]
    entries = json.loads(out.read_text())
    assert [(e["video_id"], e["score"]) for e in entries] == [(1, 0.5), (2, 0.5), (3, 0.6)]
    assert list(out.parent.iterdir()) == [out]


def test_written_tracks_have_the_evaluators_format(tmp_path):
    writer = YTVISResultsWriter(tmp_path / "results.json")
    writer.update(1, 2, [[np.eye(3), np.zeros((3, 3)), None]], [0.25])
    (entry,) = json.loads(writer.write().read_text())
    assert entry["areas"] == [3, None, None]
    assert entry["bboxes"] == [[0, 0, 3, 3], None, None]
    assert entry["segmentations"][0]["size"] == [3, 3]
    with pytest.raises(MetricError, match="1 tracks but 0 scores"):
        writer.update(1, 3, [[None]], [])


def test_an_unwritable_path_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        YTVISResultsWriter(tmp_path / "file" / "results.json").write()
