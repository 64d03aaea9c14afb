"""ConfigMap ``kubeadm-config`` of clusters that kubeadm made: the ranges of pods and Services."""

from __future__ import annotations

from typing import Any

from egresslog.mesh.untrusted import LONGEST, YAML_ERRORS, as_map, load_yaml


def subnets(configuration: Any) -> list[str]:
    """The ranges in the text of key ``ClusterConfiguration`` (kubeadm.k8s.io, ``networking``); none if it has none.

    Never raises, whatever the text holds.
    """
    if not isinstance(configuration, str) or len(configuration) > LONGEST:
        return []
    try:
        loaded = load_yaml(configuration)
    except YAML_ERRORS:
        return []
    networking = as_map(as_map(loaded).get("networking"))
    texts = [networking.get(key) for key in ("podSubnet", "serviceSubnet")]
    return [part.strip() for text in texts if isinstance(text, str) for part in text.split(",")]
