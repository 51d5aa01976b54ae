"""The GPU script: what fails, hangs or is missing costs one step, and is said; its steps run on a small CPU model."""

import json
import math
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_image, gpu_training, gpu_video
from benchmarks.gpu import STEPS, work_of
from benchmarks.gpu_setup import Setting
from benchmarks.gpu_steps import Step, run_all, run_step

ROOT = Path(__file__).parents[2]
BEGIN = "from benchmarks.gpu_steps import Report, SkipStepError, run_step\ndef work(report):\n    "
END = "\nraise SystemExit(run_step(work))"
PROGRAMS = {
    "good": 'report.figure("frame", 2.5, "ms"); report.figure("peak", float("nan"), "GB"); report.note("seen")',
    "missed": 'report.check("IoU", 0.4, least=0.9); report.check("a", 1, most=1); report.figure("after", 1, "s")',
    "undefined": 'report.check("loss", float("nan"), most=9)',
    "absent": 'raise SkipStepError("nothing to compare with")',
    "broken": 'report.figure("before", 1, "ms"); print("noise"); raise RuntimeError("no such kernel")',
    "hanging": 'report.figure("before", 1, "ms"); import time; time.sleep(100)',
}
ENDS = {"good": "ok", "missed": "failed", "undefined": "failed", "absent": "skipped", "broken": "failed",
        "hanging": "timed out"}  # fmt: skip


def command(step: Step) -> list[str]:
    return [sys.executable, "-c", BEGIN + PROGRAMS[step.name] + END]


def test_every_step_ends_as_it_should_and_keeps_what_it_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    steps = [Step(name, 5.0 if name == "hanging" else 100.0) for name in PROGRAMS]
    assert run_all(steps, command, 1000, tmp_path / "gpu.json", {"gpu": "none"}) == 1
    content = json.loads((tmp_path / "gpu.json").read_text())
    found = {one["name"]: one for one in content["steps"]}
    assert content["complete"] and content["gpu"] == "none"
    assert {name: one["status"] for name, one in found.items()} == ENDS
    assert found["good"]["figures"] == {"frame": [2.5, "ms"]} and found["good"]["notes"] == ["seen"]
    assert found["missed"]["checks"] == {"IoU": [0.4, "at least 0.9", False], "a": [1, "at most 1", True]}
    assert found["missed"]["figures"] == {"after": [1, "s"]}, "a missed limit does not end the step"
    assert math.isnan(found["undefined"]["checks"]["loss"][0])
    assert found["absent"]["message"] == "nothing to compare with"
    assert found["broken"]["message"] == "RuntimeError: no such kernel"
    assert found["broken"]["figures"] == found["hanging"]["figures"] == {"before": [1, "ms"]}
    printed = capsys.readouterr().out
    assert "2 of 6 steps ended well; not: missed, undefined, broken, hanging" in printed
    assert "at least 0.9: NO" in printed and "nothing to compare with" in printed


def test_a_step_without_time_is_named_and_good_steps_end_with_zero(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run_all([Step("good", 100)], command, 1000, tmp_path / "a.json", {}) == 0
    assert run_all([Step("good", 100)], command, 1, tmp_path / "b.json", {}) == 1
    (late,) = json.loads((tmp_path / "b.json").read_text())["steps"]
    assert late["status"] == "not run" and not late["figures"]


def test_all_steps_are_listed():
    known = gpu_image.STEPS | gpu_video.STEPS | gpu_training.STEPS
    assert {step.name for step in STEPS} == set(known)


@pytest.mark.parametrize("name", ["agreement", "video-1", "training-lora"])
def test_a_step_runs_on_a_cpu_at_a_small_size(name, capsys):
    setting, work = Setting.of("cpu", "small"), work_of(name)
    assert run_step(lambda report: work(setting, report)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert lines and all(line["holds"] for line in lines if "check" in line)
    assert "skipped" not in lines[-1]
