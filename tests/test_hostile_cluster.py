"""An API server that lies: answers of the wrong form, and answers that do not end. Never a traceback, never a pass."""

from __future__ import annotations

import copy
import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import pytest
from typer.testing import Result

from egresslog.sources.cluster.client import Cluster as Api
from egresslog.sources.cluster.discovery import find_containers
from egresslog.sources.cluster.pods import gateway_targets

from .following import following
from .kubeapi.cluster import Cluster
from .kubeapi.faults import Fault
from .kubeapi.server import Server
from .running import invoke
from .test_parser import TEXT

NAMESPACE = "/api/v1/namespaces/istio-system"
PODS = f"{NAMESPACE}/pods"
REQUEST = f"context test: GET {PODS}"


pytestmark = pytest.mark.usefixtures("fast_clock")


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_pod("gateway").log().write(TEXT.encode())
    return cluster


def ok(body: bytes, *headers: str) -> list[bytes]:
    """An answer as it is sent."""
    return [
        "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body,
    ]


def chunked(*pieces: bytes) -> list[bytes]:
    """The same; ``pieces`` is all of the body, with the lines between its chunks."""
    return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *pieces]


def answering(server: Server, answer: Callable[[], Iterable[bytes]], on: Any = "list", path: str = PODS) -> None:
    """From now on the server answers such requests like this."""
    server.faults.append(Fault("raw", on=on, path=path, times=1000, answer=answer))


def parse() -> Result:
    return invoke("parse", "-o", "ndjson")


# Pods that are none ------------------------------------------------------------------------------------------------------

ABSENT = object()


def with_field(pod: dict[str, Any], path: str, value: object) -> Any:
    """A pod with another value at a path such as ``status.podIPs.0.ip``; "" for all of it."""
    if not path:
        return value
    changed = copy.deepcopy(pod)
    *parents, last = path.split(".")
    inner: Any = changed
    for part in parents:
        inner = inner[int(part) if part.isdecimal() else part]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    return changed


WRONG = {
    "": ["pod", 5, None, [], {}],
    "metadata": [ABSENT, None, "x", []],
    "metadata.name": [ABSENT, None, "", 7, "../../secrets/x", "a" * 300, "\ud800"],
    "metadata.namespace": [ABSENT, None, {}, "a/../b"],
    "metadata.uid": [5],
    "metadata.labels": ["istio=egressgateway", [], {"istio": 1}],
    "metadata.annotations": [{"x": None}, "x"],
    "metadata.creationTimestamp": ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", 5, {}],
    "metadata.deletionTimestamp": ["9999-12-31T23:59:59.999999999+14:00", "0001-01-01T00:00:00-23:59"],
    "metadata.ownerReferences": ["x", ["x"], [{}], [{"kind": None, "name": "x"}], {"kind": "x"}],
    "spec": ["x", [], 5],
    "spec.containers": ["x", {}, [None], [{}], [{"name": 5}]],
    "spec.initContainers": [[5]],
    "spec.hostNetwork": ["yes"],
    "status": ["Running", 5],
    "status.phase": [5],
    "status.podIP": ["nowhere", 5, "10.0.0.300"],
    "status.podIPs": ["10.0.0.1", [None], [{"ip": "-"}]],
    "status.containerStatuses": [{}, ["x"], [{}]],
    "status.containerStatuses.0.restartCount": ["1", 1e300, 10**400, -1, float("nan"), float("inf")],
    "status.containerStatuses.0.state": ["running", {"running": "x"}, {"running": {"startedAt": "9999-01-01T00:00:00Z"}}],
    "status.containerStatuses.0.lastState": [{"terminated": []}],
}  # fmt: skip


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in WRONG.items() for value in values])
def test_a_pod_that_is_none_hides_no_other(server: Server, cluster: Cluster, path: str, value: object) -> None:
    """It is an error that names the request and the pod; the other's log is read."""
    good = cluster.pod("istio-system", "gateway").object
    other = with_field(cluster.add_pod("other").object, path, value)
    body = json.dumps({"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": [other, good]}).encode()
    answering(server, lambda: ok(body))
    result = parse()
    assert result.exit_code == 3
    error = next(line for line in result.stderr.splitlines() if "cannot be used" in line)
    assert REQUEST in error
    assert path.rpartition(".")[2].replace("0", "") in error
    assert "pod istio-system/other" in error or path in {"", "metadata", "metadata.name", "metadata.namespace"}
    assert len(result.stdout.splitlines()) == len(TEXT.splitlines())


def test_many_pods_that_are_none(server: Server) -> None:
    """The first are named, the others counted."""
    body = json.dumps({"items": [5] * 500}).encode()
    answering(server, lambda: ok(body))
    found = find_containers(Api.connect(kubeconfig=str(server.kubeconfig())), gateway_targets(()))
    assert len(found.errors) == 21
    assert "480 more pods cannot be used" in str(found.errors[-1])


FINE: list[tuple[str, object]] = [
    ("metadata.creationTimestamp", "2026-11-18T11:06:40." + "123456789" * 4 + "+05:30"),
    ("metadata.creationTimestamp", None),
    ("metadata.labels", None),
    ("metadata.ownerReferences", None),
    ("spec.initContainers", None),
    ("status.podIPs", None),
    ("status.containerStatuses", None),
    ("status.containerStatuses.0.lastState", None),
    ("status.containerStatuses.0.state", {"running": None}),
    ("status.containerStatuses.0.state", {"unknown": 5}),
    ("status", None),
    ("metadata.uid", None),
]


@pytest.mark.parametrize(("path", "value"), FINE)
def test_what_a_pod_may_be(server: Server, cluster: Cluster, path: str, value: object) -> None:
    """Null stands for nothing; a time may have any number of digits, and an offset."""
    good = cluster.pod("istio-system", "gateway").object
    body = json.dumps({"items": [with_field(good, path, value)], "metadata": None}).encode()
    server.faults.append(Fault("raw", on="list", path=PODS, answer=lambda: ok(body)))
    result = parse()
    assert "cannot be used" not in result.stderr
    assert len(result.stdout.splitlines()) == len(TEXT.splitlines())


def test_a_pod_that_is_none_appears_in_a_watch(server: Server, cluster: Cluster) -> None:
    """The follower goes on, and reports it; so it does when one is in the first list."""
    event = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "x"}}}).encode() + b"\n"
    server.faults.append(Fault("raw", on="watch", answer=lambda: ok(event)))
    with following(server) as received:
        received.until(lambda: any("namespace is not a name" in notice.text for notice in received.notices_of("error")))
        received.until(lambda: received.count("istio-system/gateway/istio-proxy") == len(TEXT.splitlines()))


@pytest.mark.parametrize("event", [b"[]", b"5", b'{"type":"ERROR","object":"x"}', b'{"type":"ERROR","object":{"code":[]}}',
                                   b'{"type":"ADDED"}', b"\xff", b'{"a":' * 100_000])  # fmt: skip
def test_a_watch_of_the_wrong_form(server: Server, event: bytes) -> None:
    """It is begun again; the logs are read all the same."""
    server.faults.append(Fault("raw", on="watch", times=3, answer=lambda: ok(event + b"\n")))
    with following(server) as received:
        received.until(lambda: received.count("istio-system/gateway/istio-proxy") == len(TEXT.splitlines()))
        received.until(lambda: sum(request.query.get("watch") == "true" for request in server.requests) > 3)


# Answers of the wrong form -------------------------------------------------------------------------------------------------

NO_LISTS = {
    "an array": b"[]",
    "text": b'"x"',
    "nothing": b"",
    "items are text": b'{"items":"x"}',
    "items are a map": b'{"items":{"a":1}}',
    "metadata is text": b'{"items":[],"metadata":"x"}',
    "a token that is a map": b'{"items":[],"metadata":{"continue":{}}}',
    "a version that is a number": b'{"items":[],"metadata":{"resourceVersion":1e400}}',
    "a token that fits into no URL": b'{"items":[],"metadata":{"continue":"' + b"x" * 100_000 + b'"}}',
    "nested": b'{"items":' + b"[" * 200_000,
    "nested and closed": b'{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no UTF-8": b"\xff\xfe\x00",
    "a number of 5,000 digits": b'{"items":[' + b"9" * 5000 + b"]}",
}


@pytest.mark.parametrize("what", NO_LISTS)
@pytest.mark.parametrize("command", ["parse", "verify"])
def test_what_is_no_list(server: Server, what: str, command: str) -> None:
    """The error names the request."""
    answering(server, lambda: ok(NO_LISTS[what]))
    result = invoke(command)
    assert result.exit_code == 3
    assert f"error: {REQUEST}: " in result.stderr


CHUNKS = {
    "too large to be a size": [b"f" * 100 + b"\r\n{}"],
    "more than memory": [b"7fffffffffffffff\r\n{}"],
    "two terabytes": [b"20000000000\r\n{}"],
    "negative": [b"-5\r\n{}\r\n"],
    "minus one": [b"-1\r\n{}\r\n"],
    "no number": [b"zz\r\n{}\r\n"],
    "empty": [b"\r\n\r\n"],
    "a size without end": [b"1" * 200_000],
    "an extension without end": [b"2;" + b"x" * 200_000],
}


@pytest.mark.parametrize("what", CHUNKS)
@pytest.mark.parametrize(("on", "path"), [("list", PODS), ("log", f"{PODS}/gateway/log")])
def test_absurd_chunks(server: Server, what: str, on: str, path: str) -> None:
    """The body of a list, and that of a log."""
    answering(server, lambda: chunked(*CHUNKS[what]), on, path)
    result = parse()
    assert result.exit_code == 3
    assert "error: " in result.stderr
    assert "internal error" not in result.stderr


def test_halves_of_surrogate_pairs(server: Server, cluster: Cluster) -> None:
    """They cannot be written; in a message of a container they are U+FFFD."""
    pod = copy.deepcopy(cluster.pod("istio-system", "gateway").object)
    pod["status"]["containerStatuses"][0]["state"] = {
        "waiting": {"reason": "A\ud83d", "message": "B\udc00 \\ud800 \U0001f600"}
    }
    body = json.dumps({"items": [pod]}).encode()
    assert b"\\ud83d" in body
    answering(server, lambda: ok(body))
    api = Api.connect(kubeconfig=str(server.kubeconfig()))
    (found,), _ = api.list_objects(PODS)
    waiting = found["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "A\ufffd", "message": "B\ufffd \\ud800 \U0001f600"}
    api.close()
    assert "Traceback" not in parse().stderr


@pytest.mark.parametrize(
    "body", [b'{"data":"x"}', b'{"data":{"mesh":5}}', b'{"data":{"mesh":"' + b"[" * 10_000 + b'"}}', b"[]"]
)
def test_a_config_map_of_the_wrong_form(server: Server, body: bytes) -> None:
    """What it says is not known; the log is read."""
    answering(server, lambda: ok(body), "get", f"{NAMESPACE}/configmaps/istio")
    result = parse()
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, len(TEXT.splitlines()))


def test_a_label_leads_to_no_other_request(server: Server, cluster: Cluster) -> None:
    """The revision's name stands in a path."""
    cluster.add_pod("odd", labels={"istio": "egressgateway", "istio.io/rev": "x/../../secrets/y?z"})
    parse()
    assert not any("secrets/" in request.path or "z" in request.query for request in server.requests)


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 9999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 -0000", "x", "", "\xff" * 100]
)
@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59",
                                   "2026-02-31T00:00:00Z"])  # fmt: skip
def test_absurd_stamps_of_lines(server: Server, date: str, stamp: str) -> None:
    """The runtime's, before each line, and the server's clock: the lines are read, and verify ends in order."""
    lines = "".join(f"{stamp} {line}\n" for line in TEXT.splitlines()).encode()
    answering(server, lambda: ok(lines, f"Date: {date}"), "log", f"{PODS}/gateway/log")
    assert len(parse().stdout.splitlines()) == len(TEXT.splitlines())
    result = invoke("verify", "-o", "json")
    assert json.loads(result.stdout)["hosts"]
    assert "internal error" not in result.stderr


# Answers that do not end ---------------------------------------------------------------------------------------------------


def endless(piece: bytes, head: bytes = b"") -> Callable[[], Iterator[bytes]]:
    """``head``, and then the same for ever."""

    def pieces() -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    return pieces


def limits(monkeypatch: pytest.MonkeyPatch, **values: float) -> None:
    for name, value in values.items():
        monkeypatch.setattr(f"egresslog.sources.cluster.client.{name}", value)


@pytest.mark.parametrize("tokens", [lambda: iter(lambda: "same", None), lambda: (f"t{n % 3}" for n in count()),
                                    lambda: (f"token-{n}" for n in count())])  # fmt: skip
def test_lists_without_end(
    server: Server, monkeypatch: pytest.MonkeyPatch, tokens: Callable[[], Iterator[str]]
) -> None:
    """A continue token that repeats, and new ones for ever."""
    limits(monkeypatch, _PAGES=50)
    given = tokens()

    def page() -> list[bytes]:
        return ok(json.dumps({"items": [], "metadata": {"continue": next(given), "remainingItemCount": -1}}).encode())

    answering(server, page)
    result = parse()
    assert result.exit_code == 3
    assert f"error: {REQUEST}: the list does not end: " in result.stderr
    assert len(server.requests) < 60


@pytest.mark.parametrize("remaining", [10**30, -5, "x", {}])
def test_the_count_of_what_remains_is_not_believed(server: Server, cluster: Cluster, remaining: object) -> None:
    """It is an estimate."""
    good = cluster.pod("istio-system", "gateway").object
    body = json.dumps({"items": [good], "metadata": {"remainingItemCount": remaining}}).encode()
    answering(server, lambda: ok(body))
    assert parse().exit_code == 0


BODIES = {
    "blanks": endless(b"10000\r\n" + b" " * 0x10000 + b"\r\n", chunked()[0]),
    "objects": endless(b"f\r\n" + b"{}," * 5 + b"\r\n", chunked()[0] + b'a\r\n{"items":[\r\n'),
    "one chunk": endless(b" " * 0x10000, chunked()[0] + b"ffffffffffff\r\n"),
    "no length": endless(b" " * 0x10000, b"HTTP/1.1 200 OK\r\n\r\n"),
    "a length": endless(b" " * 0x10000, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
}


@pytest.mark.parametrize("what", BODIES)
def test_bodies_without_end(server: Server, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """More than any answer has: the limit is in the message. It is not tried again, but with smaller pages."""
    limits(monkeypatch, _SIZE=200_000)
    answering(server, BODIES[what])
    result = parse()
    assert result.exit_code == 3
    assert f"error: {REQUEST}: the answer is larger than 200000 bytes" in result.stderr
    assert [request.query["limit"] for request in server.requests] == ["500", "62", "7", "1"]


def test_large_pages_are_made_smaller(server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods with much in them: all are found."""
    limits(monkeypatch, _SIZE=100_000)
    for number in range(20):
        cluster.add_pod(f"large-{number}", annotations={"x": "y" * 10_000})
    api = Api.connect(kubeconfig=str(server.kubeconfig()))
    assert len(api.list_objects(PODS)[0]) == 21
    api.close()


HEADERS = {
    "headers": endless(b"X-Header: x\r\n", b"HTTP/1.1 200 OK\r\n"),
    "one header": endless(b"x" * 1000, b"HTTP/1.1 200 OK\r\nX-Header: "),
    "interim answers": endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a status line": endless(b"x" * 1000, b"HTTP/1.1 200 "),
    "trailers": endless(b"X-Trailer: x\r\n", chunked()[0] + b"2\r\n{}\r\n0\r\n"),
}


@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize(("on", "path"), [("list", PODS), ("log", f"{PODS}/gateway/log")])
def test_headers_without_end(server: Server, monkeypatch: pytest.MonkeyPatch, what: str, on: str, path: str) -> None:
    """They end with the deadline of the request."""
    limits(monkeypatch, _READ=0.3, _ANSWER=0.3)
    monkeypatch.setattr("egresslog.sources.cluster.log_stream.SILENCE", 0.3)
    monkeypatch.setattr("egresslog.sources.cluster.log_connection.LONGEST", 0.3)
    answering(server, HEADERS[what], on, path)
    result = parse()
    assert result.exit_code == 3
    assert "error: " in result.stderr


@pytest.mark.parametrize(("limit", "value", "said"), [("LARGEST", 200_000, "the log is larger than 200000 bytes"),
                                                      ("LONGEST", 0.3, "the answer did not end within 0.3 s")])  # fmt: skip
def test_logs_without_end(server: Server, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, said: str) -> None:
    """A log that is not followed ends; what was read until then is there, and the rest is an error."""
    monkeypatch.setattr(f"egresslog.sources.cluster.log_connection.{limit}", value)
    lines = "".join(f"2026-11-18T11:06:40Z {line}\n" for line in TEXT.splitlines() * 20).encode()
    answering(server, endless(lines, b"HTTP/1.1 200 OK\r\n\r\n"), "log", f"{PODS}/gateway/log")
    result = parse()
    assert result.exit_code == 3
    assert said in result.stderr
    assert result.stdout
    assert sum(request.path.endswith("/log") for request in server.requests) == 1


def test_what_is_kept_of_a_pod(server: Server, cluster: Cluster) -> None:
    """A cluster has ten thousands, of some ten kilobytes each: not the objects are kept, only what they are asked for."""
    for number in range(100):
        cluster.add_pod(f"large-{number}", annotations={"x": "y" * 50_000})
    api = Api.connect(kubeconfig=str(server.kubeconfig()))
    find_containers(api, gateway_targets(()))  # imports
    gc.collect()
    tracemalloc.start()
    found = find_containers(api, gateway_targets(()))
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    api.close()
    assert len(found.containers) == 101
    assert kept < 101 * 10_000
