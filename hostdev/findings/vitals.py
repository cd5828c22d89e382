"""Findings about devices that VMs have: whether they arrived, and what went wrong with them since."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

DEVICE_RESET_FAILED = FindingKind(
    code="device-reset-failed",
    severity=Severity.ERROR,
    title="The device did not come back from a reset",
    cause=(
        "The kernel resets a device when a VM opens it, when its guest reboots and when the VM ends, and waits for it "
        "up to a minute. It gave up. The device answers no more, or only with what the VM before left in it."
    ),
    hint="stop the VM, and power the node off and on; until then give the device to no other VM",
    remedy=(
        "`dmesg | grep DEVICE` names the method that failed, and `reset_method` in its sysfs directory the others: "
        "`echo bus > reset_method` chooses one. `passgate node doctor DEVICE` may know the model "
        "([known-bad-device](known-bad-device.md))."
    ),
    says=("not ready {any}ms after {any}; giving up",),
    issues=("gnif/vendor-reset#109", "amd/MxGPU-Virtualization#25"),
)

DMA_FAULT = FindingKind(
    code="dma-fault",
    severity=Severity.ERROR,
    title="The IOMMU stopped the device from reaching memory",
    cause=(
        "The device read or wrote an address that is not the guest's memory (a page fault of the IOMMU). A driver in "
        "the guest gave it a wrong one, the device went on after a reset, or it speaks with the number of another "
        "function, as some SATA controllers do. The IOMMU keeps the host safe; the guest's request is lost, and the "
        "guest mostly hangs or resets the device. Many faults are one: the kernel stops writing them down for a while."
    ),
    hint="look at the guest's own log for the device; a fault right after a start may be an old request",
    remedy=(
        "One fault at the start of a VM and none after it is a request of the VM before, which a reset should have "
        "ended. Faults that go on are a driver's mistake in the guest, or memory that the guest was not given: update "
        "the driver, and see whether the VM has memory hot-plugged. Faults of every device of one model from the first "
        "moment on are the hardware's ([known-bad-device](known-bad-device.md))."
    ),
    says=(
        "DMAR: [DMA Read NO_PASID] Request device [{any}] fault addr {any}",
        "DMAR: [DMA Write NO_PASID] Request device [{any}] fault addr {any}",
        "AMD-Vi: Event logged [IO_PAGE_FAULT {any}",
    ),
)

BUS_ERROR = FindingKind(
    code="bus-error",
    severity=Severity.ERROR,
    title="The device, or the port above it, reported an error that was not corrected",
    cause=(
        "PCI Express reports errors (AER), and counts them. A corrected one costs nothing but time. One that is not "
        "corrected means that a request was lost; after a fatal one the link is reset, which a VM does not survive "
        "with its device: vfio-pci tells QEMU, and QEMU stops the VM."
    ),
    hint="look whether QEMU has stopped the VM, and at the slot, riser and cable of the device",
    remedy=(
        "`dmesg | grep -e AER -e DPC` shows the kind of error and who reported it. Counters are in `aer_dev_nonfatal` "
        "and `aer_dev_fatal` of the device and of the port above. Errors of one slot whatever is in it are the "
        "board's; errors of one card in every slot are the card's."
    ),
    says=(
        "PCIe Bus Error: severity=Uncorrectable (Fatal)",
        "PCIe Bus Error: severity=Uncorrectable (Non-Fatal)",
        "PCIe Bus Error: severity=Uncorrected (Fatal)",
        "PCIe Bus Error: severity=Uncorrected (Non-Fatal)",
        "DPC: containment event",
    ),
)

GUEST_BAR_UNASSIGNED = FindingKind(
    code="guest-bar-unassigned",
    severity=Severity.ERROR,
    title="The guest's firmware gave the device no room for its memory",
    cause=(
        "The guest's firmware places the memory of PCI devices (BARs) into a window of addresses. What does not fit "
        "gets none, and the guest's driver says that the BAR is not assigned, or sees no device at all."
    ),
    hint="give the guest more physical address bits, or fewer empty hotplug ports",
    remedy=(
        "The window grows with the guest's physical address bits: `<maxphysaddr mode='passthrough'/>` or "
        "`host-passthrough` of the CPU, a machine type of 9.1 or newer. Empty hotplug ports take a share each. "
        "`pcihole64` does not change it."
    ),
)

GUEST_ADDRESS_DIFFERS = FindingKind(
    code="guest-address-differs",
    severity=Severity.ERROR,
    title="QEMU has the device at another place than the domain says",
    cause=(
        "The way from the root bus to the device, port by port, is not the one in the domain's XML, or QEMU has no "
        "such device any more. Bus numbers are no part of the way: the guest's firmware deals them out."
    ),
    hint="see whether the device was unplugged; start the VM anew to have it where it was",
    remedy=(
        "`virsh dumpxml DOMAIN` shows the device's address, if libvirt still has it. A guest that was asked for the "
        "device lets it go without a word, and only the next start brings it back."
    ),
)

KINDS = (
    DEVICE_RESET_FAILED,
    DMA_FAULT,
    BUS_ERROR,
    GUEST_BAR_UNASSIGNED,
    GUEST_ADDRESS_DIFFERS,
)
"""What `passgate node vitals` finds."""
