"""Boots of KubeVirt's releases, recorded without Passgate, and the same passes on paper with it."""

from __future__ import annotations

import copy
import json
import lzma
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from hooksidecar.rehearsal.releases import RELEASES, Structs
from hooksidecar.rehearsal.standin import define
from hooksidecar.rehearsal.structs import round_trip
from tests.oracle.addresses import Addresses, guest_addresses

FILE = Path(__file__).parent.parent / "fixtures" / "boots.json.xz"
LAST_INDEX = 31
LARGE = 2 << 30
ROOT_COMPLEX = ("rc-", "root-complex-")
"""Shapes with the annotation that puts devices onto the root bus: there KubeVirt adds no ports."""
FORGOTTEN = ("vsock", "filesystem", "sound", "video", "panic")
"""Devices for whose address KubeVirt's structs have no field."""
STRUCTS: Mapping[str, Structs] = {
    "1.5.3": RELEASES["1.5"].structs,
    "1.6.6": RELEASES["1.6"].structs,
    "1.7.4": RELEASES["1.7"].structs,
    "1.8.4": RELEASES["1.8"].structs,
    "1.9.0": RELEASES["1.9"].structs,
    "head": RELEASES["main"].structs,
}
Hook = Callable[[bytes], bytes]


class Boot(NamedTuple):
    """One recorded boot: what the hook is handed first, how often it is called, and who sits where in the end."""

    shape: str
    release: str
    first: bytes
    passes: int
    final: Addresses

    @property
    def name(self) -> str:
        return f"{self.shape}-{self.release}"


@cache
def recorded() -> tuple[Boot, ...]:
    """All of them."""
    data = json.loads(lzma.decompress(FILE.read_bytes()))
    return tuple(
        Boot(shape, release, data["domains"][one["first"]].encode(), one["passes"], _addresses(one["final"]))
        for shape, releases in data["boots"].items()
        for release, one in releases.items()
    )


def _addresses(found: Mapping[str, str]) -> Addresses:
    return {key: None if text == "None" else PciAddress.parse(text) for key, text in found.items()}


def played(boot: Boot, hook: Hook) -> list[bytes]:
    """What libvirt has after each pass of the same boot, with this hook."""
    structs = STRUCTS[boot.release]
    answered = hook(boot.first)
    defined = [define(answered)]
    placeholders, ports = _placeholders(boot.first), _ports(boot)
    given = round_trip(answered, structs)
    if placeholders:
        answered = hook(_read_back(boot.first, defined[0], structs, interfaces=True))
        given = round_trip(answered, structs)
        defined.append(define(answered))
    elif boot.release == "head":
        given = _read_back(boot.first, defined[0], structs, interfaces=False)
    if boot.passes > len(defined):
        defined.append(define(hook(_with_ports(given, ports))))
    return defined


def base_addresses(xml: bytes) -> Addresses:
    """Where the devices of the VM itself sit, and the ports above them; what is empty, or ours, is not told."""
    return of_base(guest_addresses(xml), ours=_ours(xml))


def of_base(found: Addresses, ours: frozenset[str] = frozenset()) -> Addresses:
    devices = {
        k: a for k, a in found.items() if a is not None and not k.startswith("controller:pci:") and k not in ours
    }
    used = {address.bus for address in devices.values() if address is not None}
    while above := {a.bus for k, a in found.items() if a and k in _ports_of(used)} - used:
        used |= above
    return devices | {key: found.get(key) for key in sorted(_ports_of(used)) if found.get(key) is not None}


def _ports_of(buses: set[int]) -> set[str]:
    return {f"controller:pci:{bus}" for bus in buses}


def _ours(xml: bytes) -> frozenset[str]:
    held = Domain.parse(xml).host_devices
    return frozenset(f"hostdev:pci:{device}" for device, holder in held.items() if holder.is_ours)


def _devices(xml: bytes) -> Any:
    return etree.fromstring(xml).find("devices")


def _is_placeholder(interface: Any) -> bool:
    target = interface.find("target")
    return target is not None and target.get("dev", "").startswith("placeholder-")


def _placeholders(first: bytes) -> int:
    return sum(map(_is_placeholder, _devices(first).findall("interface")))


def _read_back(first: bytes, defined: bytes, structs: Structs, *, interfaces: bool) -> bytes:
    """Everything outside <devices> as it was, the devices as libvirt has them, the interfaces as at first."""
    root, original = etree.fromstring(round_trip(defined, structs)), etree.fromstring(first)
    devices: Any = root.find("devices")
    for tag in FORGOTTEN:
        for element in devices.findall(tag):
            for address in element.findall("address"):
                element.remove(address)
    if interfaces:
        for element in devices.findall("interface"):
            devices.remove(element)
        devices.extend(copy.deepcopy(e) for e in original.iterfind("devices/interface") if not _is_placeholder(e))
    original.replace(original.find("devices"), devices)
    return etree.tostring(original)


def _ports(boot: Boot) -> int:
    """The ports that KubeVirt adds for hotplug: the recording tells whether it adds any."""
    if boot.shape.startswith(ROOT_COMPLEX):
        return 0
    placeholders = _placeholders(boot.first)
    devices = _devices(boot.first)
    count = sum(map(_counts, devices)) - placeholders
    memory: Any = etree.fromstring(boot.first).find("memory")
    wanted = max(16 - count, 6) if int(memory.text) > LARGE else max(8 - count, 3)
    return max(0, wanted - placeholders)


def _counts(device: Any) -> bool:
    """Whether KubeVirt would put it onto the root complex, with its annotation for that."""
    if device.tag in {"interface", "memballoon", "rng", "watchdog"}:
        return True
    if device.tag == "disk":
        return device.find("target").get("bus") == "virtio"
    if device.tag == "controller":
        return True
    if device.tag == "input":
        return device.get("bus") == "virtio"
    return device.tag == "hostdev" and device.get("type") == "pci"


def _with_ports(xml: bytes, count: int) -> bytes:
    root = etree.fromstring(xml)
    devices: Any = root.find("devices")
    index = max((int(port.get("index", "0")) for port in devices.iterfind("controller[@type='pci']")), default=0)
    for number in range(index + 1, min(index + count, LAST_INDEX) + 1):
        etree.SubElement(devices, "controller", type="pci", index=str(number), model="pcie-root-port")
    return etree.tostring(root)
