"""Give a virtual function of an NVMe disk its queues and put it online, as `nvme virt-mgmt` does."""

from __future__ import annotations

import fcntl
import struct
from pathlib import Path

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import pci
from tests.vmhost.inside.scenario import expect

ADMIN_COMMAND = 0xC0484E41
VIRTUALIZATION_MANAGEMENT = 0x1C
QUEUES, VECTORS = 0, 1
OFFLINE, ASSIGN, ONLINE = 7, 8, 9
STEPS = ((OFFLINE, QUEUES, 0), (ASSIGN, VECTORS, 1), (ASSIGN, QUEUES, 2), (ONLINE, QUEUES, 0))
"""An administrative queue and one for data, and all the interrupt vectors that the disk has for a VF. To one that is
online nothing is assigned."""


def put_online(pf: PciAddress, number: int) -> None:
    """Counted from 0, as `virtfnN` is; the disk counts its secondary controllers from 1."""
    (controller,) = (pci.directory(pf) / "nvme").iterdir()
    with Path("/dev", controller.name).open("rb") as device:
        for action, kind, count in STEPS:
            dwords = ((number + 1) << 16 | kind << 8 | action, count, 0, 0, 0, 0)
            command = struct.pack("=B39x6I8x", VIRTUALIZATION_MANAGEMENT, *dwords)
            status = fcntl.ioctl(device, ADMIN_COMMAND, bytearray(command))
            expect(status == 0, f"the disk answers {status:#x} to action {action} for VF {number}")
