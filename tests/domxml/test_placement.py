"""Where devices go, and that nothing else moves: against our own emulation here, against libvirt in tests/oracle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.guestpci import prediction
from domxml.guestpci.prediction import predict
from domxml.guestpci.topology import Topology
from domxml.kubevirt import spare_ports
from domxml.pciaddress import PciAddress
from domxml.placement.basedevices import differences, with_ports
from domxml.transform import transform
from tests.domxml.domains import load, names, recorded_passes
from tests.domxml.generated import domains
from tests.domxml.guestaddresses import ASKED, REFUSED
from tests.domxml.guestslots import guest_of, inject, multifunction, tree_of, wish

QAT = wish("qat", "0000:3d:02.2", rom_bar="off")


def addresses(xml: bytes) -> dict[str, str]:
    """Every device of the base and the address libvirt will give it, by a name that survives a rewrite."""
    topology = Topology(Domain.parse(xml))
    foreseen = predict(topology)
    assert foreseen.known, (foreseen.unknown, foreseen.refusal)
    found = {f"pci {port.index} {port.model.name}": str(port.address) for port in foreseen.ports}
    turns: Counter[str] = Counter()
    for device in topology.devices:
        alias = device.kids.get("alias")
        if alias is None or not alias.get("name", "").startswith("ua-passgate"):
            turns[device.step.name] += 1
            found[f"{device.step.name} {turns[device.step.name]}"] = str((foreseen.addresses or {}).get(device))
    added = [(d.kind, a) for d, a in (foreseen.addresses or {}).items() if d.element is None]
    return found | {f"added {kind}": str(address) for kind, address in added}


@pytest.mark.parametrize("path", recorded_passes(), ids=lambda path: path.name)
def test_the_prediction_is_what_libvirt_made_of_it(path: Path) -> None:
    topology = Topology(Domain.parse(path.read_bytes()))
    foreseen = predict(topology)
    read_back = Topology(Domain.parse(path.with_name(path.name.replace(".out.", ".readback.")).read_bytes()))

    assert {port.index: port.address for port in foreseen.ports} == {
        controller.index: controller.address for controller in read_back.controllers
    }
    assert sorted((foreseen.addresses or {}).values()) == sorted(
        device.address for device in read_back.devices if device.address is not None
    )


@settings(max_examples=200, deadline=None)
@given(domains())
def test_the_second_run_is_left_out_only_where_it_changes_nothing(xml: bytes) -> None:
    short = addresses(xml)
    with mock.patch.object(prediction._Run, "nothing_can_shift", autospec=True, return_value=False):
        assert addresses(xml) == short


@settings(max_examples=150, deadline=None)
@given(domains())
def test_nothing_of_the_base_moves(xml: bytes) -> None:
    before = addresses(xml)
    after = addresses(inject(xml, QAT, wish("vf", "0000:3d:02.3"), multifunction("gpu", "0000:65:00.0", 2)).xml)

    assert {key: after.get(key) for key in before} == before


@settings(max_examples=200, deadline=None)
@given(domains(), st.integers(1, 16))
def test_ports_beside_devices_on_ports_of_their_own_move_nothing(document: bytes, spare: int) -> None:
    topology = Topology(Domain.parse(document))
    first, second = predict(topology), predict(with_ports(topology, spare))

    assert not first.on_own_ports or not list(differences(first, second))


@settings(max_examples=100, deadline=None)
@given(domains(), st.permutations([QAT, wish("vf-2", "3d:02.3"), wish("vf-10", "3d:02.4"), wish("b", "3d:02.5")]))
def test_the_order_of_wishes_does_not_matter_and_twice_is_once(xml: bytes, wishes: list) -> None:  # type: ignore[type-arg]
    once = inject(xml, *wishes)
    sorted_once = inject(xml, *sorted(wishes, key=lambda wish: wish.name))

    assert once.xml == sorted_once.xml
    assert inject(once.xml, *wishes).xml == once.xml


@pytest.mark.parametrize("name", names())
def test_a_device_is_added_once_and_found_again(name: str) -> None:
    first = inject(load(name), QAT)
    second = inject(first.xml, QAT)

    assert [change.action for change in first.changes] == ["added"]
    assert [change.action for change in second.changes] == ["unchanged"]
    assert second.xml == first.xml


@pytest.mark.parametrize("name", names())
def test_everything_outside_the_edits_is_the_same(name: str) -> None:
    data = load(name)
    edited = Domain.parse(inject(data, QAT).xml)
    for element in list(edited.devices):
        alias = element.find("alias")
        ours = alias is not None and alias.get("name") == "ua-passgate-qat"
        if ours or (element.tag == "controller" and element.get("type") == "pci"):
            edited.devices.remove(element)
    original = Domain.parse(data)
    for element in original.devices.findall("controller[@type='pci']"):
        original.devices.remove(element)
    for domain in (edited, original):
        for element in domain.devices:
            element.tail = None

    assert etree.tostring(edited.root, method="c14n") == etree.tostring(original.root, method="c14n")


def test_names_decide_the_place_in_natural_order() -> None:
    wishes = [wish(f"vf-{number}", f"0000:3d:{number:02x}.0") for number in (2, 9, 1)]
    places = guest_of(inject(load("q35-default"), *wishes, wish("vf-10", "0000:3d:0a.0")))

    assert sorted(places, key=lambda alias: places[alias]) == [f"ua-passgate-vf-{n}" for n in (1, 2, 9, 10)]


@pytest.mark.parametrize(("name", "asked", "got"), ASKED)
def test_an_address_asked_for_is_honoured(name: str, asked: str, got: str) -> None:
    result = inject(load(name), wish("qat", "3d:02.2", asked))

    assert guest_of(result) == {"ua-passgate-qat": got}
    assert not [finding for finding in result.findings if finding.code == "base-device-moves"]


@pytest.mark.parametrize(("name", "asked", "words"), REFUSED)
def test_an_address_that_cannot_be_is_refused_in_libvirts_words(name: str, asked: str, words: str) -> None:
    with pytest.raises(PassgateError, match=words) as refusal:
        inject(load(name), wish("qat", "3d:02.2", asked))

    assert refusal.value.subject == "qat"
    assert refusal.value.exit_code == 5


def test_an_address_that_two_wishes_want_is_refused() -> None:
    with pytest.raises(PassgateError, match="Attempted double use"):
        inject(load("q35-default"), wish("a", "3d:02.2", "09:00.0"), wish("b", "3d:02.3", "09:00.0"))


def test_two_wishes_may_share_a_slot_by_function() -> None:
    result = inject(load("q35-default"), wish("a", "3d:02.2", "09:00.0"), wish("b", "3d:02.3", "09:00.1"))

    assert guest_of(result) == {"ua-passgate-a": "0000:09:00.0", "ua-passgate-b": "0000:09:00.1"}


def test_on_i440fx_an_address_asked_for_wins_and_what_moves_is_told() -> None:
    result = inject(load("i440fx"), wish("qat", "3d:02.2", "00:04.0"))

    assert guest_of(result) == {"ua-passgate-qat": "0000:00:04.0"}
    assert {finding.code for finding in result.findings} == {"base-device-moves"}
    assert result.findings[0].subject == "controller scsi 0"


def test_the_akraino_hostdev() -> None:
    hostdev = tree_of(inject(load("i440fx"), wish("qat", "3d:02.2", "00:04.0")).xml).find("devices/hostdev")

    assert dict(hostdev.attrib) == {"mode": "subsystem", "type": "pci", "managed": "no"}
    assert hostdev.find("driver").get("name") == "vfio"
    assert dict(hostdev.find("source/address").attrib) == PciAddress.parse("3d:02.2").attributes()
    assert dict(hostdev.find("address").attrib) == {"type": "pci", **PciAddress.parse("00:04.0").attributes()}
    assert hostdev.find("alias").get("name") == "ua-passgate-qat"


def test_a_multifunction_device_shares_one_slot() -> None:
    result = inject(load("q35-default"), multifunction("gpu", "0000:65:00.0", 4))
    places = [PciAddress.parse(address) for address in guest_of(result).values()]

    assert [place.function for place in places] == [0, 1, 2, 3]
    assert len({place.slot_address for place in places}) == 1
    first = tree_of(result.xml).find("devices/hostdev/address")
    assert first.get("multifunction") == "on"


NUMA = (("q35-numa-dedicated-hugepages-1gi", 0),)


@pytest.mark.parametrize(("name", "node"), NUMA)
def test_devices_of_a_node_sit_behind_an_expander_bus_with_its_own_number(name: str, node: int) -> None:
    wishes = [wish(f"vf-{number}", f"3d:02.{number}", node=node) for number in range(4)]
    tree = tree_of(inject(load(name), *wishes).xml)
    expander = tree.find("devices/controller[@model='pcie-expander-bus']")

    assert expander.find("target/node").text == str(node)
    assert int(expander.find("target").get("busNr")) + 4 <= 255
    behind = f"{int(expander.get('index')):#04x}"
    assert len(tree.findall(f"devices/controller/address[@bus='{behind}']")) == 4


def test_a_guest_numbers_the_buses_of_the_main_tree_as_we_do_when_others_are_on_nodes() -> None:
    wishes = [wish("near", "3d:02.1", node=0), wish("asked", "3d:02.2", guest="0b:00.0"), wish("plain", "3d:02.3")]
    result = inject(load("q35-numa-dedicated-hugepages-1gi"), *wishes)
    controllers = tree_of(result.xml).findall("devices/controller[@type='pci']")
    addresses = {int(one.get("index")): one.find("address") for one in controllers}
    ports = {
        PciAddress.from_attributes(addresses[int(one.get("index"))].attrib): int(one.get("index"))
        for one in controllers
        if one.get("model") == "pcie-root-port" and addresses[int(one.get("index"))].get("bus") == "0x00"
    }

    # Firmware goes through the slots of bus 0, and skips expander buses.
    assert [index for _, index in sorted(ports.items())] == list(range(1, len(ports) + 1))
    assert guest_of(result)["ua-passgate-asked"] == "0000:0b:00.0"
    assert int(guest_of(result)["ua-passgate-plain"].split(":")[1], 16) in ports.values()


def test_a_bus_that_the_guest_counts_lower_is_told() -> None:
    on_node = wish("near", "3d:02.1", node=0)
    before = inject(load("q35-numa-dedicated-hugepages-1gi"), on_node)
    after = inject(before.xml, on_node, wish("late", "3d:02.2"))

    assert [(finding.code, finding.subject) for finding in before.findings] == []
    assert [(finding.code, finding.subject) for finding in after.findings] == [("guest-bus-lower", "late")]
    assert guest_of(after)["ua-passgate-near"] == guest_of(before)["ua-passgate-near"]


@pytest.mark.parametrize(
    ("name", "asked", "hint"),
    [
        ("q35-default", "0000:00:00.0", "bus 1 or above"),
        ("i440fx", "0000:09:00.0", "slot of bus 0"),
        ("s390x-ccw", "0000:01:00.0", "slot of bus 0"),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_one_that_can(name: str, asked: str, hint: str) -> None:
    with pytest.raises(PassgateError) as refusal:
        inject(load(name), wish("qat", "3d:02.2", guest=asked))

    assert refusal.value.code == "guest-address-impossible"
    assert hint in refusal.value.hint
    possible = refusal.value.hint.rpartition(" ")[2]
    assert guest_of(inject(load(name), wish("qat", "3d:02.2", guest=possible))) == {"ua-passgate-qat": possible}


def test_a_node_that_the_guest_does_not_have_is_told_and_the_device_placed_normally() -> None:
    result = inject(load("q35-default"), wish("qat", "3d:02.2", node=3))

    assert [finding.code for finding in result.findings] == ["numa-not-possible"]
    assert guest_of(result)["ua-passgate-qat"] == "0000:09:00.0"


def test_what_is_not_known_is_not_guessed() -> None:
    xml = load("q35-default").replace(b'<model type="virtio-non-transitional"></model>', b"")
    result = inject(xml, QAT)

    assert [finding.code for finding in result.findings] == ["placement-fallback"]
    assert "interface ua-default" in result.findings[0].message
    assert guest_of(result) == {"ua-passgate-qat": "0000:00:10.0"}
    assert not result.controllers


def test_an_unknown_machine_is_left_to_libvirt_or_refused() -> None:
    xml = load("q35-default").replace(b'machine="q35"', b'machine="microvm"')
    with pytest.raises(PassgateError) as refusal:
        inject(xml, QAT)
    shown = xml.replace(b"<devices>", b"<devices><controller type='pci' index='0' model='pcie-root'/>")
    result = inject(shown, QAT)

    assert refusal.value.code == "unsupported-machine"
    assert [finding.code for finding in result.findings] == ["placement-left-to-libvirt"]
    assert guest_of(result) == {"ua-passgate-qat": "None"}


def test_a_zpci_device_has_its_identity_and_gets_it_back() -> None:
    first = inject(load("s390x-ccw"), QAT).xml
    tree = tree_of(first)
    zpci = tree.find("devices/hostdev/address/zpci")
    wanted = dict(zpci.attrib)
    zpci.getparent().remove(zpci)
    again = tree_of(inject(etree.tostring(tree), QAT).xml)

    assert int(wanted["uid"], 0) >= 0x1000
    assert dict(again.find("devices/hostdev/address/zpci").attrib) == wanted


@pytest.mark.parametrize("count", [64, 65, 140, 250])
def test_many_devices_until_there_is_no_room(count: int) -> None:
    wishes = [wish(f"vf-{n}", f"{n >> 8:04x}:{n & 0xFF:02x}:00.0") for n in range(1, count + 1)]
    if count > 140:
        with pytest.raises(PassgateError) as refusal:
            inject(load("q35-minimal"), *wishes)

        assert refusal.value.code == "no-free-place"
        return
    result = inject(load("q35-minimal"), *wishes)

    assert len(set(guest_of(result).values())) == count
    assert any(finding.code == "hotplug-ports-reduced" for finding in result.findings)


@pytest.mark.parametrize("name", ["q35-minimal", "q35-default"])
@pytest.mark.parametrize("count", [1, 2, 8, 9, 12, 16, 17, 24, 40])
def test_fewer_ports_for_hotplug_are_told_exactly_where_kubevirt_adds_fewer(name: str, count: int) -> None:
    base, spare = load(name), spare_ports(Domain.parse(load(name)))
    result = inject(base, *(wish(f"vf-{n}", f"61:{n // 8:02x}.{n % 8}") for n in range(count)))

    told = [finding for finding in result.findings if finding.code == "hotplug-ports-reduced"]
    assert bool(told) == (ports_added(result.xml, spare) < ports_added(base, spare))


@pytest.mark.parametrize("name", ["q35-minimal", "q35-default"])
def test_an_address_on_a_port_that_kubevirt_would_add_is_told_where_it_costs_one(name: str) -> None:
    base, spare = load(name), spare_ports(Domain.parse(load(name)))
    highest = max(port.index for port in predict(Topology(Domain.parse(base))).ports)
    costs = set()
    for bus in range(highest + 1, 32):
        result = inject(base, wish("vf", "61:00.0", f"0000:{bus:02x}:00.0"))
        told = "hotplug-ports-reduced" in {finding.code for finding in result.findings}
        assert told == (ports_added(result.xml, spare) < ports_added(base, spare)), hex(bus)
        costs.add(told)

    assert costs == {False, True}


def ports_added(xml: bytes, spare: int) -> int:
    """How many KubeVirt adds above the highest index that the domain has then, up to 31."""
    foreseen = predict(Topology(Domain.parse(xml)))
    return min(spare, max(0, 31 - max(port.index for port in foreseen.ports)))


def test_a_vm_that_is_not_kubevirts_hears_nothing_of_its_ports() -> None:
    plain = load("q35-minimal").replace(b"kubevirt", b"example")
    result = inject(plain, *(wish(f"vf-{n}", f"61:{n // 8:02x}.{n % 8}") for n in range(40)))

    assert "hotplug-ports-reduced" not in {finding.code for finding in result.findings}


def test_pruning_takes_out_what_nobody_asks_for_any_more() -> None:
    first = inject(load("q35-default"), QAT, wish("old", "3d:02.7")).xml
    result = transform(Domain.parse(first), [QAT], prune=True)

    assert result.removed == ("ua-passgate-old",)
    assert b"ua-passgate-old" not in result.xml
    assert guest_of(result) == {"ua-passgate-qat": guest_of(inject(first, QAT))["ua-passgate-qat"]}


def test_a_device_that_kubevirt_made_keeps_its_alias_and_the_others_their_places() -> None:
    base = load("q35-gpu-1")
    source = tree_of(base).find("devices/hostdev/source/address")
    result = inject(base, wish("gpu", str(PciAddress.from_attributes(source.attrib)), "0000:0c:00.0"))
    before, after = addresses(base), addresses(result.xml)

    assert guest_of(result) == {"ua-gpu-gpu0": "0000:0c:00.0"}
    assert before.pop("HOSTDEV 1") == "0000:06:00.0"
    assert after["HOSTDEV 1"] == "0000:0c:00.0"
    assert {key: after.get(key) for key in before} == before
    assert not result.findings


@pytest.mark.parametrize("bus", [0xFF, 0xC0])
def test_a_bus_too_far_is_refused_with_the_highest_there_is_room_for(bus: int) -> None:
    with pytest.raises(PassgateError) as refusal:
        inject(load("q35-default"), wish("x", "3d:02.2", f"{bus:02x}:00.0"))
    highest = refusal.value.hint.partition("bus: ")[2].partition(" ")[0]

    assert f"guest bus {bus:#04x}" in refusal.value.message
    assert guest_of(inject(load("q35-default"), wish("x", "3d:02.2", f"{highest}:00.0"))) == {
        "ua-passgate-x": f"0000:{highest}:00.0"
    }


@pytest.mark.parametrize("function", [1, 7])
def test_an_address_of_another_function_than_the_first_is_refused(function: int) -> None:
    with pytest.raises(PassgateError) as refusal:
        inject(load("q35-default"), multifunction("x", "3d:02.0", 2, f"10:00.{function}"))

    assert (refusal.value.code, refusal.value.hint) == ("bad-functions", "ask for 0000:10:00.0")
