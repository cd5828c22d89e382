"""`--cloud-init`: PreCloudInitIso through the server, as virt-launcher calls it."""

from __future__ import annotations

import json

import grpc
import pytest

from hostdev.cloudinit.hook import CloudInitHook, Documents
from tests.domxml.domains import load
from tests.hooksidecar.client import Client, Failed, hook_points
from tests.hooksidecar.sidecar import Start
from tests.hooksidecar.wirebytes import fields, message, only
from tests.hostdev.cloudinit.build import BOND, DEFAULT, LEFT, RIGHT, SECRET, documents, vmi
from tests.hostdev.cloudinit.netplans import GOLDEN

WITH_BOND = vmi(DEFAULT, LEFT, RIGHT, bonds=[BOND])
VERSIONS = ("v1alpha2", "v1alpha3")


def write(client: Client, given: Documents, of: bytes, version: str = "v1alpha3") -> Documents:
    """The call, made by hand."""
    method = f"/kubevirt.hooks.{version}.Callbacks/PreCloudInitIso"
    answer = client.call(method, message(f1=given.source, f2=of, f3=given.data))
    assert set(fields(answer)) <= {1, 3}
    return Documents(only(answer, 1), only(answer, 3))


@pytest.mark.parametrize("version", VERSIONS)
def test_network_data_is_written(start: Start, version: str) -> None:
    found = write(start("same", "--cloud-init").ready(), documents(), WITH_BOND, version)

    assert json.loads(found.data) == {**json.loads(documents().data), "NetworkData": GOLDEN}
    assert json.loads(found.source) == {**json.loads(documents().source), "networkData": GOLDEN}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_very_bytes_go_back_when_nothing_is_to_be_done(start: Start, version: str) -> None:
    client = start("same", "--cloud-init").ready()

    assert write(client, documents(), vmi(DEFAULT), version) == documents()


def test_h11_it_is_subscribed_only_when_asked_for(start: Start) -> None:
    assert hook_points(start("same", "--cloud-init").ready().info()) == [
        "OnDefineDomain",
        "Shutdown",
        "PreCloudInitIso",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_h11_without_the_flag_it_is_not_served(start: Start, version: str) -> None:
    sidecar = start("same")
    client = sidecar.ready()

    with pytest.raises(Failed) as failed:
        write(client, documents(), WITH_BOND, version)

    assert failed.value.code is grpc.StatusCode.UNIMPLEMENTED
    assert hook_points(client.info()) == ["OnDefineDomain", "Shutdown"]


def test_v1alpha1_has_no_such_call(start: Start) -> None:
    with pytest.raises(Failed) as failed:
        write(start("same", "--cloud-init").ready(), documents(), WITH_BOND, "v1alpha1")

    assert failed.value.code is grpc.StatusCode.UNIMPLEMENTED


def test_domains_are_answered_as_ever(start: Start) -> None:
    client = start("device", "--cloud-init").ready()
    write(client, documents(), WITH_BOND)

    assert b"ua-passgate-qat" in client.define(load("q35-default"))


@pytest.mark.parametrize(
    ("given", "of", "status", "says"),
    [
        (documents("version: 2"), WITH_BOND, "FAILED_PRECONDITION", "bond-not-possible: passgate.dev/bonds: the VM's"),
        (
            documents(),
            vmi(LEFT, bonds=[{}]),
            "INVALID_ARGUMENT",
            "bad-annotation: passgate.dev/bonds[0].name: is missing",
        ),
        (Documents(b"", b"{"), WITH_BOND, "INVALID_ARGUMENT", "bad-cloud-init: the cloud-init data: is not JSON"),
        (documents(), b"[]", "INVALID_ARGUMENT", "bad-vmi: must be an object"),
    ],
)
def test_a_refusal_is_a_sentence(start: Start, given: Documents, of: bytes, status: str, says: str) -> None:
    with pytest.raises(Failed) as failed:
        write(start("same", "--cloud-init").ready(), given, of)

    assert failed.value.code is grpc.StatusCode[status]
    assert failed.value.details.startswith(says)
    assert len(failed.value.details) < 300


def test_after_the_first_answer_nothing_is_refused(start: Start) -> None:
    sidecar = start("same", "--cloud-init")
    client = sidecar.ready()
    first = write(client, documents(), WITH_BOND)

    assert write(client, documents("version: 2"), WITH_BOND) == documents("version: 2")
    assert write(client, documents(), vmi(LEFT, bonds=[{}])) == first
    (line,) = sidecar.said("an answer was given already: the cloud-init data went back as it came")
    assert line["reason"].startswith("bond-not-possible: ")


def test_h12_the_log_tells_of_the_call_and_nothing_secret(start: Start) -> None:
    sidecar = start("same", "--cloud-init", "--log-level", "debug")
    client = sidecar.ready()
    for bad in (documents().data[:-1], documents().data.replace(b"null", b"nul"), b"{" + documents().data):
        with pytest.raises(Failed) as failed:
            write(client, Documents(b"", bad), WITH_BOND)
        assert SECRET not in failed.value.details
    write(client, documents(), WITH_BOND)
    write(client, documents("version: 2"), vmi(DEFAULT, LEFT))
    sidecar.end()

    line, other = (line for line in sidecar.said("answered") if "interfaces" in line)
    assert {key: line[key] for key in ("hook", "version", "vm", "changed", "interfaces")} == {
        "hook": "PreCloudInitIso",
        "version": "v1alpha3",
        "vm": "ns/vm",
        "changed": True,
        "interfaces": ["left", "right"],
    }
    assert line["networkDataDigest"].startswith("sha256:")
    assert line["ms"] >= 0
    assert (other["changed"], other["networkDataDigest"]) == (False, "")
    assert sidecar.said("what changed")[0]["networkData"] == GOLDEN
    assert "network-data-not-written" in {line.get("code") for line in sidecar.log()}
    assert SECRET not in sidecar.log_text()


def test_the_client_asks_what_the_core_answers() -> None:
    """The golden text above is the core's own."""
    assert CloudInitHook(lambda: None).write(documents(), WITH_BOND, deadline=1e12).network_data == GOLDEN
