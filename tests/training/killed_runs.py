"""A run that is killed while it saves its state."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sam3model.training.run import train


def check_run_killed_while_saving(
    config: Any, task: Callable[..., Any], losses_of: Callable[[Any, int], tuple[list[float], Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Kill a run of four steps while it saves the third; resumed, it must have the losses of a whole run."""
    whole, _ = losses_of(replace(config, name="whole"), 4)
    write = torch.save

    def killed(parts: dict[str, Any], path: Path) -> None:
        write(parts, path)
        if parts["progress"]["step"] == 3:
            os.truncate(path, 1000)
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(torch, "save", killed)
    if not (child := os.fork()):
        train(config, task)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    monkeypatch.setattr(torch, "save", write)
    folder = Path(config.out) / config.name
    assert list(folder.glob(".step_*"))
    assert train(config, task).status == "finished"
    lines = [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines if "loss" in line] == whole
    assert not list(folder.glob(".step_*"))
