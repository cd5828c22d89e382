"""A node of a fleet: its age, the states of its units, and what is not known of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domxml.pciaddress import PciAddress
from hostdev.fleet.node import Node, State, describe_age, find_held, find_uncounted
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.memory import RecordedHost
from hostdev.inventory.recorded.recording import File, Origin
from hostdev.inventory.scan import scan
from tests.hostdev.fleet.fleets import HOUR, NOW
from tests.hostdev.machines.fixtures import fixture, picture

VF = PciAddress.parse("0000:3b:02.1")
WEEK = timedelta(days=7)


def node(machine: str = "two-socket-x710", taken: datetime | str = "", **held: str) -> Node:
    said = taken if isinstance(taken, str) else f"{taken:%Y-%m-%dT%H:%M:%SZ}"
    return Node("worker-1", picture(machine), Origin(said), {PciAddress.parse(a): who for a, who in held.items()})


def test_a_unit_is_held_while_one_of_its_functions_is_enabled() -> None:
    recording = toml.parse(fixture("two-socket-x710").read_text())
    place = next(path for path in recording.entries if path.endswith(f"/{VF}/enable"))
    held = replace(recording, entries={**recording.entries, place: File(b"1\n")})
    host = RecordedHost(held, source="a.toml")
    machine = scan(host)

    found = Node("a", machine, held=find_held(host, machine))

    assert find_held(RecordedHost(recording, source="x"), machine) == {}
    assert set(found.held) == {VF}
    before = Node("a", machine).states
    assert before[State.READY] - found.states[State.READY] == found.states[State.HELD] == 1


def test_what_0_1_0_did_not_record_is_not_taken_for_free() -> None:
    """Its snapshots have no count of who enabled a device."""
    recording = toml.parse(fixture("real-q35-sriov").read_text())
    host = RecordedHost(recording, source="a.toml")
    machine = scan(host)

    found = Node("a", machine, held=find_held(host, machine), uncounted=find_uncounted(host, machine))

    assert (found.states[State.READY], found.states[State.UNKNOWN]) == (0, Node("a", machine).states[State.READY])
    assert found.states[State.UNKNOWN] > 0
    assert ("whether something has them open", f"{len(found.uncounted)} devices") in found.unseen
    assert find_uncounted(RecordedHost(toml.parse(fixture("qat").read_text()), source="b"), picture("qat")) == set()


@pytest.mark.parametrize("taken", ["", "yesterday", "2026-13-40T00:00:00Z", NOW + HOUR])
def test_what_is_no_time_is_told_and_not_guessed(taken: datetime | str) -> None:
    one = node("vmd", taken=taken)

    assert one.age(NOW) is None
    assert [found.code for found in one.findings(NOW, WEEK)] == ["snapshot-age-unknown"]


def test_an_old_snapshot_is_stale() -> None:
    assert list(node("vmd", NOW - HOUR).findings(NOW, WEEK)) == []
    (found,) = node("vmd", NOW - 2 * WEEK).findings(NOW, WEEK)

    assert (found.code, found.message) == ("snapshot-stale", "is 14d old, taken 2026-11-14T12:00:00Z")
    assert list(node("vmd", NOW - 2 * WEEK).findings(NOW, None)) == []


def test_what_a_pod_could_not_see_is_told() -> None:
    (found,) = node("container-view", NOW).findings(NOW, WEEK)

    assert found.code == "snapshot-partial"
    assert "no interface of it is to be seen" in found.message
    assert node("container-view").states[State.READY] == 12, "what is on vfio-pci can be given all the same"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172799, "47h"), (172800, "2d")]
)
def test_ages_are_written_as_kubectl_does(seconds: int, text: str) -> None:
    assert describe_age(timedelta(seconds=seconds)) == text
