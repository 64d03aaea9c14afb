"""The tables of a verdict's database are those that tables.md describes."""

from __future__ import annotations

import re

import egresslog

from .conftest import ROOT

# What a table or view has beside its own columns: those of the table or view it is made of.
INHERITED = {
    "sidecar": "sidecar_lines",
    "gateway": "gateway_lines",
    "sidecar_cases": "sidecar",
    "gateway_cases": "gateway",
    "case_rows": "cases",
}


def described() -> dict[str, set[str]]:
    """Table -> its columns, as the page has them: headings name tables, a bullet's code before the colon columns."""
    text = (ROOT / "egresslog" / "verification" / "tables.md").read_text("utf-8")
    tables: dict[str, set[str]] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        bullets = re.findall(r"^- (.*?):", body, flags=re.MULTILINE | re.DOTALL)
        columns = {name for bullet in bullets for name in re.findall(r"`([^`]*)`", bullet)}
        tables |= {name.strip(): columns for name in heading.split(",")}
    return tables


def test_every_table_and_column_is_described() -> None:
    """None is missing from the page, none on it is gone."""
    logs = ROOT / "notebooks" / "logs"
    found = egresslog.verify(
        ["pypi.org", "192.0.2.0/24"],
        gateway=egresslog.read(logs / "egressgateway-istio.log"),
        sidecars=egresslog.read(logs / "sidecar-istio.log"),
    )
    rows = found.connection.execute(
        "SELECT table_name, list(column_name) FROM duckdb_columns() WHERE NOT internal GROUP BY table_name"
    ).fetchall()
    actual = {table: set(columns) for table, columns in rows}
    page = described()
    assert set(page) == set(actual)
    for table, columns in actual.items():
        own = columns - actual.get(INHERITED.get(table, ""), set())
        assert own - page[table] == set(), table
    everything = set().union(*actual.values())
    assert {column for columns in page.values() for column in columns} <= everything
