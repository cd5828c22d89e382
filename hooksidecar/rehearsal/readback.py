"""What libvirt makes of a domain: a real one, in a process of its own because it may crash, or the stand-in."""

from __future__ import annotations

import json
import re
import selectors
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from domxml.document import Domain, Element
from domxml.errors import BadInput, Refused
from domxml.version import LibvirtVersion
from hostdev.cli import libvirtclient
from hostdev.kubevirt import standin
from hostdev.kubevirt.boot import Define

CHILD = Path(__file__).with_name("readback_child.py")
CLIENT = Path(libvirtclient.__file__).read_text()
"""What the child has in place of a module: its Python may have none of ours."""
PYTHONS = ((sys.executable,), ("/usr/bin/python3",))
"""Ours may have no libvirt binding where that of the distribution has one."""
NO_BINDING = 3
PATIENCE = 120.0
"""Seconds; an embedded driver probes its emulators before its first answer."""
WITHOUT = "without --connect a stand-in answers"
FAREWELL = 5.0
IDENTITY = ("name", "uuid")


ADDRESSES = "that libvirt gives the other devices the addresses that are predicted for them"
DEFINING = ("that libvirt takes these domains", "that libvirt keeps everything that is written in them")


class ReadBack(NamedTuple):
    """A libvirt, or its stand-in, that reads back."""

    define: Define
    version: str = ""
    """Of libvirt; the stand-in has none."""
    uri: str = ""
    cannot_prove: tuple[str, ...] = ()

    @property
    def real(self) -> bool:
        """It is libvirt that speaks."""
        return bool(self.version)


@contextmanager
def read_back(uri: str, pythons: Sequence[Sequence[str]] = PYTHONS) -> Iterator[ReadBack]:
    """The libvirt at this URI while the `with` block lasts; without a URI the stand-in."""
    if not uri:
        yield ReadBack(standin.define, cannot_prove=(*DEFINING, ADDRESSES))
        return
    for python in pythons:
        child = _Child([*python, "-I", "-c", CHILD.read_text(), uri, CLIENT])
        try:
            about = child.hear()
            if about is None and child.code() == NO_BINDING:
                continue
            yield _opened(child, uri, about)
            return
        finally:
            child.end()
    raise BadInput(
        "module-missing",
        "no Python here has libvirt's binding",
        subject=uri,
        hint=f"apt-get install python3-libvirt, or pip install 'passgate[libvirt]'; {WITHOUT}",
    )


def _opened(child: _Child, uri: str, about: dict[str, Any] | None) -> ReadBack:
    if about is None or "unreachable" in about:
        why = about["unreachable"] if about else f"it ended with {child.code()}"
        raise libvirtclient.unreachable(uri, why, hint=f"{libvirtclient.URIS}; {WITHOUT}")
    version: int = about["version"]

    def define(xml: bytes) -> bytes:
        domain = Domain.parse(xml)
        before = {tag: domain.root.findtext(tag) for tag in IDENTITY}
        fresh = uuid.uuid4()
        _identify(domain, {"name": f"passgate-{fresh}", "uuid": str(fresh)})
        domain.root.set("type", about["type"])
        fit_to_version(domain.root, version)
        child.say(domain.serialise().decode())
        answer = child.hear()
        if answer is None:
            raise Refused(
                "libvirt-crashes", f"libvirt's process ended with {child.code()} over this domain", subject=uri
            )
        if "refused" in answer:
            raise libvirtclient.refusal(answer["refused"])
        read = Domain.parse(answer["xml"].encode())
        _identify(read, before)
        return read.serialise()

    # The test driver parses and formats as any driver does, and hands out no addresses.
    cannot_prove = (ADDRESSES,) if about["type"] == "test" else ()
    return ReadBack(define, str(LibvirtVersion.from_number(version)), uri, cannot_prove)


def _identify(domain: Domain, values: dict[str, str | None]) -> None:
    """Give a name that is not taken, or give it back."""
    for tag, text in values.items():
        element = domain.root.find(tag)
        if text is None and element is not None:
            domain.root.remove(element)
        elif text is not None:
            (etree.SubElement(domain.root, tag) if element is None else element).text = text
    for entry in domain.root.iterfind("sysinfo/system/entry[@name='uuid']"):
        entry.text = domain.root.findtext("uuid")


class _Child:
    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  our own program
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def say(self, value: object) -> None:
        assert self._process.stdin is not None  # noqa: S101
        data = memoryview(json.dumps(value).encode() + b"\n")
        try:
            while data:
                data = data[self._process.stdin.write(data) or 0 :]
        except BrokenPipeError:
            return  # Its end is heard next.

    def hear(self) -> dict[str, Any] | None:
        """Its next line; None when it has ended."""
        assert self._process.stdout is not None  # noqa: S101
        until = time.monotonic() + PATIENCE
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise Refused("libvirt-silent", f"libvirt has not answered for {PATIENCE:.0f} s")
                chunk = self._process.stdout.read(1 << 16)
                if not chunk:
                    return None
                line += chunk
        answer: dict[str, Any] = json.loads(line)
        return answer

    def code(self) -> int:
        return self._process.wait(PATIENCE)

    def end(self) -> None:
        """Let it go; a driver that hangs is killed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=FAREWELL)
        self._process.kill()
        self._process.communicate()


OPTIONAL_SLOTS = 10_000_000
"""libvirt 9.0 refuses a maxMemory of no slots, 11.3 takes it."""

_DISTRIBUTION_MACHINES = (
    (re.compile(r"pc-q35-rhel.*"), "q35"),
    (re.compile(r"(?:pc-i440fx-)?rhel.*"), "pc"),
    (re.compile(r"virt-rhel.*"), "virt"),
    (re.compile(r"s390-ccw-virtio-rhel.*"), "s390-ccw-virtio"),
)


def fit_to_version(root: Element, version: int) -> None:
    """Say in the words of a libvirt of this version what it would not take as it stands. Nothing of it is about PCI."""
    for element in root.iterfind("os/type[@machine]"):
        for pattern, name in _DISTRIBUTION_MACHINES:
            if pattern.fullmatch(element.get("machine", "")):
                element.set("machine", name)
    if version < OPTIONAL_SLOTS:
        for element in root.findall("maxMemory[@slots='0']"):
            root.remove(element)
