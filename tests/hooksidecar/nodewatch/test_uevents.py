"""What the kernel tells of devices, and what is no word of it."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from hooksidecar.nodewatch.uevents import Changes, Uevents, read_event
from tests.hostdev.gate.build import at


@pytest.mark.parametrize(
    ("event", "functions", "groups"),
    [
        ("bind@/devices/pci0000:3a/0000:3a:00.0/0000:3d:00.0\0SUBSYSTEM=pci", {"0000:3d:00.0"}, set()),
        ("add@/devices/pci0000:3a/0000:3d:00.0/vfio-dev/vfio3\0SUBSYSTEM=vfio-dev", {"0000:3d:00.0"}, set()),
        ("remove@/devices/pci0000:3a/0000:3d:00.0\0SUBSYSTEM=pci", {"0000:3d:00.0"}, set()),
        ("add@/devices/virtual/vfio/43\0SUBSYSTEM=vfio", set(), {43}),
        ("add@/devices/virtual/vfio/noiommu-3\0SUBSYSTEM=vfio", set(), {3}),
        ("change@/devices/pci0000:3a/0000:3d:00.0/net/ens1\0SUBSYSTEM=net", set(), set()),
        ("change@/devices/virtual/block/loop0\0SUBSYSTEM=block", set(), set()),
        ("libudev\0\xfe\xed", set(), set()),
        ("", set(), set()),
    ],
)
def test_the_kernel_says_which_function(event: str, functions: set[str], groups: set[int]) -> None:
    path = event.partition("\0")[0].partition("@")[2]
    found = read_event(f"{event}\0DEVPATH={path}\0".encode("latin-1"))

    assert found == Changes(frozenset(map(at, functions)), frozenset(groups))


def test_what_a_program_sends_is_no_word_of_the_kernel() -> None:
    with closing(Uevents()) as events:
        message = b"bind@/devices/0000:3d:00.0\0DEVPATH=/devices/0000:3d:00.0\0SUBSYSTEM=pci\0"
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as other:
            try:
                other.sendto(message, (0, 1))
            except PermissionError:
                pytest.skip("only root sends to others")

        assert events.wait(0.2).functions == frozenset()
