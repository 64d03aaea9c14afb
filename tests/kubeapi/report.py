"""A pod's status, as the kubelet reports it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .containers import Container, moment
from .status import Json

_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass
class Report:
    """What only the kubelet knows; nothing before it has `seen` a generation of the pod."""

    seen: int = 0
    phase: str = "Pending"
    started: int = 0
    sandbox: bool = False
    conditions: dict[str, Json] = field(default_factory=dict)

    def update(self, generation: int, now: int, containers: list[Container]) -> None:
        """Look at the containers."""
        self.seen = generation
        unready = [one.name for one in containers if not one.running]
        for name in _CONDITIONS:
            good = {"PodReadyToStartContainers": self.sandbox, "Ready": not unready, "ContainersReady": not unready}
            status = "True" if good.get(name, True) else "False"
            before = self.conditions.get(name, {})
            since = before["lastTransitionTime"] if before.get("status") == status else moment(now)
            self.conditions[name] = {
                "type": name,
                "observedGeneration": generation,
                "status": status,
                "lastProbeTime": None,
                "lastTransitionTime": since,
                **self._reason(name, unready),
            }

    def status(self, containers: list[Container], init_containers: list[Container], host: str, ip: str) -> Json:
        """The status of an object. `ip` is nothing as long as there is no network."""
        if not self.started:
            return {"phase": self.phase, "qosClass": "BestEffort"}
        found: Json = {
            "observedGeneration": self.seen,
            "phase": self.phase,
            "conditions": list(self.conditions.values()),
            "hostIP": host,
            "hostIPs": [{"ip": host}],
        }
        if ip:
            found |= {"podIP": ip, "podIPs": [{"ip": ip}]}
        found["startTime"] = moment(self.started)
        if init_containers:
            found["initContainerStatuses"] = [one.status() for one in init_containers]
        found["containerStatuses"] = [one.status() for one in containers]
        return found | {"qosClass": "BestEffort", "resources": {}}

    def _reason(self, name: str, unready: list[str]) -> Json:
        """Why a condition is as it is, where the kubelet says it."""
        if self.phase == "Succeeded" and name in ("Initialized", "Ready", "ContainersReady"):
            return {"reason": "PodCompleted"}
        if self.phase == "Failed" and name in ("Ready", "ContainersReady"):
            return {"reason": "PodFailed"}
        if unready and name in ("Ready", "ContainersReady"):
            message = f"containers with unready status: [{' '.join(unready)}]"
            return {"reason": "ContainersNotReady", "message": message}
        return {}
