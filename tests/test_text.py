"""Text formats: the format string is printer and parser at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from egresslog import Format, FormatError, LineError, formats
from egresslog.records.catalogue import Formats
from egresslog.records.chunk import Chunk
from egresslog.records.parser import Parser

from .rendering import CLIENT, HEADER, OPERATORS, TAIL, records, render

TEXTS = {made.name: made for made in formats() if made.text}
DEFAULT = TEXTS["istio-1.9"]
HARMLESS = HEADER.map(lambda text: text.replace('"', "'"))
HOSTILE = st.lists(
    st.sampled_from(['"', " ", '" "', "-", "x", ' HTTP/1.1" 200 - via_upstream - "-" 0 0 1 1 "', "1.2.3.4:80", "|",
                     '" outbound|443||e.com 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3 e.com -', "outbound|80||e.com", "0", ", "]),
    max_size=8,
).map("".join)  # fmt: skip


# The formats share their code: eleven times as many records are tried in all.
each_format = settings(max_examples=40)


def own(made: Format, record: dict[str, object]) -> dict[str, object]:
    """The part of a record that the format prints."""
    names = {column.name for column in made.columns}
    meant = {name: value for name, value in record.items() if name in names}
    return meant | ({"path": None} if meant.get("path") == "" else {})  # no request has an empty path


def possible(name: str, record: dict[str, object]) -> bool:
    """Istio 1.0 glues the protocol to the path; the blank of later formats before it is told apart by paths' ends."""
    glued = name in {"istio-1.0", "istio-1.1-snapshot1"}
    return not glued or (record["path"] != "" and not str(record["path"]).endswith(" "))


def parsed(made: Format, line: str) -> dict[str, Any]:
    record = made.parse(line)
    return {column.name: record[column.name] for column in made.columns} | {"ambiguous": record["ambiguous"]}


@pytest.mark.parametrize("name", TEXTS)
@each_format
@given(record=records(HARMLESS))
def test_record_survives_printing_and_parsing(name: str, record: dict[str, object]) -> None:
    """record -> rendered by the format string -> parsed -> the same record, for every text format."""
    made = TEXTS[name]
    assume(possible(name, record))
    assert isinstance(made.source, str)
    assert parsed(made, render(made.source, record)) == own(made, record) | {"ambiguous": False}


@pytest.mark.parametrize("name", TEXTS)
@each_format
@given(record=records(HARMLESS | HOSTILE))
def test_forged_values_never_pass_for_true(name: str, record: dict[str, object]) -> None:
    """With quotes in any header a line is read as it was meant, or is ambiguous and invents nothing behind the headers."""
    made = TEXTS[name]
    assert isinstance(made.source, str)
    assume(possible(name, record))
    found = parsed(made, render(made.source, record))
    meant = own(made, record) | {"ambiguous": False}
    if not found["ambiguous"]:
        assert found == meant
    else:
        assert {name: found.get(name) for name in TAIL} == {name: meant.get(name) for name in TAIL}
        assert all(
            found[name] in {None, meant[name]} for name in (*CLIENT, "response_code", "bytes_sent") if name in meant
        )


@given(record=records(HARMLESS | HOSTILE), name=st.sampled_from(sorted(TEXTS)))
def test_detection_is_not_fooled(record: dict[str, object], name: str) -> None:
    """Among all formats, too, a forged line is read as it was meant, or is ambiguous, or is refused."""
    made = TEXTS[name]
    assume(possible(name, record))
    assert isinstance(made.source, str)
    result = Parser(Formats(formats())).feed(Chunk(render(made.source, record).encode(), "x"))
    if result.counts.records and not result.counts.ambiguous:
        assert dict(result.formats) == {name: 1}
        assert parsed(made, render(made.source, record)) == own(made, record) | {"ambiguous": False}


def line(**values: str) -> str:
    """A line of istio-1.9 with some values replaced."""
    made: dict[str, object] = {
        "start_time": "2024-05-01T10:17:14.118Z", "method": "GET", "path": "/", "protocol": "HTTP/1.1",
        "response_code": 200, "response_code_details": "via_upstream", "bytes_received": 0, "bytes_sent": 5,
        "duration": 7, "upstream_service_time": 6, "x_forwarded_for": "10.244.1.15", "user_agent": "curl/8",
        "request_id": "00000000-0000-4000-8000-000000000000", "authority": "edition.cnn.com",
        "upstream_host": "151.101.193.67:80", "upstream_cluster": "outbound|80||edition.cnn.com",
        "upstream_local_address": "10.244.2.20:1", "downstream_local_address": "10.244.2.20:8080",
        "downstream_remote_address": "10.244.1.15:2", "route_name": "default",
    }  # fmt: skip
    assert isinstance(DEFAULT.source, str)
    return render(DEFAULT.source, made | values)


FORGED = 'x" "00000000-dead-beef-0000-000000000000" "evil.example.com" "6.6.6.6:80" outbound|443||evil.example.com 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3 evil.example.com -'


def test_forged_user_agent_is_ambiguous_and_the_tail_true() -> None:
    """What a user agent forges is not believed: what follows the headers is read from the right end."""
    record = DEFAULT.parse(line(user_agent=FORGED))
    assert record["ambiguous"] is True
    assert record["upstream_host"] == "151.101.193.67:80"
    assert record["upstream_cluster"] == "outbound|80||edition.cnn.com"
    assert record["downstream_remote_address"] == "10.244.1.15:2"
    assert record["route_name"] == "default"
    assert record["user_agent"] is record["authority"] is None
    assert record["response_code"] == 200
    assert record["host"] == "edition.cnn.com"  # of the cluster


def test_forged_path_does_not_forge_the_response() -> None:
    """A path that holds a whole response leaves the response unknown, not forged."""
    record = DEFAULT.parse(line(path='/ HTTP/1.1" 204 - via_upstream - "-" 9 9 9 9 "1.1.1.1" "', response_code="404"))
    assert record["ambiguous"] is True
    assert record["response_code"] is None
    assert record["upstream_host"] == "151.101.193.67:80"


def test_forged_server_name_is_ambiguous() -> None:
    """BoringSSL hands on any SNI; one that forges a tail makes the record ambiguous (Envoys before 1.32)."""
    forged = 'x" "6.6.6.6:443" outbound|443||edition.cnn.com 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3 edition.cnn.com'
    values = dict.fromkeys(
        ("method", "path", "protocol", "x_forwarded_for", "user_agent", "request_id", "authority"), "-"
    )
    assert DEFAULT.parse(line(**values, requested_server_name=forged))["ambiguous"] is True


def test_forged_server_name_at_the_end_of_a_line() -> None:
    """Where the SNI comes last, as up to Istio 1.2, a forged one makes the record ambiguous as well."""
    made = TEXTS["istio-1.1"]
    tail = '"e.com" "6.6.6.6:80" outbound|80||e.com 1.1.1.1:1 2.2.2.2:2 3.3.3.3:3'
    text = f'[2019-05-01T10:17:14.118Z] "GET / HTTP/2" 200 - "-" 0 0 1 1 "-" "-" "-" {tail} x" "7.7.7.7:1" c 1 2 3 s'
    assert made.parse(text)["ambiguous"] is True
    own = '[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)%" %RESPONSE_CODE% "%REQ(X-TEAM)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %REQUESTED_SERVER_NAME%'
    bypass = '[2024-05-01T10:17:14.118Z] "GET /" 200 "team" "9.9.9.9:443" PassthroughCluster x" "6.6.6.6:443" outbound|443||good.com good.com'
    assert Format.compile(own).parse(bypass)["ambiguous"] is True
    assert (
        Format.compile(own).parse(bypass.replace(' x" "6.6.6.6:443" outbound|443||good.com', ""))["ambiguous"] is False
    )


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ('{"t":"%START_TIME%","reason":"%UPSTREAM_TRANSPORT_FAILURE_REASON%","authority":"%REQ(:AUTHORITY)%","ua":"%REQ(USER-AGENT)%","up":%UPSTREAM_HOST%}',
         '{"t":"2024-05-01T10:00:00.000Z","reason":"-","authority":"evil.com","ua":"x","authority":"good.com","ua":"y"z","up":6.6.6.6:443}'),
        ('"%START_TIME%","%REQ(:AUTHORITY)%","%REQ(USER-AGENT)%","%UPSTREAM_TRANSPORT_FAILURE_REASON%","%UPSTREAM_HOST%",%DURATION%',
         '"2024-05-01T10:00:00.000Z","evil.com","x","y","-","6.6.6.6:443",5'),
        ('%REQ(C)% %REQ(A)% "%UPSTREAM_TRANSPORT_FAILURE_REASON%"', '- "0  "TLS_e"'),
        ("%REQ(A)%%START_TIME(%s)% %DURATION%", "10--UFUF12 5"),
    ],
)  # fmt: skip
def test_what_only_seems_delimited_is_ambiguous(text: str, sample: str) -> None:
    """A failure reason between other delimiters than Istio's, and digits glued to a header, have no end of their own."""
    record = Format.compile(text).parse(sample)
    assert record["ambiguous"] is True
    assert record["host"] is None


@pytest.mark.parametrize(
    ("agent", "meant"),
    [
        ('Mozilla "x" 1.0', 'Mozilla "x" 1.0'),
        ('"', '"'),
        ('reader 15"', 'reader 15"'),
        (" ", " "),
        ("", ""),
        ("a\tb", "a\tb"),
        ("caf\u00e9 \u2028\u0085", "caf\u00e9 \u2028\u0085"),
        ("-", None),
    ],
)
def test_single_quotes_and_blanks_are_no_ambiguity(agent: str, meant: str | None) -> None:
    """A quote that is no separator, a tab, UTF-8 and line separators inside a header are read as they are."""
    record = DEFAULT.parse(line(user_agent=agent))
    assert (record["user_agent"], record["ambiguous"]) == (meant, False)


@pytest.mark.parametrize("agent", ['a" "b', 'curl" "curl', '" "', '" "" "'])
def test_separators_inside_a_header_are_ambiguous(agent: str) -> None:
    """With a separator inside, the four headers cannot be told apart: none is given out."""
    record = DEFAULT.parse(line(user_agent=agent))
    assert record["ambiguous"] is True
    assert [record[name] for name in ("x_forwarded_for", "user_agent", "request_id", "authority")] == [None] * 4


CUT = '[2024-05-01T10:17:14.118Z] "GET /politics HTTP/1.1" 200 - via_upstream - "-" 0 5 7 6 "10.244.1.15" "curl/8'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CUT, "expected '\" \"' after user_agent at byte 106"),
        (CUT[:60], "expected ' ' after response_code_details at byte 60"),
        (CUT.replace(" 5 ", " many "), "expected a number of at most 18 digits for bytes_sent at byte 79"),
        (CUT.replace(" 5 ", " 1234567890123456789 "), "expected ' ' after bytes_sent at byte 97"),
        (CUT.replace("2024-05", "May"), "expected a time for start_time at byte 1"),
        (CUT.replace("politics", "caf\u00e9"), "expected '\" \"' after user_agent at byte 103"),
        (line() + " and more", "expected the end of the line after route_name at byte 0"),
        ("hello", "expected '[' at the beginning, at byte 0"),
        ("", "expected '[' at the beginning, at byte 0"),
    ],
)
def test_reason_says_where_parsing_stopped(text: str, reason: str) -> None:
    """A refused line comes with what was expected, after which field, at which byte (counted in UTF-8, from 0)."""
    if "end of the line" in reason:  # only where the last value cannot hold blanks
        made, text = (
            TEXTS["istio-1.0"],
            '[2018-06-14T11:46:23.596Z] "GET /HTTP/2" 301 - 0 0 3 1 "-" "-" "-" "-" "-" - - - - x',
        )
        reason = "expected the end of the line after downstream_remote_address at byte 82"
    else:
        made = DEFAULT
    with pytest.raises(LineError) as caught:
        made.parse(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "sample", "values"),
    [
        ("%REQ(X-TEAM)%|%REQ(:AUTHORITY)%|%DURATION%", "a|b.com|5", {"req_x_team": "a", "authority": "b.com", "duration": 5}),
        ("%START_TIME(%s)% %DURATION%ms 100%%", "1528976783 5ms 100%", {"duration": 5}),
        ("%REQ(X-A?X-B):20% %RESP(SERVER)% %TRAILER(T)%", "a b c", {"req_x_a_x_b": "a", "resp_server": "b", "trailer_t": "c"}),
        ("%REQUEST_HEADER(:METHOD)% %RESPONSE_HEADER(X)%", "GET x", {"method": "GET", "resp_x": "x"}),
        ("%BRAND_NEW_OPERATOR(a:b)% %DURATION%", "x y 5", {"brand_new_operator_a_b": "x y", "duration": 5}),
        ('"%CEL(request.headers["a"].size())%" %DURATION%', '"3" 5', {"duration": 5}),
        ("%DYNAMIC_METADATA(a:b:c):9% %FILTER_STATE(k:PLAIN)%", "x y", {"dynamic_metadata_a_b_c": "x", "filter_state_k_plain": "y"}),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT% %COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%", "2 -5",
         {"upstream_request_attempt_count": 2, "common_duration_ds_rx_beg_ds_tx_end_us": -5}),
        ("%UPSTREAM_HOST% %UPSTREAM_HOST%", "1.1.1.1:1 1.1.1.1:1", {"upstream_host": "1.1.1.1:1"}),
        ("%PATH(NQ)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS%", "/a 14 Unavailable", {"path": "/a", "grpc_status_number": 14}),
        ("%HOSTNAME% %REQ(ORIGIN)%", "h o", {"hostname": "h", "req_origin": "o"}),
    ],
)  # fmt: skip
def test_custom_format_strings(text: str, sample: str, values: dict[str, object]) -> None:
    """Any format string of Envoy compiles; columns are Istio's where it has one, else named after the operator."""
    record = Format.compile(text + "\n").parse(sample)
    assert record["ambiguous"] is False
    assert {name: record[name] for name in values} == values


@pytest.mark.parametrize(
    ("argument", "sample", "iso"),
    [
        ("", "2018-06-14T11:46:23.596Z", "2018-06-14T11:46:23.596000+00:00"),
        ("%Y/%m/%dT%H:%M:%S%z", "2018/06/14T13:46:23+0200", "2018-06-14T11:46:23+00:00"),
        ("%s.%3f", "1528976783.596", "2018-06-14T11:46:23.596000+00:00"),
        ("%d/%b/%Y:%T", "14/Jun/2018:11:46:23", "2018-06-14T11:46:23+00:00"),
        ("%Y-%m-%dT%H:%M:%E6SZ", "2018-06-14T11:46:23.596001Z", "2018-06-14T11:46:23.596001+00:00"),
        ("%F %I:%M:%S %p", "2018-06-14 11:46:23 PM", "2018-06-14T23:46:23+00:00"),
        ("%s%f", "1528976783596000000", "2018-06-14T11:46:23.596000+00:00"),
    ],
)
def test_start_time_formats(argument: str, sample: str, iso: str) -> None:
    """START_TIME's own formats: strftime, absl's %E, Envoy's %s and %f."""
    operator = f"%START_TIME({argument})%" if argument else "%START_TIME%"
    assert Format.compile(f"[{operator}] %DURATION%").parse(f"[{sample}] 1")["start_time"].isoformat() == iso


def test_a_date_that_cannot_be_made_out_stays_text() -> None:
    """A directive without a date (the week's number) keeps what was printed, in a column that says so."""
    assert (
        Format.compile("%START_TIME(%Y week %U)% %DURATION%").parse("2018 week 24 5")["start_time_text"]
        == "2018 week 24"
    )


@pytest.mark.parametrize(
    "text", ["[2024-13-01T10:17:14.118Z] 1", "[2024-02-30T10:17:14.118Z] 1", "[1492-01-01T00:00:00Z] 1"]
)
def test_a_date_that_is_none_is_refused(text: str) -> None:
    """The 13th month, 30 February and a year out of range are refused, not rounded."""
    with pytest.raises(LineError, match="expected a time between 1678 and 2261 for start_time"):
        Format.compile("[%START_TIME%] %DURATION%").parse(text)


def test_two_free_values_without_separator_are_always_ambiguous() -> None:
    """What cannot be told apart is not told apart."""
    record = Format.compile("%REQ(A)%%REQ(B)% %DURATION%").parse("xy 5")
    assert (record["ambiguous"], record["req_a"], record["req_b"], record["duration"]) == (True, None, None, 5)


def test_lone_percent_is_shown_where_it_stands() -> None:
    """A wrong format string is shown with a caret under the mistake."""
    with pytest.raises(FormatError) as caught:
        Format.compile("%START_TIME% is %REQ(X")
    assert str(caught.value).splitlines()[1:] == ["  %START_TIME% is %REQ(X", "                  ^"]


def test_own_operator_table_covers_the_default_formats() -> None:
    """The tests' printer knows every operator of every default format: none of the properties above is hollow."""
    for made in TEXTS.values():
        assert {column.name for column in made.columns} <= set(OPERATORS.values())
