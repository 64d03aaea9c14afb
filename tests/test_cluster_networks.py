"""What the cluster says is its own lies inside, as far as it can be believed and may be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from egresslog.mesh.kubeadm import subnets

from .following import SECOND
from .kubeapi.cluster import Cluster
from .kubeapi.faults import Fault
from .kubeapi.kinds import Kind
from .kubeapi.server import Server
from .lines import from_gateway, past, to_gateway
from .running import invoke

HOST = "edition.cnn.com"
NOON = 1_793_534_400 * SECOND  # 2026-11-01T12:00:00Z, as in the lines
SERVICE_RANGES = Kind("networking.k8s.io", ("v1",), "ServiceCIDR", "servicecidrs", namespaced=False)
PUBLIC = "44.10.0.5"  # where a pod's connection past the gateway goes to


pytestmark = pytest.mark.usefixtures("fast_clock")


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.clock = lambda: NOON - 60 * SECOND
    cluster.add_pod("gateway", ip="10.244.2.20")
    cluster.add_pod("sleep", "default", labels={}, containers=("sleep", "istio-proxy"), ip="10.244.1.15")
    write(cluster, "istio-system", "gateway", from_gateway())
    write(cluster, "default", "sleep", to_gateway(), past(2, to=f"{PUBLIC}:443"))
    return cluster


def write(cluster: Cluster, namespace: str, pod: str, *lines: str) -> None:
    for line in lines:
        cluster.pod(namespace, pod).log("istio-proxy").write(line.encode(), at=NOON)


def node(cluster: Cluster, *ranges: object, name: str = "node-1", **spec: object) -> None:
    spec = {"podCIDRs": list(ranges)} if ranges else spec
    cluster.add({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})


def services(cluster: Cluster, *ranges: object) -> None:
    cluster.install(SERVICE_RANGES)
    cluster.add({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
                 "spec": {"cidrs": list(ranges)}})  # fmt: skip


def kubeadm(cluster: Cluster, networking: object) -> None:
    cluster.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
                 "data": {"ClusterConfiguration": json.dumps({"networking": networking})}})  # fmt: skip


def api_server(cluster: Cluster, *addresses: object, name: str = "kubernetes") -> None:
    cluster.add({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                 "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "kubernetes"}},
                 "endpoints": [{"addresses": list(addresses)}]})  # fmt: skip


def endpoints(cluster: Cluster, address: str) -> None:
    cluster.add({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "kubernetes"},
                 "subsets": [{"addresses": [{"ip": address}]}]})  # fmt: skip


def exclusivity(*options: str) -> tuple[int, str, list[str]]:
    """Exit code, state and reasons."""
    result = invoke("verify", HOST, "--from-all", *options, "-o", "json")
    found = json.loads(result.stdout)["hosts"][0]["exclusivity"]
    return result.exit_code, found["state"], found["reasons"]


OUTSIDE = (3, "PARTIAL", ["EGL118"])
INSIDE = (0, "CONFIRMED", [])

LEARNED: dict[str, tuple[Any, ...]] = {
    "podCIDRs": (node, "10.244.1.0/24", "44.10.0.0/24"),
    "a Service's range": (services, "44.10.0.0/20", "fd00:10:96::/112"),
    "kubeadm's Services": (kubeadm, {"serviceSubnet": "10.96.0.0/12,44.10.0.0/16"}),
    "kubeadm's pods": (kubeadm, {"podSubnet": "44.10.0.0/16"}),
    "the API server": (api_server, PUBLIC),
    "the API server, by Endpoints": (endpoints, PUBLIC),
}


def test_without_it_a_public_address_is_outside(server: Server) -> None:
    """The control."""
    assert exclusivity() == OUTSIDE


@pytest.mark.parametrize("what", LEARNED)
def test_what_is_learned_is_inside(server: Server, cluster: Cluster, what: str) -> None:
    """A connection there is no bypass; a note says so where it is a range."""
    make, *values = LEARNED[what]
    make(cluster, *values)
    assert exclusivity() == INSIDE
    note = "public addresses that the cluster says are of its pods and Services count as inside: 44.10.0.0/"
    assert (note in invoke("verify", HOST, "--from-all").stderr) is ("API" not in what)


def test_only_verify_asks(server: Server) -> None:
    """Nodes are many and large; a report does not need them."""
    for command in ("parse", "report"):
        invoke(command)
    assert not any("nodes" in request.path for request in server.requests)
    exclusivity()
    assert sum("nodes" in request.path for request in server.requests) == 1


def test_podcidr_alone(server: Server, cluster: Cluster) -> None:
    """Clusters before dual stack; and a ServiceCIDR that covers it makes kubeadm's word needless."""
    node(cluster, podCIDR="44.10.0.0/24")
    assert exclusivity() == INSIDE
    services(cluster, "10.96.0.0/12")
    server.requests.clear()
    assert exclusivity() == INSIDE
    assert not any("kubeadm" in request.path for request in server.requests)


UNBELIEVED: dict[str, list[Any]] = {
    "everything": ["0.0.0.0/0"],
    "half": ["0.0.0.0/1"],
    "too much": ["44.0.0.0/7"],
    "in pieces": [f"{first}.0.0.0/8" for first in range(40, 60)],
    "in small pieces": [f"44.{second}.0.0/16" for second in range(256)] + ["45.0.0.0/16"],
    "no ranges": ["x", 5, None, {}, "44.10.0.5/99", ""],
    "another version": ["::/0", "2000::/3"],
}


@pytest.mark.parametrize("what", UNBELIEVED)
def test_what_is_not_believed(server: Server, cluster: Cluster, what: str) -> None:
    """Who says that the internet is inside excuses nothing; other ranges count all the same."""
    node(cluster, *UNBELIEVED[what])
    assert exclusivity() == OUTSIDE
    if what != "no ranges":
        assert "not believed to be the cluster's, since it is too much: " in invoke("verify", HOST, "--from-all").stderr
    api_server(cluster, PUBLIC)
    assert exclusivity() == INSIDE


def test_endpoints_of_anybody(server: Server, cluster: Cluster) -> None:
    """A slice that somebody labelled, ranges instead of addresses, and what is no address."""
    api_server(cluster, PUBLIC, name="mine")
    assert exclusivity() == OUTSIDE
    api_server(cluster, "44.10.0.0/24", "0.0.0.0/0", None, {}, "x")
    assert exclusivity() == OUTSIDE


@pytest.mark.parametrize("resource", ["nodes", "servicecidrs", "configmaps", "endpointslices", "endpoints"])
def test_rights_are_optional(server: Server, cluster: Cluster, resource: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one of them the others' answers count, and nothing is said."""
    cluster.forbid("nobody", resource=resource)
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig("nobody")))
    if resource == "nodes":
        api_server(cluster, PUBLIC)
    else:
        node(cluster, "44.10.0.0/24")
    assert exclusivity() == INSIDE
    assert "forbidden" not in invoke("verify", HOST, "--from-all").stderr.lower()


@pytest.mark.parametrize(
    "body", [b"[]", b'{"items":"x"}', b'{"items":[5,{"spec":7},{"spec":{"podCIDRs":{}}}]}', b"{" * 100_000]
)
def test_answers_of_the_wrong_form(server: Server, body: bytes) -> None:
    """They are none; the rest goes on."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    server.faults.append(Fault("raw", on="list", path="/api/v1/nodes", times=100, answer=lambda: [head + body]))
    assert exclusivity() == OUTSIDE


@pytest.mark.parametrize("text", [None, 5, "", "x", "[", "networking: x", "networking: {podSubnet: 5}", "a: &a [*a]",
                                  "!!timestamp x", "[" * 100_000, "networking: {podSubnet: ','}"])  # fmt: skip
def test_kubeadms_text(text: object) -> None:
    """Whatever it holds."""
    assert [found for found in subnets(text) if found] == []


def test_external_that_overlaps(server: Server, cluster: Cluster) -> None:
    """What the cluster says is its own is not outside: exit 2, with the ranges. The API server may be."""
    node(cluster, "10.244.1.0/24")
    services(cluster, "10.96.0.0/12")
    for given, said in {
        "10.0.0.0/8": "10.244.1.0/24, 10.96.0.0/12", "10.97.0.0/16": "10.96.0.0/12", "10.244.1.128/25": "10.244.1.0/24",
    }.items():  # fmt: skip
        result = invoke("verify", HOST, "--from-all", "--external", given)
        assert result.exit_code == 2
        assert f"--external {given} overlaps" in result.stderr
        assert all(part in result.stderr for part in said.split(", "))
    api_server(cluster, PUBLIC)
    assert exclusivity("--external", "44.10.0.0/24") == OUTSIDE
    assert exclusivity("--external", "192.168.0.0/16") == INSIDE


def test_a_server_that_hangs_is_not_asked_for_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the nodes only, and the verdict is there."""
    monkeypatch.setattr("egresslog.sources.cluster.client._READ", 0.3)
    monkeypatch.setattr("egresslog.sources.cluster.client._ANSWER", 0.3)
    server.faults.append(Fault("hang", on="list", path="/api/v1/nodes", times=100))
    assert exclusivity() == OUTSIDE
    assert not any("servicecidrs" in request.path for request in server.requests)
