"""The training loop runs any task: here, a line is fitted to points."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count as naturals
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sam3model.blocks import ModelBlocks, ModelWithBlocks
from sam3model.losses.terms import LossTerms
from sam3model.training.parallel import World
from sam3model.training.run import TrainingRun, train
from sam3model.training.run_settings import (
    BudgetConfig,
    EmaConfig,
    OptimConfig,
    RunConfig,
    ScheduleConfig,
    StageConfig,
)
from sam3model.training.stop_signal import StopSignal


@dataclass(frozen=True, slots=True)
class LineConfig(RunConfig):
    """Settings of this task, beside those of the run."""

    slope: float = 2.0
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=0.05, weight_decay=0.0, accumulate=2))
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(kind="constant", warmup=0))
    ema: EmaConfig = field(default_factory=lambda: EmaConfig(decay=0.5, every=1))


class Line(ModelWithBlocks):
    blocks = ModelBlocks(sharded=("layers",))

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1, 1)])
        self.dropout = nn.Dropout(0.05)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](self.dropout(x))


class LineTask:
    """Points on a line of known slope."""

    metric = "fit"

    def __init__(self, config: LineConfig, world: World | None = None) -> None:
        self.config, self.world = config, world or World()

    def build(self) -> Line:
        return Line()

    def network(self, model: Line) -> Line:
        return model

    def batches(self, stage: int, first: int, count: int, stride: int) -> Iterator[Tensor]:
        for start in naturals(first, stride):
            yield torch.sin(torch.arange(start, start + count, dtype=torch.float32)[:, None] + stage)

    def chunks(self, batch: Tensor, count: int) -> list[Tensor]:
        return list(batch.chunk(count))

    def size(self, batch: Tensor) -> tuple[int, int]:
        return len(batch), 0

    def describe(self, batch: Tensor) -> str:
        return f"points {batch.flatten().tolist()}"

    def loss(self, network: nn.Module, batch: Tensor, step: int) -> LossTerms:
        error = (network(batch) - self.config.slope * batch).square().mean()
        return LossTerms.weighted({"error": error}, {"error": 1.0})

    def artefact(self, model: Line) -> Line:
        copy = Line().eval()
        copy.load_state_dict(model.state_dict())
        return copy

    def validate(self, artefact: Line, step: int) -> dict[str, float]:
        error = abs(artefact.layers[0].weight.item() - self.config.slope)
        return {"loss": error, "fit": -error}

    def save(self, artefact: Line, path: Path, record: str) -> None:
        path.write_text(json.dumps({"slope": artefact.layers[0].weight.item(), "record": json.loads(record)}))


@pytest.fixture
def config(tmp_path) -> LineConfig:
    stages = (StageConfig(batch=4), StageConfig(batch=8, lr_scale=0.5))
    return LineConfig(out=str(tmp_path), log_every=1, stages=stages, budget=BudgetConfig(steps=6))


def losses_of(config: LineConfig, steps: int) -> tuple[list[float], TrainingRun]:
    run = TrainingRun(LineTask(config))
    stream = run.batches(StopSignal())
    return [run.step(next(stream)).loss for _ in range(steps)], run


def test_another_task_is_trained_validated_and_saved(config):
    config = replace(config, budget=BudgetConfig(steps=100))
    result = train(config, LineTask)
    assert result.status == "finished" and result.progress.samples == 50 * 4 + 50 * 8
    assert result.metrics["loss"] < 0.2
    written = json.loads(result.weights.read_text())
    assert written["slope"] == pytest.approx(config.slope, abs=0.2)
    assert written["record"]["settings"]["slope"] == config.slope
    assert (result.weights.parent / "best.safetensors").exists()
    scalars = [json.loads(line) for line in (result.weights.parent / "scalars.jsonl").read_text().splitlines()]
    assert scalars[-1]["val/fit"] == result.metrics["fit"]
    assert scalars[0]["error"] == pytest.approx(scalars[0]["loss"])


def test_another_task_resumes_bit_for_bit(config):
    through, whole = losses_of(config, 6)
    config = replace(config, name="again")
    first, run = losses_of(config, 4)  # one step into the second stage
    run.save()
    rest, resumed = losses_of(config, 2)
    assert first + rest == through
    assert all(torch.equal(value, resumed.ema.average[name]) for name, value in whole.ema.average.items())


def test_another_task_names_its_samples_when_a_loss_is_not_finite(config):
    run = TrainingRun(LineTask(replace(config, slope=float("inf"))))
    assert "points [" in run.step(next(run.batches(StopSignal()))).bad


def test_a_model_declares_the_modules_that_are_sharded():
    model = Line()
    assert model.shards() == [model.layers[0]]
    assert ModelWithBlocks().shards() == []
