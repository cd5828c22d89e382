"""`passgate slots`: who sits where in the guest, and how that is known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.domxml.domains import FOLDER, load, names
from tests.domxml.realdomains import NO_BALLOON, VDA, domain, pci
from tests.hostdev.cli.injecting import passgate
from tests.hostdev.cli.running import Ran
from tests.hostdev.cli.validator import errors, schema

HOLDERS = domain(
    "q35",
    "<controller type='pci' index='0' model='pcie-root'/>",
    f"<controller type='pci' index='1' model='pcie-root-port'>{pci(0, 2)}</controller>",
    f"<controller type='pci' index='2' model='pcie-root-port'>{pci(0, 3)}</controller>",
    "<interface type='hostdev'><mac address='02:00:00:00:00:01'/><source>"
    f"<address type='pci' domain='0' bus='0x3b' slot='2' function='0'/></source>{pci(1, 0)}</interface>",
    "<disk type='nvme' device='disk'><source type='pci' namespace='1'>"
    f"<address domain='0' bus='0x41' slot='0' function='0'/></source><target dev='vdb' bus='virtio'/>"
    f"{pci(2, 0)}</disk>",
    NO_BALLOON,
)
UNKNOWN = domain("q35", "<interface type='user'/>", VDA % pci(0, 0x10), NO_BALLOON)


def slots(given: bytes, *words: str) -> Any:
    outcome = passgate("slots", *words, "-o", "json", given=given)
    assert outcome.code == 0, outcome
    document = json.loads(outcome.out)
    assert list(errors(document, schema("slotlist.json"))) == []
    return document


@pytest.mark.parametrize("name", names())
def test_every_domain_has_a_list_that_fits_its_schema(name: str) -> None:
    document = slots(load(name))

    assert document["kind"] == "SlotList"
    known = [one["guestAddress"] for one in document["items"] if one["guestAddress"]]
    assert len(known) == len(set(known))
    assert known == sorted(known)
    assert bool(document["unknown"]) == any(one["place"] == "unknown" for one in document["items"])


def test_what_is_planned_is_where_the_transform_leaves_it() -> None:
    before = {one["name"]: one["guestAddress"] for one in slots(load("q35-default"))["items"]}
    with_it = passgate("inject", "--device", "3d:02.2,name=qat", given=load("q35-default")).out

    after = slots(with_it)

    mine = next(one for one in after["items"] if one["source"] == "0000:3d:02.2")
    assert (mine["element"], mine["name"], mine["ours"]) == ("hostdev", "ua-passgate-qat", True)
    assert (mine["place"], mine["controller"]) == ("written", {"index": 9, "model": "pcie-root-port"})
    others = {one["name"]: one["guestAddress"] for one in after["items"] if one is not mine}
    assert others == before
    assert {one["ours"] for one in after["controllers"] if one["index"]} == {True}


def test_whatever_holds_a_device_of_the_host_names_it() -> None:
    there = {one["name"]: (one["source"], one["guestAddress"], one["place"]) for one in slots(HOLDERS)["items"]}

    assert there["02:00:00:00:00:01"] == ("0000:3b:02.0", "0000:01:00.0", "written")
    assert there["vdb"] == ("0000:41:00.0", "0000:02:00.0", "written")


def test_what_is_not_known_is_said() -> None:
    outcome = passgate("slots", given=UNKNOWN)

    assert "where libvirt will put the others is not known: " in outcome.err
    assert b"unknown" in outcome.out
    assert b"0000:00:10.0" in outcome.out
    document = slots(UNKNOWN)
    assert document["unknown"]
    assert [one["guestAddress"] for one in document["items"]][-1] is None


def test_what_libvirt_would_refuse_is_said() -> None:
    twice = domain("q35", VDA % pci(0, 0x10), (VDA % pci(0, 0x10)).replace("vda", "vdb"), NO_BALLOON)

    assert "libvirt would refuse this domain as it is: Attempted double use" in passgate("slots", given=twice).err


def test_a_table_for_people_and_for_scripts(cli: Callable[..., Ran]) -> None:
    path = str(FOLDER / "q35-sriov-2.xml")
    table = cli("slots", path).out.splitlines()
    assert table[0].split() == ["GUEST", "ADDRESS", "DEVICE", "NAME", "SOURCE", "ON", "PLACE", "OURS"]
    assert any(line.split()[:4] == ["0000:04:00.0", "hostdev", "ua-sriov-sriov0", "0000:3b:02.0"] for line in table)
    assert all(" pci 1 " not in line for line in table)
    assert any(" pci 1 " in line for line in cli("slots", path, "-o", "wide").out.splitlines())

    rows = list(csv.DictReader(io.StringIO(cli("slots", path, "-o", "csv", "--columns", "guest-address,source").out)))
    assert {"guest-address": "0000:04:00.0", "source": "0000:3b:02.0"} in rows


def test_no_device_and_no_domain_are_told() -> None:
    assert "no device of this domain is on a PCI bus" in passgate("slots", given=load("s390x-ccw")).err
    outcome = passgate("slots", "/nothing/there.xml")
    assert (outcome.code, outcome.out) == (2, b"")
    assert "/nothing/there.xml: cannot read the domain XML" in outcome.err
    assert passgate("slots", "--connect", "test:///default").code == 2


def test_a_domain_that_libvirt_knows_is_named() -> None:
    pytest.importorskip("libvirt")

    outcome = passgate("slots", "test", "--connect", "test:///default", "-o", "json")
    assert json.loads(outcome.out)["domain"] == "test"
    assert json.loads(outcome.out)["refusal"] is None
    outcome = passgate("slots", "nope", "--connect", "test:///default")
    assert outcome.code == 2
    assert "nope: libvirt says: Domain not found [no-such-domain]" in outcome.err
    assert "domains of test:///default: test" in outcome.err
    outcome = passgate("inject", "test", "--connect", "test:///default")
    assert (outcome.code, b"<name>test</name>" in outcome.out) == (0, True)
