"""Groups of options: a command takes a frozen dataclass, and typer sees the options that are its fields."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from egresslog.cli.exit_codes import Exit


class Without:
    """Names the fields of a group that a command does not offer: ``Annotated[FilterOptions, Without("until")]``.

    They keep their defaults.
    """

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)


def expand_options(command: Callable[..., Exit]) -> Callable[..., Exit]:
    """Replaces each dataclass among a command's parameters by the dataclass's fields.

    A field is declared like a parameter of a command: ``name: Annotated[type, typer.Option(...)] = default``. The help
    lists the options in the order of parameters and fields.

    Raises:
        ValueError: two groups have a field of the same name.
    """
    groups: dict[str, type] = {}
    parameters: list[Parameter] = []
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        hint, *metadata = get_args(hints[name]) if get_origin(hints[name]) is Annotated else [hints[name]]
        if is_dataclass(hint):
            assert isinstance(hint, type)
            groups[name] = hint
            omitted = {name for without in metadata for name in without.names}
            parameters += [parameter for parameter in _parameters(hint) if parameter.name not in omitted]
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def expanded(**values: Any) -> Exit:
        arguments = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group) if field.name in values})
            for name, group in groups.items()
        }
        return command(**arguments, **values)

    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


@functools.cache  # evaluating annotations takes a tenth of the time of --help
def _parameters(group: type) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]
