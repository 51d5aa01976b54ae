"""Settings are typed, and a wrong name is answered with the right one."""

import pytest

from sam3model.errors import ConfigError
from sam3model.parse import parse
from sam3model.training.config import TrainConfig, to_dict


def test_plain_values_survive_a_round_trip():
    config = parse(TrainConfig, {"stages": [{"size": 128}, {"size": 256}], "budget": {"minutes": 5}})
    assert [stage.size for stage in config.stages] == [128, 256]
    assert parse(TrainConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optim": {"lrr": 1}}, r"unknown setting 'optim\.lrr'; did you mean 'lr'\?"),
        ({"stages": [{"sise": 64}]}, r"unknown setting 'stages\.0\.sise'; did you mean 'size'\?"),
        ({"loss": {"masks": {"dice_wait": 1}}}, r"'loss\.masks\.dice_wait'; did you mean 'dice_weight'\?"),
        ({"optim": {"lr": "fast"}}, r"optim\.lr: .*'fast'"),
        ({"budget": {"steps": 3, "minutes": 1}}, "either steps or minutes"),
        ({"optim": {"accumulate": 3}}, "does not divide"),
        ({"stages": []}, "at least one"),
        ({"optim": {"accumulate": 0}}, r"OptimConfig\.accumulate must be positive"),
        ({"log_every": 0}, r"TrainConfig\.log_every must be positive"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(values, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse(TrainConfig, values)
    assert "\n" not in str(error.value)


def test_model_sizes_are_checked_by_name(settings):
    config = settings(model={"overrides": {"vit": {"widht": 3}}})
    with pytest.raises(ConfigError, match=r"model\.overrides\.vit\.widht.*'width'"):
        config.model.resolve()
    with pytest.raises(ConfigError, match="did you mean 'sam3_tiny'"):
        settings(model={"preset": "sam3_tny"}).model.resolve()
