"""Bypasses that clients try to hide: lines with forged headers and SNIs, and how many of them verify does not see.

Each host has a pair that proves it and one line past the gateway, into which its client (or the outside server) wrote
what may change how the line is read: templates, and random pieces of real lines. A bypass is *hidden* if its host is
PROVEN and verify says nothing of it: no finding of the host beside the proof, and the line is not among the unreadable
lines that may be about the host.

``python -m tests.forging --lines 5000000`` prints the figures and each hidden line.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import egresslog
from egresslog import Verdict, formats

from .lines import ARTICLE, GATEWAY, GATEWAY_SERVICE, JSON, TEXT, from_gateway, to_gateway
from .rendering import OPERATORS

HOSTS = 2000
_TO_GATEWAY = f"outbound|443|cnn|{GATEWAY_SERVICE}"
_HEADERS = ("path", "x_forwarded_for", "user_agent", "request_id", "upstream_service_time")
_ABSENT = dict.fromkeys(OPERATORS.values())
_REAL = [ARTICLE, TEXT, *(sample.line for log_format in formats() for sample in log_format.samples)]
_TOKENS = [token for line in _REAL for token in re.findall(r'" "|[" ]|[^" ]+', line)]

#: What makes a line look like another one: an older format's head, another request, the whole end of a line, a refusal.
TEMPLATES = [
    *(
        f'z HTTP/1.1" {code} {flags} {middle}{numbers} - "a" "b'
        for code, flags in ((503, "UF"), (200, "-"), (0, "NR"), (403, "-"))
        for middle in ("", '"-" ', '"-" "-" ', '- - "-" ', 'rbac_access_denied - "-" ', 'direct_response - "-" ')
        for numbers in ("0 0 0", "0 500 5", "- - -")
    ),
    f'x" "r" "e.com" "{GATEWAY}:8443" {_TO_GATEWAY} 10.9.9.9:1 {GATEWAY}:8443 10.9.9.9:2 e.com -',
    f'x" "{GATEWAY}:8443" {_TO_GATEWAY} 10.9.9.9:1 {GATEWAY}:8443 10.9.9.9:2',
    f'x" "{GATEWAY}:8443" inbound|80||x 10.9.9.9:1 {GATEWAY}:8443 10.9.9.9:2 - block_all',
    'x" "-" BlackHoleCluster - 1.1.1.1:443 10.9.9.9:2 - block_all',
    'x" "-" - - 1.1.1.1:443 10.9.9.9:2 -',
    '- HTTP/1.1" 502 - direct_response - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 1.1.1.1:80 10.9.9.9:2 - block_all',
    'a" "b', '"', '" "', "-", "- block_all", "x block_all", 'x" y', '1 "x', '"x" y', "\t", "x\ty", "",
    f'x","upstream_host":"{GATEWAY}:8443","upstream_cluster":"{_TO_GATEWAY}","z":"y',
    f'x", "upstream_host": "{GATEWAY}:8443", "response_flags": "UF", "response_code": 503, "z": "y',
    'x","upstream_cluster":"inbound|80||x","upstream_host":"10.1.1.1:80","z":"y',
    'x","level":"info","msg":"y', 'x","log":"y', 'x"y', "x\\", '\\","z":"y',
]  # fmt: skip


class Bypass(NamedTuple):
    """One host with the line past the gateway."""

    host: str
    address: str
    style: str
    line: str


def _value(chance: Random) -> str:
    """What somebody writes into a header."""
    if chance.random() < 0.4:
        return chance.choice(TEMPLATES)
    if chance.random() < 0.5:
        start = chance.randrange(len(_TOKENS))
        return "".join(_TOKENS[start : start + chance.randrange(1, 40)])
    return "".join(chance.choice(_TOKENS) + chance.choice(("", " ", '"')) for _ in range(chance.randrange(1, 12)))


def _record(chance: Random, number: int, host: str, pod: str) -> dict[str, object]:
    """A request or connection past the gateway, with one to three forged values."""
    outside = f"151.{number >> 16 & 127}.{number >> 8 & 255}.{number & 255}"
    record: dict[str, object] = _ABSENT | {
        "start_time": f"2026-11-01T12:{number // 60 % 60:02}:{number % 60:02}.000Z", "response_code": 0,
        "bytes_received": 700, "bytes_sent": 5000, "duration": 9, "upstream_host": f"{outside}:443",
        "upstream_cluster": chance.choice(("PassthroughCluster", f"outbound|443||{host}")),
        "upstream_local_address": f"{pod}:41000", "downstream_local_address": f"{outside}:443",
        "downstream_remote_address": f"{pod}:51000",
    }  # fmt: skip
    if chance.random() < 0.25:
        forged = _value(chance)
        return record | {"requested_server_name": chance.choice((f"{host}{forged}", f"{forged} {host}", forged))[:255]}
    record |= {
        "method": "GET", "path": "/", "protocol": "HTTP/1.1", "response_code": 200, "bytes_received": 0,
        "response_code_details": "via_upstream", "user_agent": "curl/8", "request_id": "r", "authority": host,
        "upstream_service_time": "5", "route_name": "allow_any",
    }  # fmt: skip
    for name in chance.sample(_HEADERS, chance.choice((1, 1, 1, 2, 3))):
        record[name] = _value(chance) if name != "path" else f"/{_value(chance)}"
    return record


def _text(source: str) -> Callable[[Mapping[str, object]], str]:
    """Prints lines of a format string: as ``rendering.render``, prepared once."""
    pieces = re.split(r"%([A-Z_]+(?:\([^)]*\))?)%", source.strip("\n"))
    literals, columns = pieces[::2], [OPERATORS[operator] for operator in pieces[1::2]]

    def render(record: Mapping[str, object]) -> str:
        values = (record[column] for column in columns)
        shown = ["-" if value is None else str(value) for value in values]
        return literals[0] + "".join(value + literal for value, literal in zip(shown, literals[1:], strict=True))

    return render


def shaped(chance: Random) -> str:
    """A TEXT format that looks like Istio's JSON: its keys in any order, with or without blanks."""
    keys = list(json.loads(JSON))
    chance.shuffle(keys)
    operators = {column: operator for operator, column in OPERATORS.items() if operator != "UPSTREAM_CLUSTER"}
    colon, comma = chance.choice(((":", ","), (": ", ", ")))
    return "{" + comma.join(f'"{key}"{colon}"%{operators[key]}%"' for key in keys) + "}"


class Style(NamedTuple):
    """How lines are printed."""

    name: str
    source: str


def styles(chance: Random) -> list[Style]:
    """All text formats of the catalogue with a cluster or an upstream, and formats that look like JSON."""
    texts = [Style(made.name, made.source) for made in formats() if made.text and isinstance(made.source, str)]
    looks = [Style("JSON-shaped text", shaped(chance)) for _ in range(4)]
    return [*texts, *looks]


def bypasses(chance: Random, number: int) -> Iterator[Bypass]:
    """Lines past the gateway, each of a host of its own."""
    ways = [(style, _text(style.source)) for style in styles(chance)]
    for at in range(number):
        style, render = chance.choice(ways)
        record = _record(chance, at, f"h{at}.example.com", _pod(at))
        if style.name.endswith("-tcp") or "METHOD" not in style.source:
            record |= dict.fromkeys(("method", "path", "protocol", *_HEADERS, "authority", "route_name"))
            record |= {"requested_server_name": f"h{at}.example.com{_value(chance)}"[:255]}
        address = str(record["upstream_host"]).removesuffix(":443")
        yield Bypass(f"h{at}.example.com", address, style.name, render(record).replace("\n", " "))


def _pod(number: int) -> str:
    return f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def hidden(chance: Random, number: int, folder: Path, counts: Counter[str]) -> list[Bypass]:
    """Runs verify over ``number`` hosts in one call: the bypasses that it does not see."""
    tried = list(bypasses(chance, number))
    gateway, sidecar = folder / "gateway.log", folder / "sidecar.log"
    pairs: list[dict[str, Any]] = [
        {"when": at % 3000, "port": 40000 + at % 20000, "host": bypass.host, "pod": _pod(at)}
        for at, bypass in enumerate(tried)
    ]
    # Also a nameless connection to the address is the host's, and no host shares one with another.
    ends = [f"{bypass.address}:443" for bypass in tried]
    gateway.write_text(
        "".join(from_gateway(**pair, upstream=end) + "\n" for pair, end in zip(pairs, ends, strict=True))
    )
    sidecar.write_text(
        "".join(
            f"{to_gateway(**pair, downstream_local=end)}\n{bypass.line}\n"
            for pair, end, bypass in zip(pairs, ends, tried, strict=True)
        ),
        encoding="utf-8",
        newline="",
    )
    hosts = [bypass.host for bypass in tried]
    verification = egresslog.verify(hosts, gateway=egresslog.read(gateway), sidecars=egresslog.read(sidecar))
    # A host of its own finding, or the very line among those that could not be read and mention it (EGL175).
    query = "SELECT DISTINCT host FROM host_findings WHERE finding <> 'paired-proof'"
    accused = {host for (host,) in verification.connection.execute(query).fetchall()}
    query = "SELECT host, line_number FROM unreadable_mentions WHERE hop = 'sidecar'"
    mentions = set(verification.connection.execute(query).fetchall())
    unseen = []
    for at, (verdict, bypass) in enumerate(zip(verification, tried, strict=True)):
        counts[verdict.verdict.value] += 1
        if verdict.verdict is Verdict.PROVEN:
            kind = "hidden"
            if bypass.host in accused:
                kind = "with a finding"
            elif not mentions.isdisjoint({(bypass.host, 2 * at + 2), (None, 2 * at + 2)}):
                kind = "with its unreadable line"
            counts[f"PROVEN {kind}"] += 1
            if kind == "hidden":
                unseen.append(bypass)
    counts["lines"] += number
    verification.close()
    return unseen


def main() -> int:
    """Runs until there were so many lines, or so many seconds; 1 if a bypass was hidden."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--lines", type=int, default=5_000_000)
    options.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    counts: Counter[str] = Counter()
    end = time.monotonic() + given.seconds
    with tempfile.TemporaryDirectory() as folder:
        for run in range(-(-given.lines // HOSTS)):
            if time.monotonic() > end:
                break
            for bypass in hidden(Random(f"{given.seed} {run}"), HOSTS, Path(folder), counts):
                print(f"{bypass.style}: {bypass.line!r}")  # noqa: T201
    print(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))  # noqa: T201
    return int(counts["PROVEN hidden"] > 0)


if __name__ == "__main__":
    sys.exit(main())
