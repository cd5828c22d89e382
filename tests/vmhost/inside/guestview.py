"""What a booted guest told of its PCI devices, NICs and interrupts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

OURS = "> "
NOTHING = "-"
LAST = "end"
KINDS = {"pci": 7, "nic": 5, "slot": 2, "interrupt": 2, LAST: 1}
"""How many words each kind of line has."""
_PCI = re.compile(r"(?:^|/)([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?=/|$)")


class Device(NamedTuple):
    """A PCI device as the guest's kernel shows it."""

    address: str
    ids: str
    node: int
    acpi_index: int | None
    vectors: int
    """Message-signalled interrupts that its driver has."""
    driver: str | None
    path: str

    @property
    def described(self) -> str:
        """In words."""
        return described(self.address, self.node, self.driver)


class Nic(NamedTuple):
    """A NIC as the guest's kernel shows it."""

    name: str
    """The kernel's own: it depends on who was first."""
    ifindex: int
    mac: str
    carrier: bool
    path: str

    @property
    def address(self) -> str:
        """Of its PCI device."""
        return str(_PCI.findall(self.path)[-1])


class View(NamedTuple):
    """All that one boot told."""

    devices: Mapping[str, Device]
    nics: tuple[Nic, ...]
    slots: Mapping[str, str]
    """Hotplug slots by the address of what is in them."""
    interrupts: Mapping[str, int]
    """How often each one came, by the driver's name for it."""
    seconds: float
    """From the kernel's start to the last line."""

    def name(self, nic: Nic) -> str:
        """What udev calls a NIC: by the firmware's index, by the number of its hotplug slot, or by its address."""
        device = self.devices[nic.address]
        _, bus, slot = nic.address.removesuffix(".0").split(":")
        if device.acpi_index:
            return f"eno{device.acpi_index}"
        # A slot that has no number of its own is called 0, or 0-1, and gives no name.
        numbered = self.slots.get(nic.address.partition(".")[0], "")
        if numbered.isdigit() and int(numbered):
            return f"ens{numbered}"
        return f"enp{int(bus, 16)}s{int(slot, 16)}"


def described(address: str, node: int, driver: str | None) -> str:
    """Where a device is, and who has it."""
    return f"{address}, {f'node {node}' if node >= 0 else 'no node'}, {driver or 'no driver'}"


def read(console: str) -> View | None:
    """Read the lines of `guest-init`; None where the last one is missing."""
    lines = [line.removeprefix(OURS).split() for line in console.splitlines() if line.startswith(OURS)]
    # A word of the kernel may have come between: such a line is none of ours.
    told = {
        kind: [line[1:] for line in lines if line[:1] == [kind] and len(line) == n + 1] for kind, n in KINDS.items()
    }
    if not told[LAST]:
        return None
    devices = map(_device, told["pci"])
    return View(
        {device.address: device for device in devices},
        tuple(sorted(map(_nic, told["nic"]), key=lambda nic: nic.ifindex)),
        {address: name for name, address in told["slot"]},
        {name: int(count) for name, count in told["interrupt"]},
        float(told[LAST][0][0]),
    )


def _device(fields: list[str]) -> Device:
    address, ids, node, index, vectors, driver, path = fields
    return Device(
        address,
        ids,
        int(node),
        None if index == NOTHING else int(index),
        int(vectors),
        None if driver == NOTHING else driver,
        path,
    )


def _nic(fields: list[str]) -> Nic:
    name, ifindex, mac, carrier, path = fields
    return Nic(name, int(ifindex), mac, carrier == "1", path)
