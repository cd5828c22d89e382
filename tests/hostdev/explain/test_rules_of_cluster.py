"""Rules of the cluster, the networks and the guest: a message of each, and a near one that it must not take."""

from __future__ import annotations

import pytest

from hostdev.findings import guestdriver, kubelet, networks, noise, virtualfunctions
from tests.hostdev.texts import match_codes

RULES = (*virtualfunctions.RULES, *networks.RULES, *kubelet.RULES, *guestdriver.RULES, *noise.RULES)

TABLE = (
    (
        "vfs-without-room",
        "[   41.220917] mlx5_core 0000:5e:00.1: mlx5_sriov_enable:168:(pid 4455): pci_enable_sriov failed : -12",
        "[   41.220917] mlx5_core 0000:5e:00.1: mlx5_sriov_enable:168:(pid 4455): pci_enable_sriov failed : -22",
    ),
    (
        "vfs-without-room",
        "# echo 8 > /sys/class/net/ens2f0/device/sriov_numvfs\n-bash: echo: write error: Cannot allocate memory",
        "# echo 4096 > /proc/sys/vm/nr_hugepages\n-bash: echo: write error: Cannot allocate memory",
    ),
    (
        "vfs-left-on",
        "kernel: i40e 0000:18:00.1: SR-IOV is already enabled",
        "kernel: i40e 0000:18:00.1: SR-IOV enabled with 8 VFs",
    ),
    (
        "too-many-vfs",
        'level=error msg="write /sys/bus/pci/devices/0000:af:00.0/sriov_numvfs: numerical result out of range"',
        "bash: printf: 99999999999: Numerical result out of range",
    ),
    (
        "vfs-refused",
        "ixgbe 0000:03:00.0: Failed to enable PCI sriov: -38",
        "ixgbe 0000:03:00.0: SR-IOV enabled with 4 VFs",
    ),
    (
        "switchdev-refused",
        "Oct 12 10:02:11 n1 kernel: mlx5_core 0000:08:00.0: mlx5_cmd: Failed setting eswitch to offloads",
        "mlx5_core 0000:08:00.0: E-Switch: Enable: mode(OFFLOADS), nvfs(4), active vports(5)",
    ),
    (
        "vf-unbind-race",
        "E0710 1 kernel.go:88] fail to bind driver for device 0000:5e:02.3: write error",
        "fail to bind socket for device plugin metrics: address already in use",
    ),
    (
        "nic-not-selected",
        (
            'admission webhook "operator-webhook.sriovnetwork.openshift.io" denied the request: '
            "vendor/device 8086/10fb is not supported by the operator"
        ),
        'admission webhook "vingress.elbv2.k8s.aws" denied the request: ingress class is not supported by the operator',
    ),
    (
        "sriov-node-not-made",
        '{"level":"error","logger":"daemon","msg":"cannot configure sriov interfaces","error":"exit status 1"}',
        '{"level":"info","logger":"daemon","msg":"sriov interfaces configured"}',
    ),
    (
        "sriov-node-not-made",
        "kind: SriovNetworkNodeState\nstatus:\n  syncStatus: Failed",
        "kind: Application\nmetadata: {name: guestbook}\nstatus:\n  syncStatus: Failed",
    ),
    (
        "sriov-node-not-made",
        "lastSyncError: 'timeout waiting for the interfaces of ens1f0'\nsyncStatus: InProgress",
        'lastSyncError: ""\nsyncStatus: Succeeded',
    ),
    (
        "network-without-device",
        'failed (add): SRIOV-CNI failed to load netconf: "LoadConf(): VF pci addr is required"',
        'failed (add): bridge failed to load netconf: "bridge name is required"',
    ),
    (
        "no-address-left",
        (
            'server error. command SyncVMI failed: "failed to create hostdevices: no PCI address found for resource '
            'intel.com/qat"'
        ),
        "no PCI address found for NVMe controller ID 3",
    ),
    (
        "vf-vlan-refused",
        'SRIOV-CNI failed to configure VF "failed to set vf 0 vlan: operation not supported"',
        "failed to set bridge vlan: operation not supported",
    ),
    (
        "vf-not-configured",
        "failed to load netconf: lstat /sys/bus/pci/devices/0000:18:02.3/physfn/net: no such file or directory",
        "lstat /sys/class/net/eth7: no such file or directory",
    ),
    (
        "cni-binary-missing",
        'networks "ib0": failed to find plugin "ib-sriov" in path [/var/lib/rancher/k3s/data/cni]',
        'networks "br0": failed to find plugin "bridge" in path [/opt/cni/bin]',
    ),
    (
        "device-pool-empty",
        "W0311 09:12:44.1 1 manager.go:156] no devices in device pool, skipping creating resource server for mlnx_vfio",
        "I0311 09:12:44.1 1 manager.go:150] Creating new ResourcePool: mlnx_vfio",
    ),
    (
        "multus-failed",
        (
            'plugin type="multus-shim" name="multus-cni-network" failed (add): CmdAdd (shim): CNI request failed with '
            "status 400: ''"
        ),
        (
            'CmdAdd (shim): CNI request failed with status 400: \'error adding container to network "ovn-kubernetes": '
            "failed to get pod annotation: timed out waiting'"
        ),
    ),
    (
        "dra-not-prepared",
        "NodePrepareResources failed for ResourceClaim vm-gpu: error preparing devices for claim 1b2c",
        "NodeUnprepareResources: failed to unprepare dynamic resources of claim vm-gpu",
    ),
    (
        "cdi-not-written",
        'plugin.go:91] "unable to create CDI spec file for claim" err="permission denied"',
        'plugin.go:91] "created CDI spec file for claim"',
    ),
    (
        "cdi-device-missing",
        "Error: setting up CDI devices: unresolvable CDI devices habana.ai/gaudi=0",
        "Error: unresolvable host name habana.ai",
    ),
    (
        "kubevirt-plugin-missing",
        "0/3 nodes are available: 3 Insufficient devices.kubevirt.io/kvm. preemption: 0/3 nodes are available",
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available",
    ),
    (
        "kubevirt-plugin-missing",
        (
            "Allocate failed due to requested number of devices unavailable for devices.kubevirt.io/kvm. Requested: 1, "
            "Available: 0, which is unexpected"
        ),
        (
            "Allocate failed due to requested number of devices unavailable for intel.com/vf. Requested: 1, Available: 0, "  # noqa: E501  as it is said
            "which is unexpected"
        ),
    ),
    (
        "resource-insufficient",
        "  Warning  FailedScheduling  3s  default-scheduler  0/5 nodes are available: 5 Insufficient nvidia.com/GA102GL.",  # noqa: E501  as it is said
        "  Warning  FailedScheduling  3s  default-scheduler  0/5 nodes are available: 5 Insufficient ephemeral-storage.",  # noqa: E501  as it is said
    ),
    (
        "allocate-failed",
        (
            "Pod was rejected: Allocate failed due to requested number of devices unavailable for intel.com/sriov. "
            "Requested: 1, Available: 0, which is unexpected"
        ),
        "Pod was rejected: Allocate failed due to not enough cpus available to satisfy request: requested=4, available=2",  # noqa: E501  as it is said
    ),
    (
        "plugin-not-registered",
        "dial unix /var/lib/kubelet/device-plugins/kubelet.sock: connect: connection refused",
        "dial unix /var/run/docker.sock: connect: connection refused",
    ),
    (
        "topology-refused",
        "Pod Resources cannot be allocated with Topology locality",
        "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints",
    ),
    (
        "nvidia-runtime",
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.4",
    ),
    (
        "bar-window-too-small",
        "[    3.91] nvidia 0000:0a:00.0: BAR 1: no space for [mem size 0x2000000000 64bit pref]",
        "[    3.91] nvidia 0000:0a:00.0: BAR 1: assigned [mem 0x382000000000-0x383fffffffff 64bit pref]",
    ),
    (
        "guest-out-of-resources",
        "Device Manager: This device cannot find enough free resources that it can use. (Code 12)",
        "nvidia-smi exited with error code 12",
    ),
    (
        "guest-driver-stopped",
        "GeForce RTX 3060 in the Windows VM: error code 43",
        "Unknown USB Device (Device Descriptor Request Failed): Windows has stopped this device. (Code 43)",
    ),
    (
        "vf-driver-refused",
        "ixgbevf 0000:00:05.0: PF still resetting",
        "ixgbe 0000:03:00.0 eth2: NIC Link is Up 10 Gbps",
    ),
    (
        "guest-driver-failed",
        "[   12.4] NVRM: GPU 0000:06:00.0: RmInitAdapter failed! (0x24:0xffff:1211)",
        "[   12.4] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.161.08",
    ),
    (
        "qemu-ended",
        "error : qemuMonitorIORead:440 : Unable to read from monitor: Connection reset by peer",
        "curl: (56) Recv failure: Connection reset by peer",
    ),
    (
        "sync-failed",
        'Warning  SyncFailed  virt-handler  server error. command SyncVMI failed: ""',
        (
            "server error. command SyncVMI failed: \"LibvirtError(Code=9, Message='operation failed: domain vm already "
            "exists with uuid')\""
        ),
    ),
    (
        "attach-failed",
        "error: Failed to attach device from /tmp/nic.xml",
        "error: Failed to attach disk",
    ),
    (
        "cause-not-said",
        "error: Failed to start domain 'win11'\nerror: An error occurred, but the cause is unknown",
        "error: Failed to start domain 'win11'\nerror: An error occurred, but the cause stands in the log",
    ),
    (
        "sandbox-failed",
        '[default/p:net1]: error adding container to network "sriov-net1"',
        '[default/p:cbr0]: error adding container to network "cbr0"',
    ),
    (
        "variable-of-vgpu",
        '{"level":"warning","msg":"MDEV_PCI_RESOURCE_NVIDIA_COM_A10 not set for resource nvidia.com/A10"}',
        '{"level":"warning","msg":"limit not set for resource cpu"}',
    ),
    (
        "ordinary-line",
        "vfio-pci 0000:01:00.0: not ready 1023ms after FLR; waiting",
        "vfio-pci 0000:01:00.0: not ready 65535ms after FLR; giving up",
    ),
    (
        "libvirt-starting",
        '{"component":"virt-launcher","level":"info","msg":"Connecting to libvirt daemon failed: dial failed"}',
        (
            "error: failed to connect to the hypervisor\n"
            "error: Failed to connect socket to '/var/run/libvirt/virtqemud-sock': No such file or directory"
        ),
    ),
)


@pytest.mark.parametrize(("code", "text", "near"), TABLE)
def test_a_message_leads_to_its_code_and_a_near_one_does_not(code: str, text: str, near: str) -> None:
    assert match_codes(text)[:1] == (code,)
    assert code not in match_codes(near)


def test_every_code_of_these_rules_has_a_row() -> None:
    assert {rule.code for rule in RULES} == {code for code, _, _ in TABLE}


def test_every_code_of_these_rules_has_two_wordings() -> None:
    assert [code for code, _, _ in TABLE if sum(len(rule.words) for rule in RULES if rule.code == code) < 2] == []
