"""The notebooks: they run as they are, and what they show is true."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import ROOT
from .sharing import shared_folder

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)

# Evaluated in the notebook after its last cell.
PROBES = {
    "explore.ipynb": """
import json
from collections.abc import Callable
print(json.dumps([len(records), {str(host): int(count) for host, count in per_host["requests"].items()}]))
print(json.dumps({one.host: one.verdict for one in verdicts}))
"""
}


Executed = Callable[[Path], nbformat.NotebookNode]


@pytest.fixture
def executed(tmp_path_factory: pytest.TempPathFactory, no_home: None) -> Executed:
    """Gives a notebook after a run in its own folder, its probe as the last cell. Each runs once."""

    def execute(path: Path) -> nbformat.NotebookNode:
        def fill(folder: Path) -> None:
            notebook = nbformat.read(path, as_version=4)
            notebook.cells.append(nbformat.v4.new_code_cell(PROBES.get(path.name, ""), id="probe"))
            resources = {"metadata": {"path": str(path.parent)}}
            client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
            nbformat.write(client.execute(), folder / path.name)

        return nbformat.read(shared_folder(tmp_path_factory, path.stem, fill) / path.name, as_version=4)

    return execute


@pytest.fixture(autouse=True)
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter and IPython neither read nor write anything of the user's."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def outputs(notebook: nbformat.NotebookNode) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def gateway_lines() -> list[str]:
    """The raw lines that explore.ipynb reads, read without egresslog."""
    lines = []
    for path in (ROOT / "notebooks/logs").glob("egressgateway-*"):
        data = path.read_bytes()
        lines += (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
    return lines


def test_there_are_notebooks() -> None:
    """The tests below have something to test."""
    assert "explore.ipynb" in {path.name for path in NOTEBOOKS}


@each_notebook
def test_is_committed_without_output(path: Path) -> None:
    """A notebook in the repository has neither outputs nor execution counts, and is valid."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert outputs(notebook) == []
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count] == []


@each_notebook
def test_runs(path: Path, executed: Executed) -> None:
    """Every cell runs, in order, in a new kernel; none raises or warns."""
    warned = [output.text for output in outputs(executed(path)) if output.get("name") == "stderr"]
    assert warned == []


@each_notebook
def test_output_needs_no_network(path: Path, executed: Executed) -> None:
    """What a notebook shows loads no script and nothing else from the network."""
    shown = [output.get("data", {}).get("text/html", "") for output in outputs(executed(path))]
    assert [html for html in shown if "<script" in html or "src=" in html] == []


def test_explore_counts_what_the_lines_say(executed: Executed) -> None:
    """The frames of explore.ipynb have every line, and as many requests per host as lines that name it."""
    lines = gateway_lines()
    [printed] = executed(ROOT / "notebooks/explore.ipynb").cells[-1].outputs
    records, requests = json.loads(printed.text.splitlines()[0])
    assert records == len(lines)
    for host in ("edition.cnn.com", "en.wikipedia.org", "pypi.org", "api.github.com", "my.oracle.instance.com"):
        assert requests[host] == sum(host in line for line in lines), host
    # Envoy's default format has no SNI and no cluster: its TCP and TLS lines name no host.
    assert requests["<NA>"] == sum('"- - -"' in line and line.endswith('"') for line in lines)
    assert sum(requests.values()) == len(lines)


def test_explore_judges_what_the_lines_show(executed: Executed) -> None:
    """The sidecar's lines name two hosts that it sent to past the gateway."""
    [printed] = executed(ROOT / "notebooks/explore.ipynb").cells[-1].outputs
    verdicts = json.loads(printed.text.splitlines()[1])
    sidecar = (ROOT / "notebooks/logs/sidecar-istio.log").read_text().splitlines()
    past = {"direct.example.com", "unlisted.example.com"}
    assert {host for host in verdicts if verdicts[host] == "BYPASSED"} == past
    assert all(any(host in line and "egressgateway" not in line for line in sidecar) for host in past)


def test_explore_draws_a_chart(executed: Executed) -> None:
    """The chart of explore.ipynb has a bar for each host, and carries its data with it."""
    [chart] = [
        output.data["application/vnd.vegalite.v5+json"]
        for output in outputs(executed(ROOT / "notebooks/explore.ipynb"))
        if "application/vnd.vegalite.v5+json" in output.get("data", {})
    ]
    [bars] = chart["datasets"].values()
    assert sum(bar["requests"] for bar in bars) == len(gateway_lines())
    assert {"edition.cnn.com", "en.wikipedia.org"} < {bar["host"] for bar in bars}
