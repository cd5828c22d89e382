"""Guest addresses that a VM may ask for, and what becomes of each."""

from __future__ import annotations

ASKED = [
    ("q35-default", "0000:0b:00.0", "0000:0b:00.0"),
    ("q35-default", "0000:08:00.0", "0000:08:00.0"),
    ("q35-default", "0000:00:0c.0", "0000:00:0c.0"),
    ("i440fx", "0000:00:15.0", "0000:00:15.0"),
    ("i440fx", "0000:02:05.0", "0000:02:05.0"),
    ("arm64-virt", "0000:20:00.0", "0000:20:00.0"),
    ("s390x-ccw", "0000:00:09.0", "0000:00:09.0"),
]
REFUSED = [
    ("q35-default", "0000:09:01.0", "slot must be <= 0"),
    ("q35-default", "0001:09:00.0", "Only PCI domain 0 is available"),
    ("q35-default", "0000:00:00.0", "silently"),
    ("q35-default", "0000:00:01.0", "Attempted double use of PCI Address 0000:00:01.0"),
    ("q35-default", "0000:00:1f.4", "Attempted double use"),
    ("q35-default", "0000:00:02.0", "Attempted double use of PCI Address 0000:00:02.0"),
    ("q35-default", "0000:09:00.1", "function 0"),
    ("i440fx", "0000:00:01.2", "PIIX3"),
    ("i440fx", "0000:05:00.0", "slot must be >= 1"),
    ("arm64-virt", "0000:00:01.0", "Attempted double use"),
    ("s390x-ccw", "0000:01:01.0", "bus 0"),
]
PLANNED = [
    ("i440fx", "0000:00:04.0", "controller scsi 0"),
    ("q35-default", "0000:01:00.0", "interface ua-default"),
    ("q35-default", "0000:07:00.0", "rng virtio-non-transitional"),
    ("arm64-virt", "0000:01:00.0", "interface ua-default"),
]
"""Places that libvirt has only planned for a device of the VM: it makes room."""
