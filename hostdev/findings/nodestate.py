"""Findings about declared node state: the file, and what a node makes of it."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

BAD_NODE_STATE = FindingKind(
    code="bad-node-state",
    severity=Severity.ERROR,
    title="A NodeState file cannot be read",
    cause=(
        "A NodeState says which drivers and VFs a node shall have, and is read strictly: a key that is not known, a "
        "key that is there twice, or a value of the wrong type stops the whole file. Half of what was meant would be "
        "done otherwise, and nobody would notice."
    ),
    hint="repair what the message names",
    remedy=(
        "Each message begins with file, line and column, and names the place: `spec.devices[1].driver` is the driver "
        "of the second entry. `docs/node-state.md` lists the keys; `passgate node state export` writes a file to begin "
        "with. All mistakes of a file are told at once, and nothing of it is done before it has none."
    ),
)

NODE_STATE_VERSION = FindingKind(
    code="node-state-version",
    severity=Severity.ERROR,
    title="A NodeState file is written for another version of Passgate",
    cause=(
        "The file says another `apiVersion` than this Passgate knows. What a newer version added may change the "
        "meaning of all of it, so that nothing of the file is done: not even the documents that could be read."
    ),
    hint="update Passgate on this node, or write the file for passgate.dev/v1",
    remedy=(
        "`passgate --version` tells what is installed. During an upgrade of a cluster keep the old file until the "
        "agents of all nodes are new."
    ),
)

IDENTITY_CHANGED = FindingKind(
    code="identity-changed",
    severity=Severity.ERROR,
    title="Another device is where the file expects one",
    cause=(
        "An entry names a place (`address` or `path`), and what must be there (`id`, `subsystem`, `class`, `numa`, "
        "`driver`). Something else is there: a card was added, moved or replaced, a firmware counts buses otherwise, "
        "or the kernel was changed. An address alone is no identity, and the wrong disk or NIC would be taken."
    ),
    hint="look what is there now, and write that into the file if it is meant",
    remedy=(
        "`passgate node show ADDRESS` shows what is at the address, `passgate node list -o wide` where the device "
        "is now. `passgate node state export` writes entries for what is there. With `path` in place of `address` an "
        "entry finds its device again after other cards came and went."
    ),
)

ENTRY_UNMATCHED = FindingKind(
    code="entry-unmatched",
    severity=Severity.ERROR,
    title="An entry of a NodeState fits no device of this node",
    cause=(
        "The device is not there: it was removed, its PF has no VFs yet, it is off after a failure, or the entry was "
        "written for another node."
    ),
    hint="compare with `passgate node list -o wide`",
    remedy=(
        "If the entry is for other nodes, give its document `metadata.nodes`, with the names of the nodes or with what "
        "they have. If it is a VF, declare its PF under `virtualFunctions`."
    ),
)

ENTRIES_CONFLICT = FindingKind(
    code="entries-conflict",
    severity=Severity.ERROR,
    title="Two entries of a NodeState want different things of one device",
    cause=(
        "Two entries fit one device and name different drivers, or different numbers of VFs. Which of them is meant "
        "cannot be known; doing one after the other would take the device back and forth for ever."
    ),
    hint="make the entries exclude each other, or remove one",
    remedy="Add `address`, `path`, `numa` or `subsystem` to the `match` of one of the two.",
)

REBOOT_PENDING = FindingKind(
    code="reboot-pending",
    severity=Severity.WARNING,
    title="The running kernel was not booted with what the node state needs",
    cause=(
        "Parameters of the kernel take effect at boot, and most options of modules when the module is loaded. "
        "Passgate checks them and never writes them: a mistake there is a node that does not boot."
    ),
    hint="`passgate node state install FILE --for grub` prints where it goes; then reboot",
    remedy=(
        "`passgate node state install FILE --for grub|machineconfig|talos|harvester` prints the lines for the boot "
        "configuration of this kind of node. Drain the node, write them, reboot it, and look at `passgate node state "
        "status FILE` again."
    ),
)

NODE_STATE_DRIFTED = FindingKind(
    code="node-state-drifted",
    severity=Severity.WARNING,
    title="A device is no longer as its NodeState says",
    cause=(
        "A driver was changed, VFs are gone, or the device came back from a reset, a hot-plug or a reboot without "
        "what was set. The agent tells it with what is wanted and what is there; with `--manage` it mends it."
    ),
    hint="`passgate node state status FILE` on the node shows what differs",
    remedy=("`passgate node state status FILE` shows what differs. If the change was meant, write it into the file."),
)

NODE_STATE_WAITING = FindingKind(
    code="node-state-waiting",
    severity=Severity.INFO,
    title="A device is not as its NodeState says, and a VM has it",
    cause="No device is taken from a VM. The state is made as soon as the VM has let go of it.",
    hint="nothing to do; or stop or migrate the VM",
    remedy="`passgate node who DEVICE` tells which VM it is.",
)

NODE_STATE_CONTESTED = FindingKind(
    code="node-state-contested",
    severity=Severity.ERROR,
    title="Something else changes a device again whenever its node state was made",
    cause=(
        "The agent made the declared state twice, and twice found it undone soon after. Another manager is at work on "
        "the same device: driverctl, the SR-IOV network operator, a vendor's operator, libvirt with managed='yes', or "
        "a script. Two programs that take a device from each other may break the VM that starts in between."
    ),
    hint="leave the device to one of the two",
    remedy=(
        "The agent does nothing more to the device until the file changes, the device is as declared, or the agent is "
        "started again. `passgate node doctor DEVICE` names managers that it sees. Remove the device from the "
        "NodeState, or from the other manager's configuration."
    ),
)

KINDS = (
    BAD_NODE_STATE,
    NODE_STATE_VERSION,
    IDENTITY_CHANGED,
    ENTRY_UNMATCHED,
    ENTRIES_CONFLICT,
    REBOOT_PENDING,
    NODE_STATE_DRIFTED,
    NODE_STATE_WAITING,
    NODE_STATE_CONTESTED,
)
