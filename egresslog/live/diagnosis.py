"""Why nothing was read, or no access log: pods, rights, containers, and what the mesh's configuration says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

from egresslog.errors import ClusterError, FormatError, SourceError
from egresslog.mesh.access_log import AccessLog, access_log
from egresslog.mesh.rights import role
from egresslog.records.catalogue import format_with_source
from egresslog.records.format import Format
from egresslog.sources.cluster.client import Cluster
from egresslog.sources.cluster.discovery import list_pods
from egresslog.sources.cluster.pods import NAMESPACE, SELECTOR, Target
from egresslog.sources.coverage import Coverage
from egresslog.sources.paths import Sources

_TELEMETRY_VERSIONS = ("v1", "v1alpha1")  # v1 since Istio 1.22
_REVISION = "istio.io/rev"
_MAX_NAMED = 5  # namespaces or containers in one message


class Diagnosis(NamedTuple):
    """What the mesh's configuration says about logs that are about to be read.

    Attributes:
        format: to read them with.
        notes: what to know about them.
        no_access_log: why they may have no access log.
    """

    format: str | Mapping[str, Any] | Format | None
    notes: list[str]
    no_access_log: list[str]


def nothing_found(cluster: Cluster, targets: Sequence[Target], found: Sources) -> SourceError:
    """The error for targets without any container."""
    for error in found.errors:
        return with_missing_rights(error, targets)
    if found.notes:
        return ClusterError(cluster.name, "; ".join(found.notes[:_MAX_NAMED]))
    names = " or ".join(map(str, targets))
    return ClusterError(cluster.name, f"found no {names}{_other_places(cluster, targets)}")


def with_missing_rights(error: SourceError, targets: Sequence[Target]) -> SourceError:
    """The error, with the Role that is needed if rights are missing."""
    if not isinstance(error, ClusterError) or error.status != HTTPStatus.FORBIDDEN:
        return error
    namespaces = list(dict.fromkeys(target.namespace or "" for target in targets))
    roles = "---\n".join(role(namespace, sidecars=False, probe=False, static=False) for namespace in namespaces)
    return with_roles(error, roles)


def with_roles(error: ClusterError, roles: str) -> ClusterError:
    """The error, with the Roles that are needed."""
    reason = f"{error.reason}\nNeeded, to be applied by someone who may (fill in the subject):\n{roles}"
    return ClusterError(error.origin, reason.rstrip(), error.status)


def access_log_settings(cluster: Cluster, coverage: Sequence[Coverage]) -> list[AccessLog]:
    """What the mesh's configuration says about the access logs of these containers; each different answer once.

    What may not be read counts as not known.
    """
    mesh_configs: dict[str, str | None] = {}
    telemetries = _telemetries(cluster, {entry.container.namespace for entry in coverage})
    answers: dict[str, AccessLog] = {}
    seen: set[object] = set()  # pods of one workload have the same answer
    for entry in coverage:
        container = entry.container
        kind = container.namespace, frozenset(container.labels.items())
        if kind in seen:
            continue
        seen.add(kind)
        name = _config_map(container.labels)
        if name not in mesh_configs:
            mesh_configs[name] = _mesh_config(cluster, name)
        answer = access_log(
            mesh_configs[name], telemetries, namespace=container.namespace, labels=container.labels, config_map=name
        )
        answers.setdefault(repr(answer), answer)
    return list(answers.values())


def diagnose(
    cluster: Cluster,
    coverage: Sequence[Coverage],
    format: str | Mapping[str, Any] | Format | None,  # noqa: A002
) -> Diagnosis:
    """What the mesh's configuration says about the logs of containers; ``format``: the user's, None to detect it."""
    answers = access_log_settings(cluster, coverage)
    notes = caveats(answers)
    if format is None:
        try:
            format = own_format(answers)  # noqa: A001
        except FormatError as error:
            notes.append(f"the mesh's own format cannot be used: {error.reason}")
        else:
            if format:
                notes.append(f"the format is the mesh's own: {answers[0].why}; --format sets another")
    return Diagnosis(format, notes, reasons_for_no_access_log(answers, coverage))


def own_format(answers: Sequence[AccessLog]) -> Format | None:
    """The mesh's own format, if it is not in the catalogue and is the same for all containers.

    Raises:
        FormatError: egresslog cannot use it.
    """
    if not answers or answers[0].format is None or format_with_source(answers[0].format):
        return None
    template, omit_empty = answers[0].format, answers[0].omit_empty
    if any((answer.format, answer.omit_empty) != (template, omit_empty) for answer in answers):
        return None
    return Format.compile(template, omit_empty=omit_empty)


def caveats(answers: Sequence[AccessLog]) -> list[str]:
    """What to know about logs that are written: only some of the requests are, or some twice."""
    return _sentences(answer for answer in answers if answer.written and answer.advice)


def reasons_for_no_access_log(answers: Sequence[AccessLog], coverage: Sequence[Coverage]) -> list[str]:
    """Why logs may have no access log lines, as sentences."""
    reasons = []
    for entry in coverage:
        container = entry.container
        if container.state != "running":
            details = " ".join(part for part in (container.reason, container.message) if part)
            reasons.append(f"{entry.origin} is {container.state}{f' ({details})' if details else ''}")
        elif container.restarts:
            reasons.append(f"{entry.origin} restarted {container.restarts} times; older logs are gone")
    return [*reasons[:_MAX_NAMED], *_sentences(answer for answer in answers if answer.written is not True)]


def _sentences(answers: Iterable[AccessLog]) -> list[str]:
    """Each reason once, with the advice that comes first: for other pods it differs only in names."""
    by_reason: dict[str, str] = {}
    for answer in answers:
        by_reason.setdefault(answer.why, f"{answer.why}. {answer.advice}".strip())
    return list(by_reason.values())


def _other_places(cluster: Cluster, targets: Sequence[Target]) -> str:
    """Where there are such pods, as far as one may look."""
    target = targets[0]
    if target.name:
        return ""
    if target.namespace is None or target.sidecars:
        return "; is there a gateway in this cluster? --selector and --gateway-name look for others"
    try:
        pods = list_pods(cluster, Target(None, target.selector))
    except ClusterError:
        pods = []
    namespaces = sorted({pod["metadata"]["namespace"] for pod in pods})[:_MAX_NAMED]
    if namespaces:
        return f"; there are some in {', '.join(namespaces)}: -n {namespaces[0]}, or -A for all namespaces"
    is_default = target.selector == SELECTOR
    return "; for a gateway of the Gateway API, give --gateway-name NAME" if is_default else ""


def _config_map(labels: Mapping[str, str]) -> str:
    """The name of the mesh's ConfigMap: each revision of the control plane has its own."""
    revision = labels.get(_REVISION, "default")
    return "istio" if revision == "default" else f"istio-{revision}"


def _mesh_config(cluster: Cluster, name: str) -> str | None:
    try:
        config_map = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{quote(name, safe='')}")
    except ClusterError:
        return None
    data = config_map.get("data")
    mesh = data.get("mesh") if isinstance(data, dict) else None
    return mesh if isinstance(mesh, str) else ""


def _telemetries(cluster: Cluster, namespaces: set[str]) -> list[dict[str, Any]] | None:
    """The Telemetry resources that can apply to pods of these namespaces; None if they may not be read."""
    for version in _TELEMETRY_VERSIONS:
        path = f"/apis/telemetry.istio.io/{version}"
        try:
            return [
                telemetry
                for namespace in sorted({NAMESPACE, *namespaces})
                for telemetry in cluster.list_objects(f"{path}/namespaces/{namespace}/telemetries")[0]
            ]
        except ClusterError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                return None
    return []
