"""Addresses and CIDRs as people type them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from egresslog.errors import UsageError

Network = IPv4Network | IPv6Network


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
    wanted = tuple(networks)

    def test(text: str) -> bool:
        address = ip_address(text)
        return any(address in one for one in wanted)

    return test
