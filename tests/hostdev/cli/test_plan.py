"""`passgate plan`, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from domxml.document import Domain
from tests.hostdev.cli.running import Ran
from tests.hostdev.cli.validator import errors, schema
from tests.house import ROOT

Cli = Callable[..., Ran]
QAT = str(ROOT / "deploy/examples/qat/vm.yaml")
SCENARIOS = ROOT / "tests/fixtures/scenarios"

BARE = """apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: bare, namespace: shop}
spec:
  instancetype: {name: two}
  preference: {name: old}
  template:
    spec:
      domain: {devices: {}}
      volumes:
        - {name: root, containerDisk: {image: registry.example/root}}
"""
BESIDE = """
---
apiVersion: instancetype.kubevirt.io/v1beta1
kind: VirtualMachineClusterInstancetype
metadata: {name: two}
spec: {cpu: {guest: 2}, memory: {guest: 1Gi}, gpus: [{name: g, deviceName: example.org/gpu}]}
---
apiVersion: instancetype.kubevirt.io/v1beta1
kind: VirtualMachineClusterPreference
metadata: {name: old}
spec: {devices: {preferredDiskBus: virtio, preferredRng: {}, preferredInterfaceModel: e1000}}
---
apiVersion: kubevirt.io/v1
kind: KubeVirt
metadata: {name: kubevirt, namespace: kubevirt}
spec: {configuration: {machineType: pc-q35-9.2, developerConfiguration: {featureGates: [Sidecar]}}}
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    file = tmp_path / "vm.yaml"
    file.write_text(BARE)
    return file


def plan_of(cli: Cli, *words: str) -> dict[str, object]:
    found = json.loads(cli("plan", *words, "-o", "json").out)
    assert list(errors(found, schema(f"{found['kind'].lower()}.json"))) == []
    return dict(found)


def places(plan: dict[str, object]) -> dict[str, str | None]:
    items = plan["items"]
    assert isinstance(items, list)
    return {f"{item['element']} {item['alias'] or item['model']}": item["guest"] for item in items}


def test_a_vm_as_a_table(cli: Cli, golden: Callable[[str, str], None]) -> None:
    done = cli("plan", QAT)

    assert done.code == 0
    golden("plan-qat.txt", done.out)


def test_what_is_ours_and_what_is_assumed(cli: Cli) -> None:
    items = plan_of(cli, QAT)["items"]
    assert isinstance(items, list)
    (ours,) = (item for item in items if item["ours"])

    assert ours["assumed"]
    assert ours["source"] is None

    items = plan_of(cli, QAT, "--env", "QAT0=0000:3d:02.2")["items"]
    assert isinstance(items, list)
    (told,) = (item for item in items if item["ours"])
    assert (told["source"], told["assumed"], told["guest"]) == ("0000:3d:02.2", False, ours["guest"])


def test_what_the_files_do_not_tell_is_unknown(cli: Cli, bare: Path) -> None:
    unknown = plan_of(cli, str(bare))["unknown"]
    assert isinstance(unknown, list)

    for word in ("architecture", "machine", "instance type", "preference"):
        assert any(word in line for line in unknown), word


def test_what_stands_beside_the_vm_is_read(cli: Cli, bare: Path) -> None:
    bare.write_text(BARE + BESIDE)
    found = plan_of(cli, str(bare))
    where = places(found)

    assert where["hostdev ua-gpu-g"]
    assert where["rng virtio-non-transitional"]
    assert where["disk ua-root"] is not None  # virtio, by the preference
    assert [line for line in found["unknown"] if "machine" in line or "type is not" in line] == []  # type: ignore[attr-defined]
    xml = cli("plan", str(bare), "-o", "xml").out
    kind = Domain.parse(xml.encode()).os_type
    assert kind is not None
    assert kind.get("machine") == "pc-q35-9.2"
    models = Domain.parse(xml.encode()).devices.findall("interface/model")
    assert [model.get("type") for model in models] == ["e1000"]


def test_sata_disks_have_no_place_of_their_own_and_a_path(cli: Cli, bare: Path) -> None:
    items = plan_of(cli, str(bare))["items"]
    assert isinstance(items, list)
    (disk,) = (item for item in items if item["element"] == "disk")

    assert (disk["guest"], disk["name"]) == (None, "/dev/disk/by-path/pci-0000:00:1f.2-ata-1")


def test_nothing_moves_from_one_release_to_the_same(cli: Cli) -> None:
    done = cli("plan", QAT, "--kubevirt", "1.8", "--against", "1.8.4")

    assert done.code == 0
    assert "nothing in the guest is different" in done.out


def test_an_edit_moves_what_stands_behind_it(cli: Cli, tmp_path: Path) -> None:
    edited = tmp_path / "new.yaml"
    text = (SCENARIOS / "qat-q35/vm.yaml").read_text()
    edited.write_text(text.replace("          rng: {}\n", "          watchdog: {name: dog, i6300esb: {}}\n"))
    assert edited.read_text() != text

    done = cli("plan", str(SCENARIOS / "qat-q35/vm.yaml"), "--against", str(edited))

    assert "rng" in done.out
    assert "watchdog" in done.out
    again = cli("plan", str(SCENARIOS / "qat-q35/vm.yaml"), "--against", str(edited), "-o", "json")
    assert json.loads(again.out)["moves"]


def test_another_machine_type_moves_nics(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "vm.yaml"
    file.write_text(BARE.replace("  instancetype: {name: two}\n  preference: {name: old}\n", ""))
    done = cli("plan", str(file), "--against", "pc", "-o", "json", "--kubevirt", "1.8")

    moves = json.loads(done.out)["moves"]
    (nic,) = (move for move in moves if move["label"] == "interface ua-default")
    assert done.code == 1
    assert nic["was"]["name"].startswith("enp")
    assert nic["now"]["name"].startswith("ens")


def test_several_vms_are_a_table(cli: Cli) -> None:
    done = cli("plan", str(SCENARIOS / "qat-q35/vm.yaml"), str(SCENARIOS / "harvester-t4/vm.yaml"))

    assert done.code == 0
    assert len(done.out.splitlines()) == 3
    found = plan_of(cli, str(SCENARIOS / "qat-q35/vm.yaml"), str(SCENARIOS / "harvester-t4/vm.yaml"))
    assert found["kind"] == "VmPlanList"


def test_one_that_cannot_be_is_told_beside_the_others(cli: Cli, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text((SCENARIOS / "qat-q35/vm.yaml").read_text().replace("0000:10:00.0", "0000:00:00.0"))

    done = cli("plan", str(broken), str(SCENARIOS / "harvester-t4/vm.yaml"))
    assert done.code == 5
    assert "guest-address-impossible" in done.out

    alone = cli("plan", str(broken))
    assert (alone.code, alone.out) == (5, "")
    assert "guest-address-impossible" in alone.err


def test_the_domain_and_the_picture(cli: Cli) -> None:
    xml = cli("plan", QAT, "-o", "xml").out
    Domain.parse(xml.encode())

    picture = cli("plan", QAT, "-o", "svg").out
    assert etree.fromstring(picture.encode()).tag == "{http://www.w3.org/2000/svg}svg"
    assert (ROOT / "docs/plan/qat.svg").read_text() == picture


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--kubevirt", "0.3"), 2, "no release that is known"),
        (("--kubevirt", "any"), 2, "a plan is for one release"),
        (("--against", "nonsense"), 2, "nothing to compare with"),
        (("--env", "QAT0"), 2, "is not NAME=VALUE"),
    ],
)
def test_wrong_usage(cli: Cli, words: tuple[str, ...], code: int, told: str) -> None:
    done = cli("plan", QAT, *words)

    assert done.code == code
    assert told in done.err


def test_a_file_without_a_vm(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")

    done = cli("plan", str(file))

    assert done.code == 2
    assert "no file holds a VM" in done.err


def test_a_host_is_checked(cli: Cli) -> None:
    machine = str(ROOT / "tests/fixtures/machines/qat.toml")
    done = cli("plan", QAT, "--env", "QAT0=0000:3d:00.0", "--host", machine)

    assert done.code == 5
    assert "0000:3d:00.0" in done.err
