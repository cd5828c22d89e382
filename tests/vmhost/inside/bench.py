"""The prepared host as scenarios see it: domains are defined, started and taken away, and what is said is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import libvirt

from tests.vmhost.inside.scenario import Mismatch, expect

URI = "qemu:///system"
QEMU_LOGS = Path("/var/log/libvirt/qemu")
LOG_TAIL = 10


class Bench:
    """One connection to libvirt, and the words that were said during a scenario."""

    def __init__(self) -> None:
        # Without this, the library writes every error to stderr as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        self.connection = libvirt.open(URI)
        self.said: list[str] = []

    @contextmanager
    def defined(self, xml: str) -> Iterator[Any]:
        """A domain exists for a while."""
        domain = self.connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        try:
            yield domain
        finally:
            domain.undefine()

    @contextmanager
    def running(self, xml: str) -> Iterator[Any]:
        """A domain runs for a while, its processors stopped."""
        with self.defined(xml) as domain:
            try:
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            except libvirt.libvirtError as error:
                raise Mismatch(f"{domain.name()} did not start: {error}\n{_qemu_log(domain.name())}") from error
            try:
                yield domain
            finally:
                domain.destroy()

    def starts(self, xml: str) -> str:
        """The domain can be defined and started; the XML libvirt made of it while it ran."""
        with self.running(xml) as domain:
            return str(domain.XMLDesc())

    def define_refused(self, xml: str, words: str) -> None:
        """Libvirt does not take the domain, and says so in these words."""
        try:
            self.connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE).undefine()
        except libvirt.libvirtError as error:
            self._said(error, words)
        else:
            raise Mismatch(f"the domain was accepted; it should have been refused with: {words}")

    def start_refused(self, xml: str, words: str) -> None:
        """Libvirt takes the domain, but it cannot start, and says so in these words."""
        with self.defined(xml) as domain:
            try:
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            except libvirt.libvirtError as error:
                self._said(error, words)
                return
            with suppress(libvirt.libvirtError):
                domain.destroy()
            raise Mismatch(f"the domain started; it should have been refused with: {words}")

    def _said(self, error: Any, words: str) -> None:
        text = str(error)
        self.said.append(text)
        expect(words in text, f"libvirt said: {text}\nit should have said: {words}")


def _qemu_log(name: str) -> str:
    path = QEMU_LOGS / f"{name}.log"
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_TAIL:]) if path.exists() else ""
