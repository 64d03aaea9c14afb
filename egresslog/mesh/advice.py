"""How to switch an access log on: a Telemetry resource, ready to apply."""

from __future__ import annotations

import json
from collections.abc import Iterable

from egresslog.mesh.configmap import BUILT_IN, MeshConfig
from egresslog.mesh.telemetry import GATEWAY_NAME, Proxy, Scope

# Labels that mark a workload, the most telling first; others (hashes, versions) change with each rollout.
_MARKS = ("istio", "app.kubernetes.io/name", "app", "k8s-app", "app.kubernetes.io/instance")
_NAME = "egresslog-access-log"


def switch_on(config: MeshConfig, scope: Scope, proxy: Proxy, keep: Iterable[str] = ()) -> str:
    """What to apply so that the proxy writes its log to standard output, through the providers in ``keep`` as before.

    A resource for the workload overrides those of its namespace and of the mesh. Where there is one already, that one
    is to be changed: releases differ on which of two counts.
    """
    provider = _readable(config)
    if not provider:
        return (
            f"Give provider {BUILT_IN} the path /dev/stdout in extensionProviders of the mesh's configuration, "
            "or set accessLogFile to /dev/stdout and remove accessLogging from the Telemetry resources."
        )
    providers = dict.fromkeys((*keep, provider))
    entry = ["  accessLogging:", "  - providers:", *(f"    - name: {json.dumps(name)}" for name in providers)]
    entry.append("    disabled: false")
    notes = [f"{resource} is ignored: {other} is older." for resource, other in scope.ignored]
    target = _target(proxy)
    own = [layer.resource for layer in scope.layers if layer.workload]
    if len(own) > 1:
        notes.append(f"{' and '.join(own)} select the same workload: keep the last.")
    if not own and not target:  # nothing to select the workload by: the one for the namespace, if there is one
        own = [layer.resource for layer in scope.layers if layer.resource.startswith(f"Telemetry {proxy.namespace}/")]
    if own:
        return "\n".join([*notes, f"In {own[-1]}, set:", "spec:", *entry])
    manifest = [
        "apiVersion: telemetry.istio.io/v1  # before Istio 1.22: v1alpha1",
        "kind: Telemetry",
        "metadata:",
        f"  name: {_NAME}",
        f"  namespace: {json.dumps(proxy.namespace)}",
        "spec:",
        *target,
        *entry,
    ]
    return "\n".join([*notes, "Switch it on with kubectl apply -f -:", *manifest])


def _readable(config: MeshConfig) -> str:
    """The provider that writes to standard output: the built-in one, unless the mesh has turned it to elsewhere."""
    names = (BUILT_IN, *config.providers)
    return next((name for name in names if (sink := config.provider(name)) and sink.readable), "")


def _target(proxy: Proxy) -> list[str]:
    if proxy.gateway:
        group = GATEWAY_NAME.partition("/")[0]
        return ["  targetRefs:", f"  - group: {group}", "    kind: Gateway", f"    name: {json.dumps(proxy.gateway)}"]
    for mark in _MARKS:
        if isinstance(value := proxy.labels.get(mark), str) and value:
            return ["  selector:", "    matchLabels:", f"      {mark}: {json.dumps(value)}"]
    return []  # then it holds for the namespace
