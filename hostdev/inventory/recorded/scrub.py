"""Takes out of a recording what tells this host from others: addresses, serial numbers, names and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from hostdev.inventory.blocks import LIO, NVMET
from hostdev.inventory.filesystems import PARTITIONS, POOLS
from hostdev.inventory.netstorage import OVER_NETWORK
from hostdev.inventory.recorded import commandline, toml
from hostdev.inventory.recorded import names as owner
from hostdev.inventory.recorded.commandline import HIDDEN
from hostdev.inventory.recorded.recording import Entry, File, Link, Recording
from hostdev.inventory.recorded.recording import Names as Directory

MDEVS = "sys/bus/mdev/devices/"

_MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5,19}[0-9a-f]{2}\b", re.ASCII | re.IGNORECASE)
_MAC_NAME = re.compile(r"\b(enx|wlx|wwx)([0-9a-f]{12})\b", re.ASCII)
"""Interfaces that udev named after their address."""
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.ASCII | re.IGNORECASE)
_WWID = re.compile(r"\b(?:3[0-9a-f]{16}|3[0-9a-f]{32}|eui\.[0-9a-f]{16,32})\b", re.ASCII)
"""Multipath devices that are named after the disk's serial number."""

_MADE_UP = "02:00:00:00:"
_NETWORK = "000200C0"
"""192.0.2.0 as /proc/net/route writes it: the network for examples."""
_NETWORK6 = "20010db8" + "0" * 24
_ANY6 = "0" * 32
_LOCAL6 = ("fe80", "ff")
_ADDRESS = re.compile(r"(?<=addr=)[^,\s]+|^[0-9a-fA-F.:]{3,}$", re.ASCII)
"""The ports of Fibre Channel are named by their WWNs, as nn-0x…:pn-0x…."""
_SERVER = "192.0.2.1"
_NAME = "E:ID_FS_LABEL="
_MAY_HOLD_NAMES = re.compile(rf"/net\b|/(?:upp|low)er_|^dev/|^{NVMET}|^{LIO}|^{POOLS}")
_LAYERS = ("upperdir", "lowerdir", "workdir")
_MOUNT_FLAGS = frozenset({"rw", "ro", "discard", "attr2", "noquota", "relatime", "noatime", "ssd", "seclabel"})
_POOL = "E:ID_FS_TYPE=zfs_member"


def scrub(recording: Recording) -> str:
    """A recording as TOML, with one made-up value for each that was replaced: the same again for the same."""
    names = owner.Names()
    entries = {_path(path, names): _entry(path, entry, names) for path, entry in sorted(recording.entries.items())}
    text = toml.write(replace(recording, entries=entries))
    # A mediated device is named by its UUID, which the cluster hands out and not the host.
    mdevs = {path.removeprefix(MDEVS) for path in entries if path.startswith(MDEVS)}
    text = _UUID.sub(_Numbered("00000000-0000-4000-8000-{:012x}", keep=mdevs.union(PARTITIONS)), text)
    macs = _Numbered(_MADE_UP + "{:02x}:{:02x}", keep=("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"))
    text = _MAC.sub(macs, text)
    text = _MAC_NAME.sub(lambda match: match[1] + macs.of(_with_colons(match[2])).replace(":", ""), text)
    return _WWID.sub(_Numbered("wwid{}"), text)


def known_interface(name: str, macs: Iterable[str], others: Iterable[str]) -> str:
    """An interface's name as a recording tells it, if one of these addresses or names of interfaces is made up."""
    if any(map(owner.is_made_up, others)):
        name = HIDDEN if owner.is_made_up(owner.Names().of_interface(name)) else name
    return _MAC_NAME.sub(rf"\1{HIDDEN}", name) if any(mac.startswith(_MADE_UP) for mac in macs) else name


class _Numbered:
    """Counts what it replaces, in the order of its first appearance."""

    def __init__(self, form: str, keep: Iterable[str] = ()) -> None:
        self._form = form
        self._known = {value: value for value in keep}
        self._kept = len(self._known)

    def __call__(self, match: re.Match[str]) -> str:
        return self.of(match[0])

    def of(self, value: str) -> str:
        """The made-up value that stands for this one."""
        if value not in self._known:
            number = len(self._known) - self._kept + 1
            parts = divmod(number, 256) if self._form.count("{") == 2 else (number,)
            self._known[value] = self._form.format(*parts)
        return self._known[value]


def _with_colons(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _path(path: str, names: owner.Names) -> str:
    """A path of a recording without the names that the owner gave."""
    # A large host has tens of thousands of paths, and hardly a name.
    if not _MAY_HOLD_NAMES.search(path):
        return path
    parts = path.split("/")
    for at, part in enumerate(parts):
        parts[at] = _part("/".join(parts[:at]), part, names)
    return "/".join(parts)


def _part(above: str, part: str, names: owner.Names) -> str:
    """The name of something in a directory; a link says only the end of that directory's path."""
    prefix, mark, interface = part.partition("er_")
    if mark and prefix in {"upp", "low"}:
        return f"{prefix}{mark}{names.of_interface(interface)}"
    if above.endswith("/net") and above != "proc/net" and part != "bonding_masters":
        return names.of_interface(part)
    if above in {NVMET, POOLS} or above.rpartition("/")[0] == LIO:
        return names.of(part)
    # What lies below /dev/vfio and /dev/iommu is numbered by the kernel.
    ours = above.startswith("dev") and not above.startswith("dev/vfio") and part not in {"vfio", "iommu"}
    return names.of(part) if ours else part


def _entry(path: str, entry: Entry, names: owner.Names) -> Entry:
    if isinstance(entry, Link):
        return Link(_path(entry.target, names))
    if isinstance(entry, Directory):
        return Directory(tuple(_part(path, name, names) for name in entry.names))
    change = next((change for place, change in _LINES.items() if fnmatchcase(path, place)), None)
    if change is None or not isinstance(entry, File):
        return entry
    text = entry.content.decode("utf-8", "replace")
    # The name of a file system is its owner's; that of a pool tells which disks are its own.
    lines = text.splitlines() if _POOL in text else [line for line in text.splitlines() if not line.startswith(_NAME)]
    kept = (change(line, names) for line in lines)
    return File("".join(f"{line}\n" for line in kept if line is not None).encode())


def _mount_line(line: str, names: owner.Names) -> str | None:
    """Mounts of disks and of servers; not those of pods and of the kernel's own."""
    fields, _, rest = line.partition(" - ")
    parts = fields.split(" ")
    kind, source, options = (*rest.split(" ", 2), "", "")[:3]
    if len(parts) < 5:
        return None
    parts[3:5] = (names.of_path(part) for part in parts[3:5])
    fields = " ".join(parts)
    if kind == "zfs":
        pool, *dataset = source.split("/")
        return f"{fields} - zfs {'/'.join((names.of(pool), *(HIDDEN for _ in dataset)))} rw"
    if not parts[2].startswith("0:") or source.startswith("/dev/") or kind == "overlay":
        source = ":".join(map(names.of_path, source.split(":")))
        return f"{fields} - {kind} {source} {_mount_options(options, names)}"
    if kind in OVER_NETWORK or parts[4] == "/":
        return f"{fields} - {kind} {HIDDEN} {_mount_options(options, names)}"
    return None


def _mount_options(options: str, names: owner.Names) -> str:
    """Those without a value, the layers of an overlay, and the address of a server."""
    kept = []
    for option in options.split(","):
        name, equals, value = option.partition("=")
        if not equals:
            kept.append(option if option in _MOUNT_FLAGS else "")
        elif name in _LAYERS:
            kept.append(f"{name}={':'.join(map(names.of_path, value.split(':')))}")
        elif name == "addr":
            kept.append(_server_line(option, names))
    return ",".join(filter(None, kept)) or "rw"


def _swap_line(line: str, names: owner.Names) -> str:
    name, blank, rest = re.match(r"(\S*)(\s*)(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]  # fits all
    return f"{names.of_path(name)}{blank}{rest}" if name.startswith("/") else line


def _route_line(line: str, names: owner.Names) -> str:
    fields = line.split("\t")
    if len(fields) > 7 and fields[0] != "Iface":
        fields[0] = names.of_interface(fields[0].strip())
        fields[1] = fields[1] if fields[1] == "00000000" else _NETWORK
        fields[2] = "00000000"
    return "\t".join(fields).rstrip()


def _route6_line(line: str, names: owner.Names) -> str | None:
    fields = line.split()
    if len(fields) < 10 or fields[9] == "lo" or fields[0].startswith(_LOCAL6):
        return None
    fields[0] = _ANY6 if fields[0] == _ANY6 else _NETWORK6
    fields[2] = fields[4] = _ANY6
    fields[9] = names.of_interface(fields[9])
    return " ".join(fields)


def _address6_line(line: str, names: owner.Names) -> str | None:
    address, *others = line.split()
    if address.startswith(_LOCAL6) or not others:
        return None
    return " ".join((_NETWORK6, *others[:-1], names.of_interface(others[-1])))


def _packet_line(line: str, _names: owner.Names) -> str:
    """Of packet sockets, on which interface they are."""
    fields = line.split()
    return " ".join(field if at == 4 else HIDDEN for at, field in enumerate(fields))


def _kept(*beginnings: str) -> _Change:
    """Only lines that begin like that."""
    return lambda line, _names: line if line.startswith(beginnings) or not line else None


def _udev_line(line: str, names: owner.Names) -> str | None:
    """What a device holds: nothing of serial numbers."""
    if line.startswith(_NAME):
        return f"{_NAME}{names.of(line.removeprefix(_NAME))}"
    return line if line.startswith(("E:ID_FS_TYPE=", "E:ID_PART_ENTRY_TYPE=")) else None


def _server_line(line: str, _names: owner.Names) -> str:
    """The address of a server, in the network for examples, where the routes lead too."""
    return _ADDRESS.sub(_SERVER, line)


def _host_line(line: str, names: owner.Names) -> str:
    """A server that may also be told by its name."""
    return _SERVER if _ADDRESS.fullmatch(line) else names.of(line) if line else line


def _uevent_line(line: str, names: owner.Names) -> str:
    name, equals, value = line.partition("=")
    return f"{name}={names.of_interface(value)}" if equals and name == "INTERFACE" else line


_Change = Callable[[str, owner.Names], str | None]
_LINES: dict[str, _Change] = {
    "proc/cmdline": lambda line, _names: commandline.mask(line),
    "proc/1/mountinfo": _mount_line,
    "proc/self/mountinfo": _mount_line,
    "proc/swaps": _swap_line,
    "proc/net/route": _route_line,
    "proc/net/ipv6_route": _route6_line,
    "proc/net/if_inet6": _address6_line,
    "proc/net/packet": _packet_line,
    "proc/cpuinfo": _kept("vendor_id", "model name", "address sizes"),
    "proc/crypto": _kept("driver", "refcnt"),
    "proc/driver/nvidia/gpus/*/information": _kept("Device Minor"),
    "run/udev/data/b*": _udev_line,
    "sys/devices/*/loop/backing_file": lambda line, names: names.of_path(line),
    "sys/devices/*/dm/name": lambda line, names: names.of(line),
    "sys/devices/*/net/*/uevent": _uevent_line,
    f"{NVMET}/*/device_path": lambda line, names: names.of_path(line),
    f"{LIO}/*/udev_path": lambda line, names: names.of_path(line),
    "sys/class/iscsi_connection/*/*address": _host_line,
    "sys/class/nvme/*/address": _server_line,
}
