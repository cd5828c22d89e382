"""From a claim that the driver prepares to the sidecar's file and back: what each of the three readers is told."""

from __future__ import annotations

import json
from pathlib import Path

from hooksidecar.agent.pods import Node as Agent
from hooksidecar.nodewatch.record import Record
from hostdev.allocation.allocation import merge
from hostdev.allocation.dra import from_metadata
from hostdev.allocation.env_file import from_env_file, parse_env_file
from hostdev.holders.grants import Kubelet, claims_of_grants
from hostdev.holders.holders import find_holders
from hostdev.kubelet.claimrecords import read_records
from hostdev.kubelet.resourcename import DRIVER
from tests.hooksidecar.agent.kubelet import FILE, SIDECAR
from tests.hooksidecar.agent.kubelet import Kubelet as Directory
from tests.hooksidecar.claims.node import BOOT, FIRST, REF, SECOND, Node, claim
from tests.hostdev.offer.offers import CARD

POD = f"uid-of-{REF.name}"


def agent(node: Node) -> Agent:
    directory = str(node.kubelet_dir)
    return Agent(directory, Record(directory, BOOT), lambda _fd, _uid: True, writes=True)


def metadata(node: Node) -> dict[str, bytes]:
    """The files as the container has them: a directory for each request, below that of the claim."""
    found = {}
    for path, content in node.files().items():
        if path.endswith("/metadata.json"):
            request = Path(path).parent.name
            found[f"/claims/gpu/{request}/{DRIVER}-metadata.json"] = content
    return found


def test_the_sidecar_the_container_and_who_are_told_the_same(tmp_path: Path) -> None:
    node, kubelet = Node(tmp_path), Directory(tmp_path / "kubelet")
    kubelet.save()
    kubelet.pod(POD)
    place = kubelet.volume(POD, SIDECAR) / SIDECAR / FILE
    node.api.put(claim(FIRST))
    state = agent(node)
    assert state.sweep(whole=True).dropped == 0

    node.prepare()
    assert state.sweep(whole=True).dropped == 1

    told = parse_env_file(place.read_bytes())
    cdi = json.loads(next(content for path, content in node.files().items() if path.startswith("cdi/")))
    assert sorted(cdi["containerEdits"]["env"]) == sorted(f"{name}={value}" for name, value in told.variables.items())
    assert told.claims == {CARD: f"{REF.namespace}/{REF.name}"}
    by_variable = from_env_file(place.read_bytes(), {})
    by_file = from_metadata(metadata(node))
    assert by_file.findings == ()
    assert [one.device for one in by_file.allocations] == [by_variable.allocations[0].device]
    assert merge(by_variable, by_file).findings == ()

    records = read_records(str(node.kubelet_dir), DRIVER).records
    for address, function in node.machine.functions.items():
        held = [one.holder for one in claims_of_grants(function, node.machine, Kubelet(records=records))]
        assert bool(held) is (address in {one.device for one in by_variable.allocations}), address
        assert find_holders(function, node.machine, (), Kubelet(records=records), ()).findings == ()

    assert node.unprepare() is None
    assert state.sweep(whole=True).removed == 1
    assert not place.exists()


def test_what_is_prepared_for_another_pod_comes_to_no_sidecar(tmp_path: Path) -> None:
    node, kubelet = Node(tmp_path), Directory(tmp_path / "kubelet")
    kubelet.save()
    kubelet.pod("another")
    place = kubelet.volume("another", SIDECAR) / SIDECAR / FILE
    node.api.put(claim(SECOND))
    node.prepare()

    agent(node).sweep(whole=True)
    assert not place.exists()
