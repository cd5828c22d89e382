"""Findings about what device plugins make of a cluster's configuration."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

SELECTOR_TAKES_MORE = FindingKind(
    code="selector-takes-more",
    severity=Severity.WARNING,
    title="A selector takes more devices than were named",
    cause=(
        "`permittedHostDevices` selects by vendor and device number. Every such device that is bound to vfio-pci, on "
        "every node, becomes part of the resource, and a VM gets any of them. A device cannot be chosen by its address."
    ),
    hint="accept any of them, or leave the others off vfio-pci",
    remedy=(
        "Nothing needs to be done if the VM can have any of them. To hand out one alone, bind only that one to "
        "vfio-pci, or use a device plugin that selects by address (Harvester with `disableResourcePooling`, the SR-IOV "
        "plugin with `pfNames` or `rootDevices`)."
    ),
)

SELECTOR_SHARES_GROUP = FindingKind(
    code="selector-shares-group",
    severity=Severity.WARNING,
    title="Several devices that are handed out are one IOMMU group",
    cause=(
        "KubeVirt's own device plugin hands out IOMMU groups. Of several devices in one group that match one selector "
        "it knows only the last, and it may offer the group several times; devices of one group under different "
        "resource names can go to different VMs, of which only one can start."
    ),
    hint="give all devices of the group to one VM, and offer only one function of the group to other VMs",
    remedy=(
        "Functions of one card, such as a graphics card and its audio: have one VM ask for all of them, and let no "
        "other VM ask for any. Passgate adds the other functions of a slot with `functions: all`. Devices of one "
        "resource in one group: put the cards into slots whose root ports have ACS, or use a device plugin that "
        "hands out addresses."
    ),
)

NOT_OFFERED_BY_KUBEVIRT = FindingKind(
    code="not-offered-by-kubevirt",
    severity=Severity.WARNING,
    title="KubeVirt's own device plugin does not offer the device",
    cause=(
        "KubeVirt looks at the driver's name and takes devices on `vfio-pci` only. A variant driver, such as "
        "mlx5_vfio_pci or qat_vfio_pci, is a vfio driver as well, but its devices are passed over in silence."
    ),
    hint="bind it to vfio-pci, or let another device plugin hand it out",
    remedy=(
        "`echo vfio-pci > driver_override`, unbind it, and write its address to `/sys/bus/pci/drivers_probe`. With "
        "vfio-pci the device cannot be migrated, which KubeVirt would not do with it anyway."
    ),
)

MDEV_TYPE_FULL = FindingKind(
    code="mdev-type-full",
    severity=Severity.WARNING,
    title="No mediated device of the type can be made",
    cause=(
        "A card makes mediated devices of one type, or of few that go together, until its memory is used up. "
        "`available_instances` of this type is 0, because devices of another type exist."
    ),
    hint="remove the mediated devices of the other type, or select the type that is in use",
    remedy=(
        "`passgate node show DEVICE` lists the types and how many of each can be made. KubeVirt removes devices of "
        "types that are no longer in `mediatedDevicesConfiguration` when no VM uses them."
    ),
)

KINDS = (SELECTOR_TAKES_MORE, SELECTOR_SHARES_GROUP, NOT_OFFERED_BY_KUBEVIRT, MDEV_TYPE_FULL)
