"""The command line: golden cases in tests/cases, and what a case cannot show."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from typer.testing import CliRunner, Result

from egresslog.cli.app import app

from .test_parser import JSON, SEED, TEXT

CASES = sorted((Path(__file__).parent / "cases").glob("*.toml"))
COMMAND = [sys.executable, "-m", "egresslog"]
HOSTILE = TEXT.replace("curl/8.4", "\x1b]0;pwned\x07\x9b31m=1+1").replace("/politics", "/<script>|`x`[a](b)")


def run(*arguments: str, data: bytes | str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=data, terminal_width=80)


def trimmed(text: str) -> list[str]:
    """Lines without the blanks that fill a table's last column."""
    return [line.rstrip() for line in text.strip("\n").split("\n")]


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.log").write_text(f"{SEED}\n{TEXT}\n{JSON}\n")
    return tmp_path


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_case(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of the command line: files, arguments, input -> output, messages and exit code, written by hand."""
    case: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    for name, content in case.get("files", {}).items():
        Path(name).write_text(content.lstrip("\n"), encoding="utf-8")
    result = run(*case["args"], data=case.get("stdin"))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert trimmed(result.stdout) == trimmed(case.get("stdout", ""))
    assert trimmed(result.stderr) == trimmed(case.get("stderr", ""))
    assert result.exit_code == case["exit"]
    for name, content in case.get("written", {}).items():
        assert Path(name).read_text(encoding="utf-8").strip() == content.strip()


def test_there_are_cases() -> None:
    """The glob finds them."""
    assert len(CASES) >= 12


def test_ndjson_has_the_columns_of_the_record(logs: Path) -> None:
    """parse -o ndjson: one object per record, every column in the order of the design, null for absent."""
    first, second, third = (json.loads(line) for line in run("parse", "x.log").stdout.splitlines())
    assert list(first) == [
        "start_time", "method", "path", "protocol", "response_code", "response_flags", "response_code_details",
        "connection_termination_details", "upstream_transport_failure_reason", "bytes_received", "bytes_sent", "duration",
        "upstream_service_time", "x_forwarded_for", "user_agent", "request_id", "authority", "upstream_host",
        "upstream_cluster", "upstream_local_address", "downstream_local_address", "downstream_remote_address",
        "requested_server_name", "route_name", "host", "upstream_ip", "upstream_port", "source_ip", "origin", "line_number",
        "ambiguous",
    ]  # fmt: skip
    assert first["upstream_cluster"] is None
    assert {key: value for key, value in second.items() if key != "line_number"} == {
        key: value for key, value in third.items() if key != "line_number"
    }


def test_machine_forms_agree(logs: Path) -> None:
    """JSON, CSV and Parquet hold the same records as NDJSON."""
    expected = [json.loads(line) for line in run("parse", "x.log").stdout.splitlines()]
    assert json.loads(run("parse", "-o", "json", "x.log").stdout) == expected
    rows = list(csv.DictReader(io.StringIO(run("parse", "-o", "csv", "x.log").stdout)))
    assert [row["start_time"] for row in rows] == [row["start_time"] for row in expected]
    assert [row["host"] for row in rows] == [row["host"] for row in expected]
    assert [row["upstream_cluster"] for row in rows] == ["", *(row["upstream_cluster"] for row in expected[1:])]
    assert run("parse", "--output-file", "x.parquet", "x.log").exit_code == 0
    table = pa.parquet.read_table("x.parquet")
    assert table["bytes_sent"].to_pylist() == [0, 240, 240]
    assert str(table.schema.field("start_time").type) == "timestamp[ns, tz=UTC]"


@pytest.mark.parametrize(
    ("argument", "sample", "printed"),
    [
        ("", "2018-06-14T11:46:23.590Z", "2018-06-14T11:46:23.590Z"),
        ("%Y-%m-%dT%H:%M:%SZ", "2018-06-14T11:46:23Z", "2018-06-14T11:46:23Z"),
        ("%Y-%m-%dT%H:%M:%E6SZ", "2018-06-14T11:46:23.500000Z", "2018-06-14T11:46:23.500000Z"),
        ("%s.%1f", "1528976783.0", "2018-06-14T11:46:23.0Z"),
        ("%s.%9f", "1528976783.123456789", "2018-06-14T11:46:23.123456789Z"),
    ],
)
def test_times_keep_their_precision(argument: str, sample: str, printed: str) -> None:
    """start_time is printed as RFC 3339 with the digits the line had."""
    operator = f"%START_TIME({argument})%" if argument else "%START_TIME%"
    result = run("parse", "--format", f"{operator} %DURATION%", "-", data=sample + " 5\n")
    assert json.loads(result.stdout)["start_time"] == printed


def test_report_json_is_the_contract(logs: Path) -> None:
    """report -o json: lines, window, and a table each for host, status and upstream IP."""
    report = json.loads(run("report", "x.log").stdout)
    assert report["lines"] == {"total": 3, "records": 3, "other": 0, "rejected": 0, "ambiguous": 0}
    assert report["window"] == {"from": "2018-06-14T11:46:23.596Z", "to": "2024-05-01T10:17:14.118Z"}
    assert [table["by"] for table in report["tables"]] == [["host"], ["status"], ["upstream_ip"]]
    assert report["tables"][0]["rows"] == [
        {"host": "edition.cnn.com", "requests": 3, "share": 1.0, "bytes_received": 0, "bytes_sent": 480, "errors": 0,
         "duration_p50": 8.0, "duration_p90": 8.0, "duration_p99": 8.0, "first_seen": "2018-06-14T11:46:23.596Z",
         "last_seen": "2024-05-01T10:17:14.118Z"},
    ]  # fmt: skip
    assert yaml.safe_load(run("report", "-o", "yaml", "x.log").stdout)["lines"] == report["lines"]
    assert [json.loads(line)["by"] for line in run("report", "-o", "ndjson", "x.log").stdout.splitlines()] == [
        ["host"], ["status"], ["upstream_ip"],
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["table", "wide", "csv", "ndjson", "json"])
def test_no_escape_code_reaches_the_terminal(form: str) -> None:
    """Control characters of a client come out escaped in every textual form, also with colors."""
    result = run("parse", "-o", form, "--color", "always", "-", data=(HOSTILE + "\n").encode())
    text = re.sub("\x1b\\[[0-9;]*m", "", result.stdout)
    assert result.exit_code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_csv_computes_nothing() -> None:
    """A cell that a spreadsheet would take for a formula gets an apostrophe (OWASP)."""
    for agent in ("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1"):
        line = TEXT.replace("curl/8.4", agent)
        (row,) = csv.DictReader(io.StringIO(run("parse", "-o", "csv", "-", data=line).stdout))
        assert row["user_agent"].startswith(("'", "\\t"))


def test_html_and_markdown_stay_text() -> None:
    """A path with markup is text in both; HTML loads nothing from anywhere."""
    html = run("report", "--by", "path", "-o", "html", "-", data=HOSTILE).stdout
    assert "<script>" not in html
    assert "/&lt;script&gt;|`x`[a](b)" in html
    assert "default-src 'none'" in html
    markdown = run("report", "--by", "path", "-o", "markdown", "-", data=HOSTILE).stdout
    assert "/&lt;script&gt;\\|\\`x\\`\\[a\\]\\(b\\)" in markdown


def test_rejects_file_has_every_reject(logs: Path) -> None:
    """--rejects writes origin, line number, line and reason of all lines that could not be read."""
    Path("bad.log").write_text(f"{SEED}\n{TEXT[:60]}\nhello\n")
    result = run("parse", "--rejects", "rejects.ndjson", "bad.log")
    assert result.exit_code == 0
    assert [json.loads(line) for line in Path("rejects.ndjson").read_text().splitlines()] == [
        {"origin": "bad.log", "line_number": 2, "line": TEXT[:60],
         "reason": "expected ' ' after response_code_details at byte 60"},
        {"origin": "bad.log", "line_number": 3, "line": "hello", "reason": "expected '[' at the beginning, at byte 0"},
    ]  # fmt: skip
    assert "2 lines could not be parsed (all in rejects.ndjson)" in result.stderr


def test_unreadable_file_does_not_stop_the_others(logs: Path) -> None:
    """What can be read is written, the rest is named, and the exit code is 3; --keep-going makes it 0."""
    for command in ("parse", "report"):
        result = run(command, "none.log", "x.log")
        assert (result.exit_code, "error: none.log: no such file" in result.stderr) == (3, True)
        assert result.stdout
        assert run(command, "--keep-going", "none.log", "x.log").exit_code == 0


@pytest.mark.parametrize(
    "content", ["", "\n\n", "2022-12-05T07:17:36.434377Z\tinfo\tEnvoy proxy is ready\n", "hello\n"]
)
def test_a_log_without_records_never_passes(content: str, logs: Path) -> None:
    """No line was a record: exit code 3, whatever the form."""
    Path("none.log").write_text(content)
    for arguments in (["parse"], ["report"], ["report", "-o", "table"], ["parse", "--keep-going"]):
        assert run(*arguments, "none.log").exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["parse", "--format", "istio-9", "x.log"],
        ["parse", "--format", "%START", "x.log"],
        ["parse", "--format", "none.toml", "x.log"],
        ["parse", "-o", "xml", "x.log"],
        ["parse", "--output-file", "x.xyz", "x.log"],
        ["parse", "--output-file", "no/such/folder/x.csv", "x.log"],
        ["parse", "--output-file", "x.log", "-o", "ndjson", "x.log"],
        ["parse", "--output-file", ".", "-o", "ndjson", "x.log"],
        ["parse", "--rejects", "x.xyz", "x.log"],
        ["parse", "--rejects", "no/such/folder/x.csv", "x.log"],
        ["parse", "--host", "", "x.log"],
        ["parse", "--columns", "", "x.log"],
        ["parse", "--since", "99999999h", "x.log"],
        ["parse", "--format", '{"a":', "x.log"],
        ["formats", "--color", "blue"],
        ["report", "--by", "bytes_sent", "x.log"],
        ["parse", "--columns", "hots", "x.log"],
        ["parse", "--columns", "host,host", "x.log"],
        ["parse", "--status", "abc", "x.log"],
        ["parse", "--color", "blue", "x.log"],
        ["report", "--by", "hots", "x.log"],
        ["report", "--sort", "hots", "x.log"],
        ["report", "--top", "-1", "x.log"],
        ["report", "--top", "many", "x.log"],
        ["report", "--source", "sleep-1", "x.log"],
        ["formats", "istio-9"],
        ["parse", "-n", "istio-system", "x.log"],
        ["report", "--context", "kind", "x.log"],
        ["parse", "deploy/gateway", "x.log"],
        ["parse", "-A", "pod/gateway"],
        ["parse", "-l", "a=b", "--gateway-name", "gateway"],
        ["parse", "-l", "a=b", "deploy/gateway"],
        ["parse", "-n", "", "-o", "json"],
        ["parse", "--max-log-requests", "0"],
        ["tail", "-c", "istio-proxy", "x.log"],
        ["tail", "-o", "csv", "x.log"],
        ["tail", "--tail", "-2", "x.log"],
        ["verify", "edition.cnn.com", "--from", "sleep"],
        ["verify", "edition.cnn.com", "--from", "default/Sleep!"],
        ["verify", "edition.cnn.com", "--from", "default/sleep", "--from-all"],
        ["verify", "edition.cnn.com", "--sidecar", "x.log", "--from", "default/sleep"],
        ["verify", "edition.cnn.com", "--gateway", "x.log", "-n", "istio-system"],
        ["verify", "https://edition.cnn.com/", "--gateway", "x.log"],
        ["verify", "edition.cnn.com", "--gateway", "x.log", "--expect", "GOOD"],
        ["verify", "edition.cnn.com", "--gateway", "x.log", "--external", "10"],
        ["verify", "edition.cnn.com", "--gateway", "x.log", "--gateway-ip", "gateway"],
        ["verify", "edition.cnn.com", "--gateway", "x.log", "-o", "parquet"],
        ["verify", "edition.cnn.com", "--gateway", "x.log", "--since", "yesterday"],
        ["verify", "edition.cnn.com", "--gateway", "x.log", "--output-file", "x.log", "-o", "json"],
        ["verify", "edition.cnn.com", "--gateway", "-", "--sidecar", "-"],
        ["formats", "-o", "csv"],
        ["nothing"],
        ["parse", "--nothing"],
    ],
)
def test_a_users_mistake_is_exit_2_and_a_sentence(arguments: list[str], logs: Path) -> None:
    """Usage errors: exit code 2, a message on standard error, nothing on standard output, no traceback."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert "Traceback" not in result.stderr
    assert Path("x.log").read_text().startswith(SEED)


def test_output_file_appears_when_it_is_complete(logs: Path) -> None:
    """The suffix tells the form; nothing half-written is left under the name."""
    assert run("report", "--output-file", "r.html", "x.log").exit_code == 0
    assert Path("r.html").read_text().startswith("<!doctype html>")
    Path("kept.json").write_text("before")
    assert run("report", "--by", "hots", "--output-file", "kept.json", "x.log").exit_code == 2
    assert Path("kept.json").read_text() == "before"
    assert sorted(path.name for path in logs.iterdir()) == ["kept.json", "r.html", "x.log"]


def test_head_closes_the_pipe(logs: Path) -> None:
    """`| head` ends the command quietly."""
    Path("big.log").write_text(f"{TEXT}\n" * 20_000)
    shell = f"{' '.join(COMMAND)} parse big.log | head -1 | wc -l"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["parse"], ["report"], ["report", "-o", "table"], ["formats"]])
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written(arguments: list[str], where: str, logs: Path) -> None:
    """A full disk or a closed standard output is a message and an exit code, no traceback."""
    files = [] if arguments == ["formats"] else ["x.log"]
    done = subprocess.run(
        ["bash", "-c", " ".join([*COMMAND, *arguments, *files, where])], capture_output=True, text=True, check=False
    )
    assert done.returncode in {2, 3}
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_of_unknown_format_gets_a_hint() -> None:
    """Where nothing is a record, the message says what may be the matter."""
    result = run("report", "-", data="2022-12-05T07:17:36.434377Z\tinfo\tEnvoy proxy is ready\n")
    assert "is access logging on? Give a custom format with --format" in result.stderr


def test_output_survives_an_ascii_locale(logs: Path) -> None:
    """LANG=C is no reason for a traceback."""
    Path("u.log").write_bytes(TEXT.replace("/politics", "/caf\u00e9").encode())
    done = subprocess.run(
        [*COMMAND, "parse", "-o", "table", "u.log"],
        capture_output=True,
        check=True,
        env={**os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert b"/caf\\xe9" in done.stdout


def terminal(*arguments: str, **environment: str) -> tuple[str, int]:
    """What a person sees: the command on a pseudo-terminal of 100 columns."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=other,
        stderr=other,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"} | environment,
    )
    os.close(other)
    seen = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(main)
    return seen.decode(), process.wait()


def test_terminal_gets_a_table_with_colors(logs: Path) -> None:
    """On a terminal the default is a table; colors switch off with --color never and NO_COLOR."""
    Path("e.log").write_text(TEXT.replace(" 301 ", " 503 ") + "\n")
    seen, code = terminal("report", "e.log")
    assert code == 0
    assert "HOST" in seen
    assert "edition.cnn.com" in seen
    assert "\x1b[31m" in seen  # a server error is red
    assert "\x1b[31m" not in terminal("report", "--color", "never", "e.log")[0]
    assert "\x1b[31m" not in terminal("report", "e.log", NO_COLOR="1")[0]
    assert "\x1b[" not in run("report", "-o", "table", "e.log").stdout


def test_verify_on_a_terminal_breaks_no_word(logs: Path) -> None:
    """Sentences end at the edge with whole words; a line of the log is one line, for copying."""
    seen, code = terminal("verify", *HOSTS, COLUMNS="60", NO_COLOR="1")
    shown = seen.replace("\r\n", "\n").split("\n")
    assert code == 0
    assert "  Bypass not checked: no sidecar log was read." in shown
    assert "  The gateway forwarded the traffic to an outside address," in shown
    assert "  and that address answered. (3 PROVEN)" in shown
    assert f"      {SEED}" in shown


def test_long_read_shows_progress(logs: Path) -> None:
    """A long read shows a bar on the terminal, and clears it."""
    with Path("big.log").open("w") as out:
        out.writelines(f"{TEXT}\n" * 1000 for _ in range(150))
    seen, code = terminal("report", "big.log")
    assert code == 0
    assert "reading" in seen
    assert "150,000 lines = 150,000 records" in seen


def test_parquet_does_not_go_to_a_terminal(logs: Path) -> None:
    """Binary output onto a terminal is refused, with the way out."""
    seen, code = terminal("parse", "-o", "parquet", "x.log")
    assert code == 2
    assert "give a file with --output-file" in seen


HOSTS = ["edition.cnn.com", "--gateway", "x.log"]


def test_verify_has_one_answer_in_all_forms(logs: Path) -> None:
    """The exit code does not depend on -o, JSON and YAML are one document, NDJSON its hosts."""
    results = {form: run("verify", *HOSTS, "-o", form) for form in ("table", "json", "ndjson", "yaml", "markdown")}
    assert {result.exit_code for result in results.values()} == {0}
    document = json.loads(results["json"].stdout)
    assert document == yaml.safe_load(results["yaml"].stdout)
    assert document["hosts"] == [json.loads(text) for text in results["ndjson"].stdout.splitlines()]
    (host,) = document["hosts"]
    assert (host["host"], host["verdict"], host["counts"]) == ("edition.cnn.com", "PROVEN", {"PROVEN": 3})
    (finding,) = host["findings"]
    assert (finding["code"], finding["level"], finding["count"]) == ("EGL101", "info", 3)
    assert [(line["hop"], line["origin"], line["line"]) for line in finding["evidence"]] == [
        ("gateway", "x.log", SEED), ("gateway", "x.log", TEXT), ("gateway", "x.log", JSON),
    ]  # fmt: skip
    assert document["lines"] == {"total": 3, "records": 3, "other": 0, "rejected": 0, "ambiguous": 0}
    assert [(row["hop"], row["origin"], row["records"]) for row in document["coverage"]] == [("gateway", "x.log", 3)]


def test_verify_expects_what_it_is_told(logs: Path) -> None:
    """--expect turns the question round; what could not be read, or holds nothing, is no answer."""
    assert run("verify", *HOSTS, "--expect", "blocked").exit_code == 1
    assert run("verify", *HOSTS, "nobody.test").exit_code == 3
    assert run("verify", "nobody.test", "--gateway", "x.log", "--expect", "NO_EVIDENCE").exit_code == 0
    assert run("verify", *HOSTS, "--gateway", "none.log").exit_code == 3
    assert run("verify", *HOSTS, "--gateway", "none.log", "--keep-going").exit_code == 0
    Path("empty.log").write_text("")
    assert run("verify", *HOSTS, "--sidecar", "empty.log").exit_code == 3
    assert run("verify", "nobody.test", "--gateway", "empty.log", "--expect", "NO_EVIDENCE").exit_code == 3
    assert run("verify", "--gateway", "empty.log").exit_code == 3


def test_verify_reads_standard_input(logs: Path) -> None:
    """`kubectl logs ... | egresslog verify HOST --gateway -`; the lines are kept for the evidence."""
    result = run("verify", "edition.cnn.com", "--gateway", "-", "-o", "json", data=SEED)
    assert json.loads(result.stdout)["hosts"][0]["findings"][0]["evidence"][0]["line"] == SEED


@pytest.mark.parametrize("form", ["table", "json", "ndjson", "yaml", "markdown"])
def test_verify_shows_hostile_lines_as_text(form: str) -> None:
    """Escape codes and markup of a client reach neither the terminal nor a ticket."""
    result = run("verify", "edition.cnn.com", "--gateway", "-", "-o", form, "--color", "always", data=HOSTILE)
    text = re.sub("\x1b\\[[0-9;]*m", "", result.stdout)
    assert result.exit_code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    if form == "markdown":  # the line stands in a block of code, four blanks deeper than its list
        (shown,) = [one for one in text.splitlines() if "<script>" in one]
        assert shown.startswith("      [")


def test_verify_of_many_hosts_is_a_table(logs: Path) -> None:
    """Without a question each host has one line; the gravest first, and how to see more."""
    lines = [TEXT.replace("edition.cnn.com", f"host{number}.example.com") for number in range(25)]
    result = run("verify", "--gateway", "-", "-o", "table", data="\n".join(lines))
    shown = result.stdout.splitlines()
    assert shown[0].split() == ["VERDICT", "HOST", "CASES", "FINDINGS"]
    assert shown[1].split() == ["PROVEN", "host0.example.com", "1", "PROVEN", "EGL101"]
    assert shown[21] == "5 more hosts (-o json has them all)"


@pytest.mark.parametrize("form", ["table", "json", "ndjson", "yaml", "markdown"])
def test_a_reader_that_leaves_does_not_change_the_verdict(form: str, logs: Path) -> None:
    """`egresslog verify ... | grep -q x` must not pass for want of a reader."""
    past = TEXT.replace("outbound|80||edition.cnn.com", "PassthroughCluster").replace(
        "10.244.2.20:8080", "151.101.1.67:80"
    )
    Path("past.log").write_text(past + "\n")
    Path("proof.log").write_text(TEXT + "\n")
    for log, code in (["--sidecar", "past.log"], 1), (["--gateway", "proof.log"], 0):
        reading, writing = os.pipe()
        os.close(reading)
        arguments = [*COMMAND, "verify", "edition.cnn.com", *log, "-o", form]
        done = subprocess.run(arguments, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writing)
        assert done.returncode == code
        assert "1 line = 1 record" in done.stderr


CLUSTER = ["--namespace", "--all-namespaces", "--selector", "--gateway-name", "--container", "--context", "--kubeconfig",
           "--max-log-requests"]  # fmt: skip
FILTER = ["--host", "--status", "--flags", "--upstream", "--source", "--since", "--until"]
PANELS = {
    "parse": {
        "Arguments": ["FILES"],
        "Input": ["--format", "--field", "--prefix", "--strip-prefix", "--keep-going"],
        "Filter": FILTER,
        "Cluster": CLUSTER,
        "Output": ["--columns", "--output", "--output-file", "--rejects", "--color"],
        "Options": ["--help"],
    },
    "report": {
        "Arguments": ["FILES"],
        "Options": ["--by", "--top", "--sort", "--help"],
        "Input": ["--format", "--field", "--prefix", "--strip-prefix", "--keep-going"],
        "Filter": FILTER,
        "Cluster": CLUSTER,
        "Output": ["--output", "--output-file", "--rejects", "--color"],
    },
    "verify": {
        "Arguments": ["HOST"],
        "Options": ["--expect", "--exclusive", "--gateway-service", "--gateway-ip", "--external", "--internal", "--probe", "--watch", "--every", "--help"],
        "Input": [
            "--gateway", "--sidecar", "--from", "--from-all", "--format", "--field", "--prefix", "--strip-prefix",
            "--keep-going",
        ],
        "Filter": ["--source", "--since", "--until"],
        "Cluster": CLUSTER,
        "Output": ["--output", "--output-file", "--rejects", "--color"],
    },
    "tail": {
        "Arguments": ["FILES"],
        "Input": ["--tail", "--format"],
        "Filter": FILTER[:-1],
        "Cluster": CLUSTER,
        "Output": ["--raw", "--output", "--color"],
        "Options": ["--help"],
    },
    "formats": {"Arguments": ["NAME"], "Output": ["--output", "--color"], "Options": ["--help"]},
}  # fmt: skip


@pytest.mark.parametrize("command", PANELS)
def test_help_lists_every_option_in_its_panel(command: str) -> None:
    """Each command has these options, in these panels, in this order; no line is wider than the terminal."""
    text = run(command, "--help").stdout
    panels: dict[str, list[str]] = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"([A-Z]\w+):", line):
            names = panels.setdefault(heading[1], [])
        elif (name := re.match(r"  (?:-\w, )?(--[a-z-]+|[A-Z]+)(?=  | [A-Z[]|$)", line)) and panels:
            names.append(name[1])
    assert panels == PANELS[command]
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("command", PANELS)
def test_help_names_the_output_formats(command: str) -> None:
    """The formats in the help are those that -o takes, in the order of the message about another one."""
    known = run(command, "-o", "none").stderr.partition("use one of ")[2].strip()
    assert known
    assert f"Output formats (-o): {known}." in " ".join(run(command, "--help").stdout.split())


def test_help_is_the_same_text_on_a_terminal() -> None:
    """Help has neither frames nor escape codes, and uses up to 100 columns."""
    wide = terminal("verify", "--help", COLUMNS="200")[0]
    assert "\x1b" not in wide
    assert wide.isascii()
    assert 80 < max(len(line.rstrip("\r")) for line in wide.split("\n")) <= 100
    assert "".join(wide.split()) == "".join(terminal("verify", "--help", COLUMNS="80")[0].split())


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["re"], ["report"]),
        (["parse", "--out"], ["--output", "--output-file"]),
        (["tail", "--max"], ["--max-log-requests"]),
        (["parse", "--color", "a"], ["auto", "always"]),
        (["verify", "--expect", "b"], ["BYPASSED", "BLOCKED"]),
        (["parse", "--format", "envoy"], ["envoy-default", "envoy-gateway-json"]),
        (["formats", "envoy"], ["envoy-default", "envoy-gateway-json"]),
        (["parse", "--columns", "host,route"], ["host,route_name"]),
        (["report", "--by", "upstream_c"], ["upstream_cluster"]),
        (["verify", "--context", "kind"], ["kind-mesh", "kind-other"]),
    ],
)
def test_shell_completion(words: list[str], completed: list[str], tmp_path: Path) -> None:
    """What bash gets when Tab is pressed after the last word."""
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("kind-mesh", "kind-other", "gke")]
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "gke", "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}],
    }  # fmt: skip
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [Path(sys.executable).with_name("egresslog")],
        env={
            **os.environ,
            "_EGRESSLOG_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["egresslog", *words]),
            "COMP_CWORD": str(len(words)),
            "KUBECONFIG": str(tmp_path / "config"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.split(), done.stderr) == (completed, "")


def test_sidecar_takes_no_workload(logs: Path) -> None:
    """A workload as --sidecar is refused with the option that reads it, instead of nothing being read."""
    result = run("verify", *HOSTS, "--sidecar", "deploy/sleep")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--sidecar takes files: read deploy/sleep with --from NAMESPACE/NAME" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["parse", "--color", "blue"], "Error: Invalid value for '--color': 'blue' is not one of 'auto', 'always', 'never'."),
        (["verify", "--expect", "GOOD"],
         "Error: Invalid value for '--expect': 'GOOD' is not one of 'bypassed', 'misrouted', 'proven', 'failed', 'blocked', "
         "'sent_unconfirmed', 'no_evidence'."),
        (["parse", "-o", "xml"], "error: unknown output format 'xml'; use one of table, wide, ndjson, json, csv, parquet"),
        (["prase"], "Error: No such command 'prase'. Did you mean 'parse'?"),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_answered_with_the_right_ones(arguments: list[str], message: str) -> None:
    """The message names the option, the value and what would do."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == message
