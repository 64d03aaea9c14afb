"""One cluster's API. The official client provides address, TLS and credentials; requests and answers are raw.

The client's models refuse fields they do not know, its log call lacks `sinceTime` (kubernetes#126076) and drops a last
line without newline, and its watch cannot resume from a bookmark (docs/egress-evidence.md, 4.1 and 4.6).
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from egresslog.errors import ClusterError
from egresslog.sources.cluster.clock import Clock, backoff
from egresslog.sources.cluster.kubeconfig import load_configuration, logged_errors
from egresslog.sources.messages import one_line

if TYPE_CHECKING:
    import urllib3
    from kubernetes.client import Configuration

Query = Mapping[str, str | int]

_CONNECT = 10.0  # seconds
_READ = 60.0  # seconds that the server may pause within an answer
_WATCH = 240.0  # seconds that one watch lasts: load balancers close connections that are silent for longer
_MAX_RETRY_AFTER = 30.0  # seconds: a user is waiting
_TRIES = 4
_PAGE = 500  # objects, as kubectl requests them
_CONNECTIONS = 1_000  # kept open
#: HTTP statuses after which the same request may succeed.
RETRYABLE: frozenset[int | None] = frozenset({
    HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT,
})  # fmt: skip
#: What a follower waits out: no answer at all, a token that will be renewed, a server in trouble.
TRANSIENT = RETRYABLE | {None, HTTPStatus.UNAUTHORIZED}
_BLOCK = 64 * 1024  # bytes
_HEADER = re.compile(r"[\x20-\x7e]*")
_MESSAGE = 4_096  # characters of a server's message


class Cluster:
    """A cluster's API server, and who asks it. Safe for threads.

    Attributes:
        name: the cluster's name in messages.
        configuration: the official client's.
        clock: paces attempts, also those of others who use this cluster.
    """

    def __init__(self, configuration: Configuration, name: str, clock: Clock | None = None) -> None:
        """See ``connect``."""
        from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415

        self.name = name
        self.configuration = configuration
        self.clock = clock or Clock()
        configuration.connection_pool_maxsize = _CONNECTIONS  # urllib3 warns when there are more
        self._pool = RESTClientObject(configuration).pool_manager
        self._credentials = threading.Lock()
        self._closed = threading.Event()

    @classmethod
    def connect(cls, *, context: str | None = None, kubeconfig: str | None = None, clock: Clock | None = None) -> Self:
        """The cluster of a kubeconfig's context, or the one this runs in.

        Looks where kubectl does: ``kubeconfig``, else the files in $KUBECONFIG, else ~/.kube/config; else the service
        account of the pod this runs in. No request is sent yet.

        Args:
            context: of the kubeconfig; None: its current one.
            kubeconfig: a file.
            clock: paces attempts; None: real time.

        Raises:
            ClusterError: there is no configuration, the context is not in it, or its credentials are not available.
        """
        configuration, name = load_configuration(context, kubeconfig)
        try:
            return cls(configuration, name, clock)
        except Exception:  # noqa: BLE001  (the message may repeat a password of the kubeconfig)
            raise ClusterError(name, "the kubeconfig's server, proxy or certificates cannot be used") from None

    @property
    def address(self) -> str:
        """The server's URL, without credentials."""
        return re.sub(r"//[^/@]*@", "//", self.configuration.host)

    def close(self) -> None:
        """Ends waiting between attempts, and closes idle connections; others are closed when they are returned."""
        self._closed.set()
        self._pool.clear()

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """One object, or one page of a list. Tries again where that may help.

        Raises:
            ClusterError: the server cannot be reached, or refuses.
        """
        for attempt in range(_TRIES):
            try:
                body = b"".join(self.read_body(self.open(path, query)))
                return _parse_object(body, f"{self.name}: {path}")
            except ClusterError as error:
                if attempt == _TRIES - 1 or error.status not in RETRYABLE | {None}:
                    raise
                if self.clock.wait(self._closed, error.retry_after or backoff(attempt)):
                    raise
        raise AssertionError

    def list_objects(self, path: str, query: Query | None = None) -> tuple[list[dict[str, Any]], str]:
        """All objects of a list, requested in pages, and the list's resourceVersion, from which to watch.

        Raises:
            ClusterError: as ``get``.
        """
        objects: list[dict[str, Any]] = []
        token = ""
        while True:
            page_query = {**(query or {}), "limit": _PAGE} | ({"continue": token} if token else {})
            try:
                page = self.get(path, page_query)
            except ClusterError as error:
                if not token or error.status != HTTPStatus.GONE:
                    raise
                objects, page = [], self.get(path, query)  # the token expired: all at once, as kubectl does
            objects += page.get("items") or []
            meta = page.get("metadata") or {}
            token = meta.get("continue") or ""
            if not token:
                return objects, str(meta.get("resourceVersion", ""))

    def open(self, path: str, query: Query | None = None, *, read_timeout: float = _READ) -> urllib3.BaseHTTPResponse:
        """Sends a request; the caller reads the body.

        Args:
            path: of the API.
            query: of the URL.
            read_timeout: seconds without data until reading gives up.

        Raises:
            ClusterError: the server cannot be reached, or answers with an error.
        """
        import urllib3  # noqa: PLC0415

        url = self.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                "GET", url, headers=self.request_headers(), preload_content=False, retries=False, redirect=False,
                timeout=urllib3.Timeout(connect=_CONNECT, read=read_timeout),
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"{self.name} ({self.address})", connection_failure(error)) from None
        except ValueError:
            raise ClusterError(self.name, "cannot be reached: the kubeconfig's server or proxy is not a URL") from None
        if response.status == HTTPStatus.OK:
            return response
        body = b""
        with suppress(urllib3.exceptions.HTTPError, OSError):
            body = response.read(_MESSAGE * 4)
        response.close()
        raise error_of(self.name, response.status, body, response.headers.get("Retry-After"))

    def read_body(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """The pieces of an answer's body as they arrive.

        Raises:
            ReadTimeoutError: nothing arrived within the read timeout.
            ClusterError: the connection broke.
        """
        import urllib3  # noqa: PLC0415

        try:
            if response.headers.get("Transfer-Encoding") == "chunked":
                yield from response.read_chunked()
            else:
                yield from iter(lambda: response.read1(_BLOCK), b"")
            response.release_conn()
        except urllib3.exceptions.ReadTimeoutError:
            raise ReadTimeoutError(self.name, "no data arrived in time") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # ValueError: closed by another thread
            raise ClusterError(self.name, f"the connection broke: {one_line(str(error))}") from None
        finally:
            response.close()

    def watch_events(self, path: str, query: Query, version: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Changes of a list since a resourceVersion: type and object; a BOOKMARK has only a newer version.

        Ends when the server closes the watch, as it does every few minutes.

        Raises:
            ClusterError: as ``get``; with status 410 when the version is too old, and the list must be read again.
        """
        watch = {**query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version,
                 "timeoutSeconds": int(_WATCH)}  # fmt: skip
        rest = b""
        for piece in self.read_body(self.open(path, watch, read_timeout=_WATCH + _CONNECT)):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                event = _parse_object(line, f"{self.name}: {path}")
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise ClusterError(self.name, one_line(str(status.get("message")), _MESSAGE), status.get("code"))
                yield str(event.get("type")), event.get("object") or {}

    @staticmethod
    def server_time(response: urllib3.BaseHTTPResponse) -> int | None:
        """The answer's Date (ns since 1970): closer to the nodes' clocks than ours. None if there is none."""
        try:
            return int(parsedate_to_datetime(response.headers.get("Date", "")).timestamp()) * 10**9
        except ValueError:
            return None

    @staticmethod
    def set_read_timeout(response: urllib3.BaseHTTPResponse, seconds: float) -> None:
        """Changes the read timeout of an answer that is being read."""
        sock = getattr(response.connection, "sock", None)
        if sock is not None:
            sock.settimeout(seconds)

    @staticmethod
    def abort(response: urllib3.BaseHTTPResponse) -> None:
        """Closes the connection of an answer that another thread is reading.

        Not with urllib3's ``shutdown``: that removes TLS from the socket, and the thread would read ciphertext.
        """
        sock = getattr(response.connection, "sock", None)
        with suppress(OSError):  # already closed
            if sock is not None:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def request_headers(self) -> dict[str, str]:
        """Headers with credentials. The client renews tokens here, which may run an exec plugin: one thread at a time.

        Raises:
            ClusterError: the token cannot stand in a header.
        """
        from egresslog import __version__  # noqa: PLC0415

        headers = {"Accept": "application/json, */*", "User-Agent": f"egresslog/{__version__}"}
        with self._credentials, logged_errors():
            settings: dict[str, Any] = dict(self.configuration.auth_settings())
        headers |= {setting["key"]: setting["value"].strip() for setting in settings.values() if setting["value"]}
        if not all(_HEADER.fullmatch(value) for value in headers.values()):  # http.client would repeat it in its error
            raise ClusterError(self.name, "the token in the kubeconfig has characters that are not allowed in a token")
        return headers


class ReadTimeoutError(ClusterError):
    """The server sent nothing for some time."""


def _parse_object(body: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ClusterError(where, f"not a Kubernetes API: the answer is '{one_line(body[:60])}'")
    return value


def error_of(name: str, status: int, body: bytes, retry_after: str | None) -> ClusterError:
    """The error that an answer stands for: with the message of a Status object, or the text of a proxy."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = one_line(body, _MESSAGE) or "no reason given"
    if status == HTTPStatus.UNAUTHORIZED:
        message = f"the credentials were refused ({message}): log in again, or choose another --context"
    wait = min(float(retry_after), _MAX_RETRY_AFTER) if retry_after and retry_after.isdecimal() else None
    return ClusterError(name, f"{one_line(message, _MESSAGE)} (HTTP {status})", status, wait)


def connection_failure(error: BaseException) -> str:
    """Why there is no connection, without the names of urllib3's objects."""
    text = str(getattr(error, "reason", None) or error)
    if ">: " in text:
        text = text.rpartition(">: ")[2]
    else:
        text = text.rpartition("object at 0x")[2].partition("): ")[2] or text
    hint = "; the kubeconfig's certificate-authority does not vouch for it" if "CERTIFICATE_VERIFY" in text else ""
    return one_line(f"cannot be reached: {text}{hint}")
