"""Whether the guests of VMs have room for the BARs of their devices, on one machine of the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from domxml.errors import PassgateError
from hostdev.findings.fit import BAR_WINDOW_UNKNOWN
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine
from hostdev.jsonutil import as_object
from hostdev.kubevirt.channels import Asked, Given
from hostdev.kubevirt.pod import variable
from hostdev.kubevirt.releases import Release
from hostdev.kubevirt.vmplan import plan_vm
from hostdev.lint.admission.rule import EMPTY, at
from hostdev.lint.neighbours import Neighbours, neighbours
from hostdev.lint.objects import VM_KINDS, Object
from hostdev.lint.results import Result, result_at
from hostdev.vmi.annotations import DEVICES
from hostdev.vmi.file import manifest_of

ROOM = ("bar-", "io-window-")
"""How the codes begin that tell of it; whether a device may be given away is not asked before it is applied."""


def room_results(objects: Sequence[Object], machine: Machine, release: Release) -> Iterator[Result]:
    """Judge each VM that can be planned, with devices of this machine as the KubeVirt object hands them out."""
    around = neighbours(objects, VM_KINDS)
    for one in objects:
        if one.kind in VM_KINDS:
            yield from _vm_results(one, around, machine, release)


def _vm_results(one: Object, around: Neighbours, machine: Machine, release: Release) -> Iterator[Result]:
    from hostdev.findings.registry import ALL  # noqa: PLC0415  where a machine is named

    vmi = None
    try:
        vmi = manifest_of(as_object(one.value, "", "bad-vmi")).vmi
        wanted = vmi.asked
        devices = dict(_devices(wanted, around, machine))
        given = Given({variable("PCI_RESOURCE", name): ",".join(found) for name, found in devices.items()})
        asked = Asked(release, given, beside=around.beside(one), machine=machine, allowed=frozenset(ALL))
        found = plan_vm(one.value, asked).findings
    except PassgateError as error:
        # What KubeVirt or the sidecar would refuse, lint tells by rules of its own.
        if vmi and (vmi.asked or DEVICES in vmi.annotations):
            what = f"it could not be planned, and so it is not known whether there is room: {error.what}"
            hint = "see to what stands in the way of the plan; `passgate plan` tells more"
            yield result_at(one, BAR_WINDOW_UNKNOWN.found(one.name, what, hint=hint))
        return
    for resource in wanted.keys() - devices.keys():
        what = "which devices of the host are handed out under this name is not known, and so not what they ask for"
        hint = "name the file with the KubeVirt object, too; or ask passgate fit with the variable of the device plugin"
        yield result_at(one, BAR_WINDOW_UNKNOWN.found(resource, what, hint=hint))
    for finding in found:
        if finding.code.startswith(ROOM):
            yield result_at(one, finding)


def _devices(wanted: Mapping[str, int], around: Neighbours, machine: Machine) -> Iterator[tuple[str, list[str]]]:
    """The first devices of this machine that KubeVirt's device plugins would give for each resource."""
    for entry in at(around.kubevirt or EMPTY, "permittedHostDevices.pciHostDevices") or ():
        resource = entry.get("resourceName") if isinstance(entry, Mapping) else None
        if isinstance(resource, str) and wanted.get(resource):
            ids = str(entry.get("pciVendorSelector", "")).lower()
            there = [str(address) for address, known in sorted(machine.functions.items()) if pciids.ids(known) == ids]
            if there:
                yield resource, there[: wanted[resource]]
