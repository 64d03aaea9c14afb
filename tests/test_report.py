"""Summaries and filters, against numbers worked out by hand."""

from __future__ import annotations

import json
import random
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from egresslog import Filter, Log, UsageError, read
from egresslog.report import grouping as keys
from egresslog.timespec import duration, moment

FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %DOWNSTREAM_REMOTE_ADDRESS%'
)
HTTP, TCP = "GET / HTTP/1.1", "- - -"
# time, request, code, flags, received, sent, duration, authority, upstream, source
ROWS = [
    ("10:00:00.000", HTTP, 200, "-", 1, 100, 10, "a.com", "192.0.2.1:80", "10.0.0.1:1"),
    ("10:01:30.500", HTTP, 404, "-", 2, 200, 20, "A.com:80", "192.0.2.1:80", "10.0.0.2:1"),
    ("10:06:00.000", HTTP, 503, "UF,URX", 3, 300, 40, "a.com", "-", "10.0.0.1:2"),
    ("10:07:00.000", HTTP, 200, "-", 4, 400, 30, "b.org", "198.51.100.7:443", "10.0.1.1:3"),
    ("10:08:00.000", TCP, 0, "-", 5, 500, 90, "-", "[2001:db8::1]:443", "10.0.1.1:4"),
    ("10:09:59.999", TCP, 0, "UH", 0, 0, 0, "-", "-", "10.0.1.1:5"),
    ("10:10:00.000", HTTP, 0, "DC", 0, 0, 7, "b.org", "198.51.100.7:443", "[2001:db8::9]:6"),
    ("10:10:01.000", HTTP, 200, "DI", 0, 0, 9, "b.org", "198.51.100.7:443", "10.0.0.1:7"),
]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    lines = [
        f'[2024-05-01T{when}Z] "{request}" {code} {flags} {received} {sent} {took} "{host}" "{upstream}" {source}\n'
        for when, request, code, flags, received, sent, took, host, upstream, source in ROWS
    ]
    (tmp_path / "x.log").write_text("".join(lines))
    return read(tmp_path / "x.log", FORMAT)


def summary(log: Log, *args: Any, **options: Any) -> list[dict[str, Any]]:
    return json.loads(log.summary(*args, **options).to_json(orient="records", date_format="iso", date_unit="ms"))


def test_summary_per_host(log: Log) -> None:
    """Requests, bytes, errors, percentiles and times per host: hosts are one whatever port and capitals."""
    a, b, none = summary(log)
    assert a == {
        "host": "a.com", "requests": 3, "share": 0.375, "bytes_received": 6, "bytes_sent": 600, "errors": 2,
        "duration_p50": 20.0, "duration_p90": 36.0, "duration_p99": 39.6,
        "first_seen": "2024-05-01T10:00:00.000Z", "last_seen": "2024-05-01T10:06:00.000Z",
    }  # fmt: skip
    # 0 DC is an HTTP request without a response: an error. An injected delay (DI) is none.
    assert (b["host"], b["requests"], b["errors"]) == ("b.org", 3, 1)
    # A TCP connection with code 0 is no error; with UH it is. Records without a host are a row of their own.
    assert (none["host"], none["requests"], none["errors"]) == (None, 2, 1)


def test_summary_per_status_and_upstream(log: Log) -> None:
    """Status is the response code; an upstream that was never reached is null."""
    assert {row["status"]: row["requests"] for row in summary(log, "status")} == {200: 3, 0: 3, 404: 1, 503: 1}
    assert {row["upstream_ip"]: row["requests"] for row in summary(log, "upstream_ip")} == {
        "198.51.100.7": 3, "192.0.2.1": 2, None: 2, "2001:db8::1": 1,
    }  # fmt: skip


def test_summary_over_time(log: Log) -> None:
    """Buckets of time begin at whole multiples, and are in order."""
    rows = [(row["time"], row["host"], row["requests"]) for row in summary(log, "time:5m,host")]
    assert rows == [
        ("2024-05-01T10:00:00.000Z", "a.com", 2),
        ("2024-05-01T10:05:00.000Z", "a.com", 1),
        ("2024-05-01T10:05:00.000Z", "b.org", 1),
        ("2024-05-01T10:05:00.000Z", None, 2),
        ("2024-05-01T10:10:00.000Z", "b.org", 2),
    ]


def test_time_before_1970_falls_into_the_bucket_below(tmp_path: Path) -> None:
    """Published lines have been masked to 1900: buckets go down, not towards 1970."""
    (tmp_path / "x.log").write_text("1900-01-01T00:04:59.999Z 1\n")
    frame = read(tmp_path / "x.log", "%START_TIME% %DURATION%").summary("time:5m")
    assert frame["time"][0] == datetime(1900, 1, 1, tzinfo=UTC)


def test_top_and_sort(log: Log) -> None:
    """--top cuts after sorting, and what was cut is counted."""
    (table,) = log.report(["host"], top=1, sort="bytes_sent:asc").tables
    assert table.rows["host"].to_pylist() == ["b.org"]
    assert (table.omitted_rows, table.omitted_requests) == (2, 5)
    assert [row["status"] for row in summary(log, "status", sort="status")] == [0, 200, 404, 503]
    assert summary(log, "status", sort="duration_p50")[0]["status"] == 503


def test_percentiles_are_exact(tmp_path: Path) -> None:
    """Percentiles read off counted values are those of the values themselves (statistics' inclusive method)."""
    values = {f"h{number}.com": [] for number in range(5)}  # type: ignore[var-annotated]
    generator = random.Random(7)
    with (tmp_path / "x.log").open("w") as out:
        for _ in range(3000):
            host = generator.choice(list(values))
            took = int(generator.expovariate(0.01))
            values[host].append(took)
            out.write(f"2024-05-01T10:00:00.000Z {host} {took}\n")
    frame = read(tmp_path / "x.log", "%START_TIME% %REQ(:AUTHORITY)% %DURATION%").summary("host").set_index("host")
    for host, took in values.items():
        cuts = statistics.quantiles(took, n=100, method="inclusive")
        for name, cut in (("duration_p50", 50), ("duration_p90", 90), ("duration_p99", 99)):
            assert frame.loc[host, name] == pytest.approx(cuts[cut - 1])


def test_absent_durations_have_no_percentiles(tmp_path: Path) -> None:
    """Without any duration the percentile is null, not zero."""
    (tmp_path / "x.log").write_text("2024-05-01T10:00:00.000Z a.com -\n")
    frame = read(tmp_path / "x.log", "%START_TIME% %REQ(:AUTHORITY)% %DURATION%").summary("host")
    assert frame["duration_p50"].isna().tolist() == [True]


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({"host": ["a.com"]}, [1, 2, 3]),
        ({"host": "a.com", "status": "2xx"}, [1]),
        ({"host": ["*.ORG,nothing"]}, [4, 7, 8]),
        ({"status": ["5xx,404"]}, [2, 3]),
        ({"status": ["200-299", "0"]}, [1, 4, 5, 6, 7, 8]),
        ({"flags": ["UF"]}, [3]),
        ({"flags": ["uh", "DC"]}, [6, 7]),
        ({"flags": ["NoHealthyUpstream"]}, [6]),
        ({"flags": ["-"]}, [1, 2, 4, 5]),
        ({"upstream": ["192.0.2.0/24"]}, [1, 2]),
        ({"upstream": ["2001:db8::/32,198.51.100.7"]}, [4, 5, 7, 8]),
        ({"source": ["10.0.0.0/24"]}, [1, 2, 3, 8]),
        ({"source": ["10.0.1.1"]}, [4, 5, 6]),
        ({"since": "2024-05-01T10:08:00Z"}, [5, 6, 7, 8]),
        ({"until": "2024-05-01T12:06:00+02:00"}, [1, 2]),
        ({"since": "5m", "now": datetime(2024, 5, 1, 10, 15, tzinfo=UTC)}, [7, 8]),
        ({"host": ["a.com"], "status": ["200"]}, [1]),
        ({"host": ["none"]}, []),
    ],
)
def test_filters(log: Log, options: dict[str, Any], lines: list[int]) -> None:
    """Each filter lets through what it names; several must all agree; a null passes none."""
    log = read(log.origins[0], FORMAT, where=Filter.parse(**options))
    assert log.to_arrow()["line_number"].to_pylist() == lines
    assert log.last_scan.selected == len(lines)
    assert log.counts.records == len(ROWS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"status": ["6x"]}, "not a status: '6x' (give 404, 5xx, 500-599, or 0 for TCP)"),
        ({"flags": ["what?"]}, "not a response flag: 'what?' (give UF, NR, ... or - for none)"),
        ({"upstream": ["cnn"]}, "not an address or CIDR for --upstream: 'cnn'"),
        (
            {"source": ["sleep-1"]},
            "not an address or CIDR for --source: 'sleep-1' (a pod's name needs the cluster; give its IP)",
        ),
        ({"since": "yesterday"}, "not a time: 'yesterday' (give 2024-05-01T10:17:14Z, or 5m for five minutes ago)"),
        ({"until": "5 m"}, "not a time: '5 m'"),
        ({"host": [""]}, "empty value for a filter"),
        ({"since": "99999999h"}, "not a time that a log can have"),
        ({"since": "9999-12-31T00:00:00Z"}, "not a time that a log can have"),
        ({"until": "5mm"}, "not a duration: '5mm' (give 90s, 5m, 1h30m, 2d)"),
    ],
)
def test_wrong_filters_are_usage_errors(options: dict[str, Any], message: str) -> None:
    """A filter that could match nothing is refused, with what would do."""
    with pytest.raises(UsageError) as caught:
        Filter.parse(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("hots", "cannot group by 'hots'; columns are: time:5m, status, start_time"),
        ("time:5", "not a duration: '5'"),
        ("time:0s", "a duration must be above zero"),
        ("host,host", "duplicate column in 'host,host'"),
        ("bytes_sent", "cannot group by 'bytes_sent': it is a measure, summed in every row"),
        ("", "cannot group by ''"),
    ],
)
def test_wrong_groups_are_usage_errors(log: Log, by: str, message: str) -> None:
    """A report by something that is no column says which there are."""
    with pytest.raises(UsageError) as caught:
        log.summary(by)
    assert str(caught.value).startswith(message)


def test_own_columns_can_be_grouped_by(tmp_path: Path) -> None:
    """A custom format's columns, too, and provenance."""
    (tmp_path / "x.log").write_text("2024-05-01T10:00:00.000Z red\n2024-05-01T10:00:00.000Z blue\n" * 2)
    log = read(tmp_path / "x.log", "%START_TIME% %REQ(X-TEAM)%")
    assert log.summary("req_x_team")["requests"].tolist() == [2, 2]
    assert log.summary("origin")["requests"].tolist() == [4]


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("90s", 90e9), ("1h30m", 5400e9), ("1.5s", 1.5e9), ("2d", 172800e9), ("5ms", 5e6)]
)
def test_durations(text: str, nanoseconds: float) -> None:
    """Durations as Go writes them, and days."""
    assert duration(text) == nanoseconds


def test_moment_is_exact() -> None:
    """An RFC 3339 time to the microsecond."""
    assert moment("2018-06-14T11:46:23.596Z", datetime.now(UTC)) == 1528976783596000000


def test_an_empty_log_has_an_empty_summary(tmp_path: Path) -> None:
    """Nothing read: no rows, no error, no division by zero."""
    (tmp_path / "x.log").write_text("")
    log = read(tmp_path / "x.log")
    assert summary(log) == []
    assert log.counts.total == 0
    assert log.last_scan.window is None


def test_default_tables() -> None:
    """Without --by a report has three tables."""
    assert keys.DEFAULT == ("host", "status", "upstream_ip")


def test_pandas_keeps_integers_with_gaps(log: Log) -> None:
    """Arrow dtypes: a column with a null is no float."""
    frame = log.to_pandas()
    assert str(frame["upstream_port"].dtype) == "int64[pyarrow]"
    assert frame["upstream_port"].isna().sum() == 2
    assert str(frame["start_time"].dtype) == "timestamp[ns, tz=UTC][pyarrow]"


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    """columns=... gives these, in this order; an unknown one is refused."""
    (tmp_path / "x.log").write_text("2024-05-01T10:00:00.000Z a.com 5\n")
    log = read(tmp_path / "x.log", "%START_TIME% %REQ(:AUTHORITY)% %DURATION%", ["host", "duration"])
    assert log.to_arrow().to_pydict() == {"host": ["a.com"], "duration": [5]}
    assert read(tmp_path / "x.log", "%START_TIME% %REQ(:AUTHORITY)% %DURATION%", "host").to_arrow().column_names == [
        "host"
    ]
    with pytest.raises(UsageError, match="no column 'hots'; columns are: start_time, "):
        read("x", columns=["hots"])


def test_notebook_card_is_escaped(tmp_path: Path) -> None:
    """What a notebook shows has counts and hosts, and no markup of a client's making."""
    (tmp_path / "x.log").write_text("2024-05-01T10:00:00.000Z <script>alert(1)</script>\n")
    html = read(tmp_path / "x.log", "%START_TIME% %REQ(:AUTHORITY)%")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "2024-05-01" in html
    assert "none.log: no such file" in read(["none.log", tmp_path / "x.log"])._repr_html_()
