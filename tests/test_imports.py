"""The layout holds: imports go one way, and what is slow to import is not imported for --help."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import egresslog

from .conftest import ROOT
from .running import python

# Room -> the rooms it may import from (docs/architecture.md: cli -> show -> log -> {report, ...} -> records; log -> sources).
MAY = {
    room: set(others.split())
    for room, others in {
        "errors": "",
        "frames": "",
        "networks": "errors",
        "temporary": "errors",
        "timespec": "errors",
        "records": "errors",
        "sources": "errors networks records temporary timespec",
        "filters": "errors networks records timespec",
        "report": "errors records timespec",
        "mesh": "errors records",
        "database": "errors temporary",
        "scan": "errors filters records sources",
        "log": "database errors filters frames records report scan sources",
        "verification": "database errors filters frames log networks records scan sources",
        "live": "errors filters log mesh networks records scan sources timespec verification",
        "show": "errors filters live log records report scan sources temporary timespec verification",
        "cli": "__init__ errors filters live log records report scan show sources temporary timespec verification",
        "__init__": "errors filters live log records scan verification",
        "__main__": "cli",
    }.items()
}
MODULES = sorted((ROOT / "egresslog").rglob("*.py"))


def name_of(path: Path) -> str:
    """``egresslog.records.format`` of its file; a package has the name of its folder."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path): path for path in MODULES}


def imports(path: Path) -> set[str]:
    """The modules of the package that a module imports: at its top, inside functions, and for type checkers only."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            for alias in node.names:  # `from package import module`, or a name of the module
                module = f"{node.module}.{alias.name}"
                # Python has the package's own module before any other, and with it the version.
                if module != "egresslog.__version__":
                    used.add(module if module in NAMES else str(node.module))
    return {name for name in used if name.split(".")[0] == "egresslog"}


GRAPH = {name: imports(path) for name, path in NAMES.items()}


def room(name: str) -> str:
    """The part of the name that the table above has; the package's own module is ``__init__``."""
    return (*name.split("."), "__init__")[1]


@pytest.mark.parametrize("name", GRAPH)
def test_imports_go_one_way(name: str) -> None:
    """No module imports from a room above its own, not even inside a function or for type checkers only."""
    assert GRAPH[name] <= NAMES.keys()  # every import is of a module that exists
    assert {room(used) for used in GRAPH[name]} - {room(name)} <= MAY[room(name)]


def test_every_room_is_in_the_table() -> None:
    """A new module or folder on top needs a place, and what is gone leaves the table."""
    assert {room(name) for name in GRAPH} == MAY.keys()


def test_no_module_imports_itself_by_way_of_others() -> None:
    """There is no circle of imports, neither between rooms nor inside one."""
    try:
        tuple(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(f"circle of imports: {' -> '.join(reversed(error.args[1]))}")


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


# What takes long to import: a tenth of a second and more each.
SLOW = ("altair", "duckdb", "kubernetes", "narwhals", "numpy", "pandas", "pyarrow", "rich", "typer", "yaml")
RUN = """
import sys
from egresslog.cli.app import main
sys.argv = ["egresslog", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def loaded(code: str, *arguments: str) -> set[str]:
    """Which of ``SLOW`` are imported once the code has run in a new Python."""
    code += f"\nimport sys\nprint('LOADED', *({set(SLOW)!r} & set(sys.modules)))"
    mark, *names = python("-c", code, *arguments).splitlines()[-1].split()
    assert mark == "LOADED"
    return set(names)


def test_the_measure_measures() -> None:
    """``loaded`` sees what is imported."""
    assert {"pandas", "numpy"} <= loaded("import pandas")


def test_importing_the_package_imports_nothing_slow() -> None:
    """`import egresslog` is for notebooks and completion: each name is imported when it is first asked for."""
    assert loaded("import egresslog; dir(egresslog); egresslog.__version__; egresslog.SourceError") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["parse", "--help"], ["report", "--help"], ["--version"]])
def test_help_imports_nothing_slow(arguments: list[str]) -> None:
    """`egresslog --help` imports neither kubernetes, pandas, duckdb nor pyarrow."""
    assert loaded(RUN, *arguments) <= {"rich", "typer"}


def test_parsing_needs_no_engine() -> None:
    """`egresslog parse` pays only for what it uses."""
    log = str(ROOT / "notebooks" / "logs" / "egressgateway-2018.log")
    assert not loaded(RUN, "parse", "-o", "ndjson", log) & {"kubernetes", "duckdb", "narwhals", "yaml"}


# Written by hand: what a user may rely on. A name is added here, or taken away, on purpose only.
PUBLIC = {
    "CatalogueError", "ClusterError", "Counts", "DatabaseError", "EgresslogError", "Filter", "Finding", "Following",
    "Format", "FormatError", "HostVerdict", "LineError", "Log", "Scan", "SourceError", "UsageError", "Verdict",
    "Verification", "follow", "formats", "read", "read_cluster", "read_sidecars", "verify",
}  # fmt: skip


def test_completion_shows_the_public_names() -> None:
    """`egresslog.<TAB>` offers the public names and the version, and every one of them is there."""
    assert set(egresslog.__all__) == PUBLIC
    assert set(dir(egresslog)) == {*PUBLIC, "__version__"}
    assert all(getattr(egresslog, name) for name in dir(egresslog))


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    """Not an import error, which `hasattr` and completion would pass on."""
    assert not hasattr(egresslog, "no_such_name")


def test_completion_is_the_same_before_and_after_use() -> None:
    """What was imported meanwhile, as submodules, is not offered."""
    code = (
        "import egresslog\nbefore = dir(egresslog)\negresslog.read, egresslog.verify\nassert dir(egresslog) == before"
    )
    python("-c", code)


def test_modules_are_small() -> None:
    """A module is a room, not a house: at most 300 lines (docs/architecture.md)."""
    assert {
        str(path): len(path.read_text().splitlines()) for path in MODULES if len(path.read_text().splitlines()) > 300
    } == {}
