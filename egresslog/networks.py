"""Addresses and CIDRs as people type them, and which addresses lie outside the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
        "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "2001:2::/48", "fc00::/7", "fe80::/10",
        "ff00::/8",
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


def is_private(entry: Network) -> bool:
    """Whether all its addresses are of ranges that clusters use, and of no server outside."""
    return any(_is_within(entry, known) for known in _INSIDE)


def _is_within(entry: Network, other: Network) -> bool:
    if isinstance(entry, IPv4Network) and isinstance(other, IPv4Network):
        return entry.subnet_of(other)
    return isinstance(entry, IPv6Network) and isinstance(other, IPv6Network) and entry.subnet_of(other)


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this host's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def networks(texts: str | Iterable[str], option: str) -> tuple[Network, ...]:
    """Addresses and CIDRs that were given for ``option``, which takes several, or several in one joined by commas.

    Raises:
        UsageError: one is neither.
    """
    values = [texts] if isinstance(texts, str) else list(texts)
    return tuple(network(part.strip(), option) for text in values for part in text.split(","))


def external_test(external: Sequence[Network] = (), internal: Sequence[Network] = ()) -> Callable[[str], bool]:
    """A test whether an IP lies outside the cluster: CIDRs in ``external`` do, those in ``internal`` do not.

    Raises:
        UsageError: a CIDR is in both.
    """
    for one in external:
        for other in internal:
            if one.overlaps(other):  # never if one is IPv4 and the other IPv6
                raise UsageError(f"--external {one} and --internal {other} overlap: give ranges that do not")
    outside, within, private = inside(external), inside(internal), inside(_INSIDE)
    return lru_cache(_REMEMBERED)(lambda ip: outside(ip) or not (within(ip) or private(ip)))
