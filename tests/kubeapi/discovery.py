"""What a client asks before it asks: versions, groups, resources."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from .kinds import PODS, Kind
from .status import Json

if TYPE_CHECKING:
    from .cluster import Cluster
    from .exchange import Exchange

_VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": f"linux/{platform.machine()}",
}
_VERBS = ["create", "delete", "get", "list", "watch"]


def discover(cluster: Cluster, exchange: Exchange) -> bool:
    """Answer if it is such a request."""
    path = exchange.request.path.rstrip("/")
    if path in ("/healthz", "/livez", "/readyz"):
        exchange.whole(200, b"ok", "text/plain; charset=utf-8")
        return True
    found = _found(path, cluster.kinds())
    if found is None:
        return False
    exchange.json(200, found)
    return True


def _found(path: str, kinds: list[Kind]) -> Json | None:
    groups = {kind.group: _group(kind.group, kinds) for kind in kinds if kind.group}
    match path.strip("/").split("/"):
        case ["api", version]:
            return _resources("", version, kinds)
        case ["apis", group] if group in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **groups[group]}
        case ["apis", group, version]:
            return _resources(group, version, kinds)
        case [word]:
            answers: dict[str, Json] = {
                "version": _VERSION,
                "api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
                "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(groups.values())},
            }
            return answers.get(word)
    return None


def _group(group: str, kinds: list[Kind]) -> Json:
    names = dict.fromkeys(version for kind in kinds if kind.group == group for version in kind.versions)
    versions = [{"groupVersion": f"{group}/{name}", "version": name} for name in names]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str, kinds: list[Kind]) -> Json | None:
    found = [kind for kind in kinds if kind.group == group and version in kind.versions]
    if not found:
        return None
    resources = [_resource(kind) for kind in found]
    if PODS in found:
        common = {"singularName": "", "namespaced": True}
        resources.append({"name": "pods/exec", **common, "kind": "PodExecOptions", "verbs": ["create", "get"]})
        resources.append({"name": "pods/log", **common, "kind": "Pod", "verbs": ["get"]})
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


def _resource(kind: Kind) -> Json:
    found: Json = {"name": kind.plural, "singularName": kind.name.lower(), "namespaced": kind.namespaced}
    found |= {"kind": kind.name, "verbs": _VERBS}
    return found | ({"shortNames": list(kind.short)} if kind.short else {})
