"""Large VMs: hosts and domains that are made when a test asks for them."""

from __future__ import annotations

from itertools import islice

from lxml import etree

from domxml.document import Domain
from tests.domxml.domains import load
from tests.hostdev.machines.routing import addresses

FIRST_VF = "0000:e1:02.0"
GPUS = tuple(f"0000:{bus}:00.0" for bus in ("19", "1a", "4a", "4b", "8c", "8d", "cb", "cc"))


def vfs(count: int) -> tuple[str, ...]:
    """The first VFs of the card that the hosts of large VMs have."""
    return tuple(islice(addresses(FIRST_VF), count))


def variables(*, gpus: int = 0, vf_count: int = 0) -> tuple[str, ...]:
    """What device plugins tell, as options."""
    told = {
        "PCI_RESOURCE_NVIDIA_COM_GH100_H100_SXM5_80GB": GPUS[:gpus],
        "PCIDEVICE_INTEL_COM_X710_VFIO": vfs(vf_count),
    }
    return tuple(word for name, found in told.items() if found for word in ("--env", f"{name}={','.join(found)}"))


def domain(disks: int) -> bytes:
    """A q35 domain with so many disks."""
    parsed = Domain.parse(load("q35-default"))
    for number in range(disks - len(parsed.devices.findall("disk"))):
        disk = etree.SubElement(parsed.devices, "disk", device="disk", type="block", model="virtio-non-transitional")
        etree.SubElement(disk, "source", dev=f"/dev/data{number}")
        etree.SubElement(disk, "target", bus="virtio", dev=f"vd{_letters(number + 2)}")
        etree.SubElement(disk, "driver", cache="none", name="qemu", type="raw", io="native")
        etree.SubElement(disk, "alias", name=f"ua-data{number}")
    return parsed.serialise()


def _letters(number: int) -> str:
    high, low = divmod(number, 26)
    return (chr(ord("a") + high - 1) if high else "") + chr(ord("a") + low)
