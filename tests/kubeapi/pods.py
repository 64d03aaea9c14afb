"""A pod: its containers' lives, and the object the API server shows of it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from typing import Protocol

from .containers import Container, Exit, Instance, Waiting, moment
from .kinds import PODS
from .logs import NANOSECONDS, Log
from .manifest import complete_spec, ordered_metadata
from .report import Report
from .status import Json, bad_request, not_found
from .store import Database, Place


class Home(Protocol):
    """What a pod needs of its cluster."""

    changed: Condition
    store: Database
    make_uid: Callable[[], str]
    make_container_id: Callable[[], str]
    pods: dict[tuple[str, str], Pod]

    def now(self) -> int:
        """The time of all nodes (ns)."""
        ...

    def host_ip(self, node: str) -> str:
        """The address of a node."""
        ...


class Pod:
    """Each step of the kubelet is a watch event; methods from `start` on are one or more steps."""

    def __init__(self, home: Home, manifest: Json, *, uid: str | None = None, ip: str = "") -> None:
        self._home = home
        self._spec = complete_spec(manifest["spec"])
        self._metadata = manifest["metadata"] | {
            "uid": uid or home.make_uid(),
            "generation": 1,
            "creationTimestamp": moment(home.now()),
        }
        self.name: str = self._metadata["name"]
        self.namespace: str = self._metadata["namespace"]
        self.uid: str = self._metadata["uid"]
        self.node: str = self._spec.get("nodeName", "node-1")
        self._ip = home.host_ip(self.node) if self._spec.get("hostNetwork") else ip
        self.init_containers = [Container(spec) for spec in self._spec.get("initContainers", [])]
        self.containers = [Container(spec) for spec in self._spec["containers"]]
        self._kubelet = Report()
        with home.changed:
            home.pods[self.namespace, self.name] = self
            self._publish()

    @property
    def object(self) -> Json:
        """As the API server shows it now; not to be changed."""
        with self._home.changed:
            found = self._home.store.get(self._place)
            if found is None:
                raise not_found(PODS, self.name)
            return found

    def log(self, container: str = "istio-proxy") -> Log:
        """Of the current instance; of the last one while the container waits."""
        instance = self.container(container).latest
        if instance is None:
            raise ValueError(f"container {container} never ran")
        return instance.log

    def container(self, name: str = "istio-proxy") -> Container:
        """The container of this name, an init container too."""
        return next(one for one in self._all if one.name == name)

    def container_id(self, container: str = "istio-proxy") -> str:
        """As `containerStatuses` has it, with its scheme."""
        instance = self.container(container).latest
        return f"containerd://{instance.id}" if instance else ""

    # Single steps ----------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """The kubelet has seen the pod: its containers are being created."""
        with self._home.changed:
            self._kubelet.started = self._home.now()
            self.report()

    def make_sandbox(self) -> None:
        """The network is there."""
        with self._home.changed:
            self._kubelet.sandbox = True
            self.report()

    def begin_deletion(self, grace: int | None = None) -> Json:
        """Somebody asked for the deletion: containers go on until `delete`. Returns the object."""
        with self._home.changed:
            if grace is None:
                grace = int(self._spec["terminationGracePeriodSeconds"])
            self._metadata["generation"] += 1
            self._set_deletion(grace)
            return self._publish()

    def report(self) -> None:
        """The kubelet writes the status as it is now, for example because it has seen the deletion."""
        with self._home.changed:
            self._kubelet.update(self._metadata["generation"], self._home.now(), self.containers)
            self._publish()

    def complete(self, exit_code: int = 0) -> None:
        """All containers have ended for good."""
        with self._home.changed:
            for one in self._all:
                if one.running:
                    one.end(Exit(exit_code, "", "", self._home.now()))
            self._kubelet.sandbox = False
            ends = [one.current.exit.code for one in self.containers if one.current and one.current.exit]
            self._kubelet.phase = "Failed" if any(ends) else "Succeeded"
            self.report()

    def remove(self) -> None:
        """The kubelet confirms, and the object goes."""
        with self._home.changed:
            self._set_deletion(0)
            self._publish()
            for one in self._all:
                if one.current:
                    one.current.log.end()
            del self._home.pods[self.namespace, self.name]
            self._home.store.remove(self._place)
            self._home.changed.notify_all()

    # What happens to pods ----------------------------------------------------------------------------------------

    def start(self, *containers: str) -> None:
        """New instances run; of all containers that do not run, if none is named."""
        with self._home.changed:
            self._prepare()
            for one in self._all:
                if one.name in containers or (not containers and not one.running):
                    log = Log(self._home.changed, self._home.now)
                    one.start(Instance(self._home.make_container_id(), log, self._home.now()))
            self._kubelet.phase = "Running"
            self.report()

    def terminate(
        self, container: str = "istio-proxy", *, exit_code: int = 0, reason: str = "", message: str = ""
    ) -> None:
        """The instance ends, and follow streams once they have read all of it. Nothing starts again."""
        with self._home.changed:
            self.container(container).end(Exit(exit_code, reason, message, self._home.now()))
            self.report()

    def restart(self, container: str = "istio-proxy", exit_code: int = 1) -> None:
        """The instance ends, if it has not yet, and a new one runs; two events, as the kubelet reports it."""
        with self._home.changed:
            if self.container(container).running:
                self.terminate(container, exit_code=exit_code)
            self.start(container)

    def wait(
        self,
        reason: str = "CrashLoopBackOff",
        message: str = "",
        *,
        container: str = "istio-proxy",
        exit_code: int = 1,
    ) -> None:
        """The container waits; its instance ends before, if there is one."""
        with self._home.changed:
            self._prepare()
            found = self.container(container)
            if found.running:
                self.terminate(container, exit_code=exit_code)
            found.wait(Waiting(reason, message))
            self.report()

    def delete(self, exit_code: int = 0) -> None:
        """Everything from the request for deletion on, unless that was before."""
        with self._home.changed:
            if "deletionTimestamp" not in self._metadata:
                self.begin_deletion()
            if self._kubelet.started:
                self.report()
                self.complete(exit_code)
            self.remove()

    # By which rules it answers -----------------------------------------------------------------------------------

    def served(self, container: str, *, previous: bool) -> Instance:
        """The instance whose log the kubelet serves."""
        found = self.container(container)
        if previous:
            if not found.previous:
                raise bad_request(f'previous terminated container "{container}" in pod "{self.name}" not found')
            return found.previous
        if found.latest:
            return found.latest
        assert found.waiting is not None
        why = {
            "ErrImagePull": "image can't be pulled",
            "ImagePullBackOff": "trying and failing to pull image",
        }.get(found.waiting.reason, found.waiting.reason)
        raise bad_request(f'container "{container}" in pod "{self.name}" is waiting to start: {why}')

    def choose(self, container: str) -> str:
        """The container that a request is about."""
        names = [one.name for one in self.containers]
        initial = [one.name for one in self.init_containers]
        if container:
            if container not in names + initial:
                raise bad_request(f"container {container} is not valid for pod {self.name}")
            return container
        if len(names) == 1:
            return names[0]
        message = f"a container name must be specified for pod {self.name}, choose one of: [{' '.join(names)}]"
        if initial:
            message += f" or one of the init containers: [{' '.join(initial)}]"
        raise bad_request(message)

    @property
    def _all(self) -> list[Container]:
        return [*self.init_containers, *self.containers]

    @property
    def _place(self) -> Place:
        return Place((PODS.group, PODS.plural), self.namespace, self.name)

    def _prepare(self) -> None:
        """What has to be before a container can be."""
        if not self._kubelet.started:
            self.admit()
        if not self._kubelet.sandbox:
            self.make_sandbox()

    def _set_deletion(self, grace: int) -> None:
        self._metadata["deletionTimestamp"] = moment(self._home.now() + grace * NANOSECONDS)
        self._metadata["deletionGracePeriodSeconds"] = grace

    def _publish(self) -> Json:
        with_network = self._kubelet.sandbox or self._spec.get("hostNetwork") or self._kubelet.phase != "Pending"
        host, ip = self._home.host_ip(self.node), self._ip if with_network else ""
        found: Json = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": ordered_metadata(self._metadata | {"resourceVersion": "0"}),
            "spec": self._spec,
            "status": self._kubelet.status(self.containers, self.init_containers, host, ip),
        }
        stored = self._home.store.put(self._place, found)
        self._home.changed.notify_all()
        return stored
