"""The documentation is executed: what README.md and docs/ show is what the commands print and the library does now."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import egresslog
from egresslog import formats
from egresslog.cli.app import app
from egresslog.show import catalogue, records, reports, tail, verification
from egresslog.verification.findings import FINDINGS

from .conftest import ROOT
from .demo import served
from .generated_docs import slug

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "notebooks" / "README.md", *sorted(DOCS.glob("*.md"))]
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}
README = TEXTS[ROOT / "README.md"]
GENERATED = [str(path.relative_to(ROOT)) for path, text in TEXTS.items() if "[[[cog" in text]


def page(name: str) -> str:
    return TEXTS[DOCS / name]


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_current(name: str) -> None:
    """Sessions, help, findings, formats and columns are what the commands and tables say now (`make docs` writes them)."""
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", "-p", "from tests.generated_docs import *", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make docs`:\n{done.stdout}{done.stderr}"


def test_readme_is_short() -> None:
    """README.md has at most 150 lines, and each of its sessions prints at most 15."""
    assert len(README.splitlines()) <= 150
    sessions = re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(sessions) == 3
    for text in sessions:
        output = [line for line in text.splitlines() if not line.startswith(("$ ", "> "))]
        assert 0 < len(output) <= 15


def test_make_targets_stand_at_the_top_of_the_readme() -> None:
    """`make demo` and `make test` come before anything else."""
    head = README[:1500]
    assert "make demo" in head
    assert "make test" in head


def test_every_command_has_its_help() -> None:
    """No command without its help in docs/cli.md, no command without help."""
    commands = [command for command in app.registered_commands if command.callback]
    names = [command.name or command.callback.__name__ for command in commands if command.callback]
    assert names == ["parse", "report", "verify", "tail", "formats"]
    assert all(f"$ egresslog {name} --help\nUsage: egresslog {name}" in page("cli.md") for name in names)
    assert all(command.callback.__doc__ for command in commands if command.callback)


def test_every_finding_and_format_is_listed() -> None:
    """docs/findings.md has a row for each finding, docs/formats.md a section for each format."""
    rows = [line for line in page("findings.md").splitlines() if line.startswith("| `EGL")]
    assert len(rows) == len(FINDINGS)
    for finding in FINDINGS.values():
        assert any(row.startswith(f"| `{finding.code}` | `{finding.name}` | {finding.level} |") for row in rows)
    assert all(f"\n### {known.name}\n" in page("formats.md") for known in formats())


def contract(section: str) -> str:
    """The shape of a JSON document that a section of docs/output.md shows."""
    (shape,) = re.findall(rf"^### {section}\n\n```text\n(.*?)^```", page("output.md"), re.DOTALL | re.MULTILINE)
    return str(shape)


def printed(*arguments: str) -> Any:
    """The JSON document that a command prints."""
    command = [sys.executable, "-m", "egresslog", *arguments, "-o", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


@pytest.mark.usefixtures("in_demo_mesh")
def test_contracts_have_the_keys_of_the_documents() -> None:
    """docs/output.md shows the keys that `report` and `verify` print, in their order."""
    report = printed("report", "--by", "host", "--top", "1", "notebooks/logs")
    verify = printed("verify", "edition.cnn.com", "--from", "default/sleep", "--probe")
    for document, section in ((report, "report"), (verify, "verify")):
        assert document["schema"] == 1
        assert re.findall(r'^[{ ]"(\w+)":', contract(section), re.MULTILINE) == list(document)
    (table,), (probe,) = report["tables"], verify["probes"]
    finding = verify["hosts"][0]["findings"][0]
    for part, section in (
        (table, "report"), (verify["hosts"][0], "verify"), (finding, "verify"), (finding["evidence"][0], "verify"),
        (probe, "verify"), (probe["requests"][0], "verify"), (verify["gateway"], "verify"),
    ):  # fmt: skip
        keys = ".*?".join(f'"{key}"' for key in part)
        assert re.search(rf"\{{{keys}", contract(section), re.DOTALL), keys


def test_coverage_is_documented_in_its_one_shape() -> None:
    """docs/output.md has the shape of `coverage` that the issue fixed, and commands print it."""
    assert '[{"hop", "origin", "records", "from", "to", "gaps": [{"from", "to", "reason"}]}]' in page("output.md")
    (row, *_) = printed("report", "notebooks/logs")["coverage"]
    assert list(row) == ["hop", "origin", "records", "from", "to", "gaps"]


def test_output_formats_are_listed() -> None:
    """docs/output.md lists the formats of each command."""
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|$", page("output.md"), re.MULTILINE)
    rooms = {"parse": records, "report": reports, "verify": verification, "tail": tail, "formats": catalogue}
    assert {name: tuple(listed.split(", ")) for name, listed in rows} == {
        name: room.FORMS for name, room in rooms.items()
    }


# Examples in Python ---------------------------------------------------------------------------------------------------


def run_examples(text: str) -> int:
    """Runs the Python blocks of a page in one scope; a comment ``# => value`` must be true. Returns how many were."""
    scope: dict[str, Any] = {"Counts": egresslog.Counts}
    checked = 0
    for code in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines = code.splitlines()
        for node in ast.parse(code).body:
            assert node.end_lineno is not None
            statement = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            expected = lines[node.end_lineno - 1].partition("# => ")[2]
            if expected:
                assert eval(statement, scope) == eval(expected, scope), statement
                checked += 1
            else:
                exec(statement, scope)
    return checked


@pytest.fixture
def in_demo_mesh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The repository's root as working directory, and the mesh of demo.py as the current cluster."""
    monkeypatch.chdir(ROOT)
    with served() as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield


@pytest.mark.usefixtures("in_demo_mesh")
@pytest.mark.parametrize(("name", "values"), [("README.md", 2), ("docs/python.md", 32)])
def test_python_examples_run(name: str, values: int) -> None:
    """The Python of README.md and docs/python.md runs, and the values in its comments are true."""
    assert run_examples(TEXTS[ROOT / name]) == values


def test_python_page_shows_the_library() -> None:
    """docs/python.md mentions every public name but those that only annotate."""
    annotations = {"Finding", "Following", "HostVerdict", "Verification", "Counts"}
    assert [name for name in egresslog.__all__ if name not in page("python.md") and name not in annotations] == []


@pytest.mark.needs("kubectl")
@pytest.mark.usefixtures("in_demo_mesh")
def test_five_commands_for_an_auditor(tmp_path: Path) -> None:
    """README's five commands do what they promise: logs, checksums, a verdict with evidence, and a refused host."""
    (commands,) = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(commands.splitlines()) == 5
    script = f"set -eu\nPATH={Path(sys.executable).parent}:$PATH\n{commands}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "gateway.log").read_text().splitlines()) == 29 + 13
    assert len((tmp_path / "sidecars.log").read_text().splitlines()) == 42
    sums = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert [line.split()[1] for line in sums] == ["gateway.log", "sidecars.log"]
    assert "| edition.cnn.com | **PROVEN** |" in (tmp_path / "verdict.md").read_text()
    assert '"host": "not-declared.example.com", "verdict": "BLOCKED"' in done.stdout


# Links ----------------------------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text: str) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", prose, re.MULTILINE)}


def links(path: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(TEXTS[path]))
    return [target for target in targets if not target.startswith(("https://", "http://"))]


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_links_resolve(path: Path) -> None:
    """Every relative link leads to a file of the repository, and its anchor to a heading there."""
    for target in links(path):
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


def test_every_page_is_linked_from_the_readme() -> None:
    """README.md links every page of docs/."""
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in links(ROOT / "README.md")}
    assert {path for path in PAGES if path.parent == DOCS} <= linked


def test_links_are_found() -> None:
    """The check of links would notice a broken one: each page has links, and the anchors are GitHub's."""
    assert [path.name for path in PAGES if not links(path)] == ["README.md", "access-log-formats.md"]
    assert anchors("# One pass, and what it found\n## verify --watch\n### istio-json-1.1.0\n") == {
        "one-pass-and-what-it-found", "verify---watch", "istio-json-110",
    }  # fmt: skip


def test_comments_cite_pages_that_exist() -> None:
    """Every `docs/PAGE.md` that code, tests or the Makefile mention is there."""
    files = [ROOT / "Makefile", *(ROOT / "egresslog").rglob("*.py"), *(ROOT / "tests").glob("*.py")]
    cited = {name for file in files for name in re.findall(r"docs/[a-z-]+\.md", file.read_text(encoding="utf-8"))}
    assert {name for name in cited if not (ROOT / name).exists()} == set()


def test_catalogue_files_hold_dates_not_texts() -> None:
    """Expected start times are TOML's own times, so that no text is compared with itself."""
    for known in formats():
        data = tomllib.loads((ROOT / "parsers" / f"{known.name}.toml").read_text(encoding="utf-8"))
        assert all(isinstance(sample["record"]["start_time"], datetime) for sample in data["samples"])
