"""What is asked about: hosts, wildcards, addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from typing import Self

from egresslog.errors import UsageError
from egresslog.filters import host_pattern
from egresslog.networks import Network, inside

_NAME = re.compile(r"[a-z0-9_*]([a-z0-9_*-]*[a-z0-9_*])?(\.[a-z0-9_*]([a-z0-9_*-]*[a-z0-9_*])?)*", re.ASCII)
_WHOLE = 128  # bits of one IPv6 address
_LONGEST = 253  # RFC 1035: characters of a name


@dataclass(frozen=True)
class AskedHost:
    """One host as it was asked for: a name, a pattern, or addresses."""

    text: str
    network: Network | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``edition.cnn.com``, ``*.wikipedia.org``, ``*cnn*``, ``151.101.1.67`` or ``151.101.0.0/16``.

        Raises:
            UsageError: none of these, with what would do.
        """
        host = text.strip().lower().removesuffix(".")
        try:
            network = ip_network(host.strip("[]"), strict=False)
            mapped = getattr(network.network_address, "ipv4_mapped", None) if network.prefixlen == _WHOLE else None
            return cls(host, ip_network(mapped) if mapped else network)  # as batch.ip_of reads it in a log
        except ValueError:
            pass
        if "://" in host or "/" in host or ":" in host:
            raise UsageError(f"not a host: {text!r} (give the name alone, such as {_inside_url(host)!r})")
        if len(host) > _LONGEST or not _NAME.fullmatch(host):
            raise UsageError(f"not a host: {text!r} (give edition.cnn.com, '*.wikipedia.org', an IP or a CIDR)")
        return cls(host)

    @cached_property
    def matches(self) -> Callable[[str], bool]:
        """A test for names, or for IPs if addresses were asked for."""
        return inside((self.network,)) if self.network is not None else host_pattern(self.text)

    @property
    def only(self) -> str | None:
        """The one name or IP that matches; None for a pattern or a range."""
        if self.network is None:
            return None if "*" in self.text else self.text
        return str(self.network.network_address) if self.network.num_addresses == 1 else None

    @property
    def term(self) -> str:
        """What an ambiguous line must contain to be about the host; "" if that says nothing, as of ``*``."""
        return max(self.text.split("*"), key=len)


def asked_hosts(hosts: str | Iterable[str]) -> tuple[AskedHost, ...]:
    """All of them, each once.

    Raises:
        UsageError: as ``AskedHost.parse``.
    """
    texts = [hosts] if isinstance(hosts, str) else list(hosts)
    return tuple(dict.fromkeys(AskedHost.parse(text) for text in texts))


def _inside_url(text: str) -> str:
    return re.split(r"[/:?]", text.partition("://")[2] or text)[0]
