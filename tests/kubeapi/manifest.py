"""The pod specification as the API server completes it, in the order in which it answers."""

from __future__ import annotations

import copy

from .status import Json

# Of keys that no manifest of a test has, the place does not matter: they come last.
_METADATA = (
    "name generateName namespace uid resourceVersion generation creationTimestamp deletionTimestamp "
    "deletionGracePeriodSeconds labels annotations ownerReferences finalizers"
)
_SPEC = (
    "volumes initContainers containers restartPolicy terminationGracePeriodSeconds dnsPolicy serviceAccountName "
    "serviceAccount automountServiceAccountToken nodeName hostNetwork securityContext schedulerName tolerations "
    "priority enableServiceLinks preemptionPolicy"
)
_CONTAINER = (
    "name image command args ports env resources restartPolicy volumeMounts readinessProbe terminationMessagePath "
    "terminationMessagePolicy imagePullPolicy securityContext"
)

_SPEC_DEFAULTS: Json = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "priority": 0,
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
}
_CONTAINER_DEFAULTS: Json = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}


def complete_spec(spec: Json) -> Json:
    """`spec` with its defaults."""
    spec = _SPEC_DEFAULTS | copy.deepcopy(spec)
    for key in ("initContainers", "containers"):
        if key in spec:
            spec[key] = [_in_order(_CONTAINER_DEFAULTS | container, _CONTAINER) for container in spec[key]]
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            volume["hostPath"].setdefault("type", "")
    if "volumes" in spec:
        spec["volumes"] = [_in_order(volume, "name") for volume in spec["volumes"]]
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        if "volumeMounts" in container:
            container["volumeMounts"] = [
                _in_order(mount, "name readOnly mountPath") for mount in container["volumeMounts"]
            ]
    return _in_order(spec, _SPEC)


def ordered_metadata(metadata: Json) -> Json:
    """`metadata` in the API server's order, without what is empty."""
    return {key: value for key, value in _in_order(metadata, _METADATA).items() if value not in (None, "", {}, [])}


def _in_order(found: Json, keys: str) -> Json:
    return {key: found[key] for key in keys.split() if key in found} | found
