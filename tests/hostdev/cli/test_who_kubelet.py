"""`passgate node who` and kubelet: its checkpoint, its PodResources API over a real socket, its pods."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import grpc
import pytest

from domxml.errors import ExitCode
from domxml.pciaddress import PciAddress
from hostdev.kubelet.claimrecords import as_document, records_directory
from hostdev.kubelet.resourcename import DRIVER
from tests.hooksidecar.agent.kubelet import Kubelet, answer
from tests.hooksidecar.agent.podresources import PodResources
from tests.hooksidecar.wirebytes import message
from tests.hostdev.cli.processes import ADDRESS, add_process
from tests.hostdev.cli.running import MACHINES, Ran, process
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.kubelet.claims import record, unit
from tests.hostdev.kubelet.recorded import ANSWERS
from tests.hostdev.layout import lay_out

A, B = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
RESOURCE = "intel.com/sriov_net"
VARIABLE = "PCIDEVICE_INTEL_COM_SRIOV_NET"
MACHINE = "tests/fixtures/machines/two-socket-x710.toml"
LIST = "/v1.PodResourcesLister/List"


@pytest.fixture
def root() -> Iterator[Path]:
    """A node on a short path: it holds a socket."""
    base = Path(tempfile.mkdtemp(prefix="wk-"))
    lay_out((MACHINES / "two-socket-x710.toml").read_text(), base / "h")
    add_process(base / "h", 1, "systemd")
    yield base / "h"
    shutil.rmtree(base)


@pytest.fixture
def kubelet(root: Path) -> Kubelet:
    """Its kubelet, with two pods."""
    made = Kubelet(root / "var/lib/kubelet")
    for uid, name in ((A, "virt-launcher-a"), (B, "virt-launcher-b")):
        made.pod(uid)
        (root / f"var/log/pods/default_{name}_{uid}").mkdir(parents=True)
    return made


def grant(kubelet: Kubelet, pod: str, resource: str = RESOURCE) -> None:
    kubelet.allocate(pod, {VARIABLE: ADDRESS}, ids=[ADDRESS], resource=resource)
    kubelet.save()


def qemu(root: Path, pid: int, pod: str) -> None:
    cgroup = f"0::/kubepods.slice/kubepods-pod{pod.replace('-', '_')}.slice/cri-containerd-1.scope"
    add_process(root, pid, "/usr/bin/qemu-kvm", "-name", "guest=default_vm", files=("/dev/vfio/10",), cgroup=cgroup)


@contextmanager
def podresources(kubelet: Kubelet, *pods: tuple[str, Sequence[str]]) -> Iterator[None]:
    """Kubelet's API: for each pod its name and the devices of RESOURCE, each listed by itself."""
    listed = b""
    for name, ids in pods:
        devices = b"".join(message(f2=message(f1=RESOURCE, f2=device)) for device in ids)
        container = message(f1="compute") + devices
        listed += message(f1=message(f1=name, f2="default", f3=container))
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: listed)

    class Lister(grpc.GenericRpcHandler):  # type: ignore[type-arg]
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            return handler if handler_call_details.method == LIST else None

    server = grpc.server(ThreadPoolExecutor(2), [Lister()])
    server.add_insecure_port(f"unix:{kubelet.directory / 'pod-resources/kubelet.sock'}")
    server.start()
    yield
    server.stop(None).wait()


def who(cli: Callable[..., Ran], root: Path, *words: str) -> Ran:
    return cli("node", "who", ADDRESS, "--host", str(root), *words)


def document(cli: Callable[..., Ran], root: Path, *words: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(who(cli, root, "-o", "json", *words).out)
    assert list(errors(told, schema("holders.json"))) == []
    return told


def test_free(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    kubelet.save()

    assert who(cli, root) == Ran(0, f"nobody holds {ADDRESS}\n", "")


def test_allocated(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    ran = who(cli, root)

    assert ran.code == 0
    assert ran.out.splitlines()[1].split() == [
        *("checkpoint", RESOURCE, "-", "-", "default/virt-launcher-a", "environment", VARIABLE),
    ]
    assert ran.out.splitlines()[2:] == [f"{ADDRESS} is allocated, and not seen open"]


def test_allocated_and_open(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    qemu(root, 7, A)
    with podresources(kubelet, ("virt-launcher-a", [ADDRESS, "0000:3b:02.2"]), ("virt-launcher-b", ["0000:3b:02.3"])):
        told = document(cli, root)
        wide = who(cli, root, "-o", "wide").out.splitlines()

    assert (told["state"], told["agree"], told["complete"], told["findings"]) == ("open", True, True, [])
    assert [(item["how"], item["pod"], item["name"], item["container"]) for item in told["items"]] == [  # type: ignore[attr-defined]
        ("open", A, "virt-launcher-a", None),
        ("checkpoint", A, "virt-launcher-a", "compute"),
        ("podresources", A, "virt-launcher-a", "compute"),
    ]
    assert wide[0].split()[-6:] == ["CONTAINER", "POD", "UID", "EXACT", "UNIT", "CLAIM"]
    assert wide[2].split()[-5:] == ["compute", A, "yes", "-", "-"]
    assert wide[-1] == f"{ADDRESS} is open, and the sources agree"


def test_prepared_for_a_claim(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    kubelet.save()
    held = unit(resource=RESOURCE)._replace(functions=(PciAddress.parse(ADDRESS),), unit="gone")
    claim = record(held, namespace="default", pods=(("virt-launcher-a", A),), boot_id="")
    path = Path(records_directory(str(kubelet.directory), DRIVER)) / f"{claim.uid}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(as_document(claim)))

    told = document(cli, root)
    (item,) = (one for one in told["items"] if one["how"] == "claim")  # type: ignore[attr-defined]
    assert (item["who"], item["name"], item["resourceClaim"]) == (RESOURCE, "virt-launcher-a", "default/dr0-gpu-f27z2")
    assert {"how": "claim", "why": "", "missing": False} in told["sources"]  # type: ignore[operator]
    path.write_text("{")
    assert "not all records of resource claims could be read" in who(cli, root).err


def test_allocated_to_one_and_opened_by_another(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    qemu(root, 7, B)
    ran = who(cli, root, "--fail-on", "error")

    assert ran.code == ExitCode.FINDINGS
    assert f"{ADDRESS} is open, and the sources disagree\n" in ran.out
    assert (
        "qemu-kvm (PID 7) in pod default/virt-launcher-b uses it, and kubelet granted it to pod "
        "default/virt-launcher-a [holders-disagree]"
    ) in ran.out
    assert who(cli, root).code == 0


def test_two_pods(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    grant(kubelet, B, resource="example.com/other")

    assert "[granted-twice]" in who(cli, root).out


def test_a_gone_pod(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    shutil.rmtree(kubelet.directory / "pods" / A)
    ran = who(cli, root, "--fail-on", "warning")

    assert ran.code == ExitCode.FINDINGS
    assert "is granted to pod default/virt-launcher-a, which is gone [grant-of-gone-pod]" in ran.out


def test_kubelet_contradicts_itself(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    with podresources(kubelet, ("virt-launcher-b", [ADDRESS])):
        assert "[kubelet-disagrees]" in who(cli, root).out


def test_a_pod_that_has_ended_is_a_state(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    """Kubelet keeps its grant until it gives something away."""
    grant(kubelet, A)
    with podresources(kubelet, ("virt-launcher-b", ["0000:3b:02.3"])):
        ran = who(cli, root, "--fail-on", "warning")

    assert ran.code == 0
    assert "is granted to pod default/virt-launcher-a, which has ended" in ran.out
    assert "kubelet-disagrees" not in ran.out


def test_a_vm_that_starts_meanwhile_is_no_quarrel(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    """Processes and kubelet are not asked at the same moment."""
    kubelet.save()
    qemu(root, 7, B)
    recorded = Timer(0.5, lambda: grant(kubelet, B))
    recorded.start()
    ran = who(cli, root, "--fail-on", "error")
    recorded.join()

    assert ran.code == 0
    assert ran.out.endswith(f"{ADDRESS} is open, and the sources agree\n")


def test_nobody_is_free_beside_resource_claims(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    """DRA's devices have names that their drivers make up."""
    kubelet.save()
    with PodResources(kubelet.directory) as api:
        api.answer = ANSWERS["dra"]
        ran = who(cli, root)

    assert (ran.code, ran.out) == (ExitCode.HOST_UNREADABLE, f"nobody that could be seen holds {ADDRESS}\n")
    assert "units.lab.dev/vm/unit-0000-3d-00-0" in ran.err


def test_a_group_number(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    """KubeVirt's own plugin names IOMMU groups; with no variable to go by the node tells."""
    kubelet.entries.clear()
    kubelet.allocate(A, {}, ids=["10"])
    kubelet.entries[0]["AllocResp"] = answer({}, ["/dev/vfio/vfio", "/dev/vfio/10"])
    kubelet.save()
    ran = who(cli, root)

    assert ran.out.splitlines()[1].split()[-1] == "/dev/vfio/10"


def test_a_copy_of_kubelets_directory_beside_a_recorded_machine(cli: Callable[..., Ran], kubelet: Kubelet) -> None:
    grant(kubelet, A)
    words = ("node", "who", ADDRESS, "--host", MACHINE, "--kubelet-dir", str(kubelet.directory))
    ran = cli(*words)

    assert ran.code == 0
    assert f"checkpoint   {RESOURCE}" in ran.out
    assert f"note: not all processes were seen: {MACHINE} has no processes to look at" in ran.err
    other = cli("node", "who", "3b:02.2", *words[3:])
    assert (other.code, other.out) == (ExitCode.HOST_UNREADABLE, "nobody that could be seen holds 0000:3b:02.2\n")


def test_no_such_directory(cli: Callable[..., Ran], root: Path) -> None:
    ran = who(cli, root, "--kubelet-dir", "/nowhere")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.startswith(
        "error: /nowhere: there is no such directory, or it may not be looked into [no-kubelet]\nhint: "
    )


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b'{"Data":{"PodDeviceEn', "note: kubelet's checkpoint could not be read: is not JSON: "),
        (b"", "could not be read: is empty"),
        (b"{}", "could not be read: has no PodDeviceEntries"),
    ],
)
def test_a_torn_checkpoint_is_no_proof(
    content: bytes, note: str, cli: Callable[..., Ran], root: Path, kubelet: Kubelet
) -> None:
    kubelet.replace(content)
    ran = who(cli, root)

    assert (ran.code, ran.out) == (ExitCode.HOST_UNREADABLE, f"nobody that could be seen holds {ADDRESS}\n")
    assert note in ran.err
    qemu(root, 7, A)
    assert who(cli, root).code == 0


def test_a_user_who_may_not_ask_kubelet(root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    (kubelet.directory / "device-plugins").chmod(0)
    (kubelet.directory / "pod-resources").chmod(0)
    ran = process("node", "who", ADDRESS, "--host", str(root), nobody=True)
    # pytest takes the directories away, and may not be root.
    (kubelet.directory / "device-plugins").chmod(0o755)
    (kubelet.directory / "pod-resources").chmod(0o755)

    assert (ran.code, ran.out) == (ExitCode.HOST_UNREADABLE, f"nobody that could be seen holds {ADDRESS}\n")
    assert "note: kubelet's checkpoint could not be read: Permission denied\n" in ran.err
    assert "note: kubelet's PodResources could not be asked: Permission denied\n" in ran.err


def test_an_entry_that_cannot_be_read(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    kubelet.entries[0]["AllocResp"] = "@@@"
    kubelet.save()
    ran = who(cli, root)

    assert (ran.code, ran.out) == (ExitCode.HOST_UNREADABLE, f"nobody that could be seen holds {ADDRESS}\n")
    assert "could not be read: 1 of its entries cannot be read" in ran.err


def test_a_socket_that_nobody_serves(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    grant(kubelet, A)
    with podresources(kubelet):
        pass
    socket = kubelet.directory / "pod-resources/kubelet.sock"
    socket.unlink(missing_ok=True)
    socket.write_text("")
    ran = who(cli, root)

    assert ran.code == 0
    assert "could not be asked: there is something that is no socket" in ran.err


@pytest.mark.parametrize("module", ["grpc", "google.protobuf"])
def test_without_a_module_the_other_sources_answer(module: str, root: Path, kubelet: Kubelet, tmp_path: Path) -> None:
    """A machine on which only the command line is installed."""
    source, package = {
        "grpc": ("PodResources could not be asked", "grpcio"),
        "google.protobuf": ("checkpoint could not be read", "protobuf"),
    }[module]
    grant(kubelet, A)
    qemu(root, 7, A)
    broken = tmp_path.joinpath(*module.split("."))
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('not installed')")
    line = f'PYTHONPATH={tmp_path}:$PYTHONPATH exec "$@"'
    with podresources(kubelet, ("virt-launcher-a", [ADDRESS])):
        ran = process("node", "who", ADDRESS, "--host", str(root), line=line)

    assert ran.code == 0
    assert f"note: kubelet's {source}: " in ran.err
    assert f"needs {package}: not installed: pip install 'passgate[agent]'" in ran.err
    assert "open" in ran.out
    assert ("checkpoint" in ran.out) is (module == "grpc")


def test_a_unit_by_its_id_alone(cli: Callable[..., Ran], root: Path, kubelet: Kubelet) -> None:
    """The variable is lost; the id is of the unit that `node units` shows."""
    (unit,) = json.loads(cli("node", "units", ADDRESS, "--host", str(root), "-o", "json").out)["items"]
    kubelet.allocate(A, {}, ids=[unit["id"]], resource="a.b/nic")
    kubelet.save()
    told = document(cli, root)

    assert [(item["who"], item["unit"]) for item in told["items"]] == [("a.b/nic", unit["id"])]  # type: ignore[attr-defined]
    assert unit["id"] in who(cli, root, "-o", "csv").out
    assert "UNIT" in who(cli, root, "-o", "wide").out
    assert f"unit {unit['id']}" in who(cli, root).out
