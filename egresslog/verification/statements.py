"""The large SQL statements, one file each in ``sql/``; what they name, ``tables.md`` describes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template


def statement(name: str, **values: object) -> str:
    """The statements of ``sql/NAME.sql`` with ``$placeholders`` filled in.

    Values are constants and SQL of ours; what logs or users say is never among them, but a parameter of the statement.
    """
    return _template(name).substitute({key: _literal(value) for key, value in values.items()})


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _template(name: str) -> Template:
    return Template((files(__package__) / "sql" / f"{name}.sql").read_text("utf-8"))
