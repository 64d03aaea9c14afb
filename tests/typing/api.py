"""A user's script. test_typing.py runs mypy --strict on it: the public names have types outside of this repository."""

from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa

import egresslog
from egresslog import Counts, Filter, Finding, Format, HostVerdict, Log, Scan, Verdict, Verification

where: Filter = Filter.parse(host="*.cnn.com", status=["5xx", "404"], since="1h")
log: Log = egresslog.read(["gateway.log", "old/"], "istio-1.9", where=where, keep_going=True)
frame: pd.DataFrame = log.to_pandas()
summary: pd.DataFrame = log.summary(["host", "status"], top=5)
counts: Counts = log.counts
records: int = counts.records + counts.rejected
reasons: list[str] = log.rejects["reason"].tolist()
schema: pa.Schema = log.schema
for batch in log.batches():
    rows: int = batch.num_rows


def failed(verification: Verification) -> list[str]:
    """Hosts that are not proven."""
    hosts: list[str] = []
    answer: bool | None = verification.answer(Verdict.PROVEN)
    if answer:
        return hosts
    one: HostVerdict
    for one in verification:
        verdict: Verdict = one.verdict
        per_verdict: Mapping[Verdict, int] = one.counts
        findings: Sequence[Finding] = one.findings
        messages: list[str] = [f"{finding.code} {finding.level}: {finding.message}" for finding in findings]
        lines: list[str] = [line.line for finding in findings for line in finding.evidence]
        if verdict is not Verdict.PROVEN:
            hosts.append(f"{one.host} {len(per_verdict)} {messages} {lines}")
    table: pd.DataFrame = verification.to_pandas()
    return hosts or table.columns.tolist()


try:
    verification = egresslog.verify("edition.cnn.com", gateway=log, sidecars=egresslog.read("sidecar.log"))
    names: list[str] = failed(verification)
except egresslog.SourceError as error:
    source: egresslog.EgresslogError = error

live: Log = egresslog.read_cluster(namespace="istio-system")
sidecars: Log = egresslog.read_sidecars("default/deploy/sleep")
with egresslog.follow(namespace="istio-system") as following:
    for batch in following:
        size: int = batch.num_rows
    scan: Scan = following.scan

known: tuple[Format, ...] = egresslog.formats()
own: Format = Format.compile("%START_TIME% %RESPONSE_CODE%")
columns: list[str] = [column.name for column in own.columns]
version: str = egresslog.__version__
