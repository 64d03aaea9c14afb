"""What exports of log stores and collectors put around a line; samples by hand from their documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import egresslog
from egresslog import Verdict
from egresslog.records.chunk import Counts
from egresslog.records.unwrapping import Prefix, Unwrapping

from .lines import JSON, TEXT, from_gateway, past, to_gateway
from .test_parser import everything, rows, totals

HOST = "edition.cnn.com"
TIME = "2024-05-01T10:17:15.118Z"
POD = {"pod_name": "istio-egressgateway-1", "namespace_name": "istio-system", "container_name": "istio-proxy"}

#: Store -> what its export has around the line ``@``: an object, or text.
STORES: dict[str, Any] = {
    "Docker json-file": {"log": "@\n", "stream": "stdout", "time": TIME},
    "Fluent Bit": {"date": 1652214977.012, "time": TIME, "stream": "stdout", "_p": "F", "log": "@", "kubernetes": POD},
    "fluentd": {"stream": "stdout", "logtag": "F", "message": "@", "docker": {"container_id": "6"}, "kubernetes": POD},
    "filebeat 7": {"@timestamp": TIME, "@metadata": {"beat": "filebeat"}, "input": {}, "agent": {}, "ecs": {}, "message": "@"},
    "filebeat 8": {
        "@timestamp": TIME, "log": {"offset": 1}, "stream": "stdout", "message": "@", "input": {}, "orchestrator": {},
        "cloud": {"provider": "gcp"}, "ecs": {}, "host": {"name": "n"}, "agent": {}, "kubernetes": {"pod": {"name": "x"}},
    },
    "Elasticsearch hit": {"_index": "i", "_id": "1", "_score": 1, "_source": {"@timestamp": TIME, "log": "@", "kubernetes": POD}},
    "OpenShift Logging": {
        "@timestamp": TIME, "hostname": "w", "kubernetes": POD, "level": "default", "log_source": "container",
        "log_type": "application", "message": "@", "openshift": {"sequence": 1},
    },
    "Vector": {"file": "/var/log/x", "kubernetes": POD, "message": "@", "source_type": "kubernetes_logs", "stream": "stdout", "timestamp": TIME},
    "CloudWatch event": {"logStreamName": "s", "timestamp": 1652214977012, "message": "@", "ingestionTime": 1652214979000, "eventId": "3"},
    "CloudWatch Insights": {"@timestamp": "2022-05-10 20:36:17.012", "@message": "@", "@logStream": "s"},
    "CloudWatch Insights, fields": [{"field": "@timestamp", "value": "2022"}, {"field": "@message", "value": "@"}],
    "Google, text": {"insertId": "a", "textPayload": "@", "resource": {"labels": {"pod_name": "p"}}, "logName": "l", "timestamp": TIME},
    "Google, JSON": {"insertId": "a", "jsonPayload": {"@": 1}, "resource": {"labels": {"pod_name": "p"}}, "logName": "l", "timestamp": TIME},
    "Azure ContainerLogV2": {"TenantId": "0", "TimeGenerated": TIME, "PodName": "p", "PodNamespace": "n", "LogMessage": "@", "LogSource": "stdout", "Type": "ContainerLogV2"},
    "Azure ContainerLogV2, dynamic": {"TimeGenerated": TIME, "PodName": "p", "LogMessage": {"@": 1}, "Type": "ContainerLogV2"},
    "Azure ContainerLog": {"TimeGenerated": TIME, "ContainerID": "6", "LogEntrySource": "stdout", "LogEntry": "@", "Type": "ContainerLog"},
    "Splunk": {"preview": False, "offset": 0, "lastrow": True, "result": {"_raw": "@", "host": "x", "my_field": "y"}},
    "Splunk HEC": {"time": 1652214977, "host": "x", "sourcetype": "kube", "index": "main", "event": "@"},
    "Datadog": {"id": "A", "type": "log", "attributes": {"message": "@", "service": "x", "status": "info", "tags": []}},
    "journald": {"MESSAGE": "@", "_HOSTNAME": "node1", "PRIORITY": "6", "__REALTIME_TIMESTAMP": "1652214977012000"},
    "stern -o json": {"message": "@", "nodeName": "n", "namespace": "istio-system", "podName": "p", "containerName": "istio-proxy"},
    "logcli -o jsonl": {"labels": {"app": "x"}, "line": "@", "timestamp": TIME},
    "Loki's pair": ["1652214977022345678", "@"],
    "OTLP": {"timeUnixNano": "1652214977012000000", "body": {"stringValue": "@"}, "attributes": []},
    "logcli": TIME + ' {app="x{}", pod="p \\"q\\""} @',
    "logcli without labels": TIME + " {} @",
    "aws logs tail": "2022-05-10T20:36:17.012000+00:00 istio-egressgateway-66fd_istio-system_istio-proxy-0a1b @",
    "aws logs tail --format short": "2022-05-10T20:36:17 @",
    "fluentd out_file": TIME + '\tkubernetes.x.log\t{"stream":"stdout","logtag":"F","message":@,"kubernetes":{}}',
    "Grafana": TIME + "\t@",
    "JSON string": '"@"',
}  # fmt: skip
#: Documents with entries ``@``.
DOCUMENTS: dict[str, Any] = {
    "a list": "@",
    "CloudWatch filter-log-events": {"events": "@", "searchedLogStreams": []},
    "Elasticsearch _search": {"took": 1, "timed_out": False, "_shards": {}, "hits": {"total": {"value": 2}, "hits": "@"}},
    "Google entries.list": {"entries": "@", "nextPageToken": "x"},
    "Datadog search": {"data": "@", "links": {}, "meta": {}},
}  # fmt: skip


def wrap(shape: Any, line: str) -> str:
    """The line as the store exports it."""
    if isinstance(shape, str):
        quoted = json.dumps(line)
        return shape.replace(":@", f":{quoted}").replace('"@"', quoted).replace("@", line)
    return json.dumps(_put(shape, line))


def _put(shape: Any, line: str) -> Any:
    if shape == {"@": 1}:
        return json.loads(line)
    if isinstance(shape, dict):
        return {key: _put(value, line) for key, value in shape.items()}
    if isinstance(shape, list):
        return [_put(value, line) for value in shape]
    return line + shape[1:] if shape in ("@", "@\n") else shape


def lines_of(shape: Any) -> list[str]:
    """Lines that the store can hold: what it decodes is JSON only."""
    return [JSON] if '{"@": 1}' in json.dumps(shape) else [TEXT, JSON]


@pytest.mark.parametrize("shape", STORES.values(), ids=STORES)
def test_stores_do_not_change_records(shape: Any) -> None:
    """Each line comes out as it went in, certain as it was."""
    for line in lines_of(shape):
        (plain,), (wrapped,) = rows(everything([line])), rows(everything([wrap(shape, line)]))
        assert wrapped == plain
        assert not wrapped["ambiguous"]


@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "many lines"])
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_have_a_record_for_each_entry(document: Any, indent: int | None) -> None:
    """Entries are what counts as lines, whether the document is printed on one line or on many."""
    entry = STORES["CloudWatch event"]
    shape = json.loads(json.dumps(document).replace('"@"', json.dumps([entry] * 3)))
    filled = iter([TEXT, JSON, TEXT.replace("301", "404")])
    text = json.dumps(_fill(shape, filled), indent=indent)
    found = everything(text.split("\n"))
    assert totals(found) == Counts(3, 3, 0, 0, 0)
    assert sorted(row["response_code"] for row in rows(found)) == [301, 301, 404]


def _fill(shape: Any, lines: Any) -> Any:
    if isinstance(shape, dict):
        return {key: _fill(value, lines) for key, value in shape.items()}
    if isinstance(shape, list):
        return [_fill(value, lines) for value in shape]
    return next(lines) if shape == "@" else shape


def test_loki_and_otlp_documents() -> None:
    """Their entries stand in lists of lists, or deep inside."""
    loki = {"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"app": "x"}, "values": [["1652214977022345678", TEXT], ["1652214977022345679", JSON]]},
        {"stream": {"app": "y"}, "values": [["1652214977022345680", TEXT]]},
    ]}}  # fmt: skip
    otlp = {"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {}, "logRecords": [
        {"timeUnixNano": "1", "body": {"stringValue": TEXT}},
        {"timeUnixNano": "1", "attributes": [
            {"key": key, "value": {"stringValue": "-" if value is None else str(value)}} for key, value in json.loads(JSON).items()
        ]},
    ]}]}]}  # fmt: skip
    for document, count in ((loki, 3), (otlp, 2)):
        for indent in (None, 1):
            found = everything(json.dumps(document, indent=indent).split("\n"))
            assert totals(found) == Counts(count, count, 0, 0, 0)


def test_the_line_of_an_entry_is_the_entry() -> None:
    """Line numbers are those on which entries begin; evidence shows the entry, not the document."""
    entries = [{"log": line, "stream": "stdout", "time": TIME} for line in (TEXT, JSON)]
    found = everything(json.dumps(entries, indent=1).split("\n"))
    assert [row["line_number"] for row in rows(found)] == [2, 7]
    (parsed,) = (parsed for parsed in found if parsed.batch.num_rows)
    assert parsed.raw.of([2, 7]) == [json.dumps(entry, separators=(",", ":")) for entry in entries]


PREFIXES = {
    "syslog": "May 10 22:36:17 ip-10-20-212-252.compute.internal docker[10380]: @",
    "rsyslog": "2022-05-10T20:36:17.012345+00:00 node1 istio-proxy[1]: @",
    "RFC 5424": "<14>1 2022-05-10T20:36:17.012Z node1 istio-proxy 1 - - @",
    "journalctl -o short-iso": "2022-05-10T22:36:17+0200 node1 envoy[2123]: @",
    "podman logs --names": "egress-gateway @",
    "k9s": "istio-egressgateway-66fdd867f4-kbrh4:istio-proxy @",
    "kubetail": "[istio-egressgateway-66fdd867f4-kbrh4 istio-proxy] @",
    "grep -n": "12:@",
    "grep -Hn": "gateway.log:12:@",
    "indented": "    @",
    "quoted": "> @",
    "in a box": "\u2502 @      \u2502",
    "CSV": '2022-05-10 20:36:17.012,"@@"',
}


def prefixed(name: str, line: str) -> str:
    shape = PREFIXES[name]
    return shape.replace("@@", line.replace('"', '""')).replace("@", line)


@pytest.mark.parametrize("name", PREFIXES)
def test_lines_behind_a_prefix_accuse_and_prove_nothing(name: str, tmp_path: Path) -> None:
    """Without a word of the user's, PROVEN needs lines whose surroundings are known; a bypass does not."""
    pair = {"gateway": [from_gateway(host=HOST)], "sidecars": [to_gateway(host=HOST)]}
    assert ask(tmp_path, name, pair) is Verdict.SENT_UNCONFIRMED
    assert ask(tmp_path, name, {"sidecars": [past(sni=HOST)]}) is Verdict.BYPASSED
    if name != "CSV":
        assert ask(tmp_path, name, pair, strip_prefix=True) is Verdict.PROVEN


def ask(folder: Path, name: str, hops: dict[str, list[str]], **how: Any) -> Verdict:
    logs = {}
    for hop, lines in hops.items():
        path = folder / f"{hop}.log"
        path.write_text("".join(f"{prefixed(name, line)}\n" for line in lines), encoding="utf-8")
        logs[hop] = egresslog.read(path, **how)
    return egresslog.verify(HOST, **logs)[0].verdict


def test_an_object_of_no_known_shape_accuses_and_proves_nothing() -> None:
    """A mesh's own JSON format with renamed keys looks the same, and a client writes its user agent."""
    for value in ({"ua": TEXT, "when": TIME}, {"a": {"b": [{"c": TEXT}]}}, {"ua": json.loads(JSON)}):
        (row,) = rows(everything([json.dumps(value)]))
        assert row["ambiguous"] is True
        assert row["upstream_host"] == "151.101.193.67:80"


@pytest.mark.parametrize(
    "value",
    [
        {"start_time": TIME, "upstream_host": "1.1.1.1:443", "ua": TEXT},  # a record of its own
        {"ua": TEXT.replace("curl/8.4", 'a" "b" "c')},  # not strictly a line
        {"ua": f"x{TEXT}"},
        {"a": TEXT, "b": TEXT},  # not one
        {"message": TEXT[:100], "level": "info", "time": TIME},
    ],
)
def test_what_is_not_strictly_one_line_is_no_record(value: Any) -> None:
    """It is a reject, with a reason."""
    assert totals(everything([json.dumps(value)])) == Counts(1, 0, 0, 1, 0)


def test_a_key_beside_those_of_a_store_makes_it_no_store() -> None:
    """A client of a text log that looks like JSON can add a store's keys, and cannot take the log's own away."""
    for shape in STORES.values():
        if isinstance(shape, dict):
            forged = {**_put(shape, lines_of(shape)[-1]), "dst": "1.1.1.1:443"}
            assert all(row["ambiguous"] for row in rows(everything([json.dumps(forged)])))
    forged = {"ts": TIME, "ua": "x", "events": [_put(STORES["CloudWatch event"], TEXT)], "z": "y"}
    for indent in (None, 1):
        found = everything(json.dumps(forged, indent=indent).split("\n"))
        assert all(row["ambiguous"] for row in rows(found))


def test_the_user_names_field_or_prefix() -> None:
    """What is named proves as any line does."""
    text = json.dumps({"a": TEXT, "b.c": {"d": JSON}})
    for field, code in (("a", "curl/7.35.0"), ("b.c.d", "curl/8.4")):
        (row,) = rows(everything([text], unwrapping=Unwrapping(field=field)))
        assert (row["ambiguous"], row["user_agent"] == code) == (False, row["user_agent"] == code)
    prefix = Prefix.parse(r"\w+ ")
    (row,) = rows(everything([f"caf\u00e9 {TEXT}"], unwrapping=Unwrapping(prefix=Prefix.parse(r"\S+ "))))
    assert row["ambiguous"] is False
    (row,) = rows(everything([f"a b {TEXT}"], unwrapping=Unwrapping(prefix=prefix)))
    assert row["ambiguous"] is True  # what is left of the prefix is not the one that was named


@pytest.mark.parametrize("pattern", ["", "(", "x*", r"(?=a)", r"a\1"])
def test_a_prefix_that_is_none_is_refused(pattern: str) -> None:
    """RE2 does not take it, or it matches nothing."""
    with pytest.raises(egresslog.UsageError, match="--prefix"):
        Prefix.parse(pattern)


def test_escaped_quotes() -> None:
    """Copied out of a viewer's JSON: every quote is escaped."""
    (plain,), (escaped,) = rows(everything([TEXT])), rows(everything([TEXT.replace('"', '\\"')]))
    assert escaped == plain


CSV = {
    "CloudWatch Insights": ("@timestamp,@message", '2022-05-10 20:36:17.012,"@"'),
    "Azure": (
        '"TimeGenerated [UTC]",Computer,PodName,LogMessage,LogSource',
        '"5/10/2022, 8:36:17.012 PM",aks,p,"@",stdout',
    ),
    "Kibana": ('"@timestamp","kubernetes.pod_name",log', '"May 10, 2022 @ 22:36:17.012",istio-egressgateway,"@"'),
    "Datadog": ("date,host,service,message", '2022-05-10T20:36:17.012Z,"a\nb ""c"", d",x,"@"'),
    "Splunk": ('"_time","_raw",host', '"2022","@",x'),
    "Grafana": ("tsNs;Time;Line", '1;2;"@"'),
}


@pytest.mark.parametrize("name", CSV)
def test_csv_exports(name: str) -> None:
    """RFC 4180: quoted newlines and doubled quotes; the header is no line of the log."""
    header, row = CSV[name]
    lines = [row.replace('@"', line.replace('"', '""') + '"') for line in (TEXT, JSON)]
    found = everything("\n".join([header, *lines, ""]).encode())
    assert totals(found) == Counts(3, 2, 1, 0, 0)
    plain = rows(everything([TEXT, JSON]))
    for got, wanted in zip(rows(found), plain, strict=True):
        assert {**got, "line_number": 0} == {**wanted, "line_number": 0}
    broken = everything("\n".join([header, row.replace('@"', "x"), lines[0], ""]).encode())
    assert totals(broken).records + totals(broken).rejected + 1 == totals(broken).total
    assert totals(broken).rejected >= 1


def test_own_output_is_read_with_what_it_says() -> None:
    """`parse -o ndjson` and back: a line that was ambiguous proves nothing afterwards, either."""
    forged = TEXT.replace("curl/8.4", 'a" "b" "c')
    for line, ambiguous in ((TEXT, False), (forged, True)):
        (row,) = rows(everything([line]))
        assert row["ambiguous"] is ambiguous
        (again,) = rows(everything([json.dumps({**row, "start_time": TIME})]))
        changed = {name for name in row if row[name] != again[name]}
        assert changed <= {"line_number", "origin"}
        for lie in ("false ", None, 0, "no"):
            value = {**row, "ambiguous": lie, "start_time": TIME}
            (again,) = rows(everything([json.dumps(value)]))
            assert again["ambiguous"] is True


def test_a_document_that_does_not_end_is_told() -> None:
    """A partial read says what is missing; what is no JSON any more is read line by line."""
    entry = json.dumps({"log": TEXT, "stream": "stdout", "time": TIME})
    assert totals(everything(["[", entry + ","])) == Counts(2, 1, 0, 1, 0)
    assert totals(everything(["[", entry + ",", TEXT, TEXT])) == Counts(3, 3, 0, 0, 0)
    assert totals(everything(["{", TEXT, TEXT])) == Counts(3, 2, 0, 1, 0)
    assert totals(everything(['{"a": [', '"b",', TEXT])) == Counts(3, 1, 0, 2, 0)


@pytest.mark.parametrize("opening", ["[", '{"a":', "[\n1,", '{"a": [\n'])
def test_documents_take_linear_time(opening: str, no_hang: None) -> None:
    """Nested or endless values that never become JSON: each line is looked at a bounded number of times."""
    lines = (opening + "\n") * 20_000 + TEXT + "\n"
    counts = totals(everything(lines.encode()))
    assert counts.records == 1
    assert counts.total >= 2
