"""What `lint --host` says of the room in a guest."""

from __future__ import annotations

import json
from typing import Any

import yaml

from hostdev.kubevirt.releases import release_of
from hostdev.lint.objects import Object
from hostdev.lint.results import Result
from hostdev.lint.room import room_results
from tests.hostdev.machines.fixtures import picture
from tests.house import ROOT

VM = ROOT / "docs/fit/h100.yaml"


def judged(*devices: dict[str, str], gpus: bool = False) -> list[Result]:
    value: dict[str, Any] = yaml.safe_load(VM.read_text())
    template = value["spec"]["template"]
    if not gpus:
        del template["spec"]["domain"]["devices"]["gpus"]
    if devices:
        sidecar = json.dumps([{"image": "registry.example/passgate-hook"}])
        notes = {"hooks.kubevirt.io/hookSidecars": sidecar, "passgate.dev/devices": json.dumps(devices)}
        template["metadata"] = {"annotations": notes}
    return list(room_results([Object(value)], picture("hgx-h100"), release_of("1.8")))


def test_a_vm_that_cannot_be_planned_is_told_with_the_reason() -> None:
    (result,) = judged({"address": "0000:19:00.0", "name": "gpu", "guestAddress": "0000:00:00.0"})

    assert result.finding.code == "bar-window-unknown"
    assert "could not be planned" in result.finding.message
    assert "guest address 0000:00:00.0" in result.finding.message


def test_one_that_asks_for_no_device_is_not() -> None:
    assert judged() == []


def test_one_that_can_be_planned_is_not() -> None:
    assert judged({"address": "0000:19:00.0", "name": "gpu"}) == []


def test_gpus_whose_resource_is_not_known_here_are_told() -> None:
    (result,) = judged(gpus=True)

    assert "which devices of the host are handed out" in result.finding.message
