"""Types reach the user: scripts outside of this repository type-check against the package as it was installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from .conftest import ROOT
from .sharing import shared_folder

SCRIPTS = Path(__file__).parent / "typing"
MYPY_INI = """
[mypy]
strict = true
[mypy-pyarrow.*,duckdb.*]
ignore_missing_imports = true
"""
# Line of misspelled.py -> the kind of mistake that mypy finds there.
MISTAKES = {
    5: "attr-defined",
    6: "call-arg",
    7: "attr-defined",
    8: "attr-defined",
    9: "arg-type",
    10: "attr-defined",
    11: "attr-defined",
    12: "call-arg",
}


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of mypy's cache, filled by ``make test`` just before: half a minute less for the types of pandas."""

    def fill(folder: Path) -> None:
        if (ROOT / ".mypy_cache").is_dir():
            shutil.copytree(ROOT / ".mypy_cache", folder, dirs_exist_ok=True)

    return shared_folder(tmp_path_factory, "mypy", fill)


@pytest.fixture
def interpreter(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A Python that imports the wheel as it was installed, or the editable install of this environment."""
    if request.param == "editable":
        return Path(sys.executable)
    installed: Path = request.getfixturevalue("installed")
    venv.create(tmp_path / "venv", symlinks=True)
    [packages] = (tmp_path / "venv").glob("lib/python*/site-packages")
    # The dependencies are those of this environment. Its own .pth file is not read there, so that its editable install
    # cannot be imported.
    packages.joinpath("wheel.pth").write_text(f"{installed}\n{sysconfig.get_path('purelib')}\n")
    return tmp_path / "venv" / "bin" / "python"


@pytest.mark.parametrize("interpreter", ["wheel", "editable"], indirect=True)
def test_scripts_of_users_are_type_checked(
    interpreter: Path, cache: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """mypy --strict accepts a right script, and finds each mistake of a wrong one."""
    folder = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, folder)
    (folder / "mypy.ini").write_text(MYPY_INI)
    where = [interpreter, "-c", "import egresslog; print(egresslog.__file__)"]
    file = subprocess.run(where, cwd=folder, capture_output=True, text=True, check=True).stdout
    assert ("site-packages" in file or "installed" in file) == ("wheel" in request.node.name)
    mypy = [sys.executable, "-m", "mypy", "--python-executable", interpreter, "--no-pretty", "--no-color-output"]
    done = subprocess.run(
        [*mypy, "--cache-dir", cache, "api.py", "misspelled.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [re.fullmatch(r"(\w+\.py):(\d+): error: .*\[([\w-]+)\]", line) for line in done.stdout.splitlines()]
    errors = [(match[1], int(match[2]), match[3]) for match in found if match]
    assert errors == [("misspelled.py", number, kind) for number, kind in MISTAKES.items()], done.stdout + done.stderr
