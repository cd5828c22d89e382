"""What CNI plugins, Multus and device plugins of networks say."""

from __future__ import annotations

from hostdev.findings.rule import REASON_ELSEWHERE, Rule, Sureness
from hostdev.findings.trouble import Nature, Trouble

VF_VLAN_REFUSED = Trouble(
    code="vf-vlan-refused",
    title="The PF's driver does not accept the VLAN that the network wants for its VF",
    cause=(
        "sriov-cni sets VLAN, priority (qos) and protocol of the VF through the PF. The driver refused one of them: "
        "many know no 802.1ad, some no qos without a VLAN, and some releases of sriov-cni sent a wrong protocol. "
        "`operation not supported` for a plain VLAN is a PF in switchdev mode, or a driver that sets none for its VFs."
    ),
    hint="leave vlanProto and vlanQoS out of the network, or use another release of sriov-cni",
    remedy=(
        "Try by hand on the node: `ip link set PF vf N vlan ID`. If that works, it is sriov-cni; if it fails, it is "
        "the driver or its firmware. `invalid argument` where it works by hand is sriov-cni before 2.8.1 on a kernel "
        "in which CVE-2024-36017 is mended. Before 2.8.0 it also set VLAN 0 where the network names none, which some "
        "drivers refuse."
    ),
    look="ip link show PF",
    issues=("k8snetworkplumbingwg/sriov-cni#303", "k8snetworkplumbingwg/sriov-cni#291"),
)

VF_NOT_CONFIGURED = Trouble(
    code="vf-not-configured",
    title="sriov-cni could not configure the VF",
    cause=(
        "sriov-cni sets MAC, VLAN, trust, spoof check and link state of the VF through its PF's network device. The PF "
        "is down, in another network namespace or on a driver without one, the VF's number is not the PF's, or the "
        "PF's driver does not know the setting."
    ),
    hint="look whether the PF is up on the node, and which setting the message names",
    remedy=(
        "1. `ip link show PF` lists its VFs; the PF must be up.\n"
        "2. Leave out of the NetworkAttachmentDefinition what the driver does not know (trust, rates, link state).\n"
        "3. A VF on vfio-pci has no network device: that is as it should be, and sriov-cni knows it."
    ),
    look="ip link show PF",
)

CNI_BINARY_MISSING = Trouble(
    code="cni-binary-missing",
    title="The binary of sriov-cni is not on the node",
    cause=(
        "A network of type `sriov` needs the program `sriov` in the CNI directory of the node. The DaemonSet that puts "
        "it there does not run on this node, writes to another directory (k3s, OpenShift and others have their own), "
        "or the node was made anew."
    ),
    hint="install sriov-cni on the node (its DaemonSet), into the directory that the message names",
    remedy=(
        "`ls /opt/cni/bin` on the node; `kubectl -n kube-system get ds | grep sriov`. The directory must be the one "
        "that the container runtime uses: `crictl info | grep -A3 binDir`."
    ),
    look="ls /opt/cni/bin",
    issues=("k8snetworkplumbingwg/sriov-network-device-plugin#446",),
)

DEVICE_POOL_EMPTY = Trouble(
    code="device-pool-empty",
    title="The selectors of a resource of the SR-IOV device plugin match no device",
    cause=(
        "The device plugin offers a resource only if at least one device fits all its selectors: vendors, devices, "
        "drivers, pfNames, rootDevices. Mostly the driver differs: VFs for VMs are on vfio-pci, for containers on "
        "their network driver; or the VFs were made after the plugin started."
    ),
    hint="make the selectors fit: for VMs `drivers: [vfio-pci]`, and the PF's name as it is on this node",
    remedy=(
        "1. `passgate node list` on the node shows vendor, device and driver of each VF.\n"
        "2. Compare with the ConfigMap of the plugin (`resourceList`); the log says how many devices each selector "
        "left.\n"
        "3. Restart the plugin's pod after VFs were made or bound."
    ),
    look="passgate node list",
    issues=("k8snetworkplumbingwg/sriov-network-device-plugin#386",),
)

MULTUS_FAILED = Trouble(
    code="multus-failed",
    title="Multus passes on that a network could not be added",
    cause=(
        "The sentence of multus-shim and of kubelet only says that some CNI plugin failed. The reason stands behind it "
        "in the same message, after the name of the network, or in the log of the Multus pod of that node."
    ),
    hint="read the rest of the message, or the log of the Multus pod on that node",
    remedy=(
        "`kubectl -n kube-system logs -l app=multus --tail 50` on the pod of the node, and `kubectl describe pod POD`: "
        "what stands behind `error adding container to network` is the cause."
    ),
    look="kubectl describe pod POD",
    nature=Nature.WRAPPER,
    issues=("k8snetworkplumbingwg/sriov-network-device-plugin#555",),
)

TROUBLES = (VF_VLAN_REFUSED, VF_NOT_CONFIGURED, CNI_BINARY_MISSING, DEVICE_POOL_EMPTY, MULTUS_FAILED)

RULES = (
    Rule(
        "network-without-device",
        (
            "VF pci addr is required",
            "file is not populated with network-info",
            "failed to create PCI address pool with network status",
            "found no SR-IOV networks to PCI-Address mapping",
            "PCI-Address for SR-IOV network {any} not found",
            "failed to allocate SR-IOV PCI address for network",
        ),
        over=("no-address-left", "vf-not-configured", "multus-failed"),
    ),
    Rule(
        "vf-vlan-refused",
        (
            "failed to set vf {any} vlan configuration",
            "failed to set vf {any} vlan",
        ),
        over=("vf-not-configured", "multus-failed"),
    ),
    Rule(
        "vf-not-configured",
        (
            "SRIOV-CNI failed to configure VF",
            "InfiniBand SRI-OV CNI failed to configure VF",
            "failed to set up pod interface {any} from the device",
            "the VF {any} does not have a interface name or a dpdk driver",
            "failed to set vf {any} link state to",
            "failed to set vf {any} trust",
            "failed to set vf {any} rate",
            "failed to set vf {any} spoof",
            "failed to get VF information",
            "/physfn/net: no such file or directory",
            "/physfn: no such file or directory",
            "failed to find vf {any}",
            "SRIOV-CNI failed to load netconf",
        ),
        sure=Sureness.LIKELY,
        over=("multus-failed",),
    ),
    Rule(
        "cni-binary-missing",
        (
            "failed to find plugin sriov in path",
            "failed to find plugin ib-sriov in path",
            "exec: sriov: executable file not found",
            "/opt/cni/bin/sriov: no such file or directory",
        ),
        over=("multus-failed",),
    ),
    Rule(
        "device-pool-empty",
        (
            "no devices in device pool, skipping creating resource server",
            "no devices in device pool",
            "discoverHostDevices(): no PCI network device found",
            "no resource configuration; exiting",
        ),
    ),
    Rule(
        "multus-failed",
        ("CNI request failed with status 400", "CmdAdd (shim): CNI request failed"),
        (REASON_ELSEWHERE,),
    ),
)
