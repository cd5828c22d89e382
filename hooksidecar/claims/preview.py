"""What would be published of a host now, for people: the API server is not asked, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

from hooksidecar import log
from hooksidecar.claims.node import watch_node
from hooksidecar.claims.options import Options
from hostdev.claims.devices import make_inventory
from hostdev.claims.slices import Create, Owner, plan_slices


def preview_slices(options: Options) -> str:
    """The ResourceSlices as one List, as kubectl prints such; the log tells what is offered otherwise than declared."""
    node = watch_node(options, turned=lambda _offer: None)
    node.keeper.turn()
    inventory = make_inventory(node.keeper.offer)
    log.Diary().write((*node.keeper.findings(), *node.record.findings, *inventory.remarks))
    plan = plan_slices(inventory, (), Owner(options.node, ""), options.driver)
    slices = [_without_owner(step.object) for step in plan.steps if isinstance(step, Create)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": slices}, indent=2) + "\n"


def _without_owner(found: dict[str, Any]) -> dict[str, Any]:
    """The node's UID is the API server's to tell."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "ownerReferences"}
    return {**found, "metadata": metadata}
