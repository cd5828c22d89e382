"""Who has a device now: the host's driver, processes with an open VFIO file, and what QEMU was told to use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

from hostdev.holders.claim import Claim, How
from hostdev.inventory.functions import DEVICES
from hostdev.inventory.host import Host
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.vfiodrivers import is_on_vfio

T = TypeVar("T")

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


class Marks(NamedTuple):
    """By what a process that uses a device is known."""

    nodes: Mapping[str, str | None]
    """Its nodes, and their numbers where they can be seen."""
    spellings: tuple[str, ...]
    """As QEMU and its relatives name it on their command lines."""


def ask_processes(host: Host, function: PciFunction) -> Seen:
    """Look through all processes."""
    return ask_for_each(host, {function.address: marks_of(host, function)})[function.address]


def ask_for_each(host: Host, wanted: Mapping[T, Marks]) -> Mapping[T, Seen]:
    """Look through all processes once, for several devices."""
    claims: dict[T, list[Claim]] = {device: [] for device in wanted}
    named, numbered = _users_by_node(wanted)
    hidden: list[int] = []
    for pid in processes(host):
        files = host.names(f"proc/{pid}/fd")
        if files is None and host.exists(f"proc/{pid}"):
            hidden.append(pid)
        opened = _opened(host, pid, files or [], named, numbered)
        command = (host.text(f"proc/{pid}/cmdline") or "").split("\0")
        # Any process may write an address on its command line; its program it cannot choose a name for.
        program = (host.link(f"proc/{pid}/exe") or command[0]).rpartition("/")[2]
        words = command if program.startswith(MONITORS) else []
        for device, marks in wanted.items():
            claims[device] += _of_process(host, pid, command, opened.get(device, set()), _told(words, marks.spellings))
    return {device: Seen(tuple(found), tuple(hidden)) for device, found in claims.items()}


def _users_by_node(wanted: Mapping[T, Marks]) -> tuple[dict[str, list[T]], dict[str, list[tuple[T, str]]]]:
    """Devices by the names of their nodes, and by the numbers of these: what that number is, where it is only one."""
    named: dict[str, list[T]] = {}
    numbered: dict[str, list[tuple[T, str]]] = {}
    for device, marks in wanted.items():
        numbers = set(marks.nodes.values()) - {None}
        only = f", which is {next(iter(marks.nodes))}" if len(numbers) == 1 else ""
        for node, number in marks.nodes.items():
            named.setdefault(node, []).append(device)
            if number is not None:
                numbered.setdefault(number, []).append((device, only))
    return named, numbered


def processes(host: Host) -> list[int]:
    """Every process; a recorded machine has none, though files of some may be there."""
    pids = sorted(int(name) for name in host.names("proc") or () if name.isdigit())
    return [pid for pid in pids if host.exists(f"proc/{pid}/cmdline") and host.exists(f"proc/{pid}/fd")]


def _of_process(host: Host, pid: int, command: list[str], opened: set[str], told: str | None) -> Iterator[Claim]:
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


def _opened(
    host: Host, pid: int, files: list[str], named: Mapping[str, list[T]], numbered: Mapping[str, list[tuple[T, str]]]
) -> dict[T, set[str]]:
    """Nodes of devices that a process has open, by name, and by number where a container has another name for it."""
    found: dict[T, set[str]] = {}
    for name in files:
        target = host.link(f"proc/{pid}/fd/{name}") or ""
        for device in named.get(target, ()):
            found.setdefault(device, set()).add(target)
        if numbered and target.startswith("/") and target not in named:
            for device, only in numbered.get(host.node(f"proc/{pid}/fd/{name}") or "", ()):
                found.setdefault(device, set()).add(f"{target}{only}")
    return found


def marks_of(host: Host, function: PciFunction) -> Marks:
    """The marks of a PCI function."""
    nodes = []
    if function.group is not None:
        nodes += [f"/dev/vfio/{function.group}", f"/dev/vfio/noiommu-{function.group}"]
    if function.vfio_dev is not None:
        nodes.append(f"/dev/vfio/devices/{function.vfio_dev}")
    full = str(function.address)
    names = {full, full.removeprefix("0000:")}
    spellings = (
        *(f"{key}{name}" for key in ("host=", '"host":"', '"host": "') for name in names),
        f"/sys/bus/pci/devices/{full}",
    )
    return Marks(_numbered(host, nodes), spellings)


def marks_of_mdev(host: Host, uuid: str, group: int | None) -> Marks:
    """The marks of a mediated device, which has a group of its own."""
    nodes = [] if group is None else [f"/dev/vfio/{group}"]
    return Marks(_numbered(host, nodes), (f"/sys/bus/mdev/devices/{uuid}",))


def _numbered(host: Host, nodes: list[str]) -> dict[str, str | None]:
    return {node: host.node(node.removeprefix("/")) for node in nodes}


def _told(command: list[str], spellings: tuple[str, ...]) -> str | None:
    """The word of a command line that names the device."""
    return next((word for word in command if any(_ends(word, spelling) for spelling in spellings)), None)


def _ends(word: str, spelling: str) -> bool:
    """A spelling stands in a word, and the address ends there."""
    place = word.find(spelling)
    return place >= 0 and word[place + len(spelling) :][:1] in {"", ",", '"', "/"}
