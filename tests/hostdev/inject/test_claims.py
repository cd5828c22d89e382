"""A device by claim in the sidecar: KubeVirt puts its primary function in, the allocation file brings the others."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

import pytest

from domxml.document import Domain
from domxml.errors import PassgateError
from hostdev.allocation.env_file import to_env_file
from hostdev.inject.gather import Channels
from hostdev.inject.hook import Answer, HookCore
from hostdev.kubelet.claimgrants import claim_grants
from hostdev.kubelet.environment import environment
from tests.domxml.domains import FOLDER, load
from tests.hostdev.gate.build import AUDIO, GPU, function, machine
from tests.hostdev.kubelet.claims import record, unit

CARD, SOUND = "0000:3d:00.0", "0000:3d:00.1"
RESOURCE = "example.com/gpu"
ALIAS = "ua-dra-gpu-gpu"
ASKED = {"device": "gpu", "functions": "all"}


def vmi(*, by_claim: bool) -> bytes:
    document = json.loads((FOLDER / "q35-default.vmi.json").read_bytes())
    device = {"claimName": "devices", "requestName": "gpu"} if by_claim else {"deviceName": RESOURCE}
    document["metadata"]["annotations"] = {"passgate.dev/devices": json.dumps([ASKED])}
    document["spec"]["domain"]["devices"]["gpus"] = [{"name": "gpu", **device}]
    document["spec"]["resourceClaims"] = [{"name": "devices", "resourceClaimTemplateName": "gpus"}]
    document["status"] = {}
    return json.dumps(document).encode()


def domain(alias: str) -> bytes:
    """What KubeVirt makes of the primary function that the claim's file, or the variable, names."""
    source = '<source><address domain="0x0000" bus="0x3d" slot="0x00" function="0x0"/></source>'
    element = f'<hostdev mode="subsystem" type="pci" managed="no">{source}<alias name="{alias}"/></hostdev>'
    return load("q35-default").replace(b"</devices>", f"{element}</devices>".encode()) if alias else load("q35-default")


def allocation_file(directory: Path) -> Path:
    """What the agent makes of the driver's record."""
    grants = claim_grants([record(unit(), pods=(("virt-launcher", "uid"),))], "")
    told = environment(grants)
    claims = {grant.resource: (grant.claim, *grant.device_ids) for grant in grants}
    path = directory / "allocation.env"
    path.write_bytes(to_env_file(told.variables, told.resources, {RESOURCE: 1}, claims))
    return path


def call(path: Path, xml: bytes, given: bytes, *, groups: tuple[int, int] = (61, 61)) -> Answer:
    host = machine(
        function(CARD, group=groups[0], class_code=GPU),
        function(SOUND, group=groups[1], class_code=AUDIO),
    )
    return HookCore(lambda: Channels(files=(str(path),)), lambda *_: host, wait=0.0).define(
        xml, given, deadline=monotonic() + 60
    )


@pytest.mark.parametrize("groups", [(61, 61), (61, 62)])
@pytest.mark.parametrize(("alias", "by_claim"), [(ALIAS, True), ("ua-gpu-gpu", False)])
def test_the_whole_card_comes_in_by_claim_and_by_name(
    tmp_path: Path, alias: str, groups: tuple[int, int], *, by_claim: bool
) -> None:
    answer = call(allocation_file(tmp_path), domain(alias), vmi(by_claim=by_claim), groups=groups)
    devices = Domain.parse(answer.xml).host_devices

    assert [str(source) for source in devices] == [CARD, SOUND]
    places = [one.element.find("address") for one in devices.values()]
    assert [place.get("function") for place in places if place is not None] == ["0x0", "0x1"]
    assert len({place.get("bus") for place in places if place is not None}) == 1


def test_what_kubevirt_did_not_put_in_is_named_with_its_claim(tmp_path: Path) -> None:
    with pytest.raises(PassgateError) as refused:
        call(allocation_file(tmp_path), domain(""), vmi(by_claim=True))

    assert refused.value.code == "device-not-found"
    assert "the request devices/gpu" in refused.value.message
