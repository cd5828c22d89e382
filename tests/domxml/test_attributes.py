from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from domxml import attributes
from domxml.attributes import ATTRIBUTES
from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.guestslot import GuestSlot
from domxml.transform import transform
from domxml.version import LibvirtVersion
from tests.domxml.domains import load
from tests.domxml.guestslots import inject, tree_of, wish

LEGAL: dict[str, Any] = {
    "managed": "no",
    "rom.bar": "off",
    "rom.file": "/roms/x.rom",
    "rom.enabled": "no",
    "bootOrder": "1",
    "acpiIndex": "7",
    "driverModel": "mlx5_vfio_pci",
    "display": "on",
    "ramfb": "on",
    "teaming": "ua-default",
}
BESIDE: dict[str, dict[str, Any]] = {"ramfb": {"display": "on"}}
"""What an attribute needs beside it."""
NEW = LibvirtVersion(11, 3)


def put(given: GuestSlot, libvirt: LibvirtVersion = NEW) -> Any:
    output = transform(Domain.parse(load("q35-default")), [given], libvirt=libvirt).xml
    return tree_of(output).find("devices/hostdev")


def test_there_is_a_legal_value_for_every_attribute_here() -> None:
    assert set(LEGAL) == set(ATTRIBUTES)


@pytest.mark.parametrize("key", LEGAL)
def test_every_attribute_stands_where_libvirt_reads_it(key: str) -> None:
    row = ATTRIBUTES[key]
    hostdev = put(wish("x", "3d:02.2", **{key: LEGAL[key]}, **BESIDE.get(key, {})))
    holder = hostdev.find(row.child) if row.child else hostdev

    assert holder.get(row.name) == LEGAL[key]


@pytest.mark.parametrize("key", LEGAL)
def test_an_attribute_that_was_lost_is_restored(key: str) -> None:
    given = wish("x", "3d:02.2", **{key: LEGAL[key]}, **BESIDE.get(key, {}))
    first = transform(Domain.parse(load("q35-default")), [given], libvirt=NEW).xml
    domain = Domain.parse(first)
    hostdev: Any = domain.devices.find("hostdev")
    row = ATTRIBUTES[key]
    if row.child:
        hostdev.remove(hostdev.find(row.child))
    else:
        del hostdev.attrib[row.name]
    again = transform(domain, [given], libvirt=NEW)

    assert [change.action for change in again.changes] == ["updated"]
    assert again.changes[0].placed.why == "kept from an earlier pass"
    holder = tree_of(again.xml).find("devices/hostdev")
    assert (holder.find(row.child) if row.child else holder).get(row.name) == LEGAL[key]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("rom.bar", "maybe"), ("rom.bar", ""), ("rom.file", "relative"), ("bootOrder", "0"), ("bootOrder", "-1")),
        *(("acpiIndex", "0"), ("acpiIndex", "x"), ("driverModel", "a b"), ("display", "ON"), ("teaming", "net0")),
    ],
)
def test_a_value_that_libvirt_would_refuse_or_misread_is_refused(key: str, value: Any) -> None:
    with pytest.raises(PassgateError) as refusal:
        put(wish("x", "3d:02.2", **{key: value}))

    assert refusal.value.code == "bad-attribute"
    assert key in refusal.value.hint


def test_an_unknown_attribute_names_the_nearest_known_one() -> None:
    with pytest.raises(PassgateError, match=r"did you mean rom\.bar"):
        inject(load("q35-default"), wish("x", "3d:02.2", rom_baar="off"))


def test_what_an_old_libvirt_would_drop_is_refused() -> None:
    with pytest.raises(PassgateError) as refusal:
        put(wish("x", "3d:02.2", driverModel="mlx5_vfio_pci"), LibvirtVersion(9, 10))

    assert refusal.value.code == "libvirt-too-old"
    assert "10.0.0" in refusal.value.message


@pytest.mark.parametrize("key", [key for key, row in ATTRIBUTES.items() if not row.mdev])
def test_what_a_mediated_device_cannot_have_is_refused(key: str) -> None:
    with pytest.raises(PassgateError, match="mediated"):
        put(wish("x", "c0ffee00-1111-2222-3333-444455556666", **{key: LEGAL[key]}))


MDEV = "c0ffee00-1111-2222-3333-444455556666"


class Vain(NamedTuple):
    """An attribute that the guest never sees: the domain, the device, what is asked for, the reason."""

    domain: str
    device: str
    wanted: dict[str, Any]
    why: str
    acpi: bool = True


VAIN = {
    "a ROM of a vGPU": Vain("q35-default", MDEV, {"rom.bar": "off"}, "no ROM of a mediated device"),
    "a ROM file of a vGPU": Vain("q35-default", MDEV, {"rom.file": "/x.rom"}, "no ROM of a mediated device"),
    "an ACPI index on Arm": Vain("arm64-virt", "3d:02.2", {"acpiIndex": "7"}, "QEMU does not tell a guest of virt"),
    "an ACPI index on s390x": Vain("s390x-ccw", "3d:02.2", {"acpiIndex": "7"}, "a guest of s390-ccw has no ACPI"),
    "an ACPI index of crypto queues": Vain("s390x-ccw", MDEV, {"acpiIndex": "7"}, "is no PCI device"),
    "no boot display of crypto queues": Vain("s390x-ccw", MDEV, {"ramfb": "off"}, "is no PCI device"),
    "an ACPI index without ACPI": Vain("q35-default", "3d:02.2", {"acpiIndex": "7"}, "has no <acpi/>", acpi=False),
}


@pytest.mark.parametrize("vain", VAIN.values(), ids=VAIN)
def test_what_the_guest_never_sees_is_written_and_told(vain: Vain) -> None:
    domain = Domain.parse(load(vain.domain) if vain.acpi else re.sub(rb"<acpi.*?(/>|</acpi>)", b"", load(vain.domain)))
    done = transform(domain, [wish("x", vain.device, **vain.wanted)], libvirt=NEW)
    told = [finding for finding in done.findings if finding.code == "attribute-without-effect"]
    (key, value), *_ = vain.wanted.items()

    assert f"{key}={value} is written and has no effect: " in told[0].message
    assert vain.why in told[0].message
    assert told[0].subject in {vain.device, f"0000:{vain.device}"}
    assert attributes.missing(tree_of(done.xml).find("devices/hostdev"), vain.wanted) == []


@pytest.mark.parametrize("name", ["q35-default", "i440fx"])
def test_an_acpi_index_that_the_guest_sees_is_not_told(name: str) -> None:
    done = transform(Domain.parse(load(name)), [wish("x", "3d:02.2", acpiIndex="7")], libvirt=NEW)

    assert [finding.code for finding in done.findings if finding.code == "attribute-without-effect"] == []


def test_an_acpi_index_below_an_expander_bus_is_told() -> None:
    """The passthrough host's guest shows none."""
    near = wish("x", "3d:02.2", node=0, acpiIndex="7")
    done = transform(Domain.parse(load("q35-numa-dedicated-hugepages-1gi")), [near], libvirt=NEW)
    told = [finding.message for finding in done.findings if finding.code == "attribute-without-effect"]

    assert [message.partition("effect: ")[2] for message in told] == [
        "the guest is not told it of a device below an expander bus"
    ]


@pytest.mark.parametrize("wanted", [{"display": "on"}, {"display": "off"}, {"ramfb": "on"}])
def test_crypto_queues_have_no_display(wanted: dict[str, Any]) -> None:
    with pytest.raises(PassgateError) as refusal:
        transform(Domain.parse(load("s390x-ccw")), [wish("x", MDEV, **wanted)], libvirt=NEW)

    assert refusal.value.code == "attribute-not-for-machine"
