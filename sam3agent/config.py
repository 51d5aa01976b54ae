"""Settings from flags, `SAM3AGENT_*` variables and a TOML file; the earlier source takes precedence.

The file is `sam3agent.toml` in the working directory, or `sam3agent/config.toml` in the user's config folder:

# sam3agent.toml
weights = "facebook/sam3"
mllm = "openai"
model = "Qwen/Qwen3-VL-8B-Instruct"
base_url = "http://localhost:8000/v1"
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from sam3model.errors import ConfigError, InputError
from sam3model.files import expanded, read_regular
from sam3model.parse import first_fault, nearest

Backend = Literal["rules", "openai", "vllm"]
Effort = Literal["low", "medium", "high"]
Thinking = Literal["auto", "on", "off"]

PREFIX = "SAM3AGENT_"
FILE_VARIABLE = "SAM3AGENT_CONFIG"
TOKEN_VARIABLE = "SAM3AGENT_TOKEN"
"""The secret that clients of the servers send; not a setting of questions."""

MAX_FILE_BYTES = 1 << 20
"""Maximum size of a config file."""


class Settings(BaseModel):
    """All settings. Every field is also a flag (`max_calls`: `--max-calls`) and a variable (`SAM3AGENT_MAX_CALLS`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field(
        default="tiny",
        description='"tiny" (included), a Hugging Face repository (pinned with @REVISION), or a path.',
    )
    device: str = Field(default="auto", description='"auto", "cpu", "cuda" or "mps".')
    dtype: str = Field(
        default="auto", description='"auto", "float32", "bfloat16", or "int8" (processors: least memory).'
    )
    threshold: float | None = Field(default=None, gt=0, lt=1, description="Minimum mask score; None for 0.5.")
    mllm: Backend | None = Field(
        default=None, description='"rules" (no MLLM), "openai" (any compatible server) or "vllm" (in this process).'
    )
    model: str | None = Field(default=None, description="Name of the MLLM; optional if the server has only one.")
    base_url: str | None = Field(default=None, description="URL of the MLLM server, e.g. http://localhost:8000/v1.")
    api_key: SecretStr | None = Field(default=None, description="API key of the MLLM server.")
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="Temperature of the MLLM's replies; by default that of its family."
    )
    max_tokens: int | None = Field(
        default=None, ge=16, description="Maximum tokens of a reply; by default that of the MLLM's family."
    )
    thinking: Thinking = Field(
        default="auto", description='"on" or "off" for an MLLM that can do both; "auto": what suits its family.'
    )
    timeout: float = Field(default=120.0, gt=0, le=1e7, description="Maximum time of one MLLM call in seconds.")
    max_calls: int = Field(default=60, ge=1, description="Maximum number of MLLM calls per question.")
    max_segmenter_calls: int = Field(default=20, ge=1, description="Maximum number of phrases searched per question.")
    max_seconds: float = Field(default=300.0, gt=0, le=1e7, description="Maximum time per question in seconds.")
    effort: Effort = Field(
        default="medium", description='"low", "medium" or "high": how many close looks a question gets.'
    )
    without: str = Field(
        default="", description="Parts of the policy of looks to switch off, to measure what they are worth."
    )
    eyesight: str = Field(
        default="",
        description='How often the MLLM judges rightly at a glance and closely, measured, such as "0.7,0.85".',
    )
    out: Path | None = Field(default=None, description="Output folder.")

    @field_validator("out", mode="before")
    @classmethod
    def _usable(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.strip():
            raise ValueError("the folder has no name; write . for the working directory")
        return expanded(value) if isinstance(value, str | Path) else value

    @property
    def of_replies(self) -> dict[str, Any]:
        """What was set about the MLLM's replies and its eyes: part of what decides an answer."""
        given = {name: getattr(self, name) for name in ("temperature", "max_tokens", "thinking", "eyesight")}
        return {name: value for name, value in given.items() if value not in (None, "", "auto")}

    @property
    def of_agent(self) -> dict[str, Any]:
        """What was set about the agent's looks, budgets of calls and replies; what has its usual value is left out."""
        given = {name: getattr(self, name) for name in ("effort", "without", "max_calls", "max_segmenter_calls")}
        changed = {name: value for name, value in given.items() if value != type(self).model_fields[name].default}
        return {**changed, **self.of_replies}

    @property
    def backend(self) -> Backend:
        """The backend to use: `mllm`; by default "openai" if `model` or `base_url` is set, else "rules"."""
        return self.mllm or ("openai" if self.model or self.base_url else "rules")


def load_settings(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from all three sources. A flag that is None counts as not given.

    Raises `ConfigError` if a key is unknown, a variable is close to one of ours but not one, a value is invalid, or the
    file cannot be read. Other variables are ignored.
    """
    environment = os.environ if environment is None else environment
    _refuse_mistyped(environment)
    path = _config_file(environment)
    file = _read(path) if path else {}
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    variables = {
        key: environment[PREFIX + key.upper()] for key in Settings.model_fields if environment.get(PREFIX + key.upper())
    }
    _check(lambda key: f"{path}: {key}", file)
    _check(lambda key: PREFIX + key.upper(), variables)
    _check(lambda key: f"--{key.replace('_', '-')}", given)
    return Settings.model_validate({**file, **variables, **given})


def _refuse_mistyped(environment: Mapping[str, str]) -> None:
    """Raise a `ConfigError` for a variable named nearly like a setting: it would be ignored in silence."""
    names = [FILE_VARIABLE, TOKEN_VARIABLE, *(PREFIX + key.upper() for key in Settings.model_fields)]
    known = {_letters(name): name for name in names}
    for name in environment:
        written = _letters(name)
        if name in names or not written.startswith(_letters(PREFIX)):
            continue
        if close := get_close_matches(written, known, n=1, cutoff=0.85):
            meant = known[close[0]]
            raise ConfigError(f"the variable {name} is not a setting; did you mean {meant}? Rename or unset it")


def _letters(name: str) -> str:
    """The name of a variable without what is easily mistyped: small letters, hyphens and underscores."""
    return "".join(filter(str.isalnum, name)).upper()


def _config_file(environment: Mapping[str, str]) -> Path | None:
    """The file named by `SAM3AGENT_CONFIG`, else ./sam3agent.toml, else the user's; None if there is none."""
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    home = Path(environment.get("XDG_CONFIG_HOME") or expanded("~/.config"))
    return next((p for p in (Path("sam3agent.toml"), home / "sam3agent" / "config.toml") if p.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_regular(path, MAX_FILE_BYTES).decode("utf-8-sig"))
    except InputError as error:
        raise ConfigError(f"cannot read the config file: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"the config file {path} is nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"the config file {path} is not valid TOML: {error}") from error


def _check(name: Callable[[str], str], values: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` for an invalid value, under the name that the setting has in its source."""
    for key in values:
        if key not in Settings.model_fields:
            raise ConfigError(
                f"{name(key)} is not a setting{nearest(key.lower().replace('-', '_'), Settings.model_fields)}"
            )
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error)
        raise ConfigError(f"{name(fault.place)}: {fault.message}") from error
