"""/metrics and /healthz over real connections; clients that are slow, greedy or hostile hold nobody up."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pytest_mock import MockerFixture

from domxml.errors import BadInput, NotPermitted, PassgateError
from hooksidecar.nodewatch import web
from hooksidecar.nodewatch.web import CONNECTIONS, LARGEST, Web
from tests.hooksidecar.httpclient import ask
from tests.patience import PATIENCE, SOON

TEXT = b"passgate_build_info 1.0\n"


@contextlib.contextmanager
def serving(address: str = "127.0.0.1:0", *, trouble: Callable[[], str] = str) -> Iterator[Web]:
    served = Web(address, lambda: TEXT, trouble)
    served.start()
    try:
        yield served
    finally:
        served.close()


@pytest.fixture
def served() -> Iterator[Web]:
    with serving() as one:
        yield one


def raw(port: int, request: bytes) -> bytes:
    """The answer to these bytes; what a reset took away is empty."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client,
        contextlib.suppress(ConnectionError),
    ):
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))
    return b""


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/metrics", 200, TEXT),
        ("GET", "/metrics?name=x", 200, TEXT),
        ("GET", "/healthz", 200, b"ok\n"),
        ("GET", "/readyz", 200, b"ok\n"),
        ("GET", "/", 404, b"Not Found\n"),
        ("GET", "/metrics/../etc/passwd", 404, b"Not Found\n"),
        ("POST", "/metrics", 405, b"Method Not Allowed\n"),
        ("HEAD", "/metrics", 200, b""),
        ("HEAD", "/healthz", 200, b""),
        ("HEAD", "/nothing", 404, b""),
    ],
)
def test_pages(served: Web, method: str, path: str, status: int, body: bytes) -> None:
    response, got = ask(served.port, path, method)

    assert (response.status, got) == (status, body)
    assert response.headers["Connection"] == "close"
    if method == "HEAD":
        assert response.headers["Content-Length"] == ask(served.port, path)[0].headers["Content-Length"]


def test_kinds(served: Web) -> None:
    assert ask(served.port, "/metrics")[0].headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert ask(served.port, "/x", "PUT")[0].headers["Allow"] == "GET, HEAD"


def test_trouble() -> None:
    with serving(trouble=lambda: "no sweep for 90 s") as served:
        response, body = ask(served.port, "/healthz")

    assert (response.status, body) == (503, b"no sweep for 90 s\n")


def test_what_is_not_ready_need_not_start_anew() -> None:
    served = Web("127.0.0.1:0", bytes, str, lambda: "kubelet does not know the driver")
    served.start()
    with contextlib.closing(served):
        assert ask(served.port, "/healthz")[0].status == 200
        response, body = ask(served.port, "/readyz")

    assert (response.status, body) == (503, b"kubelet does not know the driver\n")


def test_a_defect_is_an_answer() -> None:
    def defect() -> str:
        raise KeyError

    with serving(trouble=defect) as served:
        assert ask(served.port, "/healthz")[0].status == 500
        assert ask(served.port, "/metrics")[0].status == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET  /metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/2\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET /" + b"\xff" * 40 + b" HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /" + b"a" * 2 * LARGEST + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * LARGEST, b"431"),
    ],
)
def test_requests_of_every_kind(served: Web, request_: bytes, status: bytes) -> None:
    got = raw(served.port, request_)

    assert got[9:12] == status or (not got and status == b"431")
    assert ask(served.port, "/healthz")[0].status == 200


def test_a_line_without_end(served: Web, mocker: MockerFixture) -> None:
    mocker.patch.object(web, "PATIENCE", PATIENCE)
    begun = time.monotonic()
    raw(served.port, b"GET /" + b"a" * (8 << 20))

    assert time.monotonic() - begun < SOON
    assert ask(served.port, "/healthz")[0].status == 200


def test_slow_clients_hold_nobody_up(served: Web, mocker: MockerFixture) -> None:
    mocker.patch.object(web, "PATIENCE", 3.0)
    slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(3 * CONNECTIONS)]
    for client in slow:
        with contextlib.suppress(ConnectionError):
            client.send(b"GET /metrics HTTP/1.1\r\nX: ")
    threads = threading.active_count()

    for _ in range(20):
        begun = time.monotonic()
        assert ask(served.port, "/healthz")[0].status == 200
        assert time.monotonic() - begun < web.PATIENCE
    assert threading.active_count() <= threads

    for client in slow:
        client.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            assert client.recv(1) == b"", "a client that never asked was still waited for"
        client.close()


def test_a_client_that_takes_nothing(mocker: MockerFixture) -> None:
    mocker.patch.object(web, "PATIENCE", 0.5)
    with contextlib.ExitStack() as stack:
        served = Web("127.0.0.1:0", lambda: b"x" * (64 << 20), str)
        served.start()
        stack.callback(served.close)
        client = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        time.sleep(1)

        assert ask(served.port, "/healthz")[0].status == 200
        assert len(b"".join(iter(lambda: client.recv(1 << 20), b""))) < 64 << 20, "it was still waited for"


@pytest.mark.parametrize("address", ["[::1]:0", ":0", "0.0.0.0:0", "[::]:0"])
def test_addresses(address: str) -> None:
    try:
        with serving(address) as served:
            host = "::1" if "[" in address else "127.0.0.1"
            assert ask(served.port, "/healthz", host=host)[0].status == 200
    except BadInput as error:
        if "[" in address:
            pytest.skip(f"no IPv6 here: {error}")
        raise


@pytest.mark.parametrize(
    "address",
    ["", "9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "::1:9100", "[1.2.3.4]:1",
     "example.com:80", "256.0.0.1:80", "[::1:9100", "127.0.0.1:٣"],
)  # fmt: skip
def test_no_address(address: str) -> None:
    with pytest.raises(BadInput) as refused:
        Web(address, bytes, str).start()

    assert refused.value.code == "bad-listen"
    assert "127.0.0.1:9100, [::1]:9100" in refused.value.hint


def test_a_port_that_is_taken(served: Web) -> None:
    address = f"127.0.0.1:{served.port}"
    with pytest.raises(BadInput) as refused:
        Web(address, bytes, str).start()

    assert refused.value.sentence() == (
        f"port-in-use: {address}: somebody else listens there: choose another port, or end the program that has it"
    )


def test_an_address_of_another_machine() -> None:
    with pytest.raises(PassgateError) as refused:
        Web("192.0.2.1:9100", bytes, str).start()

    assert refused.value.sentence().startswith("listen-impossible: 192.0.2.1:9100: Cannot assign requested address: ")


def test_a_port_that_is_not_ours(mocker: MockerFixture) -> None:
    denied = PermissionError(13, "Permission denied")
    mocker.patch.object(socket, "create_server", autospec=True, side_effect=denied)
    with pytest.raises(NotPermitted, match="Permission denied"):
        Web("127.0.0.1:80", bytes, str).start()


def test_close_frees_the_port_at_once() -> None:
    with serving() as served:
        client = socket.create_connection(("127.0.0.1", served.port))
    with serving(f"127.0.0.1:{served.port}") as again:
        assert ask(again.port, "/healthz")[0].status == 200
    client.close()
    served.close()
    Web("127.0.0.1:0", bytes, str).close()


def test_close_in_the_middle_of_everything() -> None:
    """Nothing is left open, whatever the moment: an unclosed socket would fail the test."""
    for number in range(30):
        with serving() as served:
            clients = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(5)]
            for client in clients[: number % 5]:
                client.send(b"GET /metrics HTTP/1.1\r\n\r\n"[: 5 * number])
        for client in clients:
            client.close()
    gc.collect()
