"""What a cluster says is its own: the ranges of pods and Services, and where its API server answers.

All of it is optional: what may not be read, or is not there, is not known, and that is no error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any, NamedTuple

from egresslog.errors import ClusterError
from egresslog.mesh.kubeadm import subnets
from egresslog.mesh.untrusted import as_list, as_map
from egresslog.networks import Network, is_private
from egresslog.sources.cluster.client import Cluster

_NODES = "/api/v1/nodes"
_SERVICE_RANGES = "/apis/networking.k8s.io/v1/servicecidrs"  # Kubernetes 1.33
_KUBEADM = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
# The API server itself keeps these two. Other EndpointSlices with the Service's label may be anybody's.
_API_SERVER = (
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
    "/api/v1/namespaces/default/endpoints/kubernetes",
)
# Public addresses that a cluster may claim, by IP version: the shortest prefix of one range, and as much in all. Who
# claims the internet would excuse every bypass.
_WIDEST = {4: 8, 6: 32}
_BITS = {4: 32, 6: 128}
_MAX_ADDRESSES = 100  # of API servers
_NAMED = 3  # ranges in a message


class ClusterNetworks(NamedTuple):
    """What is inside.

    Attributes:
        ranges: of pods and Services.
        api_server: its addresses, which may be public.
        notes: what of it is not believed, and what is public.
    """

    ranges: tuple[Network, ...] = ()
    api_server: tuple[Network, ...] = ()
    notes: tuple[str, ...] = ()


def learn_networks(cluster: Cluster) -> ClusterNetworks:
    """Asks the cluster; the fewer rights there are, the less is known."""
    try:
        texts = [*_listed(cluster, _NODES, _of_node), *_services(cluster)]
        addresses = _api_server(cluster)
    except ClusterError:  # a server in trouble, which need not be asked for more
        return ClusterNetworks()
    ranges = list(_networks(texts))
    public = [entry for entry in ranges if not is_private(entry)]
    refused = [entry for version in (4, 6) for entry in _refused([one for one in public if one.version == version])]
    believed = [entry for entry in ranges if entry not in refused]
    notes = _notes(refused, [entry for entry in public if entry not in refused])
    return ClusterNetworks(tuple(_collapsed(believed)), addresses, tuple(notes))


def _refused(public: list[Network]) -> list[Network]:
    """Those of public ranges, of one IP version, that are more than a cluster can have."""
    kept = [entry for entry in public if entry.prefixlen >= _WIDEST[entry.version]]
    limit = max((2 ** (_BITS[entry.version] - _WIDEST[entry.version]) for entry in kept), default=0)
    if sum(entry.num_addresses for entry in _collapsed(kept)) > limit:
        return public
    return [entry for entry in public if entry not in kept]


def _collapsed(ranges: list[Network]) -> Iterator[Network]:
    yield from collapse_addresses(entry for entry in ranges if isinstance(entry, IPv4Network))
    yield from collapse_addresses(entry for entry in ranges if isinstance(entry, IPv6Network))


def _notes(refused: list[Network], public: list[Network]) -> Iterator[str]:
    if refused:
        yield f"not believed to be the cluster's, since it is too much: {_names(refused)}; --internal says what is"
    if public:
        yield f"public addresses that the cluster says are of its pods and Services count as inside: {_names(public)}"


def _names(networks: list[Network]) -> str:
    more = f" and {len(networks) - _NAMED} more" if len(networks) > _NAMED else ""
    return ", ".join(str(entry) for entry in networks[:_NAMED]) + more


def _networks(texts: list[Any]) -> Iterator[Network]:
    for text in texts:
        try:
            yield ip_network(text if isinstance(text, str) else "", strict=False)
        except ValueError:
            continue


def _listed(cluster: Cluster, path: str, texts: Any) -> list[Any]:
    """The ranges in the objects of a list; none if there is no right to it, or no such list."""
    try:
        found, _ = cluster.list_objects(path, None, lambda item: list(texts(as_map(as_map(item).get("spec")))))
    except ClusterError as error:
        if error.status is None:
            raise
        return []
    return list({text: None for entry in found for text in entry if isinstance(text, str)})


def _of_node(spec: Mapping[str, Any]) -> Sequence[Any]:
    return as_list(spec.get("podCIDRs")) or [spec.get("podCIDR")]


def _services(cluster: Cluster) -> list[Any]:
    found = _listed(cluster, _SERVICE_RANGES, lambda spec: as_list(spec.get("cidrs")))
    if found:
        return found
    return subnets(as_map(_object(cluster, _KUBEADM).get("data")).get("ClusterConfiguration"))


def _api_server(cluster: Cluster) -> tuple[Network, ...]:
    for path in _API_SERVER:
        answer = _object(cluster, path)
        found = [
            address for entry in as_list(answer.get("endpoints")) for address in as_list(as_map(entry).get("addresses"))
        ]
        subsets = [as_list(as_map(entry).get("addresses")) for entry in as_list(answer.get("subsets"))]
        found += [as_map(address).get("ip") for addresses in subsets for address in addresses]
        hosts = [entry for entry in _networks(found[:_MAX_ADDRESSES]) if entry.num_addresses == 1]
        if hosts:
            return tuple(hosts)
    return ()


def _object(cluster: Cluster, path: str) -> dict[str, Any]:
    try:
        return cluster.get(path)
    except ClusterError as error:
        if error.status is None:
            raise
        return {}
