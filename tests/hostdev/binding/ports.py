"""A port with VFs, and the driver core behind it."""

from __future__ import annotations

from hostdev.inventory.machine import Machine, NetDevice, PciFunction
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.gate.build import machine, pf, vf

PF = "0000:3b:00.0"
VFS = ("0000:3b:02.0", "0000:3b:02.1")
MAC, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
STATE = "/sys/bus/pci/devices/0000:3b:00.0/qat/state"
SERVICES = "/sys/bus/pci/devices/0000:3b:00.0/qat/cfg_services"


def build_port(driver: str = "ice", **changes: object) -> PciFunction:
    right = {"total_vfs": 8, "vf_autoprobe": True, "vf_offset": 16, "vf_stride": 1, "driver": driver}
    netdevs = (NetDevice("ens1f0", up=True),) if driver == "ice" else ()
    return pf(PF, **{"netdevs": netdevs, "virtfns": (), "num_vfs": 0, **right, **changes})


def build_host(count: int = 2, driver: str = "ice", vf_driver: str | None = "vfio-pci", **changes: object) -> Machine:
    made = [vf(one, PF, group=50 + n, driver=vf_driver, driver_override=vf_driver) for n, one in enumerate(VFS[:count])]
    return machine(build_port(driver, num_vfs=count, virtfns=tuple(one.address for one in made), **changes), *made)


def core_of(host: Machine, kill_at: int | None = None) -> DriverCore:
    made = DriverCore(host, kill_at=kill_at)
    made.registered |= {"vfio-pci", "icevf"}
    return made


def kept(vf_number: int, name: str, value: str) -> dict[str, str]:
    return {f"link set dev ens1f0 vf {vf_number} {name}": value}
