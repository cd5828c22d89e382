"""What <qemu:commandline> takes is taken."""

from __future__ import annotations

import json
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.commandline import command_line_devices
from domxml.document import Domain
from domxml.errors import Refused
from domxml.pciaddress import PciAddress
from domxml.source import Mdev, parse_host_device
from tests.domxml.guestslots import guest_of, inject, wish
from tests.domxml.realdomains import NO_BALLOON, domain

MDEV = "c0ffee00-1111-2222-3333-444455556666"
FIRST_FREE = {"q35": "0000:00:10.0", "pc": "0000:00:1f.0"}


def with_arguments(machine: str, *arguments: str) -> bytes:
    words = "".join(f"<q:arg value={quoteattr(word)}/>" for word in arguments)
    line = f"<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>{words}</q:commandline>"
    return domain(machine, NO_BALLOON, rest=line)


@pytest.mark.parametrize(
    ("specification", "driver", "device", "address"),
    [
        ("vfio-pci,host=3d:02.2", "vfio-pci", "0000:3d:02.2", None),
        ("driver=vfio-pci,host=0000:3d:02.2,bus=pcie.0,addr=0x10", "vfio-pci", "0000:3d:02.2", "0000:00:10.0"),
        (f"vfio-pci,sysfsdev=/sys/bus/mdev/devices/{MDEV}", "vfio-pci", MDEV, None),
        ("vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:3d:02.2/", "vfio-pci", "0000:3d:02.2", None),
        ("ivshmem-plain,bus=pci.5,addr=1f.3,id=a,,b", "ivshmem-plain", None, "0000:05:1f.3"),
        ("edu,addr=A", "edu", None, "0000:00:0a.0"),
        (
            json.dumps({"driver": "vfio-pci", "host": "3d:02.2", "bus": "pcie.0", "addr": "0x11"}),
            "vfio-pci",
            "0000:3d:02.2",
            "0000:00:11.0",
        ),
        ("edu,bus=my-bridge,addr=5", "edu", None, None),
        ("edu,addr=20", "edu", None, None),
        ("{", "", None, None),
        ("vfio-pci,host=nonsense", "vfio-pci", None, None),
    ],
)
def test_a_device_of_the_command_line_is_read(
    specification: str, driver: str, device: str | None, address: str | None
) -> None:
    (found,) = command_line_devices(Domain.parse(with_arguments("q35", "-no-hpet", "-device", specification, "-S")))

    assert found.driver == driver
    assert found.device == (None if device is None else parse_host_device(device))
    assert found.address == (None if address is None else PciAddress.parse(address))


@pytest.mark.parametrize("source", ["0000:3d:02.2", MDEV])
def test_a_host_device_that_it_takes_is_not_given_twice(source: str) -> None:
    name = (
        f"sysfsdev=/sys/bus/mdev/devices/{source}" if isinstance(parse_host_device(source), Mdev) else f"host={source}"
    )
    with pytest.raises(Refused) as refusal:
        inject(with_arguments("q35", "-device", f"vfio-pci,{name}"), wish("qat", source))

    assert (refusal.value.code, refusal.value.subject) == ("device-held-otherwise", source)


@pytest.mark.parametrize(("machine", "first"), FIRST_FREE.items())
def test_an_address_that_it_takes_is_left_to_it(machine: str, first: str) -> None:
    """QEMU would not start: the slot is in use."""
    slot = first[8:10]
    given = with_arguments(machine, "-device", f"edu,addr=0x{slot}")
    with pytest.raises(Refused, match="belongs to -device edu of <qemu:commandline>"):
        inject(given, wish("qat", "3d:02.2", first))

    result = inject(given, wish("qat", "3d:02.2"))
    places = {*guest_of(result).values(), *(str(controller.address) for controller in result.controllers)}
    assert first not in places


@given(st.lists(st.sampled_from(["-device", "edu", "a,b=c", "vfio-pci,host=1:2", "{", "\u00b2", ""]), max_size=9))
def test_any_words_are_read(words: list[str]) -> None:
    assert len(command_line_devices(Domain.parse(with_arguments("q35", *words)))) <= len(words)
