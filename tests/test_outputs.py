"""Files of the output: never one that is read, never two in one, and an existing one keeps what it is."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from .running import invoke
from .test_parser import JSON, SEED

CUSTOM = 'name = "own"\ntitle = "Own"\n'
BROKEN = "[2026-11-22T22:28:08.827Z] broken\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with logs, links to them, and what must not be overwritten."""
    (tmp_path / "x.log").write_text(f"{SEED}\n{JSON}\n{BROKEN}")
    (tmp_path / "soft.csv").symlink_to("x.log")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "x.log")
    (tmp_path / "out.csv").write_text("old\n")
    (tmp_path / "out-soft.csv").symlink_to(tmp_path / "out.csv")
    (tmp_path / "out-hard.csv").hardlink_to(tmp_path / "out.csv")
    (tmp_path / "dangling.csv").symlink_to("new.csv")
    (tmp_path / "stdout.csv").symlink_to("/dev/stdout")
    (tmp_path / "folder").mkdir()
    (tmp_path / "own.toml").write_text(CUSTOM)
    (tmp_path / "config.yaml").write_text("kind: Config\n")
    return tmp_path


def run(folder: Path, command: str, *, stdin: str = os.devnull) -> subprocess.CompletedProcess[str]:
    """Runs the command in the folder, as a shell would; in a process of its own where its streams matter."""
    words = [sys.executable, "-m", "egresslog", *command.split()]
    if stdin == os.devnull and "stdout" not in command:
        with contextlib.chdir(folder):
            result = invoke(*command.split())
        return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)
    with (folder / stdin).open("rb") as data:
        return subprocess.run(words, cwd=folder, stdin=data, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "command",
    [
        "parse x.log --rejects new.csv --output-file new.csv",
        "parse x.log --rejects new.csv --output-file folder/../new.csv",
        "parse x.log --rejects new.csv --output-file dangling.csv",
        "parse x.log --rejects out.csv --output-file out-soft.csv",
        "report x.log --rejects out-hard.csv --output-file out.csv",
        "verify --gateway x.log --rejects out.csv --output-file ./out-hard.csv -o json",
        "parse x.log --rejects stdout.csv",
        "parse x.log --rejects stdout.csv --output-file /dev/stdout -o csv",
        "parse x.log --rejects soft.csv",
        "parse x.log --output-file hard.csv",
        "parse . --output-file out.csv",
        "report *.log --output-file soft.csv",
        "verify --gateway x.log --sidecar out.csv --output-file out-soft.csv -o json",
        "parse x.log --format own.toml --output-file own.toml -o csv",
        "verify --gateway x.log --format own.toml --output-file own.toml -o json",
        "parse --kubeconfig config.yaml --output-file config.yaml -o csv",
    ],
)
def test_an_output_never_overwrites_another_file_of_the_command(command: str, folder: Path) -> None:
    """Refused before anything is read or written."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    result = run(folder, command)
    assert (result.returncode, result.stdout) == (2, "")
    assert "is the same file as" in result.stderr or "is one of the input files" in result.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_standard_streams_are_files_too(folder: Path) -> None:
    """`parse - < x.log --output-file x.log`; and `parse x.log >> x.log`, which would read what it writes."""
    result = run(folder, "parse - --output-file x.log -o csv", stdin="x.log")
    assert (result.returncode, result.stdout) == (2, "")
    before = (folder / "x.log").read_text()
    for command in ("parse x.log", "report x.log", "tail x.log", "parse x.log --rejects hard.csv"):
        with (folder / "x.log").open("a") as out:
            words = [sys.executable, "-m", "egresslog", *command.split()]
            done = subprocess.run(words, cwd=folder, stdout=out, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == 2
        assert b"is one of the input files" in done.stderr or b"same file" in done.stderr
    assert (folder / "x.log").read_text() == before


def test_what_goes_nowhere_may_go_there_twice(folder: Path) -> None:
    """/dev/null is no file that anything could be lost in."""
    (folder / "null.csv").symlink_to(os.devnull)
    assert run(folder, "parse x.log --rejects null.csv --output-file null.csv").returncode == 0


@pytest.mark.parametrize("name", ["out.csv", "out-soft.csv", "out-hard.csv"])
def test_an_existing_output_keeps_its_mode_and_its_links(name: str, folder: Path) -> None:
    """Written through a link, in place where the file has several names."""
    (folder / "out.csv").chmod(0o640)
    (folder / "out-hard.csv").unlink() if name != "out-hard.csv" else None
    result = run(folder, f"parse x.log --columns host --output-file {name}")
    assert result.returncode == 0
    for same in {"out.csv", "out-soft.csv", name}:
        assert (folder / same).read_text() == '"host"\n"edition.cnn.com"\n"edition.cnn.com"\n'
    assert stat.S_IMODE((folder / "out.csv").stat().st_mode) == 0o640
    assert (folder / "out-soft.csv").is_symlink()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_link_to_nothing_gets_its_target(folder: Path) -> None:
    """As the shell's `>` does."""
    assert run(folder, "parse x.log --columns host --output-file dangling.csv").returncode == 0
    assert (folder / "dangling.csv").is_symlink()
    assert (folder / "new.csv").read_text() == '"host"\n"edition.cnn.com"\n"edition.cnn.com"\n'


@pytest.mark.parametrize("option", ["--rejects", "--output-file"])
@pytest.mark.parametrize("command", ["parse", "report", "verify"])
def test_a_wrong_suffix_is_refused_before_the_cluster_is_asked(command: str, option: str, folder: Path) -> None:
    """There is no cluster: whoever asked for it would say so."""
    result = run(folder, f"{command} --kubeconfig nowhere.yaml {option} x.xyz")
    assert (result.returncode, result.stdout) == (2, "")
    assert "x.xyz: unknown suffix" in result.stderr


@pytest.mark.parametrize("scope", ["--since 5m", "--source 10.0.0.1"])
def test_a_probe_has_its_own_scope(scope: str, folder: Path) -> None:
    """It asks about the request that it sends: another scope would be overridden."""
    result = run(folder, f"verify a.example --kubeconfig nowhere.yaml --from default/sleep --probe {scope}")
    assert (result.returncode, result.stdout) == (2, "")
    assert f"it cannot be used with {scope.split(maxsplit=1)[0]}" in result.stderr


HIDDEN = "\u200b\u202e\U000e0041\ufe0f\u3164\u00a0\ue000\u0301\u2800"
ESCAPED = r"\u200b\u202e\U000e0041\ufe0f\u3164\xa0\ue000\u0301\u2800"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A record with characters that are not seen in its path, and a host with a Cyrillic letter."""
    line = SEED.replace('"GET /', f'"GET /{HIDDEN}\u00e9').replace("edition.cnn.com", "\u0435dition.cnn.com")
    (tmp_path / "x.log").write_text(f"{line}\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "parse x.log -o wide",
        "parse x.log -o csv",
        "report x.log --by path,host -o markdown",
        "report x.log --by path,host -o html",
        "report x.log --by path,host -o csv",
        "report x.log --by path,host -o table",
    ],
)
def test_what_is_not_seen_is_escaped(command: str, hostile: Path) -> None:
    """Zero-width, bidirectional, tag, private and blank characters; in hosts all that is not ASCII. Other text stays."""
    shown = run(hostile, command).stdout.replace("\\\\", "\\").replace("\n", "")
    assert ESCAPED + "\u00e9" in shown
    assert r"\u0435dition.cnn.com" in shown
    assert not set(HIDDEN + "\u0435") & set(shown)


def test_data_stays_data(hostile: Path) -> None:
    """NDJSON has the very characters."""
    record = json.loads(run(hostile, "parse x.log -o ndjson").stdout)
    assert HIDDEN + "\u00e9" in record["path"]
    assert record["authority"] == "\u0435dition.cnn.com"


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", " =", "\u3000\uff1d", "\u00a0="]
)
def test_no_cell_of_csv_is_a_formula(start: str, tmp_path: Path) -> None:
    """Also in full width, and after white space."""
    (tmp_path / "x.log").write_text(f"{start}1+1|GET\n/plain|GET\n")
    words = ["parse", "x.log", "--format", "%REQ(:PATH)%|%REQ(:METHOD)%", "--columns", "path", "-o", "csv"]
    command = [sys.executable, "-m", "egresslog", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    rows = [row["path"] for row in csv.DictReader(done.stdout.splitlines())]
    assert rows[0].startswith("'")
    assert rows[1] == "/plain"


@pytest.mark.parametrize("command", ["parse", "report"])
def test_a_filter_that_leaves_nothing_says_so(command: str, folder: Path) -> None:
    """Not that there is no access log."""
    result = run(folder, f"{command} x.log --host nobody.example")
    assert "warning: 0 of 2 records match the filters" in result.stderr
    assert "access log" not in result.stderr


def test_a_filter_that_leaves_verify_nothing_says_so(folder: Path) -> None:
    """As above; what is counted there is one for each request or connection, whichever hops logged it."""
    result = run(folder, "verify edition.cnn.com --gateway x.log --since 2030-01-01T00:00:00Z")
    assert "warning: 0 of 2 requests and connections match the filters" in result.stderr
    assert result.returncode == 3
