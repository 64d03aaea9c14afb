"""How commands end, as processes: closed and full streams, signals at any moment, errors that nobody foresaw."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from .lines import TEXT
from .running import COMMAND

EGRESSLOG = " ".join(COMMAND)
# Its two lines are of one request, which went past the gateway.
BYPASS = TEXT.replace("outbound|80||edition.cnn.com", "PassthroughCluster").replace(
    "10.244.2.20:8080", "151.101.193.67:80"
)
# A command, and the exit code that it has when everything can be written.
ENDS = {
    **{f"parse -o {form} x.log": 0 for form in ("table", "ndjson", "csv", "parquet")},
    **{f"report --by host -o {form} x.log": 0 for form in ("table", "json", "html", "parquet")},
    "parse x.log missing.log": 3,
    **{f"verify --sidecar bypass.log -o {form}": 1 for form in ("table", "json", "markdown")},
    "verify example.com --gateway x.log": 3,
    "formats": 0,
    "--help": 0,
    "verify --help": 0,
    "--version": 0,
    "--no-such-option": 2,
}


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with logs, and in it ``tmp`` for temporary files."""
    monkeypatch.chdir(tmp_path)
    Path("x.log").write_text(f"{TEXT}\n")
    Path("bypass.log").write_text(f"{BYPASS}\n")
    Path("big.log").write_text(f"{TEXT}\n" * 20_000)
    Path("tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path


def shell(script: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a script; ``egresslog`` is the command."""
    script = f'egresslog() {{ {EGRESSLOG} "$@"; }}\n{script}'
    done = subprocess.run(
        ["bash", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode()


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose input stays open, that takes SIGINT whatever started the tests, and that is over at the end."""
    restore = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", restore, *COMMAND, *arguments]
    with subprocess.Popen(
        command, **{"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], object]) -> None:
    """Waits for what another process does."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def is_ready(process: subprocess.Popen[bytes]) -> bool:
    """Whether the command, and no longer Python alone, takes signals."""
    caught = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def bytes_read(process: subprocess.Popen[bytes]) -> int:
    return int(Path(f"/proc/{process.pid}/io").read_text().split()[1])


@pytest.mark.parametrize("command", ENDS)
def test_a_closed_stream_changes_no_exit_code(command: str, logs: Path) -> None:
    """`| head` that reads nothing, a closed standard error and input: the command's own exit code, and no traceback."""
    code, _, err = shell(f"egresslog {command} | true; exit ${{PIPESTATUS[0]}}")
    assert (code, "Traceback" in err, "Exception" in err, "Broken" in err) == (ENDS[command], False, False, False)
    code, out, err = shell(f"egresslog {command} 2>&- <&-")
    assert (code, bool(out), err) == (ENDS[command], ENDS[command] != 2, "")


@pytest.mark.parametrize("command", [name for name, code in ENDS.items() if code != 2])
def test_a_full_output_is_exit_3_and_one_line(command: str, logs: Path) -> None:
    """What could not be written is no result, whatever the verdict would have been. Messages are not worth an error."""
    code, _, err = shell(f"egresslog {command} >/dev/full")
    assert (code, "Traceback" in err) == (3, False)
    assert [line for line in err.splitlines() if "No space" in line] == [
        "error: standard output: No space left on device"
    ]


def test_nobody_reads_the_messages(logs: Path) -> None:
    """A full or closed standard error does not change the result either."""
    for redirected in ("2>/dev/full", "2> >(true)"):
        assert shell(f"egresslog verify --sidecar bypass.log {redirected} >out.json")[0] == 1
        assert '"BYPASSED"' in Path("out.json").read_text()
    assert shell("egresslog verify --sidecar bypass.log 2>&1 | true; exit ${PIPESTATUS[0]}")[0] == 1


def test_a_closed_output_leaves_the_verdict(logs: Path) -> None:
    """`verify >&-` is asked for its exit code; of the other commands nothing would be left."""
    assert shell("egresslog verify --sidecar bypass.log >&-")[0] == 1
    assert shell("egresslog verify --sidecar bypass.log >&- 2>&- <&-")[0] == 1
    code, _, err = shell("egresslog report x.log >&-")
    assert (code, err) == (2, "error: standard output is closed: give a file with --output-file\n")


@pytest.mark.parametrize("command", ["parse -", "report -", "verify --gateway -", "tail -"])
def test_a_closed_input_cannot_be_read(command: str, logs: Path) -> None:
    """It is an error, not an empty log, and not the file that happens to be opened next."""
    code, _, err = shell(f"egresslog {command} <&-")
    assert code == 3
    assert "-: there is no standard input" in err
    assert "Traceback" not in err


def test_head_ends_a_pipe_that_never_ends(logs: Path) -> None:
    """`kubectl logs -f | egresslog parse - | head -1`: nobody waits for the rest."""
    assert shell('yes "$(cat x.log)" | egresslog parse - | head -1 | wc -l; exit ${PIPESTATUS[1]}')[:2] == (0, "1\n")


def test_a_file_that_becomes_too_large_is_not_left(logs: Path) -> None:
    """As on a full disk: exit code 3, a line with the name, and neither the file nor a part of it."""
    code, _, err = shell("ulimit -f 100; egresslog parse --output-file out.json big.log")
    assert (code, err) == (3, "error: out.json: File too large\n")
    assert not [path for path in logs.iterdir() if "out.json" in path.name]


# --- signals ---------------------------------------------------------------------------------------------------------


SIZE = len(TEXT + "\n") * 20_000
MOMENTS = [0, *range(3_000_000, SIZE + 15_000_000, 3_000_000)]  # bytes read, modules and libraries included
COMMANDS = {
    "report": ["report", "-o", "json", "--output-file", "out.json", "big.log"],
    "verify": ["verify", "-o", "json", "--output-file", "out.json", "--gateway", "big.log"],
    "parse": ["parse", "--output-file", "out.parquet", "big.log"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_is_130_and_quiet_at_every_moment(command: str, logs: Path) -> None:
    """From the start, through imports, the engine's work and writing, to the end: no traceback, and nothing is left."""
    codes = [interrupted(COMMANDS[command], signal.SIGINT, moment, logs) for moment in MOMENTS]
    assert set(codes) <= {130, 0}
    assert codes[0] == 130
    assert codes.count(130) > 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_leave_nothing_behind(number: signal.Signals, logs: Path) -> None:
    """The exit code is that of the signal, as in a shell."""
    codes = [interrupted(COMMANDS["report"], number, moment, logs) for moment in MOMENTS[::4]]
    assert set(codes) <= {128 + number, 0}
    assert codes[0] == 128 + number


def interrupted(command: list[str], number: signal.Signals, moment: int, logs: Path) -> int:
    """The exit code of a command that gets a signal once it has read so much."""
    with started(*command, stdin=subprocess.DEVNULL) as process:
        until(lambda: process.poll() is not None or (is_ready(process) and bytes_read(process) >= moment))
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    finished = process.returncode == 0
    assert finished or err == b""
    assert b"Traceback" not in err
    assert list((logs / "tmp").iterdir()) == []
    assert not [path for path in logs.iterdir() if path.name.startswith(".")]
    for path in logs.glob("out.*"):  # complete, also where the signal came just after that
        assert pq.read_table(path).num_rows if path.suffix == ".parquet" else json.loads(path.read_bytes())
        path.unlink()
    return process.returncode


def test_nohup_is_respected(logs: Path) -> None:
    """What was ignored from the start stays so."""
    with started("report", "-", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        until(lambda: is_ready(process) and any((logs / "tmp").iterdir()))
        process.send_signal(signal.SIGHUP)
        process.communicate(TEXT.encode(), timeout=120)
    assert process.returncode == 0


def test_ctrl_c_while_credentials_are_fetched(logs: Path) -> None:
    """A plugin of the kubeconfig that does not answer."""
    Path("config").write_text(f"""\
apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:1"}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
users: [{{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: bash,
  args: ["-c", "echo $$ > {logs}/pid; exec sleep 600"]}}}}}}]
""")
    arguments = ("parse", "--kubeconfig", "config")
    with Path("err").open("wb") as messages, started(*arguments, stdin=subprocess.DEVNULL, stderr=messages) as process:
        until(lambda: Path("pid").exists() and Path("pid").read_text().endswith("\n"))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    os.kill(int(Path("pid").read_text()), signal.SIGKILL)
    assert Path("err").read_text() == ""


@pytest.mark.parametrize(("files", "expected"), [(["x.log"], 0), (["x.log", "missing.log"], 3)])
def test_ctrl_c_ends_tail_with_its_summary(files: list[str], expected: int, logs: Path) -> None:
    """And with the exit code of what was read, while nothing is written to the files."""
    with started("tail", "-o", "ndjson", *files, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert b"edition.cnn.com" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (expected, b"")
    assert b"1 file: 1 line = 1 record" in err
    assert b"Traceback" not in err


# --- what SIGKILL leaves ---------------------------------------------------------------------------------------------


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_next_run_removes_what_a_killed_one_left(logs: Path) -> None:
    """Its temporary folder; not that of a command that is still running, and nothing that is not ours."""
    own = {"egresslog-notes", "egresslog-0123456789abcdef"}
    for name in own:
        (logs / "tmp" / name).mkdir()
        (logs / "tmp" / name / "lock").touch()
    with started("report", "-") as killed:
        until(lambda: entries(logs / "tmp") - own)
        until(lambda: "records.duckdb" in "".join(map(str, (logs / "tmp").rglob("*"))))
    (left,) = entries(logs / "tmp") - own
    assert killed.wait() == -signal.SIGKILL
    with started("report", "-") as running:
        # Not just any entry: Python makes a file for a moment when it looks for a temporary directory.
        until(lambda: {path.parent.name for path in (logs / "tmp").glob("*/records.duckdb")} - {left})
        (alive,) = entries(logs / "tmp") - own - {left}
        assert shell("egresslog parse x.log")[0] == 0  # any command
        assert entries(logs / "tmp") - own == {alive}
        assert shell("egresslog report x.log")[0] == 0
        assert entries(logs / "tmp") - own == {alive}
        running.communicate(TEXT.encode(), timeout=120)
        assert running.returncode == 0
    assert entries(logs / "tmp") == own


def test_the_next_run_removes_an_unfinished_output(logs: Path) -> None:
    """The part of a killed command; not that of one that writes the same file at the same time."""

    def parts() -> set[str]:
        return {name for name in entries(logs) if name.startswith(".out.json.")}

    with started("parse", "-", "--output-file", "out.json"):
        until(parts)
    (left,) = parts()
    with started("parse", "-", "--output-file", "out.json") as running:
        until(lambda: parts() - {left})
        (alive,) = parts() - {left}
        assert shell("egresslog parse x.log --output-file out.json")[0] == 0
        assert parts() == {alive}
        running.communicate(f"{TEXT}\n{TEXT}\n".encode(), timeout=120)
        assert running.returncode == 0
    assert parts() == set()
    assert Path("out.json").read_text().count("edition.cnn.com") >= 2


# --- errors that nobody foresaw ---------------------------------------------------------------------------------------

PROGRAM = """
import sys, threading
from egresslog.cli.exit_codes import exits
from egresslog.cli.process import run
import typer

def key(**_): return {}["metadata"]
def memory(**_): return bytearray(1 << 60)
def recursion(**_): return recursion()
def attribute(**_): return None.items
def system(**_): open("/nonexistent/file")
def end(**_): raise EOFError("early")
def unicode(**_): return "\\udc80".encode()
def many_lines(**_): raise ValueError("first\\nsecond\\x1b[31m" + "x" * 10_000)

def thread(**_):
    work = threading.Thread(target=key)
    work.start()
    work.join()
    return 0

class Closing:
    def __del__(self):
        key()

def closing(**_):
    Closing()
    return 0

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(exits(lambda: globals()[sys.argv.pop(1)]()))
raise SystemExit(run(app))
"""


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("key", "internal error: KeyError: 'metadata'"),
        ("memory", "out of memory"),
        ("recursion", "internal error: RecursionError: maximum recursion depth exceeded"),
        ("attribute", "internal error: AttributeError: 'NoneType' object has no attribute 'items'"),
        ("system", "/nonexistent/file: no such file"),
        ("end", "internal error: RuntimeError: EOFError: early"),
        ("unicode", "internal error: UnicodeEncodeError: "),
        ("many_lines", "internal error: ValueError: first second\\x1b[31mxxx"),
        ("thread", "internal error: KeyError: 'metadata'"),
        ("closing", "internal error: KeyError: 'metadata'"),
    ],
)
def test_an_error_that_nobody_foresaw_is_exit_3_and_one_line(what: str, message: str, logs: Path) -> None:
    """Never 1, which says that a host was judged. --debug and EGRESSLOG_DEBUG show the traceback."""
    program = PROGRAM.replace("globals()[sys.argv.pop(1)]()", f"{what}()").replace("lambda: ", "lambda color='auto': ")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {message}")
    assert len(line) < 600
    assert ("please report it" in line) == ("internal error" in line)
    if "internal error" in line:
        for argument, environment in (["--debug"], {}), ([], {"EGRESSLOG_DEBUG": "1"}):
            done = subprocess.run(
                [sys.executable, "-c", program.replace("lambda color='auto'", "lambda color='auto', debug=False"), *argument],
                capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment},
            )  # fmt: skip
            assert done.returncode == 3
            assert "Traceback (most recent call last)" in done.stderr
            assert done.stderr.splitlines()[-1] == line


def test_debug_stands_before_or_after_the_command(logs: Path) -> None:
    """It changes nothing where there is no error."""
    for command in ("--debug parse x.log", "parse x.log --debug", "formats --debug"):
        assert shell(f"egresslog {command}")[0] == 0


def test_memory_that_is_not_enough(logs: Path) -> None:
    """A limit of the process, at which a library ends it with exit(1): no exit code of `verify` that means something."""
    code, _, err = shell("ulimit -v 300000; egresslog verify --gateway big.log")
    assert code not in {0, 1, 2}
    assert "Traceback" not in err
