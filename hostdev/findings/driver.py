"""Findings about the driver that holds a device, and how the device can be reset."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

NOT_BOUND_TO_VFIO = FindingKind(
    code="not-bound-to-vfio",
    severity=Severity.ERROR,
    title="The device is not bound to a vfio driver",
    cause=(
        "QEMU opens the device through the vfio driver that holds it. libvirt takes a driver for one if it is "
        "vfio-pci, or if the device has a `vfio-dev` directory in sysfs (Linux 6.1 and newer); a variant driver such "
        "as mlx5_vfio_pci on an older kernel is not recognised. virt-launcher cannot bind a device by itself: `/sys` "
        "is read-only in its pod, so that `managed='yes'` fails too."
    ),
    hint="bind it to a vfio driver: passgate node bind DEVICE",
    remedy=(
        "`passgate node bind DEVICE` proves that the host can do without the device, writes down where it was, and "
        "puts it on the driver that fits; `--dry-run` prints the writes. By hand, if the host can do without it:\n\n"
        "```sh\n"
        "modprobe vfio-pci\n"
        "echo vfio-pci > /sys/bus/pci/devices/DEVICE/driver_override\n"
        "echo DEVICE > /sys/bus/pci/devices/DEVICE/driver/unbind      # if it has a driver\n"
        "echo DEVICE > /sys/bus/pci/drivers_probe\n"
        "readlink /sys/bus/pci/devices/DEVICE/driver                  # must end in vfio-pci\n"
        "```\n\n"
        "Writing to `drivers_probe` succeeds even when no driver took the device: the last line is what counts; if it "
        "shows nothing, `dmesg` tells why. Never use `new_id`: it takes every device of that kind, also those that are "
        "plugged in next week, and never binds a variant driver."
    ),
    says=(
        "Unmanaged PCI device {device} must be manually detached from the host",
        "vfio {device}: Could not open '/dev/vfio/{group}': No such file or directory",
        "vfio {device}: failed to open /dev/vfio/{group}: No such file or directory",
        "vfio {device}: error getting device from group {group}: No such device",
        "Verify all devices in group {group} are bound to vfio-<bus> or pci-stub and not already in use",
        "Failed to unbind PCI device '{any}' from {any}",
        "Failed to add driver '{any}' to driver_override interface of PCI device '{any}'",
        "Failed to trigger a probe for PCI device '{any}'",
        "Failed to open file '/lib/modules/{any}/modules.alias'",
    ),
)

REMOVAL_PENDING = FindingKind(
    code="removal-pending",
    severity=Severity.ERROR,
    title="The device is being taken from its driver, and that waits",
    cause=(
        "The kernel removes the link `driver` when an unbind, or the removal of a VF, begins, and the name in `uevent` "
        "when it ends. A vfio driver waits in between, without end, until the process that has the device open lets "
        "go; QEMU asks the guest, and a guest that is paused or has no driver for hotplug never answers. A sound "
        "driver waits for the processes that have a node of it open. Until then the device belongs to that process. "
        "A second unbind, a reset, or a change of its power waits too, and cannot be killed; where the VFs of a PF are "
        "being taken away, so does every read of that PF's `sriov_numvfs`, every write to that of any PF, and `rescan`."
    ),
    hint="write nothing to it; stop the VM or the process that has it open, and the removal ends by itself",
    remedy=(
        "`passgate node who DEVICE` tells who has it. When that VM is shut off, or lets go of the device, the write "
        "that waits comes back, and the device has no driver. Do not kill the writer: the signal makes it unkillable."
    ),
    says=(
        "No device request channel registered, blocked until released by user",
        "Relaying device request to user (#{any})",
        "Device is currently in use, task {any} blocked until device is released",
    ),
)

VARIANT_DRIVER = FindingKind(
    code="variant-driver",
    severity=Severity.INFO,
    title="The device is on a variant of vfio-pci",
    cause=(
        "A vendor's vfio driver holds the device, which is fine for QEMU and needed for live migration of some "
        "devices. Not every tool knows: KubeVirt's own device plugin offers only devices on vfio-pci, the SR-IOV "
        "network device plugin hands out no `/dev/vfio` node for others, and the QAT plugin binds the device back to "
        "vfio-pci."
    ),
    hint="use a device plugin that knows this driver, or vfio-pci if nothing migrates",
    remedy=(
        "Nothing needs to be done if the device reaches the pod. A variant driver is bound through `driver_override` "
        "with the variant's name; `new_id` never binds it."
    ),
)

DENYLISTED_DEVICE = FindingKind(
    code="denylisted-device",
    severity=Severity.WARNING,
    title="vfio-pci refuses this device unless told otherwise",
    cause=(
        "The kernel keeps a short denylist of devices with known errata (QAT of the generations before 4, DSA and IAA "
        "of the first generation). vfio-pci does not bind to them, and `drivers_probe` does not tell."
    ),
    hint="load vfio-pci with disable_denylist=1 if every guest with this device is trusted",
    remedy=(
        "If the guests are trusted: `options vfio-pci disable_denylist=1` in `/etc/modprobe.d/vfio-pci.conf`, then "
        "load vfio-pci anew. A guest may be able to hang the device or the platform."
    ),
    says=("exists in vfio-pci device denylist, driver probing disallowed.",),
    issues=("intel/intel-device-plugins-for-kubernetes#517",),
)

VGPU_TYPE_MISSING = FindingKind(
    code="vgpu-type-missing",
    severity=Severity.ERROR,
    title="The VF of an NVIDIA GPU has no vGPU type",
    cause=(
        "On newer kernels NVIDIA's driver keeps the VFs of a vGPU host and offers them through VFIO itself, but only "
        "after a type was chosen. `nvidia/current_vgpu_type` of this VF is 0."
    ),
    hint="write a number of nvidia/creatable_vgpu_types into nvidia/current_vgpu_type",
    remedy=(
        "`cat /sys/bus/pci/devices/DEVICE/nvidia/creatable_vgpu_types` lists what can be created; write the number "
        "into `current_vgpu_type` beside it. The device then has a `vfio-dev` directory and stays on its driver: do "
        "not bind it to vfio-pci."
    ),
)

NO_RESET_METHOD = FindingKind(
    code="no-reset-method",
    severity=Severity.WARNING,
    title="The kernel has no way to reset the device",
    cause=(
        "`reset_method` is empty. The device keeps its state when the VM ends: the next guest may find it dead or "
        "find data of the one before, until the host reboots."
    ),
    hint="expect that a second start needs a reboot of the node; keep it to one tenant",
    remedy=(
        "Look for a newer kernel or firmware (some devices have quirks that add a reset). Until then give the device "
        "to one tenant only, and plan a reboot of the node if it does not come back."
    ),
    says=("Unable to reset PCI device {device}: no FLR, PM reset or bus reset available",),
)

SHARED_RESET = FindingKind(
    code="shared-reset",
    severity=Severity.WARNING,
    title="The device can only be reset together with its neighbours",
    cause=(
        "`reset_method` offers only `bus`: a reset hits every device on the same bus, so that QEMU does it only if "
        "all of them belong to the same VM. Otherwise the device keeps its state from one VM to the next."
    ),
    hint="give the other devices of the bus to the same VM",
    remedy=(
        'Give all functions of the card to the same VM (`"functions": "all"`), with all of them on vfio-pci. Otherwise '
        "treat it like a device without a reset (see no-reset-method)."
    ),
    says=(
        "vfio: Cannot reset device {device}, depends on group {any} which is not owned.",
        "Active {any} devices on bus with {any}, not doing bus reset",
        "Not resetting active device {any}",
    ),
)

KINDS = (
    NOT_BOUND_TO_VFIO,
    REMOVAL_PENDING,
    VARIANT_DRIVER,
    DENYLISTED_DEVICE,
    VGPU_TYPE_MISSING,
    NO_RESET_METHOD,
    SHARED_RESET,
)
