"""The rights egresslog needs: RBAC as YAML, from one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

_API = "rbac.authorization.k8s.io"
SUBJECT = "YOUR-USER"
_EVERYWHERE = ""  # as a place: all namespaces, by a ClusterRole


class Grant(NamedTuple):
    """One rule, and what it is for.

    Attributes:
        place: where it is granted: ``logs`` are the namespaces whose logs are read, ``mesh`` is the root namespace,
            ``probe`` where the probe runs, ``static`` and ``networks`` everywhere, ``kubeadm`` and ``api-server`` in
            the namespaces that Kubernetes has for them.
        names: the only objects it is for, empty for all.
    """

    place: str
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()


_READ = ("get", "list")
GRANTS = (
    Grant("logs", "", ("pods",), ("get", "list", "watch"), "containers, and changes to them"),
    Grant("logs", "", ("pods/log",), ("get",), "their logs"),
    Grant("logs", "telemetry.istio.io", ("telemetries",), _READ, "whether the proxies write access logs"),
    Grant("mesh", "telemetry.istio.io", ("telemetries",), _READ, "whether the mesh writes access logs"),
    Grant(
        "mesh", "", ("configmaps",), ("get",),
        "whether and how the mesh writes access logs; a revision of the control plane has its own: istio-REVISION",
        ("istio",),
    ),
    Grant("networks", "", ("nodes",), ("list",), "optional: which addresses pods have"),
    Grant(
        "networks", "networking.k8s.io", ("servicecidrs",), ("list",),
        "optional: which addresses Services have (Kubernetes 1.33)",
    ),
    Grant(
        "kubeadm", "", ("configmaps",), ("get",),
        "optional: the same in older clusters of kubeadm", ("kubeadm-config",),
    ),
    Grant(
        "api-server", "discovery.k8s.io", ("endpointslices",), ("get",),
        "optional: where the API server is", ("kubernetes",),
    ),
    # exec over WebSocket is a GET, which Kubernetes authorizes as `get`; from 1.35 it wants `create` as well (feature
    # gate AuthorizePodWebsocketUpgradeCreatePermission, on by default; kubernetes/kubernetes#133515, #134577).
    Grant(
        "probe", "", ("pods/exec",), ("get", "create"),
        "--probe runs a request in the sender's pod: get before Kubernetes 1.35, get and create from 1.35",
    ),
    Grant(
        "static", "networking.istio.io",
        ("serviceentries", "gateways", "virtualservices", "destinationrules", "sidecars", "envoyfilters"), _READ,
        "the path that the configuration gives the traffic",
    ),
    Grant(
        "static", "gateway.networking.k8s.io", ("gateways", "httproutes", "tlsroutes"), _READ,
        "the same, in the Gateway API",
    ),
    Grant("static", "telemetry.istio.io", ("telemetries",), _READ, "which proxies write access logs"),
    Grant("static", "networking.k8s.io", ("networkpolicies",), _READ, "what only the gateway can reach"),
    Grant("static", "discovery.k8s.io", ("endpointslices",), _READ, "endpoints of the gateway's Service"),
    Grant("static", "", ("services", "namespaces"), _READ, "the gateway's Service, and which namespaces are injected"),
)  # fmt: skip


def role(
    namespace: str,
    name: str = "egresslog",
    *,
    sidecars: bool,
    probe: bool,
    static: bool,
    networks: bool = False,
    clients: Sequence[str] = (),
    root_namespace: str = "istio-system",
) -> str:
    """The least rights for what is to be done, as YAML for ``kubectl apply -f -``.

    The binding's subject is a placeholder, which grants nothing to anybody until it is replaced. No right is to write
    anything; only ``probe`` has one that runs something.

    Args:
        namespace: the gateway's; "" for all namespaces.
        name: of the Roles and bindings.
        sidecars: also the logs of the senders' sidecars.
        probe: also requests from the senders' pods.
        static: also the mesh's routing configuration, in all namespaces.
        networks: also which addresses are the cluster's own, without which only private ones and pods' are known to be.
        clients: the senders' namespaces. If none: all for ``sidecars``, ``namespace`` for ``probe``.
        root_namespace: where ConfigMap ``istio`` is.
    """
    logs = {namespace, *clients} if sidecars else {namespace}
    if sidecars and not clients:
        logs = {_EVERYWHERE}
    places = {
        "logs": {_EVERYWHERE} if _EVERYWHERE in logs else logs,
        "mesh": {root_namespace},
        "probe": ({*clients} or {namespace}) if probe else set[str](),
        "static": {_EVERYWHERE} if static else set[str](),
        "networks": {_EVERYWHERE} if networks else set[str](),
        "kubeadm": {"kube-system"} if networks else set[str](),
        "api-server": {"default"} if networks else set[str](),
    }
    rules: dict[str, list[Grant]] = {}
    for place in sorted(set().union(*places.values())):  # everywhere first: what is granted there needs no Role
        for grant in GRANTS:
            above = [*rules.get(place, ()), *rules.get(_EVERYWHERE, ())]
            if place in places[grant.place] and grant[1:4] not in [known[1:4] for known in above]:
                rules.setdefault(place, []).append(grant)
    head = f"# Replace {SUBJECT} with the subject, then: kubectl apply -f -\n"
    return head + "---\n".join(_documents(place, name, granted) for place, granted in sorted(rules.items()))


def _documents(place: str, name: str, granted: Sequence[Grant]) -> str:
    """A Role or ClusterRole, and its binding."""
    kind = "Role" if place else "ClusterRole"
    meta = {"name": name, "namespace": place} if place else {"name": name}
    lines = [f"apiVersion: {_API}/v1", f"kind: {kind}", f"metadata: {json.dumps(meta)}", "rules:"]
    for grant in granted:
        rule = {"apiGroups": [grant.group], "resources": grant.resources, "verbs": grant.verbs}
        lines += [f"# {grant.why}", "- " + json.dumps(rule | ({"resourceNames": grant.names} if grant.names else {}))]
    lines += ["---", f"apiVersion: {_API}/v1", f"kind: {kind}Binding", f"metadata: {json.dumps(meta)}"]
    lines.append("roleRef: " + json.dumps({"apiGroup": _API, "kind": kind, "name": name}))
    lines += [
        'subjects:  # or {"kind": "ServiceAccount", "namespace": ..., "name": ...}',
        "- " + json.dumps({"apiGroup": _API, "kind": "User", "name": SUBJECT}),
    ]
    return "\n".join(lines) + "\n"
