"""What virt-launcher's converter does in some releases only: from which on, until which, and how that is known."""

from __future__ import annotations

from typing import NamedTuple

from hostdev.kubevirt.releases import Release

Minor = tuple[int, int]

_NEWEST: Minor = (99, 0)
"""What is not released yet."""


class Change(NamedTuple):
    """Something that the releases do not all do."""

    what: str
    first: Minor
    last: Minor = _NEWEST
    seen: bool = False
    """Recorded boots show it; else it is read in the sources only."""

    def holds(self, release: Release) -> bool:
        """Whether this release does it."""
        return self.first <= minor_of(release) <= self.last


PANIC_DEVICES = Change("panicDevices of the spec", (1, 6))
VIDEO_TYPE = Change("video.type of the spec", (1, 6))
NO_PCI_HOLE = Change("the annotation kubevirt.io/disablePCIHole64", (1, 6), seen=True)
EMPTY_CDROM = Change("a CD-ROM without a volume is an empty drive, and no error", (1, 6))
EMPTY_INPUT_BUS = Change("an input without a bus needs a USB controller", (1, 8))
CLAIMED_DEVICES = Change("GPUs and host devices by DRA claims", (1, 6))
CLAIMED_IN_ORDER = Change("claimed devices in the order of the spec, not all PCI devices before all mdevs", (1, 8))
CLAIMED_NETWORKS = Change("SR-IOV interfaces by DRA claims", (1, 9))
VF_VARIABLES = Change("VFs by the device plugin's variables where network-info names none", (0, 0), (1, 6))
PASST_BINDING = Change("passtBinding as a vhost-user interface", (1, 8))
NUMA_PLACEMENT = Change("host devices behind expander buses on their NUMA nodes", (1, 8), seen=True)
EXPANDERS_FIRST = Change("expander buses before the virtio-serial controller", (1, 8), (1, 8))
NUMA_OVERWRITES = Change("NUMA placement takes devices with an address too", (1, 8), (1, 8))
S390_ROOT_COMPLEX = Change("the root-complex annotation on s390x", (0, 0), (1, 7))


def minor_of(release: Release) -> Minor:
    """Its major and minor version; what is not released yet is newer than all."""
    major, _, rest = release.name.partition(".")
    return (int(major), int(rest.partition(".")[0])) if major.isdecimal() else _NEWEST
