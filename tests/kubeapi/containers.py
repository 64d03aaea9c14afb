"""The containers of a pod, and what the kubelet reports about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from .logs import Log
from .status import Json

IMAGE_ID = "sha256:a33276f8b6f25144eae49145a621042549631e7eb4e26772d879cd1d574398a3"


def moment(stamp: int) -> str:
    """A time as objects hold it: whole seconds."""
    return datetime.fromtimestamp(stamp // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Exit:
    """How an instance ended."""

    code: int
    reason: str
    message: str
    finished: int

    @property
    def described(self) -> str:
        """The reason, which follows from the code if nobody says more."""
        return self.reason or ("Error" if self.code else "Completed")


@dataclass
class Instance:
    """One run of a container; running while `exit` is None."""

    id: str
    log: Log
    started: int
    exit: Exit | None = None

    def state(self) -> Json:
        """As it stands in `state` and `lastState`."""
        if self.exit is None:
            return {"running": {"startedAt": moment(self.started)}}
        message = {"message": self.exit.message} if self.exit.message else {}
        return {
            "terminated": {
                "exitCode": self.exit.code,
                "reason": self.exit.described,
                **message,
                "startedAt": moment(self.started),
                "finishedAt": moment(self.exit.finished),
                "containerID": f"containerd://{self.id}",
            }
        }


@dataclass
class Waiting:
    """Why there is no instance."""

    reason: str
    message: str = ""


@dataclass
class Container:
    """A container with its current instance and the one before, which is all that the kubelet keeps."""

    spec: Json
    waiting: Waiting | None = field(default_factory=lambda: Waiting("ContainerCreating"))
    current: Instance | None = None
    previous: Instance | None = None
    restarts: int = 0

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def latest(self) -> Instance | None:
        """The current instance, else the one before."""
        return self.current or self.previous

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.exit is None

    def start(self, instance: Instance) -> None:
        """A new instance runs; the one before is kept."""
        if self.latest:
            self.restarts += 1
        self.previous, self.current, self.waiting = self.latest, instance, None

    def end(self, how: Exit) -> None:
        """The instance ends."""
        assert self.current is not None
        self.current.exit = how
        self.current.log.end()

    def wait(self, waiting: Waiting) -> None:
        """There will be a new instance, not yet."""
        self.previous, self.current, self.waiting = self.latest, None, waiting

    def status(self) -> Json:
        """One entry of `containerStatuses`."""
        latest = self.latest
        found = {
            "name": self.name,
            "state": self._state(),
            "lastState": self.previous.state() if self.previous else {},
            "ready": self.running,
            "restartCount": self.restarts,
            "image": self.spec["image"],
            "imageID": IMAGE_ID if latest else "",
        }
        if latest:
            found |= {"containerID": f"containerd://{latest.id}"}
        found["started"] = self.running
        if latest:
            found["resources"] = {}
        if "volumeMounts" in self.spec:
            found["volumeMounts"] = self.spec["volumeMounts"]
        if latest:
            found["user"] = {"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}}
        return found

    def _state(self) -> Json:
        if self.waiting:
            message = {"message": self.waiting.message} if self.waiting.message else {}
            return {"waiting": {"reason": self.waiting.reason, **message}}
        assert self.current is not None
        return self.current.state()
