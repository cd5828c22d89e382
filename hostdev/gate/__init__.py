"""The gate: may these devices be given to one VM. Pure checks over a Machine; every verdict is made of findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.gate import device, driver, group, hostuse, iommu, presence, sriov, together, unread, vfio
from hostdev.gate.group import group_verdict
from hostdev.gate.rule import Rule, View
from hostdev.gate.verdict import GroupVerdict, MemberVerdict, Verdict
from hostdev.machine import Machine, PciFunction

__all__ = ["check", "judge", "group_verdict", "Verdict", "GroupVerdict", "MemberVerdict", "HOST_RULES", "device_rules"]

HOST_RULES: tuple[Rule[Machine], ...] = (*iommu.RULES, *vfio.HOST_RULES)
_BRIDGE_RULES = device.KIND_RULES
_DEVICE_RULES: tuple[Rule[View], ...] = (
    *device.KIND_RULES,
    *sriov.RULES,
    *group.RULES,
    *driver.RULES,
    *vfio.DEVICE_RULES,
    *device.OTHER_RULES,
    *hostuse.RULES,
)

_NOBODY: Mapping[PciAddress, str] = MappingProxyType({})


def check(
    machine: Machine,
    wanted: Iterable[PciAddress],
    *,
    mdevs: Iterable[str] = (),
    held: Mapping[PciAddress, str] = _NOBODY,
    viommu: bool = False,
) -> tuple[Finding, ...]:
    """Everything found about giving these devices to one VM: the host's findings first, then each device's.

    `held` tells which devices somebody else has, and who it is; `viommu` that the VM has a virtual IOMMU.
    """
    asked = tuple(wanted)
    addresses = tuple(dict.fromkeys(asked))
    findings = [
        *unread.everything(machine),
        *(finding for rule in HOST_RULES for finding in rule.find(machine)),
        *together.duplicates(asked),
        *(finding for address in addresses for finding in _of_device(machine, address, frozenset(addresses))),
        *together.held_elsewhere(machine, addresses, held),
        *(together.split_by_viommu(machine, addresses) if viommu else ()),
        *together.missing_mdevs(machine, mdevs),
    ]
    return tuple(dict.fromkeys(findings))


def device_rules(function: PciFunction) -> tuple[Rule[View], ...]:
    """The questions to ask of a function: of a bridge only the one that refuses it."""
    return _BRIDGE_RULES if function.bridge else _DEVICE_RULES


def judge(machine: Machine, address: PciAddress) -> Verdict:
    """Whether one device may be given to a VM; the modules and nodes of the host are left to `check`."""
    return Verdict(address, tuple(_of_device(machine, address, frozenset({address}))))


def _of_device(machine: Machine, address: PciAddress, wanted: frozenset[PciAddress]) -> Iterator[Finding]:
    yield from presence.find(machine, address)
    function = machine.functions.get(address)
    if function is not None:
        view = View(machine, function, wanted)
        for rule in device_rules(function):
            yield from rule.find(view)
