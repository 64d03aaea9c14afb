"""Which containers to read: the pods of a selector, a name or a workload, and the one container that matters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from egresslog.errors import UsageError

Pod = Mapping[str, Any]  # as the API gives it

#: Where Istio puts its gateways, and their label (istioctl profiles and Helm charts).
NAMESPACE = "istio-system"
SELECTOR = "istio=egressgateway"
_GATEWAY_API = "gateway.networking.k8s.io/gateway-name"  # which Istio's controller puts on the pods of a Gateway
PROXY = "istio-proxy"
_PREFERRED = (PROXY, "egressgateway")  # the second in Istio 1.0

# What kubectl takes before a name -> the kind of owner.
_KINDS = {
    "po": "Pod", "pod": "Pod", "pods": "Pod",
    "deploy": "Deployment", "deployment": "Deployment", "deployments": "Deployment", "deployment.apps": "Deployment",
    "rs": "ReplicaSet", "replicaset": "ReplicaSet", "replicasets": "ReplicaSet",
    "sts": "StatefulSet", "statefulset": "StatefulSet", "statefulsets": "StatefulSet",
    "ds": "DaemonSet", "daemonset": "DaemonSet", "daemonsets": "DaemonSet",
    "job": "Job", "jobs": "Job",
}  # fmt: skip
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class Target:
    """Where to look for containers.

    Attributes:
        namespace: None for all.
        selector: a label query, as kubectl takes it.
        kind, name: of one pod or of the pods' owner; kind None with a name: a pod or any owner of that name.
        container: its name, None to choose.
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
        """Reads ``pod/NAME``, ``deploy/NAME`` and their like.

        Raises:
            UsageError: neither, or all namespaces.
        """
        kind, slash, name = text.partition("/")
        if not slash or kind.lower() not in _KINDS or not _NAME.fullmatch(name):
            raise UsageError(f"not a target: {text!r} (give pod/NAME, deploy/NAME, sts/, ds/, rs/ or job/NAME)")
        if namespace is None:
            raise UsageError(f"{text} is in one namespace: give -n, and not -A")
        return cls(namespace, kind=_KINDS[kind.lower()], name=name, container=container, **more)

    @classmethod
    def workload(cls, text: str) -> Self:
        """Reads what ``--from`` takes: ``NS/NAME`` of a workload or pod, or ``NS/KIND/NAME``.

        Raises:
            UsageError: neither.
        """
        namespace, _, rest = text.partition("/")
        if not _NAME.fullmatch(namespace) or not rest:
            raise UsageError(f"not a workload: {text!r} (give NAMESPACE/NAME, such as default/sleep)")
        if "/" in rest:
            return cls.parse(rest, namespace, PROXY, sidecars=True)
        if not _NAME.fullmatch(rest):
            raise UsageError(f"not a workload: {text!r} (give NAMESPACE/NAME, such as default/sleep)")
        return cls(namespace, name=rest, container=PROXY, sidecars=True)

    def __str__(self) -> str:
        where = f"namespace {self.namespace}" if self.namespace else "all namespaces"
        what = f"{(self.kind or 'workload').lower()} {self.name}" if self.name else f"pods with {self.selector}"
        return f"{what if self.name or self.selector else 'pods with a sidecar'} in {where}"

    def matches(self, pod: Pod) -> bool:
        """Whether a pod that the selector has found is meant."""
        if not self.name:
            return not self.sidecars or bool({PROXY} & set(_containers(pod)))
        own = bool(pod["metadata"]["name"] == self.name)
        if self.kind == "Pod":
            return own
        owned = any(name == self.name and self.kind in (None, kind) for kind, name in owners(pod))
        return owned or (own and self.kind is None)


def gateway_targets(
    namespaces: Sequence[str] | None,
    names: Iterable[str] = (),
    selector: str | None = None,
    gateway_name: str | None = None,
    container: str | None = None,
) -> tuple[Target, ...]:
    """Where the gateway's pods are: ``namespaces`` None for all, empty for Istio's own.

    Raises:
        UsageError: options that contradict each other.
    """
    if selector is not None and gateway_name is not None:
        raise UsageError("give --selector or --gateway-name, not both")
    if wrong := [name for name in namespaces or () if not _NAME.fullmatch(name)]:
        raise UsageError(f"not a namespace: {wrong[0]!r}")
    places: Sequence[str | None] = [None] if namespaces is None else list(dict.fromkeys(namespaces)) or [NAMESPACE]
    names = list(dict.fromkeys(names))
    if names:
        if selector is not None or gateway_name is not None:
            raise UsageError(f"give {names[0]}, or --selector, not both")
        return tuple(Target.parse(name, place, container) for place in places for name in names)
    query = selector or (f"{_GATEWAY_API}={gateway_name}" if gateway_name else SELECTOR)
    return tuple(Target(place, query, container=container) for place in places)


@dataclass(frozen=True)
class Container:
    """One container of a pod, as the kubelet last told the API server.

    Attributes:
        pod, uid: the pod's name, and what tells it from one of the same name.
        instance: containerID of what runs or ran last; "" before the first start.
        state: ``running``, ``waiting`` or ``terminated``; ``reason``, ``message`` of the latter two.
        started: when this instance started (RFC 3339), "" if it does not run.
        previous: containerID of the instance before, "" if there was none.
        ips: of the pod. created, deleted: of the pod (RFC 3339); deleted "" while it lives.
        workload: owner's kind and name, such as ``deployment/sleep``; "" for a bare pod.
        done: nothing will start here again.
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
    started: str = ""
    previous: str = ""
    ips: tuple[str, ...] = ()
    created: str = ""
    deleted: str = ""
    workload: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    done: bool = False

    @property
    def origin(self) -> str:
        """``namespace/pod/container``."""
        return f"{self.namespace}/{self.pod}/{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same over restarts."""
        return self.uid, self.name

    @property
    def path(self) -> str:
        """Where the API has the pod."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}"


def choose(pod: Pod, wanted: str | None) -> Container | str:
    """The container to read; why there is none, if so."""
    names = _containers(pod)
    meta = pod["metadata"]
    here = f"pod {meta['namespace']}/{meta['name']}"
    if wanted is not None and wanted not in names:
        return f"{here} has no container {wanted}; it has {', '.join(names)}"
    found = wanted or next((name for name in _PREFERRED if name in names), None)
    if found is None:
        if len(names) != 1:
            return f"{here} has no container {PROXY}; name one with --container: {', '.join(names)}"
        found = names[0]
    return _container(pod, found)


def owners(pod: Pod) -> list[tuple[str, str]]:
    """Kind and name of what made the pod; a ReplicaSet's Deployment as well (the hash in its name is a label)."""
    meta = pod["metadata"]
    found = []
    for owner in meta.get("ownerReferences") or ():
        found.append((owner["kind"], owner["name"]))
        hashed = (meta.get("labels") or {}).get("pod-template-hash")
        if owner["kind"] == "ReplicaSet" and hashed and owner["name"].endswith(f"-{hashed}"):
            found.append(("Deployment", owner["name"].removesuffix(f"-{hashed}")))
    return found


def nanoseconds(when: str) -> int | None:
    """Nanoseconds since 1970 of an RFC 3339 time of the API (whole seconds or microseconds); None for none."""
    if not when:
        return None
    moment = datetime.fromisoformat(when)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _containers(pod: Pod) -> list[str]:
    """Names; sidecars that Kubernetes starts first are init containers that always restart (1.28; Istio 1.27 on)."""
    spec = pod.get("spec") or {}
    return [made["name"] for made in spec.get("containers") or ()] + [
        made["name"] for made in spec.get("initContainers") or () if made.get("restartPolicy") == "Always"
    ]


def _container(pod: Pod, name: str) -> Container:
    meta, status = pod["metadata"], pod.get("status") or {}
    told = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    mine: Mapping[str, Any] = next((one for one in told if one["name"] == name), {})
    state, about = next(iter((mine.get("state") or {"waiting": {}}).items()))
    last = (mine.get("lastState") or {}).get("terminated") or {}
    owned = owners(pod)
    ips = [one["ip"] for one in status.get("podIPs") or ()] or [status.get("podIP")]
    phase = status.get("phase", "")
    return Container(
        namespace=meta["namespace"],
        pod=meta["name"],
        uid=meta.get("uid", ""),
        name=name,
        instance=mine.get("containerID") or about.get("containerID") or "",
        restarts=int(mine.get("restartCount") or 0),
        state=state,
        reason=str(about.get("reason") or status.get("reason") or ("" if told else phase)),
        message=str(about.get("message") or ""),
        started=str(about.get("startedAt") or ""),
        previous=last.get("containerID") or "",
        ips=tuple(str(ip) for ip in ips if ip),
        created=str(meta.get("creationTimestamp") or ""),
        deleted=str(meta.get("deletionTimestamp") or ""),
        workload=f"{owned[-1][0].lower()}/{owned[-1][1]}" if owned else "",
        labels=meta.get("labels") or {},
        done=phase in {"Succeeded", "Failed"},
    )
