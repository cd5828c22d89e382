"""Every device that the VM's limits ask for must be named by some channel; what is missing is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from domxml.text import listed
from hostdev.allocation.allocation import Allocation, Gathered, Usb
from hostdev.findings.allocation import (
    ALLOCATION_FILE_UNREADABLE,
    DEVICE_NAME_UNREADABLE,
    DEVICE_NOT_FOR_VFIO,
    RESOURCE_NAME_AMBIGUOUS,
    VARIABLE_UNREADABLE,
)
from hostdev.findings.matching import ALLOCATION_MISSING, RESOURCES_SHARE_NAMES
from hostdev.vmi.request import Request

IGNORE = 'or except it: passgate.dev/policy: \'{"ignore": ["%s"]}\''
_CAUSES = (
    *(ALLOCATION_FILE_UNREADABLE.code, DEVICE_NAME_UNREADABLE.code, DEVICE_NOT_FOR_VFIO.code),
    *(RESOURCE_NAME_AMBIGUOUS.code, VARIABLE_UNREADABLE.code),
)
"""What may be the reason that a device is not named, the surest first."""


def unaccounted_resources(
    limits: Mapping[str, int], spec_devices: Mapping[str, int], requests: Iterable[Request], gathered: Gathered
) -> Iterator[Finding]:
    """Tell of each resource in the limits for which too few devices are named; `spec_devices` come beside them."""
    told = {one.device for one in gathered.allocations}
    # Of devices named outright nothing says of which resource they are; they stand for those that are missing.
    spare = len({request.address for request in requests if request.address is not None} - told)
    for resource, count in limits.items():
        family = resource.partition("/")[0]
        # KubeVirt passes USB devices of its spec, and of the limits none.
        kinds = (PciAddress, Mdev, Usb) if spec_devices.get(resource) else (PciAddress, Mdev)
        devices = [one for one in gathered.allocations if isinstance(one.device, kinds)]
        exact = [one for one in devices if one.resource == resource]
        alike = [one for one in devices if not one.resource and one.family == family]
        sharing = [name for name in (*limits, *spec_devices) if name.startswith(f"{family}/")]
        wanted = count + spec_devices.get(resource, 0)
        if len(exact) >= wanted:
            continue
        if alike and len(set(sharing)) > 1:
            yield _shared(resource, sorted(set(sharing)), alike)
            continue
        lacking = wanted - len(exact) - len(alike)
        if lacking > spare:
            yield _missing(resource, wanted, [*exact, *alike], gathered)
        spare -= max(0, lacking)


def _shared(resource: str, sharing: list[str], alike: list[Allocation]) -> Finding:
    names = listed(one.told_by[0].rpartition(" ")[2] for one in alike)
    what = f"{names} may be of {listed(sharing)}: the names do not tell which"
    return RESOURCES_SHARE_NAMES.found(resource, what)


def _missing(resource: str, wanted: int, seen: list[Allocation], gathered: Gathered) -> Finding:
    devices = listed(f"{one.device} ({one.told_by[0]})" for one in seen) or "nothing"
    what = f"{wanted} in the limits, seen: {devices}; {_looked(resource, gathered)}"
    ignore = IGNORE % resource
    cause = _cause(resource, gathered.findings)
    if cause is None:
        return ALLOCATION_MISSING.found(resource, what, hint=f"let the agent or the policy pass it on, {ignore}")
    what = f"{what}; {cause.message}"
    return cause._replace(severity=Severity.ERROR, subject=resource, message=what, hint=f"{cause.hint}, {ignore}")


def _cause(resource: str, findings: Iterable[Finding]) -> Finding | None:
    """What was noticed about the resource itself, else about a whole channel."""
    known = [finding for finding in findings if finding.code in _CAUSES]
    ranked = sorted(known, key=lambda finding: (finding.subject != resource, _CAUSES.index(finding.code)))
    return next(iter(ranked), None)


def _looked(resource: str, gathered: Gathered) -> str:
    granted = gathered.grants.get(resource)
    told = f", kubelet gave {granted}" if granted is not None else ""
    return "looked at: " + ", ".join(gathered.looked_at) + told if gathered.looked_at else "no channel was given"
