"""What was prepared already is prepared again: after a reboot, and with a device that has changed meanwhile."""

from __future__ import annotations

import json
from typing import Any

from tests.hooksidecar.claims.node import AWAY, CDI, OTHER_BOOT, Node, cards, state
from tests.hostdev.gate.build import machine
from tests.hostdev.offer.offers import card


def _renumbered() -> Any:
    """The same card after a reboot that counted buses and groups otherwise."""
    return machine(*(function for number in (0x3E, 0x3D) for function in card(number, number + 10)))


def test_after_a_reboot_the_same_devices_have_other_groups(node: Node) -> None:
    node.prepare()
    (node.kubelet_dir.parent / CDI).unlink()
    node.machine = _renumbered()
    node.start(OTHER_BOOT)
    node.api.put(AWAY)

    node.prepare()

    (record,) = node.store.read_all().records
    assert (record.boot_id, record.generation, record.units[0].groups) == (OTHER_BOOT, 2, (0x3D + 10,))
    assert json.loads(node.files()[CDI])["devices"][0]["containerEdits"]["deviceNodes"][0]["path"] == "/dev/vfio/71"


def test_after_a_reboot_nothing_is_said_of_a_node_that_was_not_looked_at(node: Node) -> None:
    node.prepare()
    node.machine = machine()
    node.start(OTHER_BOOT)
    assert "has not been looked at yet" in node.refusal()

    node.machine = cards(0x3E)
    assert "it is no longer there" in node.refusal()
    assert node.unprepare() is None


def test_in_the_same_boot_it_is_answered_before_the_first_look(node: Node) -> None:
    answer = node.prepare()
    node.machine = machine()
    node.start()

    assert node.prepare() == answer


def test_a_held_unit_that_broke_is_refused_and_can_be_undone(node: Node) -> None:
    node.prepare()
    node.unbind()

    assert "snd_hda_intel" in node.refusal()
    assert node.unprepare() is None
    assert node.files() == {}


def test_a_held_unit_that_no_entry_means_any_more_is_still_given(node: Node) -> None:
    answer = node.prepare()
    node.state = state()

    assert node.prepare() == answer
