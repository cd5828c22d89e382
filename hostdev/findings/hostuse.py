"""Findings about what is in use: by this host, by other VMs, twice by one."""

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
    title="The limit of locked memory is not raised far enough for this VM",
    cause=(
        "VFIO pins the whole memory of the guest; libvirt wants the guest's memory (times the number of devices if "
        "there is a virtual IOMMU) plus 1 GiB as limit. KubeVirt raises it for a VM whose spec names a GPU, a "
        "host device or an SR-IOV interface, for realtime and SEV, and where `reservedOverhead` asks for it; a device "
        "that is only injected does not count, and an unprivileged libvirt cannot raise it by itself. It counts the "
        "memory that is requested: under memory overcommit (a request below the guest's memory) the limit stays below "
        "what is pinned, and with a virtual IOMMU and several devices below their sum."
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
        "Under overcommit make the memory request equal to the limit and to the guest's memory (no `memoryOvercommit` "
        "above "
        "100). With a virtual IOMMU give the VM one device, or room for each. Outside of KubeVirt: `prlimit -p PID "
        "--memlock` shows the limit, `<memtune><hard_limit>` or `LimitMEMLOCK` of the service raises it.\n\n"
        "`<memoryBacking><locked/>` and `<memtune>` in a pod do not help: the limit of the container stays."
    ),
    says=(
        "vfio_container_dma_map({any}) = -12 (Cannot allocate memory)",
        "VFIO_MAP_DMA failed: Cannot allocate memory",
        "vfio_pin_pages_remote: RLIMIT_MEMLOCK ({any}) exceeded",
    ),
    issues=("kubevirt/kubevirt#18915", "kubevirt/kubevirt#17805", "kubevirt/kubevirt#8472"),
)


HOST_NETWORK_DEVICE = FindingKind(
    code="host-network-device",
    severity=Severity.ERROR,
    title="The host's network goes through this device",
    cause=(
        "A network interface of the device, or of one below it, carries a route or an address, is part of a bond, "
        "bridge or VLAN, a process listens on it, or the server of iSCSI, NVMe-oF, NFS, SMB or Ceph is reached through "
        "it (of nbd, DRBD and RBD no file tells the server: their interface has a route). Taking it away cuts the "
        "node off: kubelet reports it as NotReady "
        "and nobody can log in to undo it."
    ),
    hint="give the VM another device, or a VF of this one",
    remedy=(
        "Pass a VF instead of the whole card, or move the node's network to another interface first. `ip route` and "
        "`ip -d link` show who uses the interface."
    ),
)

HOST_ROOT_DISK = FindingKind(
    code="host-root-disk",
    severity=Severity.ERROR,
    title="Disks that the host uses hang on this device",
    cause=(
        "A disk behind the device, or behind one below it such as those of VMD, is mounted, is swap, or is held by "
        "what lies on it. Looked at are partitions, device mapper (LVM, multipath, dm-crypt), MD, bcache, the heads of "
        "NVMe multipath, loop and zram devices, members of btrfs, bcachefs and ZFS, swap, exports over NVMe-oF and "
        "SCSI, the mounts of process 1 and of this one, what file systems say of themselves in /sys/fs, and processes "
        "that have the disk itself open. Taking the device away stops the node or destroys data. With identical "
        "drives it is easy to name the wrong one."
    ),
    hint="choose another drive: compare serial numbers and `lsblk`",
    remedy=(
        "`lsblk -o NAME,SERIAL,MOUNTPOINTS,TYPE` shows what lives on which drive. Unmount, swapoff or remove the drive "
        "from its volume group first if it is really this one."
    ),
)

BOOT_DISPLAY = FindingKind(
    code="boot-display",
    severity=Severity.WARNING,
    title="The firmware's console is on this display",
    cause=(
        "`boot_vga` is 1: the machine showed its boot messages here. A driver of the host that holds it drives the "
        "console; and even without one the firmware's framebuffer (efifb, simplefb) may keep the card's memory "
        "reserved, so that the guest gets a black screen or QEMU cannot map the BAR. Its ROM was already run by the "
        "firmware and may have to be given to the guest as a file."
    ),
    hint="make another card the primary display in the firmware, or use a serial console",
    remedy=(
        "Select another primary display in the firmware's setup, or accept that the host has no screen. If the "
        "framebuffer holds the memory, `/proc/iomem` shows `efifb` or `BOOTFB` inside the card's range: boot with "
        "`video=efifb:off` or `initcall_blacklist=sysfb_init`."
    ),
    says=("vfio-pci {device}: BAR {any}: can't reserve",),
)

HOST_USES_DEVICE = FindingKind(
    code="host-uses-device",
    severity=Severity.ERROR,
    title="The host uses the device, or something below it",
    cause=(
        "A process has a node of the device open (`/dev/dri`, `/dev/nvidia*`, `/dev/kfd`, `/dev/snd`, `/dev/nvme*`, "
        "…), the kernel's console is on it, mediated devices or a vGPU were made on it, the kernel encrypts with it, "
        "or it has work queues. Taking the driver away breaks that, and some drivers then wait without end."
    ),
    hint="end what uses it, or choose another device",
    remedy=(
        "The evidence names the process or the file. `fuser -v NODE` shows who has a node open; remove mediated "
        "devices through their `remove` file."
    ),
)

HOST_USE_UNKNOWN = FindingKind(
    code="host-use-unknown",
    severity=Severity.WARNING,
    title="It is not known whether the host uses the device",
    cause=(
        "Nothing is seen to use the device, but not all that could use it can be seen: no command that takes it away "
        "is offered then. As an ordinary user or in a container, the open files of processes and the host's mounts "
        "are hidden. A recording shows what was recorded: those of 0.1.0 lack udev's database and open files, so that "
        "disks and graphics cards are unknown in them.\n\n"
        "These layers are not seen by one who only reads files: addresses and XDP programs of an interface that "
        "is up, routes of other tables, interfaces in another network namespace, a port that a management controller "
        "shares (NC-SI), users of RDMA in the kernel, mounts of FAT, NTFS and the like in another mount namespace, "
        "members of LVM, MD, ZFS or DRBD of which nothing is active, memory that a process mapped from a device whose "
        "node it closed, Fibre Channel targets, and devices of classes of which it is not known what shows their use."
    ),
    hint="look again as root on the node itself",
    remedy=(
        "The evidence names what was not seen, and the hint what to look at. Run `passgate node doctor` as root on "
        "the node, outside of any container; take a new `passgate node snapshot` where the recording is old. If you "
        "know that the host can do without the device, bind it by hand (see not-bound-to-vfio)."
    ),
)


KINDS = (
    DUPLICATE_DEVICE,
    DEVICE_IN_USE,
    MEMLOCK_NOT_RAISED,
    HOST_NETWORK_DEVICE,
    HOST_ROOT_DISK,
    BOOT_DISPLAY,
    HOST_USES_DEVICE,
    HOST_USE_UNKNOWN,
)
