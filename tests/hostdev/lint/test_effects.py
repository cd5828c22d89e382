"""What KubeVirt accepts and would not work, each with a VM that has nothing of it."""

from __future__ import annotations

import pytest

from tests.hostdev.lint.run import codes, results, run, vm

GPU = "nvidia.com/TU104GL_Tesla_T4"
KUBEVIRT = """
apiVersion: kubevirt.io/v1
kind: KubeVirt
metadata: {name: kubevirt, namespace: kubevirt}
spec:
  configuration:
    developerConfiguration: {featureGates: [HostDevices, Sidecar]}
    network: {binding: {managed: {}}}
    permittedHostDevices: {pciHostDevices: [{pciVendorSelector: "10DE:1EB8", resourceName: nvidia.com/gpu}]}
"""
NAD = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: fast, namespace: lab, annotations: {k8s.v1.cni.cncf.io/resourceName: intel.com/vf}}
spec: {config: '{"type": "sriov"}'}
"""
SRIOV = "{interfaces: [{name: fast, sriov: {}}]}"
NETWORK = "networks: [{name: fast, multus: {networkName: fast}}]"


def gpus(*names: str, resource: str = GPU) -> str:
    return "[" + ", ".join(f"{{name: {name}, deviceName: {resource}}}" for name in names) + "]"


def told(spec: str = "", **how: str) -> list[str]:
    return [one.split(" ")[1] for one in codes(vm(spec, **how))]


def with_resources(devices: str, limits: str = "", requests: str = "") -> str:
    text = vm(devices=devices).splitlines()
    return "\n".join([*text, f"        resources: {{limits: {{{limits}}}, requests: {{{requests}}}}}"])


def test_a_device_asked_for_twice() -> None:
    text = with_resources(f"{{gpus: {gpus('g')}}}", f'{GPU}: "1"')
    (result,) = results(text)

    assert (result.finding.code, result.finding.severity) == ("resource-asked-twice", "warning")
    assert "2 are allocated, 1 used" in result.finding.message


def test_a_resource_that_passgate_puts_in_is_not_asked_for_twice() -> None:
    text = with_resources(f"{{gpus: {gpus('g')}}}", f'{GPU}: "1"').replace(
        "annotations: {}", f'annotations: {{passgate.dev/devices: \'[{{"resource": "{GPU}"}}]\'}}'
    )

    assert "warning resource-asked-twice" not in codes(text)


@pytest.mark.parametrize(("beside", "words"), [([NAD], "asks for already"), ([], "if it is the resource")])
def test_an_sriov_network_asks_for_its_resource_itself(beside: list[str], words: str) -> None:
    text = with_resources(SRIOV, "intel.com/vf: 1").replace("      domain:", f"      {NETWORK}\n      domain:")
    (finding,) = [one.finding for one in results(text, *beside) if one.finding.code == "resource-asked-twice"]

    assert words in finding.message


def test_the_hint_for_a_request_never_allocates_more() -> None:
    text = with_resources(f"{{gpus: {gpus('g')}}}", requests=f"{GPU}: 4")
    (finding,) = [one.finding for one in results(text) if one.finding.code == "resource-limits-differ"]

    assert "the request is 5, the limit 1" in finding.message
    assert finding.hint == "take it out of requests: the devices of the spec ask for themselves"


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ("nvidia.com/gpu", ["resource-without-address"]),
        ("nvidia.com/mig-1g.5gb", ["resource-without-address"]),
        ("gpu.intel.com/i915", ["resource-without-address"]),
        ("qat.intel.com/generic", ["resource-without-address"]),
        (GPU, []),
        ("intel.com/qat", []),
    ],
)
@pytest.mark.parametrize("where", ["gpus", "hostDevices"])
def test_plugins_that_tell_kubevirt_no_address(resource: str, told: list[str], where: str) -> None:
    text = vm(devices=f"{{{where}: {gpus('g', resource=resource)}}}")

    assert [one.finding.code for one in results(text, gates="all")] == told


def test_a_resource_that_kubevirt_hands_out_itself_has_an_address() -> None:
    assert codes(vm(devices=f"{{gpus: {gpus('g', resource='nvidia.com/gpu')}}}"), KUBEVIRT) == []


@pytest.mark.parametrize("name", ["0000:3d:02.2", "gpu", "nvidia.com/", "a b/c"])
def test_a_device_name_that_is_no_resource(name: str) -> None:
    assert told(devices=f"{{gpus: [{{name: g, deviceName: '{name}'}}]}}") == ["device-name-unusable"]


def test_two_devices_of_one_name() -> None:
    assert told(devices=f"{{gpus: {gpus('g', 'g')}}}") == ["device-name-twice"]
    assert told(devices=f"{{gpus: {gpus('g', 'h')}}}") == []


def test_what_the_kubevirt_object_does_not_permit() -> None:
    text = vm(devices=f"{{gpus: {gpus('g')}, interfaces: [{{name: n1, binding: {{name: other}}}}]}}").replace(
        "      domain:", "      networks: [{name: n1, pod: {}}]\n      domain:"
    )

    assert sorted(codes(text, KUBEVIRT)) == ["warning binding-not-registered", "warning resource-not-permitted"]
    assert codes(text) == []


@pytest.mark.parametrize("configuration", ["{}", "{machineType: q35}", "{network: 1, developerConfiguration: x}"])
def test_a_kubevirt_object_that_does_not_speak_of_it(configuration: str) -> None:
    devices = f"{{gpus: {gpus('g')}, hostDevices: [{{name: h, deviceName: intel.com/qat_vf}}]}}"
    silent = f"kind: KubeVirt\nmetadata: {{name: k}}\nspec: {{configuration: {configuration}}}\n"

    assert sorted(set(codes(vm(devices=devices), silent))) == ["info gate-closed", "info resource-not-permitted"]


def test_a_kubevirt_object_of_wrong_types() -> None:
    odd = KUBEVIRT.replace("{pciHostDevices: [{", "[{").replace("nvidia.com/gpu}]}", "nvidia.com/gpu}]")

    assert codes(vm(devices=f"{{gpus: {gpus('g')}}}"), odd) == ["warning resource-not-permitted"]


def test_of_several_kubevirt_objects_none_counts() -> None:
    assert codes(vm(devices=f"{{gpus: {gpus('g')}}}"), KUBEVIRT, KUBEVIRT) == []


def test_sriov_on_the_pod_network() -> None:
    assert told("networks: [{name: fast, pod: {}}]", devices=SRIOV) == ["sriov-without-multus"]


def test_networks_written_by_hand() -> None:
    by_hand = "{k8s.v1.cni.cncf.io/networks: other}"

    assert "networks-by-hand" in told(NETWORK, devices=SRIOV, annotations=by_hand)
    assert told(annotations=by_hand) == []


@pytest.mark.parametrize(
    ("strategy", "expected"), [("LiveMigrate", ["eviction-blocks-drain"]), ("LiveMigrateIfPossible", []), ("None", [])]
)
def test_a_drain_that_waits_for_ever(strategy: str, expected: list[str]) -> None:
    assert told(f'evictionStrategy: "{strategy}"', devices=f"{{gpus: {gpus('g')}}}") == expected
    assert told(f'evictionStrategy: "{strategy}"') == []


def test_memory_that_is_promised_twice_and_pinned() -> None:
    text = with_resources(f"{{gpus: {gpus('g')}}}", requests="memory: 512Mi")
    plain = with_resources("{}", requests="memory: 512Mi")

    assert codes(text) == ["warning vfio-overcommit"]
    assert codes(text.replace("requests:", "overcommitGuestOverhead: true, requests:")) == 2 * [
        "warning vfio-overcommit"
    ]
    assert codes(plain) == []


@pytest.mark.parametrize("memory", ["0", "512m", '"-1Gi"', "1000"])
def test_next_to_no_memory(memory: str) -> None:
    assert "warning memory-tiny" in codes(vm(memory=memory))


def test_eight_gpus() -> None:
    eight = ", ".join(f"{{name: g{n}, deviceName: nvidia.com/H100}}" for n in range(8))
    switches = ", ".join(f"{{name: s{n}, deviceName: nvidia.com/GH100_NVSWITCH}}" for n in range(4))

    assert codes(vm(devices=f"{{gpus: [{eight}]}}")) == ["info gpu-topology"] * 2
    board = vm(devices=f"{{hostDevices: [{eight}, {switches}]}}")
    assert codes(board, gates="all") == ["info gpu-topology"]
    assert codes(vm(devices=f"{{gpus: {gpus('a', 'b')}}}")) == []


@pytest.mark.parametrize(
    ("address", "severity"), [("0000:09:00.0", "warning"), ("0000:0d:00.0", "info"), ("0000:10:00.0", "")]
)
def test_guest_addresses_where_kubevirts_own_devices_go(address: str, severity: str) -> None:
    wish = f'[{{"device": "g", "guestAddress": "{address}"}}]'
    text = vm(devices=f"{{gpus: {gpus('g')}}}", annotations=f"{{passgate.dev/devices: '{wish}'}}")

    found = [one.finding for one in results(text) if one.finding.code == "guest-address-crowded"]
    assert [str(finding.severity) for finding in found] == [severity] * bool(severity)


def test_one_address_for_two_devices_of_the_spec() -> None:
    two = ", ".join(f"{{name: {name}, bridge: {{}}, pciAddress: '0000:11:00.0'}}" for name in "ab")
    networks = "networks: [{name: a, multus: {networkName: n1}}, {name: b, multus: {networkName: n2}}]"

    assert told(networks, devices=f"{{interfaces: [{two}]}}") == ["guest-address-taken"]


def test_running_is_deprecated() -> None:
    (result,) = results(vm().replace("runStrategy: Always", "running: false"))

    assert (result.finding.code, result.finding.hint) == ("deprecated-field", "write runStrategy: Halted")


def test_an_instance_type_among_the_files_brings_what_it_has() -> None:
    kind = """
    apiVersion: instancetype.kubevirt.io/v1beta1
    kind: VirtualMachineInstancetype
    metadata: {name: big, namespace: lab}
    spec: {cpu: {guest: 4, dedicatedCPUPlacement: true}, memory: {guest: 8Gi, hugepages: {pageSize: 1Gi}}}
    """
    text = vm(top="instancetype: {name: big, kind: VirtualMachineInstancetype}").replace(
        "memory: {guest: 1Gi}", "cpu: {numa: {guestMappingPassthrough: {}}}"
    )

    assert codes(text, kind) == []
    assert codes(text) == []
    assert codes(text.replace("cpu:", "memory: {guest: 1Gi}\n        cpu:"), kind) == ["error vm-refused"]
    assert codes(text, kind.replace("dedicatedCPUPlacement: true", "model: host-model")) == ["error compute-refused"]
    assert codes(text, kind.replace("namespace: lab", "namespace: other")) == []


def test_a_preference_that_nobody_has_here_may_bring_smm() -> None:
    text = vm(top="preference: {name: windows}").replace(
        "        memory:", "        firmware: {bootloader: {efi: {}}}\n        memory:"
    )
    preference = """
    apiVersion: instancetype.kubevirt.io/v1beta1
    kind: VirtualMachineClusterPreference
    metadata: {name: windows}
    spec: {features: {preferredSmm: {}}}
    """

    assert codes(text) == []
    assert codes(text, preference) == []
    assert codes(text, preference.replace("{preferredSmm: {}}", "{}")) == ["error firmware-refused"]


def test_a_preset_brings_what_the_vmi_does_not_say() -> None:
    preset = """
    apiVersion: kubevirt.io/v1
    kind: VirtualMachineInstancePreset
    metadata: {name: small}
    spec:
      selector: {matchExpressions: [{key: os, operator: In, values: [win10]}]}
      domain: {memory: {guest: 2Gi}, devices: {rng: {}}}
    """
    vmi = """
    apiVersion: kubevirt.io/v1
    kind: VirtualMachineInstance
    metadata: {name: a, labels: {os: win10}}
    spec: {domain: {devices: {}}}
    """

    assert codes(vmi) == ["error compute-refused"]
    assert codes(vmi, preset) == []
    assert codes(vmi.replace("win10", "linux"), preset) == ["error compute-refused"]


def test_the_same_is_told_once() -> None:
    text = vm(devices="{gpus: [{name: g, claimName: c, requestName: r}]}")
    told = run(text, text)

    assert len(told.results) == len(set(told.results))
    assert [one.finding.code for one in told.results].count("dra-claim-missing") == 2
