"""The kernel's driver core in memory, written from a table of what Linux 6.12 and 7.2 did; no kernel is behind it.

`tests/hostdev/binding/test_drivercore.py` holds it against that table, and `tests/vmhost` does the same things to a
real kernel.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from domxml.pciaddress import PciAddress
from hostdev.binding import steps
from hostdev.binding.child import Answer, Writer
from hostdev.binding.effects import CLEAR, LINK, MODPROBE, Step, WriteFailed
from hostdev.binding.kernel import Kernel
from hostdev.binding.vfs import AUTOPROBE, is_number
from hostdev.binding.vfsettings import Readings, canonical
from hostdev.gate.rule import attribute_path
from hostdev.inventory.functions import vf_addresses
from hostdev.inventory.host import Host
from hostdev.inventory.machine import HostUse, IommuGroup, Machine, PciFunction
from hostdev.inventory.vfiodrivers import vfio_driver

T = TypeVar("T")
UNSET = {"mac": "00:00:00:00:00:00", "vlan": "0", "spoofchk": "on", "trust": "off"}
"""What a PF keeps for a VF that nothing was set of."""
WRITER = Writer(4194303, "1")
"""A process that is not there any more."""


class Hangs(Exception):
    """The write waits for the holder of the device."""


class Killed(BaseException):
    """The program ends here, as by kill -9: nothing of it goes on."""


@dataclass
class DriverCore(Kernel):
    """Drivers, overrides and holders of one machine."""

    machine: Machine
    registered: set[str] = field(default_factory=set)
    fits: dict[PciAddress, str] = field(default_factory=dict)
    """The driver of the host that matches a function by its numbers."""
    dynamic: set[PciAddress] = field(default_factory=set)
    """Functions whose numbers were given to vfio-pci by new_id."""
    broken: set[str] = field(default_factory=set)
    """Drivers whose probe fails."""
    held: set[PciAddress] = field(default_factory=set)
    """Functions whose device a VM has open."""
    waiting: list[tuple[PciAddress, str]] = field(default_factory=list)
    """Removals that wait for a holder, and the driver that `uevent` still shows."""
    miserly: bool = False
    """The kernel makes fewer VFs than it is told to, and only warns."""
    settings: dict[str, str] = field(default_factory=dict)
    """What PFs keep for their VFs, by the words of `ip` that set it."""
    files: dict[str, str] = field(default_factory=dict)
    """What drivers' files of their own say: services, quotas, types."""
    kill_at: int | None = None
    """The moment at which the program is killed, counted from 0."""
    moments: int = 0
    between: Callable[[Step], None] | None = None
    """What somebody else does between the look and the write."""
    _root: Path = field(default_factory=lambda: Path(mkdtemp(prefix="passgate-")))

    def __post_init__(self) -> None:
        (self._root / "sys").mkdir()
        self.registered |= {one.driver for one in self.machine.functions.values() if one.driver}
        self.fits |= {a: one.driver for a, one in self.machine.functions.items() if one.driver}

    def host(self) -> Host:
        return Host(self._root)

    def ask(self, look: Callable[[Host], T]) -> T:
        with self.host() as host:
            return look(host)

    def look_again(self, addresses: Collection[PciAddress]) -> Machine:
        return self.look(addresses)

    def look(self, addresses: Collection[PciAddress]) -> Machine:
        del addresses
        return self.machine

    def observe(self, step: Step) -> str:
        function = self.of(step.device)
        if step.write == LINK:
            return self.settings.get(step.value.rpartition(" ")[0], "")
        if is_number(step):
            return str(function.num_vfs)
        if step.write in self.files:
            return canonical(step.write, self.files[step.write])
        if step.write.endswith(f"/{AUTOPROBE}"):
            return str(int(bool(function.vf_autoprobe)))
        if step.write.endswith(steps.OVERRIDE):
            text = function.driver_override
            return "" if text in {None, "(null)"} else str(text)
        return function.driver or ""

    def attempt(self, work: Callable[[], Answer], deadline: float, begun: Callable[[Writer], None]) -> Answer | None:
        del deadline
        self._moment()
        begun(WRITER)
        self._moment()
        try:
            answer = work()
        except Hangs:
            return None
        self._moment()
        return answer

    def perform(self, step: Step) -> None:
        if self.between:
            between, self.between = self.between, None
            between(step)
        if step.write == MODPROBE:
            self._load(step.value)
        elif step.write.endswith(f"/{steps.OVERRIDE}"):
            self._set(self.of(step.device), driver_override=None if step.value == CLEAR else step.value)
        elif step.write == steps.PROBE:
            self._probe(self.of(step.value))
        elif step.write == LINK:
            key, _, value = step.value.rpartition(" ")
            self.settings[key] = value
        elif step.write in self.files:
            self._file(step.write, step.value)
        elif is_number(step):
            self._number(self.of(step.device), int(step.value))
        elif step.write.endswith(f"/{AUTOPROBE}"):
            self._set(self.of(step.device), vf_autoprobe=step.value == "1")
        else:
            self._unbind(step.write.split("/")[-2], self.of(step.value))

    def vf_settings(self, pfs: Collection[PciFunction]) -> Readings:
        """As real PFs: what nobody set reads as nothing set."""
        found: dict[tuple[PciAddress, str, int | None], str] = {}
        for pf in pfs:
            for number in range(pf.num_vfs or 0) if pf.netdevs else ():
                words = f"link set dev {pf.netdevs[0].name} vf {number}"
                for name, nothing in UNSET.items():
                    found[pf.address, name, number] = self.settings.get(f"{words} {name}", nothing)
            services = self.files.get(attribute_path(pf.address, "qat/cfg_services"))
            if services is not None:
                found[pf.address, "cfg_services", None] = services
        return Readings(found)

    def _file(self, path: str, value: str) -> None:
        """Services are taken by a device that is down, which one with VFs in use does not go; in its own order."""
        state = self.files.get(path.replace("cfg_services", "state"))
        if path.endswith("cfg_services") and state != "down":
            raise WriteFailed(os.strerror(errno.EINVAL))
        self.files[path] = ";".join(sorted(value.split(";"))) if path.endswith("cfg_services") else value

    def _number(self, pf: PciFunction, count: int) -> None:
        if pf.driver is None or vfio_driver(pf.driver):
            raise WriteFailed(os.strerror(errno.ENOENT))
        if count > (pf.total_vfs or 0):
            raise WriteFailed(os.strerror(errno.ERANGE))
        if count and pf.num_vfs and count != pf.num_vfs:
            raise WriteFailed(os.strerror(errno.EBUSY))
        old = [one for one in self.machine.functions.values() if one.physfn == pf.address]
        if count == 0:
            self.waiting += [(one.address, str(one.driver)) for one in old if one.address in self.held]
            if self.waiting:
                raise Hangs
        functions = {a: one for a, one in self.machine.functions.items() if one.physfn != pf.address}
        gone = {one.group for one in old}
        groups = {number: one for number, one in self.machine.groups.items() if number not in gone}
        made = vf_addresses(pf.address, count - (1 if self.miserly else 0), pf.vf_offset, pf.vf_stride)
        for group, vf in enumerate(made, max(groups, default=0) + 1):
            groups[group] = IommuGroup(group, (vf,))
            function = PciFunction(
                vf, pf.vendor, pf.device + 1, pf.class_code, group=group, physfn=pf.address, use=HostUse()
            )
            functions[vf] = function
            self.fits[vf] = f"{pf.driver}vf"
        functions[pf.address] = replace(pf, num_vfs=len(made), virtfns=made)
        self.machine = replace(self.machine, functions=functions, groups=groups)
        self.settings.clear()
        for vf in made:
            self._probe(self.machine.functions[vf])

    def of(self, device: str) -> PciFunction:
        found = self.machine.functions.get(PciAddress.parse(device))
        if found is None:
            raise WriteFailed(os.strerror(errno.ENODEV))
        return found

    def release(self) -> None:
        """The VMs end: what waited for them goes on."""
        self.held.clear()
        self.waiting.clear()

    def _moment(self) -> None:
        self.moments += 1
        if self.kill_at is not None and self.moments > self.kill_at:
            raise Killed

    def _set(self, function: PciFunction, **changes: object) -> None:
        functions = dict(self.machine.functions)
        functions[function.address] = replace(function, **changes)  # type: ignore[arg-type]
        nodes = {str(one.group) for one in functions.values() if one.vfio_dev and one.group is not None}
        vfio = replace(self.machine.vfio, nodes=("vfio", *sorted(nodes)))
        self.machine = replace(self.machine, functions=functions, vfio=vfio)

    def _load(self, module: str) -> None:
        name = module if vfio_driver(module) is None else str(vfio_driver(module) and vfio_driver(module).name)  # type: ignore[union-attr]
        self.registered.add(name)
        for function in self.machine.functions.values():
            if function.driver is None and name in self._candidates(function):
                self._probe(function)

    def _unbind(self, driver: str, function: PciFunction) -> None:
        if function.driver != driver:
            raise WriteFailed(os.strerror(errno.ENODEV))
        self._set(function, driver=None, vfio_dev=None)
        if function.address in self.held:
            self.waiting.append((function.address, driver))
            raise Hangs

    def _probe(self, function: PciFunction) -> None:
        if function.driver is not None or any(function.address == address for address, _ in self.waiting):
            return
        for name in self._candidates(function):
            if name in self.registered and name not in self.broken:
                if vfio_driver(name) is None and self._group_is_held(function):
                    raise WriteFailed(os.strerror(errno.EINVAL))
                self._set(function, driver=name, vfio_dev="vfio0" if vfio_driver(name) else None)
                return

    def _candidates(self, function: PciFunction) -> tuple[str, ...]:
        if function.driver_override is not None:
            return (function.driver_override,)
        parent = self.machine.functions.get(function.physfn) if function.physfn else None
        if parent and parent.vf_autoprobe is False:
            return ()
        dynamic = ("vfio-pci",) if function.address in self.dynamic else ()
        fit = self.fits.get(function.address)
        return (*dynamic, *((fit,) if fit else ()))

    def _group_is_held(self, function: PciFunction) -> bool:
        group = self.machine.group_of(function.address)
        return bool(group and self.held & set(group.members))
