"""The tools that make a probe's request: their arguments, and what they tell about it."""

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
    1: "this curl does not know the protocol",
    5: "the name of the pod's proxy is not resolved",
    6: "the name is not resolved",
    7: "the connection is refused, or there is no route",
    16: "HTTP/2 failed",
    18: "the answer ended early",
    28: "it took too long",
    35: "the TLS handshake failed",
    51: "the server's certificate is for another name",
    52: "the connection was closed without an answer",
    55: "the request could not be sent",
    56: "the connection broke off",
    60: "the server's certificate is not trusted in this image",
    77: "the image's CA certificates cannot be read",
    91: "the server's certificate has no valid status",
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


class Told(NamedTuple):
    """What a tool tells: addresses, the answer's status, and what went wrong."""

    client: str | None
    server: str | None
    code: int | None
    error: str


def commands(url: str, marker: str, timeout: float) -> tuple[tuple[str, ...], ...]:
    """The commands to try, until one is there and knows its options: curl, GNU wget, busybox, older busybox.

    Each that refuses its options has made no request. The URL is an option's argument, or stands behind ``--``.
    """
    seconds = str(max(1, ceil(timeout)))
    told = f"\\n{marker}|%{{http_code}}|%{{local_ip}}|%{{local_port}}|%{{remote_ip}}|%{{remote_port}}|\\n"
    # -q, which must be the first: no .curlrc; -g: brackets in the URL are no patterns. -t: GNU wget tries 20 times;
    # --no-hsts: what it learned of a host would turn http into https, and a file be left in the container.
    curl = ("curl", "-q", "-g", "-sS", "-o", "/dev/null", "-A", marker, "--max-time", seconds, "-w", told, "--url", url)
    wget = ("-O", "/dev/null", "-T", seconds, "-t", "1", "-U", marker, "--", url)
    # With -q, GNU wget tells no errors; busybox tells them.
    gnu = ("wget", "-nv", "-S", "--no-config", "--no-hsts", "--max-redirect=0", *wget)
    return curl, gnu, ("wget", "-q", "-S", *wget), ("wget", "-q", *wget)


def refuses_options(done: CommandResult) -> bool:
    """Whether it is another wget, which has done nothing."""
    return done.command[0] == "wget" and bool(done.code) and bool(_REFUSED_OPTION.search(done.stderr))


def told_by(done: CommandResult, marker: str) -> Told:
    """What a command's output says."""
    return _told_by_curl(done, marker) if done.command[0] == "curl" else _told_by_wget(done)


def _told_by_curl(done: CommandResult, marker: str) -> Told:
    line = rf"^{re.escape(marker)}\|(\d{{3}})\|([^|\n]*)\|(\d{{0,5}})\|([^|\n]*)\|(\d{{0,5}})\|$"
    found = re.findall(line.encode(), done.stdout, re.MULTILINE)
    if not found:
        said = done.problem or one_line(done.stderr or done.stdout, 200) or "no output"
        return Told(None, None, None, f"curl did not tell what became of it: {said}")
    code, *ends = (field.decode("ascii", "replace") for field in found[-1])
    error = done.problem
    if done.code:
        words = _CURL.get(done.code) or _ended(done.code)
        error = f"{words} ({one_line(done.stderr, 200) or f'curl: ({done.code})'})"
    return Told(_address(ends[0], ends[1]), _address(ends[2], ends[3]), int(code) or None, error)


def _told_by_wget(done: CommandResult) -> Told:
    """Of addresses, wget tells nothing."""
    found = _CODE.search(done.stderr)
    code = int(found[1] or found[2]) if found else None
    if code is not None or done.code == 0:
        return Told(None, None, code, "")
    if done.code is None:
        return Told(None, None, None, done.problem)
    said = one_line(_NOTE.sub(b"", done.stderr), 200)
    words = next((words for shape, words in _WGET.items() if re.search(shape, said, re.IGNORECASE)), _ended(done.code))
    return Told(None, None, None, f"{words} ({said or 'wget printed nothing'})")


def _ended(code: int) -> str:
    return f"ended by signal {code - _SIGNALS}" if code > _SIGNALS else f"exit code {code}"


def _address(ip: str, port: str) -> str | None:
    """``ip:port`` as Envoy prints it."""
    found = ip_of(f"[{ip}]")
    if found is None or not port or not 0 < int(port) <= _PORT:
        return None
    return f"[{found}]:{int(port)}" if ":" in found else f"{found}:{int(port)}"
