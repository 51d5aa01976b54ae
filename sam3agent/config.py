"""Settings: flags over `SAM3AGENT_*` environment over a TOML file (`sam3agent.toml`, or the user's config folder).

# sam3agent.toml
weights = "facebook/sam3"
mllm = "openai"
model = "Qwen/Qwen3-VL-8B-Instruct"
base_url = "http://localhost:8000/v1"
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from sam3model.errors import ConfigError

Backend = Literal["rules", "openai", "vllm"]

PREFIX = "SAM3AGENT_"
FILE_VARIABLE = "SAM3AGENT_CONFIG"


class Settings(BaseModel):
    """Everything that can be set.

    mllm: "rules" (no MLLM), "openai" (any compatible server) or "vllm" (in this process); None: openai where `model` or
    `base_url` is set, else rules. threshold: the least score of a mask (None: the segmenter's own). max_*: budgets of
    one question.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = "tiny"
    device: str = "auto"
    dtype: str = "auto"
    threshold: float | None = Field(default=None, gt=0, lt=1)
    mllm: Backend | None = None
    model: str | None = None
    base_url: str | None = None
    api_key: SecretStr | None = None
    timeout: float = Field(default=120.0, gt=0, description="Seconds one MLLM call may take.")
    max_calls: int = Field(default=60, ge=1)
    max_segmenter_calls: int = Field(default=20, ge=1)
    max_seconds: float = Field(default=300.0, gt=0)
    out: Path | None = None

    @property
    def backend(self) -> Backend:
        """The backend meant."""
        return self.mllm or ("openai" if self.model or self.base_url else "rules")


def load_settings(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from all three sources; a flag that is None counts as not given.

    Raises `ConfigError` for unknown keys, bad values or a file that cannot be read. Variables of the environment that
    name no setting are ignored.
    """
    environment = os.environ if environment is None else environment
    path = _config_file(environment)
    written = _read(path) if path else {}
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    variables = {
        key: environment[PREFIX + key.upper()] for key in Settings.model_fields if environment.get(PREFIX + key.upper())
    }
    for source, values in ((str(path), written), ("the environment", variables), ("flags", given)):
        _check(source, values)
    return Settings.model_validate({**written, **variables, **given})


def _config_file(environment: Mapping[str, str]) -> Path | None:
    """The file that SAM3AGENT_CONFIG names, else ./sam3agent.toml, else the user's."""
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    home = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return next((p for p in (Path("sam3agent.toml"), home / "sam3agent" / "config.toml") if p.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config file {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"the config file {path} is not valid TOML: {error}") from error


def _check(source: str, values: Mapping[str, Any]) -> None:
    """Name the source of a bad value."""
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{source}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
