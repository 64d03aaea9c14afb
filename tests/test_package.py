"""What is shipped: the wheel, built by way of the sdist from a copy of the tree, has all it needs and nothing else."""

from __future__ import annotations

import configparser
import json
import os
import sysconfig
import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT
from .running import python


@pytest.fixture(scope="module")
def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def run_installed(installed: Path, *arguments: str) -> str:
    """Runs with the installed wheel, and with the dependencies of this environment.

    Without site (-S) no .pth file is read, so the editable install of this environment cannot be imported.
    """
    paths = dict.fromkeys([str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    return python("-S", *arguments, cwd=Path("/"), PYTHONPATH=os.pathsep.join(paths), PYTHONSAFEPATH="1")


def test_wheel_has_the_whole_catalogue(content: dict[str, bytes]) -> None:
    """The wheel's egresslog/parsers holds the files of parsers/, all and only those, byte for byte."""
    shipped = {name: data for name, data in content.items() if name.startswith("egresslog/parsers/")}
    assert shipped == {
        f"egresslog/parsers/{path.name}": path.read_bytes() for path in (ROOT / "parsers").glob("*.toml")
    }
    assert all(name.endswith(".toml") for name in shipped)


def test_wheel_has_all_modules(content: dict[str, bytes]) -> None:
    """Every module of the package is in the wheel, and the mark that it is typed."""
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "egresslog").rglob("*.py")}
    assert {name for name in content if name.endswith(".py")} == modules
    assert "egresslog/py.typed" in content


def test_wheel_has_nothing_else(content: dict[str, bytes]) -> None:
    """Tests, notebooks and sample logs stay out: the wheel holds one package, its metadata and the license."""
    first = {name.partition("/")[0] for name in content}
    assert len(first) == 2
    assert "egresslog" in first
    [metadata] = first - {"egresslog"}
    assert metadata.startswith("egresslog-")
    assert metadata.endswith(".dist-info")
    assert content[f"{metadata}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_wheel_has_the_command(content: dict[str, bytes]) -> None:
    """Installing the wheel gives the command egresslog, and no other."""
    [points] = [data for name, data in content.items() if name.endswith(".dist-info/entry_points.txt")]
    parsed = configparser.ConfigParser()
    parsed.read_string(points.decode())
    assert {name: dict(parsed[name]) for name in parsed.sections()} == {
        "console_scripts": {"egresslog": "egresslog.__main__:main"}
    }


def test_installed_package_is_the_one_that_is_imported(installed: Path) -> None:
    """The next test means the wheel: package and catalogue come from where it was installed, not from the checkout."""
    code = "import egresslog, egresslog.records.catalogue as it; print(egresslog.__file__); print(it.folder())"
    package, catalogue = run_installed(installed, "-c", code).splitlines()
    assert Path(package) == installed / "egresslog/__init__.py"
    assert Path(catalogue) == installed / "egresslog/parsers"


def test_installed_package_finds_its_catalogue(installed: Path) -> None:
    """`egresslog formats`, installed from the wheel and run elsewhere, lists every format of parsers/."""
    listed = json.loads(run_installed(installed, "-m", "egresslog", "formats", "-o", "json"))
    assert sorted(made["name"] for made in listed) == sorted(path.stem for path in (ROOT / "parsers").glob("*.toml"))
