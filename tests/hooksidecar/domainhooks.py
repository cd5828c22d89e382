"""The sidecar with another core: `python -m tests.hooksidecar.domainhooks NAME [FLAG]…`. All else is the real thing."""

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
from hostdev.inject import hook
from hostdev.inject.gather import Channels
from hostdev.printing.output import end_process
from tests.domxml.guestslots import wish

SECRET = "correct-horse-battery-staple"  # noqa: S105  a test looks for it where it must not be
ADDRESS = "0000:3d:02.2"
SMALL = b"<domain/>"


class Answer(NamedTuple):
    xml: bytes
    vm: str = "default/vm"
    devices: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    trouble: str = ""


class Simple:
    """A core that is one function; it counts the answers that go out."""

    def __init__(self, function: Callable[[bytes], bytes]) -> None:
        self._function = function
        self._passes = 0

    def define(self, domain: bytes, _vmi: bytes, /, *, deadline: float) -> Answer:
        assert deadline > time.monotonic()
        return Answer(self._function(domain), devices=(ADDRESS,))

    def keep(self, _answer: Answer, /) -> int:
        self._passes += 1
        return self._passes


class Fresh:
    """The real core, new for every call: it is always the first, which may refuse."""

    def define(self, domain: bytes, vmi: bytes, /, *, deadline: float) -> hook.Answer:
        core = hook.HookCore(lambda: Channels(environment={"QAT0": ADDRESS}), lambda: None)
        return core.define(domain, vmi, deadline=deadline)

    def keep(self, _answer: hook.Answer, /) -> int:
        return 1


def with_device(domain: bytes) -> bytes:
    return transform(Domain.parse(domain), (wish("qat", ADDRESS),)).xml


def slow(domain: bytes) -> bytes:
    time.sleep(0.5)
    return domain


def stuck(domain: bytes) -> bytes:
    if b"stuck" in domain:
        time.sleep(3600)
    return domain


def busy(domain: bytes) -> bytes:
    while b"stuck" in domain:
        pass
    return domain


def broken(domain: bytes) -> bytes:
    raise KeyError(SECRET + repr(domain))


def refuse(_domain: bytes) -> bytes:
    raise Refused("no-such-device", "there is no such device\n" * 30, subject=ADDRESS, hint="plug it in")


def blame(_domain: bytes) -> bytes:
    raise BadInput("malformed-xml", "the domain XML cannot be parsed", hint="mend it")


def unreadable(_domain: bytes) -> bytes:
    raise HostUnreadable("host-unreadable", "holds no sys/ directory", subject="/host")


def grow(domain: bytes) -> bytes:
    return domain if domain == SMALL else b"<domain>" + bytes(5 << 20)


CORES = {
    "blame": blame,
    "broken": broken,
    "busy": busy,
    "device": with_device,
    "grow": grow,
    "refuse": refuse,
    "same": lambda domain: domain,
    "slow": slow,
    "stuck": stuck,
    "unreadable": unreadable,
}

if __name__ == "__main__":
    end_process(
        main.main(sys.argv[2:], lambda _options: Fresh() if sys.argv[1] == "fresh" else Simple(CORES[sys.argv[1]]))
    )
