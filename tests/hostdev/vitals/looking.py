"""Looking at a host that is made of files."""

from __future__ import annotations

from pathlib import Path

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from hostdev.inventory.host import Host as Door
from hostdev.inventory.scan import scan
from hostdev.vitals.guestview import GuestView
from hostdev.vitals.look import find_held, look_around, signs_of
from hostdev.vitals.signs import Signs, Vital
from hostdev.vitals.verdict import judge
from tests.hostdev import layout
from tests.hostdev.vitals.hosts import Host


def signs_in(root: Path, device: HostDevice) -> Signs:
    """The signs of one device in a directory of files."""
    with Door(root) as host:
        machine = scan(host)
        return signs_of(host, machine, device, look_around(host), find_held(host, machine, [device])[device])


def vital_of(host: Host, device: str, root: Path, guest: GuestView | None = None) -> Vital:
    """The verdict about one device."""
    if not root.exists():
        layout.write(host.recording(), root)
    parsed: HostDevice = Mdev(device) if device.count("-") > 1 else PciAddress.parse(device)
    return judge(signs_in(root, parsed)._replace(guest=guest))
