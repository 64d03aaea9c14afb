"""What the API server answers when it refuses: Status objects with the real messages."""

from __future__ import annotations

import http
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kinds import Kind

Json = dict[str, Any]

# Go's encoder escapes what could be read as markup in a browser, and the two line ends of JavaScript.
_ESCAPED = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def encode(value: object) -> bytes:
    """JSON as Go writes it, with the line end that ends every body and every watch event."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPED).encode("utf-8", "surrogateescape") + b"\n"


@dataclass
class ApiError(Exception):
    """An answer other than success."""

    code: int
    reason: str
    message: str
    details: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)

    def status(self) -> Json:
        """The Status object."""
        found: Json = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        found["message"] = self.message
        if self.reason:
            found["reason"] = self.reason
        if self.details is not None:
            found["details"] = self.details
        return found | {"code": self.code}


@dataclass(frozen=True)
class Cause:
    """One reason why an object is invalid."""

    reason: str
    message: str
    field: str


def bad_request(message: str) -> ApiError:
    return ApiError(http.HTTPStatus.BAD_REQUEST, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(http.HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def not_found(kind: Kind, name: str) -> ApiError:
    return ApiError(http.HTTPStatus.NOT_FOUND, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    message = f'{kind.resource} "{name}" already exists'
    return ApiError(http.HTTPStatus.CONFLICT, "AlreadyExists", message, _details(kind, name))


def forbidden(user: str, verb: str, kind: Kind, subresource: str, namespace: str, name: str) -> ApiError:
    what = kind.resource + (f' "{name}"' if name else "")
    resource = kind.plural + (f"/{subresource}" if subresource else "")
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = (
        f'{what} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}'
    )
    # The recorded answers carry this header on 403 only.
    headers = {"X-Content-Type-Options": "nosniff"}
    return ApiError(http.HTTPStatus.FORBIDDEN, "Forbidden", message, _details(kind, name), headers)


def invalid(kind: str, name: str, causes: list[Cause]) -> ApiError:
    problems = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    details = {"name": name, "kind": kind, "causes": [vars(cause) for cause in causes]}
    message = f'{kind} "{name}" is invalid: {listed}'
    return ApiError(http.HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message, details)


def expired(message: str, continue_token: str = "") -> ApiError:
    metadata = {"continue": continue_token} if continue_token else {}
    return ApiError(http.HTTPStatus.GONE, "Expired", message, metadata=metadata)


def internal(message: str) -> ApiError:
    message = f"Internal error occurred: {message}"
    details = {"causes": [{"message": message.removeprefix("Internal error occurred: ")}]}
    return ApiError(http.HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", message, details)


def not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(http.HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message, {})


def unsupported_media() -> ApiError:
    """To protobuf, which the real one reads."""
    message = "the body of the request was in an unknown format - accepted media types include: application/json"
    return ApiError(http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message, {})


def _details(kind: Kind, name: str) -> Json:
    found = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in found.items() if value}
