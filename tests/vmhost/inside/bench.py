"""The prepared host as scenarios see it: domains are defined, started and taken away, and what is said is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import libvirt

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import guest, pci
from tests.vmhost.inside.scenario import Mismatch, Row, expect

URI = "qemu:///system"
QEMU_LOGS = Path("/var/log/libvirt/qemu")
LOG_TAIL = 10


class Bench:
    """One connection to libvirt, and the rows of evidence of a scenario."""

    def __init__(self) -> None:
        # Without this, the library writes every error to stderr as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        self.connection = libvirt.open(URI)
        self.rows: list[Row] = []

    @contextmanager
    def bound(self, *addresses: PciAddress) -> Iterator[None]:
        """Devices are on vfio-pci for a while."""
        before = {address: pci.driver(address) for address in addresses}
        try:
            for address in addresses:
                pci.bind(address)
            yield
        finally:
            for address, driver in before.items():
                self.forget(address)
                expect(pci.driver(address) == driver, f"{address} is on {pci.driver(address)}, it was on {driver}")

    def forget(self, address: PciAddress) -> None:
        """Let libvirt forget that a device was set aside: it would never again ask whether it is."""
        name = f"pci_{re.sub('[.:]', '_', str(address))}"
        self.connection.nodeDeviceLookupByName(name).reAttach()

    def record(self, tried: str, predicted: str, said: str) -> None:
        """Keep a row of evidence."""
        self.rows.append(Row(tried, predicted, said))

    @contextmanager
    def defined(self, xml: str, *, validate: bool = True) -> Iterator[Any]:
        """A domain exists for a while."""
        domain = self.connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE if validate else 0)
        try:
            yield domain
        finally:
            domain.undefine()

    @contextmanager
    def running(self, xml: str, *, validate: bool = True) -> Iterator[Any]:
        """A domain runs for a while, its processors stopped."""
        with self.defined(xml, validate=validate) as domain:
            self.start(domain)
            try:
                yield domain
            finally:
                domain.destroy()

    def start(self, domain: Any) -> None:
        """Start it with its processors stopped."""
        try:
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        except libvirt.libvirtError as error:
            raise Mismatch(f"{domain.name()} did not start: {error}\n{_qemu_log(domain.name())}") from error

    def starts(self, xml: str) -> str:
        """The domain can be defined and started; the XML libvirt made of it while it ran."""
        with self.running(xml) as domain:
            live = str(domain.XMLDesc())
            self.record(f"start {domain.name()}", "it starts", f"started: {guest.shown(guest.sources(live))}")
            return live

    def forced(self, xml: str) -> str:
        """What libvirt says when it shall start the domain; empty where it starts."""
        with self.defined(xml) as domain:
            try:
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            except libvirt.libvirtError as error:
                return str(error)
            with suppress(libvirt.libvirtError):
                domain.destroy()
            return ""

    def define_refused(self, xml: str, words: str) -> None:
        """Libvirt does not take the domain, and says so in these words."""
        text = ""
        try:
            self.connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE).undefine()
        except libvirt.libvirtError as error:
            text = str(error)
        self._refused("define", text, words)

    def start_refused(self, xml: str, words: str) -> None:
        """Libvirt takes the domain, but it cannot start, and says so in these words."""
        self._refused("start", self.forced(xml), words)

    def _refused(self, verb: str, text: str, words: str) -> None:
        expect(text, f"libvirt did {verb} the domain; it should have been refused with: {words}")
        expect(words in text, f"libvirt said: {text}\nit should have said: {words}")
        self.record(verb, f"refused: {words}", text)


def _qemu_log(name: str) -> str:
    path = QEMU_LOGS / f"{name}.log"
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_TAIL:]) if path.exists() else ""
