"""Which scenarios are asked for on which kernel, and when."""

from __future__ import annotations

from tests.vmhost import recipe, session
from tests.vmhost.image import image
from tests.vmhost.inside.scenario import all_scenarios


def test_node_state_is_asked_for_on_both_kernels_and_nothing_else_is() -> None:
    asked = session.asked_for()
    newer = {session.name_of(one) for one in asked if session.kernel_of(one) == recipe.NEWER}

    assert {one for one in asked if session.kernel_of(one) == recipe.SUITE} == all_scenarios().keys()
    modules = {all_scenarios()[name].__module__.rpartition(".")[2] for name in newer}
    assert modules == set(session.NODE_STATE)
    assert len(asked) == len(set(asked)) == len(all_scenarios()) + len(newer)


def test_make_test_boots_one_kernel() -> None:
    soon = {session.kernel_of(one) for one in session.asked_for() if not session.waits_for_test_host(one)}

    assert soon == {recipe.SUITE}
    assert not session.waits_for_test_host("devices_go_to_vfio_and_back")


def test_each_kernel_has_a_boot_of_its_own_and_one_root() -> None:
    ordinary, newer = image(), image(recipe.NEWER)

    assert ordinary.root == newer.root
    assert ordinary.boot != newer.boot
