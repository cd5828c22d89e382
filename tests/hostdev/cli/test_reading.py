"""Commands of `passgate node` that only look change nothing: no file, no directory, no program. By an audit hook."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.journal import Journal
from hostdev.binding.steps import override
from hostdev.cli.commands import change, node
from tests.hostdev.cli.audited import audited
from tests.hostdev.cli.running import MACHINES, PCI_IDS, ROOT
from tests.hostdev.layout import lay_out
from tests.hostdev.machines.fixtures import picture

FILE = str(ROOT / "tests/fixtures/nodestate/qat-more.yaml")
PF, VF, NVME = "0000:3f:00.0", "0000:3f:01.0", "0000:65:00.0"
LOOKING = {
    "list": ("list", "--pci-ids", PCI_IDS),
    "groups": ("groups",),
    "units": ("units",),
    "vitals": ("vitals", "{device}"),
    "doctor": ("doctor",),
    "show": ("show", "{device}"),
    "who": ("who", "{device}"),
    "explain": ("explain", "group-not-viable"),
    "snapshot": ("snapshot",),
    "draw": ("draw",),
    "compare": ("compare", "{recorded}", "{recorded}"),
    "bind, dry": ("bind", "{device}", "--dry-run"),
    "unbind, dry": ("unbind", "{device}", "--dry-run"),
    "vfs, dry": ("vfs", "{port}", "2", "--dry-run"),
    "journal": ("journal", "--state-dir", "{journal}"),
    "journal, none": ("journal", "--state-dir", "/nonexistent/passgate"),
    "journal show": ("journal", "show", "{id}", "--state-dir", "{journal}"),
    "journal undo, dry": ("journal", "undo", "{id}", "--dry-run", "--state-dir", "{journal}"),
    "journal recover, dry": ("journal", "recover", "--dry-run", "--state-dir", "{journal}"),
    "state export": ("state", "export"),
    "state plan": ("state", "plan", FILE),
    "state plan, JSON": ("state", "plan", FILE, "-o", "json"),
    "state status": ("state", "status", FILE),
    "state status, JSON": ("state", "status", FILE, "-o", "json"),
    "state apply, dry": ("state", "apply", FILE, "--dry-run"),
    "state install, form": ("state", "install", FILE, "--for", "machineconfig"),
}
OF_THIS_NODE = frozenset(what for what in LOOKING if what.startswith("journal")) | {"explain", "compare", "who"}
"""What takes no --host, or needs processes."""
UNTRIED = {"node watch": "it never ends; tests/hostdev/cli/test_watch.py"}
SAYS_NOTHING = frozenset({2, 3, 70})
"""Exit codes of a command that did not come to look."""


def test_every_command_of_a_node_is_tried() -> None:
    """A new one is looked at here, or told why not."""
    tried = {f"node {' '.join(words[:2]) if words[0] == 'state' else words[0]}" for words in LOOKING.values()}

    assert {command.name for command in (*node.COMMANDS, *change.COMMANDS)} == tried | UNTRIED.keys()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded machine as a directory: looked at where it is."""
    root = tmp_path_factory.mktemp("qat")
    lay_out((MACHINES / "qat.toml").read_text(), root)
    return root


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A journal with one change that was cut off in another boot, and a file that is no transaction."""
    directory = tmp_path_factory.mktemp("state")
    machine = picture("qat")
    step = override(next(iter(machine.functions)), "vfio-pci")
    begun = Journal(directory).begin("bind", Effects("", Outcome.PLANNED, (step,)), machine)
    (directory / "journal/20250101T000000Z-000000.json").write_text("{")
    return directory, begun.id


def _device(where: str) -> str:
    devices = Path("/sys/bus/pci/devices")
    live = min((one.name for one in devices.iterdir()), default="") if devices.exists() else ""
    return VF if where == "recorded" else live or "0000:00:00.0"


CASES = [
    (what, where) for what in LOOKING for where in ("here", "recorded") if where == "here" or what not in OF_THIS_NODE
]


@pytest.mark.parametrize(("what", "where"), CASES)
def test_looking_changes_nothing(
    what: str, where: str, recorded: Path, journal: tuple[Path, str], tmp_path: Path
) -> None:
    device = _device(where)
    values = {"device": device, "port": PF if where == "recorded" else device}
    values |= {"journal": str(journal[0]), "id": journal[1], "recorded": str(recorded)}
    words = [word.format(**values) for word in LOOKING[what]]
    words += ["--host", str(recorded)] if where == "recorded" else []
    before = sorted(os.walk(journal[0]))

    done = audited("node", *words, log=tmp_path / "log")

    assert done.changes == ()
    assert done.code not in SAYS_NOTHING, done.err
    assert done.out or done.err
    assert sorted(os.walk(journal[0])) == before


def test_the_hook_sees_a_write(tmp_path: Path) -> None:
    done = audited("man", str(tmp_path / "man"), log=tmp_path / "log")

    assert any("passgate.1" in line for line in done.changes)


IN_A_CHILD = """
from hostdev.binding.child import Answer, in_child, look_in_child
from pathlib import Path
def write():
    Path(words[0]).write_text("x")
    return Answer(True)
(look_in_child if words[1] == "look" else in_child)(write, *((20,) if words[1] == "look" else (20, lambda _: None)))
"""


@pytest.mark.parametrize("which", ["look", "work"])
def test_and_that_of_a_child(which: str, tmp_path: Path) -> None:
    done = audited(str(tmp_path / "file"), which, log=tmp_path / "log", program=IN_A_CHILD)

    assert (tmp_path / "file").exists(), done.err
    assert [line.split()[2] for line in done.changes] == [str(tmp_path / "file")]
