"""Device nodes that processes have open, by the number of the device: a container names a node as it likes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign

OPEN = "/proc/*/fd"
_DEV = "dev/"
_PATH = "/"
_COMMON = (
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "ptmx",
    "pts/",
    "tty",
    "console",
    "kmsg",
    "fuse",
    "net/tun",
    "vhost-",
    "kvm",
    "vfio/",
    "shm/",
    "mqueue/",
    "hugepages",
    "rtc",
    "initctl",
    "log",
)
"""Nodes below /dev that are open everywhere and are no devices of PCI functions; terminals tell of themselves."""


class OpenNodes:
    """Reads the open files of all processes, once, when it is asked."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def users_of(self, numbers: Collection[str]) -> Iterator[tuple[str, Sign]]:
        """Who has nodes with these numbers open: a number, and a process."""
        for number in numbers:
            for user in self._seen[0].get(number, ()):
                yield number, user

    @property
    def doubt(self) -> Sign | None:
        """Why this is not all; None where every process was looked into."""
        return self._seen[1]

    @cached_property
    def _seen(self) -> tuple[dict[str, list[Sign]], Sign | None]:
        """Processes by number, and why these are not all."""
        if not is_hosts_proc(self._host):
            return {}, _doubt("the processes of the host are not to be seen from here")
        found: dict[str, list[Sign]] = {}
        hidden = 0
        # With hidepid= the processes of others are not even listed; process 1 is one of them.
        for pid in sorted({1, *map(int, filter(str.isdecimal, self._host.names("proc") or ()))}):
            directory = f"proc/{pid}/fd"
            links = self._host.links(directory, _PATH if self._host.probe else _DEV, quiet=True)
            if links is None and (pid == 1 or self._host.exists(directory)):
                hidden += 1
            for name, target in (links or {}).items():
                number = None if self._is_none(target) else self._host.node(f"{directory}/{name}")
                if number:
                    who = self._host.read(f"proc/{pid}/comm") or "?"
                    sign = Sign(f"open in {who} ({pid})", f"/{directory}/{name}", number)
                    found.setdefault(number, []).append(sign)
        return found, _doubt(f"{hidden} of the processes could not be looked into") if hidden else None

    def _is_none(self, target: str) -> bool:
        """Whether it is no node of a device, by its name; with a probe every file is looked at, whatever its name."""
        return not target.startswith("/") if self._host.probe else _is_common(target)


def is_hosts_proc(host: Host) -> bool:
    """Whether proc/ is that of the host: only there is process 2 the kernel's."""
    return host.read("proc/2/comm") == "kthreadd"


def _doubt(why: str) -> Sign:
    return Sign(f"{why}, and one of them may have it open", OPEN, look="look again as root on the node itself")


def _is_common(target: str) -> bool:
    place = target.removeprefix("/")
    return not place.startswith((_DEV, "../")) or place.removeprefix(_DEV).startswith(_COMMON)
