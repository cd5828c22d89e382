"""What may stand in a list of devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.source import Mdev
from hostdev.allocation.allocation import Device, Opaque, Usb
from hostdev.allocation.dialects import AUXILIARY, classify, devices, split
from tests.hostdev.allocation.given import UUID, A, any_device, codes, environment, pci, the

NAME = "PCI_RESOURCE_X_Y"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0000:03:02.1,0000:03:04.3", [pci("0000:03:02.1"), pci("0000:03:04.3")]),
        ("0000:04:00.0,0000:04:00.0", [pci("0000:04:00.0")]),
        ("0000:04:00.0,", [pci("0000:04:00.0")]),
        ("", []),
        (" , ,,", []),
        ("03:04.1", [pci("0000:03:04.1")]),
        ("10000:e1:00.0", [pci("10000:e1:00.0")]),
        ("0000:3D:02.2", [pci("0000:3d:02.2")]),
        ("0000:3D:02.2,0000:3d:02.2,3d:02.2", [pci("0000:3d:02.2")]),
        (" 0000:3d:02.2 ,\t0000:3d:02.1\n", [pci("0000:3d:02.2"), pci("0000:3d:02.1")]),
        ("mlx5_core.sf.2", [Opaque("mlx5_core.sf.2", AUXILIARY)]),
        (UUID, [Mdev(UUID)]),
        (UUID.upper(), [Mdev(UUID)]),
        ("1:4", [Usb(1, 4)]),
        ("0000:3d:20.0", [Opaque("0000:3d:20.0")]),
        ("0000:3d:00.8", [Opaque("0000:3d:00.8")]),
    ],
)
def test_a_value_is_read(value: str, found: list[Device]) -> None:
    assert list(devices(split(value))) == found


@pytest.mark.parametrize(
    "word",
    [
        *("0000:00:20.0", "0000:00:00.8", "123456789:00:00.0", "0000:3b:00", "0x3b:00.1", "3b:0.1", "/dev/vfio/43"),
        *(
            "\uff10000:3b:00.1",
            "../../../etc/passwd",
            "43",
            "\uff11:4",
            "99999:1",
            f"{UUID}0",
            '"0000:3d:02.1"',
            "null",
            "\0",
        ),
        *("sf.2", "a..2", "😀" * 90, "\udc80", "a" * 100_000),
    ],
)
def test_what_names_no_device_is_told_and_kept_apart(word: str) -> None:
    gathered = environment({NAME: f"{A},{word}"}, {"x/y": 2})

    assert gathered.allocations[0].device == pci(A)
    strange = gathered.allocations[1].device
    assert isinstance(strange, Opaque)
    assert not strange.kind
    assert strange.text.isascii()
    assert strange.text.isprintable()
    found = the(gathered, "device-name-unreadable")
    assert str(strange) in found.message
    assert len(found.message) < 120


@pytest.mark.parametrize(("word", "kind"), [("1:4", "USB device 1:4"), ("mlx5_core.sf.2", "auxiliary device mlx5")])
def test_devices_that_vfio_cannot_have_are_left_alone(word: str, kind: str) -> None:
    gathered = environment({NAME: word}, {"x/y": 1})

    assert codes(gathered) == {"device-not-for-vfio"}
    assert kind in the(gathered, "device-not-for-vfio").message


def test_many_bad_words_are_one_finding() -> None:
    gathered = environment({NAME: ",".join(f"bad{number}" for number in range(1000))})

    assert the(gathered, "device-name-unreadable").message == (
        "cannot be read as a device: bad0, bad1, bad2 and 997 more"
    )


@given(any_device)
def test_a_device_is_read_as_it_is_printed(device: Device) -> None:
    assert classify(str(device)) == device


@given(st.text())
def test_any_text_is_some_device(text: str) -> None:
    for device in devices(split(text)):
        assert str(device).isascii()


@given(st.lists(any_device))
def test_the_order_of_a_list_is_kept_and_nothing_comes_twice(found: list[Device]) -> None:
    assert list(devices(split(", ".join(map(str, found))))) == list(dict.fromkeys(found))
