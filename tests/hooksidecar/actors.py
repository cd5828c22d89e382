"""Sidecars that do not do what they should: `python -P -m tests.hooksidecar.actors NAME [FLAG]…`."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Timer
from typing import Any, NoReturn

import grpc

from domxml.document import Domain
from domxml.transform import transform
from domxml.version import LibvirtVersion
from hooksidecar import main
from hostdev.printing.output import end_process
from tests.domxml.guestslots import wish
from tests.hooksidecar.domainhooks import ADDRESS, Simple
from tests.hooksidecar.wirebytes import message, only

Answer = Callable[[bytes], bytes]

INFO = "/kubevirt.hooks.info.Info/Info"
CLOUD_INIT = "/kubevirt.hooks.v1alpha3.Callbacks/PreCloudInitIso"
DEFINE = "/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain"
SHUTDOWN = "/kubevirt.hooks.v1alpha3.Callbacks/Shutdown"
CALLS = count(1)


def about(*versions: str, points: tuple[str, ...] = ("OnDefineDomain", "Shutdown")) -> bytes:
    listed = [message(f1=point) for point in points]
    return b"".join([message(f1="actor"), *(message(f3=point) for point in listed), *(message(f4=v) for v in versions)])


def serve(*sockets: str, **answers: Answer) -> NoReturn:
    """Answer Info, OnDefineDomain and Shutdown as told, for a while."""
    methods = {INFO: answers.get("info", lambda _: about("v1alpha3"))}
    methods |= {DEFINE: answers.get("define", lambda _: b""), SHUTDOWN: answers.get("shutdown", lambda _: b"")}

    methods |= {CLOUD_INIT: answers.get("cloud_init", lambda _: b"")}

    class Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            answer = methods.get(details.method)
            if answer is None:
                return None
            found: Answer = answer
            return grpc.unary_unary_rpc_method_handler(lambda request, _context: found(request))

    server = grpc.server(ThreadPoolExecutor(2), [Handler()])
    for name in sockets or ("actor.sock",):
        server.add_insecure_port(f"unix:{sys.argv[3]}/{name}")
    server.start()
    time.sleep(60)
    os._exit(9)


def exits(code: int) -> Answer:
    return lambda _: os._exit(code)


def ends_in(code: int) -> Answer:
    """Answer, and end a moment later."""

    def answer(_request: bytes) -> bytes:
        Timer(0.2, os._exit, (code,)).start()
        return b""

    return answer


def sleeps(_request: bytes) -> bytes:
    time.sleep(3)
    return b""


def says(text: bytes) -> Answer:
    return lambda _: text


def says_again(request: bytes) -> bytes:
    """The domain came as field 1, and goes as field 1."""
    return message(f1=only(request, 1))


def writes_cloud_init(answer: Answer) -> NoReturn:
    """Subscribes PreCloudInitIso too."""
    info = about("v1alpha3", points=("OnDefineDomain", "PreCloudInitIso", "Shutdown"))
    serve(info=says(info), define=says_again, cloud_init=answer, shutdown=ends_in(0))


def changes_the_password(request: bytes) -> bytes:
    older, newer = (only(request, number).replace(b"cloud-config", b"cloud-config\\n#") for number in (1, 3))
    return message(f1=older, f3=newer)


def speaks_no_grpc() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{sys.argv[3]}/dumb.sock")
        listener.listen()
        time.sleep(60)


def core(function: Answer) -> NoReturn:
    """The real server around another core."""
    end_process(main.main(sys.argv[2:], lambda _options: Simple(function)))


def with_settings(domain: bytes, **settings: Any) -> bytes:
    return transform(Domain.parse(domain), (wish("qat", ADDRESS, **settings),), libvirt=LibvirtVersion(99, 0)).xml


def forgets(domain: bytes) -> bytes:
    return with_settings(domain, rom_bar="off") if next(CALLS) == 1 else domain


def loses(domain: bytes) -> bytes:
    answered = with_settings(domain)
    return answered if next(CALLS) == 1 else re.sub(rb"<hostdev.*?</hostdev>", b"", answered, flags=re.DOTALL)


def wanders(domain: bytes) -> bytes:
    number = next(CALLS)
    return transform(Domain.parse(domain), (wish("qat", ADDRESS, f"0000:{0x10 + number:02x}:00.0"),)).xml


def misspells(domain: bytes) -> bytes:
    """libvirt drops what it does not know, and virt-launcher is not told."""
    return with_settings(domain, rom_bar="off").replace(b"<rom bar=", b"<rom baar=")


def knows_no_version(domain: bytes) -> bytes:
    """As for a libvirt that keeps a driver's model; 9.0 drops it."""
    return with_settings(domain, rom_bar="off", driverModel="qat_vfio_pci")


def shoves(domain: bytes) -> bytes:
    """A root port among those of libvirt: whoever would have sat on bus 1 has to go."""
    port = (
        b'<controller type="pci" index="1" model="pcie-root-port"/><hostdev mode="subsystem" type="pci" managed="no">'
    )
    device = b'<source><address domain="0" bus="0x3d" slot="2" function="2"/></source><alias name="ua-passgate-qat"/>'
    place = b'<address type="pci" domain="0" bus="1" slot="0" function="0"/></hostdev>'
    return (
        domain if b"ua-passgate-qat" in domain else domain.replace(b"</devices>", port + device + place + b"</devices>")
    )


def clashes(domain: bytes) -> bytes:
    """Two devices at one guest address."""
    answered = with_settings(domain)
    (device,) = re.findall(rb"<hostdev.*?</hostdev>", answered, flags=re.DOTALL)
    other = device.replace(b'function="0x2"', b'function="0x3"', 1).replace(b"passgate-qat", b"passgate-other")
    return answered.replace(device, device + other)


ACTORS: dict[str, Callable[[], object]] = {
    "cannot start": lambda: sys.exit("no"),
    "speaks no grpc": speaks_no_grpc,
    "info is late": lambda: serve(info=sleeps),
    "info is rubbish": lambda: serve(info=says(b"\xff\xff\xff")),
    "info is of tomorrow": lambda: serve(info=says(about("v2", "v3"))),
    "two sockets": lambda: serve("one.sock", "two.sock"),
    "dies of info": lambda: serve(info=exits(4)),
    "dies of a call": lambda: serve(define=exits(5)),
    "answer is rubbish": lambda: serve(define=says(b"\xff\xff\xff")),
    "answer is empty": serve,
    "answer is no domain": lambda: serve(define=says(message(f1=b"<network/>"))),
    "stays": lambda: serve(define=says_again),
    "dies of shutdown": lambda: serve(define=says_again, shutdown=exits(6)),
    "ends badly": lambda: serve(define=says_again, shutdown=ends_in(3)),
    "cloud-init is rubbish": lambda: writes_cloud_init(says(message(f1="{", f3="}"))),
    "changes the password": lambda: writes_cloud_init(changes_the_password),
    "forgets": lambda: core(forgets),
    "loses": lambda: core(loses),
    "wanders": lambda: core(wanders),
    "misspells": lambda: core(misspells),
    "knows no version": lambda: core(knows_no_version),
    "clashes": lambda: core(clashes),
    "shoves": lambda: core(shoves),
}


if __name__ == "__main__":
    ACTORS[sys.argv[1]]()
