"""Settings are checked for type and range, and unknown names get a suggestion."""

import json
import math
import re
from dataclasses import asdict

import pytest

from sam3model.errors import ConfigError
from sam3model.parse import parse
from sam3model.training.settings import TrainConfig


def test_plain_values_survive_a_round_trip():
    config = parse(TrainConfig, {"stages": [{"size": 128}, {"size": 256}], "budget": {"minutes": 5}})
    assert [stage.size for stage in config.stages] == [128, 256]
    assert parse(TrainConfig, json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optim": {"lrr": 1}}, r"unknown setting 'optim\.lrr'; did you mean 'lr'\?"),
        ({"stages": [{"sise": 64}]}, r"unknown setting 'stages\.0\.sise'; did you mean 'size'\?"),
        ({"loss": {"masks": {"dice_wait": 1}}}, r"'loss\.masks\.dice_wait'; did you mean 'dice_weight'\?"),
        ({"optim": {"lr": "fast"}}, r"optim\.lr: .*'fast'"),
        ({"budget": {"steps": 3, "minutes": 1}}, "either steps or minutes"),
        ({"optim": {"accumulate": 3}}, r"stages\.batch 8 must be a multiple of optim\.accumulate 3"),
        ({"stages": []}, "at least one"),
        ({"stages": [{"size": 64, "mask_stride": 3}]}, r"stages\.size 64 must be a multiple of stages\.mask_stride 3"),
        ({"stages": [{"size": 64, "mask_stride": 128}]}, "must be a multiple of stages.mask_stride 128"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(values, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse(TrainConfig, values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "key", "wrong", "allowed"),
    [
        ("", "log_every", 0, "above 0"),
        ("optim", "lr", -1.0, "0 or more"),
        ("optim", "lr", math.nan, "0 or more"),
        ("optim", "betas", [1.5, 0.9], "from 0 to below 1"),
        ("optim", "betas", [0.9, 1.0], "from 0 to below 1"),
        ("optim", "eps", 0.0, "above 0"),
        ("optim", "weight_decay", -0.1, "0 or more"),
        ("optim", "layer_decay", 0.0, "above 0"),
        ("optim", "clip", 0.0, "above 0"),
        ("optim", "accumulate", 0, "above 0"),
        ("data", "workers", -1, "0 or more"),
        ("data", "prefetch", 0, "above 0"),
        ("data", "max_images", 0, "above 0"),
        ("data", "held_out", 1.5, "from 0 to 1"),
        ("interactive", "boxes", -0.5, "from 0 to 1"),
        ("schedule", "timescale", 0, "above 0"),
        ("schedule", "warmup", -1, "0 or more"),
        ("schedule", "cooldown", -1, "0 or more"),
        ("schedule", "final", 1.5, "from 0 to 1"),
        ("ema", "decay", 1.0, "from 0 to below 1"),
        ("checkpoint", "every_minutes", 0.0, "above 0"),
        ("checkpoint", "keep", 0, "above 0"),
        ("validation", "every_minutes", -1.0, "above 0"),
        ("validation", "examples", -1, "0 or more"),
        ("validation", "threshold", 2.0, "from 0 to 1"),
    ],
)
def test_values_out_of_range_are_refused_by_their_key(table, key, wrong, allowed):
    values = {table: {key: wrong}} if table else {key: wrong}
    shown = wrong[wrong.index(max(wrong))] if isinstance(wrong, list) else wrong
    where = f"{table}.{key}" if table else key
    with pytest.raises(ConfigError, match=f"^{re.escape(where)} must be {allowed}, not {shown}$"):
        parse(TrainConfig, values)


def test_zero_and_null_are_allowed_where_they_mean_something():
    settings = parse(TrainConfig, {"optim": {"lr": 0.0, "clip": None}, "data": {"max_images": None, "negatives": 0.0}})
    assert settings.optim.lr == 0
    with pytest.raises(ConfigError, match=r"optim\.rates: the rate of 'text\.' must be 0 or more, not -1"):
        parse(TrainConfig, {"optim": {"rates": {"vision.": 0.0, "text.": -1.0}}})


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp", "a\0b", "a\\b"])
def test_the_name_of_a_run_must_name_one_folder(name):
    with pytest.raises(ConfigError, match=r"^name must be the name of one folder"):
        parse(TrainConfig, {"name": name})
    assert parse(TrainConfig, {"name": "lr_1e-4, größer"}).name


def test_sizes_fit_the_model():
    config = parse(TrainConfig, {"stages": [{"size": 40, "mask_stride": 4}, {"size": 0, "mask_stride": 4}]})
    with pytest.raises(ConfigError, match=r"^stages\.size must be a multiple of 64 pixels for this model, not 40$"):
        config.sized(64, 64)
    with pytest.raises(ConfigError, match=r"stages\.size 70 must be a multiple of stages\.mask_stride 4"):
        config.sized(70)


def test_model_sizes_are_checked_by_name(settings):
    config = settings(model={"overrides": {"vit": {"widht": 3}}})
    with pytest.raises(ConfigError, match=r"model\.overrides\.vit\.widht.*'width'"):
        config.model.resolve()
    with pytest.raises(ConfigError, match="did you mean 'sam3_tiny'"):
        settings(model={"preset": "sam3_tny"}).model.resolve()
