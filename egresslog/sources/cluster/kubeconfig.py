"""Where the cluster is and who asks: the official client reads kubeconfigs, plugins and service accounts."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from egresslog.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_SAID = 300  # characters of a plugin's complaint


def load(context: str | None, kubeconfig: str | None) -> tuple[Configuration, str]:
    """The client's configuration, and what to call the cluster. See ``Cluster.connect``.

    Raises:
        ClusterError: there is none, or none that can be used.
    """
    from kubernetes import config  # noqa: PLC0415
    from kubernetes.client import Configuration  # noqa: PLC0415

    made = Configuration()
    places = [Path(kubeconfig)] if kubeconfig else _default_files()
    joined = os.pathsep.join(str(place) for place in places)
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    name = f"context {context}" if context else "the cluster this runs in" if inside else "cluster"
    with complaints() as said:
        try:
            if kubeconfig or context or any(place.exists() for place in places):
                if not context:
                    current = config.list_kube_config_contexts(joined)[1]  # type: ignore[no-untyped-call]
                    name = f"context {current['name']}"
                config.load_kube_config(joined, context, made)  # type: ignore[no-untyped-call]
            elif inside:
                config.load_incluster_config(made)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  (the loader lets through whatever a wrong file leads to)
            raise ClusterError(name, f"the kubeconfig cannot be used: {bare(error)}") from None
    if name == "cluster":
        raise ClusterError(name, f"no kubeconfig at {joined}: give --kubeconfig, or name log files")
    if said and not made.api_key and not made.cert_file:
        raise ClusterError(name, one_line(f"no credentials: {'; '.join(said)}")[:_SAID])
    return made, name


def contexts() -> list[str]:
    """Names of the contexts in the kubeconfigs that are used by default; none if they cannot be read."""
    from kubernetes import config  # noqa: PLC0415

    with complaints(), suppress(Exception):
        found, _ = config.list_kube_config_contexts(os.pathsep.join(map(str, _default_files())))  # type: ignore[no-untyped-call]
        return [str(context["name"]) for context in found]
    return []


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What the client logs on the root logger instead of raising it, as when an exec plugin fails."""
    said: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield said
    finally:
        root.removeHandler(handler)


def _default_files() -> list[Path]:
    named = [Path(place) for place in os.environ.get("KUBECONFIG", "").split(os.pathsep) if place]
    return named or [Path.home() / ".kube" / "config"]


def bare(error: BaseException) -> str:
    """What an error says, without the contents of kubeconfigs that may be in it."""
    return one_line(re.split(r"[{\[]|b'|b\"", str(error))[0]) or type(error).__name__


def one_line(text: str) -> str:
    """Text without line ends."""
    return " ".join(text.split())
