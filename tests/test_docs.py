"""The documentation is executed: what README.md prints is what the commands print now."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from datetime import datetime

import egresslog
from egresslog import formats
from egresslog.cli.app import app

from .conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_is_current() -> None:
    """Sessions, help, formats and columns in README.md are what the commands print (`make docs` writes them)."""
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "README.md"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_python_runs(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The Python of README.md runs, and its comments with values are true."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    code = code.replace('"gateway.log.gz"', '"notebooks/logs/egressgateway-default.log.gz"')
    scope: dict[str, object] = {}
    lines = code.splitlines()
    for node in ast.parse(code).body:
        assert node.end_lineno is not None
        statement = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        comment = lines[node.end_lineno - 1].partition("#")[2]
        if comment.strip().startswith(("Counts(", "'")):
            assert eval(statement.strip(), scope) == eval(comment, {"Counts": egresslog.Counts})
        else:
            exec(statement, scope)


def test_every_command_is_in_the_readme() -> None:
    """No command without its help in README.md, no command without help."""
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert names == ["parse", "report", "verify", "tail", "formats"]
    assert all(f"$ egresslog {name} --help" in README for name in names)
    assert all(command.callback.__doc__ for command in app.registered_commands if command.callback)


def test_make_targets_stand_at_the_top_of_the_readme() -> None:
    """`make demo` and `make test` come before anything else."""
    head = README[:1500]
    assert "make demo" in head
    assert "make test" in head


def test_catalogue_files_hold_dates_not_texts() -> None:
    """Expected start times are TOML's own times, so that no text is compared with itself."""
    for made in formats():
        data = tomllib.loads((ROOT / "parsers" / f"{made.name}.toml").read_text(encoding="utf-8"))
        assert all(isinstance(sample["record"]["start_time"], datetime) for sample in data["samples"])
