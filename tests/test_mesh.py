"""What the mesh's configuration says about access logs, and the rights to read it.

Expected values are by hand, from Istio's documentation (Telemetry API reference; tasks "Envoy Access Logs" and "Configure
access logs with Telemetry API"; MeshConfig reference) and, where it is silent, from what istio/istio's source does.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from egresslog.mesh.access_log import AccessLog, access_log
from egresslog.mesh.rights import GRANTS, role
from egresslog.records.catalogue import format_named, resolve

GATEWAY = {"istio": "egressgateway", "pod-template-hash": "7d9f"}
SIDECAR = {"app": "sleep"}
WAYPOINT = {
    "gateway.networking.k8s.io/gateway-name": "egress",
    "gateway.networking.k8s.io/gateway-class-name": "istio-waypoint",
}
OUT = "accessLogFile: /dev/stdout\n"
DEFAULT = "defaultProviders: {accessLogging: [envoy]}\n"
PROVIDERS = """
extensionProviders:
- name: file
  envoyFileAccessLog: {path: /var/log/istio.log}
- name: json
  envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {}}}
- name: labels
  envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {host: "%REQ(:AUTHORITY)%", up: {at: "%UPSTREAM_HOST%"}}}}
- name: text
  envoyFileAccessLog: {path: /dev/stderr, logFormat: {text: "%START_TIME% %UPSTREAM_HOST%"}}
- name: sparse
  envoyFileAccessLog: {path: /dev/stdout, omitEmptyValues: true}
- name: otel
  envoyOtelAls: {service: otel.observability.svc.cluster.local, port: 4317}
- name: grpc
  envoyHttpAls: {service: als.observability.svc.cluster.local, port: 9000}
- name: tcp
  envoyTcpAls: {service: als.observability.svc.cluster.local, port: 9000}
- name: zipkin
  zipkin: {service: zipkin.observability.svc.cluster.local, port: 9411}
"""
LABELS = {"host": "%REQ(:AUTHORITY)%", "up": {"at": "%UPSTREAM_HOST%"}}


def entry(*providers: str, **more: Any) -> dict[str, Any]:
    return ({"providers": [{"name": name} for name in providers]} if providers else {}) | more


def telemetry(place: str, *entries: Any, at: int = 1, labels: Any = None, **spec: Any) -> dict[str, Any]:
    """One resource: ``namespace/name``, created in month ``at``."""
    namespace, name = place.split("/")
    selector = {"selector": {"matchLabels": labels}} if labels is not None else {}
    return {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": f"2025-{at:02}-01T10:00:00Z"},
        "spec": {"accessLogging": list(entries)} | selector | spec,
    }


def ask(mesh: str | None, *telemetries: Any, namespace: str = "egress", labels: Any = None, **more: Any) -> AccessLog:
    return access_log(mesh, telemetries, namespace=namespace, labels=GATEWAY if labels is None else labels, **more)


def said(found: AccessLog) -> tuple[Any, ...]:
    return found.written, found.format, found.encoding, found.filtered


# The mesh's own file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mesh", "expected", "why"),
    [
        ("", (False, None, "TEXT", None), "ConfigMap istio-system/istio: accessLogFile is empty, and no Telemetry"),
        ("# nothing\n", (False, None, "TEXT", None), "accessLogFile is empty"),
        ("accessLogFile: ''", (False, None, "TEXT", None), "accessLogFile is empty"),
        ("accessLogFile:", (False, None, "TEXT", None), "accessLogFile is empty"),
        ("enableAutoMtls: true\nmeshMTLS: {minProtocolVersion: TLSV1_3}", (False, None, "TEXT", None), "is empty"),
        ("enableEnvoyAccessLogService: true", (False, None, "TEXT", None), "to a gRPC service"),
        (OUT, (True, None, "TEXT", None), "ConfigMap istio-system/istio: accessLogFile is /dev/stdout"),
        ("access_log_file: /dev/stdout", (True, None, "TEXT", None), "accessLogFile is /dev/stdout"),
        ("accessLogFile: /dev/stderr", (True, None, "TEXT", None), "accessLogFile is /dev/stderr"),
        ("accessLogFile: /proc/self/fd/1", (True, None, "TEXT", None), "/proc/self/fd/1"),
        ("accessLogFile: /dev/null", (False, None, "TEXT", None), "discards it"),
        ("accessLogFile: /var/log/a.log", (False, None, "TEXT", None), "accessLogFile is /var/log/a.log, a file"),
        (OUT + "accessLogEncoding: TEXT", (True, None, "TEXT", None), ""),
        (OUT + "accessLogEncoding: JSON", (True, None, "JSON", None), ""),
        (OUT + "accessLogEncoding: 1", (True, None, "JSON", None), ""),
        (OUT + 'accessLogFormat: ""', (True, None, "TEXT", None), ""),
        (OUT + 'accessLogFormat: "%START_TIME%\\n"', (True, "%START_TIME%\n", "TEXT", None), ""),
        (OUT + "accessLogFormat: |\n  %START_TIME%\n", (True, "%START_TIME%\n", "TEXT", None), ""),
        # A format that only looks like JSON is text all the same.
        (OUT + 'accessLogFormat: \'{"a": "%PROTOCOL%"}\'', (True, '{"a": "%PROTOCOL%"}', "TEXT", None), ""),
        (
            OUT + 'accessLogEncoding: JSON\naccessLogFormat: \'{"a": "%PROTOCOL%", "b": {"c": "x"}}\'',
            (True, {"a": "%PROTOCOL%", "b": {"c": "x"}}, "JSON", None),
            "",
        ),
        # istiod logs an error about such a format and takes its default one.
        (OUT + "accessLogEncoding: JSON\naccessLogFormat: '[%START_TIME%]'", (True, None, "JSON", None), ""),
        (OUT + "accessLogEncoding: JSON\naccessLogFormat: '[1]'", (True, None, "JSON", None), ""),
    ],
)
def test_the_file_of_the_mesh(mesh: str, expected: tuple[Any, ...], why: str) -> None:
    found = ask(mesh)
    assert said(found) == expected
    assert why in found.why


def test_a_json_format_that_is_none_is_told() -> None:
    assert "no JSON object" in ask(OUT + "accessLogEncoding: JSON\naccessLogFormat: oops").advice
    assert ask(OUT + "accessLogEncoding: JSON").advice == ""


# Providers and Telemetry resources ------------------------------------------------------------------------------------

OFF = (False, None, "TEXT", None)
ON = (True, None, "TEXT", None)
UNKNOWN = (None, None, "TEXT", None)


@pytest.mark.parametrize(
    ("mesh", "resources", "expected", "why"),
    [
        # Providers, by default and by resource.
        (DEFAULT, [], ON, "ConfigMap istio-system/istio, defaultProviders.accessLogging: provider envoy"),
        ("", [telemetry("istio-system/mesh-default", entry("envoy"))], ON, "Telemetry istio-system/mesh-default"),
        ("", [telemetry("egress/all", entry("ENVOY"))], ON, "Telemetry egress/all"),
        ("", [telemetry("shop/all", entry("envoy"))], OFF, "accessLogFile is empty"),
        (PROVIDERS, [telemetry("egress/a", entry("json"))], (True, None, "JSON", None), "json to /dev/stdout"),
        (PROVIDERS, [telemetry("egress/a", entry("labels"))], (True, LABELS, "JSON", None), ""),
        (
            PROVIDERS,
            [telemetry("egress/a", entry("text"))],
            (True, "%START_TIME% %UPSTREAM_HOST%", "TEXT", None),
            "/dev/stderr",
        ),
        (PROVIDERS, [telemetry("egress/a", entry("file"))], OFF, "provider file only to /var/log/istio.log"),
        (PROVIDERS, [telemetry("egress/a", entry("otel"))], OFF, "provider otel only to an OpenTelemetry collector"),
        (PROVIDERS, [telemetry("egress/a", entry("grpc", "tcp"))], OFF, "only to a gRPC access log service"),
        (PROVIDERS + OUT, [telemetry("egress/a", entry("otel"))], OFF, "Telemetry egress/a: provider otel only to"),
        (PROVIDERS, [telemetry("egress/a", entry("otel", "envoy"))], ON, "provider envoy to /dev/stdout"),
        # The built-in provider takes the mesh's format, others do not.
        (
            'accessLogEncoding: JSON\naccessLogFormat: \'{"a": "%PROTOCOL%"}\'',
            [telemetry("egress/a", entry("envoy"))],
            (True, {"a": "%PROTOCOL%"}, "JSON", None),
            "",
        ),
        ("accessLogEncoding: JSON" + PROVIDERS, [telemetry("egress/a", entry("sparse"))], ON, ""),
        (
            "extensionProviders: [{name: envoy, envoyFileAccessLog: {path: /tmp/a}}]",
            [telemetry("egress/a", entry("envoy"))],
            OFF,
            "/tmp/a",
        ),
        (
            "extensionProviders: [{name: envoy, envoyFileAccessLog: {logFormat: {text: '%PROTOCOL%'}}}]",
            [telemetry("egress/a", entry("envoy"))],
            (True, "%PROTOCOL%", "TEXT", None),
            "",
        ),
        # A resource replaces the mesh's default, and accessLogFile.
        (DEFAULT + PROVIDERS, [telemetry("egress/a", entry("json"))], (True, None, "JSON", None), ""),
        (
            OUT + PROVIDERS + "accessLogFormat: '%PROTOCOL%'",
            [telemetry("egress/a", entry("json"))],
            (True, None, "JSON", None),
            "Telemetry egress/a",
        ),
        # Root namespace < namespace < workload.
        (
            PROVIDERS,
            [telemetry("istio-system/m", entry("envoy")), telemetry("egress/n", entry("json"))],
            (True, None, "JSON", None),
            "Telemetry egress/n",
        ),
        (
            PROVIDERS,
            [
                telemetry("egress/w", entry("json"), labels={"istio": "egressgateway"}),
                telemetry("egress/n", entry("envoy")),
            ],
            (True, None, "JSON", None),
            "Telemetry egress/w",
        ),
        (
            "",
            [telemetry("istio-system/m", entry("envoy")), telemetry("egress/n", entry(disabled=True))],
            OFF,
            "Telemetry egress/n: accessLogging disabled (provider envoy)",
        ),
        (
            "",
            [
                telemetry("istio-system/m", entry("envoy")),
                telemetry("egress/n", entry(disabled=True)),
                telemetry("egress/w", entry(disabled=False), labels={"istio": "egressgateway"}),
            ],
            ON,
            "Telemetry egress/w",
        ),
        (
            "",
            [
                telemetry("istio-system/m", entry("envoy")),
                telemetry("egress/w", entry(disabled=True), labels={"app": "x"}),
            ],
            ON,
            "Telemetry istio-system/m",
        ),
        # A selector in the root namespace is for that namespace only.
        ("", [telemetry("istio-system/w", entry("envoy"), labels={"istio": "egressgateway"})], OFF, "is empty"),
        # An empty selector is none.
        ("", [telemetry("egress/n", entry("envoy"), labels={})], ON, ""),
        # An entry without providers inherits.
        ("", [telemetry("istio-system/m", entry("envoy")), telemetry("egress/n", entry())], ON, "Telemetry egress/n"),
        (DEFAULT, [telemetry("egress/n", entry())], ON, "Telemetry egress/n"),
        (DEFAULT, [telemetry("egress/n", entry(disabled=True))], OFF, "Telemetry egress/n: accessLogging disabled"),
        (
            OUT,
            [telemetry("egress/n", entry("envoy", disabled=True))],
            OFF,
            "Telemetry egress/n: accessLogging disabled",
        ),
        # Only metrics or traces: as if it were not there.
        (OUT, [telemetry("egress/n", metrics=[{"providers": [{"name": "prometheus"}]}])], ON, "accessLogFile"),
        ("", [telemetry("istio-system/m", entry("envoy")), telemetry("egress/n", tracing=[{}])], ON, "istio-system/m"),
        # Of several without selector, the oldest counts, even if it has no word on access logs.
        (
            "",
            [telemetry("egress/b", entry("envoy"), at=2), telemetry("egress/a", entry("envoy", disabled=True))],
            OFF,
            "egress/a",
        ),
        (
            "",
            [telemetry("egress/b", entry("envoy")), telemetry("egress/a", entry("envoy", disabled=True), at=2)],
            ON,
            "egress/b",
        ),
        (
            "",
            [telemetry("egress/b", entry("envoy")), telemetry("egress/a", entry("envoy", disabled=True))],
            OFF,
            "egress/a",
        ),
        ("", [telemetry("egress/b", entry("envoy"), at=2), telemetry("egress/a", metrics=[])], OFF, "is empty"),
        # Mode: gateways, and what leaves a sidecar, are CLIENT.
        ("", [telemetry("egress/n", entry("envoy", match={"mode": "CLIENT"}))], ON, ""),
        ("", [telemetry("egress/n", entry("envoy", match={"mode": "CLIENT_AND_SERVER"}))], ON, ""),
        ("", [telemetry("egress/n", entry("envoy", match={}))], ON, ""),
        (
            "",
            [telemetry("egress/n", entry("envoy", match={"mode": "SERVER"}))],
            OFF,
            "is for mode SERVER, but outgoing traffic is CLIENT",
        ),
        (
            "",
            [
                telemetry("istio-system/m", entry("envoy")),
                telemetry("egress/n", entry("envoy", match={"mode": "SERVER"}, disabled=True)),
            ],
            ON,
            "istio-system/m",
        ),
        (
            "",
            [
                telemetry("istio-system/m", entry("envoy")),
                telemetry("egress/n", entry("envoy", match={"mode": "CLIENT"}, disabled=True)),
            ],
            OFF,
            "egress/n",
        ),
        (
            PROVIDERS,
            [telemetry("egress/n", entry("envoy", match={"mode": "SERVER"}), entry("json", match={"mode": "CLIENT"}))],
            (True, None, "JSON", None),
            "",
        ),
        # Several entries.
        (PROVIDERS, [telemetry("egress/n", entry("labels"), entry("envoy"))], ON, "provider envoy"),
        (PROVIDERS, [telemetry("egress/n", entry("envoy"), entry("json", disabled=True))], ON, "provider envoy"),
        (PROVIDERS, [telemetry("egress/n", entry("envoy"), entry("envoy", disabled=True))], OFF, "disabled"),
        # Filters: the last one for a provider counts.
        (
            "",
            [telemetry("egress/n", entry("envoy", filter={"expression": "response.code >= 400"}))],
            (True, None, "TEXT", "response.code >= 400"),
            "only what matches response.code >= 400",
        ),
        (
            "",
            [
                telemetry("istio-system/m", entry("envoy", filter={"expression": "response.code >= 400"})),
                telemetry("egress/n", entry("envoy", filter={"expression": "response.code >= 500"})),
            ],
            (True, None, "TEXT", "response.code >= 500"),
            "Telemetry egress/n",
        ),
        (
            "",
            [
                telemetry("istio-system/m", entry("envoy", filter={"expression": "response.code >= 400"})),
                telemetry("egress/n", entry("envoy")),
            ],
            ON,
            "",
        ),
        (
            "",
            [
                telemetry("istio-system/m", entry("envoy", filter={"expression": "response.code >= 400"})),
                telemetry("egress/n", entry()),
            ],
            (True, None, "TEXT", "response.code >= 400"),
            "",
        ),
        (DEFAULT, [telemetry("egress/n", entry(filter={"expression": "false"}))], (True, None, "TEXT", "false"), ""),
        ("", [telemetry("egress/n", entry("envoy", filter={}))], ON, ""),
        (
            PROVIDERS,
            [telemetry("egress/n", entry("envoy", filter={"expression": "false"}), entry("json"))],
            (True, None, "JSON", None),
            "provider json",
        ),
        # A resource that comes to nothing: accessLogFile from about 1.20 (#49126), no log before.
        (
            OUT,
            [telemetry("egress/n", entry(disabled=True))],
            UNKNOWN,
            "Telemetry egress/n: accessLogging names no provider",
        ),
        (
            OUT,
            [telemetry("egress/n", entry("typo"))],
            UNKNOWN,
            "provider typo is not among the mesh's extensionProviders",
        ),
        (OUT, [telemetry("egress/n", entry("stackdriver"))], UNKNOWN, "stackdriver writes no access log"),
        (OUT, [telemetry("egress/n", entry("envoy", match={"mode": "SERVER"}))], UNKNOWN, "mode SERVER"),
        ("", [telemetry("egress/n", entry(disabled=True))], OFF, "names no provider"),
        ("", [telemetry("egress/n", entry("typo"))], OFF, "provider typo"),
        (PROVIDERS, [telemetry("egress/n", entry("zipkin"))], OFF, "provider zipkin writes no access log"),
        # Several for one workload: the youngest has the last word, once the oldest alone counted.
        (
            "",
            [
                telemetry("egress/a", entry("envoy", disabled=True), labels={"istio": "egressgateway"}),
                telemetry("egress/b", entry("envoy"), labels={"istio": "egressgateway"}, at=2),
            ],
            UNKNOWN,
            "releases of Istio differ",
        ),
        (
            "",
            [
                telemetry("egress/a", entry("envoy"), labels={"istio": "egressgateway"}),
                telemetry("egress/b", metrics=[], labels={"istio": "egressgateway"}, at=2),
            ],
            ON,
            "egress/a",
        ),
    ],
)
def test_resources(mesh: str, resources: list[Any], expected: tuple[Any, ...], why: str) -> None:
    found = ask(mesh, *resources)
    assert said(found) == expected
    assert why in found.why
    assert bool(found.advice) or found.written
    assert said(ask(mesh, *reversed(resources))) == expected  # the API promises no order


def test_a_sidecar() -> None:
    """As a gateway; a resource for another workload is not for it."""
    on = telemetry("shop/a", entry("envoy", match={"mode": "CLIENT"}), labels={"app": "sleep"})
    assert ask("", on, namespace="shop", labels=SIDECAR | {"version": "v1"}).written is True
    assert ask("", on, namespace="shop", labels={"app": "other"}).written is False
    assert ask("", on, namespace="shop", labels={}).written is False


def test_omit_empty_values() -> None:
    found = ask(PROVIDERS, telemetry("egress/a", entry("sparse")))
    assert (found.written, found.omit_empty, found.format) == (True, True, None)


def test_the_root_namespace() -> None:
    """Of the mesh, or where the ConfigMap is."""
    on = telemetry("mesh/all", entry("envoy"))
    assert ask("", on).written is False
    assert ask("rootNamespace: mesh", on).written is True
    assert ask("", on, root_namespace="mesh").written is True
    assert ask("", root_namespace="mesh", config_map="istio-canary").why.startswith("ConfigMap mesh/istio-canary: ")


def test_target_references() -> None:
    """They are for gateways of the Gateway API, by name."""
    group = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    gateway = {"gateway.networking.k8s.io/gateway-name": "cnn", "app": "cnn"}
    mine = telemetry("egress/a", entry("envoy"), targetRefs=[group | {"name": "other"}, group | {"name": "cnn"}])
    assert ask("", mine, labels=gateway).written is True
    assert ask("", mine, labels=GATEWAY).written is False
    assert ask("", mine, labels=gateway, namespace="shop").written is False
    assert ask("", telemetry("egress/a", entry("envoy"), targetRef=group | {"name": "cnn"}), labels=gateway).written
    for wrong in ({"name": "other"}, {"name": "cnn", "namespace": "shop"}, {"name": "cnn", "kind": "Service"}):
        assert (
            ask("", telemetry("egress/a", entry("envoy"), targetRefs=[group | wrong]), labels=gateway).written is False
        )
    assert ask("", telemetry("egress/a", entry("envoy"), labels={"app": "cnn"}), labels=gateway).written is True


def test_waypoints() -> None:
    """Their listeners are inbound ones, they take no selectors, and services may have logs of their own."""
    server = telemetry("egress/a", entry("envoy", match={"mode": "SERVER"}))
    assert ask("", server, labels=WAYPOINT).written is True
    assert ask("", telemetry("egress/a", entry("envoy", match={"mode": "CLIENT"})), labels=WAYPOINT).written is False
    selected = telemetry("egress/a", entry("envoy"), labels={"gateway.networking.k8s.io/gateway-name": "egress"})
    assert ask("", selected, labels=WAYPOINT).written is False
    every = {"group": "gateway.networking.k8s.io", "kind": "GatewayClass", "name": "istio-waypoint"}
    assert ask(
        "", telemetry("istio-system/a", entry("envoy"), targetRefs=[every]), labels=WAYPOINT, namespace="istio-system"
    ).written
    one = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "cnn"}
    found = ask(OUT, telemetry("egress/a", entry("envoy", disabled=True), targetRefs=[one]), labels=WAYPOINT)
    assert found.written is None
    assert "Telemetry egress/a is for some services" in found.why


# What could not be read -----------------------------------------------------------------------------------------------


def test_without_the_config_map() -> None:
    """Only a log that is switched off by name is certain then."""
    found = ask(None)
    assert said(found) == UNKNOWN
    assert found.why == "ConfigMap istio-system/istio was not read"
    assert "verb get" in found.advice
    assert ask(None, telemetry("egress/a", entry("envoy"))).written is None
    assert "Telemetry egress/a names provider envoy" in ask(None, telemetry("egress/a", entry("envoy"))).why
    assert ask(None, telemetry("egress/a", entry("envoy", disabled=True))).written is False
    assert ask(None, telemetry("egress/a", entry("mine", disabled=True))).written is None
    assert ask(None, telemetry("egress/a", entry("envoy", disabled=True), entry("mine"))).written is None
    assert ask(None, telemetry("egress/a", entry(disabled=True))).written is None


def test_without_the_telemetries() -> None:
    """They have the last word, so nothing is certain; the format is what the mesh says."""
    found = access_log(OUT + "accessLogFormat: '%PROTOCOL%'", None, namespace="egress", labels=GATEWAY)
    assert said(found) == (None, "%PROTOCOL%", "TEXT", None)
    assert "were not read" in found.why
    assert access_log("", None, namespace="egress", labels=GATEWAY).written is None
    assert access_log("", (), namespace="egress", labels=GATEWAY).written is False


LAUGHS = "a0: &a0 [ha]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40))
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("mesh", "why"),
    [
        ("{", "cannot be read as YAML"),
        ("a: b: c", "cannot be read as YAML (line 1)"),
        ("\0", "cannot be read as YAML"),
        (OUT + "\t- x", "cannot be read as YAML (line 2)"),
        (OUT + "---\n" + OUT, "cannot be read as YAML"),
        ("[1, 2]", "something other than a map"),
        ("text", "something other than a map"),
        ("17", "something other than a map"),
        ("accessLogFile: [/dev/stdout]", "gives accessLogFile something other than text"),
        ("accessLogFile: 5", "gives accessLogFile something other than text"),
        ("accessLogFile: true", "gives accessLogFile something other than text"),
        ("accessLogFormat: {a: b}", "gives accessLogFormat something other than text"),
        ("accessLogEncoding: json", "gives accessLogEncoding something other than TEXT or JSON"),
        ("accessLogEncoding: [JSON]", "gives accessLogEncoding something other than TEXT or JSON"),
        ("accessLogEncoding: true", "gives accessLogEncoding something other than TEXT or JSON"),
        ("defaultProviders: envoy", "gives defaultProviders something other than a map"),
        ("defaultProviders: {accessLogging: envoy}", "something other than a list"),
        ("defaultProviders: {accessLogging: [{name: envoy}]}", "something other than names"),
        ("extensionProviders: {name: a}", "gives extensionProviders something other than a list"),
        ("extensionProviders: [a]", "something other than a map"),
        ("extensionProviders: [{name: 3}]", "gives name something other than text"),
        ("extensionProviders: [{name: a, envoyFileAccessLog: x}]", "something other than a map"),
        ("extensionProviders: [{name: a, envoyFileAccessLog: {path: 3}}]", "gives path something other than text"),
        ("extensionProviders: [{name: a, envoyFileAccessLog: {logFormat: x}}]", "something other than a map"),
        (
            "extensionProviders: [{name: a, envoyFileAccessLog: {logFormat: {labels: [x]}}}]",
            "something other than a map",
        ),
        ("extensionProviders: [{name: a, envoyFileAccessLog: {logFormat: {text: {}}}}]", "gives text something other"),
        ("rootNamespace: []", "gives rootNamespace something other than text"),
        (LAUGHS, "uses an alias"),
        (MERGES, "uses an alias"),
        ("a: &a [*a]", "uses an alias"),
        ("a: *nobody", "cannot be read as YAML"),
        ("a: " + "9" * 5000, "cannot be read as YAML"),
        ("a: 0x" + "f" * 9000, "cannot be read as YAML"),
        ("a: !!timestamp x", "cannot be read as YAML"),
        ("a: !!int ''", "cannot be read as YAML"),
        ("a: !!bool x", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system [ls]", "cannot be read as YAML"),
        ("a: 2024-13-45", "cannot be read as YAML"),
        ("? [a]\n: b", "cannot be read as YAML"),
        ("[" * 100_000, "cannot be read as YAML"),
        ("{a: " * 50_000, "cannot be read as YAML"),
        ("x" * 300_000, "more than 256 KiB"),
    ],
    ids=lambda text: text[:40],
)
def test_odd_yaml(mesh: str, why: str, no_hang: None) -> None:
    """istiod refuses these as a whole (and keeps what it had), or egresslog does."""
    found = ask(mesh, telemetry("egress/a", entry("envoy")))
    assert said(found) == UNKNOWN
    assert found.why.startswith("ConfigMap istio-system/istio ")
    assert why in found.why
    assert found.advice


@pytest.mark.parametrize(
    "mesh",
    [
        "a: &out /dev/stdout\naccessLogFile: *out",  # an alias of text
        "\ufeff" + OUT,
        OUT.replace("\n", "\r\n"),
        OUT + "extra: {2024-01-01: .nan, 7: !!set {a, b}}",
        OUT + "extensionProviders: [{}, {name: a}, {name: null, prometheus: {}}, {name: a, envoyFileAccessLog: {}}]",
        OUT + "defaultProviders:\nextensionProviders:\naccessLogEncoding:\naccessLogFormat:\n",
        OUT + "defaultProviders: {accessLogging: null, metrics: [prometheus]}",
    ],
)
def test_odd_yaml_that_holds(mesh: str) -> None:
    assert said(ask(mesh)) == ON


KEYS = (
    "metadata", "spec", "namespace", "name", "creationTimestamp", "accessLogging", "providers", "match", "mode",
    "disabled", "filter", "expression", "selector", "matchLabels", "targetRef", "targetRefs", "kind", "group",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.builds(lambda: 10**5000),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(KEYS, inner),
        )
    ),
)  # fmt: skip


@given(
    st.lists(JSON, max_size=3),
    st.sampled_from([None, "", OUT, DEFAULT, PROVIDERS]),
    st.sampled_from([GATEWAY, WAYPOINT]),
)
def test_no_resource_breaks_it(resources: list[Any], mesh: str | None, labels: dict[str, str]) -> None:
    assert isinstance(access_log(mesh, resources, namespace="", labels=labels), AccessLog)


@given(JSON, JSON, JSON, JSON)
def test_no_part_of_a_resource_breaks_it(providers: Any, match: Any, selector: Any, targets: Any) -> None:
    odd = {"providers": providers, "match": match, "disabled": match, "filter": providers}
    found = {
        "metadata": {"namespace": "egress", "name": match, "creationTimestamp": selector},
        "spec": {"accessLogging": [odd, entry("envoy")], "selector": selector, "targetRefs": targets},
    }
    assert isinstance(ask(DEFAULT, found), AccessLog)


@given(st.text(alphabet="ab:&*[]{}!<-?|>\"'#% \n\t0x1.", max_size=60))
def test_no_text_breaks_it(mesh: str) -> None:
    assert isinstance(ask(mesh), AccessLog)
    assert isinstance(ask(OUT + mesh), AccessLog)


def test_other_types_than_json_are_no_telemetries() -> None:
    assert ask(OUT, None, 3, "x", []).written is True
    assert ask(OUT, telemetry("egress/a", None, 7, "x", [])).written is None
    assert ask("", telemetry("egress/a", None, 7, "x", [])).written is False


# Advice ---------------------------------------------------------------------------------------------------------------


def applied(found: AccessLog) -> dict[str, Any]:
    """The manifest in an advice."""
    made = yaml.safe_load(found.advice.partition("kubectl apply -f -:\n")[2])
    assert made["kind"] == "Telemetry"
    made["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    return made


@pytest.mark.parametrize("labels", [GATEWAY, SIDECAR, {}, {"gateway.networking.k8s.io/gateway-name": "cnn"}, WAYPOINT])
@pytest.mark.parametrize(
    ("mesh", "resources"),
    [
        ("", []),
        ("accessLogFile: /var/log/a", []),
        (PROVIDERS, [telemetry("istio-system/m", entry("otel"))]),
        ("", [telemetry("istio-system/m", entry("envoy", disabled=True))]),
        (OUT, [telemetry("istio-system/m", entry("typo"))]),
        (
            "extensionProviders: [{name: envoy, envoyFileAccessLog: {path: /tmp/a}}, {name: o, envoyFileAccessLog: {}}]",
            [],
        ),
    ],
)
def test_what_is_advised_helps(mesh: str, resources: list[Any], labels: dict[str, str]) -> None:
    """The log is on once the advice is followed, and other receivers keep theirs."""
    found = ask(mesh, *resources, labels=labels)
    assert found.written is not True
    manifest = applied(found)
    then = ask(mesh, *resources, manifest, labels=labels)
    assert then.written is True
    assert then.why.startswith("Telemetry egress/egresslog-access-log: ")
    assert ("otel" in str(resources)) == ({"name": "otel"} in manifest["spec"]["accessLogging"][0]["providers"])


def test_advice_names_what_is_in_the_way() -> None:
    mine = telemetry("egress/mine", entry("envoy", disabled=True), labels={"istio": "egressgateway"})
    assert "In Telemetry egress/mine, set:" in ask("", mine).advice
    assert "In Telemetry egress/all, set:" in ask("", telemetry("egress/all", metrics=[]), labels={}).advice
    shadowed = ask("", telemetry("egress/old", metrics=[]), telemetry("egress/new", entry("envoy"), at=2))
    assert "Telemetry egress/new is ignored: Telemetry egress/old is older." in shadowed.advice
    two = ask("", mine, telemetry("egress/second", entry("envoy"), labels={"istio": "egressgateway"}, at=2))
    assert "Telemetry egress/mine and Telemetry egress/second select the same workload" in two.advice
    turned = "extensionProviders: [{name: envoy, envoyFileAccessLog: {path: /tmp/a}}]"
    assert "path /dev/stdout in extensionProviders" in ask(turned).advice


def test_advice_on_a_log_that_is_written() -> None:
    filtered = ask("", telemetry("egress/n", entry("envoy", filter={"expression": "response.code >= 400"})))
    assert "remove the filter from Telemetry egress/n" in filtered.advice
    above = telemetry("istio-system/m", entry("envoy", filter={"expression": "response.code >= 400"}))
    assert "remove the filter from Telemetry istio-system/m" in ask("", above, telemetry("egress/n", entry())).advice
    assert (
        "Providers envoy, json all log the same requests"
        in ask(PROVIDERS, telemetry("egress/n", entry("envoy", "json"))).advice
    )
    assert ask("", telemetry("egress/n", entry("envoy"))).advice == ""


def test_the_format_can_be_used() -> None:
    """What comes out goes into the catalogue."""
    for mesh, provider in ((PROVIDERS, "labels"), (PROVIDERS, "text"), (PROVIDERS, "envoy")):
        assert resolve(ask(mesh, telemetry("egress/a", entry(provider))).format).all
    own = yaml.safe_dump({"accessLogFile": "/dev/stdout", "accessLogFormat": format_named("istio-1.9").source})
    assert [made.name for made in resolve(ask(own).format).all] == ["istio-1.9"]


# Rights ---------------------------------------------------------------------------------------------------------------


def granted(text: str) -> dict[str, set[tuple[str, str]]]:
    """Namespace ("" for everywhere) -> resources and verbs; each role has its binding."""
    documents = list(yaml.safe_load_all(text))
    roles = [made for made in documents if not made["kind"].endswith("Binding")]
    bindings = [made for made in documents if made["kind"].endswith("Binding")]
    assert [(made["kind"] + "Binding", made["metadata"]) for made in roles] == [
        (made["kind"], made["metadata"]) for made in bindings
    ]
    for made, bound in zip(roles, bindings, strict=True):
        assert made["kind"] == ("Role" if "namespace" in made["metadata"] else "ClusterRole")
        assert bound["roleRef"]["name"] == made["metadata"]["name"]
        assert [subject["name"] for subject in bound["subjects"]] == ["YOUR-USER"]
    return {
        made["metadata"].get("namespace", ""): {
            (f"{rule['apiGroups'][0]}/{resource}".lstrip("/"), verb)
            for rule in made["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for made in roles
    }


LOGS = {("pods", "get"), ("pods", "list"), ("pods", "watch"), ("pods/log", "get")}
TELEMETRIES = {("telemetry.istio.io/telemetries", "get"), ("telemetry.istio.io/telemetries", "list")}
CONFIG = {("configmaps", "get")}
EXEC = {("pods/exec", "get"), ("pods/exec", "create")}


@pytest.mark.parametrize(
    ("namespace", "options", "expected"),
    [
        ("istio-system", {}, {"istio-system": LOGS | TELEMETRIES | CONFIG}),
        ("egress", {}, {"egress": LOGS | TELEMETRIES, "istio-system": TELEMETRIES | CONFIG}),
        ("egress", {"root_namespace": "mesh"}, {"egress": LOGS | TELEMETRIES, "mesh": TELEMETRIES | CONFIG}),
        ("", {}, {"": LOGS | TELEMETRIES, "istio-system": CONFIG}),
        ("istio-system", {"sidecars": True}, {"": LOGS | TELEMETRIES, "istio-system": CONFIG}),
        (
            "istio-system",
            {"sidecars": True, "clients": ["shop"]},
            {"istio-system": LOGS | TELEMETRIES | CONFIG, "shop": LOGS | TELEMETRIES},
        ),
        ("shop", {"probe": True}, {"shop": LOGS | TELEMETRIES | EXEC, "istio-system": TELEMETRIES | CONFIG}),
        (
            "istio-system",
            {"sidecars": True, "probe": True, "clients": ["shop"]},
            {"istio-system": LOGS | TELEMETRIES | CONFIG, "shop": LOGS | TELEMETRIES | EXEC},
        ),
    ],
)
def test_rights(namespace: str, options: dict[str, Any], expected: dict[str, Any]) -> None:
    chosen = {"sidecars": False, "probe": False, "static": False} | options
    assert granted(role(namespace, **chosen)) == expected


def test_rights_for_the_routing_configuration() -> None:
    found = granted(role("istio-system", sidecars=False, probe=False, static=True))
    assert set(found) == {"", "istio-system"}
    assert {verb for _, verb in found[""]} == {"get", "list"}
    assert {"networking.istio.io/virtualservices", "gateway.networking.k8s.io/httproutes", "namespaces"} <= {
        resource for resource, _ in found[""]
    }
    assert found["istio-system"] == LOGS | CONFIG  # telemetries are granted everywhere


def test_rights_for_addresses() -> None:
    """Where the cluster says what is its own; each Role has names, so that no other ConfigMap can be read."""
    text = role("istio-system", sidecars=False, probe=False, static=False, networks=True)
    assert granted(text) == {
        "": {("nodes", "list"), ("networking.k8s.io/servicecidrs", "list")},
        "default": {("discovery.k8s.io/endpointslices", "get")},
        "istio-system": LOGS | TELEMETRIES | CONFIG,
        "kube-system": CONFIG,
    }
    assert '"resourceNames": ["kubeadm-config"]' in text


def test_rights_write_nothing() -> None:
    """Nothing is changed, no secret is read; only the probe may run something."""
    for grant in GRANTS:
        assert set(grant.verbs) <= {"get", "list", "watch"} or grant.place == "probe"
        assert "secrets" not in grant.resources
    text = role("istio-system", sidecars=True, probe=False, static=True)
    assert "exec" not in text
    assert '"resourceNames": ["istio"]' in text


def test_names_are_quoted() -> None:
    """A name that means something in YAML stays a name; roles can be put one after the other."""
    texts = [role(name, "true", sidecars=False, probe=False, static=False) for name in ("007", "null", "a\n- b: {")]
    made = list(yaml.safe_load_all("---\n".join(texts)))
    assert {document["metadata"]["name"] for document in made} == {"true"}
    assert {"007", "null", "a\n- b: {", "istio-system"} == {document["metadata"]["namespace"] for document in made}
