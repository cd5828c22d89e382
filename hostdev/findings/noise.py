"""Lines that look bad and are harmless, and lines that only say that the cause stands in another one."""

from __future__ import annotations

from hostdev.findings.rule import IN_VIRT_LAUNCHER, ONE_VARIABLE, REASON_ELSEWHERE, Rule, Sureness
from hostdev.findings.trouble import Nature, Trouble

_LAUNCHER_LOG = "kubectl logs POD -c compute"

QEMU_ENDED = Trouble(
    code="qemu-ended",
    title="QEMU ended: this line only says so",
    cause=(
        "libvirt lost QEMU's monitor because QEMU ended. QEMU writes its reason to its standard error: it is in the "
        "next line or lines, with `qemu-kvm:` or `-device` in front, or in the log of the domain."
    ),
    hint="look at the next line that begins with qemu-kvm or qemu-system, and explain that",
    remedy=(
        f"`{_LAUNCHER_LOG}` with the lines around; outside of KubeVirt `/var/log/libvirt/qemu/DOMAIN.log`. If QEMU "
        "said nothing, look for the OOM killer and for a signal in the node's `dmesg`; for a VM with a VFIO device "
        "also whether its memory request is below its limit."
    ),
    look=_LAUNCHER_LOG,
    nature=Nature.WRAPPER,
    issues=("kubevirt/kubevirt#8472",),
)

SYNC_FAILED = Trouble(
    code="sync-failed",
    title="virt-handler passes on that virt-launcher could not start the VM",
    cause=(
        "`SyncFailed` and `command SyncVMI failed` are the envelope. What stands behind them in quotes is the reason; "
        "if it is cut, the log of virt-launcher has it whole."
    ),
    hint="read what stands behind it in the event, or the log of compute",
    remedy=f'`kubectl describe vmi VM`, or `{_LAUNCHER_LOG} | grep \'"level":"error"\'`.',
    look=_LAUNCHER_LOG,
    nature=Nature.WRAPPER,
)

ATTACH_FAILED = Trouble(
    code="attach-failed",
    title="virsh says that it failed, and in the next line why",
    cause=(
        "`Failed to attach device`, `Failed to detach device` and `Failed to start domain` are the headline of virsh."
    ),
    hint="explain the next line",
    remedy="The line that begins with `error:` after it has the reason; the journal of virtqemud has more.",
    look="journalctl -u virtqemud -b",
    nature=Nature.WRAPPER,
)

CAUSE_NOT_SAID = Trouble(
    code="cause-not-said",
    title="libvirt failed and says no reason",
    cause=(
        "libvirt's own placeholder, where a call failed and nothing was reported. A start whose device is not there "
        "ends like this: the reason is in libvirt's log, as `Device … not found: could not access`."
    ),
    hint="look into libvirt's log of that moment, and whether each device of the domain is there",
    remedy=(
        "1. The journal of virtqemud, or the log of compute: the line just before has the reason.\n"
        "2. `passgate node list` against the addresses of `virsh dumpxml DOMAIN`: a device that is missing is "
        "[device-missing](findings/device-missing.md)."
    ),
    look="journalctl -u virtqemud -b",
    nature=Nature.WRAPPER,
)

SANDBOX_FAILED = Trouble(
    code="sandbox-failed",
    title="Kubelet passes on that the pod's network could not be made",
    cause=(
        "Kubelet tells that a CNI plugin failed; the name of the network and the plugin's own words follow, or were "
        "cut off."
    ),
    hint="read the end of the message, or the events of the pod",
    remedy="`kubectl describe pod POD`, and the log of the Multus pod of that node.",
    look="kubectl describe pod POD",
    nature=Nature.WRAPPER,
)

VARIABLE_OF_VGPU = Trouble(
    code="variable-of-vgpu",
    title="virt-launcher looks for one variable and takes the other: a warning only",
    cause=(
        "For each resource KubeVirt looks for PCI_RESOURCE_… (whole devices) and MDEV_PCI_RESOURCE_… (vGPUs), and "
        "warns about the one that is not set. If the VM has its device, nothing is wrong."
    ),
    hint="harmless when the VM has its device; else compare the variables of compute with the resource",
    remedy=(
        "`kubectl exec POD -c compute -- env | grep RESOURCE`: one of PCI_RESOURCE_… and MDEV_PCI_RESOURCE_… must be "
        "there."
    ),
    look="kubectl exec POD -c compute -- env",
    nature=Nature.HARMLESS,
    issues=("kubevirt/kubevirt#11135",),
)

ORDINARY_LINE = Trouble(
    code="ordinary-line",
    title="A line that is written whenever a device goes to a VM",
    cause=(
        "vfio-pci and QEMU tell what they do: devices are enabled and reset, capabilities that a guest must not see "
        "are hidden, a wait for a reset that ends well, a ROM that the card does not have, INTx that has to be handled "
        "otherwise; a device plugin finds no vGPUs."
    ),
    hint="harmless by itself: look for another line if something does not work",
    remedy="Nothing. `not ready …; waiting` is harmless only until `giving up` follows.",
    look="passgate node vitals DEVICE",
    nature=Nature.HARMLESS,
)

LIBVIRT_STARTING = Trouble(
    code="libvirt-starting",
    title="libvirt in the pod is only just starting, or has no system bus: harmless",
    cause=(
        "virt-launcher tries to reach virtqemud before its socket is there, and virtqemud in a pod finds no D-Bus, no "
        "host CPU details or no firewall. All of this is in the log of every VM that works."
    ),
    hint="harmless: look for another line",
    remedy='Look for the first line with `"level":"error"` that speaks of the VM or a device.',
    look=_LAUNCHER_LOG,
    nature=Nature.HARMLESS,
)

LAUNCHER_ENDING = Trouble(
    code="launcher-ending",
    title="virt-launcher is ending, or lost libvirt for a moment: harmless",
    cause=(
        "When a VM has ended, or virtqemud is restarted, virt-launcher's connections to it and to virt-handler break, "
        "and each of them says so as an error. Why the VM ended stands before these lines."
    ),
    hint="harmless: what ended the VM stands in an earlier line",
    remedy='Look for the first line with `"level":"error"` before these.',
    look=_LAUNCHER_LOG,
    nature=Nature.HARMLESS,
)

TROUBLES = (
    QEMU_ENDED,
    SYNC_FAILED,
    ATTACH_FAILED,
    CAUSE_NOT_SAID,
    SANDBOX_FAILED,
    VARIABLE_OF_VGPU,
    ORDINARY_LINE,
    LIBVIRT_STARTING,
    LAUNCHER_ENDING,
)

RULES = (
    Rule(
        "qemu-ended",
        (
            "Unable to read from monitor: Connection reset by peer",
            "End of file from qemu monitor",
            "qemu unexpectedly closed the monitor",
            "process exited while connecting to monitor",
        ),
        (REASON_ELSEWHERE,),
    ),
    Rule(
        "sync-failed",
        ("command SyncVMI failed", "Synchronizing the VirtualMachineInstance failed"),
        (REASON_ELSEWHERE,),
    ),
    Rule(
        "attach-failed",
        ("Failed to attach device from", "Failed to detach device pci_", "unable to execute QEMU command device_add:"),
        (REASON_ELSEWHERE,),
    ),
    Rule(
        "cause-not-said",
        ("An error occurred, but the cause is unknown", "Message=An error occurred, but"),
    ),
    Rule(
        "sandbox-failed",
        ("error adding container to network {any} sriov", "failed (add): {any} sriov"),
        (REASON_ELSEWHERE,),
        Sureness.LIKELY,
    ),
    Rule(
        "variable-of-vgpu",
        ("PCI_RESOURCE_{any} not set for resource", "MDEV_PCI_RESOURCE_{any} not set for resource"),
        (ONE_VARIABLE,),
        over=("no-address-left",),
    ),
    Rule(
        "ordinary-line",
        (
            "vfio-pci {any}: enabling device (",
            "vfio-pci {any}: resetting",
            "vfio-pci {any}: reset done",
            "vfio_ecap_init: hiding ecap",
            "vfio_cap_init: hiding cap",
            "vfio-pci {any}: Masking broken INTx support",
            "timed out waiting for pending transaction; performing function level reset anyway",
            "after FLR; waiting",
            "after bus reset; waiting",
            "after resume; waiting",
            "Invalid PCI ROM header signature",
            "No more image in the PCI ROM",
            "vfio-pci {any}: vgaarb: changed VGA decodes",
            "vgaarb: VGA decodes changed:",
            "Error accessing file path /sys/bus/mdev/devices",
            "vfio-pci {any}: vgaarb: deactivate vga console",
            "pci_hp_register failed with error -16",
            "VFIO - User Level meta-driver version",
            "vfio_pci: add [",
            "Failed to mmap {any} BAR {any} Performance may be slow",
            "vfio-pci {any}: reset recovery - restoring BARs",
            "vfio_bar_restore: {any} reset recovery",
            "vfio_bar_restore: reset recovery",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "libvirt-starting",
        (
            "Failed to connect socket to {any} virtqemud-sock: No such file or directory",
            "Unable to get system bus connection: Could not connect",
            "cannot connect to libvirt daemon",
            "Failed to connect socket to {any} virtlogd-sock",
        ),
        (IN_VIRT_LAUNCHER,),
        Sureness.LIKELY,
    ),
    Rule(
        "launcher-ending",
        (
            "End of file while reading data: Input/output error",
            "internal error: client socket is closed",
            "connection closed due to keepalive timeout",
            "dirty virt-launcher shutdown",
            "received signal terminated but can't signal virt-launcher to shut down",
            "Could not send domain notify event",
            "Failed to send domain notify event",
            "Failed to connect to notify server",
        ),
        (IN_VIRT_LAUNCHER,),
        Sureness.LIKELY,
    ),
)
