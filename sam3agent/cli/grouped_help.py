"""Help with options under headings, in plain text."""

from typing import Any

from typer.core import TyperCommand


class GroupedCommand(TyperCommand):
    """A command whose help lists options under their `rich_help_panel`, and the others under "Options"."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the groups in the order of their first option, then the other options."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        others: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                default = groups["Arguments"] if parameter.param_type_name == "argument" else others
                (default if panel is None else groups.setdefault(panel, [])).append(record)
        for heading, records in (*groups.items(), ("Options", others)):
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
