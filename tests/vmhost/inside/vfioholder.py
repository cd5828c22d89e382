"""A process that holds a device as a VM does: it has the VFIO device open, and answers no request to let go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import pci
from tests.vmhost.inside.patience import PATIENCE

HOLD = """
import fcntl, os, stat, struct, sys
address, node = sys.argv[1:]
where = "/dev/vfio/" + os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/iommu_group"))
if node:
    os.mknod(node, stat.S_IFCHR | 0o600, os.stat(where).st_rdev)
    where = node
SET_IOMMU, SET_CONTAINER, GET_DEVICE, TYPE1 = 0x3B66, 0x3B68, 0x3B6A, 1
container = os.open("/dev/vfio/vfio", os.O_RDWR)
group = os.open(where, os.O_RDWR)
fcntl.ioctl(group, SET_CONTAINER, struct.pack("i", container))
fcntl.ioctl(container, SET_IOMMU, TYPE1)
device = fcntl.ioctl(group, GET_DEVICE, bytearray(address.encode() + bytes(1)), True)
print("ready", flush=True)
sys.stdin.read()
"""
OTHER_NAME = "/dev/shm/passgate-held"  # noqa: S108  a node, in a file system of its own
"""What a container may call a node."""


@contextmanager
def held(address: PciAddress, *, elsewhere: bool = False) -> Iterator[int]:
    """A process has the device; `elsewhere` in a mount namespace of its own, under a name of its own."""
    away = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/shm; exec "$@"', "sh"] if elsewhere else []
    command = [*away, sys.executable, "-c", HOLD, str(address), OTHER_NAME if elsewhere else ""]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        if holder.stdout.readline() != "ready\n":
            raise RuntimeError(f"{address} could not be held: the driver is {pci.driver(address)}")
        yield holder.pid
    finally:
        holder.stdin.close()
        holder.wait()


@contextmanager
def waiting(path: str, text: str, holder: int) -> Iterator[subprocess.Popen[bytes]]:
    """A write that waits for a holder, which ends first; the writer is never sent a signal."""
    writer = subprocess.Popen([sys.executable, "-c", f"open({path!r}, 'w').write({text!r})"])
    try:
        yield writer
    finally:
        os.kill(holder, signal.SIGKILL)
        writer.wait(PATIENCE)
