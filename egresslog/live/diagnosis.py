"""Why nothing was read, or no access log: pods, rights, containers, and what the mesh's configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from egresslog.errors import ClusterError, FormatError, SourceError
from egresslog.mesh.access_log import AccessLog, access_log
from egresslog.mesh.rights import role
from egresslog.records.catalogue import known
from egresslog.records.format import Format
from egresslog.sources.cluster.client import FORBIDDEN, GONE, Cluster
from egresslog.sources.cluster.pods import NAMESPACE, SELECTOR, Target
from egresslog.sources.cluster.snapshot import Collected
from egresslog.sources.coverage import Coverage

_TELEMETRIES = ("v1", "v1alpha1")  # Istio 1.22 brought the first
_REVISION = "istio.io/rev"
_NAMED = 5  # namespaces, containers


def missing(cluster: Cluster, targets: Sequence[Target], found: Collected) -> SourceError:
    """The error of having found no container at all."""
    for error in found.errors:
        return explained(error, targets)
    if found.notes:
        return ClusterError(cluster.name, "; ".join(found.notes[:_NAMED]))
    asked = " or ".join(map(str, targets))
    return ClusterError(cluster.name, f"found no {asked}{_elsewhere(cluster, targets)}")


def explained(error: SourceError, targets: Sequence[Target]) -> SourceError:
    """The error with the Role that is missing, if it is rights that are."""
    if not isinstance(error, ClusterError) or error.status != FORBIDDEN:
        return error
    spaces = list(dict.fromkeys(target.namespace or "" for target in targets))
    roles = "---\n".join(role(space, sidecars=False, probe=False, static=False) for space in spaces)
    return with_roles(error, roles)


def with_roles(error: ClusterError, roles: str) -> ClusterError:
    """A refusal with what it takes."""
    reason = f"{error.reason}\nWhat it takes, for somebody who may to apply (name the subject):\n{roles}"
    return ClusterError(error.origin, reason.rstrip(), error.status)


def settings(cluster: Cluster, coverage: Sequence[Coverage]) -> list[AccessLog]:
    """What the mesh's configuration says about the access logs of these containers; each different answer once.

    What may not be read is taken as not known.
    """
    meshes: dict[str, str | None] = {}
    telemetries = _telemetries(cluster, {covered.container.namespace for covered in coverage})
    made: dict[str, AccessLog] = {}
    for covered in coverage:
        container = covered.container
        name = _config_map(container.labels)
        if name not in meshes:
            meshes[name] = _mesh(cluster, name)
        answer = access_log(
            meshes[name], telemetries, namespace=container.namespace, labels=container.labels, config_map=name
        )
        made.setdefault(answer.why, answer)
    return list(made.values())


def about(
    cluster: Cluster,
    coverage: Sequence[Coverage],
    format: str | Mapping[str, Any] | Format | None,  # noqa: A002
) -> tuple[str | Mapping[str, Any] | Format | None, list[str], list[str]]:
    """The format to read with, what to know about the logs, and why they may have no access log lines."""
    found = settings(cluster, coverage)
    notes = caveats(found)
    if format is None:
        try:
            format = own_format(found)  # noqa: A001
        except FormatError as error:
            notes.append(f"the mesh's own format cannot be used: {error.reason}")
        else:
            if format:
                notes.append(f"the format is the mesh's own: {found[0].why}; --format names another")
    return format, notes, advice(found, coverage)


def own_format(found: Sequence[AccessLog]) -> Format | None:
    """The mesh's own format, if it is none of the catalogue's and the same for all containers.

    Raises:
        FormatError: it is one that egresslog cannot use.
    """
    if len(found) != 1 or found[0].format is None or known(found[0].format):
        return None
    return Format.compile(found[0].format, omit_empty=found[0].omit_empty)


def caveats(found: Sequence[AccessLog]) -> list[str]:
    """What to know about logs that are written: only part of the requests is, or some twice."""
    return [f"{answer.why}. {answer.advice}".strip() for answer in found if answer.written and answer.advice]


def advice(found: Sequence[AccessLog], coverage: Sequence[Coverage]) -> list[str]:
    """Why logs may have no access log lines, in sentences."""
    said = []
    for covered in coverage:
        container = covered.container
        if container.state != "running":
            what = " ".join(part for part in (container.reason, container.message) if part)
            said.append(f"{covered.origin} is {container.state}{f' ({what})' if what else ''}")
        elif container.restarts:
            said.append(f"{covered.origin} restarted {container.restarts} times; logs before that are gone")
    said = said[:_NAMED]
    for answer in found:
        if answer.written is not True:
            said.append(f"{answer.why}. {answer.advice}".strip())
    return said


def _elsewhere(cluster: Cluster, targets: Sequence[Target]) -> str:
    """Where there are pods as those that were looked for, if one may ask."""
    target = targets[0]
    if target.name or target.namespace is None or target.sidecars:
        return (
            "" if target.name else "; is there a gateway in this cluster? --selector and --gateway-name look for others"
        )
    try:
        pods, _ = cluster.items("/api/v1/pods", {"labelSelector": target.selector})
    except ClusterError:
        pods = []
    spaces = sorted({pod["metadata"]["namespace"] for pod in pods})[:_NAMED]
    if spaces:
        return f"; there are some in {', '.join(spaces)}: -n {spaces[0]}, or -A for all namespaces"
    default = target.selector == SELECTOR
    return "; a gateway of the Gateway API is named with --gateway-name NAME" if default else ""


def _config_map(labels: Mapping[str, str]) -> str:
    """The name of the mesh's ConfigMap: each revision of the control plane has its own."""
    revision = labels.get(_REVISION, "default")
    return "istio" if revision == "default" else f"istio-{revision}"


def _mesh(cluster: Cluster, name: str) -> str | None:
    try:
        found = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")
    except ClusterError:
        return None
    return str((found.get("data") or {}).get("mesh") or "")


def _telemetries(cluster: Cluster, namespaces: set[str]) -> list[dict[str, Any]] | None:
    """Those that can be about pods of these namespaces; None if they may not be read."""
    for version in _TELEMETRIES:
        path = f"/apis/telemetry.istio.io/{version}"
        try:
            return [
                one
                for space in sorted({NAMESPACE, *namespaces})
                for one in cluster.items(f"{path}/namespaces/{space}/telemetries")[0]
            ]
        except ClusterError as error:
            if error.status != GONE:
                return None
    return []
