"""Transport sockets: TLS to the outside, and Istio's mutual TLS between sidecar and gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .mesh import GATEWAY_SPIFFE, POD_SPIFFE

if TYPE_CHECKING:
    from pathlib import Path

    from .certificates import Certificates, Identity

_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


def start_tls(sni: str, certificate: Path, name: str) -> dict[str, Any]:
    """Upstream TLS that believes `certificate` if it holds `name`."""
    common = {"validation_context": _trust(certificate, "DNS", name)}
    return _socket("UpstreamTlsContext", {"sni": sni, "common_tls_context": common})


def start_mutual(sni: str, certificates: Certificates) -> dict[str, Any]:
    """The sidecar's half of the hop's TLS."""
    common = _own(certificates.pod) | {
        "validation_context": _trust(certificates.authority.certificate, "URI", GATEWAY_SPIFFE)
    }
    return _socket("UpstreamTlsContext", {"sni": sni, "common_tls_context": common})


def expect_mutual(certificates: Certificates) -> dict[str, Any]:
    """The gateway's half of the hop's TLS.

    Clients first offer another curve, so that the handshake takes two rounds: time enough, also on a busy
    machine, for the gateway to be connected to the outside before a handshake fails.
    """
    common = _own(certificates.gateway) | {
        "tls_params": {"ecdh_curves": ["P-256"]},
        "validation_context": _trust(certificates.authority.certificate, "URI", POD_SPIFFE),
    }
    return _socket("DownstreamTlsContext", {"require_client_certificate": True, "common_tls_context": common})


def _own(identity: Identity) -> dict[str, Any]:
    files = {
        "certificate_chain": {"filename": str(identity.certificate)},
        "private_key": {"filename": str(identity.key)},
    }
    return {"tls_certificates": [files]}


def _trust(certificate: Path, kind: str, name: str) -> dict[str, Any]:
    matcher = {"san_type": kind, "matcher": {"exact": name}}
    return {"trusted_ca": {"filename": str(certificate)}, "match_typed_subject_alt_names": [matcher]}


def _socket(kind: str, context: dict[str, Any]) -> dict[str, Any]:
    typed = {"@type": f"{_TLS}.{kind}", **context}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": typed}}
