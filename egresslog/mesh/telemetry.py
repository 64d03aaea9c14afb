"""Which Telemetry resources hold for a proxy, and what they make of its access log together.

Semantics: istio/istio pilot/pkg/model/telemetry.go (applicableTelemetries, mergeLogs) and policyattachment.go, read
as of about 1.13, 1.17 and 1.30; istio/api telemetry/v1/telemetry.proto. Versions v1 and v1alpha1 have the same
fields. Not looked at: label ``istio.io/rev``, which limits a resource to one revision of the control plane.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from egresslog.mesh.untrusted import as_list, as_map

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_GATEWAY_CLASS = "gateway.networking.k8s.io/gateway-class-name"
_WAYPOINT = "istio-waypoint"
_MANAGED = "gateway.istio.io/managed"
_SERVICES = ("Service", "ServiceEntry")


@dataclass(frozen=True)
class Proxy:
    """The proxy that is asked about.

    Attributes:
        namespace: of its pod.
        labels: of its pod.
        root: the mesh's root namespace.
    """

    namespace: str
    labels: Mapping[str, str]
    root: str

    @property
    def gateway(self) -> str:
        """Its Gateway of the Gateway API, "" for a sidecar or a gateway of Istio's own API."""
        return _text(self.labels.get(GATEWAY_NAME))

    @property
    def waypoint(self) -> bool:
        """Whether it is a waypoint of the ambient mode."""
        return self.labels.get(_GATEWAY_CLASS) == _WAYPOINT or self.labels.get(_MANAGED) == "istio.io-mesh-controller"

    @property
    def mode(self) -> str:
        """The side that logs what leaves: a gateway counts as CLIENT, a waypoint's listeners are inbound ones."""
        return "SERVER" if self.waypoint else "CLIENT"


class LoggingRule(NamedTuple):
    """One entry of ``accessLogging``."""

    resource: str
    providers: tuple[str, ...]
    mode: str
    disabled: bool
    filter: str | None

    def applies(self, mode: str) -> bool:
        """Whether it says something about that side."""
        return self.mode not in {"CLIENT", "SERVER"} or self.mode == mode


class Layer(NamedTuple):
    """One resource that holds for the proxy."""

    workload: bool
    resource: str
    rules: tuple[LoggingRule, ...]


class Scope(NamedTuple):
    """What holds for a proxy.

    Attributes:
        layers: the resources, least specific first; also those without a word on access logs.
        ignored: resources that do not count though they speak of access logs, each with the one that does.
        partial: resources for some services of a waypoint.
    """

    layers: tuple[Layer, ...]
    ignored: tuple[tuple[str, str], ...]
    partial: tuple[str, ...]


class ProviderState(NamedTuple):
    """What holds for one provider in the end, and which resource said so; "" for the mesh's default."""

    resource: str
    disabled: bool = False
    filter: str | None = None
    filtered_by: str = ""


def scope(telemetries: Iterable[Any], proxy: Proxy) -> Scope:
    """The resources that hold for the proxy.

    Without selector, only the oldest of a namespace counts, even if it has no word on access logs. With selector, all
    that match count, the oldest first, so that the youngest has the last word; older releases took the oldest alone.
    """
    ordered = sorted((as_map(found) for found in telemetries), key=_age)
    layers: list[Layer] = []
    ignored: list[tuple[str, str]] = []
    for namespace in dict.fromkeys((proxy.root, proxy.namespace)):
        wide = [found for found in ordered if _namespace(found) == namespace and not _aimed(found)]
        if wide:
            layers.append(Layer(False, _name(wide[0]), _rules(wide[0])))
            ignored += [(_name(found), _name(wide[0])) for found in wide[1:] if _rules(found)]
    aimed = [found for found in ordered if _namespace(found) == proxy.namespace and _aimed(found)]
    layers += [Layer(True, _name(found), _rules(found)) for found in aimed if _hits(found, proxy)]
    partial = [
        _name(found)
        for found in aimed
        if proxy.waypoint and _rules(found) and any(ref.get("kind") in _SERVICES for ref in _targets(found))
    ]
    return Scope(tuple(layers), tuple(ignored), tuple(partial))


def older(layers: Sequence[Layer]) -> list[Layer]:
    """The layers that counted up to about 1.19: of those with selector, the oldest."""
    first = next((layer for layer in layers if layer.workload), None)
    return [layer for layer in layers if not layer.workload or layer is first]


def merge(layers: Sequence[Layer], defaults: Sequence[str], mode: str, *, old: bool) -> dict[str, ProviderState]:
    """What holds for each provider in the end; only those the last word is about.

    A level that names providers replaces those above it; one that names none takes them over, switched on or off. An
    entry that is not disabled switches on, whatever stood above (telemetry.proto says otherwise, the source does this).
    """
    in_scope, filters = tuple(defaults), dict[str, LoggingRule]()
    for layer in layers:
        # Up to about 1.19, entries for the other side took part in the choice of providers and filters.
        named = [rule for rule in layer.rules if old or rule.applies(mode)]
        filters.update({name: rule for rule in named for name in rule.providers})
        in_scope = tuple(name for rule in named for name in rule.providers) or in_scope
    if not any(layer.rules for layer in layers):
        return {name: ProviderState("") for name in defaults}
    parents, states = tuple(defaults), dict[str, ProviderState]()
    for rule in (rule for layer in layers for rule in layer.rules):
        parents = rule.providers or parents
        for name in parents:
            if name in in_scope and rule.applies(mode):
                # Releases differ on a filter of an entry without providers; taking it as set is the careful reading.
                chosen = rule if rule.filter and not rule.providers else filters.get(name, rule)
                states[name] = ProviderState(rule.resource, rule.disabled, chosen.filter, chosen.resource)
    return states


def _rules(found: Mapping[str, Any]) -> tuple[LoggingRule, ...]:
    return tuple(
        LoggingRule(
            _name(found),
            tuple(_text(as_map(ref).get("name")) for ref in as_list(entry.get("providers"))),
            _text(as_map(entry.get("match")).get("mode")),
            entry.get("disabled") is True,
            _text(as_map(entry.get("filter")).get("expression")) or None,
        )
        for entry in map(as_map, as_list(as_map(found.get("spec")).get("accessLogging")))
    )


def _aimed(found: Mapping[str, Any]) -> bool:
    """Whether it is for some workloads of its namespace only."""
    return bool(_selector(found) or _targets(found))


def _hits(found: Mapping[str, Any], proxy: Proxy) -> bool:
    targets = _targets(found)
    if not proxy.gateway or not targets:
        # Target references are for the Gateway API; a waypoint, on the other hand, takes no selector.
        selected = all(proxy.labels.get(key) == value for key, value in _selector(found).items())
        return selected and not targets and not proxy.waypoint
    return any(_targeted(target, proxy) for target in targets)


def _targeted(target: Mapping[str, Any], proxy: Proxy) -> bool:
    if target.get("group") != "gateway.networking.k8s.io":
        return False
    if target.get("kind") == "GatewayClass":
        return proxy.waypoint and proxy.namespace == proxy.root and target.get("name") == _WAYPOINT
    here = _text(target.get("namespace")) in {"", proxy.namespace}
    return here and target.get("kind") == "Gateway" and target.get("name") == proxy.gateway


def _selector(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_map(as_map(as_map(found.get("spec")).get("selector")).get("matchLabels"))


def _targets(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    spec = as_map(found.get("spec"))
    return [as_map(target) for target in as_list(spec.get("targetRefs")) or [spec.get("targetRef")] if as_map(target)]


def _age(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Oldest first; the API server writes the time in UTC and whole seconds, so the name settles ties, as in istiod."""
    meta = as_map(found.get("metadata"))
    return _text(meta.get("creationTimestamp")), _text(meta.get("name")), _text(meta.get("namespace"))


def _namespace(found: Mapping[str, Any]) -> str:
    return _text(as_map(found.get("metadata")).get("namespace"))


def _name(found: Mapping[str, Any]) -> str:
    return f"Telemetry {_namespace(found)}/{_text(as_map(found.get('metadata')).get('name')) or '?'}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
