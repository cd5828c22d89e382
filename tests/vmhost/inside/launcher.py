"""Domains as virt-launcher makes them, and what this small host needs to start one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.vmhost.inside.domains import domain

FIXTURES = Path("/share/project/tests/fixtures/domains")
MEMORY_MIB = 128
DISK_SIZE = 1 << 20
UNAFFORDABLE = ("maxMemory", "memoryBacking", "cputune")
"""Huge pages, processors and memory that this host has not."""


class Guest(NamedTuple):
    """What virt-launcher hands to a hook."""

    domain: str
    vmi: str


def small(name: str) -> str:
    """A domain without an address: a NIC, a disk controller, a random generator."""
    return domain(
        name,
        "<interface type='user'><mac address='02:42:0a:f4:00:01'/><model type='virtio-non-transitional'/>"
        "<alias name='ua-default'/></interface>",
        "<controller type='scsi' index='0' model='virtio-non-transitional'/>",
        "<rng model='virtio-non-transitional'><backend model='random'>/dev/urandom</backend></rng>",
    )


def recorded(name: str, annotations: Mapping[str, str] | None = None) -> Guest:
    """A domain that a virt-launcher made, as large as this host can carry, with its files, sockets and taps there."""
    import json  # noqa: PLC0415  most scenarios need none of this

    vmi = json.loads((FIXTURES / f"{name}.vmi.json").read_text())
    vmi["metadata"]["annotations"] = dict(annotations or {})
    root = ET.fromstring((FIXTURES / f"{name}.xml").read_text())  # noqa: S314  our own
    root.set("type", "qemu")
    _shrink(root)
    _furnish(root)
    return Guest(ET.tostring(root, encoding="unicode"), json.dumps(vmi))


def _shrink(root: ET.Element) -> None:
    for tag in UNAFFORDABLE:
        for element in root.findall(tag):
            root.remove(element)
    cells = root.findall("cpu/numa/cell")
    for element in root.iterfind("memory"):
        element.text = str(MEMORY_MIB << 20)
    for cell in cells:
        cell.set("memory", str((MEMORY_MIB << 20) // len(cells)))
    for cpu in root.iterfind("cpu"):
        # Passing a processor through needs KVM.
        cpu.attrib.pop("mode", None)


def _furnish(root: ET.Element) -> None:
    for disk in root.iterfind("devices/disk"):
        for source in disk.findall("source"):
            _file(source.get("file", ""))
        for driver in disk.findall("driver"):
            driver.set("type", "raw")
            # tmpfs, where these files are, knows no direct access.
            driver.attrib.pop("cache", None)
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
    for element in root.iter():
        for path in (element.get("socket"), element.get("path")):
            if path and path.startswith("/"):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
    for target in root.iterfind("devices/interface[@type='ethernet']/target"):
        _tap(target.get("dev", ""))


def _file(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("wb") as file:
        file.truncate(DISK_SIZE)


def _tap(name: str) -> None:
    if not Path("/sys/class/net", name).exists():
        subprocess.run(["ip", "tuntap", "add", name, "mode", "tap"], check=True)
