"""63 real hosts: every function is seen as it is, every sure verdict is right, and no command takes what is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domxml.pciaddress import PciAddress
from hostdev.gate.check import verdict_of
from hostdev.gate.hostuse import is_proved_unused
from hostdev.inventory.pciclasses import board_part
from tests.hostdev.commands import ADDRESS, commands, pictures, real_picture
from tests.hostdev.machines.realhosts import RealHost, real_hosts

NAMES = sorted(real_hosts())


def _told(host: RealHost) -> Iterator[tuple[PciAddress, tuple[object, ...]]]:
    for each in host.functions:
        vendor, device = (int(text, 16) for text in each.ids.split(":"))
        group, node = each.known.get("group"), each.known.get("node")
        above = each.directory.rpartition("/")[2]
        yield (
            PciAddress.parse(each.address),
            (
                each.class_code,
                vendor,
                device,
                each.driver,
                None if group is None else int(group),
                None if node is None else int(node),
                each.known.get("pf"),
                above if ADDRESS.fullmatch(above) else None,
            ),
        )


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_seen_as_it_is(name: str) -> None:
    machine = real_picture(name)
    seen = {
        address: (
            f.class_code,
            f.vendor,
            f.device,
            f.driver,
            f.group,
            f.numa_node,
            None if f.physfn is None else str(f.physfn),
            None if f.parent is None else str(f.parent),
        )
        for address, f in machine.functions.items()
    }
    told = dict(_told(real_hosts()[name]))

    assert seen.keys() == told.keys()
    for address, facts in told.items():
        # Below VMD a host bridge is between a function and what leads there.
        assert seen[address][:-1] == facts[:-1], address
        assert facts[-1] in {None, seen[address][-1]}, address
    assert machine.unread == ()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [{}, {"grouped": True}, {"grouped": True, "quiet": True}])
def test_every_sure_verdict_is_right(name: str, more: dict[str, bool]) -> None:
    machine = real_picture(name, **more)
    for each in real_hosts()[name].functions:
        verdict = verdict_of(machine, PciAddress.parse(each.address))
        codes = {finding.code for finding in verdict.findings}
        match each.verdict:
            case "passes":
                assert verdict.passes, (each, verdict)
            case "bridge":
                assert codes in ({"not-an-endpoint"}, {"not-an-endpoint", "domain-too-large"}), each
            case "board":
                assert verdict.refused, each
                assert "platform-device" in codes, each
            case "refused" | "kept":
                assert verdict.refused, each
        if each.verdict in {"bridge", "board", "kept"}:
            assert not any("driver_override" in finding.hint for finding in verdict.findings), each


def test_a_command_names_only_what_is_proved_unused_and_no_part_of_the_board() -> None:
    for name, machine in pictures().items():
        for command, taken in commands(machine).items():
            for address in taken:
                function = machine.functions[address]
                assert is_proved_unused(machine, function), (name, command)
                assert board_part(function) is None, (name, command)
                assert not function.bridge, (name, command)


def test_vfs_of_a_kernel_before_4_14_are_those_of_one_after_it() -> None:
    new, old = real_picture("ghw-8581-vfs"), real_picture("ghw-8581-vfs-rhel7")
    assert {address: f.virtfns for address, f in old.functions.items()} == {
        address: f.virtfns for address, f in new.functions.items()
    }
    assert sum(len(f.virtfns) for f in old.functions.values()) == 8
