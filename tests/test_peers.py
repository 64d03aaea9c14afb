"""The lines that peers read wrong (docs/access-log-formats.md, 12): each row of that table is read right here."""

from __future__ import annotations

import pytest

from egresslog import formats, read
from egresslog.records.catalogue import Formats
from egresslog.records.chunk import Chunk
from egresslog.records.parser import Parser

T = "[2024-05-01T10:17:14.118Z]"
REQUEST = '200 - via_upstream - "-" 0 240 8 7 "10.244.1.15" "curl/8.4" "fca94cae-0c1f-4a9b-8a0a-5a4d5b0a7f11"'
ENDS = "10.244.2.20:39456 10.244.2.20:8080 10.244.1.15:56962"
HTTP = f'{T} "GET /politics HTTP/2" {REQUEST} "edition.cnn.com" "151.101.193.67:80" outbound|80||edition.cnn.com {ENDS} - -'

ROWS = {
    "HTTP through the gateway": (
        HTTP,
        {"method": "GET", "path": "/politics", "response_code": 200, "response_flags": None,
         "response_code_details": "via_upstream", "upstream_host": "151.101.193.67:80",
         "upstream_cluster": "outbound|80||edition.cnn.com", "requested_server_name": None},
    ),
    "TLS passthrough": (
        f'{T} "- - -" 0 - - - "-" 839 2504306 231 - "-" "-" "-" "-" "151.101.195.5:443" outbound|443||edition.cnn.com'
        f" {ENDS} edition.cnn.com -",
        {"method": None, "path": None, "protocol": None, "response_code": 0, "response_flags": None,
         "bytes_received": 839, "bytes_sent": 2504306, "upstream_host": "151.101.195.5:443",
         "requested_server_name": "edition.cnn.com", "host": "edition.cnn.com"},
    ),
    "X-Forwarded-For with two addresses": (
        HTTP.replace('"10.244.1.15"', '"192.0.2.7, 10.244.1.15"'),
        {"x_forwarded_for": "192.0.2.7, 10.244.1.15", "response_code": 200, "upstream_host": "151.101.193.67:80"},
    ),
    "path containing & or |": (
        HTTP.replace("/politics", "/w?a=1&b=x|y"),
        {"path": "/w?a=1&b=x|y", "response_code": 200, "upstream_cluster": "outbound|80||edition.cnn.com"},
    ),
    "CONNECT": (
        HTTP.replace("GET /politics HTTP/2", "CONNECT - HTTP/1.1").replace('"edition.cnn.com"', '"edition.cnn.com:443"'),
        {"method": "CONNECT", "path": None, "authority": "edition.cnn.com:443", "host": "edition.cnn.com"},
    ),
    "TLS failure reason with spaces": (
        f'{T} "GET / HTTP/1.1" 503 UF upstream_reset_before_response_started{{connection_failure}} -'
        f' "TLS error: Secret is not supplied by SDS" 0 159 0 - "-" "curl/8.4" "id" "edition.cnn.com" "151.101.193.67:443"'
        f" outbound|443||edition.cnn.com - 10.244.2.20:8080 10.244.1.15:56962 - -",
        {"response_code": 503, "response_flags": "UF",
         "upstream_transport_failure_reason": "TLS error: Secret is not supplied by SDS",
         "upstream_host": "151.101.193.67:443"},
    ),
    "user agent containing a quote": (
        HTTP.replace("curl/8.4", 'Mozilla "beta" 5.0'),
        {"user_agent": 'Mozilla "beta" 5.0', "authority": "edition.cnn.com", "ambiguous": False},
    ),
    "IPv6 upstream": (
        HTTP.replace("151.101.193.67:80", "[2a04:4e42::323]:80"),
        {"upstream_host": "[2a04:4e42::323]:80", "upstream_ip": "2a04:4e42::323", "upstream_port": 80},
    ),
    "cluster with ;": (
        HTTP.replace("outbound|80||edition.cnn.com", "PassthroughCluster;"),
        {"upstream_cluster": "PassthroughCluster"},
    ),
    "Istio text before 1.9": (
        HTTP.replace(' via_upstream - "-"', ' "-"'),
        {"response_code": 200, "response_code_details": None, "bytes_sent": 240, "upstream_host": "151.101.193.67:80"},
    ),
    "Envoy default format": (
        f'{T} "GET /politics HTTP/2" 301 - 0 0 3 1 "172.30.146.87" "curl/7.35.0" "ab7b" "edition.cnn.com" "151.101.193.67:80"',
        {"response_code": 301, "duration": 3, "upstream_service_time": 1, "upstream_host": "151.101.193.67:80"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "values"), ROWS.values(), ids=ROWS)
def test_row_is_read_right(line: str, values: dict[str, object]) -> None:
    """The record has the values that stand in the line, with the format found by itself."""
    parsed = Parser(Formats(formats())).feed(Chunk(line.encode(), "x"))
    (record,) = parsed.batch.drop_columns(["start_time"]).to_pylist()
    assert {name: record[name] for name in values} == values


def test_bytes_are_not_swapped() -> None:
    """%BYTES_RECEIVED% is what the client sent, %BYTES_SENT% what it got (Elastic's pipeline has them swapped)."""
    parsed = Parser(Formats(formats())).feed(Chunk(HTTP.encode(), "x"))
    assert (parsed.batch["bytes_received"].to_pylist(), parsed.batch["bytes_sent"].to_pylist()) == ([0], [240])


def test_truncated_line_is_refused_with_a_reason(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A truncated line is no empty record: it is counted, kept and explained."""
    (tmp_path / "cut.log").write_text(HTTP[:100])
    log = read(tmp_path / "cut.log")
    assert (log.counts.records, log.counts.rejected) == (0, 1)
    assert log.rejects["reason"].tolist() == ["expected '\" \"' after user_agent at byte 100"]


def test_tcp_is_no_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A TCP connection with code 0 is not counted as failed (GoAccess takes every one for a failed request)."""
    (tmp_path / "tcp.log").write_text(ROWS["TLS passthrough"][0])
    assert read(tmp_path / "tcp.log").summary("host")["errors"].tolist() == [0]
