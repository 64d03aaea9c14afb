"""What an API server answered: JSON objects, pages of lists, and errors, none taken for granted."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, NamedTuple

from egresslog.errors import ClusterError
from egresslog.sources.messages import one_line

_MESSAGE = 4_096  # characters of a server's message
_MAX_RETRY_AFTER = 30.0  # seconds: a user is waiting
_LONGEST_TOKEN = 16 * 1024  # characters: a longer one does not fit into a URL
_QUOTED = 60  # bytes of an answer in a message
# Every escape sequence of a JSON string, from left to right; the group is half of a surrogate pair without the other.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class Page(NamedTuple):
    """One page of a list.

    Attributes:
        items: not checked; the API's objects, if the server is one.
        token: for the next page, "" after the last.
        version: the list's resourceVersion.
    """

    items: list[Any]
    token: str
    version: str


class LimitError(ClusterError):
    """An answer takes longer, or is larger, than any that is needed. Another try would be like it."""


class AnswerTooLargeError(LimitError):
    """It is larger."""


class ReadTimeoutError(ClusterError):
    """The server sent nothing for some time."""


def parse_object(body: bytes, where: str) -> dict[str, Any]:
    """A JSON object. Text in it can be written as UTF-8: what cannot becomes U+FFFD, as the API server itself does.

    Args:
        body: of an answer.
        where: the cluster and the request, for messages.

    Raises:
        ClusterError: it is none.
    """
    text = body.decode("utf-8", "replace")
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPE.sub(lambda match: "\\ufffd" if match[1] else match[0], text)
    try:
        value = json.loads(text)
    except RecursionError:
        raise ClusterError(where, "the answer is nested too deeply") from None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ClusterError(where, f"not a Kubernetes API: the answer is '{one_line(body[:_QUOTED])}'")
    return value


def page_of(answer: dict[str, Any], where: str) -> Page:
    """A page of a list. Its ``remainingItemCount`` is an estimate, not to rely on (Kubernetes API, ListMeta).

    Raises:
        ClusterError: the answer is no list.
    """
    items, meta = answer.get("items"), answer.get("metadata")
    if not isinstance(items, list | None) or not isinstance(meta, dict | None):
        raise ClusterError(where, "the answer is not a list of objects: its items or metadata have another type")
    texts = ((meta or {}).get(key) for key in ("continue", "resourceVersion"))
    token, version = ("" if text is None else text for text in texts)
    if not isinstance(token, str) or not isinstance(version, str) or len(token) > _LONGEST_TOKEN:
        raise ClusterError(where, "the answer is not a list of objects: its continue token or version is none")
    return Page(items or [], token, version)


def error_of(name: str, status: int, body: bytes, retry_after: str | None) -> ClusterError:
    """The error that an answer stands for: with the message of a Status object, or the text of a proxy."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = one_line(body, _MESSAGE) or "no reason given"
    if status == HTTPStatus.UNAUTHORIZED:
        message = f"the credentials were refused ({message}): log in again, or choose another --context"
    wait = min(float(retry_after), _MAX_RETRY_AFTER) if retry_after and retry_after.isdecimal() else None
    return ClusterError(name, f"{one_line(message, _MESSAGE)} (HTTP {status})", status, wait)


def watch_error(where: str, status: Any) -> ClusterError:
    """The error that an ERROR event stands for; ``status`` is its object."""
    found = status if isinstance(status, dict) else {}
    code = found.get("code")
    return ClusterError(where, one_line(str(found.get("message")), _MESSAGE), code if isinstance(code, int) else None)


def connection_failure(error: BaseException) -> str:
    """Why there is no connection, without the names of urllib3's objects."""
    text = str(getattr(error, "reason", None) or error)
    if ">: " in text:
        text = text.rpartition(">: ")[2]
    else:
        text = text.rpartition("object at 0x")[2].partition("): ")[2] or text
    hint = "; the kubeconfig's certificate-authority does not vouch for it" if "CERTIFICATE_VERIFY" in text else ""
    return one_line(f"cannot be reached: {text}{hint}")
