"""PCI functions: each read by itself, or as one of the many VFs of a PF that are alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from domxml.pciaddress import PciAddress
from hostdev.inventory.attached import Attached
from hostdev.inventory.bars import Bars, parse_resource
from hostdev.inventory.host import Host
from hostdev.inventory.hostuse import HostUses
from hostdev.inventory.machine import NOT_LOOKED_AT, HostUse, PciFunction
from hostdev.inventory.pciclasses import BARS_TELL
from hostdev.inventory.sysfs import Addresses, flag, number

DEVICES = "sys/bus/pci/devices"
DRIVERS = "sys/bus/pci/drivers"
VIRTFN = "virtfn"
NUMVFS = "sriov_numvfs"
RESIZE = "resource{}_resize"
LEAST_RESIZABLE = 1 << 20
"""A smaller BAR is no resizable one."""
ROUTING_IDS = 0x10000
"""Bus, slot and function in one number: there are so many."""

_ROOT = re.compile(r"pci[0-9a-f]{4,8}:[0-9a-f]{2}", re.ASCII)
_NVIDIA = 0x10DE
_UNSET = frozenset({"", "(null)"})


@dataclass(frozen=True, slots=True)
class _Above:
    """Facts that all functions below one bridge share."""

    parent: PciAddress | None
    root: str


@dataclass(frozen=True, slots=True)
class _Sriov:
    """The PF's side of SR-IOV."""

    total: int | None = None
    enabled: int | None = None
    autoprobe: bool | None = None
    vfs: tuple[PciAddress, ...] = ()
    offset: int | None = None
    stride: int | None = None


_Hold = tuple[str | None, str | None, str | None, bool]
"""Driver, driver_override, the name below vfio-dev/, and whether the driver is being removed."""

_NO_SRIOV = _Sriov()
_NO_VF = (None, None, "")


class Functions:
    """Reads functions; remembers what it learns of bridges and PFs on the way."""

    def __init__(
        self, host: Host, addresses: Addresses, *, resets_known: bool, use: bool = True, bars: bool = False
    ) -> None:
        self._host = host
        self._addresses = addresses
        self._attached = Attached(host, addresses)
        self._uses = HostUses(self._attached) if use else None
        self._resets_known = resets_known
        self._wants_bars = bars
        self._above: dict[str, _Above] = {}
        self._drivers: dict[str, frozenset[str]] = {}
        self._vfs: dict[str, tuple[PciAddress, PciAddress, str]] = {}

    def each(self) -> dict[PciAddress, PciFunction]:
        """All functions of the host, VFs after the first of each PF by the little in which they differ from it."""
        found: dict[PciAddress, PciFunction] = {}
        first_vf: dict[PciAddress, PciFunction] = {}
        # Names are sorted; longer ones are of higher domains. A PF comes before its VFs.
        for name in sorted(self._host.names(DEVICES) or (), key=len):
            vf, pf, path = self._vfs.get(name, _NO_VF)
            first = first_vf.get(pf) if pf else None
            if vf and first:
                found[vf] = self._like(first, vf, name, path)
                continue
            address = self._addresses.of(name)
            function = self.one(address) if address else None
            if address and function:
                found[address] = function
                if pf and function.physfn == pf:
                    first_vf[pf] = function
            elif address is None:
                self._host.tell(f"{DEVICES}/{name}", "not a PCI address")
        return found

    def some(self, wanted: Iterable[PciAddress], *, relatives: bool = False) -> dict[PciAddress, PciFunction]:
        """Those of these functions that are there; of `relatives` it is not asked what the host does with them."""
        functions = ((address, self.one(address, use=not relatives)) for address in wanted)
        return {address: function for address, function in functions if function is not None}

    def one(self, address: PciAddress, *, use: bool = True) -> PciFunction | None:
        """One function, read in full; None if it is not there, or does not say what it is."""
        path = self._host.leads_to(f"{DEVICES}/{address}")
        uevent = self._host.read(f"{path}/uevent") if path else None
        if path is None or uevent is None:
            return None
        ids = identity(uevent)
        if ids is None:
            self._host.tell(f"{path}/uevent", "does not say which PCI function it is")
            return None
        model = self._hardware(address, path, ids)
        vfio = self._host.names(f"{path}/vfio-dev") if ids.driver and not model.bridge else None
        hold = (ids.driver, self._override(path), vfio[0] if vfio else None, self._is_removing(ids.driver, path, vfio))
        function = self._function(model, address, path, hold, use=use)
        # Said of PFs only, which are few.
        if model.total_vfs:
            return replace(function, vf_offset=model.vf_offset, vf_stride=model.vf_stride)
        return function

    def _like(self, first: PciFunction, address: PciAddress, name: str, path: str) -> PciFunction:
        """A VF that is what the first one is: the kernel, too, asks the first for what all of them are."""
        driver = first.driver
        if driver is None or name not in self._bound_to(driver):
            driver = self._host.link_name(f"{path}/driver")
        removing = False
        if driver is None and self._host.live:
            told = identity(self._host.read(f"{path}/uevent") or "")
            driver, removing = (told.driver, True) if told and told.driver else (None, False)
        vfio = self._attached.vfio.owned.get(name) if driver else None
        # Siblings on one vfio driver came there in the same way.
        override = first.driver_override if vfio and driver == first.driver else self._override(path)
        return self._function(first, address, path, (driver, override, vfio[0] if vfio else None, removing))

    def _is_removing(self, driver: str | None, path: str, vfio: list[str] | None) -> bool:
        """The link to the driver goes first, its name in `uevent` last: in between, a removal waits for a user."""
        return bool(driver and not vfio and self._host.live) and self._host.link(f"{path}/driver") is None

    def _hardware(self, address: PciAddress, path: str, ids: Identity) -> PciFunction:
        """Read what the hardware and the place decide, which the VFs of one PF share."""
        bridge = ids.is_bridge
        if bridge is None:
            bridge = self._host.exists(f"{path}/secondary_bus_number")
        physfn = None if bridge else self._addresses.of(self._host.link_name(f"{path}/physfn") or "")
        sriov = _NO_SRIOV if bridge or physfn else self._sriov(address, path)
        above = self._over(path.rpartition("/")[0])
        return PciFunction(
            address,
            ids.vendor,
            ids.device,
            ids.class_code,
            ids.subsystem_vendor,
            ids.subsystem_device,
            bridge=bridge,
            numa_node=self._node(path),
            parent=above.parent,
            root=above.root,
            physfn=physfn,
            virtfns=sriov.vfs,
            total_vfs=sriov.total,
            num_vfs=sriov.enabled,
            vf_autoprobe=sriov.autoprobe,
            vf_offset=sriov.offset,
            vf_stride=sriov.stride,
            reset_methods=None if bridge else self._resets(path),
            boot_vga=bool(ids.is_display and flag(self._host.read(f"{path}/boot_vga"))),
            bars=self._bars(path, ids, sriov.total, bridge=bridge),
        )

    def _function(
        self, model: PciFunction, address: PciAddress, path: str, hold: _Hold, *, use: bool = True
    ) -> PciFunction:
        """A function made of its hardware and of what holds it now."""
        driver, override, vfio_dev, removing = hold
        on_host, attached = driver is not None and vfio_dev is None and not model.bridge, self._attached
        vgpu = on_host and model.physfn is not None and model.vendor == _NVIDIA
        function = PciFunction(
            address,
            model.vendor,
            model.device,
            model.class_code,
            model.subsystem_vendor,
            model.subsystem_device,
            model.bridge,
            driver,
            override,
            number(self._host.link_name(f"{path}/iommu_group")),
            model.numa_node,
            model.parent,
            model.root,
            model.physfn,
            model.virtfns,
            model.total_vfs,
            model.num_vfs,
            model.vf_autoprobe,
            model.reset_methods,
            model.boot_vga,
            vfio_dev,
            attached.netdevs.of(address, path) if on_host and self._uses else (),
            attached.blocks.of(address) if on_host and self._uses else (),
            attached.mdevs.types(address) if on_host else (),
            attached.mdevs.devices(address) if on_host else (),
            number(self._host.read(f"{path}/nvidia/current_vgpu_type")) if vgpu else None,
            _use_by_driver(model, driver, vfio_dev),
            model.bars,
            removing,
        )
        looked = self._uses if use and vfio_dev is None else None
        return replace(function, use=looked.of(function, path)) if looked else function

    def _bound_to(self, driver: str) -> frozenset[str]:
        if driver not in self._drivers:
            self._drivers[driver] = frozenset(self._host.names(f"{DRIVERS}/{driver}") or ())
        return self._drivers[driver]

    def _override(self, path: str) -> str | None:
        override = self._host.read(f"{path}/driver_override")
        return None if override in _UNSET else override

    def _sriov(self, address: PciAddress, path: str) -> _Sriov:
        total = number(self._host.read(f"{path}/sriov_totalvfs"))
        if total is None:
            return _NO_SRIOV
        enabled = self._enabled(path)
        autoprobe = flag(self._host.read(f"{path}/sriov_drivers_autoprobe"))
        offset, stride = (number(self._host.read(f"{path}/sriov_{one}")) for one in ("offset", "stride"))
        vfs = self._vfs_of(address, path, min(enabled or 0, total), offset, stride)
        return _Sriov(total, enabled, autoprobe, vfs, offset, stride)

    def _enabled(self, path: str) -> int | None:
        """The number of VFs.

        A read of `sriov_numvfs` waits for the lock of the PF, unkillably: for ever where the removal of a VF, or of
        the PF, waits for a VM. The links to the VFs are there without it.
        """
        if not self._host.live:
            return number(self._host.read(f"{path}/{NUMVFS}"))
        links = self._host.names(path, prefix=VIRTFN)
        return None if links is None else len(links)

    def _vfs_of(
        self, pf: PciAddress, path: str, enabled: int, offset: int | None, stride: int | None
    ) -> tuple[PciAddress, ...]:
        if not enabled:
            return ()
        vfs = vf_addresses(pf, enabled, offset, stride)
        if not vfs:
            return self._linked_vfs(path)
        beside = path.rpartition("/")[0]
        for vf in vfs:
            name = str(vf)
            self._vfs[name] = vf, pf, f"{beside}/{name}"
        return vfs

    def _linked_vfs(self, path: str) -> tuple[PciAddress, ...]:
        """The same by virtfn0, virtfn1, …: kernels before 4.14 do not tell offset and stride."""
        names = sorted(self._host.names(path, prefix=VIRTFN) or (), key=lambda name: (len(name), name))
        vfs = (self._addresses.of(self._host.link_name(f"{path}/{name}") or "") for name in names)
        return tuple(vf for vf in vfs if vf is not None)

    def _over(self, directory: str) -> _Above:
        if directory not in self._above:
            parts = directory.split("/")
            self._above[directory] = _Above(
                # Below VMD a host bridge hangs under a function: that function is what leads there.
                self._addresses.last_in(directory),
                next((part for part in reversed(parts) if _ROOT.fullmatch(part)), ""),
            )
        return self._above[directory]

    def _node(self, path: str) -> int | None:
        """Its own node; snapshots of 0.1.0 hold only that of the bridge above."""
        own = self._host.read(f"{path}/numa_node")
        if own is None and self._addresses.of(path.rpartition("/")[0].rpartition("/")[2]):
            own = self._host.read(f"{path.rpartition('/')[0]}/numa_node")
        return number(own)

    def _bars(self, path: str, ids: Identity, total_vfs: int | None, *, bridge: bool) -> Bars | None:
        """Read `resource`, which wakes nothing.

        Of a resizable BAR only the name of its file is looked at: who reads that file wakes the device.
        """
        decides = ids.class_code >> 8 in BARS_TELL
        if not (decides or self._wants_bars):
            return None
        # Where the verdict does not rest on it, what cannot be read is no reason to doubt the verdict.
        text = self._host.read(f"{path}/resource", quiet=not decides)
        bars = parse_resource(text or "", bridge=bridge, total_vfs=total_vfs)
        if bars is None:
            return None
        large = (bar.index for bar in bars.own if bar.size >= LEAST_RESIZABLE)
        return bars._replace(resizable=tuple(i for i in large if self._host.exists(f"{path}/{RESIZE.format(i)}")))

    def _resets(self, path: str) -> tuple[str, ...] | None:
        file = f"{path}/reset_method"
        methods = self._host.read(file)
        if methods is None:
            # From 5.15 on the file is missing where there is no way to reset.
            return () if self._resets_known and not self._host.was_told(file) else None
        return tuple(methods.split())


def vf_addresses(pf: PciAddress, count: int, offset: int | None, stride: int | None) -> tuple[PciAddress, ...]:
    """The addresses of a PF's VFs, as the kernel works them out: by routing id, over bus numbers."""
    if not offset or stride is None:
        return ()
    first = (pf.bus << 8 | pf.slot << 3 | pf.function) + offset
    # A single VF may have no stride.
    ids = range(first, min(first + count * (stride or 1), ROUTING_IDS), stride or count)
    return tuple(PciAddress(pf.domain, i >> 8, i >> 3 & 31, i & 7) for i in ids)


_BRIDGES = frozenset({0x0604, 0x0607})
"""PCI-to-PCI and CardBus bridges always have a bus below them."""
_BRIDGE_FAMILY = 0x06


@dataclass(frozen=True, slots=True)
class Identity:
    """Numbers of a function, and the driver that holds it."""

    vendor: int
    device: int
    class_code: int
    subsystem_vendor: int | None
    subsystem_device: int | None
    driver: str | None

    @property
    def is_bridge(self) -> bool | None:
        """The class alone says that it has a bus below it, or none; None where it does not say."""
        if self.class_code >> 8 in _BRIDGES:
            return True
        return None if self.class_code >> 16 == _BRIDGE_FAMILY else False

    @property
    def is_display(self) -> bool:
        """A graphics controller, of any kind."""
        return self.class_code >> 16 == 0x03


def identity(uevent: str) -> Identity | None:
    """Read a uevent; None if it is not one of a PCI function."""
    lines = dict(line.split("=", 1) for line in uevent.splitlines() if "=" in line)
    try:
        vendor, device = _pair(lines["PCI_ID"])
        subvendor, subdevice = _pair(lines["PCI_SUBSYS_ID"]) if "PCI_SUBSYS_ID" in lines else (None, None)
        return Identity(vendor, device, int(lines["PCI_CLASS"], 16), subvendor, subdevice, lines.get("DRIVER"))
    except (KeyError, ValueError):
        return None


def _pair(text: str) -> tuple[int, int]:
    vendor, device = text.split(":")
    return int(vendor, 16), int(device, 16)


def _use_by_driver(model: PciFunction, driver: str | None, vfio_dev: str | None) -> HostUse:
    """What the driver alone tells of the use by the host."""
    # Without a driver nothing of the host has it, but for the console of the firmware and what is below.
    return HostUse() if vfio_dev or not (driver or model.boot_vga or model.bridge) else NOT_LOOKED_AT
