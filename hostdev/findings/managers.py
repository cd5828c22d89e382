"""Findings about other programs that put devices on drivers, and make VFs."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

MANAGED_ELSEWHERE = FindingKind(
    code="managed-elsewhere",
    severity=Severity.ERROR,
    title="Another program manages the device",
    cause=(
        "A file of driverctl, the SR-IOV network operator, a driver of resource claims (DRA), a rule of udev, or the "
        "configuration that the kernel is booted with names the device: what is changed beside that program is changed "
        "back, at its next round, at the next event or at the next boot, and two programs that write against each "
        "other leave the device on neither driver."
    ),
    hint="let that program do it, or take the device out of its hands first",
    remedy=(
        "The evidence names the file. driverctl: `driverctl unset-override DEVICE`. SR-IOV network operator: change "
        "the SriovNetworkNodePolicy, or exclude the PF from every policy. A DRA driver: leave the device to it, or "
        "exclude it in the driver's configuration. A rule of udev, `vfio-pci.ids=`: take the device out of it. "
        "Harvester: enable or disable passthrough of the device in its PCI Devices. NVIDIA's GPU operator: the label "
        "`nvidia.com/gpu.workload.config` of the node. Where it is known that the file is a leftover: "
        "`--despite managed-elsewhere`."
    ),
)

KINDS = (MANAGED_ELSEWHERE,)
