"""The tools that send a probe's request: their arguments, and what they report about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

from egresslog.records.batch import ip_of
from egresslog.sources.cluster.exec import CommandResult
from egresslog.sources.messages import one_line

_PORT = 65535
_CODE = re.compile(rb"^ *HTTP/[\d.]+ (\d{3})|server returned error: HTTP/[\d.]+ (\d{3})", re.MULTILINE)
_REFUSED_OPTION = re.compile(rb"(unrecognized|unknown|invalid|illegal) option")
_SIGNALS = 128  # an exit code above is a signal's

# curl's exit codes in words (its manual); the others speak for themselves by what curl prints.
_CURL: Mapping[int, str] = {
    1: "this curl does not support the protocol",
    5: "the name of the pod's proxy cannot be resolved",
    6: "the name cannot be resolved",
    7: "the connection is refused, or there is no route",
    16: "HTTP/2 failed",
    18: "the response ended early",
    28: "the request timed out",
    35: "the TLS handshake failed",
    51: "the server's certificate is for another name",
    52: "the connection was closed without a response",
    55: "the request could not be sent",
    56: "the connection broke",
    60: "the server's certificate is not trusted in this image",
    77: "the image's CA certificates cannot be read",
    91: "the server's certificate status is not valid",
    92: "HTTP/2 failed",
    97: "the pod's proxy refused",
}
# GNU wget has one exit code for all that happens in a network, and busybox one for everything: what they print tells.
_WGET: Mapping[str, str] = {
    r"not an http": _CURL[1],
    r"bad address|unable to resolve|name or service not known|name resolution": _CURL[6],
    r"connection refused|no route|unreachable": _CURL[7],
    r"timed out|timeout": _CURL[28],
    r"certificate": _CURL[60],
    r"ssl|tls": _CURL[35],
    r"error getting response|no data received|end of file": _CURL[52],
    r"reset by peer|read error": _CURL[56],
}
_NOTE = re.compile(rb"^wget: note: .*\n?", re.MULTILINE)  # busybox: certificates are not validated


class ToolOutcome(NamedTuple):
    """What a tool reports: addresses, the response's status, and what went wrong."""

    client: str | None
    server: str | None
    code: int | None
    error: str


def commands(url: str, marker: str, timeout: float) -> tuple[tuple[str, ...], ...]:
    """The commands to try until one exists and knows its options: curl, GNU wget, busybox, older busybox.

    A command that refuses its options has sent no request. The URL is an option's argument, or stands behind ``--``.
    """
    seconds = str(max(1, ceil(timeout)))
    report = f"\\n{marker}|%{{http_code}}|%{{local_ip}}|%{{local_port}}|%{{remote_ip}}|%{{remote_port}}|\\n"
    # -q, which must be the first: no .curlrc; -g: brackets in the URL are no patterns. -t: GNU wget tries 20 times;
    # --no-hsts: what it learned of a host would turn http into https, and a file be left in the container.
    curl = (
        "curl", "-q", "-g", "-sS", "-o", "/dev/null", "-A", marker, "--max-time", seconds, "-w", report, "--url", url
    )  # fmt: skip
    wget = ("-O", "/dev/null", "-T", seconds, "-t", "1", "-U", marker, "--", url)
    # With -q, GNU wget prints no errors; busybox prints them.
    gnu = ("wget", "-nv", "-S", "--no-config", "--no-hsts", "--max-redirect=0", *wget)
    return curl, gnu, ("wget", "-q", "-S", *wget), ("wget", "-q", *wget)


def refuses_options(result: CommandResult) -> bool:
    """Whether it is another wget, which has sent nothing."""
    return result.command[0] == "wget" and bool(result.code) and bool(_REFUSED_OPTION.search(result.stderr))


def outcome(result: CommandResult, marker: str) -> ToolOutcome:
    """What a tool's output says about the request."""
    return _curl_outcome(result, marker) if result.command[0] == "curl" else _wget_outcome(result)


def _curl_outcome(result: CommandResult, marker: str) -> ToolOutcome:
    line = rf"^{re.escape(marker)}\|(\d{{3}})\|([^|\n]*)\|(\d{{0,5}})\|([^|\n]*)\|(\d{{0,5}})\|$"
    reports = re.findall(line.encode(), result.stdout, re.MULTILINE)
    if not reports:
        output = result.problem or one_line(result.stderr or result.stdout, 200) or "no output"
        return ToolOutcome(None, None, None, f"curl did not report the result: {output}")
    code, *ends = (field.decode("ascii", "replace") for field in reports[-1])
    error = result.problem
    if result.code:
        meaning = _CURL.get(result.code) or _exit_text(result.code)
        error = f"{meaning} ({one_line(result.stderr, 200) or f'curl: ({result.code})'})"
    return ToolOutcome(_address(ends[0], ends[1]), _address(ends[2], ends[3]), int(code) or None, error)


def _wget_outcome(result: CommandResult) -> ToolOutcome:
    """Wget reports no addresses."""
    match = _CODE.search(result.stderr)
    code = int(match[1] or match[2]) if match else None
    if code is not None or result.code == 0:
        return ToolOutcome(None, None, code, "")
    if result.code is None:
        return ToolOutcome(None, None, None, result.problem)
    output = one_line(_NOTE.sub(b"", result.stderr), 200)
    meanings = (meaning for pattern, meaning in _WGET.items() if re.search(pattern, output, re.IGNORECASE))
    meaning = next(meanings, _exit_text(result.code))
    return ToolOutcome(None, None, None, f"{meaning} ({output or 'wget printed nothing'})")


def _exit_text(code: int) -> str:
    return f"terminated by signal {code - _SIGNALS}" if code > _SIGNALS else f"exit code {code}"


def _address(ip: str, port: str) -> str | None:
    """``ip:port`` as Envoy prints it."""
    address = ip_of(f"[{ip}]")
    if address is None or not port or not 0 < int(port) <= _PORT:
        return None
    return f"[{address}]:{int(port)}" if ":" in address else f"{address}:{int(port)}"
