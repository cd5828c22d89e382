"""`passgate.dev/devices`: every key, every mistake, and that nothing else can come of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domxml.attributes import ATTRIBUTES, NUMBER, check
from domxml.errors import SENTENCE_LIMIT, BadInput
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from domxml.version import LibvirtVersion
from hostdev.vmi.annotations import DEVICE_KEYS, DEVICES, MOST_DEVICES, ROM_KEYS, read_devices, requests
from hostdev.vmi.request import Request, parse_device
from hostdev.vmi.vmi import Vmi
from tests.hostdev.vmi.jsonvalues import ENTRIES, JSON

UUID = "83b8f4f2-509f-4c95-b1e5-6f2f8a6a5a4e"
NEWEST = LibvirtVersion(99, 0)


def read(*entries: Any) -> tuple[Request, ...]:
    found = requests(Vmi(annotations={DEVICES: json.dumps(entries)}))
    assert found is not None
    return found


def refused(text: str) -> list[str]:
    return [str(error).removeprefix("bad-annotation: ") for error in read_devices(text).errors]


def test_what_is_not_written_is_not_asked() -> None:
    assert requests(Vmi()) is None
    assert read() == ()


@pytest.mark.parametrize(
    ("entry", "request_"),
    [
        ({"resource": "qat.intel.com/generic"}, Request(resource="qat.intel.com/generic")),
        ({"device": "sriov-net"}, Request(device="sriov-net")),
        ({"address": "3D:02.2"}, Request(PciAddress(0, 0x3D, 2, 2))),
        ({"address": UUID.upper()}, Request(Mdev(UUID))),
        ({"resource": "a.b/c", "count": 2, "name": "qat_0"}, Request(resource="a.b/c", quantity=2, name="qat_0")),
        (
            {"resource": "a.b/c", "guestAddress": "0000:09:00.0"},
            Request(resource="a.b/c", guests=(PciAddress(0, 9, 0, 0),)),
        ),
        (
            {"resource": "a.b/c", "count": 2, "guestAddress": ["09:00.0", "0a:00.0"]},
            Request(resource="a.b/c", quantity=2, guests=(PciAddress(0, 9, 0, 0), PciAddress(0, 10, 0, 0))),
        ),
        ({"device": "g", "count": 1}, Request(device="g", quantity=1)),
        ({"device": "g", "functions": "all", "numa": "host"}, Request(device="g", functions="all", numa="host")),
        ({"device": "g", "functions": "0+1", "numa": 1}, Request(device="g", functions="0+1", numa="1")),
        ({"device": "g", "numa": "0"}, Request(device="g", numa="0")),
    ],
)
def test_an_entry_is_a_request(entry: dict[str, Any], request_: Request) -> None:
    assert read(entry) == (request_,)


@pytest.mark.parametrize(
    ("extra", "attributes"),
    [
        ({"rom": {"bar": "off"}}, {"rom.bar": "off"}),
        ({"rom": {"bar": True, "file": "/gpu.rom"}}, {"rom.bar": "on", "rom.file": "/gpu.rom"}),
        ({"rom": {"enabled": False}}, {"rom.enabled": "no"}),
        ({"rom": {"enabled": "yes"}}, {"rom.enabled": "yes"}),
        ({"rom": {}}, {}),
        ({"bootOrder": 2, "acpiIndex": 7}, {"bootOrder": "2", "acpiIndex": "7"}),
        ({"driverModel": "mlx5_vfio_pci"}, {"driverModel": "mlx5_vfio_pci"}),
        ({"display": True, "ramfb": "off"}, {"display": "on", "ramfb": "off"}),
        ({"teaming": "ua-default"}, {"teaming": "ua-default"}),
    ],
)
def test_attributes_as_the_command_line_has_them(extra: dict[str, Any], attributes: dict[str, str]) -> None:
    (found,) = read({"address": "0000:3d:02.2", **extra})

    assert found.attributes == attributes
    spelled = "".join(f",{key}={value}" for key, value in attributes.items())
    assert parse_device(f"0000:3d:02.2{spelled}") == found


def test_every_attribute_can_be_written() -> None:
    """A new row of the table of attributes must be one of the types that are read here."""
    examples = {"teaming": "ua-x", "rom.file": "/x", "driverModel": "x"}
    for key, row in ATTRIBUTES.items():
        value = examples.get(key, 1 if row.legal == NUMBER else True)
        entry = {"rom": {key.removeprefix("rom."): value}} if key.startswith("rom.") else {key: value}
        (found,) = read({"device": "x", **entry})

        assert list(found.attributes) == [key]
        check(key, found.attributes[key], Mdev(UUID) if row.mdev else PciAddress(0, 0, 1, 0), NEWEST)
    assert {*DEVICE_KEYS, *(f"rom.{key}" for key in ROM_KEYS)} >= set(ATTRIBUTES)


ONE = '[{"device": "x", %s}]'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{DEVICES}: is empty: leave it out, or write JSON"),
        ("null", f"{DEVICES}: must be a list of objects, is null: put [ and ] around it"),
        ('{"device": "x"}', f"{DEVICES}: must be a list of objects, is an object: put [ and ] around it"),
        ('["x"]', f'{DEVICES}[0]: must be an object, is "x"'),
        ("[{'device': 'x'}]", f"{DEVICES}: is not JSON: Expecting property name enclosed in double quotes"),
        ("[" * 5000, f"{DEVICES}: "),
        (ONE % '"count": 1, "count": 1', f'{DEVICES}[0]: has the key "count" twice: keep one of them'),
        (ONE % '"count": NaN', f"{DEVICES}[0].count: is NaN, which JSON does not know"),
        (ONE % '"count": "two"', f'{DEVICES}[0].count: must be a whole number, is "two"'),
        (ONE % '"count": 0', f"{DEVICES}[0].count: must be between 1 and 256, is 0"),
        (ONE % f'"count": {"9" * 4000}', f"{DEVICES}[0].count: must be between 1 and 256, is a number that is too"),
        (ONE % f'"count": {"9" * 5000}', f"{DEVICES}: holds a number that is too long"),
        (ONE % '"count": true', f"{DEVICES}[0].count: must be a whole number, is true"),
        (ONE % '"count": null', f"{DEVICES}[0].count: must not be null: leave count out"),
        (ONE % '"count": 2', f"{DEVICES}[0].count: must be 1 for a device: a device is one device; leave count out"),
        (ONE % '"guestAdress": ""', f'{DEVICES}[0]: there is no key "guestAdress": did you mean guestAddress?'),
        (ONE % '"xyzzy": ""', f'{DEVICES}[0]: there is no key "xyzzy": known: resource, device, address, name,'),
        (ONE % '"guestAddress": "9"', f"{DEVICES}[0].guestAddress: '9' is not a PCI address"),
        (ONE % '"guestAddress": ["9"]', f"{DEVICES}[0].guestAddress[0]: '9' is not a PCI address"),
        (ONE % '"guestAddress": [9]', f"{DEVICES}[0].guestAddress[0]: must be text, is 9"),
        (ONE % '"guestAddress": 9', f"{DEVICES}[0].guestAddress: must be an address, or a list of addresses, is 9"),
        (ONE % '"guestAddress": []', f"{DEVICES}[0].guestAddress: is an empty list: leave guestAddress out"),
        (ONE % '"guestAddress": ["9:00.0"]', "is not a PCI address"),
        (
            ONE % '"guestAddress": ["09:00.0", "0a:00.0"]',
            f"{DEVICES}[0].guestAddress: has 2 addresses for 1 device: write one address a device",
        ),
        (ONE % '"name": "a.b"', f'{DEVICES}[0].name: must be made of letters, digits, - and _, at most 63, is "a.b"'),
        (ONE % '"name": ""', f'{DEVICES}[0].name: must be made of letters, digits, - and _, at most 63, is ""'),
        (ONE % '"functions": "0,1"', f"{DEVICES}[0].functions: must be one, all (every function of the host slot)"),
        (ONE % '"functions": 1', f"{DEVICES}[0].functions: must be text, is 1"),
        (ONE % '"numa": "near"', f"{DEVICES}[0].numa: must be host (the guest node"),
        (ONE % '"numa": -1', f"{DEVICES}[0].numa: must be between 0 and 9999, is -1"),
        (ONE % '"rom": "off"', f'{DEVICES}[0].rom: must be an object, is "off"'),
        (ONE % '"rom": {"baar": "off"}', f'{DEVICES}[0].rom: there is no key "baar": did you mean bar?'),
        (ONE % '"rom": {"bar": "no"}', f'{DEVICES}[0].rom.bar: must be "on" or "off", is "no"'),
        (ONE % '"rom": {"file": "gpu.rom"}', f'{DEVICES}[0].rom.file: must be text like /.+, is "gpu.rom"'),
        (ONE % '"rom": {"bar": 1}', f"{DEVICES}[0].rom.bar: must be text, is 1"),
        (ONE % '"acpiIndex": "7"', f'{DEVICES}[0].acpiIndex: must be a whole number, is "7"'),
        (ONE % '"acpiIndex": true', f"{DEVICES}[0].acpiIndex: must be a whole number, is true"),
        (ONE % '"bootOrder": 0', f"{DEVICES}[0].bootOrder: must be between 1 and 99999, is 0"),
        (ONE % '"driverModel": 5', f"{DEVICES}[0].driverModel: must be text, is 5"),
        (ONE % '"display": "yes"', f'{DEVICES}[0].display: must be "on" or "off", is "yes"'),
        (ONE % '"teaming": "default"', f"{DEVICES}[0].teaming: must be text like ua-[A-Za-z0-9_-]+"),
        (ONE % '"resource": "a.b/c"', f"{DEVICES}[0]: has resource and device: make an entry for each"),
        ("[{}]", f"{DEVICES}[0]: says not which devices: resource, device, address: write one of"),
        ('[{"resource": "qat"}]', f"{DEVICES}[0].resource: must be a resource's name, such as qat.intel.com/generic"),
        ('[{"resource": "a.b/c d"}]', f"{DEVICES}[0].resource: must be a resource's name"),
        ('[{"device": ""}]', f'{DEVICES}[0].device: must be a name in the VM\'s spec, is ""'),
        ('[{"address": "3d:02.9"}]', f"{DEVICES}[0].address: '3d:02.9' has function 0x9, the highest is 0x7"),
        ('[{"address": "a-b-c-d-e"}]', f"{DEVICES}[0].address: 'a-b-c-d-e' is not the UUID of a mediated device"),
        (
            '[{"resource": "a.b/c", "count": 2, "guestAddress": ["09:00.0", "0a:00.0", "0b:00.0"]}]',
            f"{DEVICES}[0].guestAddress: has 3 addresses for 2 devices",
        ),
        (
            '[{"device": "x"}, {"resource": "a.b/c"}, {"device": "x"}]',
            f"{DEVICES}[2]: asks for x, as {DEVICES}[0] does: make one entry of both",
        ),
        (
            '[{"address": "3d:02.2"}, {"address": "0000:3D:02.2"}]',
            f"{DEVICES}[1]: asks for 0000:3d:02.2, as {DEVICES}[0] does",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    told = refused(text)

    assert message in told[0]
    assert len(told) == 1
    with pytest.raises(BadInput) as error:
        requests(Vmi(annotations={DEVICES: text}))
    assert len(str(error.value)) < SENTENCE_LIMIT + 100


def test_an_annotation_of_a_megabyte() -> None:
    told = refused('[{"device": "' + "x" * (1 << 20) + '"}]')

    assert told == [
        f"{DEVICES}: is 1048592 bytes long, at most 262144 are read: nothing that makes sense here is that long"
    ]


def test_more_entries_than_a_guest_has_buses() -> None:
    assert refused(json.dumps([{"device": f"d{n}"} for n in range(MOST_DEVICES)])) == []
    assert refused(json.dumps([{"device": f"d{n}"} for n in range(MOST_DEVICES + 1)])) == [
        f"{DEVICES}: has 257 entries, a VM can have 256: use `count` for devices of one resource"
    ]


def test_all_mistakes_are_told_and_what_is_right_is_read() -> None:
    text = '[{"device": "x", "count": "two", "nmae": "y"}, {"device": "y"}, {"rom": {"bar": 1, "x": 2}, "numa": []}]'
    found = read_devices(text)

    assert found.entries == (None, Request(device="y"), None)
    assert [error.subject for error in found.errors] == [
        *(f"{DEVICES}[0]", f"{DEVICES}[0].count"),
        *(f"{DEVICES}[2].numa", f"{DEVICES}[2].rom", f"{DEVICES}[2].rom.bar", f"{DEVICES}[2]"),
    ]


def test_thousands_of_unknown_keys_take_no_time() -> None:
    assert len(refused(json.dumps([{f"key{n}": 1 for n in range(10000)}]))) <= 12


@settings(max_examples=300)
@given(st.lists(ENTRIES, max_size=4) | JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    found = read_devices(json.dumps(value))

    assert all(error.code == "bad-annotation" and error.subject.startswith(DEVICES) for error in found.errors)
    if not found.errors:
        assert all(found.entries)
        for entry in found.entries:
            assert entry is not None
            assert sum(map(bool, (entry.resource, entry.device, entry.address))) == 1


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    found = read_devices(text)

    assert found.errors or json.loads(text) == []
