"""The recorded exchanges, and what it takes to be in the state in which they were recorded.

Times, versions, uids and container ids below are the recorded cluster's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from .cluster import Cluster
from .pods import Pod
from .status import Json

DIRECTORY = Path(__file__).parent / "recordings"

LEFT_OUT = {
    "metadata.managedFields": "bookkeeping of server-side apply: no reader of logs looks at it",
    "chunk borders of plain answers": "Go's buffers; a client must not care, so lines may be cut elsewhere",
    "one chunk per line while following": "several lines that wait go together",
    "seconds since the request": "the time of the recording",
}
"""All in which this server differs from the recordings."""

GATEWAY = "istio-egressgateway-7d9f-abcde"
UIDS = {
    GATEWAY: "4bff9181-557e-4dbe-b4b1-3f4662279a2e",
    "sleep-6b8-xyz": "747ac178-2b17-45c0-a74e-92863caf88a0",
    "short-lived": "b05b7ddf-1781-457f-9720-144b141cf680",
    "restarts": "dad2553c-e01d-41fb-859c-0c89f88249c4",
    "waiting": "30064348-3388-4e1d-852b-aa34b17332c8",
    "endless": "6192aef9-df06-4ecb-9776-47f510678c24",
    "shell": "f1297adf-34f0-4005-a352-ec4b5482b60b",
}
CONTAINERS = {
    GATEWAY: ["93883115d048887c0abd48e63483178aaa67cf37a14da1039f1d3140675db8ad"],
    "sleep-6b8-xyz": ["f4576edf419b30897d9e156b32f2f61249a79e6005b91303dda90545286ddf5b"],
    "short-lived": [
        "91ec637d5c173568c48cf8d337fa59bed197dd30a294e0bf932bcb7f921a8ca1",
        "c020dc42083e48c90d2704df3fd74be4cf8d7f578f51d2a5e4d16fa0381a84b2",
    ],
    "restarts": [
        "06f3128a23ea4570c44bd177213a07ab1fa830e435a75398ed51464da08db6bf",
        "84c143eacb363b7a6bf2ec89ce811fec655c786708d982bbd43417d97c0995e1",
    ],
    "endless": ["d755e6a1005e0e8c55f56abe3cf1f70f7ff30a8be67049759bc3ff5d78a1d35c"],
    "shell": ["13372bf8ea410ae5f5d2be5b3a9fbb53b22bf4a0bad52ec7f64f041569b83048"],
}
SCRIPTS = {
    "short-lived": "i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); sleep 1; done; printf 'no newline at the end'",
    "restarts": "echo first run; sleep 4; echo bye; exit 3",
    "waiting": "true",
    "endless": "while true; do echo tick; sleep 1; done",
    "shell": "sleep 60",
}


def load(name: str) -> Json:
    """A recorded exchange."""
    found: Json = json.loads((DIRECTORY / f"{name}.json").read_text())
    return found


def body_of(recorded: Json) -> bytes:
    """All its chunks."""
    return "".join(text for _, text in recorded["chunks"]).encode()


def modelled(found: Any) -> Any:
    """Without what `LEFT_OUT` says of objects."""
    if isinstance(found, dict):
        return {key: modelled(value) for key, value in found.items() if key != "managedFields"}
    return [modelled(one) for one in found] if isinstance(found, list) else found


def nanoseconds(text: str) -> int:
    """`22:28:07` of the recorded day, or a whole stamp."""
    if "T" not in text:
        text = f"2026-11-22T{text}.000000000Z"
    seconds, fraction = text.removesuffix("Z").split(".")
    return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * 1_000_000_000 + int(fraction)


def stamped(text: bytes) -> list[tuple[int, bytes]]:
    """Lines with their stamps."""
    pairs = (line.split(b" ", 1) for line in text.removesuffix(b"\n").split(b"\n"))
    return [(nanoseconds(stamp.decode()), line) for stamp, line in pairs]


def manifest(name: str) -> Json:
    """What was posted."""
    if name not in SCRIPTS:
        items = json.loads(body_of(load("pods-list" if name == GATEWAY else "pods-list-limit")))["items"]
        annotations = items[0]["metadata"]["annotations"]
        # `kubectl apply` writes down what it sends.
        applied: Json = json.loads(annotations["kubectl.kubernetes.io/last-applied-configuration"])
        applied["metadata"]["annotations"] = annotations
        return applied
    container = {
        "name": "istio-proxy",
        "image": "localhost/absent:1" if name == "waiting" else "localhost/box:1",
        "command": ["/bin/sh", "-c", SCRIPTS[name]],
        "imagePullPolicy": "Never",
    }
    spec = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "hostNetwork": True,
        "nodeName": "127.0.5.1",
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
    }
    return {"metadata": {"name": name, "labels": {"istio": "egressgateway"}}, "spec": spec}


class Recorded:
    """A cluster that goes through what the recorded one went through."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        for namespace in ("istio-system", "default-apps"):
            self.cluster.add_namespace(namespace)
        self.cluster.forbid("nobody")

    def at(self, time: str, version: int) -> None:
        """It is `time`, and the next change has this version."""
        now = nanoseconds(time)
        self.cluster.clock = lambda: now
        self.cluster.version = version - 1

    def about_to_post(self, name: str, time: str, version: int) -> None:
        """The next pod is this one."""
        self.at(time, version)
        self.cluster.make_uid = lambda: UIDS[name]
        self.cluster.make_container_id = iter(CONTAINERS.get(name, ())).__next__

    def steps(self, *steps: tuple[str, int, Callable[[], object]]) -> None:
        """Things happen, each at a time and with the version of what it changes."""
        for time, version, step in steps:
            self.at(time, version)
            step()

    # The pods as they were; versions that no recording shows are somewhere between. ------------------------------

    def post(self, name: str, time: str, version: int, namespace: str = "istio-system") -> Pod:
        """The pod is created."""
        self.about_to_post(name, time, version)
        return self.cluster.create_pod(manifest(name), namespace)

    def gateway(self) -> Pod:
        """It runs."""
        pod = self.post(GATEWAY, "22:26:35", 224)
        self.steps(("22:26:35", 228, pod.admit), ("22:26:36", 233, pod.make_sandbox), ("22:26:36", 238, pod.start))
        return pod

    def sleep(self) -> Pod:
        """It runs."""
        pod = self.post("sleep-6b8-xyz", "22:26:35", 222, "default-apps")
        self.steps(("22:26:35", 226, pod.admit), ("22:26:36", 231, pod.make_sandbox), ("22:26:36", 236, pod.start))
        return pod

    def short_lived(self, *, gone: bool) -> Pod:
        """It has started again; or it is `gone`, too."""
        pod = self.post("short-lived", "22:28:20", 298)
        self.steps(
            ("22:28:20", 299, pod.admit),
            ("22:28:20", 301, pod.make_sandbox),
            ("22:28:20", 304, pod.start),
            ("22:28:25", 310, pod.terminate),
            ("22:28:26", 314, pod.start),
        )
        if gone:
            self.steps(
                ("22:28:29", 316, pod.begin_deletion),
                ("22:28:30", 318, pod.report),
                ("22:28:31", 319, pod.complete),
                ("22:28:31", 320, pod.remove),
            )
        return pod

    def restarts(self) -> Pod:
        """Its first instance runs."""
        pod = self.post("restarts", "22:28:49", 334)
        self.steps(*(("22:28:49", 335, step) for step in (pod.admit, pod.make_sandbox, pod.start)))
        pod.log().write(b"first run", at=nanoseconds("2026-11-22T22:28:49.253094966Z"))
        return pod

    def restarted(self) -> Pod:
        """Its second instance runs."""
        pod = self.restarts()
        pod.log().write(b"bye", at=nanoseconds("2026-11-22T22:28:53.258988335Z"))
        self.steps(("22:28:53", 345, lambda: pod.terminate(exit_code=3)), ("22:28:54", 349, pod.start))
        return pod

    def waiting(self) -> Pod:
        """Its image is not there."""
        pod = self.post("waiting", "22:28:58", 352)
        message = 'Container image "localhost/absent:1" is not present with pull policy of Never'
        self.steps(
            ("22:28:58", 355, pod.admit),
            ("22:28:58", 358, pod.make_sandbox),
            ("22:28:58", 360, lambda: pod.wait("ErrImageNeverPull", message)),
        )
        return pod

    def endless(self) -> Pod:
        """It runs."""
        pod = self.post("endless", "22:29:01", 362)
        self.steps(*(("22:29:01", 363, step) for step in (pod.admit, pod.make_sandbox, pod.start)))
        return pod

    def shell(self) -> Pod:
        """It runs."""
        pod = self.post("shell", "22:29:08", 385)
        self.steps(*(("22:29:08", 386, step) for step in (pod.admit, pod.make_sandbox, pod.start)))
        return pod
