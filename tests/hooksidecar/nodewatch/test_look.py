"""The file that declares a node's state, as it is written and as it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from domxml.errors import BadInput
from hooksidecar.nodewatch.look import declared_by
from hostdev.inventory.machine import Machine
from tests.hostdev.offer.offers import CARD, HEAD

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
