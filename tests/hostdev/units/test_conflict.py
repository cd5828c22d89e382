"""Units that cannot be given beside each other."""

from __future__ import annotations

import pytest

from hostdev.units.compose import compose_units
from hostdev.units.conflict import find_conflicts
from hostdev.units.unit import UnitKind
from tests.hostdev.commands import pictures
from tests.hostdev.gate.build import at, function, machine, pf, vf

PICTURES = dict(pictures())


def test_functions_of_one_group() -> None:
    host = machine(function("0000:01:00.0", group=1), function("0000:01:00.1", group=1))
    units = compose_units(host, UnitKind.FUNCTION)

    (found,) = find_conflicts(host, units)
    assert (found.first, found.second, found.why) == (*units, "share IOMMU group 1")


def test_the_same_function_in_two_units() -> None:
    host = machine(function("0000:01:00.0", group=1), function("0000:01:00.1", group=2))
    units = (*compose_units(host, UnitKind.SLOT), *compose_units(host, UnitKind.FUNCTION))

    assert [one.why for one in find_conflicts(host, units)] == ["both have 0000:01:00.0", "both have 0000:01:00.1"]


def test_a_pf_beside_its_vfs() -> None:
    names = ["0000:81:02.0", "0000:81:02.1"]
    host = machine(
        pf("0000:81:00.0", num_vfs=2, virtfns=tuple(map(at, names)), group=1),
        *(vf(name, "0000:81:00.0", group=2 + index) for index, name in enumerate(names)),
    )
    units = compose_units(host)

    found = list(find_conflicts(host, units))
    assert [(str(one.first.primary), str(one.second.primary)) for one in found] == [
        ("0000:81:00.0", name) for name in names
    ]
    assert list(find_conflicts(host, units[1:])) == []


@pytest.mark.parametrize("name", PICTURES)
def test_the_smallest_wholes_of_a_machine_share_nothing_but_what_pfs_take(name: str) -> None:
    picture = PICTURES[name]
    found = find_conflicts(picture, compose_units(picture))

    assert {one.why.partition(" is a VF of ")[1] for one in found} <= {" is a VF of "}
