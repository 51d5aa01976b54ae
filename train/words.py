"""The words of a command line of training, made readable for Hydra: paths as they are, typos explained."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from sam3model.errors import ConfigError
from sam3model.parse import nearest
from train.compose import addable

COMMANDS = ("check", "launch")
TEXTS = (
    "data.root", "data.annotations", "data.images", "data.val_annotations", "data.val_images", "data.split",
    "data.val_split", "model.weights", "out", "name",
)  # fmt: skip
"""Settings whose values are text, mostly paths."""


def readable(words: Sequence[str], *, sweep: bool = False) -> list[str]:
    """The words with text values quoted for Hydra, and `~` as the home folder. sweep: commas separate values.

    Raises:
        ConfigError: a word is not `key=value`, or its value cannot be read.
    """
    return [_checked(_quoted(word, sweep)) for word in words]


def _quoted(word: str, sweep: bool) -> str:
    key, _, value = word.partition("=")
    is_text = any(key.lstrip("+") == name or key.endswith(f".{name}") for name in TEXTS)
    if not is_text or value in ("", "null") or value[0] in "'\"" or (sweep and "," in value):
        return word
    if value == "~" or value.startswith("~/"):
        value = str(Path.home()) + value[1:]
    return f"{key}='{_escaped(value)}'"


def _escaped(value: str) -> str:
    """A value between single quotes: Hydra reads backslashes as they are, except before a quote."""
    parts = value.split("'")
    kept = [part + "\\" * (len(part) - len(part.rstrip("\\"))) for part in parts]
    return "\\'".join(kept)


def _checked(word: str) -> str:
    """The word; raises `ConfigError` if it is no setting."""
    key, equals, value = word.partition("=")
    if word.startswith("-"):
        setting = key.strip("-").replace("-", ".") or "key"
        raise ConfigError(f"settings are written key=value, as in {setting}={value or 'VALUE'}, not {word!r}")
    if not equals and not word.startswith("~"):
        close = nearest(word, COMMANDS)
        hint = close if "did you mean" in close else ""
        raise ConfigError(f"{word!r} is neither a command nor a setting{hint}; settings are written key=value")
    try:
        OverridesParser.create().parse_override(addable(word))
    except HydraException:
        raise ConfigError(
            f"the value of {key!r} cannot be read: {value!r}; lists are [a, b], mappings {{key: value}}, "
            "and text with special characters goes between quotes inside the quotes of the shell: \"key='a, b'\""
        ) from None
    return word
