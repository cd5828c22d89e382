"""What Prometheus and kubelet's probes ask over HTTP: /metrics, /healthz and /readyz, and nothing else.

One thread serves them all, and no client can hold it up: a request has a few seconds and a few kilobytes, and when
there are too many connections, the oldest makes room.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from domxml.errors import BadInput, NotPermitted, PassgateError
from hooksidecar import log
from hooksidecar.nodewatch.exposition import CONTENT_TYPE

PATIENCE = 5.0
"""Seconds for a request to arrive, and for its answer to be taken."""
LARGEST = 8192
"""Bytes of a request, all headers together."""
CONNECTIONS = 64
END = b"\r\n\r\n"

_PLAIN = "text/plain; charset=utf-8"
_HINT = "such as 127.0.0.1:9100, [::1]:9100, or :9100 for every address"


class Answer(NamedTuple):
    """A response."""

    status: HTTPStatus
    body: bytes
    kind: str = _PLAIN


class Web:
    """Listens from `start` to `close`."""

    def __init__(
        self,
        address: str,
        metrics_text: Callable[[], bytes],
        trouble: Callable[[], str],
        lacking: Callable[[], str] | None = None,
    ) -> None:
        self._address = address
        self._metrics_text = metrics_text
        self._probes = {"/healthz": trouble, "/readyz": lacking or trouble}
        """What a new start would mend, and what keeps the process from being of use."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._thread: threading.Thread | None = None
        self._ended = asyncio.Event()
        self.port = 0
        """The one that is listened on; known from `start` on."""

    def start(self) -> None:
        """Listen, and answer from now on."""
        listener = open_listener(self._address)
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop, listener), name="web", daemon=True)
        self._thread.start()
        log.info("serving metrics", address=self._address, port=self.port)

    def close(self) -> None:
        """Listen no longer; what is under way is cut off."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(PATIENCE)

    def _run(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        loop.run_until_complete(self._serve(listener))
        loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._client, sock=listener, limit=LARGEST)
        await self._ended.wait()
        # Closed before each accepted connection has a task of its own, asyncio would leave some of them open.
        asyncio.get_running_loop().remove_reader(listener)
        for writer in self._open:
            writer.transport.abort()
        while clients := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(clients, timeout=PATIENCE)
        server.close()
        await asyncio.sleep(0)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(self._open) >= CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        if self._ended.is_set():
            writer.transport.abort()
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(self._response(await _request(reader)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self._open.pop(writer, None)

    def _response(self, line: str | None) -> bytes:
        method, answer = self._answer(line)
        head = (
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {len(answer.body)}",
            *(("Allow: GET, HEAD",) if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ()),
            "Connection: close",
        )
        body = b"" if method == "HEAD" else answer.body
        return "\r\n".join(head).encode() + END + body

    def _answer(self, line: str | None) -> tuple[str, Answer]:
        """The method, and what to answer to a request line; there is none in a request that is too large."""
        if line is None:
            return "", _said(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
            return "", _said(HTTPStatus.BAD_REQUEST)
        method, target = words[0], words[1].partition("?")[0]
        if method not in {"GET", "HEAD"}:
            return method, _said(HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            return method, self._page(target)
        except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
            log.error("defect", page=target[:40], exception=type(error).__name__)
            return method, _said(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _page(self, target: str) -> Answer:
        if target == "/metrics":
            return Answer(HTTPStatus.OK, self._metrics_text(), CONTENT_TYPE)
        if target in self._probes:
            trouble = self._probes[target]()
            status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
            return Answer(status, f"{trouble or 'ok'}\n".encode())
        return _said(HTTPStatus.NOT_FOUND)


def open_listener(address: str) -> socket.socket:
    """A socket that listens at `ADDR:PORT`; without an address at all of them."""
    host, port = _parsed(address)
    every = not host
    family = socket.AF_INET6 if ":" in host or (every and socket.has_dualstack_ipv6()) else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=every and family == socket.AF_INET6)
    except OSError as error:
        raise _unusable(address, error) from None


def _parsed(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise BadInput("bad-listen", "is not ADDR:PORT", subject=address[:80], hint=_HINT)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if host:
        kind = ipaddress.IPv4Address if bare == host else ipaddress.IPv6Address
        try:
            kind(bare)
        except ValueError:
            what = f"{host[:60]} is no IP address, or one that needs brackets"
            raise BadInput("bad-listen", what, subject=address[:80], hint=_HINT) from None
    return bare, int(port)


def _unusable(address: str, error: OSError) -> PassgateError:
    reason = os.strerror(error.errno or 0)
    if error.errno == errno.EADDRINUSE:
        hint = "choose another port, or end the program that has it"
        return BadInput("port-in-use", "somebody else listens there", subject=address, hint=hint)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return NotPermitted("listen-not-permitted", reason, subject=address, hint="use a port above 1023")
    return BadInput("listen-impossible", reason, subject=address, hint="is it an address of this machine?")


async def _request(reader: asyncio.StreamReader) -> str | None:
    """The first line of a request, once all its headers are there; None when it is too large."""
    try:
        head = await reader.readuntil(END)
    except asyncio.LimitOverrunError:
        return None
    return head.partition(b"\r\n")[0].decode("latin-1")


def _said(status: HTTPStatus) -> Answer:
    return Answer(status, f"{status.phrase}\n".encode())
