"""Help with options under headings, in plain text, with examples at its end."""

import re
from typing import Any

from typer.core import TyperCommand

_DEFAULT = re.compile(r"\[default: \((.*)\)(?:; *[^\]]*)?\]$", re.DOTALL)

_KINDS = {"str": "TEXT", "int": "N", "float": "X", "path": "PATH", "dir": "DIR", "file": "FILE"}


class GroupedCommand(TyperCommand):
    """A command whose help lists options under their `rich_help_panel`, and the others under "Options"."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Options and arguments of the usage line, without braces around arguments."""
        return [re.sub(r"^[{\[](.+)[}\]](\.\.\.)?$", _as_written, piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the groups in the order of their first option, then the other options."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                default = groups["Arguments"] if parameter.param_type_name == "argument" else others
                (default if panel is None else groups.setdefault(panel, [])).append(_plain(record))
        for heading, records in (*groups.items(), ("Options", others)):
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def examples(*commands: str) -> str:
    """The end of a help text: commands, one a line, as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def _plain(record: tuple[str, str]) -> tuple[str, str]:
    """A name and its help, in the field's habit: capitals for values, one pair of brackets around defaults."""
    name, text = record
    name, _, kind = name.partition(" <")
    value = _KINDS.get(kind.split(" ")[0].split(">")[0], "") if name.startswith("-") else ""
    return f"{name} {value}".rstrip(), _DEFAULT.sub(r"[default: \1]", text).replace("  [required]", "")


def _as_written(piece: re.Match[str]) -> str:
    return piece[0] if piece[1] == "OPTIONS" else piece[1]
