"""Files of the output: never one that is read, never two in one, and an existing one keeps what it is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

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
    """Runs the command in the folder, as a shell would."""
    words = [sys.executable, "-m", "egresslog", *command.split()]
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
