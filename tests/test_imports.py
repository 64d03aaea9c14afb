"""The layout holds: imports go one way, and what is slow to import is not imported for --help."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from .conftest import ROOT

# Room -> the rooms it may import from (design: cli -> show -> log -> {report, ...} -> records; log -> sources).
MAY = {
    "errors": set(),
    "networks": {"errors"},
    "timespec": {"errors"},
    "records": {"errors"},
    "sources": {"errors", "records", "timespec"},
    "filters": {"errors", "networks", "records", "timespec"},
    "report": {"errors", "records", "timespec"},
    "mesh": {"errors", "records"},
    "database": {"errors"},
    "scan": {"errors", "filters", "records", "sources"},
    "log": {"database", "errors", "filters", "records", "report", "scan", "sources"},
    "verification": {"database", "errors", "filters", "log", "networks", "records", "scan", "sources"},
    "live": {"errors", "filters", "log", "mesh", "records", "scan", "sources", "timespec", "verification"},
    "show": {"errors", "filters", "live", "log", "records", "report", "scan", "sources", "timespec", "verification"},
    "cli": {
        "errors",
        "filters",
        "live",
        "log",
        "records",
        "report",
        "scan",
        "show",
        "sources",
        "timespec",
        "verification",
    },
    "__init__": {"errors", "filters", "live", "log", "records", "scan", "verification"},
    "__main__": {"cli"},
}
MODULES = sorted((ROOT / "egresslog").rglob("*.py"))


def room(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_imports_go_one_way(path: object) -> None:
    """No module imports from a room above its own, not even inside a function."""
    assert hasattr(path, "read_text")
    here = room(path.relative_to(ROOT / "egresslog").parts)  # type: ignore[attr-defined]
    used = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("egresslog"):
            names = node.module.split(".")[1:] or [alias.name for alias in node.names]
            used.add(names[0])
        elif isinstance(node, ast.Import):
            used |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("egresslog.")}
    own = {
        alias
        for alias in used
        if (ROOT / "egresslog" / alias).exists() or (ROOT / "egresslog" / f"{alias}.py").exists()
    }
    assert own - {here} <= MAY[here]


@pytest.mark.parametrize("room_name", ["records", "report"])
def test_pure_rooms_do_no_io(room_name: str) -> None:
    """records and report neither open files (but the catalogue's) nor print, nor know engines or terminals."""
    for path in (ROOT / "egresslog" / room_name).glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        modules = {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom | ast.Import)
        }
        assert not names & {"open", "print"}, path
        assert not {module.split(".")[0] for module in modules} & {
            "duckdb",
            "rich",
            "typer",
            "kubernetes",
            "sys",
            "pandas",
        }


@pytest.mark.parametrize("arguments", [["--help"], ["parse", "--help"], ["report", "--help"], ["--version"]])
def test_help_imports_nothing_slow(arguments: list[str]) -> None:
    """`egresslog --help` imports neither kubernetes, pandas, duckdb nor pyarrow."""
    code = (
        "import sys\nsys.argv = ['egresslog', *sys.argv[1:]]\nfrom egresslog.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *({'kubernetes', 'pandas', 'duckdb', 'pyarrow', 'narwhals', 'numpy', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_parsing_needs_no_engine() -> None:
    """`egresslog parse` pays only for what it uses."""
    code = (
        "import sys\nsys.argv = ['egresslog', 'parse', '-o', 'ndjson', sys.argv[1]]\nfrom egresslog.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *({'kubernetes', 'duckdb', 'narwhals', 'yaml'} & set(sys.modules)))"
    )
    log = str(ROOT / "notebooks" / "logs" / "egressgateway-2018.log")
    done = subprocess.run([sys.executable, "-c", code, log], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_every_public_name_is_there() -> None:
    """__all__ is what can be imported."""
    code = "import egresslog\nfor name in egresslog.__all__:\n    assert getattr(egresslog, name), name"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modules_are_small() -> None:
    """A module is a room, not a house: at most 300 lines (design)."""
    assert {
        str(path): len(path.read_text().splitlines()) for path in MODULES if len(path.read_text().splitlines()) > 300
    } == {}
