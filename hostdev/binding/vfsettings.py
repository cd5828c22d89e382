"""What VFs can be set up with: a table, each row with where the kernel says so; what is wanted, and what is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import did_you_mean, listed, printable
from hostdev.binding.effects import LINK, Step
from hostdev.findings.sriov import VF_SETTING_UNFIT
from hostdev.gate.rule import attribute_path
from hostdev.inventory import netlink
from hostdev.inventory.host import Host
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.probe import is_in_hosts_network


class When(Enum):
    """The moment at which a setting is taken."""

    STOPPED = auto()
    """While the PF is stopped and has no VFs."""
    RESERVED = auto()
    """Before the VFs are made: what they get by themselves would be in the way."""
    MADE = auto()
    """Once they are made, before a driver has them."""
    DRIVEN = auto()
    """Once a driver of the host has them: it makes the file."""


class Setting(NamedTuple):
    """A row: one knob of one kind of hardware."""

    name: str
    meaning: str
    fits: Callable[[PciFunction], bool]
    """The PF has it."""
    value: re.Pattern[str]
    source: str
    """Where the kernel, or the vendor, tells of it: a file, and what to look for in it."""
    when: When = When.MADE
    of_vf: bool = True
    """Of each VF, else of the PF."""
    file: str = ""
    """Below the VF, or with `below_pf` below the PF; `{number}` counts VFs from 1. Empty: the PF keeps it (netlink)."""
    below_pf: bool = False
    reads: str = ""
    """The file below the PF that shows it, where the one that is written cannot be read."""
    why_not: Callable[[PciFunction, str], str] = lambda _pf, _value: ""
    """What else forbids a value."""
    tried: bool = False
    """Whether it was tried on hardware, or an emulation, of that kind."""

    def path(self, pf: PciAddress, vf: PciAddress, number: int) -> str:
        """The file that is written for a VF, counted from 0."""
        return attribute_path(pf if self.below_pf or not self.of_vf else vf, self.file.format(number=number + 1))

    def is_kept(self, want: str, have: str) -> bool:
        """Whether what is read is what was written."""
        if self.name == "vram_quota":
            # The kernel rounds up to the page of each tile.
            return have.isdecimal() and 0 <= int(have) - int(want) < _ROUNDING
        return canonical(self.file, want) == canonical(self.file, have)


def canonical(file: str, text: str) -> str:
    """What a file says, in the one way that can be compared."""
    if file.endswith("cfg_services"):
        # The order is the kernel's, and says nothing.
        return ";".join(sorted(text.split(";")))
    active = _ACTIVE.search(text) if file.endswith("sched_priority") else None
    return active[1] if active else text


def _is_network(pf: PciFunction) -> bool:
    return bool(pf.netdevs)


def _is_on(*drivers: str) -> Callable[[PciFunction], bool]:
    return lambda pf: pf.driver in drivers


def _services_why_not(pf: PciFunction, value: str) -> str:
    named = value.split(";")
    most = 3 if pf.driver == "6xxx" else 2
    if len(set(named)) != len(named):
        return "a service stands there twice"
    if "dcc" in named and len(named) > 1:
        return "dcc goes with no other service"
    if "decomp" in named and pf.driver != "6xxx":
        return f"{pf.driver} has no decomp"
    return f"{pf.driver} takes {most} services together" if len(named) > most else ""


_ROUNDING = 64 << 20
_ACTIVE = re.compile(r"\[(\w+)\]", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_U32 = re.compile(r"[0-9]{1,9}", re.ASCII)
_SWITCH = re.compile("on|off")
_XE = "drivers/gpu/drm/xe/xe_sriov_pf_sysfs.c"
_PROFILE = "sriov_admin/vf{number}/profile"
_LINK = "include/uapi/linux/if_link.h"
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "mac",
        "the MAC address that the guest's interface has",
        _is_network,
        re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}", re.ASCII),
        f"{_LINK}: IFLA_VF_MAC",
        tried=True,
    ),
    Setting(
        "vlan",
        "the VLAN that the PF keeps the VF in; 0: none",
        _is_network,
        re.compile(r"[0-9]|[1-9][0-9]{1,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-4]", re.ASCII),
        f"{_LINK}: IFLA_VF_VLAN",
        tried=True,
    ),
    Setting(
        "spoofchk",
        "on or off: the PF drops what the guest sends from another MAC address",
        _is_network,
        _SWITCH,
        f"{_LINK}: IFLA_VF_SPOOFCHK",
    ),
    Setting(
        "trust",
        "on or off: the guest may change its MAC address, and be promiscuous",
        _is_network,
        _SWITCH,
        f"{_LINK}: IFLA_VF_TRUST",
    ),
    Setting(
        "vgpu_type",
        "the number of a type that `creatable_vgpu_types` of the VF lists; 0: none; the VF stays on the nvidia driver",
        _is_on("nvidia"),
        _U32,
        "NVIDIA Virtual GPU Software User Guide: current_vgpu_type (the driver is not in the kernel's tree)",
        when=When.DRIVEN,
        file="nvidia/current_vgpu_type",
    ),
    Setting(
        "vram_quota",
        "bytes of video memory, rounded up; every VF needs one: the driver gives none by itself any more",
        _is_on("xe"),
        _NUMBER,
        "drivers/gpu/drm/xe/xe_sriov_pf_provision.c: xe_sriov_pf_provision_apply_vf_vram (Linux 7.0)",
        when=When.RESERVED,
        file=f"{_PROFILE}/vram_quota",
        below_pf=True,
    ),
    Setting(
        "exec_quantum_ms",
        "how long the VF may run at a time, in milliseconds; 0: without a limit",
        _is_on("xe"),
        _U32,
        f"{_XE}: exec_quantum_ms (Linux 6.19)",
        file=f"{_PROFILE}/exec_quantum_ms",
        below_pf=True,
    ),
    Setting(
        "preempt_timeout_us",
        "how long it is waited for the VF to give way, in microseconds; 0: without a limit",
        _is_on("xe"),
        _U32,
        f"{_XE}: preempt_timeout_us (Linux 6.19)",
        file=f"{_PROFILE}/preempt_timeout_us",
        below_pf=True,
    ),
    Setting(
        "sched_priority",
        "low or normal, of the PF and all VFs: the firmware takes none of a single VF",
        _is_on("xe"),
        re.compile("low|normal"),
        f"{_XE}: sched_priority_change_allowed (Linux 6.19)",
        of_vf=False,
        file="sriov_admin/.bulk_profile/sched_priority",
        reads="sriov_admin/vf1/profile/sched_priority",
    ),
    Setting(
        "cfg_services",
        "what the accelerator does: sym, asym, dc, dcc, decomp, or some of them, as in sym;asym",
        _is_on("4xxx", "420xx", "6xxx"),
        re.compile(r"(?:sym|asym|dcc|dc|decomp)(?:;(?:sym|asym|dcc|dc|decomp)){0,2}"),
        "drivers/crypto/intel/qat/qat_common/adf_sysfs.c: cfg_services_store",
        when=When.STOPPED,
        of_vf=False,
        file="qat/cfg_services",
        why_not=_services_why_not,
    ),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
RESTORED = frozenset({"mac", "vlan", "spoofchk", "trust", "cfg_services"})
"""What an undo gives back to VFs that it makes again; quotas of Xe are the driver's own where none was set."""
_OF_ONE = re.compile(r"([0-9]{1,5})\.(\w+)", re.ASCII)


class Wanted(NamedTuple):
    """A setting, its value, and of which VF, counted from 0; None: of every one, or of the PF."""

    setting: Setting
    value: str
    vf: int | None = None


class Readings(NamedTuple):
    """What settings are now, by PF, name and number of the VF (None: of the PF); what could not be read is left out."""

    values: Mapping[tuple[PciAddress, str, int | None], str] = MappingProxyType({})

    def of(self, pf: PciAddress, wanted: Wanted) -> str | None:
        """What is there in place of what is wanted; None where it could not be read."""
        return self.values.get((pf, wanted.setting.name, wanted.vf if wanted.setting.of_vf else None))

    def is_so(self, pf: PciAddress, wanted: Wanted) -> bool:
        """Whether it is known to be as it is wanted."""
        have = self.of(pf, wanted)
        return have is not None and wanted.setting.is_kept(wanted.value, have)

    def kept_of(self, pf: PciAddress, vf: int | None) -> dict[str, str]:
        """What an undo can give back to a VF, or with None to the PF."""
        own = ((name, value) for (of, name, number), value in self.values.items() if (of, number) == (pf, vf))
        return {name: value for name, value in own if name in RESTORED}


UNREAD = Readings()


def read_vf_settings(host: Host, pfs: Iterable[PciFunction]) -> Readings:
    """Read all settings that these PFs and their VFs have; of a recording nothing is known."""
    found: dict[tuple[PciAddress, str, int | None], str] = {}
    for pf in pfs:
        found |= {(pf.address, name, vf): value for name, vf, value in (*_of_link(host, pf), *_of_files(host, pf))}
    return Readings(found)


def _of_link(host: Host, pf: PciFunction) -> Iterator[tuple[str, int, str]]:
    if not (host.live and pf.netdevs and is_in_hosts_network()):
        return
    try:
        kept = netlink.vf_settings(pf.netdevs[0].name)
    except OSError:
        return
    for number, settings in kept.items():
        yield from ((name, number, value) for name, value in settings.as_texts())


def _of_files(host: Host, pf: PciFunction) -> Iterator[tuple[str, int | None, str]]:
    for setting in SETTINGS:
        if not setting.file or not setting.fits(pf):
            continue
        for number, path in _places(pf, setting):
            text = host.read(path.removeprefix("/"))
            if text is not None:
                yield setting.name, number, canonical(setting.file, text)


def _places(pf: PciFunction, setting: Setting) -> Iterator[tuple[int | None, str]]:
    if setting.of_vf:
        yield from ((number, setting.path(pf.address, vf, number)) for number, vf in enumerate(pf.virtfns))
    else:
        yield None, attribute_path(pf.address, setting.reads or setting.file)


def read_settings(pf: PciFunction, count: int, settings: Mapping[str, str]) -> tuple[list[Wanted], list[Finding]]:
    """What `mac=…`, `0.mac=…` ask for, and what of it the hardware does not have."""
    found: list[Wanted] = []
    against: list[Finding] = []
    for key, value in settings.items():
        one = _OF_ONE.fullmatch(key)
        name, vf = (one[2], int(one[1])) if one else (key, None)
        setting = BY_NAME.get(name)
        why, hint = _unfit(pf, count, Wanted(setting, value, vf)) if setting else _unknown(name)
        if why:
            against.append(VF_SETTING_UNFIT.found(str(pf.address), f"{printable(key)}: {why}", hint=hint))
        elif setting:
            found.append(Wanted(setting, value, vf))
    return found, [*against, *_incomplete(pf, count, found)]


def _unknown(name: str) -> tuple[str, str | None]:
    return "there is no such setting", did_you_mean(name, BY_NAME, f"there are {', '.join(BY_NAME)}")


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
    return setting.why_not(pf, value), None


def _incomplete(pf: PciFunction, count: int, wanted: Iterable[Wanted]) -> Iterator[Finding]:
    own = {one.vf: one.value for one in wanted if one.setting.name == "vram_quota"}
    without = [number for number in range(count) if number not in own]
    if None not in own and without and {*own.values()} - {"0"}:
        said = listed(map(str, without), 4)
        what = f"vram_quota: VF {said} would have no memory: one that is set turns off what the driver gives by itself"
        yield VF_SETTING_UNFIT.found(str(pf.address), what, hint="say it of every VF: vram_quota=…")


def of_port(wanted: Iterable[Wanted]) -> list[Wanted]:
    """What is of the PF."""
    return [one for one in wanted if not one.setting.of_vf]


def of_one_vf(number: int, wanted: Sequence[Wanted]) -> list[Wanted]:
    """What is of one VF: what is said of it wins over what is said of all."""
    own = {one.setting.name: one for one in wanted if one.vf is None and one.setting.of_vf}
    own |= {one.setting.name: one for one in wanted if one.vf == number}
    return [own[name]._replace(vf=number) for name in dict.fromkeys(one.setting.name for one in wanted) if name in own]


def port_settings(pf: PciFunction, wanted: Iterable[Wanted]) -> Iterator[Step]:
    """Settings that a PF takes while it is stopped, and has no VFs."""
    for one in wanted:
        if one.setting.when is When.STOPPED:
            yield from stop_and_set(pf.address, one.setting, one.value)


def stop_and_set(pf: PciAddress, setting: Setting, value: str, why: str = "") -> Iterator[Step]:
    """Down, the setting, up again."""
    state, device = attribute_path(pf, "qat/state"), str(pf)
    yield Step(state, "down", "it is stopped: only then it can be set up", device, expect="down")
    expect = canonical(setting.file, value)
    yield Step(attribute_path(pf, setting.file), value, why or setting.meaning, device, expect=expect)
    yield Step(state, "up", "it is started again", device, expect="up")


def of_vfs(
    pf: PciFunction, vfs: Iterable[PciAddress], wanted: list[Wanted], *, when: When, readings: Readings = UNREAD
) -> Iterator[Step]:
    """Settings of one moment, of the PF and of each VF, but for what is known to be so."""
    for one in of_port(wanted):
        if one.setting.when is when and not readings.is_so(pf.address, one):
            # Written by one file for all, it is shown by another.
            yield Step(attribute_path(pf.address, one.setting.file), one.value, one.setting.meaning, str(pf.address))
    for number, vf in enumerate(vfs):
        for one in of_one_vf(number, wanted):
            if one.setting.when is when and not readings.is_so(pf.address, one):
                yield set_one(pf, vf, one)


def set_one(pf: PciFunction, vf: PciAddress, wanted: Wanted, why: str = "") -> Step:
    """The one write that sets something of a VF."""
    setting, value, number = wanted
    why = why or f"VF {number}: {setting.meaning}"
    if not setting.file:
        interface = pf.netdevs[0].name if pf.netdevs else ""
        return Step(LINK, f"link set dev {interface} vf {number} {setting.name} {value}", why, str(vf), expect=value)
    # What is made of a VF that is not there yet is done for its PF; quotas that are read back may be rounded.
    device = str(pf.address if setting.when is When.RESERVED else vf)
    expect = None if setting.below_pf else value
    return Step(setting.path(pf.address, vf, number or 0), value, why, device, expect=expect)
