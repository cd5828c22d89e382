"""What was prepared of resource claims, on its way to the sidecar: the record, the file, and what becomes of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hooksidecar.agent.hostwatch import Surroundings
from hooksidecar.agent.watch import Watch
from hooksidecar.nodewatch.record import Record, current_grants
from hostdev.allocation.env_file import from_env_file, parse_env_file
from hostdev.kubelet.claimrecords import ClaimRecord, as_document, records_directory
from hostdev.kubelet.podresources import CONFIRM
from hostdev.kubelet.resourcename import DRIVER
from tests.hooksidecar.agent.envfile import BOOT, variables
from tests.hooksidecar.agent.kubelet import FILE, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import NewNode
from tests.hostdev.kubelet.claims import record, unit

POD = uid(1)
CLAIM = record(pods=(("virt-launcher-vm-x7k2p", POD),), boot_id=BOOT)
VARIABLES = {"PCI_RESOURCE_EXAMPLE_COM_GPU": "0000:3d:00.0,0000:3d:00.1"}


def prepare(kubelet: Kubelet, claim: ClaimRecord = CLAIM) -> Path:
    """What the driver writes down."""
    directory = Path(records_directory(str(kubelet.directory), DRIVER))
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{claim.uid}.json"
    path.with_name(".new").write_text(json.dumps(as_document(claim)))
    path.with_name(".new").rename(path)
    return path


@pytest.fixture
def place(kubelet: Kubelet) -> Path:
    """Where the pod's file belongs; its checkpoint has nothing of it."""
    kubelet.save()
    kubelet.pod(POD)
    return kubelet.volume(POD, SIDECAR) / SIDECAR / FILE


def test_what_was_prepared_becomes_a_file_that_names_its_claim(kubelet: Kubelet, node: NewNode, place: Path) -> None:
    prepare(kubelet)

    swept = node().sweep(whole=True)

    assert (swept.dropped, swept.findings) == (1, ())
    file = parse_env_file(place.read_bytes())
    assert (file.variables, file.grants) == (VARIABLES, {"example.com/gpu": 1})
    assert file.claims == {"example.com/gpu": "default/dr0-gpu-f27z2"}
    assert b"#passgate-claim:example.com/gpu=default/dr0-gpu-f27z2 0000:3d-00.0-10de.1eb8\n" in place.read_bytes()
    gathered = from_env_file(place.read_bytes(), {"example.com/gpu": 1})
    assert gathered.looked_at == ("allocation file (2 devices; claim default/dr0-gpu-f27z2 of example.com/gpu)",)


def test_a_node_without_any_device_plugin_has_claims_too(kubelet: Kubelet, node: NewNode, place: Path) -> None:
    kubelet.checkpoint.unlink()
    state = node()
    prepare(kubelet)
    assert state.sweep(whole=True).dropped == 0

    (kubelet.checkpoint.parent / "kubelet.sock").touch()
    assert state.sweep(whole=True).dropped == 1
    assert variables(place) == VARIABLES


def test_a_plugin_s_devices_stand_beside_those_of_a_claim(kubelet: Kubelet, node: NewNode, place: Path) -> None:
    kubelet.allocate(POD, {"QAT0": "0000:3f:02.2"})
    kubelet.save()
    prepare(kubelet)

    node().sweep(whole=True)

    assert variables(place) == {**VARIABLES, "QAT0": "0000:3f:02.2"}
    assert parse_env_file(place.read_bytes()).grants == {"example.com/gpu": 1, "qat.intel.com/generic": 1}


def test_sources_that_give_one_resource_otherwise_are_told(kubelet: Kubelet, node: NewNode, place: Path) -> None:
    kubelet.allocate(POD, {"PCI_RESOURCE_EXAMPLE_COM_GPU": "0000:3e:00.0"}, resource="example.com/gpu")
    kubelet.save()
    prepare(kubelet)

    swept = node().sweep(whole=True)

    assert [finding.code for finding in swept.findings] == ["checkpoint-entry-unreadable"]
    assert "PCI_RESOURCE_EXAMPLE_COM_GPU" in swept.findings[0].message
    assert parse_env_file(place.read_bytes()).grants == {"example.com/gpu": 2}


def test_the_file_goes_with_the_claim(kubelet: Kubelet, node: NewNode, place: Path) -> None:
    path = prepare(kubelet)
    state = node()
    state.sweep(whole=True)
    path.unlink()

    assert (state.sweep(whole=True).removed, place.exists()) == (1, False)


def test_what_was_prepared_before_the_boot_is_handed_to_nothing(kubelet: Kubelet, node: NewNode, place: Path) -> None:
    prepare(kubelet, CLAIM._replace(boot_id="11111111-6e0c-4f8e-9d2c-6f9a3c1d7e11"))

    assert node(BOOT).sweep(whole=True).dropped == 0
    assert not place.exists()


def test_a_record_that_is_damaged_takes_nothing_away(kubelet: Kubelet, node: NewNode, place: Path) -> None:
    path = prepare(kubelet)
    state = node()
    state.sweep(whole=True)
    path.write_text("{")

    swept = state.sweep(whole=True)

    assert [finding.code for finding in swept.findings] == ["claim-record-unreadable"]
    assert (swept.removed, variables(place)) == (0, VARIABLES)


def test_the_plugin_s_offer_does_not_take_claims_for_its_own(kubelet: Kubelet) -> None:
    kubelet.save()
    prepare(kubelet)
    seen = Record(str(kubelet.directory), BOOT)

    assert seen.look()
    assert not seen.look()
    assert (seen.grants, [grant.claim for grant in seen.granted]) == ((), ["default/dr0-gpu-f27z2"])
    before = seen.granted
    seen.look()
    assert seen.granted is before


def test_a_node_hook_hears_of_claims(kubelet: Kubelet, place: Path) -> None:
    prepare(kubelet)

    (grant,) = current_grants(str(kubelet.directory), Record(str(kubelet.directory), BOOT))
    assert (grant.pod_uid, grant.is_for("compute"), place.exists()) == (POD, True, False)


def test_a_claim_wakes_the_agent(kubelet: Kubelet) -> None:
    path = prepare(kubelet)
    watch = Watch(str(kubelet.directory))
    watch.wait(0)
    prepare(kubelet, CLAIM._replace(uid="second", units=(unit(0x3E),)))

    assert watch.wait(60.0).checkpoint
    path.unlink()
    assert watch.wait(60.0).checkpoint
    assert watch.patience > 1


def test_the_claim_of_a_gone_pod_is_told_by_the_agent(kubelet: Kubelet) -> None:
    kubelet.save()
    prepare(kubelet)
    directory = str(kubelet.directory)
    around = Surroundings(lambda: None, directory, Record(directory, BOOT))

    told = [finding for finding in around.look_twice().findings if finding.code == "claim-of-gone-pod"]
    assert [finding.subject for finding in told] == ["claim default/dr0-gpu-f27z2"]
    assert CONFIRM
