"""A device by whatever it is called: what is found, and what is said where nothing is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import PassgateError
from domxml.pciaddress import PciAddress
from hostdev.inventory.devicenames import Calling, find_addresses, find_called, find_groups, find_one
from hostdev.inventory.machine import IommuGroup, Machine, NetDevice
from tests.hostdev.cli.running import machine


@pytest.mark.parametrize(
    ("name", "word", "calling", "addresses"),
    [
        ("qat", "0000:3d:02.2", Calling.ADDRESS, "0000:3d:02.2"),
        ("qat", "3D:02.2", Calling.ADDRESS, "0000:3d:02.2"),
        ("qat", "pci_0000_3d_02_2", Calling.ADDRESS, "0000:3d:02.2"),
        ("qat", "/sys/bus/pci/devices/0000:3d:02.2", Calling.ADDRESS, "0000:3d:02.2"),
        ("qat", "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3d:02.2/driver", Calling.ADDRESS, "0000:3d:02.2"),
        ("vmd", "10000:e1:00.0", Calling.ADDRESS, "10000:e1:00.0"),
        ("consumer-gpu", "01:00", Calling.SLOT, "0000:01:00.0 0000:01:00.1 0000:01:00.2 0000:01:00.3"),
        ("consumer-gpu", "0000:01:00.*", Calling.SLOT, "0000:01:00.0 0000:01:00.1 0000:01:00.2 0000:01:00.3"),
        ("tesla-t4", "10de:1eb8", Calling.IDS, "0000:3b:00.0"),
        ("tesla-t4", "0x10DE:0x1EB8", Calling.IDS, "0000:3b:00.0"),
        ("consumer-gpu", "10de:", Calling.IDS, "0000:01:00.0 0000:01:00.1 0000:01:00.2 0000:01:00.3"),
        ("two-socket-x710", "ens1f0", Calling.INTERFACE, "0000:3b:00.0"),
        ("two-socket-x710", "/sys/class/net/ens1f0/", Calling.INTERFACE, "0000:3b:00.0"),
        ("two-socket-x710", "sdb", Calling.DISK, "0000:d8:00.0"),
        ("two-socket-x710", "/dev/sdb1", Calling.DISK, "0000:d8:00.0"),
        ("nvme-in-gpu-group", "nvme0n1", Calling.DISK, "0000:02:00.0"),
        ("nvme-in-gpu-group", "nvme0n1p2", Calling.DISK, "0000:02:00.0"),
        ("nvme-in-gpu-group", "/dev/nvme0", Calling.DISK, "0000:02:00.0"),
        ("qat", "43", Calling.GROUP, "0000:3f:01.0"),
        ("qat", "group:43", Calling.GROUP, "0000:3f:01.0"),
        ("qat", "iommu:43", Calling.GROUP, "0000:3f:01.0"),
        ("qat", "/dev/vfio/43", Calling.GROUP, "0000:3f:01.0"),
        ("qat", "/sys/kernel/iommu_groups/43/devices", Calling.GROUP, "0000:3f:01.0"),
        ("tesla-t4", "A1B2C3D4-0001-4000-8000-0000000000A1", Calling.MDEV, "0000:3b:00.0"),
    ],
)
def test_a_word_is_found(name: str, word: str, calling: Calling, addresses: str) -> None:
    called = find_called(machine(name), word)

    assert (called.calling, [str(f.address) for f in called.functions]) == (calling, addresses.split())


@pytest.mark.parametrize(
    ("name", "word", "code", "said"),
    [
        ("qat", "3d:1f.7", "device-missing", "the nearest are 0000:3d:"),
        ("qat", "3d:1e", "device-missing", "3d:1e: there is no such device on tests/fixtures/machines/qat.toml"),
        ("qat", "3d:2.1", "bad-address", "write domain:bus:slot.function in hex"),
        ("qat", "3d:1f.9", "bad-address", "function 0x9, the highest is 0x7"),
        ("qat", "pci_0000_3d_2", "bad-address", "is not a PCI address"),
        ("qat", "8086:37c7", "nothing-selected", "did you mean 8086:37c9?"),
        ("qat", "10de:", "nothing-selected", "has the vendor 10de: there are 8086:"),
        ("tesla-t4", "10de:2204", "nothing-selected", "there are 10de:1eb8"),
        ("qat", "group:999", "group-missing", "there is no IOMMU group 999"),
        ("no-iommu", "0", "group-missing", "there are no IOMMU groups at all"),
        ("two-socket-x710", "ens1f9", "nothing-selected", "did you mean ens1f"),
        ("two-socket-x710", "bond0", "nothing-selected", "it lies on ens1f1, ens2f1; name one of these"),
        ("two-socket-x710", "vg0-root", "nothing-selected", "it lies on sda"),
        ("two-socket-x710", "whatever", "nothing-selected", "a device is named by an address (3d:02.2)"),
        ("two-socket-x710", "", "nothing-selected", "'' names no device"),
        ("qat", "\x1b[31m", "nothing-selected", r"'\\x1b[31m' names no device"),
        ("tesla-t4", "a1b2c3d4-0001-4000-8000-0000000000ff", "mdev-missing", "no such mediated device"),
        ("tesla-t4", "a1b2c3d4-0001-4000-8000-0000000000a1", "nothing-selected", "name 0000:3b:00.0"),
        ("empty", "3d:02.2", "device-missing", "no PCI device was found there at all"),
        ("empty", "8086:37c9", "nothing-selected", "no PCI device was found there at all"),
    ],
)
def test_what_names_nothing_is_refused_with_what_is_near(name: str, word: str, code: str, said: str) -> None:
    with pytest.raises(PassgateError) as refused:
        find_addresses(machine(name), [word])

    assert refused.value.code == code
    assert said in f"{refused.value.what}: {refused.value.hint}"


def test_several_words_name_each_device_once_in_their_order() -> None:
    found = find_addresses(machine("two-socket-x710"), ["ens2f0", "3b:00.0", "ens1f0", "af:00.0"])

    assert [*map(str, found)] == ["0000:af:00.0", "0000:3b:00.0"]


def test_an_interface_whose_name_is_a_number_is_no_group_by_chance() -> None:
    qat = machine("qat")
    address = PciAddress.parse("3d:02.2")
    named = replace(qat.functions[address], netdevs=(NetDevice("43"),))
    both = replace(qat, functions={**qat.functions, address: named})

    with pytest.raises(PassgateError, match=r"an IOMMU group \(0000:3f:01.0\) and an interface \(0000:3d:02.2\)") as no:
        find_addresses(both, ["43"])
    assert no.value.hint == "name it by group:43"
    assert find_addresses(both, ["group:43"]) == (PciAddress.parse("3f:01.0"),)


def test_groups_are_found_by_number_and_by_device() -> None:
    assert find_groups(machine("qat"), ["43", "3f:01.0", "3d:02.2"]) == (
        43,
        machine("qat").functions[PciAddress.parse("3d:02.2")].group,
    )
    assert find_groups(machine("tesla-t4"), ["a1b2c3d4-0001-4000-8000-0000000000a1"]) == (
        machine("tesla-t4").mdevs["a1b2c3d4-0001-4000-8000-0000000000a1"].group,
    )
    with pytest.raises(PassgateError, match="is in no IOMMU group"):
        find_groups(machine("no-iommu"), [str(next(iter(machine("no-iommu").functions)))])


def test_one_device_is_found_where_one_is_named() -> None:
    assert find_one(machine("two-socket-x710"), "ens1f0") == PciAddress.parse("3b:00.0")
    assert str(find_one(machine("tesla-t4"), "A1B2C3D4-0001-4000-8000-0000000000A1")) == (
        "a1b2c3d4-0001-4000-8000-0000000000a1"
    )
    with pytest.raises(PassgateError, match=r"names 4 devices by their slot: 0000:01:00.0, 0000:01:00.1") as several:
        find_one(machine("consumer-gpu"), "01:00")
    assert several.value.hint == "name one of them, such as 0000:01:00.0"


def test_a_group_of_no_pci_device_and_one_that_cannot_be_read_are_told() -> None:
    host = Machine(groups={7: IommuGroup(7, (), ("arm-smmu.0",))}, source="/")

    with pytest.raises(PassgateError, match="group:7: holds no PCI device"):
        find_addresses(host, ["group:7"])


@given(st.text(max_size=40))
def test_any_word_finds_devices_or_is_refused(word: str) -> None:
    with suppress(PassgateError):
        assert find_addresses(machine("two-socket-x710"), [word])


@given(st.sampled_from(sorted(machine("qat").functions)), st.booleans(), st.booleans())
def test_every_spelling_of_an_address_names_it(address: PciAddress, upper: bool, libvirt: bool) -> None:  # noqa: FBT001
    text = str(address).replace(":", "_").replace(".", "_") if libvirt else str(address)
    word = f"pci_{text}" if libvirt else text.upper() if upper else text

    assert find_addresses(machine("qat"), [word]) == (address,)
