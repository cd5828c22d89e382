"""Displays and serial ports that show the host's console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign
from hostdev.inventory.sysfs import DeviceClass

LAYER = "console"
VTCONSOLES = "sys/class/vtconsole"
FRAMEBUFFERS = "proc/fb"
ACTIVE = "sys/class/tty/console/active"
_FRAMEBUFFER = "frame buffer"
_TEXT = "VGA"


class Consoles:
    """What the kernel writes its console to."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def display(self, address: PciAddress, *, boot: bool) -> Iterator[Sign]:
        """The console on a display: on its own frame buffer, on that of the firmware, or as VGA text."""
        frames = self._graphics.beneath(address)
        shown = next((file for file, name in self._bound if _FRAMEBUFFER in name), None)
        text = next((file for file, name in self._bound if _TEXT in name), None)
        if frames and shown:
            yield Sign(f"the console on {frames[0]}", f"/{shown}", "1", layer=LAYER)
        elif boot and text:
            yield Sign("the console", f"/{text}", "1", layer=LAYER)
        elif boot and self._firmware:
            yield Sign("the console on the firmware's frame buffer", f"/{FRAMEBUFFERS}", self._firmware, layer=LAYER)

    def doubt(self, *, boot: bool) -> Iterator[Sign]:
        """Why a display may show the console all the same."""
        if boot and self._host.names(VTCONSOLES) is None:
            yield Sign("whether the console is on it is not to be seen", f"/{VTCONSOLES}", layer=LAYER)

    def serial(self, names: Iterable[str]) -> Iterator[Sign]:
        """The console on one of these terminals."""
        active = (self._host.read(ACTIVE) or "").split()
        yield from (Sign(f"the console on {n}", f"/{ACTIVE}", n, layer=LAYER) for n in names if n in active)

    @cached_property
    def _graphics(self) -> DeviceClass:
        return DeviceClass(self._host, "graphics")

    @cached_property
    def _firmware(self) -> str:
        """The firmware's frame buffer, which is no driver's; those of drivers hang below their function."""
        lines = (self._host.text(FRAMEBUFFERS, quiet=True) or "").splitlines()
        owned = {name for names in self._graphics.carried.values() for name in names}
        return next((line for line in lines if f"fb{line.partition(' ')[0]}" not in owned), "")

    @cached_property
    def _bound(self) -> list[tuple[str, str]]:
        """Consoles that are in use: where that stands, and what they are called."""
        found = []
        for one in self._host.names(VTCONSOLES) or ():
            directory = f"{VTCONSOLES}/{one}"
            if self._host.read(f"{directory}/bind") == "1":
                found.append((f"{directory}/bind", self._host.read(f"{directory}/name") or ""))
        return found
