"""`passgate node state`: what it prints, writes and ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.hostdev.cli.running import Ran, host
from tests.hostdev.cli.validator import errors, schema

HEAD = "apiVersion: passgate.dev/v1\nkind: NodeState\nmetadata: {name: mine}\n"
DRIFTED = HEAD + "spec: {virtualFunctions: [{match: {address: 3f:00.0, id: 8086:37c8}, count: 16, driver: vfio-pci}]}\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """Write a file and say where it is."""

    def write(text: str) -> str:
        path = tmp_path / "node-state.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_what_is_exported_is_held(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    exported = cli("node", "state", "export", *host("qat"))

    told = cli("node", "state", "status", file(exported.out), *host("qat"))

    assert (exported.code, exported.err, told.code, told.err) == (0, "", 0, "")
    assert {line.split()[2] for line in told.out.splitlines()[1:]} == {"held"}


def test_json_and_yaml_export_the_same(cli: Callable[..., Ran]) -> None:
    words = ("node", "state", "export", *host("kunpeng"), "--name", "kunpeng-1")
    document = json.loads(cli(*words, "-o", "json").out)

    assert document == yaml.safe_load(cli(*words).out)
    assert document["metadata"] == {"name": "kunpeng-1"}
    assert list(errors(document, schema("nodestate.json"))) == []


def test_drift_is_told_and_ends_with_1(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli("node", "state", "status", file(DRIFTED), *host("qat"), "-o", "json")
    document = json.loads(told.out)

    assert told.code == 1
    assert document["kind"] == "NodeStateStatus"
    assert list(errors(document, schema("nodestatestatus.json"))) == []
    (item,) = document["items"]
    assert (item["entry"], item["device"], item["state"]) == ("virtualFunctions[0]", "0000:3f:00.0", "drifted")
    assert item["drift"][0] == {"what": "driver of 0000:3f:01.0", "want": "vfio-pci", "have": "c6xxvf", "by": None}


def test_a_missing_parameter_is_a_pending_reboot(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli(
        "node", "state", "status", file(HEAD + "spec: {kernel: {parameters: [iommu=pt]}}\n"), *host("intel-igpu")
    )

    assert told.code == 1
    assert "kernel parameter: iommu=pt is wanted, - is there" in told.out
    assert "reboot pending" in told.out


def test_every_mistake_of_a_file_has_its_line(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    name = file(HEAD + "spec:\n  devices:\n  - {match: {id: x}}\n  offers: 1\n")
    told = cli("node", "state", "status", name, *host("qat"))

    assert told.code == 2
    assert told.out == ""
    assert (
        f"error: {name}:7:3: spec.offers: is no key that is known [bad-node-state]\nhint: did you mean offer?"
        in told.err
    )
    assert f"error: {name}:6:14: spec.devices[0].match.id: must be vendor:device" in told.err
    assert f"error: {name}:6:5: spec.devices[0].driver: is missing" in told.err


def test_a_newer_file_is_refused(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli("node", "state", "status", file(DRIFTED.replace("v1", "v2")), *host("qat"))

    assert (told.code, told.out) == (2, "")
    assert "[node-state-version]" in told.err


def test_a_recording_has_no_name(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    named = file(HEAD.replace("mine", "mine, nodes: {names: [worker-1]}") + "spec: {}\n")

    assert "[node-unknown]" in cli("node", "state", "status", named, *host("qat")).err
    assert cli("node", "state", "status", named, *host("qat"), "--node", "worker-1").code == 0
    other = cli("node", "state", "status", named, *host("qat"), "--node", "worker-2")
    assert (other.code, other.out) == (0, "")
    assert other.err.startswith("note: none of 1 documents is for worker-2: mine\n")


def test_a_file_that_is_not_there(cli: Callable[..., Ran]) -> None:
    told = cli("node", "state", "status", "nowhere.yaml", *host("qat"))

    assert (told.code, told.out) == (2, "")
    assert "[unreadable-file]" in told.err
