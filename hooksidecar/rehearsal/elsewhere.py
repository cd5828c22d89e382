"""Makes a domain of a KubeVirt node one that another libvirt can define: it has another QEMU, and maybe no KVM."""

from __future__ import annotations

import re

from domxml.document import Element

OPTIONAL_SLOTS = 10_000_000
"""libvirt 9.0 refuses a maxMemory of no slots, 11.3 takes it."""

_DISTRIBUTION_MACHINES = (
    (re.compile(r"pc-q35-rhel.*"), "q35"),
    (re.compile(r"(?:pc-i440fx-)?rhel.*"), "pc"),
    (re.compile(r"virt-rhel.*"), "virt"),
    (re.compile(r"s390-ccw-virtio-rhel.*"), "s390-ccw-virtio"),
)


def fit(root: Element, version: int) -> None:
    """Say in the words of a libvirt of this version what it would not take as it stands. Nothing of it is about PCI."""
    for element in root.iterfind("os/type[@machine]"):
        for pattern, name in _DISTRIBUTION_MACHINES:
            if pattern.fullmatch(element.get("machine", "")):
                element.set("machine", name)
    if version < OPTIONAL_SLOTS:
        for element in root.findall("maxMemory[@slots='0']"):
            root.remove(element)
