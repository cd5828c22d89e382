"""Rules of the cluster, the networks and the guest: a message of each, and a near one that it must not take."""

from __future__ import annotations

import pytest

from hostdev.explain.wording import make_wording
from hostdev.findings.rule import Rule
from tests.hostdev.explain.ruletable import RULES_OF_CLUSTER, Row, judge_row, wordings_in

PF = "/sys/bus/pci/devices/0000:af:00.0"
SCHEDULER = "Warning  FailedScheduling  3s  default-scheduler  0/5 nodes are available: 5 Insufficient {}."
ALLOCATE = "Allocate failed due to requested number of devices unavailable for {}. Requested: 1, Available: 0"
SHIM = "failed (add): CmdAdd (shim): CNI request failed with status 400: '{}'"
SYNC = 'server error. command SyncVMI failed: "{}"'
LAUNCHER = '{{"component":"virt-launcher","level":"error","msg":"{}","pos":"libvirt.go:693"}}'
OPERATOR = 'admission webhook "operator-webhook.sriovnetwork.openshift.io" denied the request: {}'

TABLE: tuple[tuple[str, str, str], ...] = (
    (
        "vfs-without-room",
        "mlx5_core 0000:5e:00.1: mlx5_sriov_enable:168:(pid 4455): pci_enable_sriov failed : -12",
        "mlx5_core 0000:5e:00.1: mlx5_sriov_enable:168:(pid 4455): pci_enable_sriov failed : -22",
    ),
    (
        "vfs-without-room",
        "# echo 8 > /sys/class/net/ens2f0/device/sriov_numvfs\n-bash: echo: write error: Cannot allocate memory",
        "# echo 8 > /proc/sys/vm/nr_hugepages\n-bash: echo: write error: Cannot allocate memory",
    ),
    (
        "vfs-left-on",
        "ixgbe 0000:18:00.1: Virtual Functions already enabled for this device - Please reload all VF drivers",
        "ixgbe 0000:18:00.1: Virtual Functions are not enabled for this device - Please reload all VF drivers",
    ),
    (
        "too-many-vfs",
        f'level=error msg="write {PF}/sriov_numvfs: numerical result out of range"',
        f'level=error msg="write {PF}/sriov_totalvfs_: numerical result out of range"',
    ),
    (
        "too-many-vfs",
        "# echo 300 >/sys/class/net/ens2f0/device/sriov_numvfs\nbash: echo: write error: Numerical result out of range",
        "# echo 300 >/sys/class/net/ens2f0/queues/tx-0/xps_cpus\nbash: echo: write error: Numerical result out of range",  # noqa: E501  as it is said
    ),
    (
        "vfs-refused",
        "ixgbe 0000:03:00.0: Failed to enable PCI sriov: -38",
        "ixgbe 0000:03:00.0: Failed to enable PCI sriov: -12",
    ),
    (
        "vfs-refused",
        "# echo 4 > /sys/class/net/eth2/device/sriov_numvfs\nbash: echo: write error: Function not implemented",
        "# echo 4 > /sys/class/net/eth2/device/broken_parity\nbash: echo: write error: Function not implemented",
    ),
    (
        "sysfs-not-writable",
        f"bash: {PF}/sriov_numvfs: Permission denied",
        f"bash: {PF}/rescan_numvfs: Permission denied",
    ),
    (
        "switchdev-refused",
        "kernel: mlx5_core 0000:08:00.0: mlx5_cmd: Failed setting eswitch to offloads",
        "kernel: mlx5_core 0000:08:00.0: mlx5_cmd: setting eswitch to offloads",
    ),
    (
        "vf-unbind-race",
        '{"level":"error","msg":"configSriovVFDevices(): fail to bind driver for device","device":"0000:5e:02.3"}',
        '{"level":"info","msg":"configSriovVFDevices(): bind driver for device","device":"0000:5e:02.3"}',
    ),
    (
        "nic-not-selected",
        OPERATOR.format("vendor/device 8086/10fb is not supported"),
        'admission webhook "vingress.elbv2.k8s.aws" denied the request: ingress class is not supported',
    ),
    (
        "sriov-node-not-made",
        '{"level":"error","logger":"daemon","msg":"cannot configure sriov interfaces","error":"exit status 1"}',
        f'{{"level":"error","msg":"cannot configure sriov interfaces","error":"{PF}/sriov_numvfs: invalid argument"}}',
    ),
    (
        "sriov-node-not-made",
        "kind: SriovNetworkNodeState\nstatus:\n  syncStatus: Failed",
        "kind: Application\nmetadata: {name: guestbook}\nstatus:\n  syncStatus: Failed",
    ),
    (
        "sriov-node-not-made",
        "kind: SriovNetworkNodeState, lastSyncError: 'timeout waiting', syncStatus: InProgress",
        'kind: SriovNetworkNodeState, lastSyncError: "", syncStatus: InProgress',
    ),
    (
        "network-without-device",
        'failed (add): SRIOV-CNI failed to load netconf: "LoadConf(): VF pci addr is required"',
        'failed (add): SRIOV-CNI failed to load netconf: "LoadConf(): vlan id 5000 invalid"',
    ),
    (
        "vf-vlan-refused",
        'SRIOV-CNI failed to configure VF "failed to set vf 0 vlan configuration: operation not supported"',
        'SRIOV-CNI failed to configure VF "failed to set vf 0 trust flag to on: operation not supported"',
    ),
    (
        "vf-not-configured",
        "failed to load netconf: lstat /sys/bus/pci/devices/0000:18:02.3/physfn/net: no such file or directory",
        "failed to load netconf: lstat /sys/class/net/eth7: no such file or directory",
    ),
    (
        "cni-binary-missing",
        'networks "ib0": failed to find plugin "ib-sriov" in path [/var/lib/rancher/k3s/data/cni]',
        'networks "br0": failed to find plugin "bridge" in path [/var/lib/rancher/k3s/data/cni]',
    ),
    (
        "device-pool-empty",
        "W0311 09:12:44.1 1 manager.go:156] no devices in device pool, skipping creating resource server for mlnx_vfio",
        "I0311 09:12:44.1 1 manager.go:156] Creating new resource server for mlnx_vfio, devices in pool: 4",
    ),
    (
        "multus-failed",
        SHIM.format(""),
        SHIM.format('error adding container to network "ovn-kubernetes": failed to get pod annotation: timed out'),
    ),
    (
        "dra-not-prepared",
        "NodePrepareResources failed for ResourceClaim vm-gpu: error preparing devices for claim 1b2c",
        "NodePrepareResources ended for ResourceClaim vm-gpu: no error, preparing devices for claim 1b2c",
    ),
    (
        "dra-not-given-back",
        "NodeUnprepareResources failed for ResourceClaim vm-gpu: error unpreparing devices of claim 1b2c",
        "NodeUnprepareResources ended for ResourceClaim vm-gpu: no error, unpreparing devices of claim 1b2c",
    ),
    (
        "claim-unschedulable",
        "0/3 nodes are available: 3 cannot allocate all claims. still not schedulable, preemption: not helpful",
        "0/3 nodes are available: 3 node(s) had taints. still not schedulable, preemption: not helpful",
    ),
    (
        "dra-driver-missing",
        "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver units.lab.dev is not registered",
        "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver units.lab.dev is not ready",
    ),
    (
        "dra-device-without-address",
        "failed to create DRA GPU host-devices: GPU g0 has no mdevUUID or pciBusID in metadata for claim c request r",
        "failed to create GPU host-devices: GPU g0 has no more addresses to allocate for resource a.b/c",
    ),
    (
        "cdi-not-written",
        'plugin.go:91] "unable to create CDI spec file for claim" err="permission denied"',
        'plugin.go:91] "created CDI spec file for claim" permission="granted"',
    ),
    (
        "cdi-device-missing",
        "Error: setting up CDI devices: unresolvable CDI devices habana.ai/gpu=0",
        "Info: setting up CDI devices: resolved CDI devices habana.ai/gpu=0",
    ),
    (
        "kubevirt-plugin-missing",
        SCHEDULER.format("devices.kubevirt.io/kvm"),
        SCHEDULER.format("devices.example.io/kvm"),
    ),
    (
        "kubevirt-plugin-missing",
        ALLOCATE.format("devices.kubevirt.io/kvm"),
        ALLOCATE.format("intel.com/vf"),
    ),
    (
        "resource-insufficient",
        SCHEDULER.format("nvidia.com/GA102GL"),
        SCHEDULER.format("ephemeral-storage"),
    ),
    (
        "allocate-failed",
        f"Pod was rejected: {ALLOCATE.format('intel.com/sriov')}, which is unexpected",
        "Pod was rejected: Allocate failed due to not enough devices available to satisfy: requested=1, available=0, which is unexpected",  # noqa: E501  as it is said
    ),
    (
        "plugin-not-registered",
        "dial unix /var/lib/kubelet/device-plugins/kubelet.sock: connect: connection refused",
        "dial unix /var/lib/kubelet/pod-resources/kubelet.sock: connect: connection refused",
    ),
    (
        "topology-refused",
        "Pod Resources cannot be allocated with Topology locality",
        "Pod Resources cannot be allocated with topology spread constraints",
    ),
    (
        "nvidia-runtime",
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.4: unknown",
    ),
    (
        "guest-out-of-resources",
        "Device Manager: This device cannot find enough free resources that it can use. (Code 12)",
        "usb 1-1: this hub cannot find enough free resources that it can use. (Code 12)",
    ),
    (
        "guest-driver-stopped",
        "GeForce RTX 3060: Windows has stopped this device because it has reported problems. (Code 43)",
        "Unknown USB Device (Device Descriptor Request Failed): Windows has stopped this device. (Code 43)",
    ),
    (
        "vf-driver-refused",
        "igbvf 0000:00:05.0: PF still resetting",
        "igb 0000:03:00.0: VF still resetting",
    ),
    (
        "guest-driver-failed",
        "[   12.4] NVRM: GPU 0000:06:00.0: RmInitAdapter failed! (0x24:0xffff:1211)",
        "[   12.4] NVRM: GPU 0000:06:00.0: RmInitAdapter succeeded (0x24:0xffff:1211)",
    ),
    (
        "qemu-ended",
        "error : qemuMonitorIORead:440 : Unable to read from monitor: Connection reset by peer",
        "error : virNetSocketReadWire:440 : Unable to read from socket: Connection reset by peer",
    ),
    (
        "sync-failed",
        SYNC.format(""),
        SYNC.format("LibvirtError(Code=9, Message='operation failed: domain vm already exists with uuid')"),
    ),
    (
        "attach-failed",
        "error: Failed to attach device from /tmp/nic.xml",
        "error: Failed to attach disk from /tmp/nic.xml",
    ),
    (
        "cause-not-said",
        "error: Failed to start domain 'win11'\nerror: An error occurred, but the cause is unknown",
        "error: Failed to start domain 'win11'\nerror: An error occurred, and the cause is unknown",
    ),
    (
        "sandbox-failed",
        '[default/p:net1]: error adding container to network "sriov-net1"',
        '[default/p:cbr0]: error adding container to network "cbr0"',
    ),
    (
        "variable-of-vgpu",
        '{"level":"warning","msg":"MDEV_PCI_RESOURCE_NVIDIA_COM_A10 not set for resource nvidia.com/A10"}',
        '{"level":"warning","msg":"LIMIT_NVIDIA_COM_A10 not set for resource nvidia.com/A10"}',
    ),
    (
        "ordinary-line",
        "vfio-pci 0000:01:00.0: not ready 1023ms after FLR; waiting",
        "vfio-pci 0000:01:00.0: not ready 65535ms after FLR; giving up",
    ),
    (
        "libvirt-starting",
        LAUNCHER.format("Failed to connect socket to '/var/run/libvirt/virtqemud-sock': No such file or directory"),
        "error: Failed to connect socket to '/var/run/libvirt/virtqemud-sock': No such file or directory",
    ),
    (
        "launcher-ending",
        LAUNCHER.format("End of file while reading data: Input/output error"),
        "rsync: End of file while reading data: Input/output error",
    ),
)


@pytest.mark.parametrize(("code", "text", "near"), TABLE)
def test_a_message_leads_to_its_code_and_a_near_one_does_not(code: str, text: str, near: str) -> None:
    judge_row(Row(code, (text,), near), as_root=True)


@pytest.mark.parametrize("rule", RULES_OF_CLUSTER, ids=lambda rule: f"{rule.code}: {rule.words[0][:40]}")
def test_every_rule_has_two_wordings_and_a_message_with_a_near_one(rule: Rule) -> None:
    assert len(set(map(make_wording, rule.words))) > 1
    assert any(code == rule.code and wordings_in(text, rule) for code, text, _ in TABLE), rule
