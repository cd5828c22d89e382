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
        "them again), and bind the PF to vfio-pci. Note that this write blocks while a VM has one of the VFs."
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
        "Bind the PF back to the vendor's driver (clear `driver_override`, unbind, write its address to "
        "`/sys/bus/pci/drivers_probe`), create the VFs again and bind those to vfio-pci. The usual cause is a PF that "
        "was caught by `vfio-pci.ids=` or `new_id`."
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

KINDS = (PF_WITH_VFS, VF_TOKEN_NEEDED, VF_WITHOUT_GROUP, VF_AUTOPROBE_ON)
