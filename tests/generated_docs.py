"""The generated parts of README.md and docs/: `make docs` writes them with cog, test_docs.py checks that they are current.

A page asks for a part in a comment: `[[[cog cog.outl(findings_table()) ]]]`. Everything here returns Markdown.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from egresslog import Format, Verdict, formats
from egresslog.cli.app import app
from egresslog.cli.exit_codes import exit_code
from egresslog.mesh.rights import role
from egresslog.records.schema import BASE, ERA
from egresslog.verification.findings import FINDINGS
from egresslog.verification.judge import as_expected
from egresslog.verification.verdict import MEANINGS

ROOT = Path(__file__).parents[1]
COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]

# What differs each time that a session runs: the time of a probe's request, and its marker.
_VARIABLE = (
    (re.compile(r"egresslog-probe/[0-9a-f]+"), "egresslog-probe/..."),
    (re.compile(r"\[(?!2018-06-14|2026-11-22)\d{4}-\d\d-\d\dT[\d:.]+Z\]"), "[...]"),
)


def session(*commands: str, kubeconfig: str | None = None) -> str:
    """What a person sees who types the commands, one after the other, in a folder with the repository's notebooks/."""
    shown = ["```console"]
    for command, output in zip(commands, _run(commands, kubeconfig), strict=True):
        shown += [f"$ {command}".replace("\n", "\n> "), *output]
    return "\n".join([*shown, "```"])


def cluster_session(*commands: str) -> str:
    """As ``session``, with the sample logs behind a test server that speaks the Kubernetes API (demo.py)."""
    from tests.demo import served  # noqa: PLC0415  (other pages need no server)

    with served() as path:
        return session(*commands, kubeconfig=str(path))


def _run(commands: Iterable[str], kubeconfig: str | None) -> Iterator[list[str]]:
    """The lines that each command prints on standard output and standard error, in one shell for all."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
        "KUBECONFIG": kubeconfig or "/nonexistent",
    }
    script = "".join(f"printf '\\36'\n{command}\n" for command in commands)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "notebooks").symlink_to(ROOT / "notebooks")
        done = subprocess.run(
            ["bash", "-c", script],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, cwd=folder, env=environment,
        )  # fmt: skip
    text = done.stdout
    for pattern, substitute in _VARIABLE:
        text = pattern.sub(substitute, text)
    for output in text.split("\x1e")[1:]:
        yield [line.rstrip() for line in output.splitlines()]


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table of texts that may have pipes and stars."""
    heads = list(titles)
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _exit_code(verdict: Verdict) -> str:
    return str(int(exit_code(as_expected(verdict, Verdict.PROVEN))))


def verdict_table() -> str:
    """The verdicts, what they mean, and how `verify` exits."""
    rows = [[f"`{verdict}`", MEANINGS[verdict], _exit_code(verdict)] for verdict in Verdict]
    return table(("Verdict", "What the logs show", "Exit code"), rows)


_ISSUE = re.compile(r"#(\d+)")


def findings_table(verdict: Verdict | None) -> str:
    """The findings of a verdict, or those about the evidence itself."""
    rows = [
        [
            f"`{finding.code}`",
            f"`{finding.name}`",
            finding.level,
            finding.cause,
            finding.advice,
            _ISSUE.sub(r"[#\1](https://github.com/istio/istio/issues/\1)", finding.source),
        ]
        for finding in FINDINGS.values()
        if finding.verdict is verdict
    ]
    return table(("Code", "Name", "Level", "What happened", "What to do", "Source"), rows).replace("*", r"\*")


def all_findings() -> str:
    """A section for each verdict with its findings, then those about the evidence."""
    used = {finding.verdict for finding in FINDINGS.values()}
    sections = [
        f"## {verdict}\n\n{MEANINGS[verdict]}\n\n{findings_table(verdict)}" for verdict in Verdict if verdict in used
    ]
    sections.append(
        "## About the evidence\n\nThese describe the logs as a whole, or a host's lines taken together. They belong to "
        f"no single request or connection.\n\n{findings_table(None)}"
    )
    return "\n\n".join(sections)


def catalogue() -> str:
    """All formats in one table."""
    rows = [[f"[`{made.name}`](#{slug(made.name)})", made.encoding, made.releases] for made in formats()]
    return table(("Name", "Encoding", "Releases"), rows)


def format_sections() -> str:
    """A section for each format: where it comes from, the format string, and the columns that its lines fill."""
    return "\n\n".join(_format_section(made) for made in formats())


def _format_section(made: Format) -> str:
    is_text = isinstance(made.source, str)
    source = made.source.strip("\n") if isinstance(made.source, str) else json.dumps(made.source, indent=2)
    columns = ", ".join(f"`{column.name}`" for column in made.columns)
    return (
        f"### {made.name}\n\n{made.title}. Releases: {made.releases}.\n\nSource: {made.origin}\n\n"
        f"```{'text' if is_text else 'json'}\n{source}\n```\n\nColumns: {columns}."
    )


def columns() -> str:
    """The columns of every record."""
    rows = [[f"`{column.name}`", column.type, column.unit, column.meaning] for column in (*BASE, *ERA)]
    return table(("Column", "Type", "Unit", "Meaning"), rows)


def command_help() -> str:
    """`--help` of the program and of every command."""
    sections = []
    for name in ("", *COMMANDS):
        command = f"egresslog {name} --help".replace("  ", " ")
        sections.append(f"## egresslog {name}".rstrip() + f"\n\n{session(command)}")
    return "\n\n".join(sections)


def gateway_role() -> str:
    """What reading the gateway's logs takes."""
    return f"```yaml\n{role('istio-system', sidecars=False, probe=False, static=False).rstrip()}\n```"


def role_with_networks() -> str:
    """The same with all that lets the cluster's own addresses be known."""
    return f"```yaml\n{role('istio-system', sidecars=False, probe=False, static=False, networks=True).rstrip()}\n```"


def layout() -> str:
    """The tree of the package: every module with the first line of its docstring."""
    return "\n".join(["```text", "egresslog/", *_tree(ROOT / "egresslog", 1), "```"])


def _tree(folder: Path, depth: int) -> Iterator[str]:
    modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py" or depth == 1)
    for path in modules:
        yield _leaf(path, path.name, depth)
    for package in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield _leaf(package / "__init__.py", f"{package.name}/", depth)
        yield from _tree(package, depth + 1)


def _leaf(path: Path, name: str, depth: int) -> str:
    about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    return f"{'    ' * depth}{name:<{32 - 4 * depth}} {about}".rstrip()


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
