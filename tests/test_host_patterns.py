"""One host pattern for --host, `verify HOST` and the probe."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egresslog import UsageError
from egresslog.filters import host_pattern
from egresslog.live.probe.request import url_of
from egresslog.verification.targets import AskedHost

# Pattern, a name, and whether it matches.
ROWS = [
    ("edition.cnn.com", "edition.cnn.com", True),
    ("Edition.CNN.com.", "edition.cnn.com", True),
    ("edition.cnn.com", "edition.cnn.com.evil.example", False),
    ("cnn.com", "edition.cnn.com", False),
    ("*.cnn.com", "edition.cnn.com", True),
    ("*.cnn.com", "a.b.cnn.com", True),
    ("*.cnn.com", "cnn.com", False),
    ("*.cnn.com", "xcnn.com", False),
    ("*cnn*", "edition.cnn.com", True),
    ("*CNN*", "cnn", True),
    ("*cnn*", "c.n.n", False),
    ("edition.*", "edition.cnn.com", True),
    ("edition.*.com", "edition.cnn.com", True),
    ("edition.*.com", "edition..com", True),
    ("edition.*.com", "edition.com", False),
    ("a*a", "a", False),
    ("a*a", "aa", True),
    ("*ab*ab", "ab", False),
    ("*", "anything", True),
]


@pytest.mark.parametrize(("pattern", "name", "matches"), ROWS)
def test_pattern(pattern: str, name: str, matches: bool) -> None:
    """`*` is any characters, dots too; case does not matter, nor a trailing dot of the pattern."""
    assert host_pattern(pattern)(name) is matches
    assert AskedHost.parse(pattern).matches(name) is matches


@given(st.text("ab.*", max_size=8), st.text("ab.", max_size=12))
def test_pattern_is_the_regular_expression(pattern: str, name: str) -> None:
    """The same as `.*` for every star, anchored at both ends, without backtracking."""
    expected = re.fullmatch(re.escape(pattern.removesuffix(".")).replace(r"\*", ".*"), name) is not None
    assert host_pattern(pattern)(name) is expected


def test_pattern_is_linear(no_hang: None) -> None:
    """A name of a megabyte, made to be matched slowly."""
    assert not host_pattern("*a*a*a*a*a*a*a*a*b")("a" * 1_000_000)


@pytest.mark.parametrize(
    ("pattern", "host", "refused"),
    [
        ("*cnn*", "edition.cnn.com", False),
        ("*.cnn.com", "cnn.com", True),
        ("EDITION.cnn.com", "edition.cnn.com", False),
    ],
)
def test_probe_asks_by_the_same_pattern(pattern: str, host: str, refused: bool) -> None:
    """A URL's host must be one that the verdict is about."""
    if refused:
        with pytest.raises(UsageError, match=r"is not about"):
            url_of(pattern, f"http://{host}/")
    else:
        assert url_of(pattern, f"http://{host}/") == f"http://{host}/"


@pytest.mark.parametrize("text", ["10.0.0.0/8", "[::1]", "2001:db8::/32", "1.2.3.4"])
def test_addresses_are_for_verify_only(text: str) -> None:
    """As a pattern they are names."""
    assert AskedHost.parse(text).network is not None
    assert not host_pattern(text)("1.2.3.5")
