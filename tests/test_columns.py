"""Derived columns: host, upstream_ip, upstream_port, source_ip."""

from __future__ import annotations

import pytest

from egresslog.records import batch as columns


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("edition.cnn.com", "edition.cnn.com"),
        ("edition.cnn.com:443", "edition.cnn.com"),
        ("Edition.CNN.com.", "edition.cnn.com"),
        ("edition.cnn.com.:80", "edition.cnn.com"),
        ("[2a00:8a00::1]:443", "2a00:8a00::1"),
        ("[2A00::1]", "2a00::1"),
        ("2a00:8a00::1", "2a00:8a00::1"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("", None),
        (":80", None),
        ("[]", None),
    ],
)
def test_host_of_authority(authority: str, host: str | None) -> None:
    """The authority without port, brackets, capitals and trailing dot: one host, one name."""
    assert columns.host_of_authority(authority) == host


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("edition.cnn.com", "edition.cnn.com"),
        ("EDITION.cnn.com.", "edition.cnn.com"),
        ("outbound_.443_.cnn_.istio-egressgateway.istio-system.svc.cluster.local", None),
        ("outbound.example.com", "outbound.example.com"),
        ("", None),
    ],
)
def test_host_of_server_name(name: str, host: str | None) -> None:
    """The SNI is a host, unless the mesh made it."""
    assert columns.host_of_sni(name) == host


@pytest.mark.parametrize(
    ("cluster", "host"),
    [
        ("outbound|443||edition.cnn.com", "edition.cnn.com"),
        ("outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local",
         "istio-egressgateway.istio-system.svc.cluster.local"),
        ("inbound-vip|443|tcp|wikipedia.org", "wikipedia.org"),
        ("outbound|443||*.wikipedia.org", "*.wikipedia.org"),
        ("inbound|9080||", None),
        ("inbound|8081|mgmt-8081|mgmtCluster", None),
        ("PassthroughCluster", None),
        ("BlackHoleCluster", None),
        ("sni_cluster", None),
        ("outbound_tunnel_clus_spiffe://cluster.local/ns/default/sa/sleep", None),
        ("httproute/ns/name/rule/0", None),
        ("", None),
    ],
)  # fmt: skip
def test_host_of_cluster(cluster: str, host: str | None) -> None:
    """Only clusters named direction|port|subset|host tell a host."""
    assert columns.host_of_cluster(cluster) == host


@pytest.mark.parametrize(
    ("address", "ip", "port"),
    [
        ("151.101.193.67:80", "151.101.193.67", "80"),
        ("[2a00:8a00::1]:443", "2a00:8a00::1", "443"),
        ("[2A00:8a00:0::1]:443", "2a00:8a00::1", "443"),
        ("tcp://10.0.2.1:80", "10.0.2.1", "80"),
        ("[::ffff:1.2.3.4]:80", "1.2.3.4", "80"),
        ("256.1.1.1:80", None, "80"),
        ("10.0.0.1", "10.0.0.1", None),
        ("127.0.0.1:0", "127.0.0.1", "0"),
        ("envoy://sni_listener/", None, None),
        ("envoy://connect_originate/10.244.0.32:9080", None, None),
        ("/var/run/some.sock", None, None),
        ("xx.xx.xx.xx:443", None, "443"),
        ("", None, None),
    ],
)
def test_addresses(address: str, ip: str | None, port: str | None) -> None:
    """IPs of both versions and of old URLs; internal listeners, sockets and masked addresses have none."""
    assert (columns.ip_of(address), columns.port_of(address)) == (ip, port)
