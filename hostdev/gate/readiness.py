"""What keeps functions from a VM, as codes alone; VFs that are alike are judged once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate.check import platform_findings, together_findings
from hostdev.inventory.machine import Machine, PciFunction


class Readiness:
    """Judges functions of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._known: dict[object, tuple[str, ...]] = {}
        nodes = machine.vfio.nodes
        self._nodes = None if nodes is None else frozenset(nodes)

    def blockers(self, members: tuple[PciAddress, ...]) -> tuple[str, ...]:
        """The codes of what stands in the way of giving these functions to one VM."""
        return (*self._of_host, *self.refusals(members))

    def refusals(self, members: tuple[PciAddress, ...]) -> tuple[str, ...]:
        """The same without what the host lacks for any device."""
        alike = self._likeness(members[0]) if len(members) == 1 else None
        if alike is None:
            return self._judge(members)
        found = self._known.get(alike)
        if found is None:
            found = self._known[alike] = self._judge(members)
        return found

    def _judge(self, members: tuple[PciAddress, ...]) -> tuple[str, ...]:
        return _codes(together_findings(self._machine, members))

    @cached_property
    def _of_host(self) -> tuple[str, ...]:
        return _codes(platform_findings(self._machine))

    @cached_property
    def _has_unread(self) -> bool:
        return any("/bus/pci/devices/" in path or "/iommu_groups/" in path for path, _ in self._machine.unread)

    def _likeness(self, address: PciAddress) -> object | None:
        """What decides about a VF that is alone in its IOMMU group; None where it has to be judged by itself."""
        function = self._machine.functions[address]
        group = self._machine.group_of(address)
        if function.physfn is None or group is None or len(group.members) > 1 or group.others or self._has_unread:
            return None
        return (
            function.physfn,
            function.driver,
            function.driver_override,
            function.device,
            function.removing,
            function.reset_methods,
            function.vendor_vgpu_type,
            function.use,
            function.netdevs,
            function.blocks,
            function.mdevs,
            group.type,
            group.name,
            group.reserved,
            self._openable(function, group.number),
        )

    def _openable(self, function: PciFunction, number: int) -> tuple[bool, bool, bool] | None:
        """Which of its nodes below /dev/vfio are there."""
        if self._nodes is None:
            return None
        device = function.vfio_dev
        return str(number) in self._nodes, device is not None, f"devices/{device}" in self._nodes


def _codes(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Errors, and warnings that what matters could not be seen: doubt is no yes."""
    return tuple(
        dict.fromkeys(
            finding.code
            for finding in findings
            if finding.severity is Severity.ERROR
            or (finding.code == HOST_UNREADABLE.code and finding.severity is Severity.WARNING)
        )
    )
