"""ConfigMap ``kubeadm-config`` of clusters that kubeadm made: the ranges of pods and Services."""

from __future__ import annotations

from typing import Any

import yaml

from egresslog.mesh.configmap import _LONGEST, _Loader


def subnets(configuration: Any) -> list[str]:
    """The ranges in the text of key ``ClusterConfiguration`` (kubeadm.k8s.io, ``networking``); none if it has none.

    Never raises, whatever the text holds.
    """
    if not isinstance(configuration, str) or len(configuration) > _LONGEST:
        return []
    try:
        loaded = yaml.load(configuration, _Loader)  # noqa: S506  (_Loader is a SafeLoader)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return []
    networking = loaded.get("networking") if isinstance(loaded, dict) else None
    if not isinstance(networking, dict):
        return []
    texts = [networking.get(key) for key in ("podSubnet", "serviceSubnet")]
    return [part.strip() for text in texts if isinstance(text, str) for part in text.split(",")]
