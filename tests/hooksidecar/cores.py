"""The sidecar with another core: `python -m tests.hooksidecar.cores NAME [FLAG]…`. All else is the real thing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from domxml.document import Domain
from domxml.errors import BadInput, HostUnreadable, Refused
from domxml.finding import Finding
from domxml.transform import transform
from hooksidecar import main
from tests.domxml.wishes import wish

SECRET = "correct-horse-battery-staple"  # noqa: S105  a test looks for it where it must not be
ADDRESS = "0000:3d:02.2"


class Answer(NamedTuple):
    xml: bytes
    vm: str = "default/vm"
    devices: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    trouble: str = ""
    passes: int = 1


class Simple:
    """A core that is one function; it counts, and tells the count as its pass."""

    def __init__(self, function: Callable[[bytes], bytes]) -> None:
        self._function = function
        self._passes = 0

    def define(self, domain: bytes, _vmi: bytes, /, *, deadline: float) -> Answer:
        assert deadline > time.monotonic()
        xml = self._function(domain)
        self._passes += 1
        return Answer(xml, devices=(ADDRESS,), passes=self._passes)


def with_device(domain: bytes) -> bytes:
    return transform(Domain.parse(domain), (wish("qat", ADDRESS),)).xml


def slow(domain: bytes) -> bytes:
    time.sleep(0.5)
    return domain


def stuck(domain: bytes) -> bytes:
    if b"stuck" in domain:
        time.sleep(3600)
    return domain


def broken(domain: bytes) -> bytes:
    raise KeyError(SECRET + repr(domain))


def refuse(_domain: bytes) -> bytes:
    raise Refused("no-such-device", "there is no such device\n" * 30, subject=ADDRESS, hint="plug it in")


def blame(_domain: bytes) -> bytes:
    raise BadInput("malformed-xml", "the domain XML cannot be parsed", hint="mend it")


def unreadable(_domain: bytes) -> bytes:
    raise HostUnreadable("host-unreadable", "holds no sys/ directory", subject="/host")


def grow(_domain: bytes) -> bytes:
    return b"<domain>" + bytes(5 << 20)


CORES = {
    "blame": blame,
    "broken": broken,
    "device": with_device,
    "grow": grow,
    "refuse": refuse,
    "same": lambda domain: domain,
    "slow": slow,
    "stuck": stuck,
    "unreadable": unreadable,
}

if __name__ == "__main__":
    main.end(main.main(sys.argv[2:], lambda _options: Simple(CORES[sys.argv[1]])))
