"""Whether the guest's firmware has room for the BARs of the devices that go in, as far as it is known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from domxml.document import Domain
from domxml.finding import Finding, Severity
from domxml.kubevirt import LAST_PORT
from domxml.pciaddress import read_number
from domxml.version import OLDEST, LibvirtVersion
from hostdev.inject.plan import asks_for_much

if TYPE_CHECKING:
    from hostdev.fit.firmware import Firmware
    from hostdev.fit.fit import Fit
    from hostdev.inventory.machine import Machine


def room_findings(
    xml: bytes,
    machine: Machine | None,
    *,
    ports: int = 0,
    libvirt: LibvirtVersion = OLDEST,
    firmware: Firmware | None = None,
) -> tuple[Finding, ...]:
    """Judge a domain with its devices in it. `ports` are those that will be added: it is judged with them and without.

    An error on one side alone is a warning. KubeVirt's placeholders leave their ports behind, which ask for as much.
    """
    domain = Domain.parse(xml)
    if machine is None or not asks_for_much(machine, domain.host_devices):
        return ()
    from hostdev.fit.fit import fit  # noqa: PLC0415  most VMs have small devices
    from hostdev.fit.inputs import host_functions, node_of  # noqa: PLC0415

    node, functions = node_of(machine), host_functions(machine, domain.host_devices)

    def judge(one: Domain) -> Fit:
        return fit(one, functions, node, firmware=firmware, libvirt=libvirt)

    now = judge(domain)
    if not ports:
        return now.findings
    if machine.cpu.physical_bits is None:
        # So many cases take a tenth of a second each time, and a sidecar has a fifth of a processor.
        return tuple(map(_softened, now.findings))
    _add_ports(domain, ports)
    later = judge(Domain.parse(domain.serialise()))
    if now.outcome is later.outcome:
        return later.findings
    return tuple(map(_softened, later.findings or now.findings))


def _softened(finding: Finding) -> Finding:
    return finding._replace(severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding


def _add_ports(domain: Domain, count: int) -> None:
    """Root ports as virt-launcher adds them: with the next indices, so that libvirt chooses their slots."""
    indices = (read_number(one.get("index")) for one in domain.devices.iterfind("controller[@type='pci']"))
    first = max((index for index in indices if index is not None), default=0) + 1
    for index in range(first, min(first + count, LAST_PORT + 1)):
        etree.SubElement(domain.devices, "controller", type="pci", index=str(index), model="pcie-root-port")
