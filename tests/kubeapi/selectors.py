"""Label and field selectors, as the query of a list or a watch has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .kinds import PODS, Kind
from .status import Json, bad_request

_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*)?(?P<key>[^\s!=,()]+)\s*"
    r"(?:(?P<operator>==|=|!=)\s*(?P<value>[^\s,()]*)\s*|(?P<set>in|notin)\s*\((?P<values>[^)]*)\)\s*)?(?:,|$)"
)
# Other resources can be selected by name and namespace only.
_POD_FIELDS = {
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
}

Test = Callable[[Json], bool]


@dataclass(frozen=True)
class Selector:
    """Which objects a request is about."""

    namespace: str = ""
    tests: tuple[Test, ...] = ()

    def matches(self, found: Json) -> bool:
        """Whether `found` is one of them."""
        metadata = found["metadata"]
        if self.namespace and metadata.get("namespace", "") != self.namespace:
            return False
        return all(test(found) for test in self.tests)


def selector(kind: Kind, namespace: str, labels: str, fields: str) -> Selector:
    """Of the query's `labelSelector` and `fieldSelector`."""
    return Selector(namespace, (*_label_tests(labels), *_field_tests(kind, fields)))


def _label_tests(text: str) -> list[Test]:
    tests, position = [], 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if not match or match.end() == position:
            raise bad_request(f"unable to parse requirement: found '{text[position:]}', expected: identifier")
        tests.append(_label_test(match))
        position = match.end()
    return tests


def _label_test(match: re.Match[str]) -> Test:
    key = match["key"]
    wanted = {match["value"]} if match["operator"] else {word.strip() for word in (match["values"] or "").split(",")}
    negative = match["operator"] == "!=" or match["set"] == "notin"
    exists = not match["operator"] and not match["set"]

    def test(found: Json) -> bool:
        labels = found["metadata"].get("labels", {})
        if exists:
            return (key in labels) is not bool(match["absent"])
        return (labels.get(key) in wanted) is not negative

    return test


def _field_tests(kind: Kind, text: str) -> list[Test]:
    tests = []
    for term in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*([\w.]+)\s*(==|=|!=)\s*(.*?)\s*", term)
        if not match:
            raise bad_request(f"invalid field selector: {term!r}; can't understand {term!r}")
        if match[1] not in {"metadata.name", "metadata.namespace", *(_POD_FIELDS if kind == PODS else ())}:
            raise bad_request(f"field label not supported: {match[1]}")
        tests.append(_field_test(match[1], match[3], negative=match[2] == "!="))
    return tests


def _field_test(path: str, wanted: str, *, negative: bool) -> Test:
    def test(found: Json) -> bool:
        value: object = found
        for name in path.split("."):
            value = value.get(name, "") if isinstance(value, dict) else ""
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return (text == wanted) is not negative

    return test
