"""Write the table of settings.md from the code: `python docs/settings_table.py`."""

import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from sam3agent.config import PREFIX, Settings

DOCUMENT = Path(__file__).with_name("settings.md")
BEGIN, END = "<!-- table: written by docs/settings_table.py -->", "<!-- end of table -->"
DEFAULTS = {"threshold": "0.5", "mllm": "`openai` if `model` or `base_url` is set, else `rules`", "out": "see below"}
"""What is used for settings whose value is None by default."""


def table() -> str:
    """All settings with flag, variable, key, default and meaning, as a Markdown table."""
    rows = [
        "| flag | environment variable | TOML key | default | allowed | meaning | commands |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, field) for name, field in Settings.model_fields.items()),
    ]
    return "\n".join(rows)


def updated(text: str) -> str:
    """The text of the document with the table as it is now. Raises `ValueError` if its marks are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT} has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def commands_with(name: str) -> list[str]:
    """The commands whose flag sets a setting."""
    import typer.main

    from sam3agent.cli.app import app

    group: Any = typer.main.get_command(app)
    return [command for command, found in group.commands.items() if name in {p.name for p in found.params}]


def _row(name: str, field: FieldInfo) -> str:
    flag = f"`--{name.replace('_', '-')}`"
    cells = [flag, f"`{PREFIX}{name.upper()}`", f"`{name}`", _default(name, field), _allowed(field)]
    meaning = (field.description or "").replace("|", "\\|")
    return f"| {' | '.join(cells)} | {meaning} | {', '.join(commands_with(name))} |"


def _default(name: str, field: FieldInfo) -> str:
    if field.default is None:
        return DEFAULTS.get(name, "none")
    return f"{field.default:g}" if isinstance(field.default, float) else f"`{field.default}`"


def _allowed(field: FieldInfo) -> str:
    """The type of a value, with its limits."""
    parts = [part for part in get_args(field.annotation) or (field.annotation,) if part is not type(None)]
    if any(get_args(part) for part in parts):
        return ", ".join(f"`{word}`" for part in parts for word in get_args(part))
    if all(isinstance(part, str) for part in parts):
        return ", ".join(f"`{word}`" for word in parts)
    names: dict[Any, str] = {str: "text", float: "number", int: "whole number", Path: "path", SecretStr: "text"}
    limits = [
        f"{sign} {getattr(rule, key):.12g}" for rule in field.metadata for key, sign in _SIGNS if hasattr(rule, key)
    ]
    return ", ".join([names[parts[0]], *limits])


_SIGNS = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT} is up to date\n")
