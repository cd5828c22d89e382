"""Every kind of bad input on purpose: a sentence that names the file, and exit 2."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from hooksidecar.rehearsal.process import PLACE
from tests.boots import boot_of
from tests.domxml.domains import FOLDER
from tests.hooksidecar.rehearsal.rehearsing import document, files, rehearse
from tests.house import ROOT
from tests.otheruser import skip_unless_root

DOMAIN = (FOLDER / "q35-default.xml").read_bytes()
VMI = (FOLDER / "q35-default.vmi.json").read_bytes()
NOBODY = 65534
Make = Callable[[Path], object]

KINDS: dict[str, Make] = {
    "missing": lambda _: None,
    "a directory": Path.mkdir,
    "a FIFO": os.mkfifo,
    "empty": lambda path: path.write_bytes(b""),
    "white space": lambda path: path.write_bytes(b" \n"),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "NUL bytes": lambda path: path.write_bytes(bytes(100)),
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "huge": lambda path: path.write_bytes(b" " * (5 << 20)),
}
DOMAINS: dict[str, tuple[bytes, str]] = {
    "another root": (b"<network/>", "the document has root <network>, not <domain>"),
    "no devices": (b"<domain/>", "the domain has 0 <devices> elements, it must have one"),
    "cut off": (DOMAIN[:1000], "the domain XML cannot be parsed: "),
    "UTF-16": (DOMAIN.decode().encode("utf-16"), "the domain XML is not UTF-8 text"),
    "Latin-1": (DOMAIN.replace(b"KubeVirt", b"K\xfcbeVirt"), "the domain XML cannot be parsed: "),
    "a DOCTYPE": (b"<!DOCTYPE domain>" + DOMAIN, "the domain XML has a DOCTYPE"),
    "JSON": (VMI, "the domain XML cannot be parsed: "),
}
VMIS: dict[str, tuple[bytes, str]] = {
    "no metadata": (b'{"spec": {}}', "has no metadata.name, so it is no VirtualMachineInstance"),
    "metadata is text": (b'{"metadata": "x", "spec": {}}', "metadata: "),
    "a list": (b"[]", "must be "),
    "another kind": (b'{"kind": "Pod", "metadata": {"name": "x"}}', "holds none of VirtualMachineInstance"),
    "cut off": (VMI[:100], "the manifest: is not JSON: "),
    "Latin-1": (VMI.replace(b"q35-default", b"q35-\xfc"), "the manifest: is not "),
    "a number that is none": (VMI.replace(b'"cores":2', b'"cores":NaN'), "is NaN, which JSON does not know"),
    "a key twice": (b'{"metadata": {"name": "a", "name": "b"}, "spec": {}}', 'metadata: has the key "name" twice'),
    "XML": (DOMAIN, "is XML, perhaps that of a libvirt domain"),
}


@pytest.mark.parametrize("option", ["--domain", "--vmi"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_or_no_text_is_named(option: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    KINDS[kind](path)

    _refused(option, path, "")


@pytest.mark.parametrize("kind", ["missing", "a directory", "endless", "huge"])
def test_an_allocation_that_cannot_be_read_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    KINDS[kind](path)

    _refused("--env-file", path, "")


@pytest.mark.parametrize("name", DOMAINS)
def test_what_is_no_domain_is_told(name: str, tmp_path: Path) -> None:
    data, says = DOMAINS[name]
    path = tmp_path / "given"
    path.write_bytes(data)

    _refused("--domain", path, says)


@pytest.mark.parametrize("name", VMIS)
def test_what_is_no_vmi_is_told(name: str, tmp_path: Path) -> None:
    data, says = VMIS[name]
    path = tmp_path / "given"
    path.write_bytes(data)

    _refused("--vmi", path, says)


def test_a_vm_that_is_to_be_applied(tmp_path: Path) -> None:
    """What KubeVirt makes of it boots as the VMI of the cluster does."""
    vm = tmp_path / "vm.yaml"
    vmi = json.loads(VMI)
    template = {"metadata": {"annotations": vmi["metadata"].get("annotations", {})}, "spec": vmi["spec"]}
    metadata = {key: vmi["metadata"][key] for key in ("name", "namespace")}
    kind = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine"}
    vm.write_text(yaml.safe_dump({**kind, "metadata": metadata, "spec": {"template": template}}))
    domain, as_vmi = files("q35-default")[3], rehearse(*files("q35-default"))
    as_vm = rehearse("--domain", domain, "--vmi", str(vm))
    assert (as_vm.returncode, as_vm.stderr) == (as_vmi.returncode, as_vmi.stderr)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    domain, vmi = tmp_path / "domain.xml", tmp_path / "vmi.json"
    domain.write_bytes(b"\xef\xbb\xbf" + DOMAIN)
    vmi.write_bytes(VMI)

    assert rehearse("--domain", str(domain), "--vmi", str(vmi)).returncode == 0


def test_interfaces_that_the_vm_does_not_know_are_told(tmp_path: Path) -> None:
    """KubeVirt counts those of the spec, so a VMI and a domain that do not belong together rehearse another boot."""
    domain, vmi = tmp_path / "domain.xml", tmp_path / "vmi.json"
    domain.write_bytes(DOMAIN)
    document = json.loads(VMI)
    document["spec"]["domain"]["devices"]["interfaces"] = []
    vmi.write_text(json.dumps(document))
    said = rehearse("--domain", str(domain), "--vmi", str(vmi))

    assert f"warning: {domain} has interfaces that the VM does not know: 1 more than the spec of {vmi}" in said.stderr
    assert "warning" not in rehearse(*files("q35-default")).stderr


def test_a_number_of_slots_that_is_none_is_told_as_what_keeps_the_vm_from_starting(tmp_path: Path) -> None:
    vmi = tmp_path / "vmi.json"
    document = json.loads(VMI)
    document["metadata"].setdefault("annotations", {})["kubevirt.io/pci-interface-slot-count"] = "four"
    vmi.write_text(json.dumps(document))
    said = rehearse("--vmi", str(vmi), *files("q35-default")[2:], "--kubevirt", "1.9")

    assert said.returncode == 5
    assert "'four' is no number; virt-launcher does not start such a VM [slot-count-invalid]\n" in said.stderr
    assert rehearse("--vmi", str(vmi), *files("q35-default")[2:], "--kubevirt", "1.5").returncode == 0


@pytest.mark.parametrize(("name", "twice"), [("q35-minimal", True), ("q35-big-10kb", True), ("q35-default", False)])
def test_a_vm_that_some_releases_place_twice_is_told_where_no_release_is_named(name: str, *, twice: bool) -> None:
    """With no interface, or four of them, 1.6.4 to 1.9.0 define the first domain again, and devices may move."""
    note = "note: KubeVirt 1.9.0 and some before it place such a VM's devices twice; --kubevirt 1.9.0 plays it\n"

    assert (note in rehearse(*files(name)).stderr) == twice
    assert note not in rehearse(*files(name), "--kubevirt", "head").stderr


@pytest.mark.parametrize(
    ("asked", "played", "passes"),
    [("1.7.4", "1.7.4", 3), ("v1.7.1", "1.7.1", 2), ("1.7", "1.7.4", 3), ("1.5", "1.5.3", 2), ("main", "head", 3)],
)
def test_a_release_is_named_by_minor_or_point_release(asked: str, played: str, passes: int) -> None:
    found = document(rehearse("--kubevirt", asked, "-o", "json"))

    assert (found["kubevirt"], found["release"], len(found["passes"])) == (asked, played, passes)
    assert found["passed"]


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that another user may enter; pytest's own are private."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_no_permission_is_told(readable: Path) -> None:
    skip_unless_root()
    path = readable / "given"
    path.write_bytes(DOMAIN)
    path.chmod(0o600)

    said = rehearse("--domain", str(path), *files("q35-default")[:2], user=lambda: os.setuid(NOBODY))

    assert said.returncode == 2
    assert f"error: {path}: cannot read it: Permission denied [unreadable-file]" in said.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (files("q35-default")[2:], "error: --vmi is missing [bad-usage]"),
        (("--kubevirt", "2.0"), "error: --kubevirt: '2.0' is no release that is known [bad-usage]"),
        (("--kubevirt", "1.7.9"), "hint: 1.7.4 is the newest of its kind that is known"),
        (("--kubevirt", "v1.9.0-rc.1"), "hint: 1.9.0 is the newest of its kind that is known"),
        (("--kubevirt", ""), "error: --kubevirt needs a value: RELEASE [bad-usage]"),
        (("--vmi", "a", "--vmi", "b"), "error: --vmi is given twice: 'a' and 'b' [bad-usage]"),
        (("--connect", "nonsense:///"), "error: nonsense:///: cannot connect to libvirt: "),
        (("--connect", "qemu:///embed?root=/nowhere"), "error: qemu:///embed?root=/nowhere: cannot connect to "),
        (("--wait", "soon"), "--wait needs a number, not 'soon'"),
        (("--wait", "99"), "error: --wait needs a number of seconds from 0 to 15, not '99.0' [bad-usage]"),
        (("-o", "yaml"), "--output cannot be 'yaml'"),
        (("--server", "nowhere {}"), "error: nowhere: cannot be started: No such file or directory [bad-usage]"),
        (("--server", "/etc {}"), "error: /etc: cannot be started: Permission denied [bad-usage]"),
        (("--server", "true"), "error: true: --server does not say where {}, the directory of the socket, goes"),
        (("--server", "true '{}"), "error: true '{}: --server: No closing quotation [bad-usage]"),
        (("more",), "'more' is one argument too many"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_2(words: tuple[str, ...], says: str) -> None:
    said = rehearse(*words)

    assert said.returncode == 2
    assert says in said.stderr
    assert "Traceback" not in said.stderr


def _refused(option: str, path: Path, says: str) -> None:
    given = dict(zip(*[iter(files("q35-default"))] * 2, strict=True)) | {option: str(path)}
    said = rehearse(*(word for pair in given.items() for word in pair))

    assert said.returncode == 2, said.stderr
    assert said.stderr.startswith(f"error: {path}: ")
    assert says in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


def test_an_image_without_the_rehearsal_says_so(tmp_path: Path) -> None:
    """As the sidecar's own image is."""
    for package in ("hooksidecar", "hostdev"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("rehearsal", "__pycache__"))

    said = rehearse(PYTHONPATH=f"{tmp_path}:{ROOT / 'xml'}")

    assert said.returncode == 2
    assert said.stderr.startswith("error: a rehearsal needs hooksidecar.rehearsal [module-missing]\n")


def test_a_manifest_alone_is_rehearsed_as_kubevirt_would_boot_it(tmp_path: Path) -> None:
    allocation = tmp_path / "allocation.env"
    allocation.write_text("QAT0=0000:3d:02.2\n")
    vm = ROOT / "deploy/examples/qat/vm.yaml"

    told = document(rehearse("--vmi", str(vm), "--env-file", str(allocation), "--kubevirt", "1.8", "-o", "json"))

    assert [len(call["devices"]) for call in told["passes"]] == [1, 1, 1]
    assert told["passed"]


ANOTHER = ("--server", f"{sys.executable} -m hooksidecar.main --socket-dir {PLACE}")


@pytest.mark.parametrize(("more", "moves"), [((), False), (ANOTHER, True)], ids=["own", "another"])
def test_the_release_is_told_to_our_own_sidecar(tmp_path: Path, more: tuple[str, ...], *, moves: bool) -> None:
    """A sidecar that knows it leaves the second placement to KubeVirt; with one that does not, devices move."""
    boot = boot_of("nics4-e1000-watchdog", "1.7.4")
    (tmp_path / "vmi.json").write_bytes(boot.vm.vmi_json)
    (tmp_path / "domain.xml").write_bytes(boot.passes[0])
    (tmp_path / "file.env").write_bytes(boot.vm.allocation_env)
    files = ("--vmi", str(tmp_path / "vmi.json"), "--domain", str(tmp_path / "domain.xml"))
    ran = rehearse(*files, "--env-file", str(tmp_path / "file.env"), "--host", "none", "--kubevirt", "1.7.4", *more)

    assert ("base-device-moves" in ran.stdout) == moves, ran.stdout
