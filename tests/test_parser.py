"""Envelopes, accounting and hostile input: whatever comes, records + other + rejects = lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egresslog import formats
from egresslog.records.catalogue import Formats, resolve
from egresslog.records.chunk import Chunk, Counts, Parsed
from egresslog.records.documents import opens
from egresslog.records.parser import Parser
from egresslog.records.unwrapping import Unwrapping

from .lines import AGENT, ARTICLE, JSON, TEXT

SEED = ARTICLE  # the name by which test_cli, test_files and others still import it
STAMP = "2025-01-30T12:10:13.682034460Z"

# The proxy's own messages as published (docs/access-log-formats.md, 10), and what Istio 1.x prints at its start.
OTHER = [
    "2021-04-27T14:10:07.795091Z\tinfo\tsds\tStart SDS grpc server for ingress gateway proxy",
    "2021-04-27T14:10:07.854726Z\twarning\tenvoy runtime\tUnable to use runtime singleton for feature envoy.http",
    '2025-06-23T22:32:12.856110Z\tinfo\tFLAG: --concurrency="0"',
    "2022-05-12T14:07:57.043154Z     info    Skipping gateway SDS",
    "2022-12-05T07:17:36.069108Z     info    cache   returned workload certificate from cache        ttl=23h59m58.9s",
    "[2019-09-19 07:26:55.269][18][warning][config] [external/envoy/source/server/options_impl.cc:193] --allow-unknown",
    "[Envoy (Epoch 0)] [2020-01-13 06:37:52.069][26][debug][rbac] [external/envoy/rbac_filter.cc:36] checking connection",
    '2020-05-28T00:56:58.131304Z     info    transport: loopyWriter.run returning. desc = "transport is closing"',
    '{"level":"info","time":"2022-12-05T07:17:36.434377Z","msg":"Envoy proxy is ready"}',
    "",
]

PLAIN = Unwrapping()


def everything(
    lines: Iterable[str] | bytes, wanted: Any = None, cuts: Iterable[int] = (), unwrapping: Unwrapping = PLAIN
) -> list[Parsed]:
    """Parses lines in chunks that end after the lines numbered ``cuts``."""
    data = lines if isinstance(lines, bytes) else "".join(line + "\n" for line in lines).encode()
    parser = Parser(resolve(wanted), unwrapping)
    whole = data.split(b"\n")
    pieces = [line + b"\n" for line in whole[:-1]] + ([whole[-1]] if whole[-1] else [])
    places = sorted({cut for cut in cuts if 0 < cut < len(pieces)})
    found = []
    for start, end in zip([0, *places], [*places, len(pieces)], strict=True):
        found.append(parser.feed(Chunk(b"".join(pieces[start:end]), "f", start + 1)))
    return [*found, parser.finish()]


def totals(found: list[Parsed]) -> Counts:
    return sum((parsed.counts for parsed in found), Counts())


def rows(found: list[Parsed]) -> list[dict[str, Any]]:
    return [row for parsed in found for row in parsed.batch.drop_columns(["start_time"]).to_pylist()]


def bare(found: list[Parsed]) -> list[dict[str, Any]]:
    """Records without where they stood."""
    return [
        {name: value for name, value in row.items() if name not in {"origin", "line_number"}} for row in rows(found)
    ]


def docker(line: str, **more: object) -> str:
    return json.dumps({"log": line + "\n", "stream": "stdout", "time": STAMP} | more)


WRAPPED = {
    "plain": "{}",
    "kubectl --timestamps": STAMP + " {}",
    "kubectl --timestamps with an offset": "2025-01-30T12:10:13.68+00:00 {}",
    "kubectl --prefix": "[pod/istio-egressgateway-7d8b4c5f9-x2x7k/istio-proxy] {}",
    "kubectl --prefix --timestamps": "[pod/istio-egressgateway-7d8b4c5f9-x2x7k/istio-proxy] " + STAMP + " {}",
    "stern": "istio-egressgateway-7d8b4c5f9-x2x7k istio-proxy {}",
    "stern with namespace": "istio-system istio-egressgateway-7d8b4c5f9-x2x7k istio-proxy {}",
    "stern in colour": "\x1b[38;5;2mistio-egressgateway-7d8b4c5f9-x2x7k\x1b[0m \x1b[38;5;3mistio-proxy\x1b[0m {}",
    "stern --timestamps": "istio-egressgateway-7d8b4c5f9-x2x7k istio-proxy " + STAMP + " {}",
    "CRI": STAMP + " stdout F {}",
    "CRI stderr": STAMP + " stderr F {}",
    "docker compose": "envoy-1  | {}",
    "docker compose -t": "envoy-1  | " + STAMP + " {}",
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_envelopes_do_not_change_records(wrapped: str) -> None:
    """Text, JSON, old lines and the proxy's own messages come out of every envelope as they went in."""
    lines = [TEXT, JSON, SEED, AGENT, TEXT]
    found = everything([wrapped.replace("{}", line) for line in lines])
    assert totals(found) == Counts(5, 4, 1, 0, 0)
    assert bare(found) == bare(everything(lines))


@pytest.mark.parametrize("line", [TEXT, JSON, SEED])
def test_docker_and_beats_objects(line: str) -> None:
    """JSON inside Docker's JSON, fluent-bit's object, Beats' message: the record inside."""
    wrapped = [
        docker(line),
        docker(line, kubernetes={"pod_name": "x"}),
        json.dumps({"message": line, "stream": "stdout"}),
    ]
    assert bare(everything(wrapped)) == bare(everything([line] * 3))
    assert totals(everything([docker(AGENT)])) == Counts(1, 0, 1, 0, 0)


def test_ambassador_prefix() -> None:
    """Ambassador writes a word before its access lines, and nothing before its own messages."""
    assert bare(everything(["ACCESS " + TEXT, AGENT])) == bare(everything([TEXT, AGENT]))


def test_text_and_json_of_one_event_are_one_record() -> None:
    """The same event in Istio's text and JSON gives the same record."""
    text, made = bare(everything([TEXT])), bare(everything([JSON]))
    assert text == made
    assert text[0]["upstream_service_time"] == 7
    assert text[0]["response_flags"] is None


def test_line_numbers_count_every_line() -> None:
    """Records bear the number of their line in the file, whatever stands between."""
    assert [row["line_number"] for row in rows(everything([AGENT, TEXT, "", SEED, JSON]))] == [2, 4, 5]


PARTS = [
    f"{STAMP} stdout P {TEXT[:40]}",
    f"{STAMP} stderr F {AGENT}",
    f"{STAMP} stdout P {TEXT[40:90]}",
    f"{STAMP} stdout F {TEXT[90:]}",
    f"{STAMP} stdout F {SEED}",
]


@pytest.mark.parametrize("cuts", [(), (1,), (2,), (3,), (1, 2, 3, 4)])
def test_cri_parts_are_one_line(cuts: tuple[int, ...]) -> None:
    """Parts are joined per stream up to the F, across chunks and past the other stream's lines; they count once."""
    found = everything(PARTS, cuts=cuts)
    assert totals(found) == Counts(3, 2, 1, 0, 0)
    assert bare(found) == bare(everything([TEXT, SEED]))


def test_cri_part_without_end_is_a_reject() -> None:
    """A line whose last part never came is refused, with what there is of it; none is silently dropped."""
    found = everything(PARTS[:1])
    assert totals(found) == Counts(1, 0, 0, 1, 0)
    assert found[-1].rejects[0].line == PARTS[0]
    assert found[-1].rejects[0].reason == "the line's last part is missing; expected ' ' after path at byte 40"


def test_docker_parts_are_one_line() -> None:
    """Docker cuts lines at 16 KiB; only the last part ends in a newline."""
    long = TEXT.replace("/politics", "/" + "a" * 40_000)
    parts = [long[start : start + 16384] for start in range(0, len(long), 16384)]
    lines = [
        json.dumps({"log": part + "\n" * (part is parts[-1]), "stream": "stdout", "time": STAMP}) for part in parts
    ]
    found = everything(lines)
    assert totals(found) == Counts(1, 1, 0, 0, 0)
    assert rows(found)[0]["path"] == "/" + "a" * 40_000


@pytest.mark.parametrize("line", OTHER)
def test_own_messages_are_other(line: str) -> None:
    """The proxy's own messages are neither records nor rejects."""
    assert totals(everything([line])) == Counts(1, 0, 1, 0, 0)


def test_continuation_lines_belong_to_their_message() -> None:
    """The agent prints its configuration over many lines; a broken record after it is still a reject."""
    lines = ["2021-04-27T14:10:07.795091Z\tinfo\tEffective config: binaryPath: /usr/local/bin/envoy", "concurrency: 2",
             "proxyMetadata: {}", "':path', '/items'", TEXT, TEXT[100:]]  # fmt: skip
    assert totals(everything(lines)) == Counts(6, 1, 4, 1, 0)
    for wrapped in WRAPPED.values():
        assert totals(everything([wrapped.replace("{}", line) for line in lines])) == Counts(6, 1, 4, 1, 0), wrapped


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (TEXT[:60], "expected ' ' after response_code_details at byte 60"),
        (TEXT[30:], "expected '[' at the beginning, at byte 0"),
        ("some text", "expected '[' at the beginning, at byte 0"),
        (TEXT.replace("2024-05", "2024-15"), "expected a time between 1678 and 2261 for start_time at byte 0"),
        (JSON[:200], "not valid JSON: Unterminated string starting at at byte 199"),
        (JSON.replace('"bytes_sent":240', '"bytes_sent":"many"'),
         "expected a number of at most 18 digits for 'bytes_sent' at byte 0"),
        (JSON.replace('"bytes_sent":240,', ""), "JSON of no known format (istio-json-1.9 is closest: no key 'bytes_sent') at byte 0"),
        (JSON.replace("bytes_sent", "byte_sent"),
         "JSON of no known format (istio-json-1.9 is closest: no key 'bytes_sent', unknown key 'byte_sent') at byte 0"),
        ("[1, 2]", "expected a time for start_time at byte 1"),
        ('{"a":' * 5000, "JSON nested deeper than 64 at byte 320"),
        ('{"start_time": ' + "9" * 5000 + "}", "a number or nesting too large for JSON at byte 0"),
    ],
)  # fmt: skip
def test_broken_lines_are_rejects_with_a_reason(line: str, reason: str) -> None:
    """A line that looks like access log and does not parse is kept with its place and reason."""
    found = everything([SEED, line])
    assert totals(found) == Counts(2, 1, 0, 1, 0)
    assert found[0].rejects[0] == ("f", 2, line, reason)


def test_json_keys_beyond_a_known_format_are_kept_out_and_told() -> None:
    """Labels that somebody added do not cost the record; that no column keeps them is counted."""
    found = everything([JSON.replace("{", '{"cluster_name":"prod",')])
    assert totals(found) == Counts(1, 1, 0, 0, 0)
    assert dict(found[0].unknown_keys) == {"cluster_name": 1}


def test_json_key_twice_is_ambiguous() -> None:
    """A text format that only looks like JSON can be forged: a key that comes twice is believed neither time."""
    found = everything([JSON.replace('"curl/8.4"', '"x","authority":"evil.example.com"')])
    assert totals(found) == Counts(1, 1, 0, 0, 1)
    assert rows(found)[0]["authority"] is None


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        (b'"caf\xc3\xa9"', "caf\u00e9"),
        (b'"caf\xe9"', "caf\u00e9"),
        (b'"caf\\u00e9"', "caf\u00e9"),
        (b'"caf\\351"', "caf\u00e9"),
        (b'"\\303\\251 c:\\\\303"', "\u00e9 c:\\303"),
        (b'"\\ud800"', "\ufffd"),
        (b'"a\\u0000b\x7f"', "a\0b\x7f"),
        (b'"a\x00b"', "a\0b"),
    ],
)
def test_bytes_in_json(raw: bytes, meant: str) -> None:
    """Bytes that are no UTF-8 read alike in each of Envoy's spellings: raw, octal, and \\u00XX."""
    found = everything(JSON.encode().replace(b'"curl/8.4"', raw))
    assert totals(found) == Counts(1, 1, 0, 0, 0)
    assert rows(found)[0]["user_agent"] == meant


@pytest.mark.parametrize(
    ("raw", "meant"), [(b"caf\xe9", "caf\u00e9"), (b"\xff\xfe", "\u00ff\u00fe"), (b"a\x00b", "a\0b")]
)
def test_bytes_in_text(raw: bytes, meant: str) -> None:
    """Text logs carry any byte; a record is never lost for it."""
    found = everything(TEXT.encode().replace(b"curl/8.4", raw))
    assert rows(found)[0]["user_agent"] == meant
    assert totals(everything(b"\xe9 " + TEXT.encode())) == Counts(1, 1, 0, 0, 1)  # behind a prefix


def test_windows_line_ends_and_missing_newline() -> None:
    """CRLF is no part of the last field, also on a last line without newline."""
    found = everything((TEXT + "\r\n" + TEXT + "\r\n" + TEXT).encode())
    assert bare(found) == bare(everything([TEXT] * 3))
    assert bare(everything((SEED + "\r").encode())) == bare(everything([SEED]))


def test_mixed_formats_parse_line_by_line() -> None:
    """A rolling upgrade mixes formats: each line is read in its own, and the order is kept."""
    lines = [sample.line for made in formats() for sample in made.samples[:2]]
    found = everything(lines)
    assert totals(found).records == len(lines)
    assert [row["line_number"] for row in rows(found)] == list(range(1, len(lines) + 1))
    assert dict(found[0].formats) == {made.name: min(2, len(made.samples)) for made in formats()}


def test_forced_format_takes_no_other() -> None:
    """--format means this format and no other: the rest is refused with this format's reason."""
    found = everything([TEXT, SEED], "istio-1.9")
    assert totals(found) == Counts(2, 1, 0, 1, 0)
    assert found[0].rejects[0].reason == "expected ' \"' after connection_termination_details at byte 60"


def test_text_encoding_of_a_json_template() -> None:
    """A JSON-shaped TEXT format: lines are JSON, until a header holds a quote; then the text tells."""
    template = '{ "start_time": "%START_TIME%", "agent": "%REQ(USER-AGENT)%", "code": "%RESPONSE_CODE%" }'
    good = '{ "start_time": "2024-05-01T10:17:14.118Z", "agent": "curl", "code": "200" }'
    bad = good.replace("curl", 'a "b" c')
    found = everything([good, bad], template)
    assert totals(found) == Counts(2, 2, 0, 0, 0)
    assert [(row["user_agent"], row["response_code"]) for row in rows(found)] == [("curl", 200), ('a "b" c', 200)]


def test_json_template_with_everything() -> None:
    """Nested objects, lists, labels, several operators in one value, and own keys."""
    template = {
        "t": "%START_TIME%",
        "who": {"team": "%REQ(X-TEAM)%", "from": ["%DOWNSTREAM_REMOTE_ADDRESS%", "%UPSTREAM_REMOTE_PORT%"]},
        "line": "%REQ(:METHOD)% %RESPONSE_CODE%",
        "cluster": "prod",
        "took": "%DURATION%",
    }
    line = {"t": "2024-05-01T10:17:14.118Z", "who": {"team": "x", "from": ["10.1.1.1:5", 443]}, "line": "GET 200",
            "cluster": "prod", "took": 12}  # fmt: skip
    (row,) = rows(everything([json.dumps(line)], template))
    names = ("who.team", "downstream_remote_address", "who.from.1", "method", "response_code", "cluster", "duration")
    assert [row[name] for name in names] == ["x", "10.1.1.1:5", 443, "GET", 200, "prod", 12]
    assert row["source_ip"] == "10.1.1.1"


TEXT_JSON = (
    '{"start_time":"%START_TIME%","code":%RESPONSE_CODE%,"ua":"%REQ(USER-AGENT)%","authority":"%REQ(:AUTHORITY)%",'
    '"upstream_host":"%UPSTREAM_HOST%"}'
)


def text_json(agent: str) -> str:
    return (
        f'{{"start_time":"2024-05-01T10:00:00.000Z","code":200,"ua":"{agent}","authority":"evil.example.com",'
        '"upstream_host":"6.6.6.6:443"}'
    )


INJECTED = {
    "a whole line in Docker's key": 'x","log":' + json.dumps(
        '{"start_time":"2024-05-01T10:00:00.000Z","code":200,"ua":"curl","authority":"good.com","upstream_host":"1.2.3.4:443"}\n'
    )[:-1],
    "a line of another format": 'x","log":' + json.dumps(TEXT + "\n")[:-1],
    "a message in Beats' key": 'x","message":' + json.dumps(TEXT)[:-1],
    "a level": 'x","level":"info","msg":"y',
    "another authority": 'x","authority":"good.com',
}  # fmt: skip


@pytest.mark.parametrize("agent", INJECTED.values(), ids=INJECTED)
@pytest.mark.parametrize("wanted", [TEXT_JSON, None], ids=["named", "not known"])
def test_text_that_looks_like_json_cannot_be_taken_over(agent: str, wanted: str | None) -> None:
    """A user agent with quotes makes no other record and no message out of its line, whether the format is known or not."""
    found = everything([text_json(agent)], wanted)
    counts = totals(found)
    assert counts.other == 0
    assert counts.records == (wanted is not None)
    for row in rows(found):
        assert row["upstream_host"] == "6.6.6.6:443"
        assert row["host"] in {None, "evil.example.com"}


def test_a_request_does_not_hide_among_messages() -> None:
    """With a forced format a line is what the format says, also where it looks like the proxy's own message."""
    wanted = "%START_TIME% %REQ(USER-AGENT)% %REQ(:AUTHORITY)% %RESPONSE_CODE% %UPSTREAM_HOST%"
    found = everything(["2024-05-01T10:00:00.000Z info x evil.com 200 6.6.6.6:443"], wanted)
    assert totals(found).records == 1
    assert rows(found)[0]["upstream_ip"] == "6.6.6.6"


@pytest.mark.parametrize(
    "line",
    [
        "GET|/x|200|h.com|1.1.1.1:443",
        "GET /x 20X",
        '{ "start_time":"2024-05-01T10:17:14.118Z", "method"',
        '9.9.9.9:9","bytes_sent":5}',
        "8.8.8.8:8 7.7.7.7:7 5.5.5.5:5 sni.com default",
        TEXT[10:],
    ],
)
def test_broken_lines_after_a_message_are_rejects(line: str) -> None:
    """Every log begins with the proxy's own messages: only what looks like one goes on as one."""
    assert totals(everything([AGENT, line, line])) == Counts(3, 0, 1, 2, 0)


def test_a_long_line_of_fluent_bit_is_whole() -> None:
    """Only Docker's own objects come in parts; others end without newline whatever their length."""
    long = TEXT.replace("/politics", "/" + "a" * 20_000)
    lines = [json.dumps({"log": long, "stream": "stdout"}), json.dumps({"log": SEED, "stream": "stdout"})]
    assert totals(everything(lines)) == Counts(2, 2, 0, 0, 0)


def test_holes_and_byte_order_marks_before_a_line() -> None:
    """copytruncate leaves NULs where the file was cut, joined files leave BOMs: the line behind is read."""
    found = everything(b"\0" * 5000 + TEXT.encode() + b"\n\xef\xbb\xbf" + SEED.encode() + b"\n" + b"\0" * 10)
    assert totals(found) == Counts(3, 2, 1, 0, 0)


@pytest.mark.parametrize("name", ["istio-1.9", None])
def test_omitted_values_of_text_are_absent(name: str | None) -> None:
    """With omitEmptyValues (Istio 1.26) nothing is printed for an absent value; an empty header cannot be told from it."""
    line = (
        '[2024-05-01T10:17:14.118Z] "  " 0 UF   "" 0 0 5  "" "" "" "" "1.1.1.1:443" outbound|443||e.com   10.1.1.1:5  '
    )
    (row,) = rows(everything([line.replace("e.com   10", "e.com  2.2.2.2:443 10")], name))
    absent = ("method", "path", "protocol", "response_code_details", "upstream_transport_failure_reason",
              "upstream_local_address", "requested_server_name", "route_name")  # fmt: skip
    assert [row[name] for name in absent] == [None] * len(absent)
    assert (row["response_flags"], row["duration"], row["user_agent"]) == ("UF", 5, "")


def test_a_known_string_goes_by_its_name() -> None:
    """--format with the very string of a catalogue format, or one of its variants, is that format."""
    for made in formats():
        for text in (made.source, *made.variants):
            assert resolve(text).all[0].name == made.name


# --- properties ----------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [TEXT, JSON, SEED, AGENT, *PARTS, *WRAPPED.values(), TEXT[:70], TEXT[70:], docker(TEXT), docker(JSON)[:90], "concurrency: 2",
     TEXT.replace("curl/8.4", 'a" "b'), "", " ", "{", "{}", '{"log":"x"}', "[", "\x1b[31m", STAMP, STAMP + " stdout P ",
     TEXT.replace("2024-05", "2024-15"), *OTHER]
)  # fmt: skip
LINES = st.lists(
    (PIECES.map(str.encode) | st.binary(max_size=60)).map(lambda line: line.replace(b"\n", b"")), max_size=12
)


@settings(max_examples=150)
@given(lines=LINES, cuts=st.lists(st.integers(1, 12), max_size=4), newline=st.booleans())
def test_chunking_never_changes_the_result(lines: list[bytes], cuts: list[int], newline: bool) -> None:
    """However the bytes are cut into chunks, records, rejects and counts are the same."""
    data = b"\n".join(lines) + (b"\n" if newline else b"")
    whole, cut = everything(data), everything(data, cuts=cuts)
    assert totals(cut) == totals(whole)
    assert rows(cut) == rows(whole)
    assert [reject for parsed in cut for reject in parsed.rejects] == [
        reject for parsed in whole for reject in parsed.rejects
    ]


@settings(max_examples=200)
@given(data=st.binary(max_size=400) | LINES.map(b"\n".join))
def test_every_line_is_accounted_for(data: bytes) -> None:
    """records + other + rejects = lines, for any bytes; only the parts of one line count together."""
    found = everything(data)
    counts = totals(found)
    assert counts.total == counts.records + counts.other + counts.rejected
    assert counts.records == len(rows(found))
    assert counts.rejected == sum(len(parsed.rejects) for parsed in found)
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    if any(opens(line) for line in data.decode("utf-8", "surrogateescape").replace("\r", "").split("\n")):
        assert counts.total >= 1  # a JSON value over several lines, or entries of it (docs/output.md)
    elif b" P" in data:
        assert counts.total <= lines
    else:
        assert counts.total == lines


HUGE = 4_000_000  # quadratic work on so many bytes takes hours
ATTACKS = {
    "long path": TEXT.replace("/politics", "/" + "a" * HUGE),
    "long user agent of quotes": TEXT.replace("curl/8.4", '"' * HUGE),
    "user agent of separators": TEXT.replace("curl/8.4", '" "' * (HUGE // 3)),
    "user agent of requests": TEXT.replace("curl/8.4", ' HTTP/1.1" 200 - x - "' * (HUGE // 22)),
    "user agent of digits": TEXT.replace("curl/8.4", '" ' + "1" * HUGE),
    "blanks without end": "[2024-05-01T10:17:14.118Z] " + " " * HUGE,
    "quotes and blanks, cut off": TEXT.replace("curl/8.4", '" ' * (HUGE // 2))[:HUGE],
    "pipes": TEXT.replace("outbound|80||", "|" * HUGE),
    "digits": "1" * HUGE,
    "brackets": "[" * HUGE,
    "braces": "{" * HUGE,
    "JSON string": JSON.replace("curl/8.4", "a" * HUGE),
    "JSON backslashes": JSON.replace("curl/8.4", "\\\\" * (HUGE // 2)),
    "JSON octal escapes": JSON.replace("curl/8.4", "\\351" * (HUGE // 4)),
    "names for stern": "a-" * (HUGE // 2),
    "colours": "\x1b[0m" * (HUGE // 4),
    "NUL bytes": "\0" * HUGE,
    "no newline after a time": STAMP + " " + STAMP * (HUGE // 30),
}


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("line", ATTACKS.values(), ids=ATTACKS)
def test_lines_of_megabytes(line: str) -> None:
    """Hostile lines of 4 MB take linear time: each is a record or a reject, and the next line is read as ever."""
    found = everything([line, TEXT])
    assert totals(found).total == 2
    assert rows(found)[-1]["path"] == "/politics"


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(
    "text",
    [
        '"%REQ(A)%"|"%UPSTREAM_TRANSPORT_FAILURE_REASON%";%REQ(B)%',
        "%REQ(A)%|%UPSTREAM_CLUSTER%|%REQ(B)% X",
        "%REQ(A)%%DURATION% x",
        "%REQ(A)%x%HOSTNAME%x%DURATION% y",
    ],
)
@pytest.mark.parametrize("unit", ["|", "1", "x", "x1", "|1", " ", '"|"'])
def test_custom_formats_take_linear_time(text: str, unit: str) -> None:
    """No format string makes lines of separators quadratic."""
    assert totals(everything([unit * (HUGE // len(unit))], text)).total == 1


@pytest.mark.usefixtures("no_hang")
def test_many_absent_values_are_tried_once() -> None:
    """A line that nearly fits does not try each combination of what `-` may mean: with 40 values that would never end."""
    text = " ".join(f'"%REQ(X-{number})%" %UPSTREAM_HOST% %BYTES_SENT%' for number in range(40))
    line = " ".join('"-" - -' for _ in range(40))
    assert totals(everything([line + " end", line], text)) == Counts(2, 1, 0, 1, 0)


def test_formats_share_nothing_between_logs() -> None:
    """What one log looks like does not change how the next is read."""
    wanted = Formats(formats())
    assert Parser(wanted).feed(Chunk((SEED + "\n").encode(), "a")).counts.records == 1
    assert Parser(wanted).feed(Chunk((TEXT + "\n").encode(), "b")).counts.records == 1
