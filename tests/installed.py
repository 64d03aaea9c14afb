"""The package as users have it: a wheel, and a folder into which it was installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .running import python
from .sharing import shared_folder

ROOT = Path(__file__).parents[1]
LITTER = shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "__pycache__")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release is: first the sdist, then the wheel from that."""

    def build(folder: Path) -> None:
        tree = folder / "tree"
        shutil.copytree(ROOT, tree, ignore=LITTER)
        python("-m", "build", "--outdir", folder / "dist", tree, cwd=folder)

    [built] = (shared_folder(tmp_path_factory, "package", build) / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files and no more."""
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-index")
    return shared_folder(
        tmp_path_factory, "installed", lambda folder: python(*pip, "--target", folder, wheel, cwd=folder)
    )
