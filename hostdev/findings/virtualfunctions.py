"""What is said when VFs cannot be made, or a card changes its mode."""

from __future__ import annotations

from hostdev.findings.rule import ERROR_TOLD, OF_SRIOV, Rule, Sureness
from hostdev.findings.trouble import Nature, Trouble

VFS_WITHOUT_ROOM = Trouble(
    code="vfs-without-room",
    title="There is no room for the VFs: memory space below the bridge, or bus numbers",
    cause=(
        "VFs need addresses for their BARs and, where they do not fit on the PF's bus, further bus numbers. The "
        "firmware reserved too little of one of them when the node booted; a driver that asks for VFs gets `Cannot "
        "allocate memory`."
    ),
    hint="turn on SR-IOV and Above 4G Decoding in the firmware; else pci=realloc, or pci=assign-busses for bus numbers",
    remedy=(
        "1. Firmware: SR-IOV, Above 4G Decoding, ARI; then a cold boot. Ask for fewer VFs to see whether it is the "
        "number.\n"
        "2. `not enough MMIO resources`: `pci=realloc` on the kernel's command line.\n"
        "3. `bus number out of range`: `pci=assign-busses`, or a slot whose port has ARI and more bus numbers.\n"
        "4. `dmesg | grep -e 'no space' -e 'failed to assign'` shows which BAR has no room."
    ),
    look="passgate node vfs PF COUNT --dry-run",
)

VFS_LEFT_ON = Trouble(
    code="vfs-left-on",
    title="SR-IOV was left on by a driver that is gone",
    cause=(
        "A driver of the PF was removed, or bound to vfio-pci, with its VFs still there. They go on existing without "
        "a driver that looks after them, and the next driver of the PF finds SR-IOV on already."
    ),
    hint="give the PF back to its driver, set its VFs to 0, and only then change the driver",
    remedy=(
        "`passgate node vfs PF 0` on the driver that made them; where that is not possible, a reboot. VFs that belong "
        "to VMs are lost to them: stop the VMs first."
    ),
    look="passgate node vfs PF 0 --dry-run",
)

VFS_REFUSED = Trouble(
    code="vfs-refused",
    title="The PF's driver or the card's firmware refuses to make VFs",
    cause=(
        "SR-IOV is off in the card's firmware or the node's, the number is above what the firmware was configured for, "
        "the PF is in a mode that does not allow it (switchdev, a bond, XDP, DCB), or its driver knows no VFs."
    ),
    hint="see what the driver says in dmesg, and how many VFs the card's firmware allows",
    remedy=(
        "1. `cat /sys/bus/pci/devices/PF/sriov_totalvfs`: 0 or no such file means that the firmware offers none.\n"
        "2. NVIDIA/Mellanox: `mstconfig -d PF query | grep -e SRIOV_EN -e NUM_OF_VFS`; after a change the node is "
        "powered off and on.\n"
        "3. Turn on SR-IOV in the node's firmware."
    ),
    look="passgate node show PF",
)

SWITCHDEV_REFUSED = Trouble(
    code="switchdev-refused",
    title="The card does not change to switchdev mode while it has VFs",
    cause=(
        "The mode of the card's internal switch (eswitch) is changed while VFs are there or bound to a driver. Several "
        "cards and firmwares accept that only without VFs, or with all VFs unbound."
    ),
    hint="unbind the VFs or set their number to 0, change to switchdev, then make them again",
    remedy=(
        "1. `echo 0 > /sys/bus/pci/devices/PF/sriov_numvfs`, `devlink dev eswitch set pci/PF mode switchdev`, then the "
        "VFs.\n"
        "2. The SR-IOV operator up to 1.6.0 may change the mode before all VFs are there; later ones wait for them."
    ),
    look="devlink dev eswitch show pci/PF",
    issues=("k8snetworkplumbingwg/sriov-network-operator#1015", "k8snetworkplumbingwg/sriov-network-operator#1019"),
)

VF_UNBIND_RACE = Trouble(
    code="vf-unbind-race",
    title="The VF was not ready when its driver was to be changed",
    cause=(
        "Just after the VFs were made, their drivers are still probing: the driver's directory or its `unbind` is not "
        "there yet, or the VF already left it. The operator was faster than the kernel (a race)."
    ),
    hint="wait for the operator's next try (retry); if it stays, use a newer release of the operator",
    remedy=(
        "1. Look whether the node's state came out as wanted after a minute: `passgate node list` on the node.\n"
        "2. If it repeats: is the driver's module loaded on the host, and is /sys writable in the operator's pod?\n"
        "3. Passgate's agent makes VFs without letting drivers probe them first: `docs/node-state.md`."
    ),
    look="passgate node list",
    issues=("k8snetworkplumbingwg/sriov-network-operator#108",),
)

NIC_NOT_SELECTED = Trouble(
    code="nic-not-selected",
    title="The selector of an SR-IOV policy matches no NIC that the operator supports",
    cause=(
        "The operator's webhook compares `nicSelector` with the NICs of the nodes that `nodeSelector` chooses, and "
        "with its own list of supported models. An address in `rootDevices` is misspelt, the PF's name is another one "
        "on that node, or vendor and device are not in the list."
    ),
    hint="correct nicSelector, or add the model to the ConfigMap supported-nic-ids",
    remedy=(
        "1. `kubectl -n OPERATOR get sriovnetworknodestates NODE -o yaml` lists what the operator sees there.\n"
        "2. `rootDevices` wants full addresses: `0000:3b:00.0`.\n"
        "3. A model that is not in the list: the ConfigMap `supported-nic-ids`, or the webhook switched off."
    ),
    look="kubectl get sriovnetworknodestates -A -o yaml",
    issues=("k8snetworkplumbingwg/sriov-network-operator#447",),
)

SYSFS_NOT_WRITABLE = Trouble(
    code="sysfs-not-writable",
    title="The writer has no right to write to sysfs",
    cause=(
        "Files such as `sriov_numvfs`, `bind` and `driver_override` are written by root alone. `sudo echo 4 > FILE` "
        "opens the file without sudo. In a container /sys is read-only unless it is privileged or has it mounted "
        "itself."
    ),
    hint="write as root: `echo 4 | sudo tee FILE`, or `passgate node vfs PF COUNT` on the node itself",
    remedy=(
        "1. `sudo sh -c 'echo 4 > FILE'`, or the same in a root shell.\n"
        "2. In a pod: `privileged: true`, or /sys of the node as a hostPath that can be written.\n"
        "3. If root is refused as well: kernel lockdown, or SELinux (`ausearch -m avc -ts recent`)."
    ),
    look="id -u",
)

SRIOV_NODE_NOT_MADE = Trouble(
    code="sriov-node-not-made",
    title="The SR-IOV operator's daemon could not configure the node",
    cause=(
        "The config daemon of the operator writes VFs, drivers and modes to /sys, and puts what failed into "
        "`lastSyncError` of the SriovNetworkNodeState. The line itself only says that it failed."
    ),
    hint="read lastSyncError of the node's SriovNetworkNodeState, and dmesg of the node",
    remedy=(
        "`kubectl get sriovnetworknodestates -A -o yaml | grep -A3 lastSyncError`. For VFs the kernel has the reason: "
        "`dmesg | tail` on the node. SR-IOV that is off in the firmware is the most frequent one."
    ),
    look="kubectl get sriovnetworknodestates -A -o yaml",
    nature=Nature.WRAPPER,
)

TROUBLES = (
    VFS_WITHOUT_ROOM,
    VFS_LEFT_ON,
    VFS_REFUSED,
    SWITCHDEV_REFUSED,
    VF_UNBIND_RACE,
    NIC_NOT_SELECTED,
    SYSFS_NOT_WRITABLE,
    SRIOV_NODE_NOT_MADE,
)

RULES = (
    Rule(
        "vfs-without-room",
        (
            "not enough MMIO resources for SR-IOV",
            "SR-IOV: bus number out of range",
            "can't enable {any} VFs (bus {any} out of range of",
            "sriov_numvfs: cannot allocate memory",
            "sriov_numvfs: write error: cannot allocate memory",
            "VF BAR {any}: no space for",
            "VF BAR {any}: can't assign; no space",
            "VF BAR {any}: failed to assign",
            "Failed to enable SR-IOV: -12",
            "Failed to enable PCI sriov: -12",
            "pci_enable_sriov failed : -12",
            "pci_enable_sriov failed: -12",
        ),
        over=("too-many-vfs", "vfs-refused"),
    ),
    Rule(
        "vfs-without-room",
        ("echo: write error: Cannot allocate memory", "numvfs {any} cannot allocate memory"),
        (OF_SRIOV,),
        Sureness.LIKELY,
    ),
    Rule(
        "vfs-left-on",
        (
            "driver left SR-IOV enabled after remove",
            "Virtual Functions already enabled for this device",
            "pre-allocated VFs found - override max_vfs setting",
        ),
    ),
    Rule(
        "too-many-vfs",
        (
            "VFs already enabled. Disable before enabling",
            "sriov_numvfs: write error: Device or resource busy",
            "sriov_numvfs: device or resource busy",
            "sriov_numvfs: write error: Numerical result out of range",
            "sriov_numvfs: numerical result out of range",
            "is larger than TotalVfs (",
        ),
        sure=Sureness.LIKELY,
        over=("vfs-refused",),
    ),
    Rule(
        "too-many-vfs",
        ("echo: write error: Numerical result out of range", "echo: write error: Device or resource busy"),
        (OF_SRIOV,),
        Sureness.LIKELY,
    ),
    Rule(
        "vfs-refused",
        (
            "sriov_numvfs: write error: Function not implemented",
            "sriov_numvfs: function not implemented",
            "sriov_numvfs: write error: Operation not supported",
            "sriov_numvfs: operation not supported",
            "sriov_numvfs: write error: Invalid argument",
            "sriov_numvfs: invalid argument",
            "sriov_numvfs: write error: No such file or directory",
            "sriov_numvfs: no such file or directory",
            "Failed to enable PCI sriov",
            "Failed to enable SR-IOV: -",
            "mlx5_core_sriov_configure {any} failed",
            "mlx5_sriov_enable {any} failed",
            "mlx5_device_enable_sriov {any} failed",
            "Driver does not support SRIOV configuration via sysfs",
            "SR-IOV cannot be enabled",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "vfs-refused",
        (
            "echo: write error: Function not implemented",
            "echo: write error: Operation not supported",
            "echo: write error: Invalid argument",
        ),
        (OF_SRIOV,),
        Sureness.LIKELY,
    ),
    Rule(
        "sysfs-not-writable",
        (
            "sriov_numvfs: permission denied",
            "sriov_numvfs: read-only file system",
            "driver_override: permission denied",
            "driver_override: read-only file system",
            "drivers_probe: permission denied",
            "bash: {any}/unbind: permission denied",
            "tee: {any}/unbind: permission denied",
            "/unbind: read-only file system",
            "/bind: read-only file system",
        ),
        over=("vf-unbind-race",),
    ),
    Rule(
        "switchdev-refused",
        (
            "fails to switch to switchdev mode",
            "failed to switch to switchdev mode",
            "Failed setting eswitch to offloads",
            "Failed setting eswitch back to legacy",
            "Changing eswitch mode is allowed only if there is no VFs created",
        ),
    ),
    Rule(
        "vf-unbind-race",
        (
            "Unbind(): fail to unbind driver for device {any} permission denied",
            "Unbind(): fail to unbind driver for device",
            "fail to unbind driver for device {any} no such",
            "fail to bind driver for device",
            "unbindDriver(): failed to unbind driver",
            "bindDriver(): failed to bind driver",
            "/sys/bus/pci/drivers/{any}/unbind: permission denied",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "nic-not-selected",
        (
            "no supported NIC is selected by the nicSelector",
            "no matched node is selected by the nodeSelector in CR",
            "denied the request: vendor/device {any} is not supported",
            "denied the request: vendor {any} is not supported",
        ),
    ),
    Rule(
        "sriov-node-not-made",
        (
            "cannot configure sriov interfaces",
            "configSriovPFDevice(): fail to set NumVfs for device",
            "SetSriovNumVfs(): fail",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule("sriov-node-not-made", ("syncStatus: Failed", "syncStatus=Failed"), (OF_SRIOV,), Sureness.LIKELY),
    Rule("sriov-node-not-made", ("lastSyncError", "NewFailedMessage"), (ERROR_TOLD,), Sureness.LIKELY),
)
