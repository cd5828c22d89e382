"""Findings about changing the driver of a device: what forbids it, and how it can end."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

GROUP_NEEDS_CONSENT = FindingKind(
    code="group-needs-consent",
    severity=Severity.ERROR,
    title="Other devices of the IOMMU group would have to leave the host's drivers, too",
    cause=(
        "A group goes to one VM as a whole: as long as a driver of the host has one member, no VM can have the "
        "others. Taking a driver from a device that was not named could take something that the host needs."
    ),
    hint="name the other members too, or say --with-group",
    remedy=(
        "`passgate node groups` shows the group and who has its members. If the host can do without all of them: "
        "`passgate node bind DEVICE --with-group`."
    ),
)

OVERRIDE_OF_ANOTHER = FindingKind(
    code="override-of-another",
    severity=Severity.ERROR,
    title="driver_override names a driver that Passgate did not ask for",
    cause=(
        "Whoever wrote it, an administrator, driverctl or another tool, wants the device on that driver. The kernel "
        "does not tell who it was."
    ),
    hint="find out who wants it there; to go on all the same: --despite override-of-another",
    remedy=(
        "`driverctl list-overrides` and the configuration of the node tell more. An empty line clears it: "
        "`echo > /sys/bus/pci/devices/DEVICE/driver_override`. Writing `(null)` does not: that is taken for a name."
    ),
)

DRIVER_UNFIT = FindingKind(
    code="driver-unfit",
    severity=Severity.ERROR,
    title="The driver is not made for the device",
    cause=(
        "driver_override binds a device to any driver, fitting or not: a sound driver takes a network card without a "
        "word. A VM can have a device only from a driver of VFIO, and of those with a name of their own each is made "
        "for some devices."
    ),
    hint="leave the driver out: the one that fits is found",
    remedy="`passgate node bind DEVICE` finds the driver by `modules.alias`; `passgate node unbind DEVICE` does too.",
)

NO_HOST_DRIVER = FindingKind(
    code="no-host-driver",
    severity=Severity.INFO,
    title="No driver of the host is known to take the device",
    cause=(
        "Nothing in the journal says which driver had it before, and no module of this kernel names it in "
        "`modules.alias`. Once it is off its driver it stays without one."
    ),
    hint="name a driver with --to if there is one",
    remedy="A device without a driver does no harm: its IOMMU group can still go to a VM.",
)

DRIVERS_UNKNOWN = FindingKind(
    code="drivers-unknown",
    severity=Severity.INFO,
    title="Which drivers fit the device was not asked",
    cause=(
        "`/lib/modules/RELEASE/modules.alias` names the modules for each device; a recorded machine has none, and a "
        "container often has not that of the running kernel."
    ),
    hint="on the node itself the driver that fits is found",
    remedy="Run the command on the node, with its `/lib/modules` in sight, or name the driver with --driver or --to.",
)

FOREIGN_NEW_ID = FindingKind(
    code="foreign-new-id",
    severity=Severity.WARNING,
    title="The vfio driver takes every device of this model",
    cause=(
        "The device is on a vfio driver, and its driver_override is not set: an id was given to the driver, by "
        "`new_id` (driverctl does so) or by `vfio-pci.ids=`. Every device of the model that is unbound, plugged in "
        "or made later goes to that driver, too."
    ),
    hint="look at driverctl, /etc/modprobe.d and the kernel command line for ids",
    remedy=(
        "Boot configuration: take the id out of `vfio-pci.ids=` or `options vfio-pci ids=` and use NodeState instead. "
        "driverctl: `driverctl unset-override DEVICE`, then `echo VENDOR DEVICE > "
        "/sys/bus/pci/drivers/vfio-pci/remove_id`. Which ids a driver was given cannot be read anywhere."
    ),
)

TAKEN_WHEN_LOADED = FindingKind(
    code="taken-when-loaded",
    severity=Severity.INFO,
    title="Loading the module binds other devices as well",
    cause="A driver that is loaded takes at once every device without a driver whose driver_override names it.",
    hint="nothing to do if that is what their driver_override was written for",
    remedy="Clear the driver_override of those that shall stay without a driver, by an empty line.",
)

CHANGED_MEANWHILE = FindingKind(
    code="changed-meanwhile",
    severity=Severity.ERROR,
    title="The device is not any more as it was when the change was planned",
    cause=(
        "Between the look and the write another program gave the device to another driver, or wrote its "
        "driver_override, or another device was plugged in at its address."
    ),
    hint="look again with `passgate node show DEVICE`, and find out who else changes it",
    remedy="Let one program manage the device: driverctl, libvirt's managed='yes', an operator, or Passgate.",
)

HOLDERS_UNKNOWN = FindingKind(
    code="holders-unknown",
    severity=Severity.ERROR,
    title="It is not known whether a VM or a process holds the device",
    cause=(
        "The kernel never refuses to take a device from its driver: with a VM behind it the write hangs for ever, or "
        "the device is pulled out of the running guest. Not every process could be looked into."
    ),
    hint="run it as root, where all processes of the node are to be seen",
    remedy=(
        "In a container: with `hostPID: true` and as root. If it is known that nothing holds the device: "
        "`--despite holders-unknown`."
    ),
)

NOT_ASKED = FindingKind(
    code="not-asked",
    severity=Severity.INFO,
    title="Something that decides before each write was not asked",
    cause="A recorded machine holds no processes; whether a VM has the device is asked where the change is made.",
    hint="the same command on the node itself asks it",
    remedy="Nothing to do: a dry run on a recorded machine tells all that the recording holds.",
)

WRITE_FAILED = FindingKind(
    code="write-failed",
    severity=Severity.ERROR,
    title="The kernel refused a write",
    cause="A step of the change failed with the words of the kernel or of modprobe; what was done before is undone.",
    hint="`dmesg` tells more of it",
    remedy=(
        "`Read-only file system`: in a container /sys must be mounted writable. `No such device` of `unbind`: another "
        "program was faster. `Module … not found`: this kernel has no such driver."
    ),
)

NOT_AS_PLANNED = FindingKind(
    code="not-as-planned",
    severity=Severity.ERROR,
    title="The write succeeded, and did not do what it was for",
    cause=(
        "`drivers_probe` succeeds also where no driver took the device: the driver's probe failed, it is not loaded, "
        "or another program was faster. Only the `driver` link tells."
    ),
    hint="`dmesg` tells why the driver did not take it",
    remedy="Look at `dmesg` for the address of the device; `passgate node doctor DEVICE` tells what it is on now.",
)

WRITE_PENDING = FindingKind(
    code="write-pending",
    severity=Severity.ERROR,
    title="A write has not come back",
    cause=(
        "The kernel waits until the holder of the device lets go. The writer is left alone on purpose: a signal makes "
        "it unkillable. Until it has come back, a second unbind of the device or a reset would hang as well, and "
        "while VFs are being taken away a look at `sriov_numvfs` of their PF."
    ),
    hint="end the VM or the process that holds it, then: passgate node journal recover",
    remedy=(
        "`passgate node who DEVICE` names the holder. Once it has ended, `passgate node journal recover` tells how "
        "the write ended, and puts the device back where it was."
    ),
)

INTERRUPTED = FindingKind(
    code="change-interrupted",
    severity=Severity.ERROR,
    title="The change was interrupted by a signal",
    cause=(
        "SIGINT (^C), SIGTERM or SIGHUP came while devices were changed. The write that was on its way is waited for: "
        "a signal would make it unkillable. Then what was begun is undone, and what was not begun is left out."
    ),
    hint="say it once more when it may take its time",
    remedy="`passgate node journal list` tells what was begun and how it ended; the same command goes on from there.",
)

TRANSACTION_OPEN = FindingKind(
    code="transaction-open",
    severity=Severity.ERROR,
    title="An earlier change of the device has not ended",
    cause=(
        "The journal has a transaction for the device, or for its PF or a VF of it, that was cut off or waits for "
        "the kernel."
    ),
    hint="passgate node journal recover",
    remedy="`passgate node journal recover` finds out how it stands, and undoes what was left half done.",
)

JOURNAL_FILE_UNREADABLE = FindingKind(
    code="journal-file-unreadable",
    severity=Severity.ERROR,
    title="A file of the journal cannot be read",
    cause=(
        "The file may be a change that has not ended, of any device: it was damaged, or another version of Passgate "
        "wrote it. A write that waits for a VM holds up others for ever, so that nothing is written beside it."
    ),
    hint="look at it, and move it out of the journal if it is of an earlier boot",
    remedy=(
        "`passgate node journal list` names the files that it cannot read. One of a newer Passgate: `passgate node "
        "journal recover` of that version ends it. One that is damaged and whose ID is of a time before the last boot "
        "(`uptime -s`, in UTC) is history: move it away. To go on beside it: `--despite journal-file-unreadable`."
    ),
)

UNDO_FAILED = FindingKind(
    code="undo-failed",
    severity=Severity.ERROR,
    title="The change failed, and could not be undone",
    cause="What forbids a change forbids its undoing as well: no device is taken from a VM to tidy up.",
    hint="see what stands against it, then: passgate node journal undo ID",
    remedy="`passgate node journal show ID` tells each step and where the devices were before.",
)

MANAGED_ELSEWHERE = FindingKind(
    code="managed-elsewhere",
    severity=Severity.ERROR,
    title="Another program manages the device",
    cause=(
        "A file of driverctl, the SR-IOV network operator, a driver of resource claims (DRA), a rule of udev, or the "
        "configuration that the kernel is booted with names the device: what is changed beside that program is changed "
        "back, at its next round, at the next event or at the next boot, and two programs that write against each "
        "other leave the device on neither driver."
    ),
    hint="let that program do it, or take the device out of its hands first",
    remedy=(
        "The evidence names the file. driverctl: `driverctl unset-override DEVICE`. SR-IOV network operator: change "
        "the SriovNetworkNodePolicy, or exclude the PF from every policy. A DRA driver: leave the device to it, or "
        "exclude it in the driver's configuration. A rule of udev, `vfio-pci.ids=`: take the device out of it. "
        "Harvester: enable or disable passthrough of the device in its PCI Devices. NVIDIA's GPU operator: the label "
        "`nvidia.com/gpu.workload.config` of the node. Where it is known that the file is a leftover: "
        "`--despite managed-elsewhere`."
    ),
)

KINDS: tuple[FindingKind, ...] = (
    GROUP_NEEDS_CONSENT,
    OVERRIDE_OF_ANOTHER,
    DRIVER_UNFIT,
    NO_HOST_DRIVER,
    DRIVERS_UNKNOWN,
    FOREIGN_NEW_ID,
    TAKEN_WHEN_LOADED,
    CHANGED_MEANWHILE,
    HOLDERS_UNKNOWN,
    NOT_ASKED,
    WRITE_FAILED,
    NOT_AS_PLANNED,
    WRITE_PENDING,
    INTERRUPTED,
    TRANSACTION_OPEN,
    JOURNAL_FILE_UNREADABLE,
    UNDO_FAILED,
    MANAGED_ELSEWHERE,
)
