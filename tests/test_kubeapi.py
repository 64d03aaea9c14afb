"""The API server of the tests against recordings of a real one, and against the real kubectl."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import websocket

from .kubeapi.client import Answer, Client
from .kubeapi.cluster import Cluster, ExecRequest, ExecResult, Pod
from .kubeapi.containers import Exit
from .kubeapi.faults import Fault
from .kubeapi.recorded import (
    DIRECTORY,
    Recorded,
    body_of,
    load,
    manifest,
    modelled,
    nanoseconds,
    stamped,
)
from .kubeapi.server import Server
from .kubeapi.status import Json, encode
from .programs import require

PODS = "/api/v1/namespaces/istio-system/pods"
LOG = f"GET {PODS}/gw-1/log"


# Recordings ------------------------------------------------------------------------------------------------------


def expected_of(recorded: Json) -> Answer:
    """The recorded answer, without what the server leaves out, byte by byte."""
    body = body_of(recorded)
    if ["Content-Type", "application/json"] in recorded["headers"]:
        assert encode(json.loads(body)) == body
        body = encode(modelled(json.loads(body)))
    headers = [[name, str(len(body)) if name == "Content-Length" else value] for name, value in recorded["headers"]]
    return Answer(recorded["status"], headers, body)


def gateway_log(pod: Pod, *names: str) -> None:
    """Write what the recordings `names` show of the gateway's log."""
    seen = set()
    for name in names:
        for stamp, line in stamped(body_of(load(name))):
            if stamp not in seen:
                pod.log().write(line, at=stamp)
            seen.add(stamp)


def nothing(recorded: Recorded) -> None:
    """An exchange about what is not there."""


def running_gateway(recorded: Recorded) -> None:
    recorded.gateway()


def with_log(recorded: Recorded) -> None:
    gateway_log(recorded.gateway(), "log-timestamps")
    recorded.at("22:28:09", 300)


def with_more_log(recorded: Recorded) -> None:
    gateway_log(recorded.gateway(), "log-timestamps", "log-since-time")


def listed(recorded: Recorded) -> None:
    recorded.sleep()
    recorded.gateway()
    recorded.cluster.version = 291


def about_to_post(name: str, time: str, version: int) -> Callable[[Recorded], None]:
    return lambda recorded: recorded.about_to_post(name, time, version)


def about_to_delete(state: Callable[[Recorded], Pod], time: str, version: int) -> Callable[[Recorded], None]:
    def prepare(recorded: Recorded) -> None:
        state(recorded)
        recorded.at(time, version)

    return prepare


def restarted_and_ended(recorded: Recorded) -> Pod:
    pod = recorded.restarted()
    # The kubelet saw it a second later.
    pod.container().end(Exit(3, "", "", nanoseconds("22:28:58")))
    recorded.at("22:28:59", 351)
    pod.report()
    return pod


WHOLE: dict[str, Callable[[Recorded], object]] = {
    "log": with_log,
    "log-timestamps": with_log,
    "log-tail-2": with_log,
    "log-limit-bytes": with_log,
    "log-since-seconds": with_log,
    "log-since-time": with_more_log,
    "log-previous": Recorded.restarted,
    "log-400-bad-since-time": running_gateway,
    "log-400-container": running_gateway,
    "log-400-previous": running_gateway,
    "log-400-waiting": Recorded.waiting,
    "log-403": running_gateway,
    "log-404-pod": nothing,
    "log-422-stream": running_gateway,
    "log-both-since": running_gateway,
    "log-negative-tail": running_gateway,
    "pod-get": running_gateway,
    "pod-get-404": nothing,
    "pod-get-restarted": Recorded.restarted,
    "pod-get-waiting": Recorded.waiting,
    "pods-403": nothing,
    "pods-list": listed,
    "pods-list-limit": listed,
    "pod-post-short-lived": about_to_post("short-lived", "22:28:20", 298),
    "pod-post-restarts": about_to_post("restarts", "22:28:49", 334),
    "pod-post-waiting": about_to_post("waiting", "22:28:58", 352),
    "pod-post-endless": about_to_post("endless", "22:29:01", 362),
    "pod-post-shell": about_to_post("shell", "22:29:08", 385),
    "pod-delete-short-lived": about_to_delete(lambda one: one.short_lived(gone=False), "22:28:29", 316),
    "pod-delete-restarts": about_to_delete(restarted_and_ended, "22:29:08", 379),
    "pod-delete-waiting": about_to_delete(Recorded.waiting, "22:29:08", 381),
    "pod-delete-endless": about_to_delete(Recorded.endless, "22:29:06", 373),
    "pod-delete-shell": about_to_delete(Recorded.shell, "22:29:11", 399),
}
FOLLOWED = ("log-follow", "log-follow-until-exit", "log-follow-until-deletion")
WATCHED = ("pods-watch", "pods-watch-410")
EXECUTED = {
    "exec-ok": ExecResult(stdout=b"out\n", stderr=b"err\n"),
    "exec-exit-7": ExecResult(exit_code=7),
    "exec-not-found": None,
}


def test_every_recording_is_replayed() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.json")} == {*WHOLE, *FOLLOWED, *WATCHED, *EXECUTED}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers(name: str) -> None:
    """Status line, headers in their order, body byte by byte."""
    recorded, exchange = Recorded(), load(name)
    WHOLE[name](recorded)
    posted = manifest(name.removeprefix("pod-post-")) if exchange["request"].startswith("POST") else None
    with Server(recorded.cluster) as server, Client(server, exchange["user"]) as client:
        assert client.ask(exchange["request"], posted) == expected_of(exchange)


@pytest.mark.parametrize("name", FOLLOWED)
def test_followed_logs(name: str) -> None:
    """Lines come as they are written; the end is as clean as it was."""
    recorded, exchange = Recorded(), load(name)
    lines = stamped(body_of(exchange))
    pod = {"log-follow": recorded.gateway, "log-follow-until-exit": recorded.restarts}.get(name, recorded.endless)()
    if name == "log-follow":
        gateway_log(pod, "log-timestamps", "log-since-time")
    elif name == "log-follow-until-deletion":
        for stamp, line in lines[:3]:
            pod.log().write(line, at=stamp)
    there = {"log-follow": 1, "log-follow-until-exit": 1, "log-follow-until-deletion": 3}[name]
    with Server(recorded.cluster) as server, Client(server) as client, client.begin(exchange["request"]) as stream:
        assert (stream.status, stream.headers) == (exchange["status"], exchange["headers"])
        came = [stream.line() for _ in range(there)]
        for stamp, line in lines[there:]:
            pod.log().write(line, at=stamp)
            came.append(stream.line())
        assert b"".join(came) == body_of(exchange)
        assert server.open_streams == 1
        if name == "log-follow":
            # Recorded was that nothing more came.
            assert exchange["end"].startswith("no more data")
            return
        assert exchange["end"] == "complete"
        if name == "log-follow-until-exit":
            pod.restart(exit_code=3)
        else:
            pod.delete()
        assert stream.rest() == b""
        server.wait(lambda: server.open_streams == 0)


@pytest.mark.parametrize("name", WATCHED)
def test_watched_pods(name: str) -> None:
    """Event by event the same objects: live, and as history from a version on."""
    recorded, exchange = Recorded(), load(name)
    events = body_of(exchange).splitlines(keepends=True)
    recorded.sleep()
    recorded.gateway()
    recorded.cluster.version = 291
    if name == "pods-watch-410":
        recorded.short_lived(gone=True)
    with Server(recorded.cluster) as server, Client(server) as client, client.begin(exchange["request"]) as stream:
        assert (stream.status, stream.headers) == (exchange["status"], exchange["headers"])
        if name == "pods-watch":
            recorded.short_lived(gone=True)
        assert [stream.line() for _ in events] == [encode(modelled(json.loads(event))) for event in events]
        # Recorded was that nothing more came, and no end.
        recorded.post("endless", "22:29:01", 362)
        assert b'"name":"endless"' in stream.line()


@pytest.mark.parametrize("name", EXECUTED)
def test_executed_commands(name: str) -> None:
    """The same frames."""
    recorded, exchange = Recorded(), load(name)
    recorded.shell()
    asked: list[ExecRequest] = []

    def run(request: ExecRequest) -> ExecResult | None:
        asked.append(request)
        return EXECUTED[name]

    recorded.cluster.commands.append(run)
    recorded.cluster.make_container_id = lambda: "d668d323f4acc018d2c13f6e2183ed876918c7d935278aa2daeffb1b75258237"
    path = exchange["request"].removeprefix("GET ").replace("...", "/api/v1/namespaces/istio-system")
    with Server(recorded.cluster) as server:
        client = dial(server, path, exchange["subprotocol"])
        frames = []
        while not frames or frames[-1]["opcode"] != websocket.ABNF.OPCODE_CLOSE:
            frame = client.recv_frame()
            channel = frame.data[0] if frame.opcode == websocket.ABNF.OPCODE_BINARY else None
            data = frame.data.hex() if channel is None else frame.data[1:].decode()
            frames.append({"opcode": frame.opcode, "channel": channel, "data": data})
        client.close()
        assert client.status == exchange["status"]
        assert client.getsubprotocol() == exchange["subprotocol"]
    assert frames == exchange["frames"]
    query = urllib.parse.parse_qs(path.partition("?")[2])
    assert asked == [ExecRequest("istio-system", "shell", "istio-proxy", query["command"])]


def dial(server: Server, path: str, *protocols: str) -> websocket.WebSocket:
    client = websocket.WebSocket(sslopt={"ca_certs": str(server.ca_file)})
    url = server.url.replace("https", "wss", 1) + path
    client.connect(url, header=[f"Authorization: Bearer {server.tokens['admin']}"], subprotocols=list(protocols))
    return client


# What no recording shows -----------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def server(cluster: Cluster) -> Iterator[Server]:
    with Server(cluster) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture
def pod(cluster: Cluster) -> Pod:
    return cluster.add_pod("gw-1")


def message(answer: Answer) -> str:
    return f"{answer.json()['code']} {answer.json()['message']}"


def test_container_has_to_be_named(cluster: Cluster, client: Client) -> None:
    pod = cluster.add_pod("gw-1", containers=("istio-proxy", "app"), init_containers=("helper",))
    pod.log("helper").write(b"from the sidecar")
    assert message(client.ask(LOG)) == (
        "400 a container name must be specified for pod gw-1, choose one of: [istio-proxy app]"
        " or one of the init containers: [helper]"
    )
    assert client.ask(f"{LOG}?container=helper").body == b"from the sidecar\n"
    cluster.add_pod("gw-2", containers=("a", "b"))
    assert message(client.ask(f"GET {PODS}/gw-2/log")) == (
        "400 a container name must be specified for pod gw-2, choose one of: [a b]"
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sinceTime=2026-11-22", 'cannot parse "" as "T"'),
        ("sinceTime=2026-11-22T22:28:07", 'cannot parse "" as "Z07:00"'),
        ("sinceTime=2026-11-22T22:28:07Zulu", 'extra text: "ulu"'),
        ("sinceTime=2026-13-22T22:28:07Z", "month out of range"),
        ("tailLines=many", 'strconv.ParseInt: parsing "many": invalid syntax'),
    ],
)
def test_nonsense_is_refused(client: Client, pod: Pod, query: str, expected: str) -> None:
    answer = client.ask(f"{LOG}?{query}")
    assert answer.status == "HTTP/1.1 400 Bad Request"
    assert answer.json()["message"].endswith(expected)


@pytest.mark.parametrize("query", ["sinceSeconds=0", "limitBytes=0", "tailLines=-3"])
def test_numbers_have_bounds(client: Client, pod: Pod, query: str) -> None:
    assert client.ask(f"{LOG}?{query}").status == "HTTP/1.1 422 Unprocessable Entity"


def test_since_is_cut_to_seconds_and_holds_for_each_line(cluster: Cluster, client: Client, pod: Pod) -> None:
    """The clock of a node may step back: what is earlier is dropped wherever it stands."""
    start = nanoseconds("22:28:07")
    for line, offset in ((b"before", -1), (b"at", 0), (b"stepped back", -500), (b"after", 900_000_000)):
        pod.log().write(line, at=start + offset)
    assert client.ask(f"{LOG}?sinceTime=2026-11-22T22:28:07.899Z").body == b"at\nafter\n"
    assert client.ask(f"{LOG}?sinceTime=2026-11-22T23:28:07%2B01:00").body == b"at\nafter\n"
    cluster.clock = lambda: start + 1_000_000_000
    assert client.ask(f"{LOG}?sinceSeconds=1").body == b"at\nafter\n"
    assert client.ask(f"{LOG}?sinceSeconds=1&tailLines=3&limitBytes=4").body == b"at\na"


def test_tail_counts_lines_of_the_current_file(client: Client, pod: Pod) -> None:
    pod.log().write(b"0", b"1")
    pod.log().rotate()
    assert client.ask(LOG).body == b""
    pod.log().write(b"2", b"3", b"4")
    pod.log().write(b"5")
    tails = [client.ask(f"{LOG}?tailLines={count}").body for count in (0, 1, 2, 3, 9)]
    assert tails == [b"", b"5\n", b"4\n5\n", b"3\n4\n5\n", b"2\n3\n4\n5\n"]
    with client.begin(f"{LOG}?tailLines=0&follow=true") as stream:
        pod.log().write(b"6")
        assert stream.line() == b"6\n"


def test_one_stamp_for_what_is_written_at_once(cluster: Cluster, client: Client, pod: Pod) -> None:
    cluster.clock = lambda: nanoseconds("2026-11-22T22:28:07.000000120Z")
    pod.log().write(b"a", b"b")
    pod.log().write(b"c")
    pod.log().write_raw(b"failed to create fsnotify watcher: too many open files")
    assert client.ask(f"{LOG}?timestamps=true").body == (
        b"2026-11-22T22:28:07.000000120Z a\n2026-11-22T22:28:07.000000120Z b\n2026-11-22T22:28:07.000000121Z c\n"
        b"failed to create fsnotify watcher: too many open files"
    )
    with pytest.raises(ValueError, match="no line end"):
        pod.log().write(b"a\nb")


def test_node_with_a_time_zone() -> None:
    """The kubelet prints the stamp as the runtime wrote it, and that is the node's local time."""
    cluster = Cluster(zone=timezone(timedelta(hours=5, minutes=30)))
    cluster.add_pod("gw-1").log().write(b"a", at=nanoseconds("2026-11-22T22:28:07.000000120Z"))
    with Server(cluster) as server, Client(server) as client:
        assert client.ask(f"{LOG}?timestamps=true").body == b"2026-11-23T03:58:07.000000120+05:30 a\n"


def test_split_streams() -> None:
    cluster = Cluster(split_streams=True)
    pod = cluster.add_pod("gw-1")
    pod.log().write(b"out")
    pod.log().write(b"err", stream="stderr")
    with Server(cluster) as server, Client(server) as client:
        answers = [client.ask(f"{LOG}?stream={name}").body for name in ("All", "Stdout", "Stderr")]
    assert answers == [b"out\nerr\n", b"out\n", b"err\n"]


def test_restarts_keep_one_instance(client: Client, pod: Pod) -> None:
    """And the states of a container decide what is served."""
    first = pod.log()
    first.write(b"first")
    identity = pod.container_id()
    with client.begin(f"{LOG}?follow=true") as stream:
        assert stream.line() == b"first\n"
        pod.restart()
        assert stream.rest() == b""
    assert pod.container_id() != identity
    with pytest.raises(ValueError, match="has ended"):
        first.write(b"too late")
    pod.log().write(b"second")
    assert client.ask(f"{LOG}?previous=true").body == b"first\n"
    pod.wait()
    # While it waits, both are the last that ran.
    assert [client.ask(LOG + query).body for query in ("", "?previous=true")] == [b"second\n"] * 2
    status = client.ask(f"GET {PODS}/gw-1").json()["status"]["containerStatuses"][0]
    assert status["state"] == {"waiting": {"reason": "CrashLoopBackOff"}}
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 1)
    pod.start()
    assert client.ask(LOG).body == b""
    assert client.ask(f"{LOG}?previous=true").body == b"second\n"
    pod.terminate(exit_code=137, reason="OOMKilled")
    assert client.ask(f"{LOG}?follow=true").body == b""
    assert pod.object["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


def test_deleted_pod(cluster: Cluster, server: Server, client: Client, pod: Pod) -> None:
    """Containers write through the grace period, then the stream ends, then there is nothing."""
    with client.begin(f"{LOG}?follow=true") as stream:
        server.wait(lambda: server.open_streams == 1)
        pod.begin_deletion()
        pod.log().write(b"last words")
        pod.delete()
        assert stream.rest() == b"last words\n"
    assert message(client.ask(LOG)) == '404 pods "gw-1" not found'
    again = cluster.add_pod("gw-1")
    assert again.uid != pod.uid


@pytest.mark.parametrize("old_kubelet", [False, True])
def test_rotation_while_followed(old_kubelet: bool) -> None:
    """A new kubelet goes on with the new file, an old one says nothing any more."""
    cluster = Cluster(old_kubelet=old_kubelet)
    log = cluster.add_pod("gw-1").log()
    with (
        Server(cluster) as server,
        Client(server, timeout=0.3) as client,
        client.begin(f"{LOG}?follow=true") as stream,
    ):
        with cluster.changed:
            log.write(b"old file")
            log.rotate()
            log.write(b"new file")
        assert stream.line() == b"old file\n"
        if old_kubelet:
            with pytest.raises(TimeoutError):
                stream.line()
        else:
            assert stream.line() == b"new file\n"


def test_slow_reader_loses_files(server: Server, client: Client, pod: Pod) -> None:
    """It gets all of the file it had open, and then the newest: no error tells of what was between."""
    log = pod.log()
    lines = [b"%07d" % number + b"." * 92 for number in range(100_000)]
    log.write(*lines)
    with client.begin(f"{LOG}?follow=true") as stream:
        # More than all buffers hold, so the server waits for the reader.
        log.rotate()
        log.write(b"lost")
        log.rotate()
        log.write(b"newest")
        pod.terminate()
        assert stream.rest() == b"".join(line + b"\n" for line in lines) + b"newest\n"


def test_lists_in_pages(cluster: Cluster, client: Client) -> None:
    """All pages show the same moment, until it is too long ago."""
    for name in ("a", "b", "c"):
        cluster.add_pod(name)
    first = client.ask(f"GET {PODS}?limit=2").json()
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    cluster.pods["istio-system", "c"].delete()
    token = first["metadata"]["continue"]
    second = client.ask(f"GET {PODS}?limit=2&continue={token}").json()
    assert [item["metadata"]["name"] for item in second["items"]] == ["c"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
    cluster.oldest_version = cluster.version
    expired = client.ask(f"GET {PODS}?limit=2&continue={token}")
    assert (expired.status, expired.json()["reason"]) == ("HTTP/1.1 410 Gone", "Expired")
    inconsistent = expired.json()["metadata"]["continue"]
    assert client.ask(f"GET {PODS}?limit=2&continue={inconsistent}").json()["items"] == []


def test_selectors(cluster: Cluster, client: Client) -> None:
    cluster.add_pod("a", labels={"app": "x", "tier": "web"})
    cluster.add_pod("b", labels={"app": "y"})
    cluster.add_pod("c", labels={}, node="node-2")

    def names(query: str) -> str:
        answer = client.ask(f"GET {PODS}?{query}").json()
        return "".join(item["metadata"]["name"] for item in answer["items"])

    wanted = {
        "app=x": "a",
        "app==y": "b",
        "app!=x": "bc",
        "app": "ab",
        "!app": "c",
        "app in (x,y),tier": "a",
        "app notin (x), tier!=web": "bc",
    }
    assert {text: names(f"labelSelector={urllib.parse.quote(text)}") for text in wanted} == wanted
    assert names("fieldSelector=metadata.name%3Db") == "b"
    assert names("fieldSelector=spec.nodeName%3Dnode-2,status.phase!%3DFailed") == "c"
    assert message(client.ask(f"GET {PODS}?fieldSelector=spec.x%3D1")) == "400 field label not supported: spec.x"


def test_other_objects(cluster: Cluster, client: Client) -> None:
    """By any version that is installed; what is not installed is not there."""
    entries = "/apis/networking.istio.io/{}/namespaces/istio-system/serviceentries"
    missing = client.ask(f"GET {entries.format('v1')}")
    assert (missing.status, missing.body) == ("HTTP/1.1 404 Not Found", b"404 page not found\n")
    metadata = {"name": "cnn", "namespace": "istio-system", "labels": {"team": "a"}}
    entry = {"apiVersion": "networking.istio.io/v1beta1", "kind": "ServiceEntry", "metadata": metadata}
    cluster.add(entry | {"spec": {"hosts": ["edition.cnn.com"]}})
    for version in ("v1", "v1beta1"):
        found = client.ask(f"GET {entries.format(version)}?labelSelector=team%3Da").json()
        assert found["kind"] == "ServiceEntryList"
        assert found["items"][0]["apiVersion"] == f"networking.istio.io/{version}"
        assert found["items"][0]["spec"] == {"hosts": ["edition.cnn.com"]}
    absent = client.ask(f"GET {entries.format('v1')}/absent")
    assert message(absent) == '404 serviceentries.networking.istio.io "absent" not found'
    assert absent.json()["details"] == {"name": "absent", "group": "networking.istio.io", "kind": "serviceentries"}
    cluster.install_istio()
    assert client.ask("GET /apis/telemetry.istio.io/v1/telemetries").json()["items"] == []


def test_rights(cluster: Cluster, server: Server, client: Client, pod: Pod) -> None:
    cluster.forbid("nobody", "list", "pods")
    cluster.forbid("nobody", resource="pods/log", namespace="istio-system")
    server.tokens["stranger"] = "an old one"
    with Client(server, "nobody") as nobody, Client(server, "stranger") as stranger:
        assert nobody.ask(f"GET {PODS}/gw-1").status == "HTTP/1.1 200 OK"
        assert message(nobody.ask("GET /api/v1/pods")) == (
            '403 pods is forbidden: User "nobody" cannot list resource "pods" in API group "" at the cluster scope'
        )
        assert nobody.ask(LOG).status == "HTTP/1.1 403 Forbidden"
        assert stranger.ask(LOG).status == "HTTP/1.1 200 OK"
        server.tokens["stranger"] = "a new one"
        assert message(stranger.ask(LOG)) == "401 Unauthorized"
    assert [request.user for request in server.requests] == ["nobody"] * 3 + ["stranger", ""]
    assert [request.status for request in server.requests] == [200, 403, 403, 200, 401]


def events_of(stream: Any, count: int) -> list[tuple[str, str]]:
    events = [json.loads(stream.line()) for _ in range(count)]
    return [(event["type"], event["object"].get("metadata", {}).get("name", "")) for event in events]


def test_watch_begins_with_what_is_there(cluster: Cluster, server: Server, client: Client, pod: Pod) -> None:
    with client.begin(f"GET {PODS}?watch=1&allowWatchBookmarks=true") as stream:
        assert events_of(stream, 1) == [("ADDED", "gw-1")]
        cluster.send_bookmark()
        event = json.loads(stream.line())
        assert event["type"] == "BOOKMARK"
        assert event["object"]["metadata"] == {"resourceVersion": str(cluster.version)}
        pod.restart()
        assert events_of(stream, 2) == [("MODIFIED", "gw-1")] * 2
    now = cluster.now()
    with client.begin(f"GET {PODS}?watch=1&timeoutSeconds=240&resourceVersion={cluster.version}") as stream:
        cluster.clock = lambda: now + 300 * 10**9
        assert stream.rest() == b""


def test_watch_of_a_name(cluster: Cluster, client: Client, pod: Pod) -> None:
    with client.begin(f"GET {PODS}?watch=1&fieldSelector=metadata.name%3Dgw-2") as stream:
        cluster.add_pod("gw-2", running=False)
        pod.delete()
        cluster.pods["istio-system", "gw-2"].delete()
        kinds = [kind for kind, name in events_of(stream, 7) if name == "gw-2"]
    # created; seen; marked; seen; ended; confirmed; gone
    assert kinds == ["ADDED", *["MODIFIED"] * 5, "DELETED"]


def test_watch_with_a_selector_that_things_enter_and_leave(cluster: Cluster, client: Client) -> None:
    def config(color: str) -> Json:
        metadata = {"name": "mesh", "namespace": "istio-system", "labels": {"color": color}}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}

    cluster.add(config("red"))
    path = "/api/v1/namespaces/istio-system/configmaps"
    with client.begin(f"GET {path}?watch=1&labelSelector=color%3Dblue") as stream:
        for color in ("blue", "blue", "red"):
            cluster.add(config(color))
        assert events_of(stream, 3) == [("ADDED", "mesh"), ("MODIFIED", "mesh"), ("DELETED", "mesh")]


def test_watch_from_too_long_ago(cluster: Cluster, client: Client, pod: Pod) -> None:
    cluster.oldest_version = cluster.version
    answer = client.ask(f"GET {PODS}?watch=1&resourceVersion=1")
    assert answer.status == "HTTP/1.1 200 OK"
    event = answer.json()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert event["object"]["message"] == f"too old resource version: 1 ({cluster.version})"


# Faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["reset", "cut"])
def test_broken_streams(server: Server, pod: Pod, what: Any) -> None:
    """Lines before it arrive, then the half of one."""
    pod.log().write(b"one", b"two", b"three")
    server.faults.append(Fault(what, after_bytes=len(b"one\ntwo\nth")))
    with Client(server) as client, client.begin(f"{LOG}?follow=true") as stream:
        assert [stream.line(), stream.line()] == [b"one\n", b"two\n"]
        with pytest.raises(http.client.IncompleteRead) as error:
            stream.rest()
    assert error.value.partial == b"th"
    with Client(server) as client:
        assert client.ask(LOG).body == b"one\ntwo\nthree\n"


def test_reset_is_no_end(server: Server, pod: Pod) -> None:
    """RST, below what Python's TLS makes of it."""
    server.faults.append(Fault("reset"))
    request = f"{LOG}?follow=true HTTP/1.1\r\nAuthorization: Bearer {server.tokens['admin']}\r\n\r\n"
    with pytest.raises(ConnectionResetError):
        exchange_over_tls(server, request.encode())


def exchange_over_tls(server: Server, request: bytes) -> None:
    """Send it and read until the connection ends, with no TLS library between us and the socket's errors."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=server.ca_file).wrap_bio(into, out, server_hostname="127.0.0.1")
    sent = 0
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), 10) as raw:
        while True:
            try:
                tls.do_handshake()
                sent = sent or tls.write(request)
                tls.read(65536)
            except ssl.SSLWantReadError:
                raw.sendall(out.read())
                into.write(raw.recv(65536))


def test_clean_end_with_the_words_of_a_kubelet(server: Server, client: Client, pod: Pod) -> None:
    pod.log().write(b"one", b"two")
    server.faults.append(Fault("end", after_lines=1, message="failed to create fsnotify watcher", times=2))
    asked = [client.ask(f"{LOG}?follow=true").body for _ in range(2)]
    assert asked == [b"one\nfailed to create fsnotify watcher"] * 2
    assert client.ask(LOG).body == b"one\ntwo\n"


def test_faults_in_open_streams(server: Server, client: Client, pod: Pod) -> None:
    """Also one that was followed long before; only of the pod that is meant."""
    with client.begin(f"{LOG}?follow=true") as stream:
        server.wait(lambda: server.open_streams == 1)
        server.faults.append(Fault("end", pod="gw-2"))
        pod.log().write(b"one")
        assert stream.line() == b"one\n"
        server.faults.append(Fault("end", pod="gw-1"))
        assert stream.rest() == b""
    server.wait(lambda: server.open_streams == 0)


def test_stall_and_silence(server: Server, pod: Pod) -> None:
    until = threading.Event()
    pod.log().write(b"one", b"two")
    server.faults += [Fault("stall", after_lines=1, until=until), Fault("silence", after_lines=2)]
    with Client(server, timeout=0.3) as client, client.begin(f"{LOG}?follow=true") as stream:
        assert stream.line() == b"one\n"
        server.wait(lambda: server.faults[0].happened)
        until.set()
        assert stream.line() == b"two\n"
        pod.log().write(b"three")
        with pytest.raises(TimeoutError):
            stream.line()
        assert server.open_streams == 1
    server.wait(lambda: server.open_streams == 0)


def test_status_instead_of_an_answer(server: Server, client: Client, pod: Pod) -> None:
    server.faults.append(
        Fault("status", on="list", code=429, reason="TooManyRequests", message="slow down", retry_after=3)
    )
    answer = client.ask(f"GET {PODS}")
    assert answer.status == "HTTP/1.1 429 Too Many Requests"
    assert ["Retry-After", "3"] in answer.headers
    assert answer.json()["details"] == {"retryAfterSeconds": 3}
    assert client.ask(f"GET {PODS}").status == "HTTP/1.1 200 OK"
    server.faults.append(Fault("status", on="watch", after_lines=1, code=410, reason="Expired", message="too old"))
    with client.begin(f"GET {PODS}?watch=1") as stream:
        assert json.loads(stream.line())["type"] == "ADDED"
        event = json.loads(stream.rest())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_request_that_is_never_answered(server: Server, pod: Pod) -> None:
    server.faults.append(Fault("hang", on="get"))
    with Client(server, timeout=0.3) as client, pytest.raises(TimeoutError):
        client.ask(f"GET {PODS}/gw-1")
    assert [request.status for request in server.requests] == [0]


@pytest.mark.parametrize("what", ["reset", "cut"])
def test_broken_command(cluster: Cluster, server: Server, pod: Pod, what: Any) -> None:
    """The connection ends amid the output, with no word about the outcome."""
    cluster.commands.append(lambda _: ExecResult(stdout=b"out\n"))
    # One frame says that the client is connected: two bytes of head, one of channel.
    server.faults.append(Fault(what, on="exec", after_bytes=3))
    client = dial(server, f"{PODS}/gw-1/exec?stdout=true&command=x", "v4.channel.k8s.io")
    assert client.recv() == b"\x01"
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        client.recv()
    client.shutdown()


def test_command_that_cannot_be(server: Server, client: Client, pod: Pod) -> None:
    path = f"GET {PODS}/gw-1/exec?stdout=true"
    assert message(client.ask(f"{path}&container=absent&command=x")) == "400 container absent is not valid for pod gw-1"
    assert client.ask(f"{path}&command=x").status == "HTTP/1.1 400 Bad Request"
    pod.wait()
    assert client.ask(f"{path}&command=x").status == "HTTP/1.1 500 Internal Server Error"


def test_server_that_goes_and_comes_back(server: Server, pod: Pod) -> None:
    pod.log().write(b"one")
    with Client(server) as client, client.begin(f"{LOG}?follow=true") as stream:
        assert stream.line() == b"one\n"
        server.stop()
        with pytest.raises(http.client.IncompleteRead):
            stream.rest()
    assert server.open_streams == 0
    with Client(server) as client, pytest.raises(ConnectionRefusedError):
        client.ask(LOG)
    url = server.url
    server.start()
    assert server.url == url
    with Client(server) as client:
        assert client.ask(LOG).body == b"one\n"


def test_waiting_in_vain_shows_the_requests(server: Server, client: Client) -> None:
    client.ask(LOG)
    with pytest.raises(AssertionError, match=r"pods/gw-1/log.*status=404"):
        server.wait(lambda: False, timeout=0.01)


# Other people's clients ------------------------------------------------------------------------------------------


def test_python_client(cluster: Cluster, server: Server, pod: Pod) -> None:
    """It reads, watches and executes."""
    cluster.commands.append(lambda _: ExecResult(stdout=b"out\n", stderr=b"err\n", exit_code=7))
    pod.log().write("grün".encode())
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(server.kubeconfig()), client_configuration=configuration)
    with kubernetes.client.ApiClient(configuration) as api:
        core = kubernetes.client.CoreV1Api(api)
        assert [one.metadata.name for one in core.list_namespaced_pod("istio-system").items] == ["gw-1"]
        assert core.read_namespaced_pod_log("gw-1", "istio-system") == "grün\n"
        watch = kubernetes.watch.Watch()
        pod.restart()
        seen = []
        for event in watch.stream(core.list_namespaced_pod, "istio-system", resource_version="1"):
            seen.append(event["type"])
            if event["object"].status.container_statuses and event["object"].status.container_statuses[0].restart_count:
                watch.stop()
        # created; seen; network; runs; ended; runs again
        assert seen == ["ADDED", *["MODIFIED"] * 5]
        shell = kubernetes.stream.stream(
            core.connect_get_namespaced_pod_exec, "gw-1", "istio-system", command=["x"], stdout=True, stderr=True,
            stdin=False, tty=False, _preload_content=False,
        )  # fmt: skip
        shell.run_forever(timeout=10)
        assert (shell.read_stdout(), shell.read_stderr(), shell.returncode) == ("out\n", "err\n", 7)
        # Its own close() leaves the socket open when the server has said goodbye first.
        shell.sock.shutdown()
        review = kubernetes.client.V1SelfSubjectAccessReview(
            spec={"resourceAttributes": {"verb": "get", "resource": "pods", "subresource": "log"}}
        )
        rights = kubernetes.client.AuthorizationV1Api(api)
        assert rights.create_self_subject_access_review(review).status.allowed
        cluster.forbid("admin", "get", "pods/log")
        assert not rights.create_self_subject_access_review(review).status.allowed


class Kubectl:
    """The real one, as a user of the server."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server, self._home = server, home

    def environment(self, user: str) -> dict[str, str]:
        return os.environ | {"KUBECONFIG": str(self.server.kubeconfig(user)), "HOME": str(self._home)}

    def __call__(self, *words: str, user: str = "admin") -> subprocess.CompletedProcess[str]:
        command = ["kubectl", *words, "-n", "istio-system"]
        if "--" in words:
            command = ["kubectl", "-n", "istio-system", *words]
        return subprocess.run(
            command, env=self.environment(user), capture_output=True, text=True, timeout=30, check=False
        )

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        command = ["kubectl", *words, "-n", "istio-system"]
        with subprocess.Popen(command, env=self.environment("admin"), stdout=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def kubectl(server: Server, tmp_path: Path) -> Kubectl:
    require("kubectl")
    return Kubectl(server, tmp_path)


def test_kubectl_get(cluster: Cluster, kubectl: Kubectl, pod: Pod) -> None:
    cluster.add_pod("gw-2").wait()
    cluster.add_pod("other", labels={"app": "other"})
    done = kubectl("get", "pods", "-l", "istio=egressgateway")
    assert re.sub(r"\d+s", "1s", done.stdout).splitlines() == [
        "NAME   READY   STATUS             RESTARTS   AGE",
        "gw-1   1/1     Running            0          1s",
        "gw-2   0/1     CrashLoopBackOff   0          1s",
    ]
    assert kubectl("get", "pods", "-o", "name").stdout == "pod/gw-1\npod/gw-2\npod/other\n"
    assert kubectl("get", "pod", "absent").stderr == 'Error from server (NotFound): pods "absent" not found\n'
    assert kubectl("get", "telemetries").stderr == 'error: the server doesn\'t have a resource type "telemetries"\n'
    raw = kubectl("get", "--raw", "/apis/telemetry.istio.io/v1/telemetries")
    assert raw.stderr == "Error from server (NotFound): the server could not find the requested resource\n"


def test_kubectl_and_istio(cluster: Cluster, kubectl: Kubectl) -> None:
    metadata = {"name": "mesh-default", "namespace": "istio-system"}
    cluster.add({"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry", "metadata": metadata, "spec": {}})
    assert kubectl("get", "telemetries", "-o", "name").stdout == "telemetry.telemetry.istio.io/mesh-default\n"


def test_kubectl_without_rights(cluster: Cluster, kubectl: Kubectl, pod: Pod) -> None:
    cluster.forbid("nobody")
    assert kubectl("get", "pods", user="nobody").stderr == (
        'Error from server (Forbidden): pods is forbidden: User "nobody" cannot list resource "pods" in API group "" '
        'in the namespace "istio-system"\n'
    )


def test_kubectl_logs(cluster: Cluster, kubectl: Kubectl, pod: Pod) -> None:
    pod.log().write(b"first run")
    pod.restart()
    pod.log().write(b"one", b"two")
    cluster.add_pod("gw-2").log().write(b"three")
    assert kubectl("logs", "gw-1").stdout == "one\ntwo\n"
    assert kubectl("logs", "gw-1", "--previous").stdout == "first run\n"
    # Which pod comes first is by chance.
    assert sorted(kubectl("logs", "-l", "istio=egressgateway", "--prefix").stdout.splitlines()) == [
        "[pod/gw-1/istio-proxy] one",
        "[pod/gw-1/istio-proxy] two",
        "[pod/gw-2/istio-proxy] three",
    ]
    assert kubectl("logs", "gw-2", "--previous").stderr == (
        'Error from server (BadRequest): previous terminated container "istio-proxy" in pod "gw-2" not found\n'
    )
    assert kubectl("logs", "absent").stderr == (
        'error: error from server (NotFound): pods "absent" not found in namespace "istio-system"\n'
    )


def test_kubectl_logs_of_a_deployment(cluster: Cluster, kubectl: Kubectl, pod: Pod) -> None:
    labels = {"istio": "egressgateway"}
    metadata = {"name": "gw", "namespace": "istio-system"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {}}}
    cluster.add({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    pod.log().write(b"one")
    assert kubectl("logs", "deployment/gw").stdout == "one\n"


def test_kubectl_follows(kubectl: Kubectl, pod: Pod) -> None:
    start = nanoseconds("22:28:07")
    pod.log().write(b"before", at=start - 1)
    pod.log().write(b"one", at=start)
    words = ("logs", "-f", "gw-1", "--timestamps", "--since-time=2026-11-22T22:28:07Z")
    with kubectl.running(*words) as process:
        assert process.stdout
        assert process.stdout.readline() == b"2026-11-22T22:28:07.000000000Z one\n"
        pod.log().write(b"two", at=start + 1)
        assert process.stdout.readline() == b"2026-11-22T22:28:07.000000001Z two\n"
        pod.delete()
        assert process.stdout.read() == b""
        assert process.wait(10) == 0


def test_kubectl_watches(cluster: Cluster, kubectl: Kubectl, pod: Pod) -> None:
    with kubectl.running("get", "pods", "-w", "--no-headers") as process:
        assert process.stdout
        seen = [process.stdout.readline()]
        pod.restart()
        pod.delete()
        seen += [process.stdout.readline() for _ in range(7)]
    assert [line.split()[1:4] for line in seen] == [
        [b"1/1", b"Running", b"0"],
        [b"0/1", b"Error", b"0"],
        [b"1/1", b"Running", b"1"],
        # marked; seen; ended; confirmed; gone
        [b"1/1", b"Terminating", b"1"],
        [b"1/1", b"Terminating", b"1"],
        [b"0/1", b"Completed", b"1"],
        [b"0/1", b"Completed", b"1"],
        [b"0/1", b"Completed", b"1"],
    ]


def test_kubectl_executes(cluster: Cluster, kubectl: Kubectl, pod: Pod) -> None:
    def run(request: ExecRequest) -> ExecResult | None:
        return ExecResult(b"out\n", b"err\n", 7) if request.command == ["sh", "-c", "exit 7"] else None

    cluster.commands.append(run)
    done = kubectl("exec", "gw-1", "--", "sh", "-c", "exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    done = kubectl("exec", "gw-1", "--", "curl")
    assert done.returncode == 1
    assert '"curl": executable file not found in $PATH' in done.stderr


def test_kubectl_deletes_and_creates(kubectl: Kubectl, cluster: Cluster, pod: Pod) -> None:
    assert kubectl("delete", "pod", "gw-1").stdout == 'pod "gw-1" deleted\n'
    assert not cluster.pods
    assert kubectl("run", "gw-2", "--image=x").stdout == "pod/gw-2 created\n"
    assert [pod.name for pod in cluster.pods.values()] == ["gw-2"]


# The generator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["0", "20000"])
def test_generator(tmp_path: Path, rate: str) -> None:
    """Numbered lines of a format that Istio writes, from a process of its own."""
    path = tmp_path / "kubeconfig"
    options = ["--pods", "2", "--lines", "1001", "--rate", rate, "--kubeconfig", str(path)]
    command = [sys.executable, "-m", "tests.kubeapi", *options]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        assert path.stat().st_mode & 0o777 == 0o600
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(path), client_configuration=configuration)
        with kubernetes.client.ApiClient(configuration) as api:
            core = kubernetes.client.CoreV1Api(api)
            pods = core.list_namespaced_pod("istio-system", label_selector="istio=egressgateway").items
            assert [pod.metadata.name for pod in pods] == ["istio-egressgateway-0", "istio-egressgateway-1"]
            answer = core.read_namespaced_pod_log(
                pods[1].metadata.name, "istio-system", follow=True, timestamps=True, _preload_content=False
            )
            lines = list(itertools.islice(answer, 1001))
            answer.close()
        process.terminate()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()  # or leaving the block waits for ever
    pattern = rb'\S+Z \[\S+Z\] "GET /n/(\d+) HTTP/1\.1" 200 - via_upstream - "-" .* 127\.0\.1\.11:56644 - -\n'
    matches = [re.fullmatch(pattern, line) for line in lines]
    assert [int(match[1]) for match in matches if match] == list(range(1001))
