"""Findings about snapshots of many nodes, and about a VM against them."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

SNAPSHOT_UNREADABLE = FindingKind(
    code="snapshot-unreadable",
    severity=Severity.ERROR,
    title="A file of a fleet is no snapshot that can be read",
    cause=(
        "The file was cut off, edited, written by something else, or may not be read. Its node is left out: of its "
        "devices nothing is known, which is not the same as none."
    ),
    hint="collect that node again, or remove the file",
    remedy=(
        "`passgate fleet collect --out DIR` writes each file whole or not at all. A file by hand: "
        "`passgate node snapshot > NODE.toml` on the node, named after it. A snapshot of a newer version of Passgate "
        "needs that version to read it."
    ),
)

SNAPSHOT_TWICE = FindingKind(
    code="snapshot-twice",
    severity=Severity.WARNING,
    title="Two snapshots of a fleet were taken of one machine",
    cause=(
        "Both have the same boot id, which no two machines share: a node was renamed, or a file was copied. Each "
        "counts as a node, and the devices of the machine are counted twice."
    ),
    hint="remove the file of the name that the node does not have any more",
    remedy="`kubectl get nodes` shows the names of now. Remove the other file, or collect into a new directory.",
)

SNAPSHOT_AGE_UNKNOWN = FindingKind(
    code="snapshot-age-unknown",
    severity=Severity.INFO,
    title="It is not known when a snapshot was taken",
    cause=(
        "The snapshot was written by Passgate 0.1.0, or of a copied directory, and does not say when. What it shows "
        "was so at some time. The file's own date tells when it was copied, and is not taken for it."
    ),
    hint="collect the node again",
    remedy="`passgate fleet collect --out DIR` with a Passgate of now on the node.",
)

SNAPSHOT_STALE = FindingKind(
    code="snapshot-stale",
    severity=Severity.WARNING,
    title="A snapshot is older than what is taken for current",
    cause=(
        "Devices that were free when the snapshot was taken may be held now, and a reboot may have changed drivers "
        "and groups. What would be `yes` by such a snapshot is told as `unknown`; what the hardware cannot do stays "
        "`never`."
    ),
    hint="collect the node again, or accept older ones with --max-age",
    remedy=(
        "`passgate fleet collect --out DIR` takes it again. A node that does not answer any more keeps its old file: "
        "see with `kubectl get nodes` whether it is still there."
    ),
)

SNAPSHOT_PARTIAL = FindingKind(
    code="snapshot-partial",
    severity=Severity.INFO,
    title="A snapshot could not see all of its host",
    cause=(
        "A pod has the kernel's view of all devices, and not the host's mounts, processes, firmware tables and "
        "network; of some drivers nothing shows whether they are used. Whether a device on a vfio driver can be given "
        "to a VM is seen all the same; what the host does with its other devices is not."
    ),
    hint="where that matters, take the snapshot on the host itself as root",
    remedy=(
        "`passgate fleet collect --out DIR --exec 'ssh {node} sudo passgate node snapshot'`, or copy what `passgate "
        "node snapshot` writes on the host into the directory, named after the node."
    ),
)

NODE_NOT_COLLECTED = FindingKind(
    code="node-not-collected",
    severity=Severity.ERROR,
    title="A node gave no snapshot",
    cause=(
        "Its agent does not run, the call was not permitted, did not end in time, or did not answer with a snapshot. "
        "An older file of the node is left as it was."
    ),
    hint="see why it did not answer, and collect again",
    remedy=(
        "By hand: `kubectl -n passgate exec POD -c agent -- passgate node snapshot`. It takes `create` on `pods/exec`; "
        "`--deadline` waits longer."
    ),
)

NO_FITTING_DEVICE = FindingKind(
    code="no-fitting-device",
    severity=Severity.ERROR,
    title="A node has not enough devices of the kind that a VM asks for",
    cause="The snapshot shows every PCI function of the node, and fewer fit than the VM asks for.",
    hint="`passgate fleet find` shows where such devices are",
    remedy=(
        "Put the card into the node, create the VFs (`passgate node vfs PF COUNT`), or let the VM run where such "
        "devices are."
    ),
)

TOO_FEW_FREE = FindingKind(
    code="too-few-free",
    severity=Severity.ERROR,
    title="Too few of a node's fitting devices are free and ready",
    cause=(
        "There are enough of the kind, and some are held, not bound to a vfio driver, or share an IOMMU group with "
        "what the host uses. The findings beside this one tell of each."
    ),
    hint="free or bind what the findings beside this one name",
    remedy="`passgate node who DEVICE` on the node tells who holds one, `passgate node doctor DEVICE` what to repair.",
)

RESOURCE_UNMAPPED = FindingKind(
    code="resource-unmapped",
    severity=Severity.WARNING,
    title="Nothing that was given says which devices a resource stands for",
    cause=(
        "A VM asks for a resource by its name, and what the name stands for is said elsewhere: in "
        "`permittedHostDevices` of the KubeVirt object, in an SR-IOV policy, or in the configuration of a device "
        "plugin. A name is not guessed from."
    ),
    hint="give the KubeVirt object or the SR-IOV policies among the files, or say it with --resource NAME=SELECTOR",
    remedy=(
        "`passgate fleet why vm.yaml kubevirt.yaml`, where `kubectl get kubevirt -A -o yaml > kubevirt.yaml` wrote the "
        "second, or `--resource nvidia.com/T4=id=10de:1eb8`."
    ),
)

NODE_UNFIT = FindingKind(
    code="node-unfit",
    severity=Severity.ERROR,
    title="The scheduler would not take this node for the VM",
    cause=(
        "The Node object that was given says so: a label that the VM's nodeSelector or affinity asks for is not there, "
        "a taint is not tolerated, the node is cordoned, or it has less of a resource than the VM asks for."
    ),
    hint="change the node's labels or taints, or what the VM asks for",
    remedy="`kubectl describe node NODE` shows labels, taints and allocatable resources as they are now.",
)

NODE_NOT_GIVEN = FindingKind(
    code="node-not-given",
    severity=Severity.INFO,
    title="What the scheduler asks of a node was not looked at",
    cause=(
        "A snapshot tells of devices. Labels, taints, CPU and memory are in the Node object, and none was given for "
        "this node."
    ),
    hint="kubectl get nodes -o json > nodes.json, and --nodes nodes.json",
    remedy="`kubectl get nodes -o json > nodes.json; passgate fleet why vm.yaml --nodes nodes.json`.",
)

KINDS = (
    SNAPSHOT_UNREADABLE,
    SNAPSHOT_TWICE,
    SNAPSHOT_AGE_UNKNOWN,
    SNAPSHOT_STALE,
    SNAPSHOT_PARTIAL,
    NODE_NOT_COLLECTED,
    NO_FITTING_DEVICE,
    TOO_FEW_FREE,
    RESOURCE_UNMAPPED,
    NODE_UNFIT,
    NODE_NOT_GIVEN,
)
