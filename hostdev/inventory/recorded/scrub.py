"""Takes out of a recording what tells this host from others: addresses, serial numbers, names and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from hostdev.inventory.filesystems import PARTITIONS
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.recording import Entry, File, Recording

MDEVS = "sys/bus/mdev/devices/"

_MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5,19}[0-9a-f]{2}\b", re.ASCII | re.IGNORECASE)
_MAC_NAME = re.compile(r"\b(enx|wlx|wwx)([0-9a-f]{12})\b", re.ASCII)
"""Interfaces that udev named after their address."""
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.ASCII | re.IGNORECASE)
_WWID = re.compile(r"\b(?:3[0-9a-f]{16}|3[0-9a-f]{32}|eui\.[0-9a-f]{16,32})\b", re.ASCII)
"""Multipath devices that are named after the disk's serial number."""

_KEPT_OPTIONS = re.compile(
    r"(?:(?:intel_|amd_)?iommu(?:\.\w+)?|(?:no)?intremap|vfio\w*\.\w+|vfio-pci\.\w+|pci|pcie_\w+|kvm\w*\.\w+"
    r"|rd\.driver\.\w+|modprobe\.blacklist|module_blacklist|initcall_blacklist|(?:default_)?huge\w+"
    r"|isolcpus|nohz_full|rcu_nocbs|mitigations|efifb|video|console|panic|acpi\w*|tsc|i915\.\w+|xe\.\w+|nvme\w*\.\w+)"
)
"""Options of the kernel that matter here; the value of any other one stays here."""
_HIDDEN = "_"
_MADE_UP = "02:00:00:00:"
_NETWORK = "000200C0"
"""192.0.2.0 as /proc/net/route writes it: the network for examples."""
_NETWORK6 = "20010db8" + "0" * 24
_ANY6 = "0" * 32
_LOCAL6 = ("fe80", "ff")
_ADDRESS = re.compile(r"(?<=addr=)[0-9a-fA-F.:]{3,}|^[0-9a-fA-F.:]{3,}$", re.ASCII)
_SERVER = "192.0.2.1"
_NAME = "E:ID_FS_LABEL="
_POOL = "E:ID_FS_TYPE=zfs_member"


def scrub(recording: Recording) -> str:
    """A recording as TOML, with one made-up value for each that was replaced: the same again for the same."""
    entries = {path: _entry(path, entry) for path, entry in recording.entries.items()}
    text = toml.write(replace(recording, entries=entries))
    # A mediated device is named by its UUID, which the cluster hands out and not the host.
    mdevs = {path.removeprefix(MDEVS) for path in entries if path.startswith(MDEVS)}
    text = _UUID.sub(_Numbered("00000000-0000-4000-8000-{:012x}", keep=mdevs.union(PARTITIONS)), text)
    macs = _Numbered(_MADE_UP + "{:02x}:{:02x}", keep=("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"))
    text = _MAC.sub(macs, text)
    text = _MAC_NAME.sub(lambda match: match[1] + macs.of(_with_colons(match[2])).replace(":", ""), text)
    return _WWID.sub(_Numbered("wwid{}"), text)


def scrub_options(old: str, new: str) -> tuple[str, str]:
    """Two command lines, both without what a recording hides if one of them is without it."""
    if any(token.endswith(f"={_HIDDEN}") for token in (*old.split(), *new.split())):
        return _option_line(old), _option_line(new)
    return old, new


def scrub_interface(name: str, macs: Iterable[str]) -> str:
    """An interface's name, without the address in it if one of these is made up."""
    return _MAC_NAME.sub(rf"\1{_HIDDEN}", name) if any(mac.startswith(_MADE_UP) for mac in macs) else name


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


def _entry(path: str, entry: Entry) -> Entry:
    change = next((change for place, change in _LINES.items() if fnmatchcase(path, place)), None)
    if change is None or not isinstance(entry, File):
        return entry
    text = entry.content.decode("utf-8", "replace")
    # The name of a file system is its owner's; that of a pool tells which disks are its own.
    lines = text.splitlines() if _POOL in text else [line for line in text.splitlines() if not line.startswith(_NAME)]
    kept = (change(line) for line in lines)
    return File("".join(f"{line}\n" for line in kept if line is not None).encode())


def _option_line(line: str) -> str:
    return " ".join(_option(token) for token in line.split())


def _option(token: str) -> str:
    name, equals, _ = token.partition("=")
    return token if not equals or _KEPT_OPTIONS.fullmatch(name) else f"{name}={_HIDDEN}"


def _mount_line(line: str) -> str | None:
    """Mounts of disks; not those of pods, shares and the kernel's own."""
    fields, _, rest = line.partition(" - ")
    parts = fields.split(" ")
    on_disk = len(parts) > 4 and not parts[2].startswith("0:")
    kind, _, source = rest.partition(" ")
    if kind == "zfs":
        pool, *dataset = source.partition(" ")[0].split("/")
        return f"{fields} - zfs {'/'.join((pool, *(_HIDDEN for _ in dataset)))} rw"
    if on_disk or source.startswith("/dev/"):
        return line
    if len(parts) < 5 or parts[4] != "/":
        return None
    return line if kind == "overlay" else f"{fields} - {kind} {_HIDDEN} rw"


def _route_line(line: str) -> str:
    fields = line.split("\t")
    if len(fields) > 7 and fields[0] != "Iface":
        fields[1] = fields[1] if fields[1] == "00000000" else _NETWORK
        fields[2] = "00000000"
    return "\t".join(fields).rstrip()


def _route6_line(line: str) -> str | None:
    fields = line.split()
    if len(fields) < 10 or fields[9] == "lo" or fields[0].startswith(_LOCAL6):
        return None
    fields[0] = _ANY6 if fields[0] == _ANY6 else _NETWORK6
    fields[2] = fields[4] = _ANY6
    return " ".join(fields)


def _address6_line(line: str) -> str | None:
    address, *others = line.split()
    return None if address.startswith(_LOCAL6) else " ".join((_NETWORK6, *others))


def _packet_line(line: str) -> str:
    """Of packet sockets, on which interface they are."""
    fields = line.split()
    return " ".join(field if at == 4 else _HIDDEN for at, field in enumerate(fields))


def _kept(*beginnings: str) -> Callable[[str], str | None]:
    """Only lines that begin like that."""
    return lambda line: line if line.startswith(beginnings) or not line else None


def _udev_line(line: str) -> str | None:
    """What a device holds: nothing of serial numbers."""
    return line if line.startswith(("E:ID_FS_TYPE=", _NAME, "E:ID_PART_ENTRY_TYPE=")) else None


def _server_line(line: str) -> str:
    """The address of a server, in the network for examples, where the routes lead too."""
    return _ADDRESS.sub(_SERVER, line)


def _backing_line(line: str) -> str:
    """A device, or below which directory a file lies."""
    return line if line.startswith("/dev/") else f"/{line.split('/')[1] if '/' in line else ''}/{_HIDDEN}"


_LINES: dict[str, Callable[[str], str | None]] = {
    "proc/cmdline": _option_line,
    "proc/1/mountinfo": _mount_line,
    "proc/self/mountinfo": _mount_line,
    "proc/net/route": _route_line,
    "proc/net/ipv6_route": _route6_line,
    "proc/net/if_inet6": _address6_line,
    "proc/net/packet": _packet_line,
    "proc/crypto": _kept("driver", "refcnt"),
    "proc/driver/nvidia/gpus/*/information": _kept("Device Minor"),
    "run/udev/data/b*": _udev_line,
    "sys/devices/*/loop/backing_file": _backing_line,
    "sys/class/iscsi_connection/*/*address": _server_line,
    "sys/class/nvme/*/address": _server_line,
}
