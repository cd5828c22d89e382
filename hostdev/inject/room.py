"""Whether the guest's firmware has room for the BARs of the devices that go in, as far as it is known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from domxml.document import Domain
from domxml.finding import Finding, Severity
from domxml.kubevirt import LAST_PORT, is_made_by_kubevirt, spare_ports
from domxml.pciaddress import PciAddress
from domxml.version import OLDEST, LibvirtVersion
from hostdev.inventory.bars import BarKind, Bars

if TYPE_CHECKING:
    from hostdev.fit.firmware import Firmware
    from hostdev.inventory.machine import Machine

ALWAYS_FITS = 256 << 20
"""Bytes of memory that every firmware finds for the host devices of a guest."""


def has_to_be_judged(domain: Domain, machine: Machine) -> bool:
    """Whether a device of this domain is known to ask for much, or for I/O space, of which there is little."""
    told = [bars for device in domain.host_devices if (bars := _bars(machine, device)) is not None]
    registers = [bar for bars in told for bar in bars.own]
    return sum(bar.size for bar in registers) >= ALWAYS_FITS or any(bar.kind is BarKind.IO for bar in registers)


def _bars(machine: Machine, device: object) -> Bars | None:
    function = machine.functions.get(device) if isinstance(device, PciAddress) else None
    return None if function is None else function.bars


def kubevirt_ports(domain: Domain) -> int | None:
    """How many empty ports KubeVirt will add to this domain; None where it is the last that libvirt gets."""
    if not is_made_by_kubevirt(domain) or _is_placed(domain):
        return None
    return spare_ports(domain)


def _is_placed(domain: Domain) -> bool:
    """Whether libvirt has placed devices: then the passes that come know where everything is."""
    return any(
        address.get("type") == "pci"
        for tag in ("memballoon", "disk", "interface")
        for address in domain.devices.iterfind(f"{tag}/address")
    )


def room_findings(
    xml: bytes,
    machine: Machine | None,
    *,
    ports: int | None = None,
    libvirt: LibvirtVersion = OLDEST,
    firmware: Firmware | None = None,
) -> tuple[Finding, ...]:
    """Judge a domain with its devices in it. `ports` are those that will be added: it is judged with them and without.

    An error on one side alone is a warning. KubeVirt's placeholders leave their ports behind, which ask for as much.
    """
    if machine is None:
        return ()
    domain = Domain.parse(xml)
    if not has_to_be_judged(domain, machine):
        return ()
    from hostdev.fit.fit import fit  # noqa: PLC0415  most VMs have small devices
    from hostdev.fit.host import host_functions, node_of  # noqa: PLC0415

    node, functions = node_of(machine), host_functions(machine, domain.host_devices)
    now = fit(domain, functions, node, firmware=firmware, libvirt=libvirt)
    if not ports:
        return now.findings
    _add_ports(domain, ports)
    later = fit(Domain.parse(domain.serialise()), functions, node, firmware=firmware, libvirt=libvirt)
    if now.outcome is later.outcome:
        return later.findings
    return tuple(_softened(finding) for finding in later.findings or now.findings)


def _softened(finding: Finding) -> Finding:
    return finding._replace(severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding


def _add_ports(domain: Domain, count: int) -> None:
    taken = [int(one.get("index") or 0) for one in domain.devices.iterfind("controller[@type='pci']")]
    first = max(taken, default=0) + 1
    for index in range(first, min(first + count, LAST_PORT + 1)):
        etree.SubElement(domain.devices, "controller", type="pci", index=str(index), model="pcie-root-port")
