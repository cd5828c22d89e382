"""The kernel of the running machine, as a change of its drivers meets it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from domxml.errors import HostUnreadable
from domxml.pciaddress import PciAddress
from hostdev.binding import steps
from hostdev.binding.child import Answer, Writer, in_child, look_in_child
from hostdev.binding.effects import LINK, MODPROBE, Step, perform, vf_of_link
from hostdev.binding.vfsettings import Readings, canonical, read_vf_settings
from hostdev.gate.rule import attribute_path
from hostdev.inventory import netlink
from hostdev.inventory.functions import NUMVFS, VIRTFN
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.probe import Probe
from hostdev.inventory.scan import scan

T = TypeVar("T")
LOOK = 60.0
"""Seconds that a look at the whole machine may take; thousands of functions take one."""
_UNSET = frozenset({"", "(null)"})


class Kernel:
    """Looks at / and writes to it: there is no other machine that is ever written to."""

    def host(self) -> Host:
        """The door to its files."""
        return Host("/", probe=Probe())

    def look(self, addresses: Collection[PciAddress]) -> Machine:
        """These functions and all that decides about them, as they are now; it may never return."""
        with self.host() as host:
            return scan(host, only=addresses)

    def look_again(self, addresses: Collection[PciAddress]) -> Machine:
        """The same, where nothing else waits for an answer that does not come."""
        return look_bounded(lambda: self.look(addresses))

    def ask(self, look: Callable[[Host], T]) -> T:
        """What a look at its files says, with what only the running kernel tells; what does not answer is given up."""

        def opened() -> T:
            with self.host() as host:
                return look(host)

        return look_bounded(opened)

    def picture(self) -> Machine:
        """The whole machine."""
        return self.ask(scan)

    def perform(self, step: Step) -> None:
        """Do a step; it may never return."""
        perform(step)

    def observe(self, step: Step) -> str:
        """What sysfs says after a step: the driver, or what the attribute reads."""
        if step.write == MODPROBE:
            return ""
        if steps.is_of_driver(step):
            return self._driver(step.device)
        if step.write == LINK:
            return _observe_link(step.value)
        if step.write.endswith(f"/{NUMVFS}"):
            return self._count_vfs(step.write)
        with self.host() as host:
            text = host.read(step.write.removeprefix("/"))
        return "" if text is None or text in _UNSET else canonical(step.write, text)

    def vf_settings(self, pfs: Collection[PciFunction]) -> Readings:
        """What these PFs and their VFs are set up with, as far as it can be read."""
        return self.ask(lambda host: read_vf_settings(host, pfs))

    def _driver(self, device: str) -> str:
        # Not by `uevent`: there the driver stands as long as its removal waits.
        try:
            return Path(attribute_path(PciAddress.parse(device), "driver")).readlink().name
        except FileNotFoundError:
            return ""

    def _count_vfs(self, file: str) -> str:
        """How many there are: the kernel only warns where it made fewer than it was told to."""
        with self.host() as host:
            return str(len(host.names(file.removeprefix("/").rpartition("/")[0], prefix=VIRTFN) or ()))

    def attempt(self, work: Callable[[], Answer], deadline: float, begun: Callable[[Writer], None]) -> Answer | None:
        """Let a child do it; None where it has not come back."""
        return in_child(work, deadline, begun)


def look_bounded(look: Callable[[], T]) -> T:
    """What a look at this machine says, which may have to be given up."""
    found = look_in_child(look, LOOK)
    if found is None:
        what = (
            f"the look at it has not come back within {LOOK:.0f} s: a file of the kernel, or a mount, does not answer"
        )
        hint = "`ps -eo pid,stat,wchan,cmd` shows what waits in state D; see removal-pending"
        raise HostUnreadable("host-unreadable", what, subject="/", hint=hint)
    return found


def _observe_link(value: str) -> str:
    interface, vf, name, _ = vf_of_link(value)
    try:
        settings = netlink.vf_settings(interface).get(vf)
    except OSError:
        settings = None
    return "" if settings is None else dict(settings.as_texts()).get(name, "")
