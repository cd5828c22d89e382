"""A live libvirt: judge of what we wrote, and teller of who has a device. Nothing stays defined."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from domxml.document import Domain
from domxml.errors import BadInput, PassgateError, Refused
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from domxml.text import listed
from domxml.version import LibvirtVersion
from hostdev.cli.libvirtclient import connect, refusal, unreachable
from hostdev.holders.claim import Claim, How
from hostdev.jsontext import load_object
from hostdev.printing import optional, output
from hostdev.vitals.guestview import GuestView, planned_place, read_query_pci

libvirt = optional.module("libvirt", "libvirt-python", extra="libvirt")

STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "shutting down",
    libvirt.VIR_DOMAIN_SHUTOFF: "shut off",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "suspended by its guest",
}
PAUSED_FOR = {
    libvirt.VIR_DOMAIN_PAUSED_USER: "by a user",
    libvirt.VIR_DOMAIN_PAUSED_MIGRATION: "for a migration",
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: "by an I/O error",
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: "by its watchdog",
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: "by a crash of the guest",
    libvirt.VIR_DOMAIN_PAUSED_STARTING_UP: "as it starts",
}


class Connection:
    """One connection; errors come back as sentences."""

    def __init__(self, uri: str, *, read_only: bool = False) -> None:
        self._uri = uri
        try:
            self._connection = connect(uri, read_only=read_only)
        except libvirt.libvirtError as error:
            raise unreachable(uri, error.get_error_message()) from None

    @property
    def version(self) -> LibvirtVersion:
        """Which libvirt answers."""
        return LibvirtVersion.from_number(self._connection.getLibVersion())

    def dump(self, name: str, *, inactive: bool) -> bytes:
        """The XML of a domain; `inactive` what a define replaces, passwords included, else what runs where it runs."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE if inactive else 0
        try:
            return str(self._connection.lookupByName(name).XMLDesc(flags)).encode()
        except libvirt.libvirtError as error:
            known = listed(sorted(domain.name() for domain in self._connection.listAllDomains()), most=8) or "none"
            raise BadInput(
                "no-such-domain",
                f"libvirt says: {error.get_error_message()}",
                subject=name,
                hint=f"domains of {self._uri}: {known}",
            ) from None

    def validate(self, given: bytes, result: bytes) -> str:
        """Let libvirt read the result and hand out addresses, as for a define; answer what it could not judge."""
        try:
            self._connection.domainXMLToNative("qemu-argv", result.decode(), 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise _refused(error) from None
        else:
            return ""
        return self._judge_by_define(given, result)

    def _judge_by_define(self, given: bytes, result: bytes) -> str:
        """For drivers that make no command line. Virt-launcher's own XML does not always fit libvirt's schema."""
        try:
            self._define(result, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        except libvirt.libvirtError as error:
            try:
                self._define(given, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            except libvirt.libvirtError:
                return self._judge_without_schema(result)
            raise _refused(error) from None
        return ""

    def _judge_without_schema(self, result: bytes) -> str:
        try:
            self._define(result, 0)
        except libvirt.libvirtError as error:
            raise _refused(error) from None
        return "note: libvirt's schema refuses the domain as it was given, so the result was not held against it"

    def _define(self, xml: bytes, flags: int) -> None:
        """Define it under a name that is not taken, and forget it at once."""
        domain = Domain.parse(xml)
        identity = uuid.uuid4()
        for tag, text in (("name", f"passgate-{identity}"), ("uuid", str(identity))):
            element = domain.root.find(tag)
            if element is None:
                element = etree.SubElement(domain.root, tag)
            element.text = text
        for entry in domain.root.iterfind("sysinfo/system/entry[@name='uuid']"):
            entry.text = str(identity)
        kind = self._connection.getType().lower()
        domain.root.set("type", kind)
        self._connection.defineXMLFlags(domain.serialise().decode(), flags).undefine()


def _refused(error: Any) -> Refused:
    return refusal(error.get_error_message(), "the XML was not printed; run with -o plan to see what was planned")


def ask_domains(uri: str, address: PciAddress) -> Iterator[Claim]:
    """Every running domain whose XML names the address."""
    try:
        connection = connect(uri, read_only=True)
        running = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        found = [(domain.name(), domain.XMLDesc()) for domain in running]
        connection.close()
    except libvirt.libvirtError as error:
        hint = "try qemu:///system or qemu:///session"
        raise unreachable(uri, error.get_error_message(), what="libvirt cannot be asked", hint=hint) from None
    for name, xml in found:
        try:
            element = Domain.parse(xml.encode()).host_devices.get(address)
        except PassgateError as error:
            output.note(f"note: domain {name} cannot be read: {error.sentence()}")
            continue
        if element is not None:
            yield Claim(How.DOMAIN, name, f"<{element.element.tag}> in {uri}", guest=name)


def view_devices(uri: str, devices: Sequence[HostDevice], *, ask_qemu: bool) -> dict[HostDevice, GuestView]:
    """How the running domains have these devices; QEMU itself is asked by a monitor command, which marks a domain."""
    try:
        connection = connect(uri, read_only=not ask_qemu)
        found: dict[HostDevice, GuestView] = {}
        for running in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            found |= _views_in(running, devices, ask_qemu=ask_qemu)
        connection.close()
    except libvirt.libvirtError as error:
        hint = "try qemu:///system or qemu:///session"
        raise unreachable(uri, error.get_error_message(), what="libvirt cannot be asked", hint=hint) from None
    return found


def _views_in(running: Any, devices: Sequence[HostDevice], *, ask_qemu: bool) -> dict[HostDevice, GuestView]:
    try:
        domain = Domain.parse(running.XMLDesc().encode())
        mine = [device for device in devices if device in domain.host_devices]
        state, reason = running.state()
    except libvirt.libvirtError:
        return {}  # It has ended since it was listed.
    except PassgateError as error:
        output.note(f"note: domain {running.name()} cannot be read: {error.sentence()}")
        return {}
    asked = _ask_qemu(running) if mine and ask_qemu else None
    views = {}
    for device in mine:
        alias, plan, path = planned_place(domain, device)
        qemu = read_query_pci(asked, alias) if asked is not None else None
        said = (STATES.get(state, "unknown"), PAUSED_FOR.get(reason, "") if state == libvirt.VIR_DOMAIN_PAUSED else "")
        views[device] = GuestView(domain.name, *said, alias, plan, path, qemu)
    return views


def _ask_qemu(running: Any) -> object | None:
    """What QEMU answers to `query-pci`; None where it does not."""
    try:
        import libvirt_qemu  # noqa: PLC0415  a package of its own in some distributions

        answer = load_object(libvirt_qemu.qemuMonitorCommand(running, '{"execute": "query-pci"}', 0))
    except (ImportError, libvirt.libvirtError, ValueError) as error:
        output.note(f"note: QEMU of {running.name()} could not be asked: {error}")
        return None
    found: object = answer.get("return", ())
    return found
