"""Every PCI device of the host as Passgate, the kernel, lspci and libvirt show it, in the same words."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import pci
from tests.vmhost.inside.product import passgate_json

Facts = Mapping[str, object]
LISTED = ("vendor", "device", "driver", "group", "numaNode", "role", "physfn", "virtfns", "totalVfs", "numVfs")
CAPABILITY = "capability/capability[@type='{}']"


def of_passgate() -> Mapping[str, Facts]:
    """`passgate node list`."""
    return {
        entry["address"]: {
            **{key: entry[key] for key in LISTED},
            "class": entry["classCode"],
            "subsystem": (entry["subsystemVendor"], entry["subsystemDevice"]),
        }
        for entry in passgate_json("node", "list", "--host", "/")["items"]
    }


def of_kernel() -> Mapping[str, Facts]:
    """The attributes and links of sysfs."""
    return {path.name: _of_sysfs(path) for path in (pci.PCI / "devices").iterdir()}


def of_lspci() -> Mapping[str, Facts]:
    """`lspci`, made for programs, with numbers."""
    text = subprocess.run(["lspci", "-Dvmmnk"], capture_output=True, text=True, check=True).stdout
    found = {}
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(":\t", 1) for line in block.splitlines())
        found[fields["Slot"]] = {
            "vendor": f"0x{fields['Vendor']}",
            "device": f"0x{fields['Device']}",
            "class": f"0x{fields['Class']}{fields.get('ProgIf', '00')}",
            "driver": fields.get("Driver"),
            "group": _number(fields.get("IOMMUGroup")),
            "numaNode": _number(fields.get("NUMANode")),
        }
    return found


def of_libvirt(connection: Any) -> Mapping[str, Facts]:
    """What `virsh nodedev-dumpxml` prints."""
    return {address: _of_node_device(device) for address, device in node_devices(connection).items()}


def node_devices(connection: Any) -> Mapping[str, ET.Element]:
    """Every PCI device that libvirt knows, by address."""
    devices = connection.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV)
    trees = [ET.fromstring(device.XMLDesc()) for device in devices]  # noqa: S314  libvirt's own
    parts = ("domain", "bus", "slot", "function")
    return {str(PciAddress(*(int(tree.findtext(f"capability/{part}", "0")) for part in parts))): tree for tree in trees}


def members(device: ET.Element) -> list[str]:
    """Who shares the node device's IOMMU group, itself included."""
    return _addresses(device, "capability/iommuGroup/address")


def is_bridge(device: ET.Element) -> bool:
    """Whether libvirt calls the node device a bridge."""
    return device.find(CAPABILITY.format("pci-bridge")) is not None


def vfs(device: ET.Element) -> list[str]:
    """The VFs of a node device."""
    return _addresses(device, CAPABILITY.format("virt_functions") + "/address")


def _of_node_device(device: ET.Element) -> Facts:
    return {
        "vendor": _attribute(device, "capability/vendor", "id"),
        "device": _attribute(device, "capability/product", "id"),
        "class": device.findtext("capability/class"),
        "driver": device.findtext("driver/name"),
        "group": _number(_attribute(device, "capability/iommuGroup", "number")),
        "numaNode": _number(_attribute(device, "capability/numa", "node")),
        "physfn": next(iter(_addresses(device, CAPABILITY.format("phys_function") + "/address")), None),
        "virtfns": vfs(device),
    }


def _of_sysfs(device: Path) -> Facts:
    node = int((device / "numa_node").read_text())
    virtual = sorted(device.glob("virtfn*"), key=lambda path: int(path.name.removeprefix("virtfn")))
    return {
        **{key: _text(device / key) for key in ("vendor", "device", "class")},
        "subsystem": (_text(device / "subsystem_vendor"), _text(device / "subsystem_device")),
        "driver": _link(device / "driver"),
        "group": _number(_link(device / "iommu_group")),
        "numaNode": node if node >= 0 else None,
        "role": _role(device),
        "physfn": _link(device / "physfn"),
        "virtfns": [_link(path) for path in virtual],
        "totalVfs": _number(_text(device / "sriov_totalvfs")),
        "numVfs": _number(_text(device / "sriov_numvfs")),
    }


def _role(device: Path) -> str:
    if (device / "secondary_bus_number").exists():
        return "bridge"
    if (device / "physfn").is_symlink():
        return "vf"
    return "pf" if (device / "sriov_totalvfs").exists() else "endpoint"


def _text(path: Path) -> str | None:
    return path.read_text().strip() if path.exists() else None


def _link(path: Path) -> str | None:
    return path.readlink().name if path.is_symlink() else None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _attribute(device: ET.Element, path: str, name: str) -> str | None:
    found = device.find(path)
    return None if found is None else found.get(name)


def _addresses(device: ET.Element, path: str) -> list[str]:
    return [str(PciAddress.from_attributes(element.attrib)) for element in device.iterfind(path)]
