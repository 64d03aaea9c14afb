"""One cluster's API. The official client provides address, TLS and credentials; requests and answers are raw.

The client's models refuse fields they do not know, its log call lacks `sinceTime` (kubernetes#126076) and drops a last
line without newline, and its watch cannot resume from a bookmark (docs/egress-evidence.md, 4.1 and 4.6).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from egresslog.errors import ClusterError, LineError
from egresslog.sources.cluster import answers, deadline
from egresslog.sources.cluster.clock import Clock, backoff
from egresslog.sources.cluster.kubeconfig import load_configuration, logged_errors
from egresslog.sources.cluster.log_timestamps import whole_lines
from egresslog.sources.messages import one_line
from egresslog.timespec import is_storable

if TYPE_CHECKING:
    import urllib3
    from kubernetes.client import Configuration

Query = Mapping[str, str | int]

_CONNECT = 10.0  # seconds
_READ = 60.0  # seconds that the server may pause within an answer
_WATCH = 240.0  # seconds that one watch lasts: load balancers close connections that are silent for longer
_ANSWER = 120.0  # seconds in which an answer that is no log must have ended; no other try is made afterwards
_TRIES = 4
_PAGE = 500  # objects, as kubectl requests them
_PAGES = 2_000  # of one list: a million objects
_LIST = 900.0  # seconds for all pages of a list
_SIZE = 32 * 1024 * 1024  # bytes of an answer that is no log; Python needs up to thirty times as much for it
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
_ERROR_SIZE = 16 * 1024  # bytes of an answer that is an error


class Cluster:
    """A cluster's API server, and who asks it. Safe for threads.

    Attributes:
        name: the cluster's name in messages.
        configuration: the official client's.
        clock: paces attempts, also those of others who use this cluster.
    """

    def __init__(self, configuration: Configuration, name: str, clock: Clock | None = None) -> None:
        """See ``connect``."""
        import urllib3  # noqa: PLC0415
        from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415

        if not configuration.verify_ssl:  # it is in the evidence, and need not be printed with each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.name = name
        self.configuration = configuration
        self.clock = clock or Clock()
        configuration.connection_pool_maxsize = _CONNECTIONS  # urllib3 warns when there are more
        self._pool = RESTClientObject(configuration).pool_manager
        deadline.limit_headers(self._pool)
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
            ClusterError: the server cannot be reached, refuses, or gives an answer that is none.
        """
        started = time.monotonic()
        for attempt in range(_TRIES):
            try:
                return answers.parse_object(self._whole_body(path, query), self.request(path))
            except answers.LimitError:
                raise
            except ClusterError as error:
                is_last = attempt == _TRIES - 1 or time.monotonic() - started > _ANSWER
                if is_last or error.status not in RETRYABLE | {None}:
                    raise
                if self.clock.wait(self._closed, error.retry_after or backoff(attempt)):
                    raise
        raise AssertionError

    def request(self, path: str) -> str:
        """The name of a request in messages."""
        return f"{self.name}: GET {path}"

    def _whole_body(self, path: str, query: Query | None) -> bytes:
        """The answer's body, within limits of time and size."""
        response = self.open(path, query)
        parts: list[bytes] = []
        size = 0
        with deadline.answer_deadline(_ANSWER, response, self.request(path)):
            for piece in self.read_body(response):
                parts.append(piece)
                size += len(piece)
                if size > _SIZE:
                    raise answers.AnswerTooLargeError(self.request(path), f"the answer is larger than {_SIZE} bytes")
        return b"".join(parts)

    def list_objects(
        self, path: str, query: Query | None = None, reduce: Callable[[Any], Any] = lambda item: item
    ) -> tuple[list[Any], str]:
        """All objects of a list, requested in pages, and the list's resourceVersion, from which to watch.

        Args:
            path: of the API.
            query: of the URL.
            reduce: makes what is kept of an object as soon as it is there; its form is not checked before.

        Raises:
            ClusterError: as ``get``; or the list does not end.
        """
        objects: list[Any] = []
        token, limit, seen = "", _PAGE, {""}
        until = time.monotonic() + _LIST
        while True:
            page_query = {**(query or {}), "limit": limit} | ({"continue": token} if token else {})
            try:
                answer = self.get(path, page_query)
            except answers.AnswerTooLargeError:
                if limit == 1:
                    raise
                limit = max(1, limit // 8)
                continue
            except ClusterError as error:
                if not token or error.status != HTTPStatus.GONE:
                    raise
                objects, answer = [], self.get(path, query)  # the token expired: all at once, as kubectl does
            page = answers.page_of(answer, self.request(path))
            objects += map(reduce, page.items)
            token = page.token
            if not token:
                return objects, page.version
            if token in seen or len(seen) > _PAGES or time.monotonic() > until:
                reason = "its continue token repeats" if token in seen else f"more than {_PAGES} pages, or {_LIST:g} s"
                raise ClusterError(self.request(path), f"the list does not end: {reason}")
            seen.add(token)

    def open(
        self, path: str, query: Query | None = None, *, read_timeout: float | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Sends a request; the caller reads the body.

        Args:
            path: of the API.
            query: of the URL.
            read_timeout: seconds until all headers must be there, and without data until reading gives up.

        Raises:
            ClusterError: the server cannot be reached, or answers with an error.
        """
        import urllib3  # noqa: PLC0415

        read_timeout = _READ if read_timeout is None else read_timeout
        url = self.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                "GET", url, headers=self.request_headers(), preload_content=False, retries=False, redirect=False,
                timeout=urllib3.Timeout(connect=_CONNECT, read=read_timeout),
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"{self.name} ({self.address})", answers.connection_failure(error)) from None
        except ValueError:
            raise ClusterError(self.name, "cannot be reached: the kubeconfig's server or proxy is not a URL") from None
        if response.status == HTTPStatus.OK:
            return response
        body = b""
        with suppress(ClusterError), deadline.deadline(read_timeout, lambda: self.abort(response)):
            for piece in self.read_body(response):
                body += piece
                if len(body) > _ERROR_SIZE:
                    break
        response.close()
        raise answers.error_of(self.name, response.status, body, response.headers.get("Retry-After"))

    def read_body(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """The pieces of an answer's body as they arrive.

        Raises:
            ReadTimeoutError: nothing arrived within the read timeout.
            ClusterError: the connection broke.
        """
        import urllib3  # noqa: PLC0415

        try:
            # Not with `read_chunked`, which allocates as much as a chunk's size says.
            yield from iter(lambda: response.read1(_BLOCK), b"")
            response.release_conn()
        except urllib3.exceptions.ReadTimeoutError:
            raise answers.ReadTimeoutError(self.name, "no data arrived in time") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # ValueError: closed by another thread
            raise ClusterError(self.name, f"the connection broke: {one_line(str(error))}") from None
        finally:
            response.close()

    def watch_events(self, path: str, query: Query, version: str) -> Iterator[tuple[str, Any]]:
        """Changes of a list since a resourceVersion: type and object, whose form is not checked.

        Ends when the server closes the watch, as it does every few minutes. A BOOKMARK has only a newer version.

        Raises:
            ClusterError: as ``get``; with status 410 when the version is too old, and the list must be read again.
        """
        watch = {**query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version,
                 "timeoutSeconds": int(_WATCH)}  # fmt: skip
        response = self.open(path, watch, read_timeout=_WATCH + _CONNECT)
        try:
            for block in whole_lines(self.read_body(response), _SIZE):
                for line in block.splitlines():
                    event = answers.parse_object(line, self.request(path))
                    if event.get("type") == "ERROR":
                        raise answers.watch_error(self.name, event.get("object"))
                    yield str(event.get("type")), event.get("object")
        except LineError as error:
            raise answers.AnswerTooLargeError(self.request(path), f"an event is {error.reason}") from None

    @staticmethod
    def server_time(response: urllib3.BaseHTTPResponse) -> int | None:
        """The answer's Date (ns since 1970): closer to the nodes' clocks than ours. None if there is none."""
        try:
            time_ns = int(parsedate_to_datetime(response.headers.get("Date", "")).timestamp()) * 10**9
        except (ValueError, OverflowError):
            return None
        return time_ns if is_storable(time_ns) else None

    @staticmethod
    def set_read_timeout(response: urllib3.BaseHTTPResponse, seconds: float) -> None:
        """Changes the read timeout of an answer that is being read."""
        sock = deadline.socket_of(response)
        if sock is not None:
            sock.settimeout(seconds)

    @staticmethod
    def abort(response: urllib3.BaseHTTPResponse) -> None:
        """Closes the connection of an answer that another thread is reading."""
        deadline.shut_down(deadline.socket_of(response))

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
