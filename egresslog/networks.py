"""Addresses and CIDRs as people type them, and which addresses lie outside the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from egresslog.errors import UsageError

Network = IPv4Network | IPv6Network

# Not `ipaddress.is_private`, which counts documentation ranges (RFC 5737) among them and not 100.64/10, where GKE, EKS
# and others put pods. 240/4 and 2001:2::/48 hold the VIPs that Istio gives to ServiceEntries without address.
_INSIDE = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "2001:2::/48", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip

_REMEMBERED = 100_000  # scanners make up addresses


def network(text: str, option: str, hint: str = "") -> Network:
    """An address or CIDR that was given for ``option``.

    Raises:
        UsageError: neither; ``hint`` says more.
    """
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f"not an address or CIDR for {option}: {text!r}{hint}") from None


def inside(networks: Iterable[Network]) -> Callable[[str], bool]:
    """A test whether an address lies in one of the networks."""
    candidates = tuple(networks)

    def test(text: str) -> bool:
        address = ip_address(text)
        return any(address in candidate for candidate in candidates)

    return test


def external_test(external: str | Iterable[str] = ()) -> Callable[[str], bool]:
    """A test whether an IP lies outside the cluster; CIDRs in ``external`` do, whatever their range.

    Raises:
        UsageError: not an address or CIDR.
    """
    texts = [external] if isinstance(external, str) else list(external)
    named = inside(network(part.strip(), "--external") for text in texts for part in text.split(","))
    private = inside(_INSIDE)
    return lru_cache(_REMEMBERED)(lambda ip: named(ip) or not private(ip))
