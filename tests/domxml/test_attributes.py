from __future__ import annotations

from typing import Any

import pytest

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
NEW = LibvirtVersion(11, 3)


def put(given: GuestSlot, libvirt: LibvirtVersion = NEW) -> Any:
    output = transform(Domain.parse(load("q35-default")), [given], libvirt=libvirt).xml
    return tree_of(output).find("devices/hostdev")


def test_there_is_a_legal_value_for_every_attribute_here() -> None:
    assert set(LEGAL) == set(ATTRIBUTES)


@pytest.mark.parametrize("key", LEGAL)
def test_every_attribute_stands_where_libvirt_reads_it(key: str) -> None:
    row = ATTRIBUTES[key]
    hostdev = put(wish("x", "3d:02.2", **{key: LEGAL[key]}))
    holder = hostdev.find(row.child) if row.child else hostdev

    assert holder.get(row.name) == LEGAL[key]


@pytest.mark.parametrize("key", LEGAL)
def test_an_attribute_that_was_lost_is_restored(key: str) -> None:
    given = wish("x", "3d:02.2", **{key: LEGAL[key]})
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


def test_an_acpi_index_on_a_machine_without_is_refused() -> None:
    with pytest.raises(PassgateError) as refusal:
        inject(load("arm64-virt"), wish("x", "3d:02.2", acpiIndex="7"))

    assert refusal.value.code == "attribute-not-for-machine"
