"""What is asked: hosts, wildcards, addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Self

from egresslog.errors import UsageError
from egresslog.networks import Network, inside

_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|\*", re.ASCII)
_WHOLE = 128  # bits of one IPv6 address
_LONGEST = 253  # RFC 1035: characters of a name


@dataclass(frozen=True)
class Question:
    """One host as it was asked for: a name, a wildcard, or addresses."""

    text: str
    network: Network | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``edition.cnn.com``, ``*.wikipedia.org``, ``151.101.1.67`` or ``151.101.0.0/16``.

        Raises:
            UsageError: none of these, with what would do.
        """
        host = text.strip().lower().removesuffix(".")
        try:
            asked = ip_network(host.strip("[]"), strict=False)
            mapped = getattr(asked.network_address, "ipv4_mapped", None) if asked.prefixlen == _WHOLE else None
            return cls(host, ip_network(mapped) if mapped else asked)  # as columns.ip_of reads it in a log
        except ValueError:
            pass
        if "://" in host or "/" in host or ":" in host:
            raise UsageError(f"not a host: {text!r} (give the name alone, such as {_inside_url(host)!r})")
        if len(host) > _LONGEST or not _NAME.fullmatch(host):
            raise UsageError(f"not a host: {text!r} (give edition.cnn.com, '*.wikipedia.org', an IP or a CIDR)")
        return cls(host)

    @property
    def matches(self) -> Callable[[str], bool]:
        """A test for names, or for IPs if addresses were asked for."""
        if self.network is not None:
            return inside((self.network,))
        if self.text == "*":
            return lambda _: True
        if self.text.startswith("*."):  # as in Envoy and Istio: any depth, but not the domain itself
            return lambda name: name.endswith(self.text[1:])
        return lambda name: name == self.text


def questions(hosts: str | Iterable[str]) -> tuple[Question, ...]:
    """All of them, each once.

    Raises:
        UsageError: as ``Question.parse``.
    """
    texts = [hosts] if isinstance(hosts, str) else list(hosts)
    return tuple(dict.fromkeys(Question.parse(text) for text in texts))


def _inside_url(text: str) -> str:
    return re.split(r"[/:?]", text.partition("://")[2] or text)[0]
