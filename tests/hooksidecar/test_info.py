"""H11: Info tells the truth for every version, and the sidecar subscribes to nothing that it does not serve."""

from __future__ import annotations

import subprocess
import sys

import grpc
import pytest

from tests.domxml.domains import load
from tests.hooksidecar.client import Client, Failed, hook_points, versions
from tests.hooksidecar.sidecar import Start, environment
from tests.hooksidecar.wirebytes import fields, message, text

DOMAIN = load("q35-default")


def test_h11_info_names_versions_newest_first_and_each_hook_point_once(start: Start) -> None:
    info = start().ready().info()

    assert text(info, 1) == "passgate"
    assert versions(info) == ["v1alpha3", "v1alpha2", "v1alpha1"]
    assert hook_points(info) == ["OnDefineDomain", "Shutdown"]
    assert set(fields(info)) == {1, 3, 4}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3"])
def test_h11_every_version_that_info_names_is_served(start: Start, version: str) -> None:
    client = start("device").ready()

    assert b"ua-passgate-qat" in client.define(DOMAIN, version=version)


@pytest.mark.parametrize(
    ("flags", "served", "points"),
    [
        (("--version", "v1alpha3"), ["v1alpha3", "v1alpha2", "v1alpha1"], ["OnDefineDomain", "Shutdown"]),
        (("--version", "v1alpha2"), ["v1alpha2", "v1alpha1"], ["OnDefineDomain"]),
        (("--version=v1alpha1",), ["v1alpha1"], ["OnDefineDomain"]),
        (("--version", "v1alpha2", "--cloud-init"), ["v1alpha2", "v1alpha1"], ["OnDefineDomain", "PreCloudInitIso"]),
    ],
)
def test_h11_a_version_asked_for_is_served_with_older_ones_and_no_newer_one(
    start: Start, flags: tuple[str, ...], served: list[str], points: list[str]
) -> None:
    """What KubeVirt's users write into every hookSidecars annotation: "args": ["--version", "v1alpha2"]."""
    client = start("device", *flags).ready()

    assert versions(client.info()) == served
    assert hook_points(client.info()) == points
    for version in ("v1alpha1", "v1alpha2", "v1alpha3"):
        if version in served:
            assert b"ua-passgate-qat" in client.define(DOMAIN, version=version)
            continue
        with pytest.raises(Failed) as failed:
            client.define(DOMAIN, version=version)
        assert failed.value.code is grpc.StatusCode.UNIMPLEMENTED
    if "Shutdown" not in points:
        with pytest.raises(Failed):
            client.shutdown()


@pytest.mark.parametrize(
    "method",
    [
        "kubevirt.hooks.v1alpha3.Callbacks/PreCloudInitIso",
        "kubevirt.hooks.v1alpha2.Callbacks/PreCloudInitIso",
        "kubevirt.hooks.v1alpha2.Callbacks/Shutdown",
        "kubevirt.hooks.v1alpha4.Callbacks/OnDefineDomain",
        "kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain",
    ],
)
def test_h11_what_info_does_not_name_is_unimplemented(start: Start, method: str) -> None:
    client = start().ready()

    with pytest.raises(Failed) as failed:
        client.call(f"/{method}", b"")

    assert failed.value.code is grpc.StatusCode.UNIMPLEMENTED


OLD_CLIENT = """
import sys, grpc
from tests.hooksidecar.wirebytes import message, only
with grpc.insecure_channel("unix:" + sys.argv[1]) as channel:
    call = channel.unary_unary("/kubevirt.hooks.v1alpha1.Callbacks/OnDefineDomain")
    sys.stdout.buffer.write(only(call(message(f1=sys.stdin.buffer.read(), f2="{}"), timeout=60), 1))
"""


def test_h11_a_client_that_knows_only_v1alpha1_is_served(start: Start) -> None:
    sidecar = start("device")
    sidecar.ready()

    said = subprocess.run(
        [sys.executable, "-c", OLD_CLIENT, str(sidecar.path)],
        input=DOMAIN,
        capture_output=True,
        check=True,
        env=environment(),
    )

    assert b"ua-passgate-qat" in said.stdout
    assert sidecar.said("answered")[0]["version"] == "v1alpha1"


def test_unknown_fields_of_newer_clients_are_ignored(start: Start) -> None:
    client: Client = start().ready()
    request = message(f1=DOMAIN, f2="{}", f9="news", f12=7)

    answer = client.call("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", request)

    assert fields(answer)[1] == [DOMAIN]
