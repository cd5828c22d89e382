"""Each scenario before a real libvirt: accepted, every device where it was, also through the passes of a boot."""

from __future__ import annotations

import json
from functools import cache

import pytest
from lxml import etree

from domxml.version import LibvirtVersion
from hostdev.kubevirt.boot import Pass, boot
from tests.domxml.domains import load
from tests.hooksidecar.guests import guest_of_domain
from tests.hostdev.cli.injecting import passgate
from tests.oracle.addresses import Addresses, guest_addresses, moved
from tests.oracle.client import Defined, Oracle
from tests.scenarios.cases import Case

pytestmark = pytest.mark.oracle


def defined(oracle: Oracle, xml: bytes) -> Defined:
    answer = oracle.define(xml, redefine=True)
    assert isinstance(answer, Defined), answer.message
    return answer


def inject(case: Case, oracle: Oracle, xml: bytes) -> bytes:
    outcome = case.inject("--libvirt", str(LibvirtVersion.from_number(oracle.version)), domain=xml)
    assert outcome.code == 0, outcome.err
    return outcome.out


@cache
def wished(case: Case) -> frozenset[str]:
    """The devices that shall move: those we were asked to place."""
    plan = json.loads(case.inject("-o", "json").out)
    return frozenset(f"hostdev:{device['type']}:{device['source']}" for device in plan["devices"])


def of_the_base(case: Case, addresses: Addresses) -> Addresses:
    ours = wished(case)
    return {key: address for key, address in addresses.items() if key not in ours}


def test_it_is_accepted_and_nothing_moves(oracle: Oracle, case: Case) -> None:
    base, ours = defined(oracle, case.domain), defined(oracle, inject(case, oracle, case.domain))

    assert moved(of_the_base(case, base.addresses), ours.addresses) == {}
    assert wished(case) <= ours.addresses.keys()
    assert ours.again is not None
    assert guest_addresses(ours.again) == ours.addresses


def test_libvirt_keeps_all_of_it(oracle: Oracle, case: Case) -> None:
    """What libvirt reads back is complete: one more run adds nothing to a device."""
    xml = inject(case, oracle, case.domain)
    read = defined(oracle, xml).xml

    assert settings(read) == settings(xml)
    assert guest_addresses(inject(case, oracle, read)) == guest_addresses(read)


def test_a_boot_keeps_every_address(oracle: Oracle, case: Case) -> None:
    """The passes of virt-launcher, with libvirt's read-back between them."""
    with_us, without = passes(oracle, case, ours=True), passes(oracle, case, ours=False)
    places = [{key: guest_addresses(one.defined)[key] for key in wished(case)} for one in with_us]

    assert all(place == places[0] for place in places)
    for mine, base in zip(with_us[1:] or with_us, without[1:] or without, strict=True):
        # Placeholders are gone after the first pass. Root ports that KubeVirt adds for hotplug come after ours, with
        # other indexes: no device sits on them.
        guest = {k: a for k, a in guest_addresses(base.defined).items() if not k.startswith("controller:pci:")}
        assert moved(of_the_base(case, guest), guest_addresses(mine.defined)) == {}
    assert settings(with_us[-1].answered) == settings(with_us[0].answered)


def passes(oracle: Oracle, case: Case, *, ours: bool) -> list[Pass]:
    return boot(
        case.domain,
        lambda xml: inject(case, oracle, xml) if ours else xml,
        lambda xml: defined(oracle, xml).xml,
        guest_of_domain(case.domain),
    )


def settings(xml: bytes) -> dict[str, dict[str, dict[str, str]]]:
    """By alias: where it sits, and what was asked of it."""
    return {_child(hostdev, "alias")["name"]: _settings(hostdev) for hostdev in etree.fromstring(xml).iter("hostdev")}


def _settings(hostdev: etree._Element) -> dict[str, dict[str, str]]:
    address = {key: value for key, value in _child(hostdev, "address").items() if key != "multifunction"}
    return {"address": address, "rom": _child(hostdev, "rom"), "acpi": _child(hostdev, "acpi")}


def _child(hostdev: etree._Element, tag: str) -> dict[str, str]:
    return {str(key): str(value) for child in hostdev.iterfind(tag) for key, value in child.attrib.items()}


def test_who_has_to_make_room_is_the_only_one_that_moves(oracle: Oracle) -> None:
    """On a conventional bus a planned place may be taken; those behind it stay where they would be."""
    base = load("i440fx")
    outcome = passgate("inject", "--device", "3d:02.2,name=qat,guest=00:04.0", given=base)
    before, after = (defined(oracle, xml).addresses for xml in (base, outcome.out))

    assert list(moved(before, after)) == ["controller:scsi:0"]
    assert f"controller scsi 0: its guest address becomes {after['controller:scsi:0']}" in outcome.err
    assert outcome.err.count("base-device-moves") == 1
