"""Findings about SR-IOV: physical functions (PF) and their virtual functions (VF)."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

PF_WITH_VFS = FindingKind(
    code="pf-with-vfs",
    severity=Severity.ERROR,
    title="The device is a PF whose VFs exist",
    cause=(
        "VFs live and die with the driver of their PF. libvirt takes the PF away without a word, the VFs vanish, and "
        "pods and VMs that were given one lose it, or later fail with a text that does not tell why."
    ),
    hint="pass one of its VFs, or remove them first when nobody uses them",
    remedy=(
        "Pass a VF. If the whole card must go to one VM, make sure that nobody uses a VF, then "
        "`echo 0 > /sys/bus/pci/devices/PF/sriov_numvfs` (through the operator that owns the PF, or it will create "
        "them again), and bind the PF to vfio-pci. This write pulls a VF out of a running guest, or "
        "waits until its VM has ended."
    ),
)

VF_TOKEN_NEEDED = FindingKind(
    code="vf-token-needed",
    severity=Severity.ERROR,
    title="The VF's PF is itself on a vfio driver",
    cause=(
        "The PF belongs to a userspace program, which could spy on its VFs. The kernel then opens a VF only for who "
        "knows the token that was set on the PF, and libvirt has no way to tell QEMU a token."
    ),
    hint="bind the PF to its own driver and create the VFs there",
    remedy=(
        "Remove its VFs and bind the PF back to the vendor's driver (clear `driver_override`, unbind, write its "
        "address to `/sys/bus/pci/drivers_probe`), create the VFs again and bind those to vfio-pci. The usual cause "
        "is a PF that was caught by `vfio-pci.ids=` or `new_id`."
    ),
    says=(
        "vfio {device}: error getting device from group {group}: Permission denied",
        "VF token required to access device",
    ),
)

VF_WITHOUT_GROUP = FindingKind(
    code="vf-without-group",
    severity=Severity.ERROR,
    title="The VF is in no IOMMU group, though its PF is in one",
    cause=(
        "The VF was not put behind the IOMMU when it was created: its bus number is not covered (no ARI or no spare "
        "bus numbers below the root port), or it was created before the IOMMU took over."
    ),
    hint="create the VFs again; if it stays, add pci=assign-busses or use another slot",
    remedy=(
        "Write 0 and then the number of VFs to `sriov_numvfs` of the PF while nobody uses a VF. If the VF still has no "
        "`iommu_group`, turn on SR-IOV and ARI in the firmware's setup, or use another slot."
    ),
    says=("vfio {device}: no iommu_group found: No such file or directory",),
)

VF_AUTOPROBE_ON = FindingKind(
    code="vf-autoprobe-on",
    severity=Severity.WARNING,
    title="New VFs are taken by a driver of the host",
    cause=(
        "`sriov_drivers_autoprobe` of the PF is 1, so that the kernel offers each new VF to the host's drivers before "
        "anybody can bind it to vfio-pci. It slows the creation of many VFs and may upset them: VFs of NVMe drives "
        "time out."
    ),
    hint="write 0 to sriov_drivers_autoprobe of the PF before the VFs are created",
    remedy=(
        "`echo 0 > /sys/bus/pci/devices/PF/sriov_drivers_autoprobe` before the VFs are created. VFs that exist keep "
        "their driver: bind those that go to VMs to vfio-pci (see not-bound-to-vfio)."
    ),
    says=("nvme {any}: Device not ready; aborting initialisation, CSTS={any}",),
)

NO_VFS_POSSIBLE = FindingKind(
    code="no-vfs-possible",
    severity=Severity.ERROR,
    title="The device cannot have VFs as it is",
    cause=(
        "Only a PF has `sriov_numvfs`, and only while its own driver holds it: without a driver, or on a vfio driver, "
        "the kernel refuses to make VFs. SR-IOV that firmware turned off is not to be seen at all, and neither is that "
        "of a PF in a VM: QEMU hides it."
    ),
    hint="name the PF, with its own driver on it",
    remedy=(
        "`passgate node list` shows PFs with the number of VFs that they could have. Where a card should be one and is "
        "not: turn on SR-IOV in the firmware's setup, and in the card's own firmware (`mlxconfig -d PF set "
        "SRIOV_EN=1 NUM_OF_VFS=N` and a reboot for ConnectX). An Intel GPU needs a driver that makes VFs: xe, or i915 "
        "with `i915.max_vfs`. A PF on vfio-pci goes back to its driver by `passgate node unbind PF`. On a node that is "
        "a VM, make the VFs on the machine that it runs on, and give them to it."
    ),
    says=(
        "no driver bound to device; cannot configure SR-IOV",
        "driver does not support SR-IOV configuration via sysfs",
    ),
)

GPU_WITHOUT_VFS = FindingKind(
    code="gpu-without-vfs",
    severity=Severity.INFO,
    title="The driver of an Intel GPU offers no VFs of it",
    cause=(
        "There is no `sriov_totalvfs`: the GPU has no SR-IOV, its driver makes no VFs on this kernel, or it was not "
        "told to. Upstream i915 makes none; those of some distributions and the module `i915-sriov-dkms` do, with "
        "parameters. xe makes them, platform by platform. Integrated GPUs have SR-IOV from Alder Lake on."
    ),
    hint="boot with i915.enable_guc=3 i915.max_vfs=7 and an i915 that makes VFs, or with xe and xe.max_vfs",
    remedy=(
        "1. `dmesg | grep -i -e guc -e sr-iov` tells what the driver made of it; GuC firmware must be in "
        "/lib/firmware.\n"
        "2. `modinfo -p i915` or `modinfo -p xe` shows whether this driver knows `max_vfs`.\n"
        "3. Declare the parameters under `kernel` in a NodeState: `passgate node state status FILE` compares them, "
        "`passgate node state install FILE --for grub` prints where they go.\n"
        "4. Without SR-IOV the whole GPU can go to one VM, and the host loses its console."
    ),
)

TOO_MANY_VFS = FindingKind(
    code="too-many-vfs",
    severity=Severity.ERROR,
    title="The PF cannot have that many VFs",
    cause=(
        "`sriov_totalvfs` is the most that the kernel makes: what the hardware has, less what the driver and the "
        "card's firmware keep. It may be smaller with a driver than without: igb keeps one for itself."
    ),
    hint="ask for fewer, or raise the number in the card's firmware",
    remedy=(
        "ConnectX: `mlxconfig -d PF set NUM_OF_VFS=N`, then a reboot. Intel GPUs: `i915.max_vfs=N`. Where the kernel "
        'says that bus numbers or memory do not suffice: `pci=realloc`, `pci=assign-busses`, or ARI and "above 4G" '
        "in the firmware's setup."
    ),
    says=("{any} VFs already enabled. Disable before enabling {any} VFs",),
)

VFS_ALL_OR_NONE = FindingKind(
    code="vfs-all-or-none",
    severity=Severity.ERROR,
    title="The PF makes all of its VFs or none",
    cause=(
        "The driver of Intel QuickAssist does not look at the number that is written into `sriov_numvfs`: its rings "
        "are dealt out to all VFs that the hardware has. With another number the kernel makes all of them and only "
        "warns, and what was asked for would never be so."
    ),
    hint="ask for as many as `sriov_totalvfs` says, or for 0",
    remedy=(
        "Write the number of `/sys/bus/pci/devices/PF/sriov_totalvfs`, and give VMs as many of the VFs as they need; "
        "the others do no harm. Source: `adf_sriov_configure` in drivers/crypto/intel/qat/qat_common/adf_sriov.c."
    ),
)

SETTINGS_NOT_RESTORED = FindingKind(
    code="settings-not-restored",
    severity=Severity.WARNING,
    title="Settings of VFs are not given back by the undo",
    cause=(
        "The kernel forgets what a VF was set up with when it is removed. MAC address, VLAN, spoof check and trust are "
        "read before and written again; quotas of Intel GPUs are dealt out by the driver anew; and what could not be "
        "read cannot be written."
    ),
    hint="set them with `passgate node vfs PF COUNT --set KEY=VALUE`",
    remedy="`passgate node journal show ID` tells what the devices had before, as far as it was read.",
)

SETTINGS_NOT_READ = FindingKind(
    code="settings-not-read",
    severity=Severity.INFO,
    title="Settings of VFs could not be read",
    cause=(
        "MAC addresses, VLANs, spoof check and trust are asked of the PF's interface by netlink, in the network "
        "namespace of the host; quotas and services stand in files of the driver, which older kernels do not have. A "
        "recorded machine holds none of them. Whether they are as they were declared is not known."
    ),
    hint="on the node itself, in the host's network namespace, they can be read",
    remedy=(
        "`ip -d link show PF` shows what the PF keeps. Quotas of Intel GPUs are in sysfs from Linux 6.19 on. What "
        "cannot be read is not written again either: make the VFs anew, or set it with `passgate node vfs --set`."
    ),
)

VFS_MADE_ANEW = FindingKind(
    code="vfs-made-anew",
    severity=Severity.WARNING,
    title="All VFs of the PF are removed before the new ones are made",
    cause=(
        "The kernel changes a number of VFs to 0 only. What the VFs had is lost with them: MAC addresses, VLANs, "
        "vGPU types, quotas, driver_override; and their IOMMU groups may get other numbers."
    ),
    hint="say what the new VFs shall have with --set",
    remedy=(
        "A VF that a VM has, or that the host uses, forbids it. What device plugins told kubelet of the old VFs is no "
        "longer true: they see the new ones at their next look."
    ),
)

VFS_IN_USE = FindingKind(
    code="vfs-in-use",
    severity=Severity.ERROR,
    title="A VF that would vanish is in use",
    cause=(
        "The kernel removes VFs without asking the host: mounted disks and interfaces with addresses are gone. One "
        "that a VM holds is pulled out of a guest that answers; else the write waits until the VM ends, and with it "
        "every look at `sriov_numvfs` of the PF, every write to that of any PF, and every rescan of the host."
    ),
    hint="free the VF first; `passgate node who VF` tells who has it",
    remedy="Stop the VM, or take the interface or disk out of use, then try again. Nothing sets this aside.",
)

VF_ADDRESSES_UNKNOWN = FindingKind(
    code="vf-addresses-unknown",
    severity=Severity.INFO,
    title="Where the VFs will be is not known before they are made",
    cause=(
        "`sriov_offset` and `sriov_stride` of the PF tell the addresses of its VFs. Recordings of PFs without VFs that "
        "are older do not have them, nor do kernels before 4.14."
    ),
    hint="when they are there: passgate node bind VF",
    remedy="Make the VFs with `--driver none`, and bind them by their addresses, which `passgate node list` shows.",
)

VFS_OFFLINE = FindingKind(
    code="vfs-offline",
    severity=Severity.INFO,
    title="VFs of an NVMe controller are offline when they are made",
    cause=(
        "A secondary controller has no queues and is offline until the primary one gives it some. vfio-pci binds it "
        "all the same, and the guest's driver then fails with `Device not ready`."
    ),
    hint="nvme virt-mgmt /dev/nvmeN -c ID -r 0 -a 8 -n COUNT, the same with -r 1, then -c ID -a 9",
    remedy=(
        "`nvme list-secondary /dev/nvmeN` shows each VF and whether it is online. `virt-mgmt -a 8` gives it queue "
        "(`-r 0`) and interrupt (`-r 1`) resources, `-a 9` brings it online; both are lost when the VFs are removed."
    ),
)

VF_SETTING_UNFIT = FindingKind(
    code="vf-setting-unfit",
    severity=Severity.ERROR,
    title="The VFs cannot be set up like this",
    cause=(
        "Each setting belongs to one kind of hardware, and some must be made before the VFs exist, others while no VM "
        "has them: the MAC address and VLAN of a VF by the interface of its PF, a vGPU type by NVIDIA's driver, quotas "
        "by Intel's xe, services by Intel's QAT driver."
    ),
    hint="`passgate node vfs --help` lists the settings",
    remedy="docs/node-state.md has the table of settings, what each is for, and which were tried on hardware.",
)

KINDS = (
    PF_WITH_VFS,
    VF_TOKEN_NEEDED,
    VF_WITHOUT_GROUP,
    VF_AUTOPROBE_ON,
    GPU_WITHOUT_VFS,
)
CHANGE_KINDS = (
    NO_VFS_POSSIBLE,
    TOO_MANY_VFS,
    VFS_ALL_OR_NONE,
    SETTINGS_NOT_RESTORED,
    SETTINGS_NOT_READ,
    VFS_MADE_ANEW,
    VFS_IN_USE,
    VF_ADDRESSES_UNKNOWN,
    VFS_OFFLINE,
    VF_SETTING_UNFIT,
)
"""Told of a change of VFs, before it is made."""
