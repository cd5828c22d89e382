"""What may go wrong between a client and an API server, each as what happens instead of an answer."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TypeAlias

from tests.apiserver.status import Refusal

Fault: TypeAlias = Callable[[BaseHTTPRequestHandler], bool]
"""Says whether the request is over by it."""


def refuse(code: int, message: str = "told to", retry_after: str = "") -> Fault:
    """A Status, as the API server sends it."""
    return text(
        json.dumps(Refusal(code, message).body).encode(), code, {"Retry-After": retry_after} if retry_after else {}
    )


def text(body: bytes, code: int = 200, headers: dict[str, str] | None = None, *, length: int | None = None) -> Fault:
    """Some body; with a length that is too long it is cut off."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(code)
        for name, value in {"Content-Length": str(length or len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True
        return True

    return answer


def huge(size: int) -> Fault:
    """A JSON text without an end, in pieces, for as long as it is taken."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b'{"items": ["')
        for _ in range(size >> 16):
            handler.wfile.write(b"a" * (1 << 16))
        handler.close_connection = True
        return True

    return answer


def drip(pause: float) -> Fault:
    """The head of an answer byte by byte: each comes in time, and the whole never."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-More: yes\r\n" * 100_000:
            handler.wfile.write(bytes([byte]))
            time.sleep(pause)
        return True

    return answer


def hang(handler: BaseHTTPRequestHandler) -> bool:
    """No answer, until the client goes."""
    handler.connection.settimeout(60)
    handler.connection.recv(1)
    handler.close_connection = True
    return True


def reset(handler: BaseHTTPRequestHandler) -> bool:
    """A connection that breaks."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
    return True


def slow(seconds: float) -> Fault:
    """The answer, but late."""

    def wait(_handler: BaseHTTPRequestHandler) -> bool:
        time.sleep(seconds)
        return False

    return wait
