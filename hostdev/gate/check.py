"""The gate: may these devices be given to one VM. Pure checks over a Machine; every verdict is made of findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate import advice, device, driver, group, hostuse, iommu, sriov, unread, vfio, vm
from hostdev.gate.device import presence_findings
from hostdev.gate.rule import Rule, View
from hostdev.gate.verdict import Verdict
from hostdev.inventory.machine import Machine

if TYPE_CHECKING:
    # It loads lxml, which a look at a host does without.
    from domxml.source import HostDevice

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

_NOBODY: Mapping[PciAddress | str, str] = MappingProxyType({})


def check(  # noqa: PLR0913  what one VM has and asks for, each named by its caller
    machine: Machine,
    wanted: Iterable[PciAddress],
    *,
    mdevs: Iterable[str] = (),
    held: Mapping[PciAddress | str, str] = _NOBODY,
    viommu: bool = False,
    despite: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Everything found about giving these devices to one VM: the host's findings first, then each device's.

    `held` tells which devices, mediated ones by UUID, somebody else has, and who it is; `viommu` that the VM has a
    virtual IOMMU; `despite` names codes that are accepted of these devices.
    """
    asked, uuids = tuple(wanted), tuple(mdevs)
    addresses = tuple(dict.fromkeys(asked))
    accepted = frozenset(despite)
    findings = [
        *unread.host_findings(machine),
        *(finding for rule in HOST_RULES for finding in rule.find(machine)),
        *vm.duplicates(asked),
        *(found for address in addresses for found in _of_device(machine, address, frozenset(addresses), accepted)),
        *vm.held_elsewhere(machine, addresses, held),
        *(vm.split_by_viommu(machine, addresses) if viommu else ()),
        *vm.missing_mdevs(machine, uuids),
        *vm.mdevs_held_elsewhere(uuids, held),
    ]
    return tuple(dict.fromkeys(findings))


def enforce(
    machine: Machine,
    wanted: Iterable[HostDevice],
    *,
    held: Mapping[PciAddress | str, str] = _NOBODY,
    allowed: Collection[str] = (),
) -> tuple[Finding, ...]:
    """The same for a VM that is about to get them: refuse for the first error that is not allowed, tell the rest."""
    sources = tuple(wanted)
    addresses = [source for source in sources if isinstance(source, PciAddress)]
    mdevs = [source.uuid for source in sources if not isinstance(source, PciAddress)]
    findings = check(machine, addresses, mdevs=mdevs, held=held, despite=allowed)
    for finding in findings:
        if _stops(finding) and finding.code not in allowed:
            raise finding.refusal()
    return findings


def _stops(finding: Finding) -> bool:
    """An error, or a wanted device of which the host did not show what the verdict rests on: doubt is no yes."""
    return finding.severity is Severity.ERROR or (
        finding.code == HOST_UNREADABLE.code and finding.severity is Severity.WARNING
    )


def answers(view: View) -> list[tuple[Rule[View], tuple[Finding, ...]]]:
    """What each rule finds of a function, with hints that know of all the others; of a bridge only what refuses it."""
    rules = _BRIDGE_RULES if view.function.bridge else _DEVICE_RULES
    found = [(rule, tuple(rule.find(view))) for rule in rules]
    against = [
        *presence_findings(view.machine, view.address),
        *(finding for _, findings in found for finding in findings),
    ]
    return [(rule, advice.advise(view, findings, against)) for rule, findings in found]


def verdict_of(machine: Machine, address: PciAddress, despite: frozenset[str] = frozenset()) -> Verdict:
    """Whether one device may be given to a VM; the modules and nodes of the host are left to `check`."""
    return Verdict(address, tuple(_of_device(machine, address, frozenset({address}), despite)))


def _of_device(
    machine: Machine, address: PciAddress, wanted: frozenset[PciAddress], despite: frozenset[str]
) -> Iterator[Finding]:
    yield from presence_findings(machine, address)
    function = machine.functions.get(address)
    if function is not None:
        for _, findings in answers(View(machine, function, wanted, despite)):
            yield from findings
