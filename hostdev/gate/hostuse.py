"""Rules about what the host would lose: its network, its disks, its console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.finding import Evidence, Finding, Severity
from domxml.text import listed
from hostdev.findings.hostuse import (
    BOOT_DISPLAY,
    HOST_NETWORK_DEVICE,
    HOST_ROOT_DISK,
    HOST_USE_UNKNOWN,
    HOST_USES_DEVICE,
)
from hostdev.gate import rule
from hostdev.gate.rule import Rule, View, below, device_findings
from hostdev.inventory.consoles import LAYER as CONSOLE
from hostdev.inventory.hostuse import VFS
from hostdev.inventory.machine import Machine, PciFunction, Sign
from hostdev.inventory.vfiodrivers import is_on_vfio

_NAMED = 3


_BASIS = (
    "/sys/class/block",
    "/sys/class/net",
    "/sys/devices/virtual",
    "/sys/dev/char",
    "/sys/fs",
    "/sys/bus",
    "/sys/kernel/config",
    "/proc/net",
    "/proc/swaps",
    "/proc/1",
    "/proc/self",
    "/run/udev/data",
)
"""What tells of the use of any function: where a part of it could not be read, it may be the part that matters."""
_RECORDED = ".toml"
_FOUND = {"net": HOST_NETWORK_DEVICE.found, "block": HOST_ROOT_DISK.found}


def is_proved_unused(machine: Machine, function: PciFunction) -> bool:
    """Whether a command that takes the driver away may name the function.

    Every hint, dry run and effect asks here, and nowhere else. A function on a vfio driver is none of the host's: a
    VM may have it, which is another question.
    """
    return why_kept(machine, function) is None


def why_kept(machine: Machine, function: PciFunction) -> str | None:
    """What forbids a command that takes the driver away, as the end of a sentence; None where nothing does."""
    if function.removing:
        return f"it is being taken from {function.driver} already, and that waits"
    if is_on_vfio(function):
        return None
    if function.use.used:
        return f"the host would lose {function.use.used[0].what}"
    for doubt in _doubts(machine, function):
        return f"it is not proved that the host can do without it ({doubt.what})"
    return None


def _doubts(machine: Machine, function: PciFunction) -> Iterator[Sign]:
    yield from function.use.unknown
    found = (*device_findings(machine, function.address), *below(machine, *_BASIS))
    for file, reason in dict.fromkeys((one.evidence[0].file, one.evidence[0].content) for one in found):
        yield Sign(f"{file} could not be read", file, reason)


def _find(view: View) -> Iterator[Finding]:
    function = view.function
    if function.boot_vga:
        yield from _display(view)
    if is_on_vfio(function):
        return
    others = [sign for sign in function.use.used if sign.layer not in (*_FOUND, *_told_elsewhere(function))]
    for found, signs in (
        *((found, [sign for sign in function.use.used if sign.layer == layer]) for layer, found in _FOUND.items()),
        (HOST_USES_DEVICE.found, others),
    ):
        if signs:
            what = f"the host would lose {listed((sign.what for sign in signs), _NAMED)}"
            yield found(view.subject, what, evidence=_evidence(signs))
    doubts = [] if function.use.used else [*_doubts(view.machine, function)]
    if doubts:
        look = next((f"look at {doubt.look}" for doubt in doubts if doubt.look), None)
        if look is None and view.machine.source.endswith(_RECORDED):
            look = "record the machine again, as root on the node itself: passgate node snapshot"
        what = listed((doubt.what for doubt in doubts), _NAMED)
        yield HOST_USE_UNKNOWN.found(view.subject, what, hint=look, evidence=_evidence(doubts))


def _told_elsewhere(function: PciFunction) -> tuple[str, ...]:
    """Layers that have findings of their own: VFs, and the console on the display that the firmware used."""
    return (VFS, CONSOLE) if function.boot_vga else (VFS,)


def _display(view: View) -> Iterator[Finding]:
    driver = view.function.driver
    holds = driver is not None and not is_on_vfio(view.function)
    yield BOOT_DISPLAY.found(
        view.subject,
        f"{driver} shows the host's console on it" if holds else "the firmware's framebuffer may still hold its memory",
        severity=Severity.ERROR if holds else None,
        evidence=(rule.attribute_evidence(view.address, "boot_vga", 1), rule.driver_evidence(view.function)),
    )


def _evidence(signs: Iterable[Sign]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(Evidence(sign.file, sign.content or rule.ABSENT) for sign in signs if sign.file))


def _seen(view: View) -> str:
    if is_on_vfio(view.function):
        return f"{view.function.driver} holds it for a guest"
    return "nothing of the host uses it"


RULES: tuple[Rule[View], ...] = (Rule("host-use", "The host can do without it", _find, _seen),)
