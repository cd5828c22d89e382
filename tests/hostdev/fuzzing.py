"""What the host's floor does with documents from outside: VMs, allocation files, kubelet's record, recordings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from domxml.document import Domain
from hostdev.allocation.env_file import from_env_file
from hostdev.allocation.network_info import from_network_info
from hostdev.inject.plan import plan
from hostdev.inject.vmplan import account_inputs, resources, vm_inputs
from hostdev.inventory.recorded import toml
from hostdev.kubelet.checkpoint import parse
from hostdev.kubevirt.channels import Asked
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.vmplan import plan_vm
from hostdev.lint.admission.releases import Cluster
from hostdev.lint.files import File
from hostdev.lint.lint import lint
from hostdev.lint.repository import gather as gather_objects
from hostdev.lint.repository import lint_objects, report
from hostdev.vmi.annotations import bonds
from hostdev.vmi.file import find_vm, parse_manifest
from hostdev.vmi.vmi import parse_vmi
from tests.domxml.domains import FOLDER, load
from tests.hostdev.machines.fixtures import NAMES, fixture
from tests.house import ROOT

NEWEST = release_of("1.9")
DEPLOY = ROOT / "deploy"
SCENARIOS = ROOT / "tests" / "fixtures" / "scenarios"
KUBELET = ROOT / "tests" / "fixtures" / "kubelet" / "1.36.2.json"
WISHES = (
    '[{"resource": "qat.intel.com/generic", "name": "qat", "guestAddress": "0000:10:00.0"}]',
    '[{"device": "sriov0", "acpiIndex": 7}, {"address": "0000:3d:02.2", "rom": {"bar": "off"}}]',
)
ENV = (
    b"QAT0=0000:3d:02.2\nQAT1=0000:3d:02.3\n",
    b"#passgate-resource:QAT0=qat.intel.com/sym\nQAT0=0000:3d:02.2\n#passgate-grant:qat.intel.com/sym=1\n",
    b'PCIDEVICE_INTEL_COM_SRIOV=0000:3d:02.2\nPCIDEVICE_INTEL_COM_SRIOV_INFO={"0000:3d:02.2": {}}\n',
    b"PCI_RESOURCE_NVIDIA_COM_T4=0000:65:00.0\0MDEV_PCI_RESOURCE_X=83b8f4f2-509f-4c95-b1e5-6f2f8a6a5a4e\0PATH=/bin\0",
)
RESOURCES = {"qat.intel.com/generic": 2, "qat.intel.com/sym": 1, "intel.com/sriov": 1, "nvidia.com/T4": None}
NETWORK_INFO = (
    (
        b'{"interfaces": [{"network": "net1", "mac": "02:00:00:00:00:09", "deviceInfo": {"type": "pci", '
        b'"version": "1.1.0", "pci": {"pci-address": "0000:3d:02.2"}}}]}'
    ),
)


def vmis() -> Sequence[bytes]:
    """VMIs, with our annotations and without."""
    plain = [path.read_bytes() for path in sorted(FOLDER.glob("*.vmi.json"))]
    made = []
    for data, wish in zip(plain, WISHES * len(plain), strict=False):
        vmi = json.loads(data)
        vmi.setdefault("metadata", {})["annotations"] = {"passgate.dev/devices": wish, "passgate.dev/policy": "{}"}
        made.append(json.dumps(vmi, indent=1).encode())
    return [*plain, *made]


def read_vmi(data: bytes) -> None:
    """Read it, and plan for it as a hook does, with two devices given."""
    vmi = parse_vmi(data)
    bonds(vmi)
    gathered = from_env_file(ENV[0], resources(vmi))
    plan(Domain.parse(load("q35-minimal")), account_inputs(vm_inputs(vmi, (), gathered), gathered), None)


def env_files() -> Sequence[bytes]:
    """Allocation files of every kind."""
    return [*ENV, *(path.read_bytes() for path in sorted(SCENARIOS.glob("*/compute.env")))]


def read_env_file(data: bytes) -> None:
    """Gather what it says."""
    from_env_file(data, RESOURCES)


def checkpoints() -> Sequence[bytes]:
    """Kubelet's own, as a real one wrote them."""
    moments = json.loads(KUBELET.read_text())["moments"].values()
    return [json.dumps(moment["checkpoint"], indent=1).encode() for moment in moments if moment.get("checkpoint")]


def read_checkpoint(data: bytes) -> None:
    """Parse it."""
    parse(data)


def manifests() -> Sequence[bytes]:
    """VMs as their authors write them."""
    return [path.read_bytes() for path in sorted(SCENARIOS.glob("*/vm.yaml"))]


def read_manifest(data: bytes) -> None:
    """Read and lint it."""
    lint(parse_manifest(data))


def repositories() -> Sequence[bytes]:
    """Files with VMs and with what stands beside them."""
    return [*manifests(), *(path.read_bytes() for path in sorted(DEPLOY.rglob("*.yaml")))]


def lint_repository(data: bytes) -> None:
    """Lint everything in it, for every release."""
    gathered = gather_objects([File("a.yaml", data)])
    report(gathered, lint_objects(gathered.objects, Cluster()), ())


def plan_manifest(data: bytes) -> None:
    """Plan its VM, for the newest release."""
    plan_vm(find_vm(data).fields, Asked(NEWEST))


def recordings() -> Sequence[bytes]:
    """Recorded machines, the small ones."""
    texts = [fixture(name).read_bytes() for name in NAMES]
    return [text for text in texts if len(text) < 60_000]


def read_recording(data: bytes) -> None:
    """Parse it, and refuse what would lead out of its directory."""
    toml.parse(data.decode(errors="replace"))


def network_infos() -> Sequence[bytes]:
    """What KubeVirt's downward API writes."""
    return [*NETWORK_INFO, *(path.read_bytes() for path in sorted(SCENARIOS.glob("*/network-info")))]


def read_network_info(data: bytes) -> None:
    """Gather what it says."""
    from_network_info(data)
