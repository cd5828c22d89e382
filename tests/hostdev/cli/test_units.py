"""`passgate node units` beside files: what is offered as which resource, and which sets there are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.hostdev.cli.running import Ran, host
from tests.hostdev.cli.validator import errors, schema
from tests.house import ROOT

FILES = ROOT / "tests/fixtures/nodestate"
HGX, OFFER = str(FILES / "hgx.yaml"), str(FILES / "offer.yaml")


def test_each_unit_has_its_resource_and_its_sets(cli: Callable[..., Ran]) -> None:
    told = cli("node", "units", "gpu", *host("hgx-h100"), "--state", HGX, "-o", "json")
    document = json.loads(told.out)

    assert (told.code, document["findings"]) == (0, [])
    assert list(errors(document, schema("unitlist.json"))) == []
    assert {item["resource"] for item in document["items"]} == {"nvidia.com/H100"}
    assert document["items"][0]["sets"] == ["all-8", "four-1", "two-1"]


def test_what_is_not_offered_has_no_resource_and_why_is_told(cli: Callable[..., Ran]) -> None:
    told = cli("node", "units", "id=8086:37c8,8086:37c9", *host("qat"), "--state", OFFER)
    rows = [line.split() for line in told.out.splitlines() if line.startswith("0000:")]

    assert told.code == 0
    assert [row[-1] for row in rows] == ["-", "qat.intel.com/generic", "-", "qat.intel.com/generic", "-"]
    assert "[entry-unmatched]" in told.out
    assert "the PF is not offered [offer-conflict]" in told.out
    assert cli("node", "units", *host("qat"), "--state", OFFER, "--fail-on", "error").code == 1


def test_what_claims_are_told_of_says_so(cli: Callable[..., Ran], tmp_path: Path) -> None:
    state = tmp_path / "state.yaml"
    entries = [
        {"resource": "example.com/vf", "match": {"id": "8086:4941"}, "by": "claim"},
        {"resource": "example.com/one", "match": {"address": "6b:00.1"}, "by": "claim"},
    ]
    node = {"apiVersion": "passgate.dev/v1", "kind": "NodeState", "spec": {"offer": entries}}
    state.write_text(yaml.safe_dump(node))
    told = cli("node", "units", "6b:00.1", "6b:00.2", *host("qat"), "--state", str(state))
    document = json.loads(cli("node", "units", "6b:00.1", *host("qat"), "--state", str(state), "-o", "json").out)

    first, second = (line for line in told.out.splitlines() if line.startswith("0000:"))
    assert first.endswith("example.com/one (by claim) example.com/vf (by claim)")
    assert second.endswith(" example.com/vf (by claim)")
    assert list(errors(document, schema("unitlist.json"))) == []
    assert document["items"][0]["resources"] == [
        {"resource": "example.com/one", "by": "claim"},
        {"resource": "example.com/vf", "by": "claim"},
    ]


def test_sets_alone_are_a_column(cli: Callable[..., Ran]) -> None:
    told = cli("node", "units", "gpu", *host("hgx-h100"), "--sets", HGX)
    header, first, *_ = told.out.splitlines()

    assert (header.split()[-1], first.split()[-3:]) == ("SETS", ["all-8", "four-1", "two-1"])
    assert "RESOURCE" not in header
    without = cli("node", "units", "gpu", *host("hgx-h100"), "--sets", OFFER)
    assert (without.code, without.err) == (0, f"note: {OFFER} names no sets for this node\n")


def test_a_set_with_functions_that_are_not_there_is_told_once(cli: Callable[..., Ran]) -> None:
    told = cli("node", "units", *host("tesla-t4"), "--sets", HGX, "-o", "json")
    found = json.loads(told.out)["findings"]

    assert {one["code"] for one in found} == {"set-incomplete"}
    assert [one["subject"] for one in found] == [f"nvlink-partitions/sets[{number}]" for number in range(7)]
    assert found[0]["message"].endswith(", and 7 more of it are not there")


def test_a_file_for_other_nodes_is_noted(cli: Callable[..., Ran], tmp_path: Path) -> None:
    file = tmp_path / "sets.yaml"
    head = "apiVersion: passgate.dev/v1\nkind: UnitSets\nmetadata: {name: hgx, nodes: {names: [worker-1]}}\n"
    file.write_text(f"{head}spec: {{sets: [{{name: a, functions: [{{address: '19:00.0'}}]}}]}}\n")

    assert "[node-unknown]" in cli("node", "units", *host("hgx-h100"), "--sets", str(file)).err
    named = cli("node", "units", *host("hgx-h100"), "--sets", str(file), "--node", "worker-2")
    assert named.err.startswith("note: none of 1 documents is for worker-2: hgx\n")
    assert " a\n" in cli("node", "units", *host("hgx-h100"), "--sets", str(file), "--node", "worker-1").out


def test_the_documents_of_a_file_follow_their_schemas() -> None:
    documents = list(yaml.safe_load_all(Path(HGX).read_text()))

    assert [document["kind"] for document in documents] == ["NodeState", "UnitSets"]
    for document in documents:
        assert list(errors(document, schema(f"{document['kind'].lower()}.json"))) == []
