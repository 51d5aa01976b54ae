"""Settings: what is mistyped is named with what was meant, and no file is read without end."""

import os
from pathlib import Path

import pytest

from sam3agent.cli.flags import folder_path
from sam3agent.config import Settings, load_settings
from sam3model.errors import ConfigError


def load(environment: dict[str, str]) -> Settings:
    return load_settings({}, {"XDG_CONFIG_HOME": "/nowhere", **environment})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('wieghts = "tiny"', "wieghts is not a setting; did you mean 'weights'"),
        ("max-calls = 3", "max-calls is not a setting; did you mean 'max_calls'"),
        ("Threshold = 0.4", "Threshold is not a setting; did you mean 'threshold'"),
        ("[sam3agent]\nweights = 1", "sam3agent is not a setting; known are weights, "),
        ("threshold = 7", "threshold: must be less than 1"),
        ("out = nan", "out: must be a path"),
        ("x = " + "[" * 5000, "nested too deeply|not valid TOML"),
        ("\x00", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "sam3agent.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load({"SAM3AGENT_CONFIG": str(file)})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SAM3AGENT_WIEGHTS", "SAM3AGENT_WEIGHTS"),
        ("SAM3AGENT_BASEURL", "SAM3AGENT_BASE_URL"),
        ("SAM3AGENT_MAXCALLS", "SAM3AGENT_MAX_CALLS"),
        ("SAM3AGENT_APIKEY", "SAM3AGENT_API_KEY"),
        ("sam3agent_weights", "SAM3AGENT_WEIGHTS"),
        ("SAM3_AGENT_MODEL", "SAM3AGENT_MODEL"),
        ("SAM3-AGENT-MAX-CALLS", "SAM3AGENT_MAX_CALLS"),
        ("SAM3AGENT_TOKN", "SAM3AGENT_TOKEN"),
        ("SAM3AGENT_URL", "SAM3AGENT_BASE_URL"),
    ],
)
def test_a_mistyped_variable_is_named(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is not a setting; did you mean {meant}"):
        load({name: "x"})


def test_the_token_of_the_servers_is_no_setting() -> None:
    assert load({"SAM3AGENT_TOKEN": "secret"}) == load({})


def test_variables_of_others_are_ignored() -> None:
    names = ("SAM3AGENT_TEST_VLLM_URL", "SAM3AGENT_LOG_FILE", "SAM3_WEIGHTS", "WEIGHTS", "SAM3AGENT_MAX_CALLS")
    assert load(dict.fromkeys(names, "7")).max_calls == 7


def test_a_home_in_a_path_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert load({"SAM3AGENT_OUT": "~/masks"}).out == Path("/home/me/masks")
    assert folder_path("~/masks") == Path("/home/me/masks")


def test_settings_are_read_where_nobody_has_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as a user that its system does not know."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}[0])
    assert load_settings({}, {}) == Settings()


def test_a_config_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in ("/dev/zero", tmp_path / "pipe.toml", tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="cannot read the config file"):
            load({"SAM3AGENT_CONFIG": str(path)})
