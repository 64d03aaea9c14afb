"""One request from a workload, as Istio's task makes it: curl, else wget, in the application's own container.

Only ever because somebody asked for it. Nothing goes through a shell, no redirect is followed where the tool can be
told so, and the request carries a marker by which ``locate`` finds its lines.
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from egresslog.errors import ClusterError, UsageError
from egresslog.filters import host_pattern
from egresslog.live.diagnosis import with_roles
from egresslog.live.probe.tools import commands, outcome, refuses_options
from egresslog.mesh.rights import role
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.exec import execute
from egresslog.sources.cluster.pod_schema import Pod
from egresslog.sources.cluster.pods import PROXY, Container, choose_container
from egresslog.sources.messages import one_line

_DEFAULT = "kubectl.kubernetes.io/default-container"  # Istio's injector sets it, too
_START = 15.0  # seconds that it may take until a command runs, beside its own time
# Not what tools take for a number, and so for an IP: 1.2.3, 0x7f.1.
_NAME = re.compile(r"(?!.*\.\.)(?!(.*\.)?(\d+|0x[0-9a-f]*)$)[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", re.ASCII)
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")  # RFC 3986
_CREDENTIALS = re.compile(r"[^/?#]*//[^/?#]*@")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Probe:
    """A request that was made, or tried.

    Attributes:
        host, port: of the URL.
        pod: the application's container that it came from.
        tool: ``curl`` or ``wget``.
        at_ns, until_ns: our clock before and after.
        client_address: ``10.244.1.15:45848``, where the connection came from; None if the tool does not tell.
        server_address: where the client believed to connect to, likewise.
        code: the answer's HTTP status, None without one. Any is an answer, and no error.
        error: why there was no whole answer; "" if there was.
        marker: the User-Agent, which no other request has by chance.
    """

    url: str
    host: str
    port: int
    pod: Container
    tool: str
    at_ns: int
    until_ns: int
    client_address: str | None
    server_address: str | None
    code: int | None
    error: str
    marker: str


def send_request(cluster: Cluster, container: Container, url: str, *, timeout: float = 10.0) -> Probe:
    """Sends one request from a container.

    Args:
        cluster: where.
        container: see ``application``.
        url: see ``url_of``.
        timeout: seconds that the request may take; whole ones, since busybox knows no others.

    Raises:
        ClusterError: the command cannot be run: no right to, no such pod, neither curl nor wget in the image.
    """
    marker = f"egresslog-probe/{secrets.token_hex(8)}"
    tools = commands(url, marker, timeout)
    missing = ""
    for place, command in enumerate(tools, 1):
        if command[0] == missing:
            continue
        at = time.time_ns()
        try:
            result = execute(cluster, container, command, timeout=timeout + _START)
        except ClusterError as error:
            raise _explained(error, container) from None
        until = time.time_ns()
        if result.missing:
            missing = command[0]
        elif result.ended and result.code is None:
            raise ClusterError(container.origin, f"{command[0]} could not be run: {result.problem}")
        elif place == len(tools) or not refuses_options(result):
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
            return Probe(
                url, parts.hostname or "", port, container, command[0], at, until, *outcome(result, marker), marker
            )
    raise ClusterError(container.origin, _without(container, url))


def application(pod: Pod) -> Container | str:
    """The container to send a request from, or why there is none: the pod's default, else its first but the sidecar."""
    meta = pod["metadata"]
    containers = (pod.get("spec") or {}).get("containers") or ()
    names = [container["name"] for container in containers if container["name"] != PROXY]
    here = f"pod {meta['namespace']}/{meta['name']}"
    if not names:
        return f"{here} has no container but {PROXY}: there is nothing to send a request from"
    default = (meta.get("annotations") or {}).get(_DEFAULT)
    container = choose_container(pod, default if default in names else names[0])
    if isinstance(container, Container) and container.state != "running":
        why = " ".join(part for part in (container.reason, container.message) if part)
        return f"{here}: container {container.name} is {container.state}{f' ({one_line(why)})' if why else ''}"
    return container


def url_of(host: str, given: str | None) -> str:
    """The URL to ask for: ``given``, else ``http://HOST/``.

    Raises:
        UsageError: no URL can be made of the host, or the given one is none, or another host's.
    """
    asked = host.strip().lower().removesuffix(".")
    if given is None:
        if "*" in asked or "/" in asked:
            raise UsageError(
                f"{host!r} is no single host to probe: give a URL, such as --probe https://{_example(asked)}/"
            )
        return f"http://{_netloc(asked, repr(host))}/"
    if _CREDENTIALS.match(given):
        raise UsageError("not a URL to probe: it holds credentials, which would end up in logs (leave them out)")
    shown = repr(given)
    if not _URL.fullmatch(given):
        raise UsageError(f"not a URL to probe: {shown} (percent-encode blanks, quotes and what is not ASCII)")
    try:
        parts = urlsplit(given)
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"not a URL to probe: {shown} ({error})") from None
    if parts.scheme not in _PORTS:
        raise UsageError(f"not a URL to probe: {shown} (give http://... or https://...)")
    if port == 0:
        raise UsageError(f"not a URL to probe: {shown} (port 0)")
    netloc = _netloc(name.removesuffix("."), shown) + (f":{port}" if port else "")
    if not _is_about(asked, name.removesuffix(".")):
        raise UsageError(f"{shown} is not about {host}: give a URL of that host, or ask about {name}")
    return f"{parts.scheme}://{netloc}{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _netloc(name: str, shown: str) -> str:
    """A host as it stands in a URL."""
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        if _NAME.fullmatch(name):
            return name
        raise UsageError(
            f"not a host to probe: {shown} (give edition.cnn.com or an IP; a port goes into a URL)"
        ) from None
    return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004


def _is_about(asked: str, name: str) -> bool:
    """Whether a URL's host is the one that the verdict is about, as far as a name tells."""
    try:
        network = ip_network(asked.strip("[]"), strict=False)
    except ValueError:
        return host_pattern(asked)(name)
    try:
        return ip_address(name) in network
    except ValueError:
        return True  # where a name leads to is known in the pod


def _example(asked: str) -> str:
    """A host that a wildcard or CIDR could mean."""
    return f"www.{asked[2:]}" if asked.startswith("*.") and _NAME.fullmatch(asked[2:]) else "HOST"


def _explained(error: ClusterError, container: Container) -> ClusterError:
    """The error with the Role that is missing, if it is rights that are."""
    if error.status != HTTPStatus.FORBIDDEN:
        return error
    return with_roles(error, role(container.namespace, sidecars=False, probe=True, static=False))


def _without(container: Container, url: str) -> str:
    pod = f"-n {container.namespace} {container.pod}"
    return (
        "the image has neither curl nor wget. Probe from a pod that has one: Istio's sample is --from "
        f"{container.namespace}/curl after kubectl apply -n {container.namespace} -f samples/curl/curl.yaml (older "
        "releases: sleep). Or make the request by hand and verify without --probe: "
        f"kubectl debug {pod} -it --image=curlimages/curl -- curl -sS {shlex.quote(url)}"
    )
