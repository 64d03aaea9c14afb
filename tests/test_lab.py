"""What real Envoys write: every line parses, and the three formats of one event give the same record."""

from __future__ import annotations

from typing import Any

from egresslog import formats
from egresslog.records.catalogue import Formats
from egresslog.records.chunk import Chunk, Parsed
from egresslog.records.parser import Parser

from .lab.expected import AMBIGUOUS
from .lab.lab import LabLogs
from .lab.scenarios import SCENARIOS

FORMATS = {"istio": "istio-1.9", "default": "envoy-default", "json": "istio-json-1.9"}


def parse(lines: list[bytes]) -> Parsed:
    return Parser(Formats(formats())).feed(Chunk(b"".join(line + b"\n" for line in lines), "lab"))


def rows(parsed: Parsed) -> list[dict[str, Any]]:
    skip = {"origin", "line_number", "start_time_digits"}
    batch = parsed.batch.set_column(0, "start_time", parsed.batch["start_time"].cast("int64"))
    return [{name: value for name, value in row.items() if name not in skip} for row in batch.to_pylist()]


def test_every_line_is_a_record_of_its_format(lab_logs: LabLogs) -> None:
    """No line of a real Envoy is refused, taken for a message, or for another format."""
    for proxy in lab_logs.proxies:
        for name, wanted in FORMATS.items():
            data = lab_logs.path(proxy, name).read_bytes()
            parsed = Parser(Formats(formats())).feed(Chunk(data, "lab"))
            assert dict(parsed.formats) == {wanted: data.count(b"\n")}, parsed.rejects
            assert parsed.counts.rejected == parsed.counts.other == 0


def test_only_separators_in_a_header_are_ambiguous(lab_logs: LabLogs) -> None:
    """Tabs, bytes, symbols and quotes in real headers are no ambiguity; a separator is, in text only."""
    ambiguous = {
        (scenario.name, name)
        for scenario in SCENARIOS
        for proxy in lab_logs.proxies
        for name in FORMATS
        if parse(lab_logs.lines(scenario.name, proxy, name)).counts.ambiguous
    }
    assert ambiguous == {(scenario, name) for scenario in AMBIGUOUS for name in ("istio", "default")}


def test_three_formats_of_one_event_are_one_record(lab_logs: LabLogs) -> None:
    """Istio text = Istio JSON; Envoy's default text = the columns it has of them."""
    compared = 0
    for scenario in SCENARIOS:
        if scenario.name in AMBIGUOUS:
            continue
        for proxy in lab_logs.proxies:
            found = {name: rows(parse(lab_logs.lines(scenario.name, proxy, name))) for name in FORMATS}
            key = ("start_time", "path", "downstream_remote_address")
            text = sorted(found["istio"], key=lambda row: [str(row[name]) for name in key])
            made = sorted(found["json"], key=lambda row: [str(row[name]) for name in key])
            assert text == made, scenario.name
            default = {column.name for column in next(f for f in formats() if f.name == "envoy-default").columns}
            for row in found["default"]:
                short = {name: value for name, value in row.items() if name in default}
                assert any(short == {name: other[name] for name in default} for other in text), scenario.name
            compared += len(text)
    assert compared > 100


def test_forged_user_agent_of_a_real_request(lab_logs: LabLogs) -> None:
    """The forged address never becomes the upstream; JSON, which escapes, tells the true user agent."""
    (text,) = rows(parse(lab_logs.lines("agent-forged", "gateway", "istio")))
    (made,) = rows(parse(lab_logs.lines("agent-forged", "gateway", "json")))
    assert text["ambiguous"] is True
    assert text["upstream_ip"] == made["upstream_ip"] != "6.6.6.6"
    assert text["upstream_cluster"] == made["upstream_cluster"]
    assert text["downstream_remote_address"] == made["downstream_remote_address"]
    assert text["authority"] is None
    assert made["authority"] == "edition.cnn.com"
    assert "evil.example.com" in made["user_agent"]
