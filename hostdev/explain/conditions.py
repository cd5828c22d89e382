"""Conditions of rules, judged by what the message and its neighbours say: true, false, or not to be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from hostdev.explain import values
from hostdev.explain.addresses import addresses_in
from hostdev.findings import rule
from hostdev.findings.release import Release, is_mended

SMALLEST_WIDTH = 39
"""Bits of address that the IOMMUs of small Intel processors have; servers have 46 to 57."""
_KNOWN_RESERVED = ((0xFEE00000, 0xFEEFFFFF), (0xFD00000000, 0xFFFFFFFFFF))
"""Where x86 has its MSI window, and AMD HyperTransport."""
_BAR = re.compile(r"\bbars?\b|\bp2p\b|\bmmap")
_MDEV = re.compile(r"/mdev/|\bmdev\b|mediated|\bvgpu\b|nvidia-vgpu")
_GUEST_DEVICE = re.compile(
    r"geforce|radeon|quadro|\b[gr]tx\b|passthrough|pass-through|device manager|this device|vfio|display adapter|"
    r"windows|\bguest\b|\bvms?\b"
)
_OTHER_DEVICE = re.compile(r"\busb\b|descriptor request|nvidia-smi")
_SRIOV = re.compile(r"sr-?iov|\bvfs?\b|numvfs|switchdev")
_CLOUD_INIT = re.compile(r"precloudinitiso|cloudinit|cloud-init")
_CDI = re.compile(r"nvidia|intel|amd|gpu|vfio|qat|kubevirt|sriov|pci")
_REASON = re.compile(
    r"(?:qemu(?:-kvm|-system-\w+)|\bkvm|libvirt):? |error:|message=|rpc error|-device|-blockdev|virerror|desc ="
    r"|: \S+ \S+ \S+ \S+"
)
_INTERRUPT_HANDLER = re.compile(r"\bhandlers:|\[<[0-9a-f]+>\] ")
_ROOM = re.compile(
    r"\b(vf bar|bar|rom|bridge window)(?: (\d+))?(?: \[(io|mem)[^\]]{0,60}\])?: (?:no space for|failed to assign|"
    r"cant assign;?) ?\[?(io|mem)?"
)
_ROM_BAR, _VF_BARS, _FIRST_WINDOW = 6, range(7, 13), 13
"""How the kernel counted resources before it named them."""
_VARIABLE = re.compile(r"\b(mdev_)?pci_resource_(\w{1,100}) not set for")
_NO_ADDRESS = ("addresses to allocate", "do not match the number of devices")
"""What virt-launcher says where a device has no address."""
_GUEST_DMI = ("dmi: qemu", "dmi: kubevirt", "dmi: red hat", "dmi: openstack", "dmi: nutanix")
_GUEST = (
    *_GUEST_DMI,
    *("hypervisor detected", "kvm-clock", "virtio", "ovmf", "seabios", "guest", " in the vm", " in my vm", " in a vm"),
)
_HOST = (
    *("vfio", "dmar: ", "amd-vi: ", "sr-iov", "sriov", "kvm: ", "proxmox", "-pve ", "resizable bar", "virt-handler"),
    *("on the host", "on my host"),
)
"""Words, and no patterns: they are looked for in each line of a long log."""
_LAUNCHER = re.compile(r"virt-launcher|syncvmi|libvirterror|component:virt|kubevirt")


class Context(NamedTuple):
    """A message with what stands around it."""

    near: str
    """The part of the message around the wording."""
    said: str
    """The wording, with a little before it and what stands right behind it."""
    after: str
    """What follows the wording in the same message."""
    around: str
    """The message and its neighbours."""
    releases: tuple[Release, ...] = ()
    """Those that the whole text names."""


def judge(condition: rule.Condition, context: Context) -> bool | None:
    """Whether a condition holds; None: the text does not tell."""
    if condition.mended:
        return _older(condition.mended, context)
    return _JUDGES[condition.key](context)


def _older(mended: tuple[str, ...], context: Context) -> bool | None:
    answers = [is_mended(mended, release) for release in context.releases]
    return next((not answer for answer in answers if answer is not None), None)


def _mediated(context: Context) -> bool | None:
    if _MDEV.search(context.near) or values.mediated_devices(context.near):
        return True
    return False if addresses_in(context.near) else None


def _mapped(context: Context) -> tuple[values.Mapping, ...]:
    return values.dma_mappings(context.near) or values.dma_mappings(context.around)


def _above_width(context: Context) -> bool | None:
    mapped = _mapped(context)
    if not mapped:
        return None
    return any(one.address + one.size > 1 << SMALLEST_WIDTH for one in mapped) and not _in_known_region(mapped)


def _in_reserved(context: Context) -> bool | None:
    mapped = _mapped(context)
    if mapped and _in_known_region(mapped):
        return True
    if mapped and all(one.address >= 1 << SMALLEST_WIDTH for one in mapped):
        return False
    return None


def _in_known_region(mapped: tuple[values.Mapping, ...]) -> bool:
    return any(
        one.address <= last and one.address + one.size > first for one in mapped for first, last in _KNOWN_RESERVED
    )


def _of_a_bar(context: Context) -> bool | None:
    return _BAR.search(context.near) is not None


def _on_vfio(context: Context) -> bool | None:
    drivers = values.drivers_named(context.near) or values.drivers_named(context.around)
    return any("vfio" in driver for driver in drivers) if drivers else None


def _of_ours(context: Context) -> bool | None:
    return any(not name.lower().startswith("devices.kubevirt.io/") for name in values.resources_in(context.near))


def _vfio_has_interrupt(context: Context) -> bool | None:
    if "vfio" in context.around:
        return True
    return False if _INTERRUPT_HANDLER.search(context.around) else None


def _reason_elsewhere(context: Context) -> bool | None:
    return _REASON.search(context.after) is None


def _error_told(context: Context) -> bool | None:
    return re.match(r":? ?(?!syncstatus|null\b|none\b)[a-z0-9/]", context.after) is not None


def _of_a_guest_device(context: Context) -> bool | None:
    return _GUEST_DEVICE.search(context.around) is not None and _OTHER_DEVICE.search(context.around) is None


def _cdi_of_devices(context: Context) -> bool | None:
    return True if _CDI.search(context.around) else None


def _room_of(said: str) -> str | None:
    """What has no room where the last words of the kernel say it."""
    rooms = list(_rooms(said))
    return rooms[-1] if rooms else None


def _rooms(text: str) -> Iterator[str]:
    """All that has no room: I/O space or a ROM, BARs of VFs, BARs, windows of bridges."""
    for name, number, before, after in _ROOM.findall(text):
        counted = int(number) if number and name == "bar" and not before else None
        if "io" in {before, after} or name == "rom" or counted == _ROM_BAR:
            yield "io or rom"
        elif name == "vf bar" or counted in _VF_BARS:
            yield "vf"
        else:
            yield "window" if name == "bridge window" or (counted or 0) >= _FIRST_WINDOW else "bar"


def _device_below(context: Context) -> bool | None:
    return _has_bar_without_room(context.around)


@lru_cache(maxsize=4)
def _has_bar_without_room(text: str) -> bool | None:
    # All places of one message ask the same.
    return True if "bar" in _rooms(text) else None


def _in_guest(context: Context) -> bool | None:
    return _is_of_guest(context.around)


@lru_cache(maxsize=4)
def _is_of_guest(text: str) -> bool | None:
    # All places of one message ask the same.
    is_guest = any(word in text for word in _GUEST)
    is_host = any(word in text for word in _HOST) or text.count("dmi: ") > sum(map(text.count, _GUEST_DMI))
    return is_guest if is_guest != is_host else None


_Judge: TypeAlias = Callable[[Context], bool | None]


def _searches(pattern: re.Pattern[str]) -> _Judge:
    return lambda context: pattern.search(context.around) is not None


def _both_variables(context: Context) -> bool | None:
    missing = set(_VARIABLE.findall(context.around))
    return any(("mdev_", name) in missing for kind, name in missing if not kind)


def _one_variable(context: Context) -> bool | None:
    return not _both_variables(context) and not any(words in context.around for words in _NO_ADDRESS)


def _has_room(kind: str) -> _Judge:
    return lambda context: _room_of(context.said) == kind


def _opposite(judged: _Judge) -> _Judge:
    def opposite(context: Context) -> bool | None:
        holds = judged(context)
        return None if holds is None else not holds

    return opposite


_JUDGES: Mapping[str, _Judge] = MappingProxyType(
    {
        rule.MEDIATED.key: _mediated,
        rule.NOT_MEDIATED.key: _opposite(_mediated),
        rule.ABOVE_WIDTH.key: _above_width,
        rule.IN_RESERVED.key: _in_reserved,
        rule.OF_A_BAR.key: _of_a_bar,
        rule.NOT_OF_A_BAR.key: _opposite(_of_a_bar),
        rule.ON_VFIO.key: _on_vfio,
        rule.ON_HOST_DRIVER.key: _opposite(_on_vfio),
        rule.OF_OURS.key: _of_ours,
        rule.VFIO_HAS_INTERRUPT.key: _vfio_has_interrupt,
        rule.REASON_ELSEWHERE.key: _reason_elsewhere,
        rule.OF_A_GUEST_DEVICE.key: _of_a_guest_device,
        rule.IN_CLOUD_INIT.key: _searches(_CLOUD_INIT),
        rule.CDI_OF_DEVICES.key: _cdi_of_devices,
        rule.OF_SRIOV.key: _searches(_SRIOV),
        rule.ERROR_TOLD.key: _error_told,
        rule.IN_VIRT_LAUNCHER.key: _searches(_LAUNCHER),
        rule.OF_IO_OR_ROM.key: _has_room("io or rom"),
        rule.OF_A_VF_BAR.key: _has_room("vf"),
        rule.OF_A_BAR_OF_MEMORY.key: _has_room("bar"),
        rule.OF_A_WINDOW.key: _has_room("window"),
        rule.DEVICE_BELOW.key: _device_below,
        rule.ONE_VARIABLE.key: _one_variable,
        rule.BOTH_VARIABLES.key: _both_variables,
        rule.IN_GUEST.key: _in_guest,
        rule.ON_HOST.key: _opposite(_in_guest),
    }
)
