"""Records of claims: written and read back, and whatever else may lie there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput, PassgateError
from hostdev.kubelet.claimrecords import (
    MAX_BYTES,
    ClaimRecord,
    ClaimRecords,
    NewerRecord,
    as_document,
    is_uid,
    parse_record,
    read_records,
    records_directory,
)
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.kubelet.claims import DRIVER, UID, content, record, unit

RECORDS = (
    record(),
    record(unit(), unit(0x3E, requests=("any/large",)), pod_claim=None, pods=(), generation=7),
    record(boot_id="", namespace="a", name="pair.x"),
)


@pytest.mark.parametrize("one", RECORDS)
def test_a_record_is_read_as_it_was_written(one: ClaimRecord) -> None:
    assert parse_record(content(one), UID) == one
    assert list(errors(as_document(one), schema("claimrecord.json"))) == []


def test_what_a_later_release_adds_is_passed_over() -> None:
    assert parse_record(content(record(), sinceLater={"x": 1}), UID) == record()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"uid": "another"}, f'uid: must be "{UID}", as the file\'s name is, is "another"'),
        ({"namespace": "../.."}, 'namespace: must be what Kubernetes has there, is "../.."'),
        ({"name": "a/b"}, 'name: must be what Kubernetes has there, is "a/b"'),
        ({"name": None}, "name: must be what Kubernetes has there, is null"),
        ({"podClaim": ".."}, 'podClaim: must be what Kubernetes has there, is ".."'),
        ({"generation": 0}, "generation: must be 1 or more, is 0"),
        ({"units": None, "pods": [{"name": "x"}]}, "pods[0].uid: must be what Kubernetes has there, is null"),
        ({"kind": "ResourceClaim"}, 'is "passgate.dev/v1" "ResourceClaim", and no passgate.dev/v1 ClaimRecord'),
    ],
)
def test_what_is_no_record_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_record(content(record(), **changes), UID)

    assert caught.value.what == told
    assert not isinstance(caught.value, NewerRecord)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("requests", [], "units[0].requests: must be a list of names of requests, is a list"),
        ("requests", ["../x"], "units[0].requests: must be a list of names of requests, is a list"),
        ("nodes", ["/dev/sda"], "units[0].nodes: must be a list of VFIO's device nodes, is a list"),
        ("nodes", ["/dev/vfio/../sda"], "units[0].nodes: must be a list of VFIO's device nodes, is a list"),
        ("groups", [True], "units[0].groups: must be a list of numbers of IOMMU groups, is a list"),
        ("functions", [], "units[0].functions: must be at least one PCI address, is a list"),
        ("functions", ["x"], 'units[0].functions: "x" is no PCI address'),
        ("resource", "gpu", 'units[0].resource: "gpu" has no domain before it'),
        ("device", "a/b", 'units[0].device: must be what Kubernetes has there, is "a/b"'),
    ],
)
def test_what_is_no_unit_is_told(key: str, value: object, told: str) -> None:
    (one,) = as_document(record())["units"]

    with pytest.raises(BadInput) as caught:
        parse_record(content(record(), units=[{**one, key: value}]), UID)

    assert caught.value.what == told


def test_a_newer_version_is_told_apart() -> None:
    with pytest.raises(NewerRecord, match="written by another version"):
        parse_record(content(record(), apiVersion="passgate.dev/v2"), UID)


@given(st.binary(max_size=300) | st.integers(0, 600).map(lambda end: content(record())[:end]))
def test_whatever_lies_there_nothing_but_an_error_of_ours_comes(data: bytes) -> None:
    try:
        found = parse_record(data, UID)
    except PassgateError:
        return
    assert found == record()


def test_the_addresses_of_a_resource_begin_with_all_primaries() -> None:
    one = record(unit(0x3E), unit(0x3D), unit(0x40, resource="example.com/other"))

    assert one.variables == {
        "PCI_RESOURCE_EXAMPLE_COM_GPU": "0000:3d:00.0,0000:3e:00.0,0000:3d:00.1,0000:3e:00.1",
        "PCI_RESOURCE_EXAMPLE_COM_OTHER": "0000:40:00.0,0000:40:00.1",
    }


@pytest.mark.parametrize(("text", "fits"), [(UID, True), ("", False), ("..", False), ("a/b", False), ("a" * 64, False)])
def test_a_uid(text: str, fits: bool) -> None:  # noqa: FBT001
    assert is_uid(text) == fits


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = Path(records_directory(str(tmp_path), DRIVER))
    path.mkdir(parents=True)
    return path


def test_before_the_first_claim_there_is_nothing(tmp_path: Path) -> None:
    assert read_records(str(tmp_path), DRIVER) == ClaimRecords()


def test_good_files_are_read_beside_bad_ones(tmp_path: Path, directory: Path) -> None:
    (directory / f"{UID}.json").write_bytes(content(record()))
    (directory / ".666.new").write_bytes(b"{")
    (directory / "torn.json").write_bytes(content(record())[:99])
    (directory / "large.json").write_bytes(content(record()).ljust(MAX_BYTES + 1))
    (directory / "notes").write_text("mine")
    (directory / "link.json").symlink_to(directory / f"{UID}.json")
    (directory / "sub.json").mkdir()
    os.mkfifo(directory / "fifo.json")

    found = read_records(str(tmp_path), DRIVER)

    assert found.records == (record(),)
    told = {Path(one.subject).name: one.message for one in found.findings}
    assert told.pop("torn.json").startswith("torn.json: is not JSON")
    assert told == {
        "large.json": f"large.json: is {MAX_BYTES + 1} bytes long, at most {MAX_BYTES} are read",
        "notes": "is not named by the UID of a claim",
        "link.json": "is no plain file",
        "sub.json": "is no plain file",
        "fifo.json": "is no plain file",
    }


def test_what_stands_in_the_place_of_the_directory_is_told(tmp_path: Path, directory: Path) -> None:
    directory.rmdir()
    directory.write_text("no directory")

    (finding,) = read_records(str(tmp_path), DRIVER).findings

    assert (finding.subject, finding.message) == (str(directory), "cannot be listed: Not a directory")


def test_a_document_is_what_is_written() -> None:
    assert json.loads(content(record())) == as_document(record())
