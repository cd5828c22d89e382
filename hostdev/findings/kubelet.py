"""What kubelet, the scheduler and container runtimes say of devices: plugins, topology, DRA, CDI."""

from __future__ import annotations

from hostdev.findings.rule import CDI_OF_DEVICES, OF_OURS, Rule, Sureness
from hostdev.findings.trouble import Trouble

DRA_NOT_PREPARED = Trouble(
    code="dra-not-prepared",
    title="The DRA driver of the node could not prepare the device",
    cause=(
        "Kubelet asked the DRA driver to prepare what was allocated to the claim, and it failed or did not answer in "
        "time. `DeadlineExceeded`: it mostly waits for a process of the host that holds the device "
        "(nvidia-persistenced, DCGM, an exporter) before it binds vfio-pci. Otherwise the driver's own words follow in "
        "the message."
    ),
    hint="see who holds the device on the node and stop that process; then read the log of the DRA driver's pod",
    remedy=(
        "1. `passgate node who DEVICE` and `fuser -v /dev/nvidia* /dev/vfio/*` on the node; stop persistenced, dcgm, "
        "exporters.\n"
        "2. The log of the driver's kubelet plugin on that node.\n"
        "3. `kubectl get resourceclaims,resourceslices` shows what was allocated.\n"
        "4. Passgate's own driver, `units.passgate.dev`, binds nothing here: behind its words stands a code in "
        "brackets, which `passgate explain` knows, and docs/claims.md has what it does when the API is away."
    ),
    look="passgate node who DEVICE",
    issues=("kubernetes-sigs/dra-driver-nvidia-gpu#1218",),
)

DRA_DRIVER_MISSING = Trouble(
    code="dra-driver-missing",
    title="The DRA driver of the claim is not registered with kubelet on the node",
    cause=(
        "The claim was allocated to a device of this node, and kubelet has no plugin of that driver to prepare it: the "
        "driver's DaemonSet does not run there, was only just restarted, or registers in another directory than "
        "kubelet's."
    ),
    hint="look whether the driver's kubelet plugin runs on the node",
    remedy=(
        "1. `kubectl get pods -A -o wide --field-selector spec.nodeName=NODE` shows the driver's pod, and its log why "
        "it does not register.\n"
        "2. `ls /var/lib/kubelet/plugins_registry` on the node has a socket of each driver that is registered.\n"
        "3. Kubelet tries again by itself; the pod starts once the driver is there.\n"
        "4. `units.passgate.dev` is Passgate's own: the DaemonSet `passgate-claims` of the overlay `claims` "
        "(docs/claims.md)."
    ),
    look="ls /var/lib/kubelet/plugins_registry",
)

DRA_NOT_GIVEN_BACK = Trouble(
    code="dra-not-given-back",
    title="The DRA driver of the node did not take a claim back",
    cause=(
        "The last pod of a claim has ended, and kubelet asked the driver to undo what it had prepared. The driver "
        "failed, left a claim out of its answer, or is not there. The pod stays `Terminating` until it succeeds; where "
        "the pod was deleted by force, the devices stay prepared."
    ),
    hint="read the log of the driver's pod on the node; kubelet asks again by itself",
    remedy=(
        "1. `kubectl get pods -A -o wide --field-selector spec.nodeName=NODE` shows the driver's pod.\n"
        "2. Kubelet asks again after a second, then less and less often, and within a minute of the driver's return.\n"
        "3. Of Passgate's own driver `passgate node who DEVICE` shows what is prepared, and for which pod."
    ),
    look="passgate node who DEVICE",
)

CLAIM_UNSCHEDULABLE = Trouble(
    code="claim-unschedulable",
    title="No node has free devices for a resource claim of the pod",
    cause=(
        "The scheduler found no node whose ResourceSlices have what all requests of the claim ask for, by class, "
        "selectors and constraints, and that no other claim has. A driver that does not run publishes no slices; one "
        "whose devices are not ready may leave them out. `resourceclaim not available on the node`: the claim has "
        "devices of another node already, and the pod may not run there."
    ),
    hint="compare `kubectl get resourceslices -o yaml` with the class and the request, and see who has the devices",
    remedy=(
        "1. `kubectl get resourceslices` has at least one slice of the driver and the node.\n"
        "2. `kubectl get deviceclass CLASS -o yaml`: its selector must be true of a device there.\n"
        "3. `kubectl get resourceclaims -A` shows the claims that have devices already.\n"
        "4. Of Passgate's own driver a unit that is not ready is in no slice: `passgate node units` on the node tells "
        "why (docs/claims.md)."
    ),
    look="kubectl get resourceslices,resourceclaims -A",
)

DRA_DEVICE_WITHOUT_ADDRESS = Trouble(
    code="dra-device-without-address",
    title="The claim does not tell KubeVirt which device it is",
    cause=(
        "virt-launcher takes the address of a device of a claim from the attributes `resource.kubernetes.io/pciBusID` "
        "or `mdevUUID`, which the DRA driver publishes. The driver publishes neither, the claim's status has none yet, "
        "or the VM names another claim or request than it has."
    ),
    hint="see whether the driver's ResourceSlices have resource.kubernetes.io/pciBusID for the device",
    remedy=(
        "1. `kubectl get resourceslices -o yaml | grep -B3 -A3 pciBusID` shows what the driver publishes.\n"
        "2. `claimName` and `requestName` of the VM's device against `kubectl get resourceclaims -o yaml`.\n"
        "3. A newer release of the driver; older ones publish an address under a name of their own."
    ),
    look="kubectl get resourceslices -o yaml",
)

CDI_NOT_WRITTEN = Trouble(
    code="cdi-not-written",
    title="The CDI file of the driver could not be written",
    cause=(
        "A DRA driver or device plugin describes its devices in a CDI file. When its last device is bound to vfio-pci, "
        "older drivers write a file without devices, which CDI refuses."
    ),
    hint="use a newer release of the driver, or keep one device of the node on the vendor's driver",
    remedy=(
        "`ls /etc/cdi /var/run/cdi` on the node; remove a stale file and restart the driver's pod. Intel's GPU driver "
        "is mended after gpu-v0.11.0."
    ),
    look="ls /etc/cdi /var/run/cdi",
    issues=("intel/intel-resource-drivers-for-kubernetes#84",),
)

CDI_DEVICE_MISSING = Trouble(
    code="cdi-device-missing",
    title="The container runtime does not find the CDI device that the container was given",
    cause=(
        "The DRA driver or device plugin named a CDI device, and no file in the directories that containerd or CRI-O "
        "reads has it: the driver writes elsewhere than the runtime looks (Talos: /var/cdi), the file was not written, "
        "or the runtime has CDI off."
    ),
    hint="make cdi_spec_dirs of the container runtime and the directory of the driver one and the same",
    remedy=(
        "1. `ls /etc/cdi /var/run/cdi` on the node, and `cdi_spec_dirs`, `enable_cdi` in the configuration of "
        "containerd.\n"
        "2. Restart the driver's pod, so that it writes its file again; then the runtime, if the directory changed."
    ),
    look="ls /etc/cdi /var/run/cdi",
    issues=("kubernetes-sigs/dra-driver-nvidia-gpu#736",),
)

KUBEVIRT_PLUGIN_MISSING = Trouble(
    code="kubevirt-plugin-missing",
    title="KubeVirt's own resources (kvm, tun, vhost-net) are not offered by the node",
    cause=(
        "`devices.kubevirt.io/kvm`, `tun` and `vhost-net` come from virt-handler on each node, and have nothing to do "
        "with passed-through devices. virt-handler does not run there, could not register with kubelet, or the node "
        "has no /dev/kvm."
    ),
    hint="look whether virt-handler runs on the node, and whether it has /dev/kvm",
    remedy=(
        "1. `kubectl -n kubevirt get pods -o wide | grep virt-handler`, and its log.\n"
        "2. `ls -l /dev/kvm` on the node; `modprobe kvm_intel` or `kvm_amd`; virtualization on in the firmware.\n"
        "3. `kubectl describe node NODE | grep devices.kubevirt.io`."
    ),
    look="kubectl -n kubevirt get pods -o wide",
    issues=("willsmythe/ghes-kubevirt#5",),
)

PLUGIN_NOT_REGISTERED = Trouble(
    code="plugin-not-registered",
    title="A device plugin and kubelet do not reach each other",
    cause=(
        "Plugins register through kubelet.sock in `device-plugins` of kubelet's root, and kubelet calls them back "
        "through a socket there. The plugin's pod has another directory mounted than kubelet uses (k3s, microk8s and "
        "k0s have their own kubelet root), kubelet's socket is a stale one of before a restart, or SELinux does not "
        "let one connect to the other."
    ),
    hint="compare kubelet's root with what the pod mounts as device-plugins, look for SELinux denials, restart kubelet",
    remedy=(
        "1. `ls -l /var/lib/kubelet/device-plugins` on the node; `ps -ef | grep -o 'root-dir=[^ ]*'` tells kubelet's "
        "root. If it is another one, bind-mount it there, or change the plugin's hostPath.\n"
        "2. `ausearch -m avc -ts recent` shows SELinux denials.\n"
        "3. Restart kubelet, then the plugin's pod."
    ),
    look="ls -l /var/lib/kubelet/device-plugins",
    issues=("kubevirt/kubevirt#4748", "kubevirt/kubevirt#8482"),
)

TOPOLOGY_REFUSED = Trouble(
    code="topology-refused",
    title="Kubelet's topology manager found no NUMA node that has all of the pod's resources",
    cause=(
        "With the policy `restricted` or `single-numa-node` kubelet admits a pod only if CPUs, memory, huge pages and "
        "devices can come from one NUMA node (or from as few as possible). The scheduler does not know, so that the "
        "pod fails on the node after it was placed there."
    ),
    hint="ask for devices and CPUs that one NUMA node has, or change the policy of the node",
    remedy=(
        "1. `passgate node list -o wide` shows the NUMA node of each device; `lscpu | grep NUMA` the CPUs.\n"
        "2. Fewer CPUs or less memory for the VM, or devices of the same NUMA node.\n"
        "3. `topologyManagerPolicy: best-effort` in kubelet's configuration, or the NUMA-aware scheduler. The pod that "
        "failed does not come back by itself; a VM with `runStrategy: Always` gets a new one."
    ),
    look="passgate node list -o wide",
)

NVIDIA_RUNTIME = Trouble(
    code="nvidia-runtime",
    title="NVIDIA's container runtime looks for a GPU that is given to VMs",
    cause=(
        "The NVIDIA container runtime is the default of the node, and asks the driver for GPUs at the start of each "
        "container. The node's GPUs are on vfio-pci, so that there is none, and containers fail that do not want one."
    ),
    hint="make runc the default runtime of nodes whose GPUs are for VMs",
    remedy=(
        '`default_runtime_name = "runc"` in the configuration of containerd, and a restart of it. With the GPU '
        "operator, label the node `nvidia.com/gpu.workload.config=vm-passthrough`: then the runtime is not installed."
    ),
    look="crictl info",
    issues=("NVIDIA/kubevirt-gpu-device-plugin#65",),
)

TROUBLES = (
    DRA_NOT_PREPARED,
    DRA_DRIVER_MISSING,
    DRA_NOT_GIVEN_BACK,
    CLAIM_UNSCHEDULABLE,
    DRA_DEVICE_WITHOUT_ADDRESS,
    CDI_NOT_WRITTEN,
    CDI_DEVICE_MISSING,
    KUBEVIRT_PLUGIN_MISSING,
    PLUGIN_NOT_REGISTERED,
    TOPOLOGY_REFUSED,
    NVIDIA_RUNTIME,
)

RULES = (
    Rule(
        "dra-not-prepared",
        (
            "Failed to prepare dynamic resources",
            "FailedPrepareDynamicResources",
            "NodePrepareResources: rpc error",
            "NodePrepareResources failed",
            "NodePrepareResources skipped {any} ResourceClaims",
            "error preparing devices for claim",
            "failed to prepare VFIO device",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "dra-not-given-back",
        (
            "NodeUnprepareResources failed",
            "NodeUnprepareResources skipped {any} ResourceClaims",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "claim-unschedulable",
        ("cannot allocate all claims", "resourceclaim not available on the node"),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "dra-driver-missing",
        ("DRA driver {any} is not registered", "plugin name {any} not found in the list of registered DRA plugins"),
        over=("dra-not-prepared",),
    ),
    Rule(
        "dra-device-without-address",
        (
            "failed to create DRA GPU host-devices",
            "failed to create dra generic host-devices",
            "has no mdevUUID or pciBusID in metadata",
            "the number of DRA GPU/s do not match the number of devices",
            "the number of DRA HostDevice/s do not match the number of devices",
        ),
        over=("no-address-left", "address-variable-missing"),
    ),
    Rule(
        "cdi-not-written",
        (
            "invalid CDI Spec",
            "failed to write CDI spec",
            "failed to add device to CDI registry",
            "unable to create CDI spec",
        ),
        over=("dra-not-prepared",),
    ),
    Rule(
        "cdi-device-missing",
        ("unresolvable CDI devices", "CDI device injection failed", "failed to inject CDI devices"),
        (CDI_OF_DEVICES,),
        over=("dra-not-prepared",),
    ),
    Rule(
        "kubevirt-plugin-missing",
        ("Insufficient devices.kubevirt.io", "Insufficent devices.kubevirt.io"),
        over=("resource-insufficient",),
    ),
    Rule(
        "kubevirt-plugin-missing",
        ("unavailable for devices.kubevirt.io/", "cannot allocate unhealthy devices devices.kubevirt.io/"),
        over=("allocate-failed",),
    ),
    Rule("resource-insufficient", ("Insufficient {resource}", "Insufficent {resource}"), (OF_OURS,)),
    Rule(
        "allocate-failed",
        (
            "Allocate failed due to requested number of devices unavailable",
            "Allocate failed due to no healthy devices present",
            "requested number of devices unavailable for {any}. Requested",
            "no healthy devices present; cannot allocate unhealthy devices",
            "previously allocated devices are no longer healthy; cannot allocate unhealthy devices",
            "Allocate failed due to device plugin {any} rpc failed",
            "Allocate failed due to rpc error",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "plugin-not-registered",
        (
            "error registering with device plugin manager",
            "Unable to connect to device plugin client with socket path",
            "failed to dial device plugin: context deadline exceeded",
            "failed to dial device plugin",
            "could not register device plugin",
            "failed to register device plugin with kubelet",
            "device-plugins/kubelet.sock: connect: connection refused",
            "device-plugins/kubelet.sock: connect: no such file or directory",
            "device-plugins/kubelet.sock: connect: permission denied",
            "device plugin unable connect to Kubelet",
            "device plugin unable to register with Kubelet",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "topology-refused",
        (
            "TopologyAffinityError",
            "Topology Affinity Error",
            "Resources cannot be allocated with Topology locality",
            "cannot align pod: {any} numa",
            "cannot align container: {any} numa",
        ),
    ),
    Rule(
        "nvidia-runtime",
        (
            "no cuda-capable device is detected",
            "nvidia-container-cli: initialization error: driver rpc error",
            "nvidia-container-cli: initialization error: nvml error: driver not loaded",
            "nvidia-container-cli: device error: no devices",
            "nvidia-container-cli: initialization error",
        ),
        sure=Sureness.LIKELY,
    ),
)
