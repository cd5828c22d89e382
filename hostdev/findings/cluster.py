"""What the cluster says before there is a domain: KubeVirt, the scheduler, kubelet, and Passgate's own logs."""

from __future__ import annotations

from hostdev.findings.rule import IN_CLOUD_INIT, Rule
from hostdev.findings.trouble import Nature, Trouble

_SIDECAR_LOG = "kubectl logs POD -c hook-sidecar-0"
_AGENT_LOG = "kubectl -n passgate logs ds/passgate-agent"

HOOK_SOCKETS_MISSING = Trouble(
    code="hook-sockets-missing",
    title="virt-launcher did not see a socket of every sidecar",
    cause=(
        "virt-launcher waits four to six minutes for one socket of each hook sidecar, and then ends; the VMI is "
        "Failed. It counts the names of files: two sidecars whose sockets have one name are one. The container may not "
        "have started (image, rights), may have ended, or another sidecar made two sockets."
    ),
    hint="look whether the sidecar's container runs, and what its log says",
    remedy=(
        "1. `kubectl describe pod POD` tells whether the container `hook-sidecar-0` started, and from which image.\n"
        f"2. `{_SIDECAR_LOG}` should have a line `serving` with the socket.\n"
        "3. `passgate-hook rehearse --vmi FILE` plays the same without a cluster.\n"
        "4. Passgate names its socket after CONTAINER_NAME; another sidecar must do so too."
    ),
    says=("Failed to collect all expected sidecar hook sockets within given timeout",),
    look="passgate-hook rehearse",
)

DOMAIN_NOT_DEFINED = Trouble(
    code="domain-not-defined",
    title="Each try to define the domain was refused, until virt-launcher gave up",
    cause=(
        "A hook that refuses is asked again, for the allocation may come late. When nothing changes within four to six "
        "minutes, virt-launcher ends with this text, which does not tell why."
    ),
    hint="read the SyncFailed events of the VMI: the first of them has the reason",
    remedy=(
        "`kubectl describe vmi VM` shows the events; `passgate node explain` takes their text. When they are gone, "
        f"`{_SIDECAR_LOG}` has the same sentence in its lines `refused`."
    ),
    says=("timed out waiting for domain to be defined",),
    look="kubectl describe vmi VM",
    nature=Nature.WRAPPER,
)

DEVICE_NOT_PERMITTED = Trouble(
    code="device-not-permitted",
    title="The KubeVirt object does not permit the resource",
    cause=(
        "Where the KubeVirt object has `permittedHostDevices`, a VM's `gpus` and `hostDevices` may only name resources "
        "that stand there, also those of other device plugins. A resource in the VM's limits needs no permission."
    ),
    hint="add the resource to permittedHostDevices, with externalResourceProvider where another plugin has it",
    remedy=(
        "`passgate manifest DEVICE --only cluster` on the node writes the lines. Compare the name letter by letter "
        "with `kubectl describe node`."
    ),
    says=(
        "HostDevice {any} is not permitted in permittedHostDevices configuration",
        "GPU {any} is not permitted in permittedHostDevices configuration",
    ),
    look="passgate manifest",
    issues=("kubevirt/kubevirt#4950", "NVIDIA/kubevirt-gpu-device-plugin#17"),
)

NO_ADDRESS_LEFT = Trouble(
    code="no-address-left",
    title="KubeVirt finds fewer addresses in its environment than the spec has devices",
    cause=(
        "KubeVirt takes the addresses of `gpus` and `hostDevices` from variables such as PCI_RESOURCE_… that the "
        "device plugin sets. The plugin gave fewer than were asked for or sets variables of another name, two "
        "resources have the same device, or one resource stands both in `gpus` and in `hostDevices`. `failed to create "
        "GPU host-devices` and `failed to create generic host-devices` begin the same sentence; what stands behind "
        "says which device is missing."
    ),
    hint="compare the variables of the container compute with the devices of the spec",
    remedy=(
        "`kubectl exec POD -c compute -- env | grep RESOURCE` shows the variables. A plugin with variables of its own, "
        "such as Intel's for QAT, cannot be used through `hostDevices`: put its resource into the limits, and name it "
        "in `passgate.dev/devices`."
    ),
    says=(
        "no more addresses to allocate for resource {any}",
        "failed to create GPU host-devices",
        "failed to create generic host-devices",
        "the number of GPU/s do not match the number of devices",
        "the number of generic host-devices do not match the number of devices",
        "the number of device plugin GPU/s do not match the number of devices",
        "the number of device plugin HostDevice/s do not match the number of devices",
    ),
    look="passgate lint",
)

RESOURCE_INSUFFICIENT = Trouble(
    code="resource-insufficient",
    title="No node has as many free devices of the resource",
    cause=(
        "The scheduler counts what device plugins offer. The devices are in use, are not bound to the driver that the "
        "plugin looks for, or the plugin does not run; a resource that is misspelt exists nowhere."
    ),
    hint="look at the node's Allocatable, and at who holds the devices",
    remedy=(
        "`kubectl describe node NODE` shows what is offered and given. On the node `passgate node list` shows which "
        "devices can be passed through, and `passgate node who DEVICE` who has one. A pod that is being ended keeps "
        "its devices until its containers have ended."
    ),
    says=("nodes are available: {any} Insufficient {resource}", "Insufficient {resource}"),
    look="passgate node who",
    issues=("k8snetworkplumbingwg/sriov-network-device-plugin#189",),
)

ALLOCATE_FAILED = Trouble(
    code="allocate-failed",
    title="Kubelet could not allocate what the scheduler had counted",
    cause=(
        "After a reboot, or a restart of the plugin or of kubelet, pods are admitted before the plugin has registered "
        "again; or devices became unhealthy, which for most plugins means that their driver has changed. A plugin that "
        "has been away for five minutes is unknown to kubelet, and containers with its devices do not start again "
        "either. A plugin that answers an allocation with an error has the same effect: its words stand in the message."
    ),
    hint="let the pod be made anew once the plugin has registered; the failed one stays failed",
    remedy=(
        "`kubectl describe node NODE` shows whether Allocatable is back. A VM with `runStrategy: Always` gets a new "
        "pod by itself. If it stays: look into the plugin's log, and at `passgate node list` on the node; of what "
        "Passgate's agent offers, `docs/offer.md` tells why a unit is not."
    ),
    says=(
        "Allocate failed due to requested number of devices unavailable for {any}",
        "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices {any}",
        "Allocate failed due to cannot allocate unregistered device {any}",
        "Allocate failed due to previously allocated devices are no longer healthy; cannot allocate unhealthy {any}",
        "Allocate failed due to no containers return in allocation response",
        "device plugin GetPreferredAllocation rpc failed with err: {any}",
        "endpoint not found in cache for a registered resource: {any}",
    ),
    look="passgate node list",
    issues=("kubernetes/kubernetes#125579", "kubernetes/kubernetes#133382"),
)

POST_START_FAILED = Trouble(
    code="post-start-failed",
    title="The postStart of a container failed",
    cause=(
        "The policy gives `compute` a postStart that copies variables for the sidecars. It is written to end in "
        "success whatever happens, since kubelet kills a container whose postStart fails; a failure is that of another "
        "postStart."
    ),
    hint="see in the pod whose postStart it is",
    remedy="`kubectl get pod POD -o yaml` shows `lifecycle`. The policy leaves one that is there already alone.",
    says=("FailedPostStartHook", "PostStartHookError"),
    look="kubectl get pod POD -o yaml",
)

POLICY_NOT_SERVED = Trouble(
    code="policy-not-served",
    title="The cluster does not know MutatingAdmissionPolicy",
    cause="It is `v1` from Kubernetes 1.36 on; before, it is not turned on.",
    hint="use the agent, or the form for Kyverno in deploy/kyverno",
    remedy="`docs/install.md` tells how to choose between the agent and the policy.",
    says=('no matches for kind "MutatingAdmissionPolicy" in version {any}',),
    look="kubectl api-resources",
)

DEVICE_ASLEEP = Trouble(
    code="device-asleep",
    title="The device does not wake from its deepest sleep",
    cause=(
        "vfio-pci puts an idle device to sleep (D3). Some cards, and some slots, do not come back: the device answers "
        "with ones only, and the VM does not start until the host is rebooted."
    ),
    hint="load vfio-pci with disable_idle_d3=1, and reboot the host",
    remedy="Write `options vfio-pci disable_idle_d3=1` into `/etc/modprobe.d/vfio.conf`.",
    says=("Unable to change power state from D3cold to D0, device inaccessible",),
    look="passgate node show",
    issues=("kata-containers/kata-containers#11708",),
)

HOOK_LATE = Trouble(
    code="hook-late",
    title="A call was not answered in time, and was given up",
    cause="The sidecar and the agent give a call two seconds, waiting for an allocation aside. KubeVirt asks again.",
    hint="see `doing` in the log line: it says what took so long",
    remedy="A slow disk or a device that no longer answers shows in `dmesg` of the node.",
    says=('"msg": "late"',),
    look=_SIDECAR_LOG,
)

HOOK_DEFECT = Trouble(
    code="hook-defect",
    title="A defect of Passgate",
    cause="Something happened that nobody thought of. The call failed, and the VM did not start with a wrong domain.",
    hint="report the log line: it names the exception and the place, and no secrets",
    remedy="With `passgate … --debug` the same is told with a traceback.",
    says=('"msg": "defect"', "internal error, a defect of passgate"),
    look=_SIDECAR_LOG,
)

DEFINED_ALREADY = Trouble(
    code="defined-already",
    title="A later call could not be answered, and the input went back as it came",
    cause=(
        "KubeVirt asks up to three times for one start. After the first answer a domain is defined, which a refusal "
        "would leave without its devices, or would start half made. So nothing is refused any more, and the line says "
        "what could not be done."
    ),
    hint="see `reason` in the log line; stop and start the VM to have it looked at from the beginning",
    remedy="`passgate-hook rehearse --vmi FILE --domain FILE` plays all passes.",
    says=(
        "a domain is defined already: the input went back as it came",
        "an answer was given already: the cloud-init data went back as it came",
    ),
    look="passgate-hook rehearse",
)

NO_INOTIFY = Trouble(
    code="no-inotify",
    title="The agent looks every second, instead of being told",
    cause="The kernel has no inotify instance left for this user, or the file system has none.",
    hint="raise fs.inotify.max_user_instances on the node",
    remedy="Nothing is lost: allocations reach their pods up to a second later.",
    says=("no inotify: looking every second instead",),
    look=_AGENT_LOG,
)

TROUBLES = (
    HOOK_SOCKETS_MISSING,
    DOMAIN_NOT_DEFINED,
    DEVICE_NOT_PERMITTED,
    NO_ADDRESS_LEFT,
    RESOURCE_INSUFFICIENT,
    ALLOCATE_FAILED,
    POST_START_FAILED,
    POLICY_NOT_SERVED,
    DEVICE_ASLEEP,
    HOOK_LATE,
    HOOK_DEFECT,
    DEFINED_ALREADY,
    NO_INOTIFY,
)

RULES = (
    Rule(
        "cloud-init-missing",
        ("invalid memory address or nil pointer dereference", "SIGSEGV: segmentation violation"),
        (IN_CLOUD_INIT,),
    ),
)
