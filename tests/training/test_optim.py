"""Parameter groups and schedules against the numbers of the official recipe."""

import json
from pathlib import Path

import pytest
import torch

from sam3model.build import build
from sam3model.errors import ConfigError
from sam3model.training.optim import parameter_groups
from sam3model.training.run_settings import OptimConfig, ScheduleConfig, StageConfig
from sam3model.training.schedule import factor, stage_at

GOLDEN = json.loads((Path(__file__).parents[1] / "goldens" / "optim.json").read_text())
PREFIXES = {
    "vision.trunk.": "backbone.vision_backbone.trunk.",
    "vision.neck.detection.": "backbone.vision_backbone.convs.",
    "text.": "backbone.language_backbone.",
    "geometry.": "geometry_encoder.",
    "fusion.": "transformer.encoder.",
    "decoder.": "transformer.decoder.",
    "scoring.": "dot_prod_scoring.",
    "segmentation.": "segmentation_head.",
}
RECIPE = OptimConfig(lr=8e-5, rates={"vision.": 2.5e-5, "text.": 5e-6}, layer_decay=0.9, weight_decay=0.1)


def official_name(name: str) -> str:
    prefix = next(prefix for prefix in PREFIXES if name.startswith(prefix))
    return PREFIXES[prefix] + name.removeprefix(prefix)


def test_every_parameter_has_the_official_rate_and_decay():
    with torch.device("meta"):
        groups = parameter_groups(build("sam3").detector, RECIPE)
    ours = {
        official_name(name): (group["peak_lr"], group["weight_decay"])
        for group in groups
        for name in group["names"]
        if "vision.neck.interactive." not in name  # not part of the official detector training
    }
    theirs = GOLDEN["param_groups_seg"]["name_to_lr_at_peak_and_weight_decay"]
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert ours[name] == pytest.approx(expected, rel=1e-12), name


def test_the_trunk_of_a_tracker_has_the_same_layer_decay():
    rates = {}
    with torch.device("meta"):
        whole = build("sam3_tiny", parts=None)
    for model in (whole, whole.detector):
        groups = parameter_groups(model, OptimConfig(lr=1.0, layer_decay=0.5))
        found = {name.removeprefix("detector."): group["peak_lr"] for group in groups for name in group["names"]}
        rates[model] = {name: rate for name, rate in found.items() if name.startswith("vision.trunk.")}
    assert rates[whole] == rates[whole.detector]
    assert rates[whole]["vision.trunk.blocks.0.attn.qkv.weight"] == 0.5**6


@pytest.mark.parametrize(
    ("prefix", "right"),
    [
        ("visoin.", r"; did you mean 'vision\.'\?"),
        ("text.encoder.token_embeding.", r"; did you mean 'text\.encoder\.token_embedding\.'\?"),
        ("backbone", r"; known are vision\., text\., .*scoring\."),
    ],
)
def test_rates_of_unknown_parts_are_refused(prefix, right):
    with torch.device("meta"):
        model = build("sam3_tiny").detector
    with pytest.raises(ConfigError, match=rf"^optim\.rates: no parameter starts with '{prefix}'{right}") as refusal:
        parameter_groups(model, OptimConfig(rates={"vision.": 1e-4, prefix: 1e-3}))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", GOLDEN["schedule"])
def test_inverse_square_root_is_the_official_schedule(case):
    config = ScheduleConfig("inverse_sqrt", case["warmup_steps"], case["cooldown_steps"], case["timescale"])
    for step, progress, rate in case["rows_step_where_lr"]:
        if rate != "ZeroDivisionError":
            assert case["base_lr"] * factor(config, step, progress) == pytest.approx(rate, rel=1e-12)


def test_a_run_as_long_as_its_warm_up_has_a_rate_at_every_step():
    config = ScheduleConfig("inverse_sqrt", warmup=20, cooldown=20, timescale=20)
    rates = [factor(config, step, step / 20) for step in range(21)]
    assert all(0 <= rate <= 1 for rate in rates)
    assert max(rates) > 0


def test_cosine_warms_up_and_ends_at_its_final_fraction():
    config = ScheduleConfig("cosine", warmup=10, final=0.1)
    assert factor(config, 0, 0.0) == 0
    assert factor(config, 5, 0.0) == pytest.approx(0.5)
    assert factor(config, 1000, 0.5) == pytest.approx(0.55)
    assert factor(config, 1000, 1.0) == pytest.approx(0.1)


def test_stages_take_their_fractions_of_the_budget():
    stages = (StageConfig(fraction=1), StageConfig(fraction=3))
    assert [stage_at(stages, progress) for progress in (0, 0.2499, 0.25, 0.99, 1.0)] == [0, 0, 1, 1, 1]
