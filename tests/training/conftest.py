"""A model so small that a step takes milliseconds, and settings for it."""

import dataclasses

import pytest
import torch

from sam3model.parse import merge, parse
from sam3model.training.concept_task import ConceptTask
from sam3model.training.run import TrainingRun
from sam3model.training.settings import TrainConfig
from sam3model.training.stop_signal import StopSignal

TINY_MODEL = {
    "d_model": 32,
    "heads": 2,
    "vit": {
        "image_size": 64, "patch_size": 16, "pretrain_image_size": 64, "width": 32, "depth": 2, "heads": 2,
        "window": 4, "global_blocks": [1],
    },
    "text": {"width": 16, "heads": 1, "layers": 1, "projection_dim": 16},
    "geometry": {"layers": 1, "ffn": 32, "roi_size": 2},
    "fusion": {"layers": 1, "ffn": 32},
    "decoder": {"layers": 2, "ffn": 32, "queries": 8},
    "scoring": {"hidden": 32},
    "segmentation": {"groups": 8},
}  # fmt: skip

SETTINGS = {
    "name": "test",
    "precision": "float32",
    "log_every": 1,
    "model": {"preset": "sam3_tiny", "overrides": TINY_MODEL},
    "data": {"workers": 0, "exemplars": 0.3},
    "stages": [{"size": 64, "batch": 2, "phrases": 3, "mask_stride": 4}],
    "budget": {"steps": 4},
    "optim": {"lr": 1e-3},
    "schedule": {"kind": "constant", "warmup": 0},
    "ema": {"every": 1},
    "loss": {"classification": {"pad_n_queries": None}},
    "validation": {"images": 2, "batch": 2, "phrases": 3},
}


METRICS = {"loss": 1.0, "cgF1": 0.5, "IL_MCC": 0.5, "positive_micro_F1": 0.5, "mean_IoU": 0.5, "AP": 0.5}


def concept_run(config: TrainConfig) -> TrainingRun:
    """A run of one process, new or resumed."""
    return TrainingRun(ConceptTask(config))


def losses_of(config, steps):
    """Losses of the next `steps` steps of a new or resumed run, and the run."""
    run = concept_run(config)
    stream = run.batches(StopSignal())
    return [run.step(next(stream)).loss for _ in range(steps)], run


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(tmp_path):
    """A function that makes small settings, with changes, in a temporary folder."""

    def make(**changes: object) -> TrainConfig:
        values = merge(SETTINGS | {"out": str(tmp_path / "runs")}, changes)
        return dataclasses.replace(parse(TrainConfig, values))

    return make
