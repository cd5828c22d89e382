"""Rules about what the host would lose: its network, its disks, its console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.finding import Evidence, Finding, Severity
from domxml.text import listed
from hostdev.findings.hostuse import BOOT_DISPLAY, HOST_NETWORK_DEVICE, HOST_ROOT_DISK
from hostdev.gate import rule
from hostdev.gate.rule import Rule, View
from hostdev.inventory.machine import BlockDevice, NetDevice
from hostdev.inventory.vfiodrivers import is_on_vfio

_NAMED = 3


def _find(view: View) -> Iterator[Finding]:
    function = view.function
    netdevs = [device for device in function.netdevs if device.uses]
    if netdevs:
        yield HOST_NETWORK_DEVICE.found(view.subject, _loses(netdevs), evidence=_uses(view, "net", netdevs))
    elif any(device.up for device in function.netdevs):
        up = [device for device in function.netdevs if device.up]
        yield HOST_NETWORK_DEVICE.found(
            view.subject,
            f"{', '.join(device.name for device in up[:_NAMED])} is up, though nothing of the host is seen to use it",
            severity=Severity.WARNING,
            hint="make sure that nobody needs the interface",
            evidence=_uses(view, "net", up),
        )
    blocks = [device for device in function.blocks if device.uses]
    if blocks:
        yield HOST_ROOT_DISK.found(view.subject, _loses(blocks), evidence=_uses(view, "block", blocks))
    if function.boot_vga:
        yield from _display(view)


def _display(view: View) -> Iterator[Finding]:
    driver = view.function.driver
    holds = driver is not None and not is_on_vfio(view.function)
    yield BOOT_DISPLAY.found(
        view.subject,
        f"{driver} shows the host's console on it" if holds else "the firmware's framebuffer may still hold its memory",
        severity=Severity.ERROR if holds else None,
        evidence=(rule.attribute_evidence(view.address, "boot_vga", 1), rule.driver_evidence(view.function)),
    )


def _loses(devices: Iterable[NetDevice | BlockDevice]) -> str:
    uses = [f"{device.name} ({use})" for device in devices for use in device.uses]
    return f"the host would lose {listed(uses, _NAMED)}"


def _uses(view: View, kind: str, devices: Iterable[NetDevice | BlockDevice]) -> tuple[Evidence, ...]:
    return tuple(
        rule.attribute_evidence(view.address, f"{kind}/{device.name}", ", ".join(device.uses) or "up")
        for device in devices
    )


def _seen(_view: View) -> str:
    return "nothing of the host is seen to use it"


RULES: tuple[Rule[View], ...] = (Rule("host-use", "The host can do without it", _find, _seen),)
