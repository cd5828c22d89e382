"""What is said around mediated devices and vGPUs."""

from __future__ import annotations

from hostdev.findings.rule import MEDIATED, NOT_MEDIATED, Rule, Sureness
from hostdev.findings.trouble import Trouble

_JOURNAL = "journalctl -u nvidia-vgpu-mgr -b"

VGPU_MANAGER_REFUSED = Trouble(
    code="vgpu-manager-refused",
    title="The vendor's manager of mediated devices (vGPU) refused to start this one",
    cause=(
        "A mediated device is started by the vendor's driver when QEMU opens it. QEMU only gets `Input/output error`, "
        "and adds its sentence about devices bound to vfio, which does not apply to a mediated device. The reason is "
        "in the journal of nvidia-vgpu-mgr: profiles of different sizes on one GPU, no framebuffer left, two VMs with "
        "one UUID, a licence or a version that does not fit, the plugin that fails."
    ),
    hint="read the journal of nvidia-vgpu-mgr on the node: it names the reason",
    remedy=(
        f"1. `{_JOURNAL}` and `dmesg | grep -i vgpu` at the time of the start.\n"
        "2. One profile size for a GPU at a time (equal sizes, unless the GPU is set to mixed), and as many as fit: "
        "`cat /sys/class/mdev_bus/*/mdev_supported_types/*/available_instances`.\n"
        "3. Each VM and each device has a UUID of its own; clones may share one.\n"
        "4. `nvidia-smi vgpu` tells whether the manager runs, and its version."
    ),
    look=_JOURNAL,
    issues=("mbilker/vgpu_unlock-rs#49", "anomixer/proxmox-vgpu-installer#22"),
)

MDEV_NOT_STARTED = Trouble(
    code="mdev-not-started",
    title="The parent's driver does not give the mediated device away",
    cause=(
        "Opening a mediated device is up to the driver of its parent. It refused: another VM has it, the parent has "
        "no room for one more, or the driver was not set up for it (for Intel GVT-g: `enable_gvt`, and the module "
        "kvmgt)."
    ),
    hint="read what the parent's driver says in dmesg",
    remedy=(
        "`dmesg | tail -50` on the node at the time of the start; `passgate node who UUID` tells who has it; "
        "`ls /sys/bus/mdev/devices` whether it is there."
    ),
    look="dmesg | grep -i -e mdev -e gvt -e vgpu",
    issues=("intel/gvt-linux#171",),
)

VGPU_NO_PARENTS = Trouble(
    code="vgpu-no-parents",
    title="The GPU offers no parents for vGPUs",
    cause=(
        "vGPU types are offered by the vendor's vGPU driver on the GPU, or, from Ampere on, on its VFs. There are "
        "none: the GPU is on another driver, the driver is not the vGPU one (or its branch does not know the GPU), or "
        "its VFs were not enabled."
    ),
    hint="enable the VFs with the vendor's sriov-manage, and see that the vGPU driver holds the GPU",
    remedy=(
        "1. `passgate node show GPU`: is it on `nvidia`, and does it have VFs?\n"
        "2. `/usr/lib/nvidia/sriov-manage -e ADDRESS` makes them, after each boot.\n"
        "3. `nvidia-smi vgpu -s` lists the types; `ls /sys/class/mdev_bus` the parents. On newer kernels there are no "
        "mediated devices: the type is written to `nvidia/current_vgpu_type` of a VF "
        "([vgpu-type-missing](findings/vgpu-type-missing.md)).\n"
        "4. The vGPU device manager's ConfigMap must name a type that this GPU has."
    ),
    look="nvidia-smi vgpu -s",
    issues=("NVIDIA/cloud-native-docs#76",),
)

MDEV_TYPE_EXHAUSTED = Trouble(
    code="mdev-type-exhausted",
    title="No more mediated devices of this type can be made",
    cause=(
        "`available_instances` of the type is 0 on every parent: all are made, or devices of another type on the same "
        "GPU leave no room for this one (mostly all must be of one size)."
    ),
    hint="look at available_instances of the type, and remove devices of other types",
    remedy=(
        "`cat /sys/class/mdev_bus/*/mdev_supported_types/*/available_instances`; a device is removed by writing 1 to "
        "its `remove`, after its VM has ended. In KubeVirt, see `mediatedDevicesConfiguration` of the KubeVirt object."
    ),
    look="passgate node list",
)

TROUBLES = (VGPU_MANAGER_REFUSED, MDEV_NOT_STARTED, VGPU_NO_PARENTS, MDEV_TYPE_EXHAUSTED)

_GROUP_EIO = (
    "error getting device from group {any}: Input/output error",
    "error getting device {any} from group {any}: Input/output error",
)
_VERIFY = (
    "Verify all devices in group {group} are bound to vfio-<bus> or pci-stub and not already in use",
    "are bound to vfio-<bus> or pci-stub",
)
_PUT_ASIDE = ("not-bound-to-vfio",)

RULES = (
    Rule("vgpu-manager-refused", _GROUP_EIO, (MEDIATED,), Sureness.LIKELY, _PUT_ASIDE),
    Rule("device-off-bus", _GROUP_EIO, (NOT_MEDIATED,), Sureness.LIKELY, _PUT_ASIDE),
    Rule(
        "vgpu-manager-refused",
        (
            "[nvidia-vgpu-vfio] {any}: start failed. status",
            "init_device_instance failed for inst {any} with error",
            "Initialization: init_device_instance failed error",
            "VGPU message {any} failed, result code",
            "vmiop_log: {any} vGPU is supported only on VGX capable boards",
            "vmiop_env_log: Failed to get VM {any} from QEMU command-line",
            "kvm_plugin_global_init failed with error",
        ),
        over=_PUT_ASIDE,
    ),
    Rule(
        "vgpu-manager-refused",
        ("nvidia-vgpu-mgr[{any}]: error: vmiop_log: ", "nvidia-vgpu-mgr[{any}]: error: vmiop_env_log: "),
        sure=Sureness.LIKELY,
        over=_PUT_ASIDE,
    ),
    Rule(
        "mdev-not-started",
        (
            "error getting device from group {any}: Device or resource busy",
            "Failed to set iommu for container: Input/output error",
            "error getting device from group {any}: No such device",
        ),
        (MEDIATED,),
        Sureness.LIKELY,
        ("not-bound-to-vfio", "vf-token-needed"),
    ),
    Rule(
        "not-bound-to-vfio",
        ("error getting device from group {any}: No such device", *_VERIFY),
        (NOT_MEDIATED,),
        Sureness.LIKELY,
    ),
    Rule("vgpu-manager-refused", _VERIFY, (MEDIATED,), Sureness.LIKELY, _PUT_ASIDE),
    Rule(
        "vgpu-no-parents",
        (
            "no parent devices found for GPU at index",
            "no parent devices found for GPU at address",
            "No vGPU devices found for GPU",
        ),
    ),
    Rule(
        "mdev-type-exhausted",
        (
            "failed to create mdev type {any} No space left on device",
            "mdev_supported_types/{any}/create{any} No space left on device",
            # The core of mdev counts since Linux 6.1, and says EUSERS.
            "mdev_supported_types/{any}/create{any} Too many users",
        ),
        sure=Sureness.LIKELY,
    ),
)
