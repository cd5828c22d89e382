"""From a PF and a number to the writes that make so many VFs, set them up and put them on a driver. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.binding import steps
from hostdev.binding.drivers import UNKNOWN, Drivers
from hostdev.binding.effects import LINK, Effects, Step, effects_of
from hostdev.binding.journal import Before
from hostdev.binding.obstacles import weigh
from hostdev.binding.plan import bind
from hostdev.binding.vfsettings import (
    BY_NAME,
    UNREAD,
    Readings,
    Wanted,
    When,
    of_vfs,
    port_settings,
    read_settings,
    set_one,
    stop_and_set,
)
from hostdev.findings.binding import DRIVER_UNFIT
from hostdev.findings.sriov import (
    NO_VFS_POSSIBLE,
    TOO_MANY_VFS,
    VF_ADDRESSES_UNKNOWN,
    VF_SETTING_UNFIT,
    VFS_ALL_OR_NONE,
    VFS_IN_USE,
    VFS_MADE_ANEW,
    VFS_OFFLINE,
)
from hostdev.gate.driver import removal_finding
from hostdev.gate.hostuse import is_proved_unused, why_kept
from hostdev.gate.rule import attribute_evidence, attribute_path, driver_evidence
from hostdev.inventory.accelerators import is_qat
from hostdev.inventory.functions import NUMVFS, vf_addresses
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import GENERIC, is_on_vfio, vfio_driver

AUTOPROBE = "sriov_drivers_autoprobe"
AUTO, NONE, HOST = "auto", "none", "host"
"""The vfio driver, VFs that stay without a driver, and such that a driver of the host takes, whichever fits."""
_NVME = 0x0108
LIVE = "/"
"""The source of a picture of the running machine."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


def vfs(  # noqa: PLR0913  a wish is made of these
    machine: Machine,
    pf: PciFunction,
    count: int,
    settings: Mapping[str, str] = _NOTHING,
    despite: frozenset[str] = frozenset(),
    *,
    driver: str = GENERIC,
    drivers: Drivers = UNKNOWN,
    readings: Readings = UNREAD,
) -> Effects:
    """Give a PF so many VFs; those that it has stay where the number is right."""
    driver = GENERIC if driver == AUTO else driver
    against = [*map(removal_finding, teardowns(machine)), *_against(pf, count, machine.kernel.hypervisor)]
    if against:
        return effects_of((), against)
    wanted, unfit = read_settings(pf, count, settings)
    unfit += _undriven(pf, wanted, driver)
    if count == pf.num_vfs and all(_is_set_at_any_time(pf, one, readings) for one in wanted):
        effects = _as_they_are(machine, pf, driver, despite, drivers)
        own = tuple(sorted(vf.address for vf in _vfs_of(machine, pf)))
        first = [step for when in When for step in of_vfs(pf, own, wanted, when=when, readings=readings)]
        return effects_of((*first, *effects.steps), (*unfit, *effects.findings))
    addresses = vf_addresses(pf.address, count, pf.vf_offset, pf.vf_stride)
    findings = [
        *unfit,
        *_of_driver(pf, driver, drivers),
        *_of_old(machine, pf, count),
        *_of_new(machine, pf, count, addresses, driver),
    ]
    todo = [
        *_remade(pf, count, (*port_settings(pf, wanted), *of_vfs(pf, addresses, wanted, when=When.RESERVED))),
        *of_vfs(pf, addresses, wanted, when=When.MADE),
        *_driven(pf, addresses, driver, machine, drivers, new=bool(count)),
        *of_vfs(pf, addresses, wanted, when=When.DRIVEN),
    ]
    return effects_of(todo, weigh(findings, despite))


def _is_set_at_any_time(pf: PciFunction, wanted: Wanted, readings: Readings) -> bool:
    """A PF is stopped for some of its settings, which takes its VFs away: not for one that is so already."""
    return wanted.setting.when is not When.STOPPED or readings.is_so(pf.address, wanted)


def _undriven(pf: PciFunction, wanted: Iterable[Wanted], driver: str) -> Iterator[Finding]:
    for one in wanted:
        if one.setting.when is When.DRIVEN and (driver == NONE or vfio_driver(driver)):
            what = f"{one.setting.name}: the VF has it from the driver of its PF, and would be on {driver}"
            hint = f"say --driver {HOST}, or driver: {HOST} in a file"
            yield VF_SETTING_UNFIT.found(str(pf.address), what, hint=hint)


def teardowns(machine: Machine) -> Iterator[PciFunction]:
    """VFs whose removal by their PF waits: until it ends, every write of a number of VFs waits, of any PF.

    The kernel takes the links between the two away first: what is left is a function at a place for VFs.
    """
    loose = [one for one in machine.functions.values() if one.removing and one.physfn is None and not one.total_vfs]
    ports = [one for one in machine.functions.values() if one.total_vfs]
    for function in loose:
        if any(_has_place_for(function.address, port) for port in ports):
            yield function


def _has_place_for(address: PciAddress, port: PciFunction) -> bool:
    places = vf_addresses(port.address, port.total_vfs or 0, port.vf_offset, port.vf_stride)
    # Where they are not known, the bus of the PF is near enough.
    return address in places if places else (address.domain, address.bus) == (port.address.domain, port.address.bus)


def _against(pf: PciFunction, count: int, hypervisor: str) -> Iterator[Finding]:
    subject = str(pf.address)
    if pf.removing:
        yield removal_finding(pf)
    elif pf.total_vfs is None:
        what = f"is a VF of {pf.physfn}" if pf.physfn else "has no SR-IOV that the kernel knows of"
        hint = f"name its PF {pf.physfn}" if pf.physfn else _of_a_vm(hypervisor)
        evidence = (attribute_evidence(pf.address, "sriov_totalvfs", None),)
        yield NO_VFS_POSSIBLE.found(subject, what, hint=hint, evidence=evidence)
    elif (pf.driver is None or is_on_vfio(pf)) and count:
        what = (
            f"is on {pf.driver}, which makes no VFs for VMs" if pf.driver else "has no driver, and only one makes VFs"
        )
        hint = f"passgate node unbind {pf.address}" if pf.driver else "load its driver, and write to drivers_probe"
        yield NO_VFS_POSSIBLE.found(subject, what, hint=hint, evidence=(driver_evidence(pf),))
    elif pf.driver == "nvidia" and count != pf.num_vfs:
        what = "is on nvidia, whose VFs are made and removed by NVIDIA's sriov-manage alone"
        verb = "-e" if count else "-d"
        hint = f"/usr/lib/nvidia/sriov-manage {verb} {pf.address}"
        yield NO_VFS_POSSIBLE.found(subject, what, hint=hint, evidence=(driver_evidence(pf),))
    elif pf.driver and is_qat(pf.driver) and 0 < count < pf.total_vfs:
        what = f"{count} VFs are asked for, and its driver {pf.driver} makes all {pf.total_vfs} or none"
        hint = f"ask for {pf.total_vfs}, or for 0"
        yield VFS_ALL_OR_NONE.found(subject, what, hint=hint, evidence=(driver_evidence(pf),))
    elif count > pf.total_vfs:
        hint = None if pf.total_vfs else "its firmware keeps VFs off: turn SR-IOV on in the firmware's setup"
        evidence = (attribute_evidence(pf.address, "sriov_totalvfs", pf.total_vfs),)
        yield TOO_MANY_VFS.found(
            subject, f"{count} VFs are asked for, and it can have {pf.total_vfs}", hint=hint, evidence=evidence
        )


def _of_a_vm(hypervisor: str) -> str | None:
    """QEMU hides SR-IOV of the devices that it hands on."""
    if not hypervisor:
        return None
    return f"the node is a VM of {hypervisor}: VFs are made where the VM runs, and given to it one by one"


def _of_driver(pf: PciFunction, driver: str, drivers: Drivers) -> Iterator[Finding]:
    known = driver in {NONE, HOST} or vfio_driver(driver) is not None
    if not known and drivers.registered is not None and driver not in drivers.registered:
        what = f"{driver} is no vfio driver, and none that this kernel has loaded"
        hint = f"say --driver {GENERIC}, {NONE}, {HOST}, or load the driver first"
        yield DRIVER_UNFIT.found(str(pf.address), what, hint=hint)


def _of_old(machine: Machine, pf: PciFunction, count: int) -> Iterator[Finding]:
    """What stands against removing the VFs that there are."""
    if not pf.num_vfs:
        return
    for vf in _vfs_of(machine, pf):
        yield from against_loss(machine, vf)
    if count:
        yield VFS_MADE_ANEW.found(
            str(pf.address),
            f"its {pf.num_vfs} VFs are removed, and {count} are made",
            evidence=(attribute_evidence(pf.address, NUMVFS, pf.num_vfs),),
        )


def against_loss(machine: Machine, vf: PciFunction) -> Iterator[Finding]:
    """What the host would lose with a VF; whether a VM has it is asked of its holders."""
    if vf.removing:
        yield removal_finding(vf)
    elif vf.mdevs or vf.vendor_vgpu_type or not is_proved_unused(machine, vf):
        why = why_kept(machine, vf) or "a vGPU was made of it"
        yield VFS_IN_USE.found(str(vf.address), why, evidence=(driver_evidence(vf),))


def _of_new(
    machine: Machine, pf: PciFunction, count: int, addresses: Sequence[PciAddress], driver: str
) -> Iterator[Finding]:
    if count and not addresses:
        evidence = (attribute_evidence(pf.address, "sriov_offset", pf.vf_offset),)
        # Where they shall go to a driver, a change that only makes them is not what was asked for.
        severity = Severity.ERROR if machine.source == LIVE and driver != NONE else None
        what = "the addresses of its VFs are not known: their settings and drivers are not planned"
        yield VF_ADDRESSES_UNKNOWN.found(str(pf.address), what, severity=severity, evidence=evidence)
    if count and pf.class_code >> 8 == _NVME:
        yield VFS_OFFLINE.found(str(pf.address), f"its {count} VFs have no queues, and are offline")


def _vfs_of(machine: Machine, pf: PciFunction) -> list[PciFunction]:
    return [one for one in machine.functions.values() if one.physfn == pf.address]


def _remade(pf: PciFunction, count: int, settings: Iterable[Step]) -> Iterator[Step]:
    """To the number of VFs over 0, with drivers kept off the new ones."""
    if pf.num_vfs:
        yield number(pf.address, 0, f"its {pf.num_vfs} VFs are removed")
    yield from settings
    if count:
        if pf.vf_autoprobe:
            yield autoprobe(pf.address, on=False)
        yield number(pf.address, count, f"{count} VFs are made")


def _driven(  # noqa: PLR0913  a wish is made of these
    pf: PciFunction, addresses: Sequence[PciAddress], driver: str, machine: Machine, drivers: Drivers, *, new: bool
) -> Iterator[Step]:
    """The new VFs on their driver, and the PF's autoprobe as it was."""
    known = vfio_driver(driver)
    if addresses and known:
        goal = known.name
        if goal not in (drivers.registered or ()) and goal.replace("-", "_") not in machine.vfio.modules:
            yield steps.load(goal, pf.address)
        for vf in addresses:
            yield steps.override(vf, goal)
            yield steps.probe(vf, goal)
    if new and pf.vf_autoprobe:
        yield autoprobe(pf.address, on=True)
    # A driver of the host takes VFs only while that is on.
    for vf in addresses if driver != NONE and not known else ():
        yield steps.probe(vf, None if driver == HOST else driver)


def _as_they_are(machine: Machine, pf: PciFunction, driver: str, despite: frozenset[str], drivers: Drivers) -> Effects:
    """The number is right: the VFs that are on no vfio driver yet are bound."""
    if vfio_driver(driver) is None:
        return effects_of((), _of_driver(pf, driver, drivers))
    elsewhere = [vf for vf in _vfs_of(machine, pf) if not is_on_vfio(vf)]
    return bind(machine, elsewhere, driver, despite=despite, drivers=drivers) if elsewhere else effects_of((), ())


def number(pf: PciAddress, count: int, why: str) -> Step:
    return Step(attribute_path(pf, NUMVFS), str(count), why, str(pf), expect=str(count))


def autoprobe(pf: PciAddress, *, on: bool) -> Step:
    why = "drivers may take new VFs again" if on else "no driver of the host takes the new VFs"
    return Step(attribute_path(pf, AUTOPROBE), str(int(on)), why, str(pf), expect=str(int(on)))


def is_number(step: Step) -> bool:
    """Whether a step makes or removes VFs."""
    return step.write.endswith(f"/{NUMVFS}")


def sets_up(step: Step) -> bool:
    """Whether a step changes what VFs are set up with, or takes it away with them."""
    return is_number(step) or step.write == LINK or step.write.endswith(f"/{BY_NAME[SERVICES].file}")


def restore_vfs(pf: Before, now: PciFunction, lost: Sequence[Before], *, stopped_for: bool) -> Iterator[Step]:
    """A PF's VFs as they were before: as many, each with what it was set up with, on its driver with its override.

    `stopped_for` says that the change stopped the PF for a setting of its own.
    """
    had = pf.num_vfs or 0
    services = (pf.settings or {}).get(SERVICES) if stopped_for else None
    remade = had != now.num_vfs or services is not None
    off = False
    if remade:
        if now.num_vfs:
            yield number(pf.address, 0, f"the {now.num_vfs} VFs are removed again")
        if services is not None:
            yield from stop_and_set(pf.address, BY_NAME[SERVICES], services, "as it was before")
        if had:
            off = True
            yield autoprobe(pf.address, on=False)
            yield number(pf.address, had, f"the {had} VFs are made again")
            places = vf_addresses(pf.address, had, now.vf_offset, now.vf_stride) or tuple(one.address for one in lost)
            for vf in (one for one in lost if one.address in places):
                yield from settings_before(now, vf, places.index(vf.address))
            for vf in lost:
                yield from _as_before(vf)
    if pf.autoprobe is not None and (off or now.vf_autoprobe != pf.autoprobe):
        yield autoprobe(pf.address, on=pf.autoprobe)


SERVICES = "cfg_services"
_NO_MAC = "00:00:00:00:00:00"
_AS_MADE = frozenset({("mac", _NO_MAC), ("vlan", "0"), ("trust", "off")})
"""What a VF has of which nothing was set."""


def settings_before(pf: PciFunction, vf: Before, number: int, names: frozenset[str] | None = None) -> Iterator[Step]:
    """What the PF kept for a VF: of a VF that is made again what it does not have by itself, else these names."""
    for name, value in (vf.settings or {}).items():
        given = (name, value) not in _AS_MADE if names is None else name in names
        if given and pf.netdevs:
            yield set_one(pf, vf.address, Wanted(BY_NAME[name], value, number), f"VF {number}: as it was before")


def _as_before(vf: Before) -> Iterator[Step]:
    if vf.driver is not None:
        yield steps.override(vf.address, vf.driver, "as it was before")
        yield steps.probe(vf.address, vf.driver)
    if vf.override != vf.driver:
        yield steps.override(vf.address, vf.override, "as it was before")
