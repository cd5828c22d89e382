"""The scenarios of the recording against Passgate's device plugin, and against one as most are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.kubelet.dice import Dice
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.sidebyside import PAGE, ROWS, Row, table
from tests.kubelet.sides import BUSES, Most, Ours, Side

# gRPC's own thread, which looks whether a channel is ready, may find it closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Backwards(Dice):
    """Every order is the wrong one."""

    def _shuffled(self, names: Iterable[str]) -> list[str]:
        return sorted(names, reverse=True)


def give_nodes(directory: Path) -> None:
    """What every card may need, before and after its group has another number."""
    (directory / "devices").mkdir(parents=True)
    numbers = (number for bus in BUSES for number in (bus, 100 + bus))
    devices = (f"devices/vfio{2 * number + add}" for bus in BUSES for number in (bus, 100 + bus) for add in (0, 1))
    for name in ("vfio", *map(str, numbers), *devices):
        (directory / name).symlink_to("/dev/null")


@pytest.mark.parametrize("side", [Most, Ours])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.scenarios}-{row.trouble}")
def test_what_becomes_of_it(row: Row, side: type[Side], kubelet_dir: Path) -> None:
    give_nodes(kubelet_dir / "root/dev/vfio")
    with Kubelet(kubelet_dir, times=row.times, dice=Backwards(), root=str(kubelet_dir / "root")) as kubelet:
        assert row.act(side(kubelet)) == (row.ours if side is Ours else row.most)


def test_the_page_has_every_row() -> None:
    assert f"\n\n{table()}\n" in PAGE.read_text(), "python -m tests.kubelet.sidebyside writes it anew"
