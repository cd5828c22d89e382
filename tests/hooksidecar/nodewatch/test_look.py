"""How a node is looked at, and the file that declares its state, as it is written and as it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from domxml.errors import BadInput
from hooksidecar.nodewatch.look import Picture, declared_by, look_at
from hostdev.inventory.machine import Machine
from tests.hostdev.gate.build import at
from tests.hostdev.offer.offers import CARD, HEAD
from tests.house import ROOT

STATE = f"  offer: [{{resource: {CARD}, match: {{class: display}}, unit: group}}]"


def test_a_file_that_breaks_changes_no_offer(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    declared = declared_by(str(file), "")
    with pytest.raises(BadInput):
        declared(Machine())

    file.write_text(HEAD + STATE)
    before = declared(Machine())
    assert [entry.resource for entry in before.offers] == [CARD]
    for broken in ("spec: [", "apiVersion: passgate.dev/v1\nkind: NodeState\nspec: {offer: 7}\n"):
        file.write_text(broken)
        assert declared(Machine()) == before
    file.unlink()
    assert declared(Machine()) == before


@pytest.mark.parametrize("bars", [False, True])
def test_sizes_of_bars_are_looked_at_where_they_are_published(*, bars: bool) -> None:
    """Also after a look at one function, or its device would lose them by the first event."""
    host = str(ROOT / "tests/fixtures/machines/consumer-gpu.toml")
    found = look_at(host, lambda: None, Picture, bars=bars).some([at("01:00.0")]).functions[at("01:00.0")].bars

    assert (found is not None and found.own != ()) is bars
