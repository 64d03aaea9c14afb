"""Where the cluster is and as whom to ask: the official client reads kubeconfigs, plugins and service accounts."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from egresslog.errors import ClusterError
from egresslog.networks import is_loopback
from egresslog.sources.cluster.credential_plugin import limit_plugins
from egresslog.sources.messages import one_line

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_PLUGIN_MESSAGE = 300  # characters


def load_configuration(context: str | None, kubeconfig: str | None) -> tuple[Configuration, str]:
    """The client's configuration, and a name of the cluster for messages. See ``Cluster.connect``.

    Raises:
        ClusterError: there is no configuration, or it cannot be used.
    """
    from kubernetes import config  # noqa: PLC0415
    from kubernetes.client import Configuration  # noqa: PLC0415

    limit_plugins()
    configuration = Configuration()
    files = [Path(kubeconfig)] if kubeconfig else _default_files()
    joined = os.pathsep.join(str(file) for file in files)
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    name = f"context {context}" if context else "the cluster this runs in" if in_cluster else "cluster"
    with logged_errors() as messages:
        try:
            if kubeconfig or context or any(file.exists() for file in files):
                if not context:
                    current = config.list_kube_config_contexts(joined)[1]  # type: ignore[no-untyped-call]
                    name = f"context {current['name']}"
                config.load_kube_config(joined, context, configuration)  # type: ignore[no-untyped-call]
            elif in_cluster:
                config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  (the loader raises whatever a malformed file leads to)
            raise ClusterError(name, f"the kubeconfig cannot be used: {_without_contents(error)}") from None
    if name == "cluster":
        raise ClusterError(name, f"no kubeconfig at {joined}: give --kubeconfig, or name log files")
    if messages and not configuration.api_key and not configuration.cert_file:
        raise ClusterError(name, one_line(f"no credentials: {'; '.join(messages)}", _PLUGIN_MESSAGE))
    return configuration, name


def unauthenticated_server(configuration: Configuration) -> str:
    """The server's address if its answers do not prove who it is, else "".

    TLS proves it, unless the kubeconfig switches that off; or that they come from this host, as with ``kubectl proxy``.
    """
    url = urlsplit(configuration.host)
    host = url.hostname or ""
    is_proven = configuration.verify_ssl if url.scheme == "https" else is_loopback(host)
    return "" if is_proven else f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


def contexts() -> list[str]:
    """Names of the contexts in the default kubeconfigs; none if they cannot be read."""
    from kubernetes import config  # noqa: PLC0415

    with logged_errors(), suppress(Exception):
        entries, _ = config.list_kube_config_contexts(os.pathsep.join(map(str, _default_files())))  # type: ignore[no-untyped-call]
        return [str(context["name"]) for context in entries]
    return []


@contextmanager
def logged_errors() -> Iterator[list[str]]:
    """Collects what the client logs on the root logger instead of raising it, as when an exec plugin fails."""
    messages: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield messages
    finally:
        root.removeHandler(handler)


def _default_files() -> list[Path]:
    files = [Path(file) for file in os.environ.get("KUBECONFIG", "").split(os.pathsep) if file]
    return files or [Path.home() / ".kube" / "config"]


def _without_contents(error: BaseException) -> str:
    """An error's message without the contents of kubeconfigs, which may hold passwords."""
    return one_line(re.split(r"[{\[]|b'|b\"", str(error))[0]) or type(error).__name__
