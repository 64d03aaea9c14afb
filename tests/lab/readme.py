"""Write README.md beside this file: `python -m tests.lab.readme`, as `make docs` does."""

from __future__ import annotations

from pathlib import Path

from .expected import EXITS, EXPECTED, Answer, Expected

PATH = Path(__file__).with_name("README.md")
_TEXT = """\
# The lab

Real Envoy processes on loopback addresses: a sidecar for each pod, an egress gateway, and servers that stand for the
outside. Their configuration is what istiod would send (`config.py`, `mesh.py`); `scenarios.py` lists what the clients
do. Every proxy logs every event in three formats: Istio's text, Istio's JSON, and Envoy's default format.

The tests run `egresslog verify HOST` on the lines of each scenario. `expected.py` has the answers, written by hand from
the decision table. The table below shows them. Envoy's default format has no clusters, no SNI and only the upstream's
address, so it often proves less; `EGL103` says so each time and is left out here. "Other findings" are about lines that
name no host.

To add a scenario, add it to `scenarios.py` and its answer to `expected.py`, then run `make docs` and
`make test ARGS="-k lab"`.

| scenario | verdict | exit code | findings | with Envoy's default format |
| --- | --- | --- | --- | --- |
"""


def document() -> str:
    """The whole README.md."""
    return _TEXT + "".join(_row(name, expected) for name, expected in EXPECTED.items())


def _row(name: str, expected: Expected) -> str:
    verdict = expected.istio.verdict
    findings = _codes(expected.istio)
    if expected.text:
        findings += f"; in text: {expected.text.verdict}, {_codes(expected.text)}"
    short = f"{expected.short.verdict}, {_codes(expected.short)}"
    return f"| {name} | {verdict} | {EXITS[verdict]} | {findings} | {short} |\n"


def _codes(answer: Answer) -> str:
    others = f" (other findings: {', '.join(sorted(answer.beside))})" if answer.beside else ""
    return ", ".join(sorted(answer.findings)) + others


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
