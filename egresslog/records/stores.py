"""JSON objects that log stores and collectors put around a line: one table.

A store is recognized by its keys: an object of it has no others. So a text log that only looks like JSON, whose own
keys are none of a store's, cannot be made to hold one (docs/access-log-formats.md, 7 and 9).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

_JOURNALD = re.compile(r"[A-Z0-9_]{1,64}", re.ASCII)
_NANOSECONDS = re.compile(r"\d{16,20}", re.ASCII)


class Store(NamedTuple):
    """One store or collector, and how its export holds a line.

    Attributes:
        name: what it is called.
        message: the key whose value is the line, or the object around it.
        keys: all keys that its objects have.
        needs: keys that its objects have without exception.
    """

    name: str
    message: str
    keys: frozenset[str]
    needs: frozenset[str] = frozenset()


def _store(name: str, message: str, keys: str, needs: str = "") -> Store:
    return Store(name, message, frozenset(keys.split()) | {message}, frozenset(needs.split()))


_KUBERNETES = "kubernetes stream time @timestamp"
_ECS = (
    "@timestamp @metadata @version agent cloud container data_stream ecs elastic_agent error event fields host input"
    " kubernetes labels log offset orchestrator prospector beat service source stream tags"
)
_AZURE = "TenantId TimeGenerated Computer SourceSystem MG ManagementGroupName Type _ResourceId _SubscriptionId _ItemId"

#: The stores, each as its documentation has it (docs/formats.md, "Log stores").
STORES = (
    _store("Docker", "log", "stream time attrs"),  # json-file logging driver
    _store(  # in_tail with the filter kubernetes; Container Insights; `Merge_Log` adds log_processed
        "Fluent Bit", "log",
        f"{_KUBERNETES} attrs docker tag date logtag _p source log_processed container_id container_name"
        " container_image host node_name cluster",
    ),
    _store("Fluentd", "message", f"{_KUBERNETES} docker tag date logtag _p source host", "stream"),
    _store("Beats", "message", _ECS, "@timestamp"),  # filebeat 7 and 8
    _store(  # ClusterLogForwarder, and Vector's kubernetes_logs source
        "OpenShift Logging", "message",
        "@timestamp hostname kubernetes level log_source log_type openshift docker pipeline_metadata file tag"
        " viaq_msg_id viaq_index_name structured stream timestamp",
        "kubernetes log_type",
    ),
    _store("Vector", "message", "file kubernetes source_type stream timestamp timestamp_end host", "source_type"),
    _store(
        "Elasticsearch", "_source",
        "_index _type _id _score _version _seq_no _primary_term _ignored _routing sort fields highlight",
        "_index",
    ),
    _store(
        "CloudWatch", "message",
        "logStreamName logGroupName timestamp ingestionTime eventId", "timestamp ingestionTime",
    ),
    _store("CloudWatch Insights", "@message", "@timestamp @logStream @log @ptr @ingestionTime @entity"),
    _store(
        "Google Cloud Logging", "textPayload",
        "insertId labels logName receiveTimestamp resource severity timestamp trace spanId traceSampled"
        " sourceLocation operation split errorGroups apphub",
        "logName",
    ),
    _store(
        "Google Cloud Logging", "jsonPayload",
        "insertId labels logName receiveTimestamp resource severity timestamp trace spanId traceSampled"
        " sourceLocation operation split errorGroups apphub httpRequest",
        "logName",
    ),
    _store(
        "Azure Monitor", "LogMessage",
        f"{_AZURE} ContainerId ContainerName PodName PodNamespace LogSource KubernetesMetadata LogLevel"
        " _CustomCollectionName _BilledSize _IsBillable", "TimeGenerated",
    ),
    _store(
        "Azure Monitor", "LogEntry",
        f"{_AZURE} ContainerID LogEntrySource Name Image ImageTag Repository TimeOfCommand", "TimeGenerated",
    ),
    _store("Splunk", "result", "preview offset lastrow", "preview"),
    _store("Splunk HEC", "event", "time host source sourcetype index fields", "sourcetype"),
    _store("Datadog", "attributes", "id type", "id type"),
    _store(
        "Datadog", "message", "_id date service host hostname attributes source status tags timestamp", "_id status"
    ),
    _store("stern", "message", "nodeName namespace podName containerName labels annotations", "podName"),
    _store("Loki", "line", "labels timestamp", "labels timestamp"),  # logcli -o jsonl
    _store("Grafana", "line", "timestamp date fields labels id", "timestamp fields"),  # Explore: download as JSON
    _store(
        "OpenTelemetry", "body",
        "timeUnixNano observedTimeUnixNano severityNumber severityText attributes droppedAttributesCount flags traceId"
        " spanId eventName", "timeUnixNano",
    ),
    _store(  # Envoy's OpenTelemetry access logger may write attributes alone
        "OpenTelemetry", "attributes",
        "timeUnixNano observedTimeUnixNano severityNumber severityText droppedAttributesCount flags traceId spanId"
        " eventName", "timeUnixNano",
    ),
)  # fmt: skip


class Document(NamedTuple):
    """A document of a store: its keys, and where its entries stand. ``*`` is each item of a list."""

    path: tuple[str, ...]
    keys: frozenset[str] = frozenset()


def _document(path: str, keys: str = "") -> Document:
    steps = tuple(path.split("."))
    return Document(steps, frozenset([*keys.split(), steps[0]]))


DOCUMENTS = (
    _document("*"),
    _document("events.*", "searchedLogStreams nextToken nextForwardToken nextBackwardToken"),  # CloudWatch
    _document("results.*", "statistics status encryptionKey queryLanguage"),  # CloudWatch Insights
    _document("results.*", "preview init_offset messages fields highlighted"),  # Splunk
    _document(  # Elasticsearch, OpenSearch
        "hits.hits.*",
        "took timed_out _shards aggregations _scroll_id num_reduce_phases pit_id profile terminated_early",
    ),
    _document("data.result.*.values.*", "status warnings"),  # Loki: query_range
    _document("result.*.values.*", "resultType stats"),  # its `data`
    _document("streams.*.values.*"),  # Loki: push
    _document("values.*", "stream"),  # one stream of it
    _document("data.*", "links meta"),  # Datadog
    _document("entries.*", "nextPageToken"),  # Google Cloud Logging
    _document("resourceLogs.*.scopeLogs.*.logRecords.*"),  # OTLP
)


def message_of(value: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The name of the store whose object it is, and the line in it, or what stands around that; None for none."""
    store = _store_of(frozenset(value))
    return (store.name, _inner(store, value)) if store else None


@lru_cache(1024)
def _store_of(keys: frozenset[str]) -> Store | None:
    for store in STORES:
        if store.message in keys and keys <= store.keys and store.needs <= keys:
            return store
    if "MESSAGE" in keys and all(map(_JOURNALD.fullmatch, keys)):
        return _store("journald", "MESSAGE", "")
    return None


def _inner(store: Store, value: Mapping[str, Any]) -> Any:
    inner = value[store.message]
    if store.name == "OpenTelemetry":
        inner = _otlp(inner)
        return inner or _otlp({"kvlistValue": {"values": value.get("attributes")}})
    if isinstance(inner, Mapping):
        for key in ("_raw", "message"):  # Splunk, Datadog: beside what they took out of it
            if isinstance(inner.get(key), str) and store.name in {"Splunk", "Datadog"}:
                return inner[key]
    return inner


def _otlp(value: Any) -> Any:
    """OTLP's AnyValue as what it stands for."""
    if not isinstance(value, Mapping):
        return None
    if "kvlistValue" in value:
        pairs = value["kvlistValue"].get("values") if isinstance(value["kvlistValue"], Mapping) else None
        if not isinstance(pairs, list) or not all(isinstance(pair, Mapping) for pair in pairs):
            return None
        named = {str(pair.get("key")): _otlp(pair.get("value")) for pair in pairs}
        return named if len(named) == len(pairs) else None  # a key that comes twice says nothing
    for key in ("stringValue", "intValue", "doubleValue", "boolValue"):
        if key in value:
            return value[key]
    return None


def message_of_list(value: list[Any]) -> tuple[str, Any] | None:
    """As ``message_of``, of a list: Loki's pair of time and line, CloudWatch Insights' fields of one row."""
    if len(value) in {2, 3} and all(isinstance(item, str) for item in value[:2]) and _NANOSECONDS.fullmatch(value[0]):
        return "Loki", value[1]
    if value and all(isinstance(item, Mapping) and item.keys() == {"field", "value"} for item in value):
        row = {str(item["field"]): item["value"] for item in value}
        return message_of(row) if len(row) == len(value) else None
    return None


def entries(value: Any) -> Iterator[Any] | None:
    """The entries of a document; None if the value is none."""
    for document in DOCUMENTS:
        if isinstance(value, Mapping) and not value.keys() <= document.keys:
            continue
        if (found := _at(value, document.path)) is not None:
            return found
    return None


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any] | None:
    for index, key in enumerate(path):
        if key == "*":
            if not isinstance(value, list):
                return None
            return _each(value, path[index + 1 :])
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return None


def _each(items: list[Any], path: tuple[str, ...]) -> Iterator[Any]:
    for item in items:
        inner = _at(item, path) if path else None
        if inner is None:
            yield item
        else:
            yield from inner
