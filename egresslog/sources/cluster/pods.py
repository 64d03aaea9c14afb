"""Which containers to read: the pods of a selector, a name or a workload, and one container in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from egresslog.errors import UsageError
from egresslog.sources.cluster.pod_schema import NAME, Pod
from egresslog.timespec import parse_rfc3339

#: Where Istio installs its gateways, and their label (istioctl profiles and Helm charts).
NAMESPACE = "istio-system"
SELECTOR = "istio=egressgateway"
_GATEWAY_API = "gateway.networking.k8s.io/gateway-name"  # set by Istio's controller on the pods of a Gateway
PROXY = "istio-proxy"
_STATES = ("running", "waiting", "terminated")
_PREFERRED = (PROXY, "egressgateway")  # the second in Istio 1.0

# Kind of a pod or of its owner -> API group, and the names that kubectl accepts, with the group or without: deploy/x,
# deployments.apps/x. Case does not matter (kubectl 1.32 wants short names in lower case, and takes others in any).
_WORKLOADS = {
    "Pod": ("", ("po", "pod", "pods")),
    "Deployment": ("apps", ("deploy", "deployment", "deployments")),
    "ReplicaSet": ("apps", ("rs", "replicaset", "replicasets")),
    "StatefulSet": ("apps", ("sts", "statefulset", "statefulsets")),
    "DaemonSet": ("apps", ("ds", "daemonset", "daemonsets")),
    "Job": ("batch", ("job", "jobs")),
}
_KINDS = {
    spelling: kind
    for kind, (group, names) in _WORKLOADS.items()
    for name in names
    for spelling in (name, *((f"{name}.{group}", f"{name}.v1.{group}") if group else ()))
}


@dataclass(frozen=True)
class Target:
    """Where to look for containers.

    Attributes:
        namespace: None for all.
        selector: a label query, as kubectl takes it.
        kind, name: of one pod or of the pods' owner; with a name but no kind: a pod or any owner of that name.
        container: its name; None: see ``choose_container``.
        sidecars: only pods with a sidecar.
    """

    namespace: str | None = NAMESPACE
    selector: str = ""
    kind: str | None = None
    name: str | None = None
    container: str | None = None
    sidecars: bool = False

    @classmethod
    def parse(cls, text: str, namespace: str | None, container: str | None = None, **more: Any) -> Self:
        """Parses ``pod/NAME``, ``deploy/NAME`` and the like, as kubectl accepts them.

        Raises:
            UsageError: not of that form, or no single namespace to look in.
        """
        kind, slash, name = text.partition("/")
        if not slash or kind.lower() not in _KINDS or not NAME.fullmatch(name):
            raise UsageError(f"not a target: {text!r} (give pod/NAME, deploy/NAME, sts/, ds/, rs/ or job/NAME)")
        if namespace is None:
            raise UsageError(f"{text} is in one namespace: give -n, and not -A")
        return cls(namespace, kind=_KINDS[kind.lower()], name=name, container=container, **more)

    @classmethod
    def workload(cls, text: str) -> Self:
        """Parses the value of ``--from``: ``NAMESPACE/NAME`` of a workload or pod, or ``NAMESPACE/KIND/NAME``.

        Raises:
            UsageError: not of that form.
        """
        namespace, _, rest = text.partition("/")
        if not NAME.fullmatch(namespace) or not rest:
            raise UsageError(f"not a workload: {text!r} (give NAMESPACE/NAME, such as default/sleep)")
        if "/" in rest:
            return cls.parse(rest, namespace, PROXY, sidecars=True)
        if not NAME.fullmatch(rest):
            raise UsageError(f"not a workload: {text!r} (give NAMESPACE/NAME, such as default/sleep)")
        return cls(namespace, name=rest, container=PROXY, sidecars=True)

    def __str__(self) -> str:
        where = f"namespace {self.namespace}" if self.namespace else "all namespaces"
        if self.name:
            return f"{(self.kind or 'workload').lower()} {self.name} in {where}"
        return f"pods with {self.selector or 'a sidecar'} in {where}"

    def matches(self, pod: Pod) -> bool:
        """Whether a pod that the selector matches is one of the target's."""
        if not self.name:
            return not self.sidecars or PROXY in _container_names(pod)
        is_named = bool(pod["metadata"]["name"] == self.name)
        if self.kind == "Pod":
            return is_named
        is_owned = any(name == self.name and self.kind in (None, kind) for kind, name in owners(pod))
        return is_owned or (is_named and self.kind is None)


def gateway_targets(
    namespaces: Sequence[str] | None,
    names: Iterable[str] = (),
    selector: str | None = None,
    gateway_name: str | None = None,
    container: str | None = None,
) -> tuple[Target, ...]:
    """Where to look for the gateway's pods.

    Args:
        namespaces: None: all; empty: Istio's own.
        names: ``deploy/NAME`` and the like.
        selector: a label query.
        gateway_name: of a Gateway of the Gateway API.
        container: its name.

    Raises:
        UsageError: options that contradict each other.
    """
    if selector is not None and gateway_name is not None:
        raise UsageError("give --selector or --gateway-name, not both")
    if invalid := [name for name in namespaces or () if not NAME.fullmatch(name)]:
        raise UsageError(f"not a namespace: {invalid[0]!r}")
    places: Sequence[str | None] = [None] if namespaces is None else list(dict.fromkeys(namespaces)) or [NAMESPACE]
    names = list(dict.fromkeys(names))
    if names:
        if selector is not None or gateway_name is not None:
            raise UsageError(f"give {names[0]}, or --selector, not both")
        return tuple(Target.parse(name, place, container) for place in places for name in names)
    query = selector or (f"{_GATEWAY_API}={gateway_name}" if gateway_name else SELECTOR)
    return tuple(Target(place, query, container=container) for place in places)


@dataclass(frozen=True, slots=True)  # there may be a hundred thousand
class Container:
    """One container of a pod, as the kubelet last reported it to the API server.

    Attributes:
        pod, uid: the pod's name, and the id that distinguishes it from another pod of that name.
        instance: containerID of the instance that runs or ran last; "" before the first start.
        state: ``running``, ``waiting`` or ``terminated``; ``reason`` and ``message`` belong to the latter two.
        started: when this instance started (ns since 1970), None if it does not run.
        previous: containerID of the instance before, "" if there was none.
        ips: of the pod.
        created, deleted: when the pod was created and deleted (ns since 1970); None: not yet.
        workload: owner's kind and name, such as ``deployment/sleep``; "" for a bare pod.
        done: the pod has ended, and starts no container again.
    """

    namespace: str
    pod: str
    uid: str
    name: str
    instance: str = ""
    restarts: int = 0
    state: str = "waiting"
    reason: str = ""
    message: str = ""
    started: int | None = None
    previous: str = ""
    ips: tuple[str, ...] = ()
    created: int | None = None
    deleted: int | None = None
    workload: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    done: bool = False

    @property
    def origin(self) -> str:
        """``namespace/pod/container``."""
        return f"{self.namespace}/{self.pod}/{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """Identifies the container across restarts."""
        return self.uid, self.name

    @property
    def path(self) -> str:
        """The pod's path in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}"


def is_target(text: str) -> bool:
    """Whether a text has the form of a target in a cluster, ``KIND/NAME`` with a kind that ``Target.parse`` knows."""
    kind, _, name = text.partition("/")
    return kind.lower() in _KINDS and bool(name) and "/" not in name


def choose_container(pod: Pod, wanted: str | None) -> Container | str:
    """The container to read: ``wanted``, else ``istio-proxy`` or ``egressgateway``, else the only one.

    Returns:
        The container, or a message why there is none.
    """
    names = _container_names(pod)
    meta = pod["metadata"]
    described = f"pod {meta['namespace']}/{meta['name']}"
    if wanted is not None and wanted not in names:
        return f"{described} has no container {wanted}; it has {', '.join(names)}"
    chosen = wanted or next((name for name in _PREFERRED if name in names), None)
    if chosen is None:
        if len(names) != 1:
            return f"{described} has no container {PROXY}; name one with --container: {', '.join(names)}"
        chosen = names[0]
    return _container(pod, chosen)


# Annotations that take traffic away from the sidecar (istio.io, "Resource Annotations"), and values that do not.
_CAPTURE = {
    "traffic.sidecar.istio.io/excludeOutboundPorts": ("",),
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": ("",),
    "traffic.sidecar.istio.io/includeOutboundIPRanges": ("*",),
}


def uncaptured(pod: Pod) -> str | None:
    """Why some or all traffic of a pod leaves no line in a sidecar's log; None where all TCP traffic is captured."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    described = f"{meta['namespace']}/{meta['name']}"
    if spec.get("hostNetwork"):
        return f"{described} uses the host's network"
    if PROXY not in _container_names(pod):
        return f"{described} has no sidecar"
    annotations = meta.get("annotations") or {}
    for annotation, harmless in _CAPTURE.items():
        value = str(annotations.get(annotation, harmless[0])).strip()
        if value not in harmless:
            return f"{described} has {annotation.rpartition('/')[2]} {value}"
    return None


def owners(pod: Pod) -> list[tuple[str, str]]:
    """Kind and name of the pod's owners, and of a ReplicaSet's Deployment (whose name it has, and a label's hash)."""
    meta = pod["metadata"]
    template_hash = (meta.get("labels") or {}).get("pod-template-hash")
    result = []
    for owner in meta.get("ownerReferences") or ():
        result.append((owner["kind"], owner["name"]))
        if owner["kind"] == "ReplicaSet" and template_hash and owner["name"].endswith(f"-{template_hash}"):
            result.append(("Deployment", owner["name"].removesuffix(f"-{template_hash}")))
    return result


def _container_names(pod: Pod) -> list[str]:
    """Containers, then native sidecars: init containers that always restart (Kubernetes 1.28, Istio 1.27)."""
    spec = pod.get("spec") or {}
    native = [entry for entry in spec.get("initContainers") or () if entry.get("restartPolicy") == "Always"]
    return [entry["name"] for entry in (*(spec.get("containers") or ()), *native)]


def _container(pod: Pod, name: str) -> Container:
    meta, status = pod["metadata"], pod.get("status") or {}
    reports = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    report: Mapping[str, Any] = next((entry for entry in reports if entry["name"] == name), {})
    states = report.get("state") or {}
    state = next((name for name in _STATES if name in states), "waiting")
    details = states.get(state) or {}
    last = (report.get("lastState") or {}).get("terminated") or {}
    owned_by = owners(pod)
    ips = [entry.get("ip") for entry in status.get("podIPs") or ()] or [status.get("podIP")]
    phase = status.get("phase") or ""
    return Container(
        namespace=meta["namespace"],
        pod=meta["name"],
        uid=meta.get("uid") or "",
        name=name,
        instance=report.get("containerID") or details.get("containerID") or "",
        restarts=int(report.get("restartCount") or 0),
        state=state,
        reason=str(details.get("reason") or status.get("reason") or ("" if reports else phase)),
        message=str(details.get("message") or ""),
        started=_time(details.get("startedAt")),
        previous=last.get("containerID") or "",
        ips=tuple(str(ip) for ip in ips if ip),
        created=_time(meta.get("creationTimestamp")),
        deleted=_time(meta.get("deletionTimestamp")),
        workload=f"{owned_by[-1][0].lower()}/{owned_by[-1][1]}" if owned_by else "",
        labels=meta.get("labels") or {},
        done=phase in {"Succeeded", "Failed"},
    )


def _time(text: str | None) -> int | None:
    return parse_rfc3339(text) if text else None
