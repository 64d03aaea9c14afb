"""One cluster's API: where it is and who asks are the official client's business, requests and answers are raw.

Raw, because the client's models refuse what they do not know, its log call lacks `sinceTime` (kubernetes#126076) and
drops a last line without newline, and its watch knows no bookmark of ours (shared facts, egress-verification 4.1, 4.6).
"""

from __future__ import annotations

import json
import random
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from egresslog.errors import ClusterError
from egresslog.sources.cluster.kubeconfig import complaints, load, one_line

if TYPE_CHECKING:
    import urllib3
    from kubernetes.client import Configuration

Query = Mapping[str, str | int]

_CONNECT = 10.0  # seconds
_ANSWER = 60.0  # seconds that the server may be silent within an answer
_WATCH = 240.0  # seconds that one watch lasts: load balancers close what is silent for longer
_LONGEST = 30.0  # seconds to wait when told to: somebody watches
_TRIES = 4
_PAGE = 500  # objects, as kubectl asks for
_STREAMS = 1_000  # connections kept
#: HTTP statuses after which to try again; of what is not there; of a version or page that is too old.
AGAIN = (429, 500, 502, 503, 504)
BAD, FORBIDDEN, GONE = 400, 403, 404
#: What a follower waits out: no answer at all, a server in trouble, a token that will be renewed.
PASSING = (None, 401, *AGAIN)
EXPIRED = 410
_BLOCK = 64 * 1024  # bytes
_HEADER = re.compile(r"[\x20-\x7e]*")
_WORDS = 4_096  # characters of an answer that is no Status


class Cluster:
    """A cluster's API server as one user. Safe for threads."""

    def __init__(self, configuration: Configuration, name: str) -> None:
        """See ``connect``."""
        from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415

        self.name = name
        self.configuration = configuration
        configuration.connection_pool_maxsize = _STREAMS  # urllib3 warns where there are more than these
        self._pool = RESTClientObject(configuration).pool_manager
        self._credentials = threading.Lock()
        self._closed = threading.Event()

    @classmethod
    def connect(cls, *, context: str | None = None, kubeconfig: str | None = None) -> Self:
        """The cluster of a kubeconfig's context, or the one this runs in.

        As kubectl: ``kubeconfig``, else the files in $KUBECONFIG, else ~/.kube/config; else a pod's service account.
        Nothing is asked of the server yet.

        Raises:
            ClusterError: neither is there, the context is not in it, or its credentials cannot be had.
        """
        made, name = load(context, kubeconfig)
        try:
            return cls(made, name)
        except Exception:  # noqa: BLE001  (what it is, is in the kubeconfig, and may hold a password)
            raise ClusterError(name, "the kubeconfig's server, proxy or certificates cannot be used") from None

    @property
    def address(self) -> str:
        """The server's URL, without what else may stand in it."""
        return re.sub(r"//[^/@]*@", "//", self.configuration.host)

    def close(self) -> None:
        """Ends waiting, and closes what connections are idle; those in use close when they are done with."""
        self._closed.set()
        self._pool.clear()

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """One object, or one page of a list. Tries again where that may help.

        Raises:
            ClusterError: the server cannot be reached or does not give it.
        """
        for attempt in range(_TRIES):
            try:
                body = b"".join(self.body(self.open(path, query)))
                return _object(body, f"{self.name}: {path}")
            except ClusterError as error:
                if attempt == _TRIES - 1 or error.status not in (None, *AGAIN):
                    raise
                if self._closed.wait(error.retry_after or pause(attempt)):
                    raise
        raise AssertionError

    def items(self, path: str, query: Query | None = None) -> tuple[list[dict[str, Any]], str]:
        """All objects of a list, in pages, and the version of the list, from which to watch.

        Raises:
            ClusterError: as ``get``.
        """
        found: list[dict[str, Any]] = []
        more = ""
        while True:
            asked = {**(query or {}), "limit": _PAGE} | ({"continue": more} if more else {})
            try:
                page = self.get(path, asked)
            except ClusterError as error:
                if not more or error.status != EXPIRED:
                    raise
                found, page = [], self.get(path, query)  # the pages took too long: all at once, as kubectl does
            found += page.get("items") or []
            meta = page.get("metadata") or {}
            more = meta.get("continue") or ""
            if not more:
                return found, str(meta.get("resourceVersion", ""))

    def open(self, path: str, query: Query | None = None, *, silence: float = _ANSWER) -> urllib3.BaseHTTPResponse:
        """An answer whose body is read by the caller; ``silence``: seconds until a read gives up.

        Raises:
            ClusterError: the server cannot be reached, or answers with an error.
        """
        import urllib3  # noqa: PLC0415

        url = self.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                "GET", url, headers=self.headers(), preload_content=False, retries=False, redirect=False,
                timeout=urllib3.Timeout(connect=_CONNECT, read=silence),
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"{self.name} ({self.address})", unreachable(error)) from None
        except ValueError:
            raise ClusterError(self.name, "cannot be asked: the kubeconfig's server or proxy is no URL") from None
        if response.status == 200:  # noqa: PLR2004
            return response
        body = b""
        with suppress(urllib3.exceptions.HTTPError, OSError):
            body = response.read(_WORDS * 4)
        response.close()
        raise refused(self.name, response.status, body, response.headers.get("Retry-After"))

    def body(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """The pieces of an answer's body as they come.

        Raises:
            SilenceError: nothing came for as long as ``open`` was told to wait.
            ClusterError: the answer broke off.
        """
        import urllib3  # noqa: PLC0415

        try:
            if response.headers.get("Transfer-Encoding") == "chunked":
                yield from response.read_chunked()
            else:
                yield from iter(lambda: response.read1(_BLOCK), b"")
            response.release_conn()
        except urllib3.exceptions.ReadTimeoutError:
            raise SilenceError(self.name, "nothing came") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # ValueError: closed by another thread
            raise ClusterError(self.name, f"the answer broke off: {one_line(str(error))}") from None
        finally:
            response.close()

    def events(self, path: str, query: Query, version: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Changes of a list since its ``version``: type and object; BOOKMARK has nothing but a newer version.

        Ends when the server closes the watch, as it does every few minutes.

        Raises:
            ClusterError: as ``get``; with status 410 when the version is too old, and the list must be had anew.
        """
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version,
                 "timeoutSeconds": int(_WATCH)}  # fmt: skip
        rest = b""
        for piece in self.body(self.open(path, asked, silence=_WATCH + _CONNECT)):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                event = _object(line, f"{self.name}: {path}")
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise ClusterError(self.name, one_line(str(status.get("message"))), status.get("code"))
                yield str(event.get("type")), event.get("object") or {}

    @staticmethod
    def time_of(response: urllib3.BaseHTTPResponse) -> int | None:
        """The server's time (ns), whose clock is nearer to the nodes' than ours; None if it does not tell."""
        try:
            return int(parsedate_to_datetime(response.headers.get("Date", "")).timestamp()) * 10**9
        except ValueError:
            return None

    @staticmethod
    def bear(response: urllib3.BaseHTTPResponse, silence: float) -> None:
        """Lets an answer be silent for so many seconds from now on."""
        sock = getattr(response.connection, "sock", None)
        if sock is not None:
            sock.settimeout(silence)

    @staticmethod
    def wake(response: urllib3.BaseHTTPResponse) -> None:
        """Ends an answer that another thread waits for.

        Not by urllib3's ``shutdown``: that takes TLS off the socket, and the thread would read what was encrypted.
        """
        sock = getattr(response.connection, "sock", None)
        with suppress(OSError):  # it has ended by itself
            if sock is not None:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def headers(self) -> dict[str, str]:
        """Who asks. The client renews tokens here, which may run an exec plugin: one thread at a time."""
        from egresslog import __version__  # noqa: PLC0415

        headers = {"Accept": "application/json, */*", "User-Agent": f"egresslog/{__version__}"}
        with self._credentials, complaints():
            settings: dict[str, Any] = dict(self.configuration.auth_settings())
        headers |= {setting["key"]: setting["value"].strip() for setting in settings.values() if setting["value"]}
        if not all(_HEADER.fullmatch(value) for value in headers.values()):  # http.client would repeat it in its error
            raise ClusterError(self.name, "the token in the kubeconfig has characters that no token has")
        return headers


class SilenceError(ClusterError):
    """The server has not said anything for some time."""


def pause(attempt: int, most: float = 30.0) -> float:
    """Seconds to wait before trying again: twice as long each time, and never in step with other readers."""
    return min(most, 0.25 * 2.0 ** min(attempt, 20)) * random.uniform(0.5, 1.0)  # noqa: S311


def _object(body: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        said = one_line(body[:60].decode("utf-8", "replace"))
        raise ClusterError(where, f"is no Kubernetes API: it answered {said!r}")
    return found


def refused(name: str, status: int, body: bytes, retry_after: str | None) -> ClusterError:
    """The error of an answer: a Status object's message, or the text that a proxy put there."""
    try:
        found = json.loads(body)
        message = str(found["message"])
    except (ValueError, KeyError, TypeError):
        message = one_line(body[:_WORDS].decode("utf-8", "replace")) or "no reason given"
    if status == 401:  # noqa: PLR2004
        message = f"the credentials were refused ({message}): log in again, or choose another --context"
    wait = min(float(retry_after), _LONGEST) if retry_after and retry_after.isdecimal() else None
    return ClusterError(name, f"{one_line(message)} (HTTP {status})", status, wait)


def unreachable(error: BaseException) -> str:
    """What went wrong below HTTP, without urllib3's objects in it."""
    text = str(getattr(error, "reason", None) or error)
    text = (
        text.rpartition(">: ")[2] if ">: " in text else text.rpartition("object at 0x")[2].partition("): ")[2] or text
    )
    hint = "; the kubeconfig's certificate-authority does not vouch for it" if "CERTIFICATE_VERIFY" in text else ""
    return one_line(f"cannot be reached: {text}{hint}")
