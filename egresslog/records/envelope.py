"""What transports put around a line, and how to tell the proxy's own messages.

Shapes: docs/access-log-formats.md, 9 and 10 (kubectl `pkg/cmd/logs`, stern's default template, the CRI log format,
Docker's json-file driver). Envelopes nest: `docker compose logs -t`, a prefix and a timestamp of kubectl.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from egresslog.records.stores import message_of
from egresslog.records.surrogates import byte_offset

# RFC 3339, up to nine digits, as Kubernetes prints it.
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
# Possessive, as a repeat that may go back keeps 30 bytes and more for each color.
_COLOR = r"(?:\x1b\[[0-9;]*+m)*+"
_NAME = r"[A-Za-z0-9][\w.-]{0,252}"

#: Envelopes of no known shape, and those that the user named.
UNKNOWN_PREFIX, UNKNOWN_OBJECT, UNKNOWN_ROW = "unknown prefix", "unknown object", "unknown row"
NAMED_PREFIX, NAMED_FIELD = "--prefix", "--field"

#: Name -> what stands before the message. Order matters: a CRI line begins as one with a time stamp does.
PREFIXES = {
    "cri": rf"{_TIME} (?:stdout|stderr) F(?::[^ ]*)? ",
    "logcli": rf'{_TIME} \{{(?:\w{{1,256}}="(?:[^"\\]|\\.){{0,1024}}+"(?:, )?){{0,64}}\}} (?=\[\d{{4}}-|\{{")',
    "aws logs tail": rf'{_TIME} [\w./:@$-]{{1,512}} (?=\[\d{{4}}-|\{{")',
    "aws logs tail --format short": r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d (?=\[\d{4}-|\{")',
    "fluentd": rf"{_TIME}\t[^\t]{{1,512}}\t(?=\{{)",
    "Grafana": rf'{_TIME}\t(?=\[\d{{4}}-|\{{")',
    "kubectl --timestamps": rf"{_TIME} ",
    "kubectl --prefix": r"\[pod/[^/\]\s]{1,253}/[^/\]\s]{1,253}\] ",
    "stern": rf"(?:{_COLOR}{_NAME}{_COLOR} ){{2,3}}(?=\[|\{{|{_TIME}[ \t])",
    "docker compose": rf"{_COLOR}{_NAME} *\| {_COLOR}(?:{_TIME} )?",
    "ambassador": r"ACCESS (?=[\[{])",
}
#: Name -> how people read it.
DESCRIPTIONS = {
    "cri": "with a CRI prefix",
    "kubectl --timestamps": "with a kubectl timestamp prefix",
    "kubectl --prefix": "with a kubectl pod prefix",
    "stern": "with a stern prefix",
    "docker compose": "with a Docker Compose prefix",
    "ambassador": "with an Ambassador prefix",
    "logcli": "with a logcli prefix",
    "aws logs tail": "with a prefix of aws logs tail",
    "aws logs tail --format short": "with a prefix of aws logs tail",
    "fluentd": "with a prefix of fluentd's out_file",
    "Grafana": "with a Grafana prefix",
    "escaped": "with escaped quotes",
    "csv": "in CSV rows",
    NAMED_PREFIX: "with the prefix of --prefix",
    NAMED_FIELD: "in the field of --field",
    UNKNOWN_PREFIX: "behind a prefix of no known shape",
    UNKNOWN_OBJECT: "in JSON objects of no known shape",
    UNKNOWN_ROW: "in CSV rows without a known header",
}
_PREFIXES = {name: re.compile(source, re.ASCII) for name, source in PREFIXES.items()}
_CRI = re.compile(rf"{_TIME} (stdout|stderr) ([FP])(?::[^ ]*)?(?: |\Z)", re.ASCII)
_DOCKER = {"log", "stream", "time", "attrs"}
_STREAMS = ("stdout", "stderr")
_DOCKER_PART = 16 * 1024  # Docker's json-file driver cuts a line into parts of this many bytes

_LEVEL = r"(?:trace|debug|info|warn|warning|error|err|critical|fatal|panic|none|off)"
_OTHER = re.compile(
    rf"(?:{_TIME}\s+{_LEVEL}(?:\s|\Z)"  # the agent, and Envoy under it
    r"|(?:\[Envoy \(Epoch \d+\)\] )?\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]\["  # Envoy itself, Istio up to 1.4
    r"|[IWEF]\d{4} \d\d:\d\d:\d\d"  # glog, older agents
    r"|\[libprotobuf "
    r"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?:https?://|Common labels: |Ignoring labels: )"  # logcli's header
    r"|Defaulted container |Found \d+ pods?, using |failed to try resolving symlinks|unable to retrieve container logs"
    r"|rpc error: code = |[-+] \S+ \u203a \S+)",  # what kubectl, the kubelet and stern (`+ pod > container`) say
    re.ASCII,
)
_ACCESS = re.compile(
    r'\[?\d{4}-\d\d-\d\dT|.*?(?:" "|HTTP/\d(?:\.\d)?" |"- - -"|(?:in|out)bound(?:-vip)?\|\d*\||'
    r"(?:Passthrough|BlackHole)Cluster|dst\.addr=)",
    re.ASCII,
)

# A record inside a message: Envoy's text (its start and what follows), its JSON (perhaps as a string in JSON).
_ENVOY_RECORD = re.compile(
    rf'\[{_TIME}\] (?:\\*"[^"]{{0,200}} [^"]{{0,200}} |[-\w,]{{1,80}} \d)|\bupstream_(?:host|cluster)\\*"\s{{0,8}}:',
    re.ASCII,
)
_ZTUNNEL_RECORD = re.compile(r"\baccess\s{1,8}connection \w{1,20}\s{1,8}(?:src|dst)\.")

# The agent's configuration (YAML), Envoy's headers (`':path', '/'`), a stack trace of Go.
_CONTINUATION = re.compile(
    r"(?:[ \t']|[]})]+,?\Z|- |[A-Za-z_][\w./-]*:(?:\s|\Z)"
    r"|goroutine \d|created by |[\w./*()-]{1,200}\([^|\"]{0,200}\)\Z)",
    re.ASCII,
)


class Envelope(NamedTuple):
    """A line without one envelope.

    Attributes:
        name: of the envelope.
        message: what is in it: text, or a JSON object.
        stream: the stream it is of; lines of one are joined where they were cut.
        partial: more of the same line follows in its stream.
        known: whether the envelope is one of a known store, collector or tool, or named by the user. What is in another
            may accuse and proves nothing.
    """

    name: str
    message: str | dict[str, Any]
    stream: str = ""
    partial: bool = False
    known: bool = True


def describe(name: str) -> str:
    """How people read an envelope's name."""
    return DESCRIPTIONS.get(name) or f"in JSON objects of {name}"


def unwrap(line: str) -> Envelope | None:
    """Takes one envelope off a line that is not JSON."""
    if found := _CRI.match(line):
        return Envelope("cri", line[found.end() :], found[1], partial=found[2] == "P")
    for name, pattern in _PREFIXES.items():
        if found := pattern.match(line):
            return Envelope(name, line[found.end() :])
    return None


def unwrap_object(value: dict[str, Any]) -> Envelope | None:
    """Takes the message out of the object of a known store."""
    found = message_of(value)
    if found is None:
        return None
    name, message = found
    if not isinstance(message, str):
        return Envelope(name, message) if isinstance(message, dict) else None
    stream, cut = value.get("stream"), False
    if name == "Docker" and "time" in value:
        cut = not message.endswith("\n") and len(message.encode("utf-8", "surrogatepass")) >= _DOCKER_PART
    return Envelope(name, message.removesuffix("\n"), stream if stream in _STREAMS else "", partial=cut)


def is_other(line: str) -> bool:
    """Whether a line is the proxy's own message, or one of the tool that fetched the log."""
    return not line.strip() or _OTHER.match(line) is not None


def access_mark(line: str) -> str:
    """Why a message of the proxy's is not passed over: it holds an access-log record that is not read; "" if none."""
    if _ZTUNNEL_RECORD.search(line):
        return "a line of ztunnel's access log, which egresslog does not read, at byte 0"
    if found := _ENVOY_RECORD.search(line):
        return f"an access-log line inside another message at byte {byte_offset(line, found.start())}"
    return ""


def access_mark_of_object(found: dict[str, Any]) -> str:
    """As ``access_mark``, of a JSON message of the agent or ztunnel."""
    if found.get("scope") == "access" or {"src.addr", "dst.addr"} & found.keys():
        return "a line of ztunnel's access log, which egresslog does not read, at byte 0"
    if {"upstream_host", "upstream_cluster"} & found.keys():
        return "an access-log record inside another message at byte 0"
    texts = (value for value in found.values() if isinstance(value, str))
    return "an access-log line inside another message at byte 0" if any(map(access_mark, texts)) else ""


def is_other_object(found: dict[str, Any]) -> bool:
    """Whether a JSON line is a message of the agent (`logAsJson`), of ztunnel or of Mixer."""
    first = next(iter(found), "")  # their own writes the level first; what a client adds to a text log comes later
    return first == "level" and bool({"msg", "message", "time", "scope"} & found.keys())


def continues(line: str) -> bool:
    """Whether a line without mark, after the proxy's own message, is its continuation and no broken record."""
    return _CONTINUATION.match(line) is not None and _ACCESS.match(line) is None
