"""What VFs can be set up with: a table, each row with where the kernel says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import did_you_mean, printable
from hostdev.binding.effects import LINK, Step
from hostdev.findings.sriov import VF_SETTING_UNFIT
from hostdev.gate.rule import attribute_path
from hostdev.inventory.accelerators import is_qat
from hostdev.inventory.machine import PciFunction


class Setting(NamedTuple):
    """A row: one knob of one kind of hardware."""

    name: str
    meaning: str
    fits: Callable[[PciFunction], bool]
    """The PF has it."""
    value: re.Pattern[str]
    source: str
    """Where the kernel, or the vendor, tells of it."""
    of_vf: bool = True
    """Of each VF, once it is made; else of the PF, before."""
    file: str = ""
    """Below the VF or the PF; `{number}` counts VFs from 1."""
    of_pf_file: bool = False
    """A VF's file that lies below the PF."""
    tried: bool = False
    """Whether it was tried on hardware, or an emulation, of that kind."""


def _is_network(pf: PciFunction) -> bool:
    return bool(pf.netdevs)


def _is_on(*drivers: str) -> Callable[[PciFunction], bool]:
    return lambda pf: pf.driver in drivers


def _is_qat(pf: PciFunction) -> bool:
    return bool(pf.driver and is_qat(pf.driver))


_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_XE = "Documentation/ABI/testing/sysfs-driver-intel-xe-sriov"
_PROFILE = "sriov_admin/vf{number}/profile"
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "mac",
        "the MAC address that the guest's interface has",
        _is_network,
        re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}", re.ASCII),
        "include/uapi/linux/if_link.h: IFLA_VF_MAC",
        tried=True,
    ),
    Setting(
        "vlan",
        "the VLAN that the PF keeps the VF in; 0: none",
        _is_network,
        re.compile(r"[0-9]|[1-9][0-9]{1,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-4]", re.ASCII),
        "include/uapi/linux/if_link.h: IFLA_VF_VLAN",
        tried=True,
    ),
    Setting(
        "vgpu_type",
        "the number of a type that `creatable_vgpu_types` lists; the VF stays on the nvidia driver",
        _is_on("nvidia"),
        _NUMBER,
        "NVIDIA Virtual GPU Software User Guide: vGPUs on SR-IOV VFs",
        file="nvidia/current_vgpu_type",
    ),
    Setting(
        "vram_quota",
        "bytes of video memory; one that is set turns off what the driver gives by itself to all VFs",
        _is_on("xe"),
        _NUMBER,
        _XE,
        file=f"{_PROFILE}/vram_quota",
        of_pf_file=True,
    ),
    Setting(
        "exec_quantum_ms",
        "how long the VF may run at a time, in milliseconds; 0: without a limit",
        _is_on("xe"),
        _NUMBER,
        _XE,
        file=f"{_PROFILE}/exec_quantum_ms",
        of_pf_file=True,
    ),
    Setting(
        "preempt_timeout_us",
        "how long it is waited for the VF to give way, in microseconds",
        _is_on("xe"),
        _NUMBER,
        _XE,
        file=f"{_PROFILE}/preempt_timeout_us",
        of_pf_file=True,
    ),
    Setting(
        "sched_priority",
        "low, normal or high",
        _is_on("xe"),
        re.compile("low|normal|high"),
        _XE,
        file=f"{_PROFILE}/sched_priority",
        of_pf_file=True,
    ),
    Setting(
        "cfg_services",
        "what the accelerator does, such as sym;asym or dc",
        _is_qat,
        re.compile(r"(?:sym|asym|dc|dcc|decomp)(?:;(?:sym|asym|dc|dcc|decomp)){0,2}"),
        "Documentation/ABI/testing/sysfs-driver-qat",
        of_vf=False,
        file="qat/cfg_services",
    ),
)
_BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
_OF_ONE = re.compile(r"([0-9]{1,5})\.(\w+)", re.ASCII)


class Wanted(NamedTuple):
    """A setting, its value, and of which VF, counted from 0; None: of every one, or of the PF."""

    setting: Setting
    value: str
    vf: int | None = None


def read_settings(pf: PciFunction, count: int, settings: Mapping[str, str]) -> tuple[list[Wanted], list[Finding]]:
    """What `mac=…`, `0.mac=…` ask for, and what of it the hardware does not have."""
    found: list[Wanted] = []
    against: list[Finding] = []
    for key, value in settings.items():
        one = _OF_ONE.fullmatch(key)
        name, vf = (one[2], int(one[1])) if one else (key, None)
        setting = _BY_NAME.get(name)
        why, hint = _unfit(pf, count, Wanted(setting, value, vf)) if setting else _unknown(name)
        if why:
            against.append(VF_SETTING_UNFIT.found(str(pf.address), f"{printable(key)}: {why}", hint=hint))
        elif setting:
            found.append(Wanted(setting, value, vf))
    return found, against


def _unknown(name: str) -> tuple[str, str | None]:
    return "there is no such setting", did_you_mean(name, _BY_NAME, f"there are {', '.join(_BY_NAME)}")


def _unfit(pf: PciFunction, count: int, wanted: Wanted) -> tuple[str, str | None]:
    setting, value, vf = wanted
    if not setting.value.fullmatch(value):
        return f"{printable(value)} is no value of it: {setting.meaning}", None
    if not setting.fits(pf):
        return f"{pf.driver or 'no driver'} has nothing of the kind", None
    if vf is not None and (not setting.of_vf or vf >= count):
        return f"there will be no VF {vf}" if setting.of_vf else "it is of the PF, and of no single VF", None
    if setting.name == "mac" and vf is None and count > 1:
        return "two VFs with one MAC address", "say which VF has it: 0.mac=…"
    return "", None


def before_vfs(pf: PciFunction, wanted: list[Wanted]) -> Iterator[Step]:
    """Settings of the PF, which it takes while it has no VFs."""
    address, device = pf.address, str(pf.address)
    for setting, value, _ in wanted:
        if setting.of_vf:
            continue
        state = attribute_path(address, "qat/state")
        yield Step(state, "down", "it is stopped: only then it can be set up", device, expect="down")
        yield Step(attribute_path(address, setting.file), value, setting.meaning, device, expect=value)
        yield Step(state, "up", "it is started again", device, expect="up")


def of_vfs(pf: PciFunction, vfs: tuple[PciAddress, ...], wanted: list[Wanted]) -> Iterator[Step]:
    """Settings of each VF, before a vfio driver has it."""
    for number, vf in enumerate(vfs):
        own = {one.setting.name: one for one in wanted if one.vf in {None, number} and one.setting.of_vf}
        # What is said of one VF wins over what is said of all.
        own |= {one.setting.name: one for one in wanted if one.vf == number}
        for setting, value, _ in own.values():
            why = f"VF {number}: {setting.meaning}"
            if not setting.file:
                line = f"link set dev {pf.netdevs[0].name} vf {number} {setting.name} {value}"
                yield Step(LINK, line, why, str(vf), expect=value)
                continue
            owner = pf.address if setting.of_pf_file else vf
            path = attribute_path(owner, setting.file.format(number=number + 1))
            # Quotas are rounded: what is read back is another number.
            yield Step(path, value, why, str(vf), expect=None if setting.of_pf_file else value)
