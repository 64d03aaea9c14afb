"""Lines that somebody else than Envoy wrote a part of: what is kept of them is true, and none is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import egresslog
from egresslog import Verdict
from egresslog.records.batch import host_of_sni

from .lines import GATEWAY, GATEWAY_SERVICE, JSON, OUTSIDE, TEXT, at, from_gateway, http, line, past, to_gateway
from .packing import write_log
from .test_parser import HUGE, everything, rows, totals

#: JSON of a sidecar, about a request past the gateway.
PAST = json.dumps(
    json.loads(JSON)
    | {"upstream_local_address": "10.244.1.15:41000", "downstream_local_address": "151.101.193.67:80"}
    | {"upstream_cluster": "PassthroughCluster", "downstream_remote_address": "10.244.1.15:51000"},
    separators=(",", ":"),
)
TO_GATEWAY = f"outbound|443|cnn|{GATEWAY_SERVICE}"


def one(text: str, wanted: Any = None) -> dict[str, Any]:
    """The only record of a line."""
    (row,) = rows(everything([text], wanted))
    return row


def verdict(folder: Path, *sidecar: str, host: str = "edition.cnn.com", **more: Any) -> egresslog.HostVerdict:
    """The verdict on a host that has a healthy pair, and these lines of the sidecar."""
    gateway = write_log(folder / "gateway.log", [from_gateway()])
    lines = write_log(folder / "sidecar.log", [to_gateway(), *sidecar])
    return egresslog.verify(host, gateway=egresslog.read(gateway), sidecars=egresslog.read(lines, **more))[0]


# --- several formats -------------------------------------------------------------------------------------------------

OLD_HEAD = 'z HTTP/1.1" 503 UF "-" "-" 0 0 0 - "a" "b'


def test_only_what_all_formats_agree_on_is_kept() -> None:
    """A user agent that makes a line of 1.9 one of 1.3, too: code and flags differ, the tail is the same."""
    row = one(past(agent=OLD_HEAD, **http()))
    assert row["ambiguous"] is True
    assert [row[name] for name in ("response_code", "response_flags", "path", "user_agent", "authority")] == [None] * 5
    assert (row["upstream_host"], row["upstream_cluster"]) == (f"{OUTSIDE}:443", "PassthroughCluster")
    assert row["downstream_remote_address"] == "10.244.1.15:51000"
    assert row["method"] == "GET"


def test_a_forced_format_has_no_rivals() -> None:
    """With --format the line is read as this format's: only the headers are not certain."""
    row = one(past(agent=OLD_HEAD, **http()), "istio-1.9")
    assert (row["ambiguous"], row["response_code"], row["response_flags"]) == (True, 200, None)
    assert row["user_agent"] is None


def test_other_lines_of_the_file_do_not_excuse() -> None:
    """However many lines of one format stand around it, the line is as ambiguous, and counts as one of that format."""
    found = everything([TEXT] * 50 + [past(agent=OLD_HEAD, **http())])
    assert rows(found)[-1]["response_flags"] is None
    assert dict(found[0].formats) == {"istio-1.9": 51}


def test_a_bypass_that_looks_like_an_older_format_is_one(tmp_path: Path) -> None:
    """shared/attacks 40: flags that the client chose excuse nothing."""
    assert verdict(tmp_path, past(agent=OLD_HEAD, **http())).verdict is Verdict.BYPASSED


# --- SNI -------------------------------------------------------------------------------------------------------------

FORGED_TAIL = f'x" "{GATEWAY}:8443" {TO_GATEWAY} 10.244.1.15:1 {GATEWAY}:8443 10.244.1.15:2 edition.cnn.com'


def test_a_connection_without_headers_is_read_from_the_left() -> None:
    """In TLS only the SNI is the client's: what stands before it is true, a tail that it forges is not."""
    row = one(past(sni=FORGED_TAIL))
    assert (row["ambiguous"], row["upstream_host"]) == (True, f"{OUTSIDE}:443")
    assert (row["upstream_cluster"], row["downstream_local_address"]) == ("PassthroughCluster", f"{OUTSIDE}:443")
    assert row["requested_server_name"] is row["route_name"] is None


def test_a_forged_tail_in_an_sni_is_a_bypass(tmp_path: Path) -> None:
    """shared/attacks 02."""
    assert verdict(tmp_path, past(sni=FORGED_TAIL)).verdict is Verdict.BYPASSED


def test_an_sni_that_holds_a_request_leaves_nothing_certain() -> None:
    """It may be a request whose path forges a connection, or a connection whose SNI forges a request."""
    row = one(past(sni=f'x HTTP/1.1" 200 - via_upstream - "-" 0 0 0 - "a" "b" "c" "d" {FORGED_TAIL[3:]}'))
    assert row["ambiguous"] is True
    assert row["upstream_host"] is row["upstream_cluster"] is row["host"] is None


@pytest.mark.parametrize("sni", ["a b c", 'a"b', 'x" "6.6.6.6:1" c 1 2 3 s', "a\tb", "a  b c d"])
@pytest.mark.parametrize("name", ["istio-1.1", "istio-1.2", None])
def test_an_sni_at_the_end_of_a_line_may_hold_anything(name: str | None, sni: str) -> None:
    """Up to Istio 1.2 the SNI comes last: no value of it makes the line a reject, and none is believed."""
    second = '"-" ' * (name != "istio-1.1")
    text = f'[{at(0)}] "- - -" 0 - "-" {second}7 9 5 - "-" "-" "-" "-" "151.101.1.67:443" PassthroughCluster 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3 {sni}'
    row = one(text, name)
    assert row["ambiguous"] is True or (sni in {'a"b', "a\tb"} and name is None)
    assert row["upstream_host"] == "151.101.1.67:443"


def test_one_value_more_is_a_longer_format() -> None:
    """A line of 1.3 is none of 1.2 with a blank in its SNI."""
    text = f'[{at(0)}] "- - -" 0 - "-" "-" 7 9 5 - "-" "-" "-" "-" "151.101.1.67:443" c 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3 e.com default'
    assert totals(everything([text], "istio-1.2")).rejected == 1
    assert dict(everything([text])[0].formats) == {"istio-1.3": 1}


def test_a_route_in_an_sni_does_not_excuse(tmp_path: Path) -> None:
    """Of Istio 1.1, with `x block_all` as SNI, a line shows a route of Istio 1.8's; but what was refused has no upstream."""
    text = f'[{at(5)}] "- - -" 0 - "-" 7 9 5 - "-" "-" "-" "-" "{OUTSIDE}:443" PassthroughCluster 10.244.1.15:1 {OUTSIDE}:443 10.244.1.15:3 x block_all'
    assert verdict(tmp_path, text).verdict is Verdict.BYPASSED


@pytest.mark.parametrize(
    ("sni", "host"),
    [
        ("Edition.CNN.com.", "edition.cnn.com"),
        ("invalid:edition_cnn_com", None),
        ("invalid:outbound_.8080_._.istio-egressgateway.istio-system.svc.cluster.local", None),
        ("outbound_.443_._.istio-egressgateway.istio-system.svc.cluster.local", None),
    ],
)
def test_host_of_an_sni(sni: str, host: str | None) -> None:
    """`invalid:` (Envoy 1.30.6, 1.31.2) means that characters were replaced: it is nobody's name, nor is the mesh's own."""
    assert host_of_sni(sni) == host
    assert one(past(sni=sni))["host"] == host
    assert one(past(sni=sni))["requested_server_name"] == sni


def test_a_line_forged_by_a_newline_is_ambiguous() -> None:
    """An SNI with a newline cuts its line, and what follows is the client's until the rest of it."""
    cut = from_gateway(sni="x").removesuffix(" -")
    found = everything([TEXT, cut, from_gateway(host="bbc.com"), " -", TEXT])
    assert totals(found).rejected == 2
    assert [row["ambiguous"] for row in rows(found)] == [False, True, False]
    chunked = everything([TEXT, cut, from_gateway(host="bbc.com"), " -", TEXT], cuts=(1, 2, 3, 4))
    assert rows(chunked) == rows(found)


# --- headers of the outside server -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "ambiguous"),
    [('"x" y', False), ('5 "6', True), ('5 "x" y', True), ("x", False), ("1 2 3", False), ('"', False), ('7"7', False)],
)
def test_a_service_time_that_the_server_wrote_is_null(value: str, ambiguous: bool) -> None:
    """shared/attacks 04: no value of x-envoy-upstream-service-time makes a reject."""
    row = one(TEXT.replace(" 8 7 ", f" 8 {value} "))
    assert row["upstream_service_time"] is None
    assert row["ambiguous"] is ambiguous
    assert row["upstream_host"] == "151.101.193.67:80"
    assert row["response_code"] == 301


@pytest.mark.parametrize("value", ["x", '"x" y', {"a": 1}, [1], 1e300, True, -1.5, "9" * 40])
def test_a_service_time_in_json_is_null(value: object) -> None:
    """So in JSON, whatever its type."""
    row = one(json.dumps(json.loads(JSON) | {"upstream_service_time": value}))
    assert (row["upstream_service_time"], row["ambiguous"], row["response_code"]) == (None, False, 301)


def test_a_header_in_a_composed_json_value_is_null() -> None:
    """A value of several operators that its template does not fit is null if a header is in it, and a reject if not."""
    template = {"t": "%START_TIME%", "line": "%REQ(:METHOD)% %RESPONSE_CODE%", "up": "%UPSTREAM_HOST%"}
    made = {"t": "2024-05-01T10:17:14.118Z", "line": "GET x 200 y", "up": "1.1.1.1:1"}
    row = one(json.dumps(made), template)
    assert (row["ambiguous"], row["method"], row["response_code"], row["upstream_host"]) == (
        True,
        None,
        None,
        "1.1.1.1:1",
    )
    assert totals(everything([json.dumps(made)], template | {"line": "%DURATION% %RESPONSE_CODE%"})).rejected == 1


# --- JSON ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", json.loads(JSON))
def test_any_key_may_be_null(key: str) -> None:
    """Whatever is null, it is a record."""
    row = one(json.dumps(json.loads(JSON) | {key: None}))
    assert row.get(key) is None
    assert row["ambiguous"] is False


def test_lines_without_start_time_are_no_crash(tmp_path: Path) -> None:
    """A null start time, which pairs with nothing, does not keep a bypass from being seen."""
    bypass = json.loads(PAST) | {"start_time": None}
    assert verdict(tmp_path, json.dumps(bypass)).verdict is Verdict.BYPASSED


def repeated(**forged: str) -> str:
    """A line whose user agent adds keys."""
    more = "".join(f',"{name}":"{value}"' for name, value in forged.items())
    return PAST.replace('"curl/8.4"', f'"x"{more},"zz":"y"')


def test_values_of_repeated_keys_are_null() -> None:
    """Neither of two values is believed; the others stay."""
    row = one(repeated(upstream_host=f"{GATEWAY}:8443", response_code="503"))
    assert row["ambiguous"] is True
    assert row["upstream_host"] is row["upstream_ip"] is row["response_code"] is None
    assert row["upstream_hosts"] == ["151.101.193.67:80", f"{GATEWAY}:8443"]
    assert row["authority"] == "edition.cnn.com"


@pytest.mark.parametrize(
    "forged", [{"upstream_host": f"{GATEWAY}:8443"}, {"upstream_host": "a", "upstream_cluster": "b"}]
)
def test_an_outside_address_among_repeated_values_accuses(tmp_path: Path, forged: dict[str, str]) -> None:
    """shared/attacks 06b and 06d."""
    assert verdict(tmp_path, repeated(**forged)).verdict is Verdict.BYPASSED


def test_repeated_upstreams_inside_accuse_nobody(tmp_path: Path) -> None:
    """Two addresses inside the cluster are no bypass."""
    inside = repeated(upstream_host=f"{GATEWAY}:8443").replace("151.101.193.67:80", f"{GATEWAY}:8080")
    assert verdict(tmp_path, inside.replace("PassthroughCluster", TO_GATEWAY)).verdict is Verdict.PROVEN


@pytest.mark.parametrize("agent", ['a"b', '"', 'a","b', "a\\", '{"'])
@pytest.mark.parametrize("wanted", [None, "istio-json-1.9"])
def test_a_quote_in_text_that_looks_like_json_hides_nothing(agent: str, wanted: str | None) -> None:
    """accessLogEncoding TEXT: what Envoy wrote is kept where its key is there once, what clients wrote is not."""
    row = one(JSON.replace("curl/8.4", agent), wanted)
    assert row["ambiguous"] is True
    assert (row["upstream_host"], row["upstream_cluster"]) == ("151.101.193.67:80", "outbound|80||edition.cnn.com")
    assert (row["response_code"], row["bytes_sent"], row["user_agent"], row["authority"]) == (301, 240, None, None)


def test_the_order_of_keys_tells_the_truth_where_it_is_known() -> None:
    """With the format string, the tail behind the headers is true also where keys come twice."""
    template = (
        '{"t":"%START_TIME%","ua":"%REQ(USER-AGENT)%","upstream_host":"%UPSTREAM_HOST%","code":"%RESPONSE_CODE%"}'
    )
    text = '{"t":"2024-05-01T10:00:00.000Z","ua":"x","upstream_host":"1.1.1.1:1","code":"2","upstream_host":"6.6.6.6:443","code":"200"}'
    row = one(text, template)
    assert (row["ambiguous"], row["upstream_host"], row["response_code"]) == (False, "6.6.6.6:443", 200)


# --- never silently passed over --------------------------------------------------------------------------------------

ZTUNNEL = (
    '2026-11-22T23:20:09.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=10.244.1.15:46322 src.workload="sleep" '
    'dst.addr=151.101.193.67:443 direction="outbound" bytes_sent=512 bytes_recv=9000 duration="12ms"'
)
MARKED = {
    "ztunnel": (ZTUNNEL, "a line of ztunnel's access log, which egresslog does not read, at byte 0"),
    "ztunnel JSON": (
        '{"level":"info","time":"2026-11-22T23:20:09Z","scope":"access","message":"connection complete","src.addr":"10.1.1.1:1"}',
        "a line of ztunnel's access log, which egresslog does not read, at byte 0",
    ),
    "a line in the agent's JSON": (
        json.dumps({"level": "info", "time": "2026-11-22T23:20:09Z", "msg": TEXT}),
        "an access-log line inside another message at byte 0",
    ),
    "JSON in the agent's JSON": (
        json.dumps({"level": "info", "time": "2026-11-22T23:20:09Z", "msg": JSON}),
        "an access-log line inside another message at byte 0",
    ),
    "a line in a message": (f"2026-11-22T23:20:09.000000Z\tinfo\t{TEXT}", "an access-log line inside another message at byte 33"),
    "JSON in a message": (f"2026-11-22T23:20:09.000000Z\tinfo\t{JSON}", ""),
}  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), MARKED.values(), ids=MARKED)
def test_marks_of_an_access_line_make_a_reject(text: str, reason: str) -> None:
    """What is not read is never silently a message of the proxy's."""
    found = everything([text])
    assert (totals(found).records, totals(found).other, totals(found).rejected) == (0, 0, 1)
    assert reason in found[0].rejects[0].reason


# --- hostile sizes ---------------------------------------------------------------------------------------------------

SIZES = {
    "service time of separators": TEXT.replace(" 8 7 ", " 8 " + '" ' * (HUGE // 2) + " "),
    "service time of heads": TEXT.replace(" 8 7 ", " 8 " + ' HTTP/1.1" 200 - x - "-" 0 0 0 ' * (HUGE // 31) + " "),
    "SNI of tails": past(sni=f"{FORGED_TAIL} " * (HUGE // 150)),
    "SNI of blanks": past(sni="x " * (HUGE // 2)),
    "JSON of keys": JSON.replace('"curl/8.4"', '"x","upstream_host":"1.1.1.1:1"' * (HUGE // 40)),
    "JSON of quotes": JSON.replace("curl/8.4", '"' * HUGE),
    "JSON of broken keys": JSON.replace("curl/8.4", '":"' * (HUGE // 3)),
    "JSON of escapes": JSON.replace("curl/8.4", '"k":"\\"' * (HUGE // 8)),
    "a message of marks": "2026-11-22T23:20:09.000000Z\tinfo\t" + " access connection x" * (HUGE // 20),
    "a message of times": "2026-11-22T23:20:09.000000Z\tinfo\t" + '[2026-11-22T23:20:09Z] "' * (HUGE // 24),
}


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("text", SIZES.values(), ids=SIZES)
def test_forged_lines_of_megabytes(text: str) -> None:
    """Forged lines of 4 MB take linear time, and the next line is read."""
    found = everything([text, line(agent="next")])
    assert totals(found).total == 2
    assert rows(found)[-1]["user_agent"] == "next"
