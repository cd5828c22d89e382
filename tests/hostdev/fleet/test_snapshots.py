"""The files of a fleet: what is read, what is passed over with a sentence, and that processes change nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from domxml.errors import BadInput, HostUnreadable
from hostdev.fleet.node import Node, State
from hostdev.fleet.snapshots import Broken, Fleet, find_snapshots, survey
from tests.hostdev.fleet.fleets import HOUR, NOW, write_fleet
from tests.hostdev.machines.fixtures import NAMES, picture


def states(node: Node) -> tuple[str, Mapping[State, int]]:
    return node.name, dict(node.states)


def test_every_node_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    write_fleet(tmp_path, {f"node-{name}": name for name in NAMES})
    fleet = find_snapshots(str(tmp_path))

    found = list(survey(fleet, states))

    assert fleet.findings == ()
    assert [one[0] for one in found] == [f"node-{name}" for name in NAMES]
    assert found == [one for name in fleet.names for one in survey(_only(fleet, name), states)], "one process says so"


def _only(fleet: Fleet, name: str) -> Fleet:
    return fleet._replace(snapshots=tuple(one for one in fleet.snapshots if one.node == name))


def test_a_node_has_the_machine_that_a_command_would_look_at(tmp_path: Path) -> None:
    write_fleet(tmp_path, {"a": "two-socket-x710"}, boot="0" * 32)
    (node,) = survey(find_snapshots(str(tmp_path)), lambda node: node)

    assert isinstance(node, Node)
    assert node.machine.functions == picture("two-socket-x710").functions
    assert node.machine.source == "a.toml"
    assert (node.taken, node.age(NOW), node.origin.boot) == (NOW - HOUR, HOUR, "0" * 32)


def test_what_is_no_snapshot_gets_a_sentence_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_fleet(tmp_path, {"good": "vmd"})
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / ".git").mkdir()
    (tmp_path / "rack").mkdir()
    (tmp_path / "directory.toml").mkdir()
    (tmp_path / "cut.toml").write_bytes((tmp_path / "good.toml").read_bytes()[:2000])
    (tmp_path / "future.toml").write_text("format = 2\n")
    (tmp_path / "latin1.toml").write_bytes(b"\xe4")
    (tmp_path / "lost.toml").symlink_to("nowhere")
    (tmp_path / "round.toml").symlink_to("round.toml")
    (tmp_path / "other-name.toml").symlink_to("good.toml")
    os.mkfifo(tmp_path / "fifo.toml")
    (tmp_path / "huge.toml").touch()
    os.truncate(tmp_path / "huge.toml", 1 << 40)

    fleet = find_snapshots(str(tmp_path))
    told = {one.subject: one.message for one in fleet.findings}
    broken = {one.node: one.finding for one in survey(fleet, states) if isinstance(one, Broken)}

    assert told == {
        "README.md": "is a file that is not named NODE.toml, and was passed over",
        "directory.toml": "is no regular file",
        "fifo.toml": "is no regular file",
        "lost.toml": "cannot be looked at: No such file or directory",
        "rack": "is a directory that is not named NODE.toml, and was passed over",
        "round.toml": "cannot be looked at: Too many levels of symbolic links",
    }
    assert {name: found.message for name, found in broken.items()} == {
        "cut": broken["cut"].message,
        "future": "has no `format = 1`: not a recorded machine",
        "huge": "is larger than 8 MiB",
        "latin1": "is not UTF-8 text",
    }
    assert "not TOML" in broken["cut"].message
    assert {found.subject for found in broken.values()} == {f"{name}.toml" for name in broken}
    assert [one[0] for one in survey(fleet, states) if not isinstance(one, Broken)] == ["good", "other-name"]


@pytest.mark.parametrize("name", ["missing", "file", "\x1b[31m"])
def test_what_is_no_directory_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInput, match="no-fleet") as refused:
        find_snapshots(str(tmp_path / name))
    assert "\x1b" not in refused.value.sentence()


def test_a_fleet_without_nodes_is_one(tmp_path: Path) -> None:
    fleet = find_snapshots(str(tmp_path))

    assert fleet.snapshots == ()
    assert list(survey(fleet, states)) == []


def test_what_goes_wrong_in_a_process_is_raised_here(tmp_path: Path) -> None:
    write_fleet(tmp_path, {f"n{number}": "vmd" for number in range(8)})

    def fail(node: Node) -> None:
        if node.name == "n5":
            raise KeyError(node.name)

    with pytest.raises(KeyError, match="n5"):
        list(survey(find_snapshots(str(tmp_path)), fail))


def children() -> set[str]:
    """The processes of this one, those of other tests among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_survey_that_is_left_early_leaves_no_process(tmp_path: Path) -> None:
    write_fleet(tmp_path, {f"n{number}": "vmd" for number in range(8)})
    before = children()
    found = survey(find_snapshots(str(tmp_path)), states)

    next(found)
    assert children() > before
    found.close()  # type: ignore[attr-defined]

    assert children() <= before


def test_a_process_that_is_ended_from_outside_is_told(tmp_path: Path) -> None:
    write_fleet(tmp_path, {f"n{number}": "vmd" for number in range(8)})
    before = children()

    with pytest.raises(HostUnreadable, match="fleet-not-read"):
        list(survey(find_snapshots(str(tmp_path)), lambda node: os._exit(len(node.name))))
    assert children() <= before
