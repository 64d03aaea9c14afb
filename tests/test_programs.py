"""A test that lacks a program is skipped with the command that installs it; in CI it fails."""

from __future__ import annotations

import pytest

from .programs import COMMANDS, require


def test_each_program_has_its_command() -> None:
    """The table has a line per program, the command as it is typed."""
    assert COMMANDS["curl"] == "apt-get install --yes --no-install-recommends curl"
    assert COMMANDS["kubectl"] == ".ci/install-kubectl"


def test_a_missing_program_skips_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both say what helps."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"kubectl is not installed: \.ci/install-kubectl"):
        require("kubectl")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"kubectl is not installed: \.ci/install-kubectl"):
        require("kubectl")


def test_a_program_that_nobody_installs_is_a_mistake() -> None:
    """A test may need only what the table has."""
    with pytest.raises(KeyError):
        require("no-such-program")


@pytest.mark.needs("openssl")
def test_the_mark_lets_a_test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the program there it is a path."""
    assert require("openssl").endswith("/openssl")
