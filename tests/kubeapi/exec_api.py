"""GET .../pods/NAME/exec: a command's output over a WebSocket."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from .exec import ExecRequest, ExecResult
from .status import Json, bad_request, encode, internal

if TYPE_CHECKING:
    from .cluster import Cluster
    from .exchange import Body, Exchange

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STDOUT, _STDERR, _ERROR = 1, 2, 3
_BINARY, _CLOSE, _PING, _PONG = 0x2, 0x8, 0x9, 0xA
_NORMAL = (1000).to_bytes(2)
_OUTPUT = 32 * 1024


def serve_exec(cluster: Cluster, exchange: Exchange, namespace: str, name: str) -> None:
    """Run the command and report, after the rules by which the API server refuses."""
    request = exchange.request
    wanted = {key: request.flag(key) for key in ("stdin", "stdout", "stderr")}
    pod = cluster.pod(namespace, name)
    container = pod.choose(request.query.get("container", ""))
    command = [value for key, value in request.values if key == "command"]
    if not any(wanted.values()):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if not command:
        raise bad_request("you must specify at least one command for the container")
    if not pod.container(container).running:
        raise internal(f'unable to upgrade connection: container not found ("{container}")')
    offered = [word.strip() for word in request.headers.get("sec-websocket-protocol", "").split(",")]
    protocol = next((word for word in offered if word in _PROTOCOLS), "")
    if request.headers.get("upgrade", "").lower() != "websocket" or not protocol:
        # SPDY, kubectl's second attempt, is not spoken here.
        raise bad_request("unable to upgrade: websocket with a protocol of v4 or v5 expected")
    key = request.headers["sec-websocket-key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    headers |= {"Sec-WebSocket-Accept": accept, "Sec-WebSocket-Protocol": protocol}
    body = exchange.upgrade(headers)
    body.check()
    # An empty message on the first channel that can be written tells the client that it is connected.
    _send(body, _STDOUT if wanted["stdout"] else _STDERR if wanted["stderr"] else _ERROR, b"")
    result = _run(cluster, ExecRequest(namespace, name, container, command))
    for channel, data in ((_STDOUT, result.stdout), (_STDERR, result.stderr)):
        if wanted["stdout" if channel == _STDOUT else "stderr"]:
            for start in range(0, len(data), _OUTPUT):
                _send(body, channel, data[start : start + _OUTPUT])
    _send(body, _ERROR, encode(_outcome(result)).rstrip())
    body.send(_frame(_CLOSE, _NORMAL))
    _await_close(exchange, body)


def _run(cluster: Cluster, request: ExecRequest) -> ExecResult:
    for command in list(cluster.commands):
        result = command(request)
        if result is not None:
            return result
    program = request.command[0]
    problem = f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
    identity = cluster.make_container_id()
    return ExecResult(
        error=f'failed to exec in container: failed to start exec "{identity}": OCI runtime exec failed: exec failed: '
        f'unable to start container process: exec: "{program}": {problem}'
    )


def _outcome(result: ExecResult) -> Json:
    """The Status of the error channel; it has no kind."""
    if result.error:
        error = internal(f"Internal error occurred: error executing command in container: {result.error}")
        return {key: value for key, value in error.status().items() if key not in ("kind", "apiVersion")}
    if not result.exit_code:
        return {"metadata": {}, "status": "Success"}
    message = f"command terminated with exit code {result.exit_code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {message}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(result.exit_code)}]},
    }


def _send(body: Body, channel: int, data: bytes) -> None:
    body.send(_frame(_BINARY, bytes([channel]) + data))


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2)
    else:
        head = bytes([0x80 | opcode, 127]) + size.to_bytes(8)
    return head + payload


def _await_close(exchange: Exchange, body: Body) -> None:
    """Read what the client still says; it closes, or the connection ends."""
    while True:
        opcode, payload = _read_frame(exchange)
        if opcode == _CLOSE:
            return
        if opcode == _PING:
            body.send(_frame(_PONG, payload))


def _read_frame(exchange: Exchange) -> tuple[int, bytes]:
    first, second = exchange.connection.read(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(exchange.connection.read(2 if size == 126 else 8))
    mask = exchange.connection.read(4)
    payload = exchange.connection.read(size)
    return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
