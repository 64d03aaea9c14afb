"""A certificate authority for one server."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_NEW = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
# What strict verifiers (Python 3.13) ask of an authority.
_AUTHORITY = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
_SERVER = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"]


def make_context(directory: Path) -> ssl.SSLContext:
    """A server's side of TLS; `ca.crt` in the directory verifies it."""
    authority, key = directory / "ca.crt", directory / "ca.key"
    _openssl("kubernetes", authority, key, *_AUTHORITY)
    certificate, own_key = directory / "server.crt", directory / "server.key"
    _openssl("kube-apiserver", certificate, own_key, "-CA", str(authority), "-CAkey", str(key), *_SERVER)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, own_key)
    # HTTP/2 is the real server's first choice; clients take what is offered.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _openssl(name: str, certificate: Path, key: Path, *options: str) -> None:
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*_NEW.split(), "-subj", f"/CN={name}", *options, *files], check=True, capture_output=True)
