"""Bonds, before the VM is applied: what the spec already tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hostdev.cloudinit.build import ADDRESSED, BOND, DEFAULT, LEFT, RIGHT
from tests.hostdev.lint.build import HOOK, told

WRITES = [{**HOOK[0], "args": ["--cloud-init"]}]
NO_CLOUD = {"name": "init", "cloudInitNoCloud": {"userData": "#cloud-config"}}


def of(
    *interfaces: Any,
    bonds: Any = (BOND,),
    hooks: Any = WRITES,
    volume: Any = NO_CLOUD,
    text: str = "",
    addressed: Any = None,
) -> list[str]:
    annotations = {"passgate.dev/bonds": text or json.dumps(bonds)} if bonds is not None else {}
    if addressed is not None:
        annotations["passgate.dev/interfaces"] = json.dumps(addressed)
    spec = {"volumes": [{"name": "root", "containerDisk": {"image": "x"}}, *([volume] if volume else [])]}
    domain = {"devices": {"interfaces": list(interfaces)}}
    return told(None, hooks=hooks, annotations=annotations, spec=spec, domain=domain, limits={})


def test_a_bond_that_will_be_made() -> None:
    assert of(DEFAULT, LEFT, RIGHT) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"volume": None}, "error bond-not-possible passgate.dev/bonds: the VM has no cloud-init volume"),
        (
            {"volume": {"name": "init", "cloudInitConfigDrive": {"userData": "x"}}},
            "error bond-not-possible passgate.dev/bonds: the VM's cloud-init is a config drive",
        ),
        *(
            (
                {"volume": {"name": "init", "cloudInitNoCloud": {key: value}}},
                "error bond-not-possible passgate.dev/bonds: the VM's cloud-init has network data of its own",
            )
            for key, value in (
                ("networkData", "x"),
                ("networkDataBase64", "eA=="),
                ("networkDataSecretRef", {"name": "x"}),
            )
        ),
        (
            {"bonds": [{**BOND, "interfaces": ["left", "rihgt"]}]},
            "error bond-not-possible passgate.dev/bonds[0].interfaces[1]: the VM has no interface 'rihgt'",
        ),
        ({"hooks": HOOK}, "warning bonds-not-read hooks.kubevirt.io/hookSidecars: no hook sidecar has --cloud-init"),
        ({"text": "[{}]"}, "error bad-annotation passgate.dev/bonds[0].name: is missing"),
    ],
)
def test_what_is_told(changes: dict[str, Any], says: str) -> None:
    assert any(line.startswith(says) for line in of(DEFAULT, LEFT, RIGHT, **changes))


def test_addresses_that_will_be_written() -> None:
    assert of(DEFAULT, LEFT, bonds=None, addressed=[ADDRESSED]) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"volume": None}, "error interface-not-possible passgate.dev/interfaces: the VM has no cloud-init volume"),
        (
            {"volume": {"name": "init", "cloudInitNoCloud": {"networkData": "x"}}},
            "error interface-not-possible passgate.dev/interfaces: the VM's cloud-init has network data of its own",
        ),
        ({"hooks": HOOK}, "warning bonds-not-read hooks.kubevirt.io/hookSidecars: no hook sidecar has --cloud-init"),
        ({"addressed": [{}]}, "error bad-annotation passgate.dev/interfaces[0].name: is missing"),
        (
            {"addressed": [{**ADDRESSED, "name": "lefft"}]},
            "error interface-not-possible passgate.dev/interfaces[0]: the VM has no interface 'lefft'",
        ),
    ],
)
def test_what_is_told_of_addresses(changes: dict[str, Any], says: str) -> None:
    told_of = of(DEFAULT, LEFT, **{"bonds": None, "addressed": [ADDRESSED], **changes})

    assert any(line.startswith(says) for line in told_of), told_of


def test_an_address_that_the_spec_does_not_tell_may_come_from_elsewhere() -> None:
    (line,) = of(DEFAULT, LEFT, {"name": "right", "sriov": {}})

    assert line.startswith("warning bond-not-possible passgate.dev/bonds[0]: the interface right: its MAC address")


def test_network_data_that_will_not_be_written() -> None:
    assert [line.split(":")[0] for line in of({"name": "default", "masquerade": {}}, LEFT, bonds=None)] == [
        "warning network-data-not-written default"
    ]
    assert of({"name": "default", "masquerade": {}}, LEFT, bonds=None, hooks=HOOK) == []


def test_a_sidecar_that_would_crash_virt_launcher() -> None:
    (line,) = of(DEFAULT, bonds=None, volume=None)

    assert line.startswith("error cloud-init-missing hooks.kubevirt.io/hookSidecars: a hook sidecar has --cloud-init")


def test_an_empty_list_is_no_bond() -> None:
    assert of(DEFAULT, bonds=[], hooks=HOOK, volume=None) == []
