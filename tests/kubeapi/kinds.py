"""The resources an API server knows: its own, and those of installed CustomResourceDefinitions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One resource. A built-in one answers with typed lists, a custom one with sorted keys."""

    group: str
    versions: tuple[str, ...]
    name: str
    plural: str
    namespaced: bool = True
    builtin: bool = True
    short: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """As messages name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version: str = "") -> str:
        """What stands in an object."""
        version = version or self.versions[0]
        return f"{self.group}/{version}" if self.group else version


def plural_of(name: str) -> str:
    """The plural that a CustomResourceDefinition for `name` usually has."""
    lower = name.lower()
    if lower.endswith(("s", "x", "ch")):
        return lower + "es"
    if lower.endswith("y") and lower[-2:-1] not in "aeiou":
        return lower[:-1] + "ies"
    return lower + "s"


PODS = Kind("", ("v1",), "Pod", "pods", short=("po",))
NAMESPACES = Kind("", ("v1",), "Namespace", "namespaces", namespaced=False, short=("ns",))
ACCESS_REVIEWS = Kind(
    "authorization.k8s.io", ("v1",), "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)

BUILTIN = (
    PODS,
    NAMESPACES,
    ACCESS_REVIEWS,
    Kind("", ("v1",), "Node", "nodes", namespaced=False, short=("no",)),
    Kind("", ("v1",), "ConfigMap", "configmaps", short=("cm",)),
    Kind("", ("v1",), "Secret", "secrets"),
    Kind("", ("v1",), "Service", "services", short=("svc",)),
    Kind("", ("v1",), "ServiceAccount", "serviceaccounts", short=("sa",)),
    Kind("", ("v1",), "Endpoints", "endpoints", short=("ep",)),
    Kind("", ("v1",), "Event", "events", short=("ev",)),
    Kind("", ("v1",), "ReplicationController", "replicationcontrollers", short=("rc",)),
    Kind("apps", ("v1",), "Deployment", "deployments", short=("deploy",)),
    Kind("apps", ("v1",), "ReplicaSet", "replicasets", short=("rs",)),
    Kind("apps", ("v1",), "StatefulSet", "statefulsets", short=("sts",)),
    Kind("apps", ("v1",), "DaemonSet", "daemonsets", short=("ds",)),
    Kind("batch", ("v1",), "Job", "jobs"),
    Kind("batch", ("v1",), "CronJob", "cronjobs", short=("cj",)),
    Kind("discovery.k8s.io", ("v1",), "EndpointSlice", "endpointslices"),
    Kind("networking.k8s.io", ("v1",), "NetworkPolicy", "networkpolicies", short=("netpol",)),
)


def _custom(group: str, versions: tuple[str, ...], *names: str) -> list[Kind]:
    return [Kind(group, versions, name, plural_of(name), builtin=False) for name in names]


ISTIO = (
    *_custom(
        "networking.istio.io",
        ("v1", "v1beta1", "v1alpha3"),
        "DestinationRule",
        "Gateway",
        "ServiceEntry",
        "Sidecar",
        "VirtualService",
        "WorkloadEntry",
        "WorkloadGroup",
    ),
    *_custom("networking.istio.io", ("v1alpha3",), "EnvoyFilter"),
    *_custom("networking.istio.io", ("v1beta1",), "ProxyConfig"),
    *_custom("security.istio.io", ("v1", "v1beta1"), "AuthorizationPolicy", "PeerAuthentication"),
    *_custom("telemetry.istio.io", ("v1", "v1alpha1"), "Telemetry"),
)
"""What `istioctl install` brings; plurals follow from the names (`telemetries`, `serviceentries`)."""
