"""A VM larger than any fixture: the one of 10 KB with more disks and interfaces of the kinds that it has."""

from __future__ import annotations

import json
from typing import Any

from tests.domxml.domains import FOLDER, load

BASE = "q35-big-10kb"
INTERFACES = 36
"""Each its own PCI device."""
DISK = '<alias name="ua-data1"></alias>'
INTERFACE = '<alias name="ua-net3"></alias>'


def large(size: int = 60_000) -> tuple[bytes, bytes]:
    """A domain of at least so many bytes as virt-launcher writes them, and its VMI."""
    xml = load(BASE).decode()
    disk, interface = _block(xml, "disk", DISK), _block(xml, "interface", INTERFACE)
    devices = [_interface(interface, number) for number in range(INTERFACES)]
    disks: list[str] = []
    while len(xml) + sum(map(len, devices)) + sum(map(len, disks)) < size:
        disks.append(_disk(disk, len(disks)))
    xml = xml.replace(interface, interface + "".join(devices), 1).replace(disk, disk + "".join(disks), 1)
    return xml.encode(), _vmi(len(disks))


def _block(xml: str, name: str, mark: str) -> str:
    """The element that holds a mark, with the white space before it."""
    middle = xml.index(mark)
    begin = xml.rindex(f"\n\t\t<{name} ", 0, middle)
    end = xml.index(f"</{name}>", middle) + len(f"</{name}>")
    return xml[begin:end]


def _disk(block: str, number: int) -> str:
    device = f"sd{chr(97 + number // 26)}{chr(97 + number % 26)}"
    for old, new in (
        ("/data1/", f"/more{number}/"),
        ("ua-data1", f"ua-more{number}"),
        ("SER00000001", f"MORE{number:07}"),
        ('dev="sda"', f'dev="{device}"'),
        ('unit="0"', f'unit="{100 + number}"'),
    ):
        block = _replaced(block, old, new)
    return block


def _interface(block: str, number: int) -> str:
    for old, new in (
        ('"tap4"', f'"tap{100 + number}"'),
        ("02:42:0a:f4:00:05", f"02:42:0a:f4:01:{number:02x}"),
        ("ua-net3", f"ua-nic{number}"),
    ):
        block = _replaced(block, old, new)
    return block


def _replaced(block: str, old: str, new: str) -> str:
    assert old in block, old
    return block.replace(old, new)


def _vmi(disks: int) -> bytes:
    vmi: dict[str, Any] = json.loads((FOLDER / f"{BASE}.vmi.json").read_bytes())
    devices = vmi["spec"]["domain"]["devices"]
    for number in range(disks):
        devices["disks"].append({**devices["disks"][3], "name": f"more{number}", "serial": f"MORE{number:07}"})
        claim = {"claimName": f"more{number}"}
        vmi["spec"]["volumes"].append({"name": f"more{number}", "persistentVolumeClaim": claim})
    for number in range(INTERFACES):
        mac = f"02:42:0a:f4:01:{number:02x}"
        devices["interfaces"].append({"name": f"nic{number}", "bridge": {}, "macAddress": mac})
        vmi["spec"]["networks"].append({"name": f"nic{number}", "multus": {"networkName": f"nic{number}"}})
    return json.dumps(vmi).encode()
