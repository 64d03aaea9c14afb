"""Objects of the API and texts in YAML that somebody else wrote: a value may have any type, a text any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

LONGEST = 2**18  # characters of YAML: real ones have some thousand; reading takes seconds from here on

#: What ``load_yaml`` raises. PyYAML's constructors fail in all these ways: huge numbers, deep nesting, `!!int x`,
#: `!!timestamp x`.
YAML_ERRORS = (
    yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError,
)  # fmt: skip


class AliasError(ValueError):
    """An alias stands for a list or map."""


class _Loader(yaml.SafeLoader):
    """Follows no alias to a list or map: ten short lines of nested aliases stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One node."""
        alias = self.check_event(yaml.AliasEvent)
        node: yaml.Node | None = super().compose_node(parent, index)
        if alias and not isinstance(node, yaml.ScalarNode):
            raise AliasError("uses an alias (*name) of a list or map, which egresslog does not follow")
        return node


def load_yaml(text: str) -> Any:
    """The value of a text of at most LONGEST characters.

    Raises:
        AliasError, YAML_ERRORS: it is no YAML, or none that egresslog reads.
    """
    return yaml.load(text, _Loader)  # noqa: S506  (_Loader is a SafeLoader)


def as_map(value: Any) -> Mapping[str, Any]:
    """The value if it is a map, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()
