"""Findings about one VM and its devices together."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

DUPLICATE_DEVICE = FindingKind(
    code="duplicate-device",
    severity=Severity.ERROR,
    title="The same host device is asked for twice",
    cause=(
        "Two requests, two resources or two hostdevs of the domain name the same host device. Device plugins that "
        "list all devices of an IOMMU group repeat addresses too."
    ),
    hint="remove one of the two requests",
    remedy=(
        "Remove one of the requests from `passgate.dev/devices` or from the VM's spec. If both come from device "
        "plugins, two resources offer the same device: make their selectors exclude each other."
    ),
    says=(
        "Hostdev already exists in the domain configuration",
        "vfio {device}: device is already attached",
    ),
)

DEVICE_IN_USE = FindingKind(
    code="device-in-use",
    severity=Severity.ERROR,
    title="Somebody else holds the device or a member of its IOMMU group",
    cause=(
        "One IOMMU group has one owner. libvirt only knows the domains of its own process, and each virt-launcher pod "
        "has its own; between pods only the kernel keeps order, by refusing to open the group a second time."
    ),
    hint="stop the other VM, or choose a device of another group",
    remedy=(
        "`passgate node who DEVICE` tells who has it open. If two resources offer devices of one group, two VMs can "
        "be given halves of it: offer the group as one resource, or move the cards to slots with ACS."
    ),
    says=(
        "PCI device {device} is in use",
        "vfio {device}: Could not open '/dev/vfio/{group}': Device or resource busy",
        "vfio {device}: failed to open /dev/vfio/{group}: Device or resource busy",
    ),
)

MEMLOCK_NOT_RAISED = FindingKind(
    code="memlock-not-raised",
    severity=Severity.WARNING,
    title="Nobody raises the limit of locked memory for this VM",
    cause=(
        "VFIO pins the whole memory of the guest; libvirt wants the guest's memory (times the number of devices if "
        "there is a virtual IOMMU) plus 1 GiB as limit. KubeVirt raises it only for a VM whose spec names a GPU, a "
        "host device or an SR-IOV interface; a device that is only injected does not count, and an unprivileged "
        "libvirt cannot raise it by itself."
    ),
    hint="set spec.domain.memory.reservedOverhead with memLock: Required, or keep one VFIO device in the spec",
    remedy=(
        "Keep at least one of the devices in the VM's spec (`gpus`, `hostDevices` or an SR-IOV interface), or, from "
        "KubeVirt 1.8 with the feature gate ReservedOverheadMemlock:\n\n"
        "```yaml\n"
        "spec:\n"
        "  domain:\n"
        "    memory:\n"
        "      reservedOverhead:\n"
        "        addedOverhead: 1Gi\n"
        "        memLock: Required\n"
        "```\n\n"
        "`<memoryBacking><locked/>` and `<memtune>` in the domain do not help: the limit of the container stays."
    ),
    says=(
        "cannot limit locked memory of process {any} to {any}: Operation not permitted",
        "vfio_container_dma_map({any}) = -12 (Cannot allocate memory)",
        "VFIO_MAP_DMA failed: Cannot allocate memory",
        "vfio_pin_pages_remote: RLIMIT_MEMLOCK ({any}) exceeded",
    ),
)

KINDS = (DUPLICATE_DEVICE, DEVICE_IN_USE, MEMLOCK_NOT_RAISED)
