"""JSON and YAML: every document follows its schema, and the two say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.hostdev.cli.running import MACHINES, PCI_IDS, Ran, host
from tests.hostdev.cli.validator import SCHEMAS, errors, schema
from tests.house import FLOORS, modules
from tests.scenarios.cases import CASES, Case

KIND = re.compile(r"\bdocument\(\s*\"(\w+)\"")
EVERY_MACHINE = sorted(file.stem for file in MACHINES.glob("*.toml"))
OLD = "tests/fixtures/machines/consumer-gpu.toml"
NEW = "tests/fixtures/machines/tesla-t4.toml"
DOCUMENTS = {
    "Device": ("show", "3d:01.0", *host("qat")),
    "DeviceList": ("list", *host("qat")),
    "GroupList": ("groups", *host("qat")),
    "UnitList": ("units", *host("qat")),
    "Findings": ("doctor", *host("qat")),
    "Explanations": ("explain",),
    "Comparison": ("compare", OLD, NEW),
    "Machine": ("snapshot", *host("qat")),
    "Vitals": ("vitals", "--host", "tests/fixtures/vitals/vms.toml"),
    "NodeState": ("state", "export", *host("qat")),
}
DOMAIN = "demo/q35.xml"
OF_VMS = {
    "Lint": ("lint", "--vmi", "tests/fixtures/domains/q35-gpu-1.vmi.json"),
    "SlotList": ("slots", DOMAIN),
    "Fit": ("fit", DOMAIN, "--device", "01:00.0", *host("consumer-gpu"), "--firmware", "ovmf-2025.02"),
    "Plan": ("inject", DOMAIN, "--device", "0000:3d:02.2,name=qat"),
    "VmPlan": ("plan", "deploy/examples/qat/vm.yaml"),
    "VmPlanList": ("plan", "deploy/examples/qat/vm.yaml", "tests/fixtures/scenarios/qat-i440fx/vm.yaml"),
}
FLEET = ("--from", "tests/fixtures/fleet/before")
VM_AND_KUBEVIRT = ("tests/fixtures/fleet/vm.yaml", "tests/fixtures/fleet/kubevirt.yaml")
OF_FLEETS = {
    "FleetNodeList": ("fleet", "list", *FLEET),
    "FleetDeviceList": ("fleet", "find", "gpu", *FLEET),
    "FleetWhy": ("fleet", "why", *VM_AND_KUBEVIRT, *FLEET),
    "FleetCapacity": ("fleet", "capacity", *VM_AND_KUBEVIRT, *FLEET),
    "FleetComparison": ("fleet", "compare", "tests/fixtures/fleet/before", "tests/fixtures/fleet/after"),
}
OF_VMS |= OF_FLEETS

CHANGES = ("Transaction", "TransactionList")
WHY = ("Why", "WhyDump")


def test_every_kind_has_a_schema() -> None:
    kinds = {
        schema(file.name)["properties"]["kind"]["const"] for file in SCHEMAS.glob("*.json") if file.stem != "common"
    }

    made = {kind for floor in FLOORS for module in modules(floor) for kind in KIND.findall(module.path.read_text())}

    rare = {
        "Error",
        "Holders",
        "HoldersList",
        "Event",
        "Rehearsal",
        "Effects",
        "NodeStateStatus",
        "UnitSets",
        "ClaimRecord",
        "Why",
        "WhyDump",
        "FleetCollection",
        *CHANGES,
    }
    assert made <= kinds == {*DOCUMENTS, *OF_VMS, *rare}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_follows_its_schema(kind: str, cli: Callable[..., Ran]) -> None:
    document = json.loads(cli("node", *DOCUMENTS[kind], "-o", "json").out)

    assert document["apiVersion"] == "passgate.dev/v1"
    assert document["kind"] == kind
    assert list(errors(document, schema(f"{kind.lower()}.json"))) == []


@pytest.mark.parametrize("machine", EVERY_MACHINE)
@pytest.mark.parametrize("kind", ["DeviceList", "GroupList", "UnitList", "Findings", "Machine"])
def test_every_machine_makes_good_documents(kind: str, machine: str, cli: Callable[..., Ran]) -> None:
    document = json.loads(cli("node", DOCUMENTS[kind][0], *host(machine), "-o", "json").out)

    assert list(errors(document, schema(f"{kind.lower()}.json"))) == []


@pytest.mark.parametrize("kind", [kind for kind in DOCUMENTS if kind != "Machine"])
def test_yaml_says_the_same(kind: str, cli: Callable[..., Ran]) -> None:
    words = ("node", *DOCUMENTS[kind], "-o")

    assert yaml.safe_load(cli(*words, "yaml").out) == json.loads(cli(*words, "json").out)


def test_a_device_as_it_was(cli: Callable[..., Ran], golden: Callable[[str, str], None]) -> None:
    words = ("node", "show", "3b:02.0", *host("two-socket-x710"), "--pci-ids", PCI_IDS)

    golden("show-vf.json", cli(*words, "-o", "json").out)
    golden("show-vf.yaml", cli(*words, "-o", "yaml").out)


@pytest.mark.parametrize("kind", OF_VMS)
def test_a_document_about_a_vm_follows_its_schema(kind: str, cli: Callable[..., Ran]) -> None:
    document = json.loads(cli(*OF_VMS[kind], "-o", "json").out)

    assert (document["apiVersion"], document["kind"]) == ("passgate.dev/v1", kind)
    assert list(errors(document, schema(f"{kind.lower()}.json"))) == []
    for broken in ({**document, "more": 1}, {key: document[key] for key in list(document)[:-1]}):
        assert list(errors(broken, schema(f"{kind.lower()}.json")))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_scenario_makes_good_documents(case: Case, cli: Callable[..., Ran]) -> None:
    plan = json.loads(cli("inject", str(case.file("domain.xml")), *case.arguments, "-o", "json").out)
    seen = json.loads(cli("lint", "--vmi", str(case.file("vm.yaml")), "-o", "json").out)

    assert plan["devices"]
    assert list(errors(plan, schema("plan.json"))) == []
    assert list(errors(seen, schema("lint.json"))) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alias", "qat"),
        ("type", "usb"),
        ("guestAddress", "1"),
        ("guestAddress", 1),
        ("action", "gone"),
        ("sources", "me"),
        ("resource", 1),
    ],
)
def test_the_schema_of_a_plan_would_notice(name: str, value: object, cli: Callable[..., Ran]) -> None:
    document = json.loads(cli(*OF_VMS["Plan"], "-o", "json").out)
    (device,) = document["devices"]

    assert list(errors({**document, "devices": [{**device, name: value}]}, schema("plan.json")))


def _broken(document: Any) -> list[Any]:
    item = document["items"][0]
    return [
        {**document, "apiVersion": "v2"},
        {**document, "more": 1},
        {name: value for name, value in document.items() if name != "items"},
        {**document, "items": [{**item, "address": "3d:00.0"}]},
        {**document, "items": [{**item, "vendor": 1}]},
        {**document, "items": [{**item, "group": True}]},
        {**document, "items": [{**item, "parent": "nowhere"}]},
        {**document, "items": [{**item, "role": "king"}]},
        {**document, "items": {}},
    ]


def test_the_schema_would_notice(cli: Callable[..., Ran]) -> None:
    document = json.loads(cli("node", *DOCUMENTS["DeviceList"], "-o", "json").out)

    assert [list(errors(broken, schema("devicelist.json"))) for broken in _broken(document) if broken] != []
    for broken in _broken(document):
        assert list(errors(broken, schema("devicelist.json"))), broken


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("node", "list", "nope", *host("qat"), "-o", "json"), "nothing-selected"),
        (("list", "--host", "/nowhere", "--json"), "host-unreadable"),
        (("node", "show", "3d:1f.7", *host("qat"), "-ojson"), "device-missing"),
        (("node", "list", "--output=json", "--hots"), "unknown-option"),
        (("node", "list", "--host", "a", "--host", "b", "--format", "json"), "bad-usage"),
        (("nod", "-o", "json"), "unknown-command"),
        (("inject", DOMAIN, "--device", "x", "-o", "json"), "bad-address"),
        (("lint", "--vmi", "nowhere", "-o", "json"), "unreadable-file"),
    ],
)
def test_an_error_is_a_document_too(words: tuple[str, ...], code: str, cli: Callable[..., Ran]) -> None:
    ran = cli(*words)
    told = json.loads(ran.out)

    assert list(errors(told, schema("error.json"))) == []
    assert (told["kind"], told["code"], told["exitCode"]) == ("Error", code, ran.code)
    assert ran.err.startswith("error: ")
    assert yaml.safe_load(cli(*(word.replace("json", "yaml") for word in words)).out).get("code") in {code, "bad-usage"}


def test_an_error_for_people_is_no_document(cli: Callable[..., Ran]) -> None:
    assert cli("node", "list", "json", *host("qat")).out == ""
    assert cli("node", "list", "--host", "json").out == ""
