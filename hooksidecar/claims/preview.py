"""What would be published of a host now, for people: the API server is not asked, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

from hooksidecar import log
from hooksidecar.claims.options import Options
from hooksidecar.nodewatch.keeper import Keeper
from hooksidecar.nodewatch.look import Pictures, declared_by, look_at, read_boot_id_of
from hooksidecar.nodewatch.record import Record
from hostdev.claims.devices import make_inventory
from hostdev.claims.slices import Create, Owner, plan_slices
from hostdev.inventory.scan import looker


def preview_slices(options: Options) -> str:
    """The ResourceSlices as one List, as kubectl prints such; the log tells what is offered otherwise than declared."""
    pictures = Pictures(looker(options.host, bars=True))
    record = Record(options.kubelet_dir, read_boot_id_of(options.host), options.driver)
    keeper = Keeper(
        declared_by(options.state, options.node),
        look_at(options.host, pictures.look, lambda: pictures.last, bars=True),
        record,
        options.kubelet_dir,
        held=lambda record: record.plugins_ids,
        turned=lambda _offer: None,
    )
    keeper.turn()
    inventory = make_inventory(keeper.offer)
    log.Diary().write((*keeper.findings(), *record.findings, *inventory.remarks))
    plan = plan_slices(inventory, (), Owner(options.node, ""), options.driver)
    slices = [_without_owner(step.object) for step in plan.steps if isinstance(step, Create)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": slices}, indent=2) + "\n"


def _without_owner(found: dict[str, Any]) -> dict[str, Any]:
    """The node's UID is the API server's to tell."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "ownerReferences"}
    return {**found, "metadata": metadata}
