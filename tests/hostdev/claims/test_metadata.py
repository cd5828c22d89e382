"""Metadata files: as the Go library writes them, and as KubeVirt reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domxml.pciaddress import PciAddress
from hostdev.allocation.dra import from_metadata
from hostdev.claims.metadata import claim_of, container_path, list_requests, render_metadata
from hostdev.kubelet.claimrecords import ClaimRecord
from tests.hostdev.claims.recorded import metadata
from tests.hostdev.kubelet.claims import UID, record, unit

KUBEVIRT_KNOWS = {"metadata.resource.k8s.io/v1alpha1"}


class KubeVirtRefusesError(Exception):
    """What virt-launcher ends the VM's start with."""


def as_kubevirt_reads(container: Path, claim: str, request: str, *, template: bool, known: set[str]) -> str:
    """The PCI address, by the rules of its pkg/dra: one file, the first version it knows, one device a request."""
    kind = "resourceclaimtemplates" if template else "resourceclaims"
    base = container / "var/run/kubernetes.io/dra-device-attributes"
    files = list((base / kind / claim / request).glob("*-metadata.json"))
    if len(files) != 1:
        raise KubeVirtRefusesError(f"{len(files)} metadata files")
    document = _first_known(files[0].read_text(), known)
    for found in document["requests"]:
        if found["name"] == request:
            if len(found["devices"]) != 1:
                raise KubeVirtRefusesError(f"{len(found['devices'])} devices")
            address = found["devices"][0]["attributes"]["resource.kubernetes.io/pciBusID"]["string"]
            assert isinstance(address, str)
            return address
    raise KubeVirtRefusesError("request not found")


def _first_known(text: str, known: set[str]) -> dict[str, Any]:
    rest = text.lstrip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        if not document["apiVersion"]:
            raise KubeVirtRefusesError("missing apiVersion")
        if document["apiVersion"] in known:
            assert isinstance(document, dict)
            return document
        rest = rest[end:].lstrip()
    raise KubeVirtRefusesError("no compatible metadata version")


def mounted(container: Path, of: ClaimRecord) -> None:
    for request in list_requests(of):
        path = container / container_path(of, request).lstrip("/")
        path.parent.mkdir(parents=True)
        path.write_bytes(render_metadata(of, request))


@pytest.mark.parametrize("known", [KUBEVIRT_KNOWS, {"metadata.resource.k8s.io/v1beta1"}])
def test_kubevirt_reads_the_address_whichever_version_it_knows(tmp_path: Path, known: set[str]) -> None:
    mounted(tmp_path, record(unit(0x3D, requests=("a",)), unit(0x3E, requests=("b",))))

    assert as_kubevirt_reads(tmp_path, "gpu", "a", template=True, known=known) == "0000:3d:00.0"
    assert as_kubevirt_reads(tmp_path, "gpu", "b", template=True, known=known) == "0000:3e:00.0"


def test_a_claim_that_no_template_made_is_found_by_its_own_name(tmp_path: Path) -> None:
    mounted(tmp_path, record(pod_claim=None, name="shared"))

    found = as_kubevirt_reads(tmp_path, "shared", "gpu", template=False, known=KUBEVIRT_KNOWS)

    assert found == "0000:3d:00.0"


def test_of_two_devices_of_one_request_both_are_told_and_kubevirt_refuses(tmp_path: Path) -> None:
    mounted(tmp_path, record(unit(0x3D), unit(0x3E)))

    with pytest.raises(KubeVirtRefusesError, match="2 devices"):
        as_kubevirt_reads(tmp_path, "gpu", "gpu", template=True, known=KUBEVIRT_KNOWS)


def test_an_alternative_of_a_list_is_named_as_allocated_which_kubevirt_does_not_find(tmp_path: Path) -> None:
    one = record(unit(0x3D, requests=("any/large",)))
    mounted(tmp_path, one)

    with pytest.raises(KubeVirtRefusesError, match="request not found"):
        as_kubevirt_reads(tmp_path, "gpu", "any", template=True, known=KUBEVIRT_KNOWS)
    (allocation,) = from_metadata({container_path(one, "any"): render_metadata(one, "any")}).allocations
    assert allocation.device == PciAddress.parse("0000:3d:00.0")


@pytest.mark.parametrize("name", ["by-hand", "template", "extended-resource"])
def test_a_file_is_as_the_recorded_drivers_wrote_it(name: str) -> None:
    wanted = metadata(name)
    (told,) = wanted["requests"][0]["devices"]
    address = PciAddress.parse(told["attributes"]["resource.kubernetes.io/pciBusID"]["string"])
    one = record(
        unit(requests=(wanted["requests"][0]["name"],))._replace(
            pool=told["pool"], device=told["name"], functions=(address,)
        ),
        driver=told["driver"],
        pod_claim=wanted.get("podClaimName"),
        **{key: wanted["metadata"][key] for key in ("name", "namespace", "uid")},
    )

    text = render_metadata(one, wanted["requests"][0]["name"]).decode()

    assert text.endswith(json.dumps(wanted, indent=2) + "\n")
    newest = {**wanted, "apiVersion": "metadata.resource.k8s.io/v1beta1"}
    assert text == json.dumps(newest, indent=2) + "\n" + json.dumps(wanted, indent=2) + "\n"


def test_a_recorded_driver_forgot_the_first_of_two_devices_and_this_one_does_not() -> None:
    lost = metadata("count-2")["requests"][0]["devices"]
    document = json.loads(render_metadata(record(unit(0x3D), unit(0x3E)), "gpu").split(b"\n}\n")[0] + b"}")

    assert len(lost) == 1
    assert [one["name"] for one in document["requests"][0]["devices"]] == ["unit-3d", "unit-3e"]


@pytest.mark.parametrize(
    ("data", "uid"),
    [(render_metadata(record(), "gpu"), UID), (b"", None), (b"{", None), (b"\xff", None), (b"[]", None), (b"{}", None)],
)
def test_whose_a_file_is(data: bytes, uid: str | None) -> None:
    assert claim_of(data) == uid
