"""Who holds a device: the host's driver, processes with an open VFIO file, and what QEMU was told to use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from hostdev.host import Host
from hostdev.machine import PciFunction
from hostdev.vfiodrivers import is_on_vfio

_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_GUEST = re.compile(r"guest=([^,]+)")


class How(StrEnum):
    """In which way somebody holds a device."""

    DRIVER = "driver"
    OPEN = "open"
    TOLD = "told"
    """On the command line; the VFIO file may be handed over as a number."""
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Holder:
    """One who holds a device; `where` is the file, option or domain that shows it."""

    how: How
    who: str
    where: str
    pid: int | None = None
    guest: str | None = None
    pod: str | None = None
    """The UID of the Kubernetes pod that the process runs in."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Everybody who was found, and the processes that could not be looked into."""

    holders: tuple[Holder, ...]
    hidden: tuple[int, ...] = ()


def ask(host: Host, function: PciFunction) -> Answer:
    """Look at the driver, then through all processes."""
    holders = list(_drivers(function))
    hidden: list[int] = []
    for pid in processes(host):
        files = host.names(f"proc/{pid}/fd")
        if files is None and host.exists(f"proc/{pid}"):
            hidden.append(pid)
        holders += _of_process(host, pid, files or [], function)
    return Answer(tuple(holders), tuple(hidden))


def processes(host: Host) -> list[int]:
    """Every process; a recorded machine has none, though a file of process 1 may be there."""
    pids = sorted(int(name) for name in host.names("proc") or () if name.isdigit())
    return [pid for pid in pids if host.exists(f"proc/{pid}/fd")]


def _drivers(function: PciFunction) -> Iterator[Holder]:
    if function.driver is not None and not is_on_vfio(function):
        parts = [net.name for net in function.netdevs] + [block.name for block in function.blocks]
        yield Holder(How.DRIVER, function.driver, " ".join(["the host's driver", *parts]))


def _of_process(host: Host, pid: int, files: list[str], function: PciFunction) -> Iterator[Holder]:
    nodes = _nodes(function)
    opened = {host.link(f"proc/{pid}/fd/{name}") for name in files} & nodes
    command = (host.text(f"proc/{pid}/cmdline") or "").split("\0")
    told = _told(command, function)
    if not opened and told is None:
        return
    name = command[0].rpartition("/")[2] or host.read(f"proc/{pid}/comm") or "?"
    guest = _GUEST.search(" ".join(command))
    pod = _POD.search(host.text(f"proc/{pid}/cgroup") or "")
    seen = [(How.OPEN, str(node)) for node in sorted(opened, key=str)]
    seen += [(How.TOLD, told)] if told is not None else []
    for how, where in seen:
        yield Holder(
            how,
            name,
            where,
            pid=pid,
            guest=guest[1] if guest else None,
            pod=pod[1].replace("_", "-") if pod else None,
        )


def _nodes(function: PciFunction) -> set[str | None]:
    nodes: set[str | None] = set()
    if function.group is not None:
        nodes |= {f"/dev/vfio/{function.group}", f"/dev/vfio/noiommu-{function.group}"}
    if function.vfio_dev is not None:
        nodes.add(f"/dev/vfio/devices/{function.vfio_dev}")
    return nodes


def _told(command: list[str], function: PciFunction) -> str | None:
    """The word of a command line that names the device, as QEMU and its relatives spell it."""
    full = str(function.address)
    names = {full, full.removeprefix("0000:")}
    spellings = [
        *(f"{key}{name}" for key in ("host=", '"host":"', '"host": "') for name in names),
        f"/sys/bus/pci/devices/{full}",
    ]
    return next((word for word in command if any(_ends(word, spelling) for spelling in spellings)), None)


def _ends(word: str, spelling: str) -> bool:
    """Whether a spelling stands in a word and the address ends there."""
    place = word.find(spelling)
    return place >= 0 and word[place + len(spelling) :][:1] in {"", ",", '"', "/"}
