"""Lines and formats that somebody made to crash, slow or fill the memory of whoever reads them."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egresslog import formats
from egresslog.errors import FormatError, LineError
from egresslog.records.catalogue import resolve
from egresslog.records.chunk import MAX_LINE, Chunk, Counts
from egresslog.records.format import Format
from egresslog.records.json_text import load
from egresslog.records.parser import Parser
from egresslog.records.start_time import time_format
from egresslog.records.surrogates import byte_offset, clean
from egresslog.records.template import MAX_LENGTH, MAX_OPERATORS
from egresslog.scan import reject_batch

from .lines import JSON, TEXT
from .test_parser import STAMP, everything, rows, totals

SAMPLES = [sample.line for log_format in formats() for sample in log_format.samples]
JSON_SAMPLES = [
    (log_format, sample)
    for log_format in formats()
    if log_format.json and not log_format.json.omit_empty  # which leaves such keys out
    for sample in log_format.samples
    if sample.line.startswith("{")
]


# Null


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in an object."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [path, *(place for key, inner in items for place in leaves(inner, (*path, key)))]
    return [path]


def with_value(found: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of an object with another value at ``path``."""
    changed = copy.deepcopy(found)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("log_format", "sample"),
    JSON_SAMPLES,
    ids=[f"{log_format.name}-{sample.about}" for log_format, sample in JSON_SAMPLES],
)
def test_any_key_may_be_null(log_format: Format, sample: Any) -> None:
    """A null for any key, start_time too, makes a record whose other columns are those of the line without it."""
    found = load(sample.line)
    whole = log_format.parse(sample.line)
    for path in [path for path in leaves(found) if path]:
        line = json.dumps(with_value(found, path, None))
        record = log_format.parse(line)
        changed = {name for name, value in record.items() if value != whole[name]}
        assert all(record[name] is None for name in changed - {"host", "ambiguous"}), path
        assert not record["ambiguous"] or whole["ambiguous"]
        assert totals(everything([line])).records == 1, path


def test_nulls_in_a_nested_custom_template() -> None:
    """So in templates of one's own: nested, in lists, mixed with text, numbers and times."""
    template = {
        "when": "%START_TIME%",
        "response": {"code": "%RESPONSE_CODE%", "sizes": ["%BYTES_SENT%", {"in": "%BYTES_RECEIVED%"}]},
        "request": "%REQ(:METHOD)% %REQ(:PATH)%",
        "label": "fixed",
    }
    line: dict[str, Any] = {
        "when": "2024-05-01T10:17:14.118Z",
        "response": {"code": 200, "sizes": [240, {"in": 7}]},
        "request": "GET /politics",
        "label": "fixed",
    }
    values = {"response_code": 200, "bytes_sent": 240, "bytes_received": 7, "method": "GET", "path": "/politics"}
    lost = {
        ("when",): set(),
        ("response",): {"response_code", "bytes_sent", "bytes_received"},
        ("response", "code"): {"response_code"},
        ("response", "sizes"): {"bytes_sent", "bytes_received"},
        ("response", "sizes", 0): {"bytes_sent"},
        ("response", "sizes", 1): {"bytes_received"},
        ("response", "sizes", 1, "in"): {"bytes_received"},
        ("request",): {"method", "path"},
        ("label",): set(),
    }
    assert set(leaves(line)) - {()} == set(lost)
    for path, gone in lost.items():
        record = Format.compile(template).parse(json.dumps(with_value(line, path, None)))
        assert {name: record[name] for name in values} == values | dict.fromkeys(gone), path
        assert (record["start_time"] is None) == (path == ("when",))


# Crashes

ABSURD = [
    "1e400", "-1e400", "NaN", "Infinity", "9" * 19, "-" + "9" * 40, "1.5", "true", "[]", "{}", '[[{"a":[1]}]]', '"x"',
    '"\\ud800"', '"\\udcff\\ud800"', '"99999999999999999999"',
]  # fmt: skip


@pytest.mark.parametrize("value", ABSURD)
def test_absurd_numbers_are_rejects(value: str) -> None:
    """What is no number of 64 bits is none, whichever way it is absurd; the lines around it are read."""
    line = JSON.replace('"bytes_sent":240', f'"bytes_sent":{value}')
    assert totals(everything([TEXT, line, JSON])) == Counts(3, 2, 0, 1, 0)


@pytest.mark.parametrize(("value", "meant"), [("-0", 0), ("-0.0", 0), ("240.0", 240), ('"240"', 240), ('"-"', None)])
def test_unusual_numbers(value: str, meant: int | None) -> None:
    """Some Envoys print doubles, and all values as text; a value that is always there is not absent."""
    found = everything([JSON.replace('"bytes_sent":240', f'"bytes_sent":{value}')])
    assert [row["bytes_sent"] for row in rows(found)] == ([] if meant is None else [meant])


@pytest.mark.parametrize(
    "stamp",
    [
        "0000-01-01T00:00:00Z", "1677-09-21T00:12:43.145Z", "2262-04-11T23:47:16.855Z", "9999-12-31T23:59:59Z",
        "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T23:59:60Z", "2024-01-01T00:00:00+99:99",
    ],
)  # fmt: skip
@pytest.mark.parametrize("line", [TEXT, JSON], ids=["text", "JSON"])
def test_absurd_times_are_rejects(line: str, stamp: str) -> None:
    """A time that is none, or that no 64 bits of nanoseconds hold, is a reject and never another time."""
    found = everything([line.replace("2024-05-01T10:17:14.118Z", stamp), line])
    assert totals(found) == Counts(2, 1, 0, 1, 0)
    assert "expected a time" in found[0].rejects[0].reason


@pytest.mark.parametrize("seconds", ["99999999999", "9223372037"])
def test_seconds_beyond_64_bits_are_a_reject(seconds: str) -> None:
    """Eleven digits of `%s` are more nanoseconds than 64 bits hold."""
    found = everything([f"{seconds} 200", "9223372036 200"], "%START_TIME(%s)% %RESPONSE_CODE%")
    assert totals(found) == Counts(2, 1, 0, 1, 0)


HALF = "\\ud800"  # half a character, as JSON can spell it
HALVES = {
    "Docker": json.dumps({"log": f"{TEXT}\n", "stream": "stdout", "time": STAMP}).replace("curl/8.4", HALF),
    "Docker, text": f'{{"log":"some {HALF} text","stream":"stdout","time":"{STAMP}"}}',
    "Docker, broken": json.dumps({"log": TEXT[:-20], "stream": "stdout"}).replace("curl/8.4", HALF),
    "Docker, a message with a line inside": f'{{"log":"{STAMP} info {HALF} [{STAMP}] \\"GET / HTTP/1.1\\"","stream":"x"}}',
    "Docker, JSON": f'{{"log":"{{\\"a\\": \\"{HALF}\\" x","stream":"stdout"}}',
    "Docker, stream": f'{{"log":"x","stream":"{HALF}","time":"{STAMP}"}}',
    "Docker, key": f'{{"log":"x","{HALF}":1}}',
    "Beats": json.dumps({"message": TEXT, "@timestamp": STAMP}).replace("curl/8.4", HALF),
    "Beats, CRI": f'{{"message":"{STAMP} stdout F {HALF}{HALF}"}}',
    "JSON value": JSON.replace("curl/8.4", HALF),
    "JSON number": JSON.replace(":240", f':"{HALF}"'),
    "JSON upstreams": JSON.replace('"upstream_host":', f'"upstream_host":"{HALF}","upstream_host":'),
    "unknown key": JSON.replace("{", f'{{"{HALF}":1,', 1),
    "ztunnel": f'{{"level":"info","msg":"{HALF} access\\tconnection complete\\tsrc.addr=1"}}',
}


@pytest.mark.parametrize("wanted", [None, "istio-1.9", "istio-json-1.9"])
@pytest.mark.parametrize("line", HALVES.values(), ids=HALVES)
def test_half_characters_in_envelopes(line: str, wanted: str | None) -> None:
    """Lone surrogates that JSON spells out are no bytes and no characters: what holds them is read or rejected."""
    parser = Parser(resolve(wanted))
    parsed = parser.feed(Chunk(f"{line}\n{TEXT}\n".encode(), "a\udcff\ud800"))
    assert parsed.counts.total == 2
    assert all(isinstance(reject.reason.encode(), bytes) for reject in parsed.rejects)
    assert reject_batch(parsed.rejects).validate(full=True) is None
    assert parsed.batch.validate(full=True) is None
    assert all(isinstance(key.encode(), bytes) for key in parsed.unknown_keys)


def test_bytes_before_half_a_character() -> None:
    """Positions in reasons count bytes, whatever stands before them."""
    assert byte_offset("aé\udcff😀x", 4) == 1 + 2 + 1 + 4
    assert byte_offset("a\ud800\udcffx", 3) == 1 + 3 + 1
    assert clean("a\udcff\ud800") == "aÿ\ufffd"


DEEP = {
    "objects": '{"a":' * 70 + "1" + "}" * 70,
    "lists": '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    "in Docker": f'{{"log":{json.dumps("{" + chr(34) + "a" + chr(34) + ":" + "[" * 5000)},"stream":"stdout"}}',
    "envelopes": "",
}
for _ in range(9):
    DEEP["envelopes"] = json.dumps({"log": DEEP["envelopes"] + "\n", "stream": "stdout"})


@pytest.mark.parametrize("wanted", [None, "istio-json-1.9"])
@pytest.mark.parametrize("line", DEEP.values(), ids=DEEP)
def test_deep_json_is_a_reject(line: str, wanted: str | None) -> None:
    """Nesting beyond what access logs have is refused before it reaches Python's own limit."""
    assert totals(everything([line, JSON], wanted)) == Counts(2, 1, 0, 1, 0)


@pytest.mark.parametrize("depth", [65, 900, 990, 100_000])
def test_a_line_with_a_deep_value_is_ambiguous(depth: int) -> None:
    """It is read as a text that only looks like JSON: what its other keys say is not lost."""
    line = JSON.replace('"route_name":null', '"route_name":' + "[" * depth + "]" * depth)
    found = everything([line, JSON])
    assert totals(found) == Counts(2, 2, 0, 0, 1)
    assert [row["upstream_host"] for row in rows(found)] == ["151.101.193.67:80"] * 2


def test_nesting_within_the_limit_is_kept_as_text() -> None:
    """Metadata may be objects; brackets in strings are no nesting."""
    value = '{"a":' * 60 + "1" + "}" * 60
    found = everything([JSON.replace('"route_name":null', f'"route_name":{value}')])
    assert json.loads(rows(found)[0]["route_name"]) == json.loads(value)
    agent = "[{," * 20_000
    assert rows(everything([JSON.replace("curl/8.4", agent)]))[0]["user_agent"] == agent


# Memory

HUGE = 8_000_000
PROGRAM = """
import resource, sys
from egresslog.records.catalogue import resolve
from egresslog.records.chunk import Chunk
from egresslog.records.parser import Parser

size = int(sys.argv[1])
for wanted, head, unit, tail in eval(sys.stdin.read()):
    data = head.encode() + unit.encode() * ((size - len(head)) // len(unit)) + tail.encode() + b"\\n"
    parser = Parser(resolve(wanted))
    parser.feed(Chunk(head.encode() + unit.encode() * 3 + tail.encode() + b"\\nx\\n", "f"))  # compiles the patterns
    used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, (used + 16 * size, resource.RLIM_INFINITY))
    assert parser.feed(Chunk(data, "f")).counts.total == 1
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(repr(unit))
"""
BEFORE_REASON, AFTER_REASON = TEXT.split(' "-" 0 240', 1)
AFTER_REASON = '" 0 240' + AFTER_REASON
GREEDY = {
    "failure reason": (None, BEFORE_REASON + ' "', 'a"', AFTER_REASON),
    "failure reason, quotes in the user agent": (
        None, BEFORE_REASON + ' "', 'a"', AFTER_REASON.replace("curl/8.4", 'a" "b'),
    ),
    "failure reason, many places to begin": (None, BEFORE_REASON + ' "', '"a "b', AFTER_REASON.replace("curl/8.4", '"')),
    "failure reason, cut off": (None, BEFORE_REASON + ' "', "a", ""),
    "JSON keys": (None, '{"a":1', ',"b":1', "}"),
    "JSON objects": (None, '{"a":[{}', ',{"":{}}', "]}"),
    "JSON values of a format": ("istio-json-1.9", '{"a":[1', ",[]", "]}"),
    "JSON octal": (None, JSON.split("curl/8.4")[0], "\\201", JSON.split("curl/8.4")[1]),
    "broken JSON": (None, JSON.split("curl/8.4")[0] + '"', '"path":"x",', JSON.split("curl/8.4")[1]),
    "broken JSON, no string": (None, JSON.split("curl/8.4")[0] + '"', '"path":', JSON.split("curl/8.4")[1]),
    "backslashes": (None, '{"path":"', "\\x", ""),
    "colors": (None, "", "\x1b[0m", ""),
    "bytes that are no UTF-8, in Docker": (None, '{"log":"', "\\udcff", '"}'),
}  # fmt: skip


def test_memory_is_a_small_multiple_of_the_line() -> None:
    """Lines of 8 MB are read within 16 bytes for each of theirs, whatever they repeat (`RLIMIT_AS`)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(HUGE)],
        input=repr(list(GREEDY.values())),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [repr(case[2]) for case in GREEDY.values()], done.stderr[-2000:]


def test_parts_that_never_end_are_not_all_kept() -> None:
    """A CRI line of more parts than a line may have bytes is a reject, however it goes on."""
    parser = Parser(resolve(None))
    part = f"{STAMP} stdout P {'x' * (MAX_LINE // 4)}\n".encode()
    for _ in range(8):
        parser.feed(Chunk(part, "f"))
    parsed = parser.feed(Chunk(f"{STAMP} stdout F end\n{TEXT}\n".encode(), "f"))
    assert parsed.counts == Counts(2, 1, 0, 1, 0)
    assert "longer than 64 MiB" in parsed.rejects[0].reason
    assert len(parsed.rejects[0].line) <= MAX_LINE


# Formats


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("%REQ(A)% " * 5000, "more than 500 operators"),
        ({str(number): "%REQ(A)%" for number in range(5000)}, "more than 500 values"),
        ({"a": "%REQ(A)% " * 300, "b": "%REQ(A)% " * 300}, "more than 500 values"),
        ("x" * MAX_LENGTH + "%REQ(A)%", "more than 65536 characters"),
        ({"k" * MAX_LENGTH + str(number): "%REQ(A)%" for number in range(2)}, "more than 65536 characters"),
        ('{"a":' * 5000 + '"%REQ(A)%"' + "}" * 5000, "nested deeper than 64"),
        ('{"a":' * 900 + '"%REQ(A)%"' + "}" * 900, "nested deeper than 64"),
        ("%REQ(" * 10_000, "expected an operator"),
        ("%" * 10_001 + "x", "expected an operator"),
        ("\ud800%REQ(A)%", "no UTF-8"),
        ({"\udcff": "%REQ(A)%"}, "no UTF-8"),
        ({"a": "%REQ(\ud800)%"}, "no UTF-8"),
        ('{"a": "\\ud800%REQ(A)%"}', "no UTF-8"),
    ],
)
def test_formats_beyond_the_limits_are_refused(source: Any, message: str) -> None:
    """What no proxy's configuration holds is refused with the limit, before it costs anything."""
    with pytest.raises(FormatError, match=message):
        Format.compile(source)


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(
    "operator",
    [
        "%REQ(A)% ", "%DURATION% ", "%DURATION%", '"%REQ(A)%" %BYTES_SENT% ', "%START_TIME(%s)% ", "%START_TIME%",
        "%REQ(A)%", "%PROTOCOL% ", '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" ', "%RESPONSE_FLAGS%-",
    ],
)  # fmt: skip
def test_formats_at_the_limit(operator: str) -> None:
    """500 operators compile, parse and explain in linear time."""
    text = operator * (MAX_OPERATORS // operator.count("%") * 2)
    lines = [piece * 2000 for piece in ('"-" ', "- ", "1 ", "1", '"', 'x" ', "HTTP/1.1 ", "-")]
    assert totals(everything([*lines, "x"], text)).total == len(lines) + 1


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize(
    "argument", ["%s" * 8, "%s" * 3000, "%T" * 3000, "%s%z" * 20, "%B%A" * 20, "%f%E*S" * 20, "%%" * 9000]
)
def test_repeated_directives_of_times_are_linear(argument: str) -> None:
    """Values of any length that follow on each other cannot be told apart: they are kept as text."""
    assert time_format(argument) is None
    found = everything(["1" * 200 + "x", "1" * 200 + " y"], f"%START_TIME({argument})% y")
    assert totals(found) == Counts(2, 1, 0, 1, 0)


@pytest.mark.parametrize(
    "argument", ["%s", "%s%3f", "%s.%f", "%Y-%m-%dT%T.%3f%z", "%A, %d %b %Y %H:%M:%S %Z", "%F %E*S", "%s %s"]
)
def test_directives_that_show_their_ends_are_times(argument: str) -> None:
    """As Envoy's documentation has them."""
    assert time_format(argument) is not None


def test_an_escaped_percent_is_no_directive() -> None:
    """`%%T` prints `%T`, not a time of day after a percent sign."""
    log_format = Format.compile("%START_TIME(%s %%T)% %RESPONSE_CODE%")
    assert log_format.parse("1714558634 %T 200")["start_time"].isoformat() == "2024-05-01T10:17:14+00:00"


@pytest.mark.usefixtures("no_hang")
def test_a_failure_reason_behind_free_text_is_linear() -> None:
    """Each `"` in the free text may be where the reason begins: none is tried to the line's end and back."""
    text = '%REQ(A)% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_SENT% %REQ(B)%'
    assert totals(everything([' "a' * 1_000_000], text)).total == 1
    record = Format.compile(text).parse('curl "TLS error" 7 -')
    assert (record["upstream_transport_failure_reason"], record["bytes_sent"]) == ("TLS error", 7)


@pytest.mark.parametrize("key", ["start_time_digits", "upstream_hosts", "line", "", "Host", "START_TIME", "origin"])
def test_keys_that_mean_something_else(key: str) -> None:
    """A key with a name that egresslog itself uses, or with none, fills a column of its own."""
    line = json.dumps({key: "v", "authority": "a.example"})
    found = everything([line], {key: "%REQ(X-TEAM)%", "authority": "%REQ(:AUTHORITY)%"})
    assert rows(found)[0][f"{key}_"] == "v"
    assert rows(found)[0]["host"] == "a.example"


@pytest.mark.parametrize(
    "content",
    [
        "x=" + "[" * 100_000, "x=" + "{a=" * 50_000, "x=" + "9" * 5000, "variants = 5\n", "title = 5\n", 'omit_empty = "x"\n',
        "format." + "a." * 200 + 'a = "%REQ(A)%"\n', "#" * 2_000_000, "x = 2024-13-45\n", '"\ud800"',
    ],
    ids=lambda content: content[:12],
)  # fmt: skip
def test_broken_toml_is_refused(content: str, tmp_path: Path) -> None:
    """Whatever is wrong with a file, the error names it."""
    rest = 'name = "x"\n[[samples]]\nline = "a"\nrecord = {req_a = "a"}\n'
    rest = rest if content.startswith("format") else f'format = "%REQ(A)%"\n{rest}'
    path = tmp_path / "mine.toml"
    path.write_bytes((content + ("" if content[-1] == "\n" else "\n") + rest).encode("utf-8", "surrogatepass"))
    with pytest.raises(FormatError, match=r"mine\.toml: "):
        Format.load(path)


# Chance

PIECES = [
    *(json.dumps(half)[1:-1] for half in ("\ud800", "\udcff")), "\\", '"', '\\"', "1e400", "NaN", "9" * 20, "null", "true",
    "[" * 70, '{"a":' * 70, "}", "]", ",", ":", "\0", "\ufeff", "\r", '" "', '" ', "-", "", " ", "\t", "\x1b[0m", "😀",
    '"log":', '"stream":', f"{STAMP} stdout F ", f"{STAMP} stdout P ", f"{STAMP} ", "0000-00-00T00:00:00Z", "pod proxy ",
]  # fmt: skip
VALUES = [
    None, True, float("inf"), float("nan"), -0.0, 2**63, -(2**64), 10**4000, 1.5, "", "-", "\ud800", "\udcff", [], {},
    [[None]], {"a": {"b": "\udc80"}}, "9" * 19, "1600-01-01T00:00:00.000Z", "\0",
]  # fmt: skip


def mutated(chance: random.Random) -> str:
    """A sample with other values, pieces and envelopes."""
    line = chance.choice(SAMPLES)
    if line.startswith("{") and chance.random() < 0.6:
        found = load(line)
        for _ in range(chance.choice([1, 2, 5])):
            found[chance.choice([*found, "log", "level", "\ud800"])] = chance.choice(VALUES)
        line = json.dumps(found)
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        start = chance.randrange(len(line) + 1)
        line = line[:start] + chance.choice(PIECES) + line[start + chance.choice([0, 0, 1, 20]) :]
        if chance.random() < 0.3:
            line = json.dumps({chance.choice(["log", "message"]): line, "stream": chance.choice(VALUES)})
        elif chance.random() < 0.2:
            line = f"{STAMP} stdout F {line}"
    return line.replace("\n", " ")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([None, *(log_format.name for log_format in formats())]))
def test_no_mutated_line_is_lost(seed: int, wanted: str | None) -> None:
    """Real lines and envelopes with absurd values and pieces: each is a record, other, or a reject, and none an error."""
    chance = random.Random(seed)
    lines = [mutated(chance).encode("utf-8", "replace") for _ in range(20)]
    parser = Parser(resolve(wanted))
    parsed = [parser.feed(Chunk(b"\n".join(lines) + b"\n", "f")), parser.finish()]
    counts = totals(parsed)
    assert counts.total == counts.records + counts.other + counts.rejected
    assert counts.records == sum(len(part.batch) for part in parsed)
    assert counts.rejected == sum(reject_batch(part.rejects).num_rows for part in parsed)
    if not any(b" P " in line or b'"log"' in line for line in lines):
        assert counts.total == len(lines)


FORMAT_PIECES = [
    "%", "%%", "%REQ(", ")%", "(", ")", "?", ":", ":5%", "%START_TIME(%s", "%START_TIME(%T%s)%", "%3f", "%E*S", '"', '" "', " ",
    "{", "}", "[", "]", "\\", "\n", "\ud800", "\0", "%DURATION%", "%PROTOCOL%", "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "x",
    "%REQUESTED_SERVER_NAME%", "%RESPONSE_FLAGS%", "%REQ(A)%", '":"', ",", "-", "😀", "%NO_SUCH%", "%CEL(a)%", "[%START_TIME%]",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(FORMAT_PIECES), max_size=30).map("".join)
    | st.recursive(
        st.lists(st.sampled_from(FORMAT_PIECES), max_size=4).map("".join),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ).map(lambda value: value if isinstance(value, dict) else {"a": value}),
    st.booleans(),
)
def test_any_format_compiles_or_is_refused(source: Any, omit_empty: bool) -> None:
    """A format string or template of any pieces is a format that reads lines, or a FormatError."""
    try:
        log_format = Format.compile(source, omit_empty=omit_empty)
    except FormatError:
        return
    for line in (TEXT, JSON, "", '"', "{}", '{"a":null}', "x " * 50):
        with suppress(LineError):
            log_format.parse(line)
    assert totals(everything([TEXT, JSON, "x"], log_format)).total == 3
