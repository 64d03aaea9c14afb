"""The state of a cluster. One lock and condition for all of it: `Cluster.changed`."""

from __future__ import annotations

import copy
import itertools
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from threading import Condition

from .containers import moment
from .exec import ExecRequest, ExecResult
from .kinds import ACCESS_REVIEWS, BUILTIN, ISTIO, NAMESPACES, PODS, Kind, plural_of
from .logs import Log
from .manifest import ordered_metadata
from .pods import Pod
from .status import Json, already_exists, forbidden, not_found
from .store import Database, Place

__all__ = ["Cluster", "ExecRequest", "ExecResult", "Log", "Pod"]


@dataclass(frozen=True)
class Ban:
    """What a user may not do; None stands for everything."""

    user: str
    verb: str | None
    resource: str | None
    namespace: str | None

    def applies(self, user: str, verb: str, resource: str, namespace: str) -> bool:
        """Whether it forbids this."""
        wanted = (self.verb, self.resource, self.namespace)
        return self.user == user and all(
            mine in (None, theirs) for mine, theirs in zip(wanted, (verb, resource, namespace), strict=True)
        )


class Cluster:
    """Pods, other objects, and who may see them.

    `clock` and the makers of ids can be replaced; `version` can be set. `zone` is the time zone of the nodes,
    which the stamps of logs have. With `old_kubelet` a follow stream goes silent at a rotation (before 1.29).
    With `split_streams` the parameter `stream` of logs is not refused. `oldest_version` is the first that watches
    and continued lists may still ask for.
    """

    def __init__(self, *, old_kubelet: bool = False, split_streams: bool = False, zone: tzinfo = UTC) -> None:
        self.changed = Condition()
        self.store = Database()
        self.pods: dict[tuple[str, str], Pod] = {}
        self.commands: list[Callable[[ExecRequest], ExecResult | None]] = []
        self.old_kubelet, self.split_streams, self.zone = old_kubelet, split_streams, zone
        self.oldest_version = 0
        self.clock: Callable[[], int] = time.time_ns
        self.make_uid: Callable[[], str] = lambda: str(uuid.uuid4())
        self.make_container_id: Callable[[], str] = lambda: secrets.token_hex(32)
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._bans: list[Ban] = []
        self._nodes: dict[str, str] = {}
        self._numbers = itertools.count(2)
        self.install(*BUILTIN)
        for namespace in ("default", "kube-system"):
            self.add_namespace(namespace)

    @property
    def version(self) -> int:
        """The resourceVersion of the last change."""
        with self.changed:
            return self.store.version

    @version.setter
    def version(self, value: int) -> None:
        with self.changed:
            self.store.version = value

    def now(self) -> int:
        """The time of all nodes (ns)."""
        return self.clock()

    # Objects ---------------------------------------------------------------------------------------------------

    def add_pod(
        self,
        name: str,
        namespace: str = "istio-system",
        *,
        labels: dict[str, str] | None = None,
        containers: Sequence[str] = ("istio-proxy",),
        init_containers: Sequence[str] = (),
        ip: str = "10.244.0.5",
        node: str = "node-1",
        owner: tuple[str, str] | None = None,
        running: bool = True,
        uid: str | None = None,
        annotations: dict[str, str] | None = None,
        host_network: bool = False,
    ) -> Pod:
        """A pod of the egress gateway unless `labels` say otherwise; `init_containers` are native sidecars."""
        with self.changed:
            metadata: Json = {"name": name, "labels": {"istio": "egressgateway"} if labels is None else labels}
            if annotations:
                metadata["annotations"] = annotations
            if owner:
                metadata["ownerReferences"] = [self._owner(namespace, *owner)]
            spec: Json = {"containers": [_container(one) for one in containers], "nodeName": node}
            if host_network:
                spec["hostNetwork"] = True
            if init_containers:
                spec["initContainers"] = [_container(one) | {"restartPolicy": "Always"} for one in init_containers]
            self.add_namespace(namespace)
            pod = self.create_pod({"metadata": metadata, "spec": spec}, namespace, uid=uid, ip=ip)
            pod.admit()
            if running:
                pod.start()
            return pod

    def create_pod(self, manifest: Json, namespace: str, *, uid: str | None = None, ip: str = "10.244.0.5") -> Pod:
        """A pod as POST makes it: no kubelet has seen it yet."""
        with self.changed:
            name = manifest["metadata"]["name"]
            if (namespace, name) in self.pods:
                raise already_exists(PODS, name)
            if self.store.get(_place(NAMESPACES, "", namespace)) is None:
                raise not_found(NAMESPACES, namespace)
            manifest = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
            return Pod(self, manifest, uid=uid, ip=ip)

    def add(self, resource: Json) -> Json:
        """Any other object, or a new state of it; returns it as it is shown. Its kind is served from now on."""
        with self.changed:
            kind = self._kind_of(resource)
            found = copy.deepcopy(resource)
            metadata = found.setdefault("metadata", {})
            namespace = metadata.setdefault("namespace", "default") if kind.namespaced else ""
            if namespace:
                self.add_namespace(namespace)
            place = _place(kind, namespace, metadata["name"])
            before = self.store.get(place)
            known = before["metadata"] if before else {}
            metadata.setdefault("uid", known.get("uid") or self.make_uid())
            metadata.setdefault("creationTimestamp", known.get("creationTimestamp") or moment(self.now()))
            metadata["resourceVersion"] = "0"
            head = {"kind": kind.name, "apiVersion": found["apiVersion"], "metadata": ordered_metadata(metadata)}
            stored = self.store.put(place, head | {key: value for key, value in found.items() if key not in head})
            self.changed.notify_all()
            return stored

    def remove(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object that is no pod."""
        with self.changed:
            found = next(one for one in self._kinds.values() if one.name == kind)
            self.store.remove(_place(found, namespace if found.namespaced else "", name))
            self.changed.notify_all()

    def add_namespace(self, name: str) -> None:
        """A namespace, if there is none of this name; objects bring their own."""
        with self.changed:
            if self.store.get(_place(NAMESPACES, "", name)) is None:
                labels = {"kubernetes.io/metadata.name": name}
                status = {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
                metadata = {"name": name, "labels": labels}
                self.add({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, **status})

    def send_bookmark(self) -> None:
        """Tell the watches that allow it how far they are."""
        with self.changed:
            self.store.bookmark()
            self.changed.notify_all()

    # Resources and rights ----------------------------------------------------------------------------------------

    def install(self, *kinds: Kind) -> None:
        """Serve these, as an installed CustomResourceDefinition does: their lists are empty, not 404."""
        with self.changed:
            for kind in kinds:
                self._kinds[kind.group, kind.plural] = kind

    def install_istio(self) -> None:
        """Serve all resources of Istio."""
        self.install(*ISTIO)

    def kinds(self) -> list[Kind]:
        """What is served."""
        with self.changed:
            return list(self._kinds.values())

    def forbid(
        self, user: str, verb: str | None = None, resource: str | None = None, namespace: str | None = None
    ) -> None:
        """From now on `user` may not; `resource` is `pods`, `pods/log`, `configmaps` ..."""
        with self.changed:
            self._bans.append(Ban(user, verb, resource, namespace))

    def allow(self, user: str) -> None:
        """Take back all that `user` may not."""
        with self.changed:
            self._bans = [ban for ban in self._bans if ban.user != user]

    def authorize(self, user: str, verb: str, kind: Kind, subresource: str, namespace: str, name: str) -> None:
        """Raises the API server's answer if `user` may not."""
        # Everybody may ask what they may.
        if kind != ACCESS_REVIEWS and not self.allowed(
            user, verb, kind.plural + (f"/{subresource}" if subresource else ""), namespace
        ):
            raise forbidden(user, verb, kind, subresource, namespace, name)

    def allowed(self, user: str, verb: str, resource: str, namespace: str) -> bool:
        """Whether nothing forbids it."""
        with self.changed:
            return not any(ban.applies(user, verb, resource, namespace) for ban in self._bans)

    def pod(self, namespace: str, name: str) -> Pod:
        """Raises the API server's answer if there is none."""
        with self.changed:
            found = self.pods.get((namespace, name))
            if found is None:
                raise not_found(PODS, name)
            return found

    def host_ip(self, node: str) -> str:
        """A node named by its address has this one."""
        if node.replace(".", "").isdigit():
            return node
        with self.changed:
            if node not in self._nodes:
                self._nodes[node] = f"172.18.0.{next(self._numbers)}"
            return self._nodes[node]

    def _kind_of(self, resource: Json) -> Kind:
        group, _, version = resource["apiVersion"].rpartition("/")
        for kind in (*self._kinds.values(), *ISTIO):
            if (kind.group, kind.name) == (group, resource["kind"]) and version in kind.versions:
                self.install(kind)
                return kind
        custom = Kind(group, (version,), resource["kind"], plural_of(resource["kind"]), builtin=False)
        self.install(custom)
        return custom

    def _owner(self, namespace: str, kind: str, name: str) -> Json:
        found = next(one for one in self._kinds.values() if one.name == kind)
        owner = self.store.get(_place(found, namespace, name))
        return {
            "apiVersion": found.api_version(),
            "kind": kind,
            "name": name,
            "uid": owner["metadata"]["uid"] if owner else self.make_uid(),
            "controller": True,
            "blockOwnerDeletion": True,
        }


def _place(kind: Kind, namespace: str, name: str) -> Place:
    return Place((kind.group, kind.plural), namespace, name)


def _container(name: str) -> Json:
    return {"name": name, "image": f"docker.io/istio/{'proxyv2' if name == 'istio-proxy' else name}:1.29.0"}
