"""Findings about what KubeVirt's API refuses, the keys that it drops, and what an upgrade changes in both."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

_WHERE = (
    "The message has KubeVirt's own words, as its webhook or the API server says them. Where only some releases refuse "
    "it, the message names them; `--kubevirt 1.9` looks at one release only."
)
_APPLY = (
    "Correct what the message names. `kubectl apply --dry-run=server -f FILE` asks the cluster itself, with the "
    "feature gates that it has."
)


def _refused(what: str, title: str, cause: str, *says: str) -> FindingKind:
    return FindingKind(
        code=f"{what}-refused",
        severity=Severity.ERROR,
        title=title,
        cause=f"{cause} {_WHERE}",
        hint="correct what the message names",
        remedy=_APPLY,
        says=says,
    )


INTERFACE_REFUSED = _refused(
    "interface",
    "KubeVirt refuses an interface or a network",
    "Each interface has one network of the same name, one binding, and values that KubeVirt checks.",
    "Masquerade interface only implemented with pod network",
    "Only one interface can be connected to one specific network",
    "should have a network type",
    "must have exactly one binding method or binding plugin",
)
DEVICE_REFUSED = _refused(
    "device",
    "KubeVirt refuses a GPU, a host device, or another device of the guest",
    "A GPU or host device comes from a resource (`deviceName`) or from a claim, and never from both.",
    "contains GPUs without deviceName",
    "contains both DRA and non-DRA GPUs",
)
COMPUTE_REFUSED = _refused(
    "compute",
    "KubeVirt refuses the CPUs, the memory or the resources",
    "Memory must be given, requests are within limits, and NUMA, real time and isolated threads want dedicated CPUs.",
    "no memory requested, at least one of {any}",
    "must be requested when NUMA topology strategy is set",
    "IsolateEmulatorThread should be only set in combination with DedicatedCPUPlacement",
)
DISK_REFUSED = _refused(
    "disk",
    "KubeVirt refuses a disk",
    "Each disk has a volume of the same name, a bus that KubeVirt knows, and a boot order of its own.",
    "is set with an unrecognized bus {any}",
    "must have a boot order > 0, if supplied",
)
VOLUME_REFUSED = _refused(
    "volume",
    "KubeVirt refuses a volume",
    "Each volume has a name of its own and exactly one source.",
    "must have exactly one source type set",
    "userdata exceeds 2048 byte limit",
)
FIRMWARE_REFUSED = _refused(
    "firmware",
    "KubeVirt refuses the machine, the firmware or the architecture",
    "Secure boot is on wherever `efi` is written without `secureBoot: false`, and wants SMM.",
    "SecureBoot requires SMM, which is currently disabled",
    "One and only one launchSecurity type can be set",
)
POLICY_REFUSED = _refused(
    "policy",
    "KubeVirt refuses a label, a name, a probe or a policy",
    "These are words that KubeVirt knows a fixed list of, exact to the letter, or names with the form of DNS names.",
    "is only allowed if the Pod Network is attached",
    "does not conform to the kubernetes DNS_LABEL rules",
)
VM_REFUSED = _refused(
    "vm",
    "KubeVirt refuses the VM around its template",
    "A VM says how it is run, and names an instance type or has CPUs and memory of its own.",
    "RunStrategy must be specified",
    "Running and RunStrategy are mutually exclusive",
    "conflicts with selected instance type",
)

METADATA_REFUSED = FindingKind(
    code="metadata-refused",
    severity=Severity.ERROR,
    title="The API server refuses the object's name, labels or annotations",
    cause=(
        "Names are DNS names in lower case; labels and annotations are texts, and `true` or `5` without quotes is "
        "none. In a template's metadata KubeVirt's own check forbids keys that it does not know."
    ),
    hint="correct the metadata",
    remedy='Write `a.b/c: "true"`, with quotes, and names such as `vm-1`.',
    says=("is a forbidden property", "name or generateName is required"),
)

API_NOT_SERVED = FindingKind(
    code="api-not-served",
    severity=Severity.ERROR,
    title="No release of KubeVirt serves this apiVersion of the kind",
    cause=(
        "`kubevirt.io/v1` is served since 2020, `v1alpha3` beside it. Older versions, and OfflineVirtualMachine, are "
        "of 2018 and 2019. Pools are in `pool.kubevirt.io`, as `v1alpha1` and, from 1.7 on, `v1beta1`."
    ),
    hint="write apiVersion: kubevirt.io/v1",
    remedy=(
        "With the apiVersion correct the fields as well: what was `spec.domain` of a VM is now "
        "`spec.template.spec.domain`. `kubectl api-resources` lists what a cluster serves."
    ),
    says=("no matches for kind {any} in version {any}",),
)

WRONG_TYPE = FindingKind(
    code="wrong-type",
    severity=Severity.ERROR,
    title="A field has a value of the wrong type",
    cause=(
        "KubeVirt checks each object against its schema before anything else. A number in quotes is a text, a list is "
        "no object, and `GiB` or `MB` are no units. In YAML `on`, `n` and `yes` are truth values."
    ),
    hint="write a value of the type that the message names",
    remedy=(
        "Numbers and truth values stand without quotes, labels and annotations with quotes. Amounts are written as "
        "`512Mi`, `4Gi`, `2` or `500m`; an empty object is `{}`."
    ),
    says=("in body must be of type {any}", "quantities must match the regular expression {any}"),
)

FIELD_MISSING = FindingKind(
    code="field-missing",
    severity=Severity.ERROR,
    title="A required field is missing",
    cause=(
        "KubeVirt's schema asks for it. `devices: {}` must be there even in a VM without devices, and a field with "
        "nothing behind it counts as missing. Pools and replica sets are checked more strictly than VMs."
    ),
    hint="add the field",
    remedy="Add the field that the message names; `devices: {}` is enough for a VM without devices.",
    says=("in body is required",),
)

UNKNOWN_FIELD = FindingKind(
    code="unknown-field",
    severity=Severity.WARNING,
    title="KubeVirt does not know this key, and drops it",
    cause=(
        "The API server removes keys that are not in the schema, with a warning at most, and the VM is judged without "
        "them. `kubectl apply` of today refuses such a file; other clients, GitOps tools among them, do not."
    ),
    hint="correct the key, or remove it",
    remedy=(
        "Keys are exact to the letter: `dedicatedCpuPlacement`, `hostDevices`, `gpus`. Where the key is known at "
        "another place the message names it. `kubectl explain vmi.spec.domain` lists what a cluster knows."
    ),
    says=("unknown field {any}",),
)

FIELD_BY_RELEASE = FindingKind(
    code="field-by-release",
    severity=Severity.INFO,
    title="Not every release of KubeVirt knows this key",
    cause=(
        "The key is there in the releases that the message names; in all others the API server drops it, and the VM is "
        "judged without it. With `--kubevirt` of a release that does not know it, this is a warning."
    ),
    hint="look which release the cluster has",
    remedy="`kubectl get kubevirt -A -o jsonpath='{..observedKubeVirtVersion}'` tells the release.",
)

GATE_CLOSED = FindingKind(
    code="gate-closed",
    severity=Severity.ERROR,
    title="A field needs a feature gate of KubeVirt",
    cause=(
        "KubeVirt refuses the field while the feature gate is closed. Up to 1.8 a gate is open only where the KubeVirt "
        "CR names it; from 1.9 on gates of the stage Beta are open unless they are disabled. Where the gates of the "
        "cluster are not known, this is told as info."
    ),
    hint="name the gate in the KubeVirt CR, or give --feature-gates",
    remedy=(
        "`kubectl get kubevirt -A -o jsonpath='{..featureGates}'` shows the gates. Add the name to "
        "`spec.configuration.developerConfiguration.featureGates`. Lint knows them from a KubeVirt CR among its files, "
        "or from `--feature-gates A,B`."
    ),
    says=(
        "Host Devices feature gate is not enabled in kubevirt-config",
        "HostDevices feature gate is not enabled",
        "feature gate is not enabled in kubevirt-config",
    ),
    issues=("NVIDIA/kubevirt-gpu-device-plugin#17",),
)

KINDS: tuple[FindingKind, ...] = (
    API_NOT_SERVED,
    METADATA_REFUSED,
    WRONG_TYPE,
    FIELD_MISSING,
    UNKNOWN_FIELD,
    FIELD_BY_RELEASE,
    GATE_CLOSED,
    VM_REFUSED,
    INTERFACE_REFUSED,
    DEVICE_REFUSED,
    COMPUTE_REFUSED,
    DISK_REFUSED,
    VOLUME_REFUSED,
    FIRMWARE_REFUSED,
    POLICY_REFUSED,
)

_HOW = "`passgate lint --kubevirt OLD --against NEW` compares two releases; `docs/upgrade.md` has the whole table."

UPGRADE_REFUSES = FindingKind(
    code="upgrade-refuses",
    severity=Severity.ERROR,
    title="The newer KubeVirt refuses what the older one takes",
    cause=(
        "A VM that exists stays; it is refused when it is changed, created again or, where its VMI is refused, "
        f"started. {_HOW}"
    ),
    hint="change it before the upgrade",
    remedy="Correct what the message names: the older release mostly takes the corrected VM as well.",
)

UPGRADE_ADMITS = FindingKind(
    code="upgrade-admits",
    severity=Severity.INFO,
    title="The newer KubeVirt takes what the older one refuses",
    cause=f"A rule has gone, or a feature gate is open by default now. {_HOW}",
    hint="nothing to do",
    remedy="Going back to the older release brings the refusal back.",
)

UPGRADE_CHANGES = FindingKind(
    code="upgrade-changes",
    severity=Severity.WARNING,
    title="The VM means something else to the newer KubeVirt",
    cause=f"A key comes to be read or dropped, a default or a mechanism changes. {_HOW}",
    hint="read what changes",
    remedy="Look whether the VM shall have it, and say so in its spec where it can be said.",
)

UPGRADE_KINDS: tuple[FindingKind, ...] = (UPGRADE_REFUSES, UPGRADE_ADMITS, UPGRADE_CHANGES)
