"""What the mesh's configuration says about one proxy's access log: is it written where the log API reads it, and how.

Semantics: istio/istio pilot/pkg/networking/core/accesslog.go (setHTTPAccessLog, setTCPAccessLog), with telemetry.py and
configmap.py. The release is not known here, and releases differ: up to about 1.19 a Telemetry that comes to nothing
switched the log off; from about 1.20 ``accessLogFile`` decides then (istio/istio#49126). Where they disagree on whether
there is a log, the answer is that it cannot be told. EnvoyFilters, which can add or remove any log, are not looked at;
annotations of pods (proxy.istio.io/config) do not reach this log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from egresslog.mesh import configmap, telemetry
from egresslog.mesh.advice import switch_on
from egresslog.mesh.configmap import FormatSource, MeshConfig, Sink
from egresslog.mesh.telemetry import Layer, ProviderState, Proxy, Scope

_LET_READ = "Let egresslog read {}, or check whether the log itself has lines."


@dataclass(frozen=True)
class AccessLog:
    """What the mesh's configuration says about one proxy's access log.

    Attributes:
        written: True: to standard output or standard error, where the log API reads it; False: certainly not there;
            None: cannot be told.
        format: an Envoy format string, a JSON template, or None for Istio's default of the release.
        encoding: ``TEXT`` or ``JSON``.
        why: one sentence that names the resource which decides.
        advice: what to do, "" if nothing.
        filtered: the CEL expression that a request must meet to be written; a missing line then proves nothing.
        omit_empty: absent values print as nothing instead of ``-``.
    """

    written: bool | None
    format: FormatSource = None
    encoding: str = "TEXT"
    why: str = ""
    advice: str = ""
    filtered: str | None = None
    omit_empty: bool = False
    by_file: bool = field(default=False, compare=False, repr=False)  # accessLogFile decides


class _Active(NamedTuple):
    """A provider that logs, or would if it were not disabled."""

    sink: Sink
    state: ProviderState


class _Context(NamedTuple):
    config: MeshConfig
    scope: Scope
    proxy: Proxy
    configmap: str

    @property
    def file(self) -> str:
        """accessLogFile, and where it is set."""
        sink = self.config.file
        return f"{self.configmap}: accessLogFile is {_destination(sink) if sink.path else 'empty'}"

    def off(self, why: str, *, written: bool | None = False, keep: Iterable[str] = ()) -> AccessLog:
        """The answer that there is no log to read, with the way to get one."""
        return AccessLog(written, why=why, advice=switch_on(self.config, self.scope, self.proxy, keep))


def access_log(
    mesh: str | None,
    telemetries: Sequence[Mapping[str, Any]] | None,
    *,
    namespace: str,
    labels: Mapping[str, str],
    root_namespace: str = "istio-system",
    config_map: str = "istio",
) -> AccessLog:
    """What the mesh's configuration says about the access log of a proxy, for what leaves through it.

    Args:
        mesh: the text of key ``mesh`` of ConfigMap ``istio``; "" if there is no such key, None if it was not read.
        telemetries: the Telemetry resources as the API gives them, None if they were not read; others than those of
            the proxy's and the root namespace do no harm.
        namespace: the proxy's.
        labels: of the proxy's pod.
        root_namespace: where the ConfigMap is; also the mesh's root namespace, if the ConfigMap names no other.
        config_map: its name; each revision of the control plane has its own.

    Never raises, whatever the resources hold.
    """
    read = configmap.parse_mesh_config(mesh) if mesh is not None else "was not read"
    config = MeshConfig() if isinstance(read, str) else read
    proxy = Proxy(namespace, labels, config.root_namespace or root_namespace)
    scope = telemetry.scope(telemetries or (), proxy)
    context = _Context(config, scope, proxy, f"ConfigMap {root_namespace}/{config_map}")
    if isinstance(read, str):
        return _without_configmap(context, read)
    if telemetries is None:
        alone = _decide(context, old=False)
        why = f"{alone.why}; but the Telemetry resources, which override it, were not read"
        return replace(alone, written=None, why=why, advice=_LET_READ.format("the Telemetry resources (verb list)"))
    if scope.partial:
        why = f"{scope.partial[0]} is for some services of the waypoint only"
        return context.off(why, written=None)
    return _reconcile(context, _decide(context, old=False), _decide(context, old=True))


def _without_configmap(context: _Context, reason: str) -> AccessLog:
    """Only a Telemetry that disables every provider, the built-in one among them, decides it then."""
    readings = [_states(context, old=old) for old in (False, True)]
    states = readings[0]
    if all(configmap.BUILT_IN in found and all(state.disabled for state in found.values()) for found in readings):
        return _disabled(context, [*states.values()][-1], list(states))
    words = "; ".join(f"{state.resource} names provider {name}" for name, state in states.items())
    return AccessLog(
        None,
        why=f"{context.configmap} {reason}" + (f", so what providers log is not known: {words}" if words else ""),
        advice=_LET_READ.format(f"{context.configmap} (verb get), in valid YAML"),
    )


def _reconcile(context: _Context, new: AccessLog, old: AccessLog) -> AccessLog:
    """One answer of what releases from about 1.20 do, and what those before did."""
    if new.written == old.written:
        if old.filtered and not new.filtered:  # the careful reading, in the format of today
            return replace(old, format=new.format, encoding=new.encoding, omit_empty=new.omit_empty)
        return new
    on, off = (new, old) if new.written else (old, new)
    if new.by_file:
        why = (
            f"{old.why}; from about Istio 1.20 on, the mesh-wide accessLogFile applies instead ({context.file}),"
            " before that, none"
        )
    else:
        why = f"releases of Istio differ: {new.why}; before about 1.20, {old.why}"
    return AccessLog(None, on.format, on.encoding, why, off.advice, on.filtered, on.omit_empty)


def _layers(context: _Context, *, old: bool) -> Sequence[Layer]:
    return telemetry.older(context.scope.layers) if old else context.scope.layers


def _states(context: _Context, *, old: bool) -> dict[str, ProviderState]:
    layers = _layers(context, old=old)
    return telemetry.merge(layers, context.config.defaults, context.proxy.mode, old=old)


def _decide(context: _Context, *, old: bool) -> AccessLog:
    config, layers, states = context.config, _layers(context, old=old), _states(context, old=old)
    found = {name: (config.provider(name), state) for name, state in states.items()}
    active = [_Active(sink, state) for sink, state in found.values() if sink and (sink.path or sink.receiver)]
    if active:
        return _by_providers(context, active)
    if not config.defaults and not any(layer.rules for layer in layers):
        return _by_file(context)
    empty = _nothing(context, layers, states)
    if old:
        return context.off(empty)
    decided = _by_file(context)
    return replace(decided, why=f"{empty}, so {decided.why}")


def _by_providers(context: _Context, active: Sequence[_Active]) -> AccessLog:
    on = [entry for entry in active if not entry.state.disabled]
    if not on:
        return _disabled(context, active[-1].state, [entry.sink.name for entry in active])
    shown = [entry for entry in on if entry.sink.readable]
    if not shown:
        names = [entry.sink.name for entry in on]
        where = " and ".join(dict.fromkeys(_destination(entry.sink) for entry in on))
        return context.off(f"{_source(context, on[-1].state)}: {_providers(names)} only to {where}", keep=names)
    # An unfiltered log has every line; among such, one in Istio's own format is read best.
    best = min(shown, key=lambda entry: (entry.state.filter is not None, entry.sink.format is not None))
    names = [entry.sink.name for entry in shown]
    why = f"{_source(context, best.state)}: provider {best.sink.name} to {best.sink.path}"
    advice = [best.sink.note + "."] if best.sink.note else []
    if best.state.filter is not None:
        why += f", only what matches {_short(best.state.filter)}"
        advice.append(f"A missing line proves nothing: for evidence, remove the filter from {best.state.filtered_by}.")
    if len(shown) > 1:
        advice.append(
            f"Providers {', '.join(names)} all log the same requests, so each request counts several times: keep one."
        )
    return AccessLog(
        True, best.sink.format, best.sink.encoding, why, " ".join(advice), best.state.filter, best.sink.omit_empty
    )  # fmt: skip


def _by_file(context: _Context) -> AccessLog:
    sink = context.config.file
    if sink.readable:
        note = sink.note + "." if sink.note else ""
        return AccessLog(True, sink.format, sink.encoding, context.file, note, by_file=True)
    # Empty is Istio's own default: in the Helm chart since 1.1, in istiod since 1.7 (demo profile: /dev/stdout).
    why = context.file
    if context.config.log_service:
        why += ", and enableEnvoyAccessLogService sends the log to a gRPC service"
    elif not sink.path and not any(layer.rules for layer in context.scope.layers):
        why += ", and no Telemetry switches the access log on"
    return replace(context.off(why), by_file=True)


def _disabled(context: _Context, state: ProviderState, names: Sequence[str]) -> AccessLog:
    return context.off(f"{_source(context, state)}: accessLogging disabled ({_providers(names)})")


def _nothing(context: _Context, layers: Sequence[Layer], states: Mapping[str, ProviderState]) -> str:
    """Why what is configured comes to no access log."""
    config, mode = context.config, context.proxy.mode
    rules = [rule for layer in layers for rule in layer.rules]
    for name, state in states.items():
        lacks = "writes no access log" if config.provider(name) else "is not among the mesh's extensionProviders"
        return f"{_source(context, state)}: provider {name} {lacks}"
    if not any(rule.applies(mode) for rule in rules):
        return f"{rules[-1].resource}: accessLogging is for mode {rules[-1].mode}, but outgoing traffic is {mode}"
    return f"{rules[-1].resource}: accessLogging names no provider, and the mesh has no default one"


def _source(context: _Context, state: ProviderState) -> str:
    return state.resource or f"{context.configmap}, defaultProviders.accessLogging"


def _providers(names: Sequence[str]) -> str:
    return f"{'provider' if len(names) == 1 else 'providers'} {', '.join(names)}"


def _destination(sink: Sink) -> str:
    if sink.path == "/dev/null":
        return "/dev/null, which discards it"
    if sink.readable:
        return sink.path
    return sink.receiver or f"{_short(sink.path)}, a file in the container that the log API does not serve"


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
