"""For each code that the gate has: a machine that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from domxml.finding import Finding
from hostdev.gate.check import check, check_memlock, required_memlock
from hostdev.inventory.health import Health
from hostdev.inventory.machine import Iommu, Machine, ReservedRegion, Vfio
from tests.hostdev.gate.build import (
    AUDIO,
    GPU,
    KERNEL,
    MODULES,
    NO_IOMMU,
    NVME,
    at,
    bridge,
    function,
    in_use,
    machine,
    pf,
    unproved,
    vf,
    with_group,
)

D = "0000:65:00.0"
UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"


@dataclass(frozen=True)
class Case:
    """A machine, what a VM wants of it, and the words of the finding that it makes."""

    host: Machine
    message: str
    hint: str = ""
    wanted: tuple[str, ...] = (D,)
    options: Mapping[str, Any] = field(default_factory=dict)

    def findings(self) -> tuple[Finding, ...]:
        return check(self.host, map(at, self.wanted), **self.options)


def _gpu_with_audio(driver: str | None) -> Machine:
    return machine(function(D, class_code=GPU), function("0000:65:00.1", class_code=AUDIO, driver=driver))


_BARE = replace(machine(function(D, group=None)), iommu=NO_IOMMU)

CASES: Mapping[str, Case] = {
    "host-unreadable": Case(
        machine(function(D), unread=((f"/sys/bus/pci/devices/{D}/driver", "Input/output error"),)),
        "driver could not be read: Input/output error",
    ),
    "no-iommu": Case(_BARE, "no IOMMU groups, though the firmware has DMAR", "intel_iommu=on"),
    "iommu-disabled": Case(
        replace(_BARE, kernel=replace(KERNEL, cmdline="quiet intel_iommu=off")), "booted with intel_iommu=off", "reboot"
    ),
    "iommu-passthrough-off": Case(
        machine(function(D), kernel=replace(KERNEL, cmdline="intel_iommu=on")), "iommu=pt is not set"
    ),
    "acs-override": Case(
        machine(function(D), kernel=replace(KERNEL, cmdline="iommu=pt pcie_acs_override=downstream,multifunction")),
        "pcie_acs_override=downstream,multifunction",
    ),
    "no-interrupt-remapping": Case(
        machine(function(D), kernel=replace(KERNEL, cmdline="iommu=pt intremap=off")), "intremap=off", "remove"
    ),
    "unsafe-interrupts": Case(
        machine(
            function(D),
            vfio=Vfio({**MODULES, "vfio_iommu_type1": {"allow_unsafe_interrupts": "Y"}}, ("vfio", "43")),
        ),
        "allow_unsafe_interrupts is on",
    ),
    "vfio-module-missing": Case(
        machine(function(D), vfio=Vfio({"vfio": {}, "vfio_pci": {}}, ("vfio", "43"))),
        "vfio_iommu_type1 not loaded",
        "modprobe vfio-pci",
    ),
    "vfio-node-missing": Case(
        machine(function(D), vfio=Vfio(MODULES, ("vfio", "12"))), "/dev/vfio/43 is not there", "device plugin"
    ),
    "vfio-cdev-missing": Case(
        machine(function(D, vfio_dev="vfio0"), vfio=Vfio(MODULES, ("vfio", "43"))),
        "/dev/vfio/devices/vfio0 is not there",
        "1.9.0",
    ),
    "no-iommu-group": Case(
        machine(function(D, group=None), function("0000:66:00.0")), "no iommu_group found", "another device"
    ),
    "noiommu-group": Case(
        replace(with_group(machine(function(D)), 43, name="vfio-noiommu"), iommu=Iommu(tables=())),
        "group 43 has no IOMMU behind it",
        "turn on the IOMMU",
    ),
    "group-not-viable": Case(
        _gpu_with_audio("snd_hda_intel"),
        "group 43 is not viable: 0000:65:00.1 is on snd_hda_intel",
        "passgate node bind 0000:65:00.1",
    ),
    "reserved-region": Case(
        with_group(machine(function(D)), 43, reserved=(ReservedRegion(0xE8000, 0xE8FFF, "direct"),)),
        "reserved by the firmware at 0xe8000-0xe8fff",
        "RMRR",
    ),
    "shared-group": Case(_gpu_with_audio(None), "group 43 also holds 0000:65:00.1"),
    "group-split": Case(
        machine(function(D), function("0000:66:00.0")),
        "shares group 43",
        "bridge",
        wanted=(D, "0000:66:00.0"),
        options={"viommu": True},
    ),
    "device-missing": Case(machine(function("0000:66:00.0")), "no such host device", "passgate node list"),
    "mdev-missing": Case(machine(), "no such mediated device", "create", wanted=(), options={"mdevs": [UUID]}),
    "domain-too-large": Case(
        machine(function("10000:e1:00.0", class_code=NVME)), "domain 10000", "VMD", wanted=("10000:e1:00.0",)
    ),
    "not-an-endpoint": Case(machine(bridge(D)), "is a bridge", "below it"),
    "platform-device": Case(machine(function(D, class_code=0x0C0500)), "the board's SMBus controller", "leave it"),
    "companion-function": Case(_gpu_with_audio("vfio-pci"), "0000:65:00.1 (audio)", '"functions": "all"'),
    "numa-unknown": Case(machine(function(D, numa_node=None)), "no NUMA node"),
    "device-off-bus": Case(
        machine(function(D, health=Health("D3cold", "active", 1))), "does not answer the kernel", "cold boot"
    ),
    "device-power-stuck": Case(
        machine(function(D, health=Health("D0", "error", 0))),
        "last change of its power state is an error",
        "stop the VM",
    ),
    "known-bad-device": Case(
        machine(function(D, vendor=0x1002, device=0x731F, class_code=GPU)), "AMD Navi 10", "vendor-reset"
    ),
    "parity-broken": Case(
        machine(function(D, health=Health("D0", "active", 1, parity_broken=True))), "parity errors of it are ignored"
    ),
    "removal-pending": Case(
        machine(function(D, removing=True)), "is being taken from vfio-pci, which waits", "write nothing to it"
    ),
    "not-bound-to-vfio": Case(
        machine(function(D, driver="ice")),
        "is on ice",
        "passgate node bind 0000:65:00.0",
    ),
    "variant-driver": Case(
        machine(function(D, driver="mlx5_vfio_pci", vfio_dev="vfio0")),
        "made for VFs of NVIDIA ConnectX, and can migrate",
    ),
    "denylisted-device": Case(
        machine(function(D, device=0x37C9, driver="c6xxvf")), "QAT C62x VF (8086:37c9)", "disable_denylist=1"
    ),
    "vgpu-type-missing": Case(
        machine(vf(D, "0000:64:00.0", driver="nvidia", vendor_vgpu_type=0)), "no vGPU type", "current_vgpu_type"
    ),
    "no-reset-method": Case(machine(function(D, reset_methods=())), "cannot be reset"),
    "shared-reset": Case(
        machine(function(D, reset_methods=("bus",)), function("0000:65:00.1")), "also hits 0000:65:00.1"
    ),
    "pf-with-vfs": Case(machine(pf(D, num_vfs=4, driver="vfio-pci")), "has 4 VFs", "remove them first"),
    "vf-token-needed": Case(
        machine(vf(D, "0000:64:00.0"), pf("0000:64:00.0", driver="vfio-pci")),
        "its PF 0000:64:00.0 is on vfio-pci",
        "own driver",
    ),
    "vf-without-group": Case(
        machine(vf(D, "0000:64:00.0", group=None), pf("0000:64:00.0")), "its PF 0000:64:00.0 is in group 30", "again"
    ),
    "gpu-without-vfs": Case(
        machine(function(D, class_code=GPU, driver="i915")),
        "i915 offers no VFs of it",
        "boot with i915.enable_guc=3 i915.max_vfs=7 and an i915 that makes VFs, or with xe and xe.max_vfs",
    ),
    "vf-autoprobe-on": Case(
        machine(vf(D, "0000:64:00.0", driver="iavf"), pf("0000:64:00.0", vf_autoprobe=True)),
        "iavf took it",
        "echo 0 >/sys/bus/pci/devices/0000:64:00.0/sriov_drivers_autoprobe",
    ),
    "host-network-device": Case(
        machine(function(D, driver="ice", use=in_use("eno1 (default route)", layer="net"))),
        "the host would lose eno1 (default route)",
        "another device",
    ),
    "host-root-disk": Case(
        machine(function(D, class_code=NVME, driver="nvme", use=in_use("nvme0n1 (mounted at /)", "nvme0n1 (swap)"))),
        "the host would lose nvme0n1 (mounted at /), nvme0n1 (swap)",
        "another drive",
    ),
    "host-uses-device": Case(
        machine(
            function(D, class_code=GPU, driver="nvidia", use=in_use("nvidia0 (open in python3 (7))", layer="node"))
        ),
        "the host would lose nvidia0 (open in python3 (7))",
        "end what uses it",
    ),
    "host-use-unknown": Case(
        machine(
            function(
                D, class_code=NVME, driver="nvme", use=unproved("what sda holds is not to be seen", look="`lsblk`")
            )
        ),
        "what sda holds is not to be seen",
        "look at `lsblk`",
    ),
    "boot-display": Case(
        machine(function(D, class_code=GPU, driver="i915", boot_vga=True)), "i915 shows the host's console", "primary"
    ),
    "duplicate-device": Case(machine(function(D)), "is asked for 2 times", "remove one", wanted=(D, D)),
    "device-in-use": Case(
        machine(function(D)), "is held by default/other-vm", "stop", options={"held": {at(D): "default/other-vm"}}
    ),
}

ELSEWHERE: Mapping[str, Callable[[], tuple[Finding, ...]]] = {
    "memlock-not-raised": lambda: check_memlock("vm", required_memlock(64 << 20, 1), raised=False, limit=65536),
}
