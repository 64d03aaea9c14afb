"""ConfigMap ``istio``, key ``mesh``: what it says about access logs.

Fields: istio/api mesh/v1alpha1/config.proto. Defaults, and how providers merge: istio/istio pkg/config/mesh/mesh.go.
What a provider logs: pilot/pkg/model/telemetry_logging.go. Read as of about 1.13, 1.17 and 1.30.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import yaml

from egresslog.mesh.untrusted import LONGEST, YAML_ERRORS, AliasError, load_yaml

FormatSource = str | dict[str, Any] | None

# The log API serves what the container writes to either stream, whatever the path by which Envoy opens it.
STREAMS = frozenset({
    "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/proc/self/fd/1", "/proc/self/fd/2",
})  # fmt: skip
BUILT_IN = "envoy"  # the provider that every mesh has, since Istio 1.13
_LOGLESS = ("prometheus", "stackdriver")  # built in, too
# The providers that send access logs, but not to a file. All others (prometheus, zipkin, ...) give Envoy no access log.
# stackdriver logged by itself, to Google's Cloud Logging, while it was there.
_SENDERS = {
    "envoyOtelAls": "an OpenTelemetry collector",
    "envoyHttpAls": "a gRPC access log service",
    "envoyTcpAls": "a gRPC access log service",
}


@dataclass(frozen=True)
class Sink:
    """Where one access log goes.

    Attributes:
        name: the provider's name; ``accessLogFile`` for the mesh's own file.
        path: the file; "" for none.
        receiver: who gets it, when it is no file; "" with no path: no access log at all.
        format: as in ``AccessLog``.
        encoding: ``TEXT`` or ``JSON``.
        omit_empty: absent values print as nothing, not as ``-`` (omitEmptyValues, Istio 1.26).
        note: what is wrong with the format, in the user's words.
    """

    name: str
    path: str = ""
    receiver: str = ""
    format: FormatSource = None
    encoding: str = "TEXT"
    omit_empty: bool = False
    note: str = ""

    @property
    def readable(self) -> bool:
        """Whether the log API serves it."""
        return self.path in STREAMS


@dataclass(frozen=True)
class MeshConfig:
    """What the mesh's configuration says about access logs; made by ``parse_mesh_config``."""

    file: Sink = Sink("accessLogFile")
    providers: Mapping[str, Sink] = field(default_factory=lambda: _built_in(Sink("accessLogFile")))
    defaults: tuple[str, ...] = ()
    root_namespace: str = ""
    log_service: bool = False

    def provider(self, name: str) -> Sink | None:
        """The provider of that name; istiod ignores case, and takes the first."""
        wanted = name.casefold()
        return next((sink for known, sink in self.providers.items() if known.casefold() == wanted), None)


def _built_in(own: Sink) -> dict[str, Sink]:
    return {name: Sink(name) for name in _LOGLESS} | {BUILT_IN: replace(own, name=BUILT_IN, path="/dev/stdout")}


class _WrongError(ValueError):
    """The configuration is not what istiod takes; the text says where."""


@lru_cache(maxsize=16)  # of revisions of the control plane; there may be ten thousands of pods
def parse_mesh_config(text: str) -> MeshConfig | str:
    """The configuration, or why it cannot be read: a clause that continues "ConfigMap istio-system/istio ...".

    istiod refuses a configuration with a value of the wrong type as a whole, and keeps the last good one; what the
    proxies do then is not in this text.
    """
    if len(text) > LONGEST:
        return f"has a key mesh of more than {LONGEST // 1024} KiB, which egresslog does not read"
    try:
        loaded = load_yaml(text)
        # JSON is what istiod makes of it, too: dates become text. Keys that JSON cannot have are none of istiod's.
        found = json.loads(json.dumps(loaded, default=str, skipkeys=True))
        return _mesh({} if found is None else _map(found, "key mesh"))
    except (_WrongError, AliasError) as wrong:
        return str(wrong)
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        return f"cannot be read as YAML{line}"
    except YAML_ERRORS:
        return "cannot be read as YAML"


def _mesh(found: Mapping[str, Any]) -> MeshConfig:
    own = _file(found)
    providers = _built_in(own)
    for entry in _list(_get(found, "extensionProviders"), "extensionProviders"):
        sink = _provider(_map(entry, "an entry of extensionProviders"), own)
        providers[sink.name] = sink
    defaults = _map(_get(found, "defaultProviders"), "defaultProviders")
    names = _list(_get(defaults, "accessLogging"), "defaultProviders.accessLogging")
    if not all(isinstance(name, str) for name in names):
        raise _WrongError("gives defaultProviders.accessLogging something other than names; istiod refuses it")
    return MeshConfig(
        file=own,
        providers=providers,
        defaults=tuple(names),
        root_namespace=_text(found, "rootNamespace"),
        log_service=_get(found, "enableEnvoyAccessLogService") is True,
    )


def _file(found: Mapping[str, Any]) -> Sink:
    """accessLogFile, accessLogEncoding and accessLogFormat."""
    encoding = _get(found, "accessLogEncoding")
    if isinstance(encoding, bool) or encoding not in (None, "TEXT", "JSON", 0, 1):  # no set: a list is not hashable
        raise _WrongError("gives accessLogEncoding something other than TEXT or JSON; istiod refuses it")
    own = Sink("accessLogFile", _text(found, "accessLogFile"))
    text = _text(found, "accessLogFormat")
    if encoding not in ("JSON", 1):
        return replace(own, format=text or None)
    own = replace(own, encoding="JSON")
    try:
        template = json.loads(text or "null")
    except (ValueError, RecursionError):
        template = None
    if isinstance(template, dict) or not text:
        return replace(own, format=template)
    return replace(own, note="accessLogFormat is no JSON object, so istiod falls back to its default JSON format")


def _provider(entry: Mapping[str, Any], own: Sink) -> Sink:
    name = _text(entry, "name")
    if (sent := _get(entry, "envoyFileAccessLog")) is None:
        kinds = (receiver for kind, receiver in _SENDERS.items() if _get(entry, kind) is not None)
        return Sink(name, receiver=next(kinds, ""))
    file = _map(sent, "an envoyFileAccessLog")
    path, omit_empty = _text(file, "path") or "/dev/stdout", _get(file, "omitEmptyValues") is True
    layout = _map(_get(file, "logFormat"), "a logFormat")
    if name == BUILT_IN and _get(file, "logFormat") is None and not omit_empty:
        # The built-in provider, and no other, takes over the mesh's encoding and format (since 1.15).
        return replace(own, name=name, path=path)
    if (labels := _get(layout, "labels")) is not None:
        return Sink(name, path, "", dict(_map(labels, "a logFormat.labels")) or None, "JSON", omit_empty)
    return Sink(name, path, "", _text(layout, "text") or None, "TEXT", omit_empty)


def _get(found: Mapping[str, Any], key: str) -> Any:
    """A field by its name in JSON, or by that in the .proto file, which istiod takes too."""
    return found.get(key, found.get(re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), key)))


def _text(found: Mapping[str, Any], key: str) -> str:
    value = _get(found, key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _WrongError(f"gives {key} something other than text; istiod refuses it")
    return value


def _map(value: Any, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _WrongError(f"gives {what} something other than a map; istiod refuses it")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _WrongError(f"gives {what} something other than a list; istiod refuses it")
    return value
