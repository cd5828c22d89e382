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
from domxml.kubevirt import LAST_PORT, PLACEHOLDER, placeholders, spare_ports
from domxml.pciaddress import PciAddress
from hooksidecar.rehearsal.releases import RELEASES, Structs
from hooksidecar.rehearsal.standin import define
from hooksidecar.rehearsal.structs import round_trip
from tests.oracle.addresses import Addresses, guest_addresses

FILE = Path(__file__).parent.parent / "fixtures" / "boots.json.xz"
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


def play(boot: Boot, hook: Hook) -> list[bytes]:
    """What libvirt has after each pass of the same boot, with this hook."""
    structs = STRUCTS[boot.release]
    answered = hook(boot.first)
    defined = [define(answered)]
    first = Domain.parse(boot.first)
    given = _round_trip(answered, structs)
    if placeholders(first):
        answered = hook(_read_back(boot.first, defined[0], structs, interfaces=True))
        given = _round_trip(answered, structs)
        defined.append(define(answered))
    elif boot.release == "head":
        given = _read_back(boot.first, defined[0], structs, interfaces=False)
    if boot.passes > len(defined):
        defined.append(define(hook(_with_ports(given, spare_ports(first)))))
    return defined


def base_addresses(xml: bytes) -> Addresses:
    """Every device that has a guest address."""
    return {key: address for key, address in guest_addresses(xml).items() if address is not None}


def of_base(found: Addresses, wished: frozenset[str] = frozenset()) -> Addresses:
    """The VM's own devices, and the ports above them; what is wished for is not the VM's own."""
    devices = {
        key: address
        for key, address in found.items()
        if address is not None and not key.startswith("controller:pci:") and key not in wished
    }
    used = {address.bus for address in devices.values() if address is not None}
    while above := {a.bus for key, a in found.items() if a is not None and key in _ports_of(used)} - used:
        used |= above
    return devices | {key: found[key] for key in sorted(_ports_of(used) & found.keys()) if found[key] is not None}


def _ports_of(buses: set[int]) -> set[str]:
    return {f"controller:pci:{bus}" for bus in buses}


def _is_placeholder(interface: Any) -> bool:
    target = interface.find("target")
    return target is not None and target.get("dev", "").startswith(PLACEHOLDER)


def _round_trip(xml: bytes, structs: Structs) -> bytes:
    root = etree.fromstring(round_trip(xml, structs))
    for tag in FORGOTTEN:
        for element in root.iterfind(f"devices/{tag}"):
            for address in element.findall("address"):
                element.remove(address)
    return etree.tostring(root)


def _read_back(first: bytes, defined: bytes, structs: Structs, *, interfaces: bool) -> bytes:
    """Everything outside <devices> as it was, the devices as libvirt has them, the interfaces as at first."""
    root, original = etree.fromstring(_round_trip(defined, structs)), etree.fromstring(first)
    devices: Any = root.find("devices")
    if interfaces:
        for element in devices.findall("interface"):
            devices.remove(element)
        devices.extend(copy.deepcopy(e) for e in original.iterfind("devices/interface") if not _is_placeholder(e))
    there: Any = original.find("devices")
    original.replace(there, devices)
    return etree.tostring(original)


def _with_ports(xml: bytes, count: int) -> bytes:
    root = etree.fromstring(xml)
    devices: Any = root.find("devices")
    index = max((int(port.get("index", "0")) for port in devices.iterfind("controller[@type='pci']")), default=0)
    for number in range(index + 1, min(index + count, LAST_PORT) + 1):
        etree.SubElement(devices, "controller", type="pci", index=str(number), model="pcie-root-port")
    return etree.tostring(root)
