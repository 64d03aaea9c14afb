"""The class of all commands: `--help` lists the options by panel, and the exit codes at the end.

Help is plain text, although typer could draw the panels with rich: its frames and columns leave 26 of 80 columns to the
texts, cut long words, turn up in pipes and documentation, and nearly double the time that `egresslog --help` takes.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand

_NAMES = 24  # columns; a longer name stands on a line of its own


class Command(TyperCommand):
    """A command of egresslog. Options belong to the panel that their ``rich_help_panel`` names, else to "Options"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments; messages about a choice lose the prefix that pydantic gives them."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the panels in the order in which their first options are declared, with one width for all names."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            name, text = record
            if parameter.param_type_name == "argument":
                name, default = name.split()[0], "Arguments"  # typer adds the Python type
            else:
                default = "Options"
            panel = getattr(parameter, "rich_help_panel", None) or default
            panels.setdefault(panel, []).append((name, text))
        width = min(max(len(name) for rows in panels.values() for name, _ in rows), _NAMES)
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows], col_max=width)

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Writes the exit codes flush with the headings of the panels."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write_text(inspect.cleandoc(self.epilog))
