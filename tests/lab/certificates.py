"""Self-made certificates: of the outside servers, and of the mesh with an authority of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .mesh import GATEWAY_SPIFFE, POD_SPIFFE

if TYPE_CHECKING:
    from pathlib import Path

OUTSIDE_NAMES = "DNS:*.example.com,DNS:api.github.com,DNS:edition.cnn.com"


class Identity(NamedTuple):
    """A certificate and its key (PEM files)."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """`outside` is self-signed; `authority` is the mesh's and signed `gateway` and `pod`."""

    outside: Identity
    authority: Identity
    gateway: Identity
    pod: Identity


def make_certificates(directory: Path) -> Certificates:
    """Write all certificates of a lab to `directory`."""
    authority = _make(directory, "authority", "DNS:cluster.local")
    return Certificates(
        _make(directory, "outside", OUTSIDE_NAMES),
        authority,
        _make(directory, "gateway", f"URI:{GATEWAY_SPIFFE}", authority),
        _make(directory, "pod", f"URI:{POD_SPIFFE}", authority),
    )


def _make(directory: Path, name: str, alternative_names: str, issuer: Identity | None = None) -> Identity:
    made = Identity(directory / f"{name}.crt", directory / f"{name}.key")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    options = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative_names}"]
    if issuer:
        options += ["-CA", str(issuer.certificate), "-CAkey", str(issuer.key)]
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run([*command.split(), *options, *files], check=True, capture_output=True)
    return made
