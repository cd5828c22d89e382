"""Takes out of a recording what tells this host from others: addresses, serial numbers, names and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

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
"""Options of the kernel that matter here; what any other one is set to is nobody's business."""
_HIDDEN = "_"
_NETWORK = "000200C0"
"""192.0.2.0 as /proc/net/route writes it: the network for examples."""
_NETWORK6 = "20010db8" + "0" * 24
_ANY6 = "0" * 32
_LOCAL6 = ("fe80", "ff")


def scrub(recording: Recording) -> str:
    """A recording as TOML, with one made-up value for each that was replaced: the same again for the same."""
    entries = {path: _entry(path, entry) for path, entry in recording.entries.items()}
    text = toml.write(replace(recording, entries=entries))
    # A mediated device is named by its UUID, which the cluster hands out and not the host.
    mdevs = {path.removeprefix(MDEVS) for path in entries if path.startswith(MDEVS)}
    text = _UUID.sub(_Numbered("00000000-0000-4000-8000-{:012x}", keep=mdevs), text)
    macs = _Numbered("02:00:00:00:{:02x}:{:02x}", keep=("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"))
    text = _MAC.sub(macs, text)
    text = _MAC_NAME.sub(lambda match: match[1] + macs.of(_with_colons(match[2])).replace(":", ""), text)
    return _WWID.sub(_Numbered("wwid{}"), text)


class _Numbered:
    """Counts what it replaces, in the order of its first appearance."""

    def __init__(self, form: str, keep: Iterable[str] = ()) -> None:
        self._form = form
        self._known = {value: value for value in keep}
        self._kept = len(self._known)

    def __call__(self, match: re.Match[str]) -> str:
        return self.of(match[0])

    def of(self, value: str) -> str:
        """What stands for a value."""
        if value not in self._known:
            number = len(self._known) - self._kept + 1
            parts = divmod(number, 256) if self._form.count("{") == 2 else (number,)
            self._known[value] = self._form.format(*parts)
        return self._known[value]


def _with_colons(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _entry(path: str, entry: Entry) -> Entry:
    change = _LINES.get(path)
    if change is None or not isinstance(entry, File):
        return entry
    lines = entry.content.decode("utf-8", "replace").splitlines()
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
    return line if on_disk or rest.partition(" ")[2].startswith("/dev/") else None


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


_LINES: dict[str, Callable[[str], str | None]] = {
    "proc/cmdline": _option_line,
    "proc/1/mountinfo": _mount_line,
    "proc/self/mountinfo": _mount_line,
    "proc/net/route": _route_line,
    "proc/net/ipv6_route": _route6_line,
}
