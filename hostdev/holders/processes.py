"""Who has a device now: the host's driver, processes with an open VFIO file, and what QEMU was told to use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hostdev.holders.claim import Claim, How
from hostdev.inventory.functions import DEVICES
from hostdev.inventory.host import Host
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.vfiodrivers import is_on_vfio

_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_GUEST = re.compile(r"guest=([^,]+)")


class Seen(NamedTuple):
    """All holders that were found, and the processes that could not be looked into."""

    claims: tuple[Claim, ...]
    hidden: tuple[int, ...] = ()


MONITORS = ("qemu", "kvm", "cloud-hypervisor", "crosvm", "firecracker", "lkvm")
"""How the programs that run VMs are called, with whatever their distribution adds."""


def driver_claims(function: PciFunction) -> tuple[Claim, ...]:
    """The host itself, where its driver has the device."""
    if function.driver is None or is_on_vfio(function):
        return ()
    parts = [net.name for net in function.netdevs] + [block.name for block in function.blocks]
    return (Claim(How.DRIVER, function.driver, " ".join(["the host's driver", *parts])),)


def enabled_claims(host: Host, function: PciFunction) -> tuple[Claim, ...]:
    """Whether a function on a vfio driver is open: the driver enables it then, and disables it at the end."""
    file = f"{DEVICES}/{function.address}/enable"
    count = host.read(file) if is_on_vfio(function) else None
    if count in {None, "0"}:
        return ()
    return (Claim(How.ENABLED, function.driver or "vfio", f"/{file} is {count}"),)


def ask_processes(host: Host, function: PciFunction) -> Seen:
    """Look through all processes."""
    claims: list[Claim] = []
    hidden: list[int] = []
    nodes = _nodes(host, function)
    for pid in processes(host):
        files = host.names(f"proc/{pid}/fd")
        if files is None and host.exists(f"proc/{pid}"):
            hidden.append(pid)
        claims += _of_process(host, pid, _opened(host, pid, files or [], nodes), function)
    return Seen(tuple(claims), tuple(hidden))


def processes(host: Host) -> list[int]:
    """Every process; a recorded machine has none, though files of some may be there."""
    pids = sorted(int(name) for name in host.names("proc") or () if name.isdigit())
    return [pid for pid in pids if host.exists(f"proc/{pid}/cmdline") and host.exists(f"proc/{pid}/fd")]


def _of_process(host: Host, pid: int, opened: set[str], function: PciFunction) -> Iterator[Claim]:
    command = (host.text(f"proc/{pid}/cmdline") or "").split("\0")
    # Any process may write an address on its command line; its program it cannot choose a name for.
    program = (host.link(f"proc/{pid}/exe") or command[0]).rpartition("/")[2]
    told = _told(command, function) if program.startswith(MONITORS) else None
    if not opened and told is None:
        return
    name = command[0].rpartition("/")[2] or host.read(f"proc/{pid}/comm") or "?"
    guest = _GUEST.search(" ".join(command))
    pod = _POD.search(host.text(f"proc/{pid}/cgroup") or "")
    seen = [(How.OPEN, node) for node in sorted(opened)]
    seen += [(How.TOLD, told)] if told is not None else []
    for how, where in seen:
        yield Claim(
            how,
            name,
            where,
            pid=pid,
            guest=guest[1] if guest else None,
            pod=pod[1].replace("_", "-") if pod else None,
        )


def _opened(host: Host, pid: int, files: list[str], nodes: Mapping[str, str | None]) -> set[str]:
    """Nodes of the device that a process has open: by name, and by number where a container has another name for it."""
    numbers = set(nodes.values()) - {None}
    found = set()
    for name in files:
        target = host.link(f"proc/{pid}/fd/{name}") or ""
        if target in nodes:
            found.add(target)
        elif numbers and target.startswith("/") and host.node(f"proc/{pid}/fd/{name}") in numbers:
            found.add(f"{target}, which is {next(iter(nodes))}" if len(numbers) == 1 else target)
    return found


def _nodes(host: Host, function: PciFunction) -> dict[str, str | None]:
    """The device's nodes, and their numbers where they can be seen."""
    nodes = []
    if function.group is not None:
        nodes += [f"/dev/vfio/{function.group}", f"/dev/vfio/noiommu-{function.group}"]
    if function.vfio_dev is not None:
        nodes.append(f"/dev/vfio/devices/{function.vfio_dev}")
    return {node: host.node(node.removeprefix("/")) for node in nodes}


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
    """A spelling stands in a word, and the address ends there."""
    place = word.find(spelling)
    return place >= 0 and word[place + len(spelling) :][:1] in {"", ",", '"', "/"}
