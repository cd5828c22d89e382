"""HTTP with one server: every exchange has an end, whatever the server does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import httpcore

CONNECT = 5.0
"""Seconds until a connection stands."""
IDLE = 60.0
"""Seconds that an unused connection is kept."""
_PIECE = 1 << 14
# A peer that is gone without a word is noticed after 30 seconds.
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
_SocketOption: TypeAlias = "tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]"


class Broken(Exception):
    """No whole answer came; the text says what was seen."""

    def __init__(self, what: str, *, is_late: bool = False) -> None:
        super().__init__(what)
        self.is_late = is_late


class Exchange(NamedTuple):
    """What is sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


class Answer:
    """An answer whose head has come, and whose body is read piece by piece."""

    def __init__(self, response: httpcore.Response, clock: _Clock) -> None:
        self._response, self._clock = response, clock
        self._pieces = iter(response.iter_stream())
        self.status = response.status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}

    def next_piece(self, until: float) -> bytes:
        """Bytes that came, none at the end; by `until` of time.monotonic."""
        with _broken(), self._clock.running(until):
            return next(self._pieces, b"")

    def interrupt(self) -> None:
        """Let a read in another thread end now."""
        with contextlib.suppress(OSError, AttributeError):
            self._response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the connection back, or up where something is left to read."""
        self._response.close()


class Connections:
    """The open connections with one server that one authority vouches for."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.context = context
        self._url, self._clock = url, _Clock()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            keepalive_expiry=IDLE,
            network_backend=_Backend(self._clock),
            socket_options=_OPTIONS,
        )

    def open(self, exchange: Exchange, until: float) -> Answer:
        """Send it, and wait for the head of the answer."""
        request = httpcore.Request(
            exchange.method,
            self._url + exchange.target,
            headers=[("Host", urlsplit(self._url).netloc), *exchange.headers.items()],
            content=exchange.body,
            extensions={"timeout": {"connect": CONNECT}},
        )
        with _broken(), self._clock.running(until):
            return Answer(self._pool.handle_request(request), self._clock)

    def close(self) -> None:
        """Close all of them, those in use too."""
        self._pool.close()


class _Clock(threading.local):
    """When the exchange of this thread has to end: httpcore's own limits begin anew with every piece that comes."""

    until = float("inf")

    @contextlib.contextmanager
    def running(self, until: float) -> Iterator[None]:
        self.until = until
        try:
            yield
        finally:
            del self.until

    def left(self, most: float | None, late: type[Exception] = httpcore.ReadTimeout) -> float:
        left = min(self.until - time.monotonic(), float("inf") if most is None else most)
        if left <= 0:
            raise late
        return left


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, clock: _Clock) -> None:
        self._inner, self._clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], self._clock.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self._clock)


@contextlib.contextmanager
def _broken() -> Iterator[None]:
    """What httpcore raises, as one error whose message says what was seen."""
    try:
        yield
    except httpcore.ConnectTimeout:
        raise Broken("no connection came about in time", is_late=True) from None
    except httpcore.TimeoutException:
        raise Broken("no answer came in time", is_late=True) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise Broken(_reason(error)) from None


def _reason(error: Exception) -> str:
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or 'the connection was cut'}"
    if isinstance(cause, OSError):
        return cause.strerror or str(cause) or type(cause).__name__
    return f"the answer was cut off or is no HTTP: {error}"
