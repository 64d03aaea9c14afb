"""The catalogue: samples are law."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from egresslog import CatalogueError, Format, FormatError, LineError, formats
from egresslog.records.catalogue import Formats, format_named, resolve
from egresslog.records.chunk import Chunk
from egresslog.records.format import Sample
from egresslog.records.parser import Parser
from egresslog.records.text_format import TextFormat

from .languages import Automaton, common

ALL = formats()
SAMPLES = [pytest.param(made, sample, id=f"{made.name}: {sample.about}") for made in ALL for sample in made.samples]
NOT_SAMPLES = [
    pytest.param(made, sample, id=f"{made.name}: {sample.about}") for made in ALL for sample in made.not_samples
]
DERIVED = {"host", "upstream_ip", "upstream_port", "source_ip"}


def expected(sample: Sample) -> dict[str, Any]:
    """The sample's record as its file says: what it does not name is null, and nothing is ambiguous by default."""
    return {"ambiguous": False} | {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in sample.record.items()
    }


def given(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None and name not in DERIVED}


@pytest.mark.parametrize(("made", "sample"), SAMPLES)
def test_sample_means_its_record(made: Format, sample: Sample) -> None:
    """Every sample parses to the record that was written by hand, and to nothing beyond it."""
    assert given(made.parse(sample.line)) == expected(sample)


@pytest.mark.parametrize(("made", "sample"), SAMPLES)
def test_sample_is_of_no_other_format(made: Format, sample: Sample) -> None:
    """No other format takes the line, whatever is forced."""
    takers = []
    for other in ALL:
        try:
            other.parse(sample.line)
        except LineError:
            continue
        takers.append(other.name)
    assert takers == [made.name]


@pytest.mark.parametrize(("made", "sample"), SAMPLES)
def test_sample_is_detected(made: Format, sample: Sample) -> None:
    """Detection among all formats finds the sample's own, with the same record."""
    parsed = Parser(Formats(ALL)).feed(Chunk(sample.line.encode(), "x"))
    assert dict(parsed.formats) == {made.name: 1}
    assert parsed.counts.ambiguous == int(expected(sample)["ambiguous"])


@pytest.mark.parametrize(("made", "sample"), NOT_SAMPLES)
def test_not_sample_is_refused(made: Format, sample: Sample) -> None:
    """A line that only looks alike is refused, with a place."""
    with pytest.raises(LineError, match=r"at byte \d+$"):
        made.parse(sample.line)


def test_every_format_of_the_history_is_there() -> None:
    """The formats of Istio 1.0 to 1.31 in text and JSON, Envoy's default, and Envoy Gateway's."""
    assert [made.name for made in ALL] == [
        "envoy-default", "envoy-gateway-json", "istio-1.0", "istio-1.0-tcp", "istio-1.1", "istio-1.1-pre",
        "istio-1.1-snapshot1", "istio-1.1-snapshot1-tcp", "istio-1.2", "istio-1.3", "istio-1.8", "istio-1.9",
        "istio-json-1.1", "istio-json-1.1.0", "istio-json-1.2", "istio-json-1.3", "istio-json-1.8", "istio-json-1.9",
    ]  # fmt: skip
    assert all(made.samples and made.not_samples and made.title and made.releases and made.origin for made in ALL)


def test_variants_print_the_same_shape() -> None:
    """A variant's columns are those of its format: UPSTREAM_CLUSTER and UPSTREAM_CLUSTER_RAW are one column."""
    variants = [(made, text) for made in ALL for text in made.variants]
    assert variants
    for made, text in variants:
        assert Format.compile(text).columns == made.columns


def test_unknown_name_lists_the_known() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(CatalogueError, match=r"no format 'istio-9'; known are envoy-default, .*istio-json-1\.9"):
        format_named("istio-9")


def test_missing_catalogue_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation that lost its data says so instead of knowing no format."""
    monkeypatch.setattr("egresslog.records.catalogue.folder", lambda: tmp_path)
    formats.cache_clear()
    with pytest.raises(CatalogueError, match="the installation is broken"):
        formats()
    monkeypatch.undo()
    formats.cache_clear()


def test_own_file_is_of_equal_rank(tmp_path: Path) -> None:
    """A user's TOML file works like one of the catalogue."""
    path = tmp_path / "mine.toml"
    path.write_text("""
name = "mine"
format = '%START_TIME% team=%REQ(X-TEAM)% "%REQ(:AUTHORITY)%" %RESPONSE_CODE%'
[[samples]]
about = "one"
line = '2024-05-01T10:17:14.118Z team=a-b "edition.cnn.com:80" 200'
[samples.record]
start_time = 2024-05-01T10:17:14.118Z
req_x_team = "a-b"
authority = "edition.cnn.com:80"
response_code = 200
""")
    made = resolve(str(path)).all[0]
    assert made.parse('2024-05-01T10:17:14.118Z team=- "pypi.org" 503')["host"] == "pypi.org"


BAD = sorted((Path(__file__).parent / "bad_formats").glob("*.toml"))


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_wrong_definition_says_what_is_wrong(path: Path) -> None:
    """One wrong file per mistake; its first line is the message."""
    message = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    with pytest.raises(FormatError) as caught:
        Format.load(path)
    assert str(caught.value).splitlines()[0] == message


# --- what a client writes does not make a line one of another format -----------------------------------------------

TEXTS = [made.text for made in ALL if made.text]
#: What an SNI at the end may hold: anything but one blank without a quote, which is a value more (`text_format`).
ODD_SNI = r'(?:[^ ]*|.* .* .*|.*".*)'


def wide(text: TextFormat) -> list[str]:
    """What a format takes the wide way: its anchors with anything between, and with any SNI at the end."""
    ways = [[anchor.forward.pattern for anchor in text.anchors]]
    if text.free_end_format:
        ways.append([anchor.forward.pattern for anchor in text.free_end_format.anchors])
        assert ways[1].pop() == ""
    return [".*".join(ways[0]), *(".*".join(way) + ODD_SNI for way in ways[1:])]


def test_no_line_is_strictly_of_one_format_and_in_any_way_of_another() -> None:
    """Whatever is in a line: what a quick pattern takes, no other format takes. A proof, not a sample.

    So the quick way needs no look at the other formats. Where a pattern's change breaks it, the message is a line that
    both take.
    """
    strict = {made.name: Automaton(made.text.strict_source.removesuffix(r"\Z")) for made in ALL if made.text}  # type: ignore[union-attr]
    others = [(made.name, Automaton(pattern)) for made in ALL if made.text for pattern in wide(made.text)]
    shared = {
        (name, other): line
        for name, automaton in strict.items()
        for other, ways in others
        if other != name and (line := common(automaton, ways)) is not None
    }
    assert shared == {}


def test_a_shared_line_is_found() -> None:
    """The proof can fail: patterns that share a text give the shortest one."""
    assert common(Automaton(r"a+b"), Automaton(r"(?:aa)+[bc]")) == "aab"
    assert common(Automaton(r"a+b"), Automaton(r"b+a")) is None
    assert common(Automaton(r'"(?! )a'), Automaton(r'"[a ]+')) == '"a'
    assert common(Automaton(r"x(?<!x)y"), Automaton("xy")) is None
