"""A node that is kept as declared: drift is mended, a VM is waited for, and nothing is fought about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from domxml.errors import BadInput
from hostdev.binding.obstacles import weigh
from hostdev.binding.steward import Steward, Turn
from hostdev.findings.binding import MANAGED_ELSEWHERE
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.binding.hosts import DISK, core, functions, means

FILE = f"""\
apiVersion: passgate.dev/v1
kind: NodeState
spec:
  devices:
    - match: {{address: "{DISK}"}}
      driver: vfio-pci
"""


@dataclass
class Node:
    """A node under a steward, with a clock of its own."""

    directory: Path
    kernel: DriverCore = field(default_factory=lambda: core("hgx-h100"))
    text: str = FILE
    now: float = 0.0

    def __post_init__(self) -> None:
        self.steward = Steward(
            lambda: bytes(self.text, "utf-8"),
            "node-state.yaml",
            "worker-1",
            means(self.kernel, self.directory),
            lambda _host: self.kernel.machine,
            lambda: self.now,
        )

    def turn(self, after: float = 30.0) -> Turn:
        self.now += after
        return self.steward.turn()

    def snatch(self, driver: str | None = "nvme") -> None:
        """Another program gives the disk to another driver."""
        (disk,) = functions(self.kernel, DISK)
        self.kernel._set(disk, driver=driver, driver_override=None, vfio_dev=None)

    @property
    def driver(self) -> str | None:
        return functions(self.kernel, DISK)[0].driver


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def codes(turn: Turn) -> set[str]:
    return {finding.code for finding in turn.findings}


def test_drift_is_mended_and_then_left_alone(node: Node) -> None:
    first, second = node.turn(), node.turn()

    assert node.driver == "vfio-pci"
    assert [str(change.effects.outcome) for change in first.made] == ["done"]
    assert first.standings == {"held": 1}
    assert (second.made, second.findings, second.standings) == ((), (), {"held": 1})


def test_it_backs_off_after_two_lost_rounds_and_says_so(node: Node) -> None:
    node.turn()
    for _ in range(2):
        node.snatch()
        lost = node.turn()
    assert not lost.made
    assert node.driver == "nvme"
    assert "node-state-contested" in codes(lost)
    (finding,) = [one for one in lost.findings if one.code == "node-state-contested"]
    assert finding.subject == DISK
    assert "devices[0]: driver is nvme, not vfio-pci; it was changed back 2 times within minutes" in finding.message
    assert not node.turn(after=1e6).made


def test_the_other_one_wins_by_making_it_as_declared(node: Node) -> None:
    node.turn()
    for _ in range(2):
        node.snatch()
        node.turn()
    node.snatch("vfio-pci")

    assert node.turn().standings == {"held": 1}
    node.snatch()
    assert node.turn().made


def test_another_file_is_another_wish(node: Node) -> None:
    node.turn()
    for _ in range(2):
        node.snatch()
        node.turn()
    node.text += "# once more\n"

    assert node.turn().made
    assert node.driver == "vfio-pci"


def test_what_drifts_long_after_is_no_quarrel(node: Node) -> None:
    node.turn()
    for _ in range(5):
        node.turn(after=3600.0)
        node.snatch()
        assert node.turn(after=3600.0).made
    assert node.driver == "vfio-pci"


def test_a_vm_is_waited_for_without_a_line_in_the_journal(node: Node) -> None:
    node.turn()
    before = len(list((node.directory / "journal").iterdir()))
    node.text = FILE.replace("vfio-pci", "nvme")
    (disk,) = functions(node.kernel, DISK)
    node.kernel.held.add(disk.address)

    for _ in range(3):
        waits = node.turn()
        assert waits.standings == {"waiting": 1}
        assert codes(waits) >= {"node-state-waiting"}
    assert len(list((node.directory / "journal").iterdir())) == before
    node.kernel.release()
    assert node.turn().standings == {"held": 1}
    assert node.driver == "nvme"


def test_a_change_that_fails_is_tried_again_later_and_less_often(node: Node) -> None:
    node.kernel.broken.add("vfio-pci")
    first = node.turn()

    assert [str(change.effects.outcome) for change in first.made] == ["undone"]
    assert node.driver == "nvme"
    assert "node-state-drifted" in codes(first)
    assert not node.turn().made
    assert node.turn(after=60.0).made
    assert not node.turn(after=60.0).made
    node.kernel.broken.clear()
    assert node.turn(after=300.0).standings == {"held": 1}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (FILE.replace("v1", "v2"), "node-state-version"),
        (FILE.replace("driver:", "drivers:"), "bad-node-state"),
        ("", "bad-node-state"),
    ],
)
def test_a_file_with_a_mistake_does_nothing(node: Node, text: str, code: str) -> None:
    node.text = text
    turn = node.turn()

    assert code in codes(turn)
    assert turn.findings[0].subject.startswith("node-state.yaml")
    assert (turn.made, node.driver) == ((), "nvme")


def test_a_file_that_is_gone_is_told(node: Node) -> None:
    def gone() -> bytes:
        raise BadInput("unreadable-file", "cannot read it: No such file or directory", subject="node-state.yaml")

    node.steward.read = gone

    assert codes(node.turn()) == {"unreadable-file"}


def test_a_document_for_another_node_declares_nothing(node: Node) -> None:
    node.text = FILE.replace("spec:", "metadata: {nodes: {names: [worker-2]}}\nspec:", 1)
    turn = node.turn()

    assert (turn.made, turn.lines, turn.findings) == ((), (), ())


def test_a_parameter_that_is_missing_is_a_finding(node: Node) -> None:
    node.text = FILE + "  kernel: {parameters: [iommu=never]}\n"

    assert codes(node.turn()) == {"reboot-pending"}
    assert node.turn().standings == {"held": 1, "drifted": 1}


def test_what_another_manages_is_taken_only_where_the_entry_accepts_it(node: Node) -> None:
    """As on a Harvester node, whose claims are not to be seen."""
    managed = MANAGED_ELSEWHERE.found(DISK, "Harvester puts devices on vfio-pci")
    checks = (*node.steward.means.checks, lambda moment: weigh([managed], moment.despite))
    node.steward.means = node.steward.means._replace(checks=checks)

    refused = node.turn()
    node.text = FILE + "      despite: [managed-elsewhere]\n"
    made = node.turn()

    assert [str(one.effects.outcome) for one in refused.made] == ["refused"]
    assert "managed-elsewhere" in codes(refused)
    assert (node.driver, made.standings) == ("vfio-pci", {"held": 1})
