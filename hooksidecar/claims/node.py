"""What is known of the node: its host, kubelet's record, and the offer that comes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hooksidecar.claims.options import Options
from hooksidecar.nodewatch.keeper import Keeper
from hooksidecar.nodewatch.look import Pictures, declared_by, look_at, read_boot_id_of
from hooksidecar.nodewatch.record import Record
from hostdev.inventory.scan import looker
from hostdev.offer.pool import Offer


class Node(NamedTuple):
    """The parts that know of it; none has looked yet."""

    boot_id: str
    pictures: Pictures
    record: Record
    keeper: Keeper


def watch_node(options: Options, turned: Callable[[Offer], None]) -> Node:
    """Wire them together; `turned` hears of the offer whenever the keeper has looked."""
    boot_id = read_boot_id_of(options.host)
    pictures = Pictures(looker(options.host, bars=True))
    record = Record(options.kubelet_dir, boot_id, options.driver)
    keeper = Keeper(
        declared_by(options.state, options.node),
        look_at(options.host, pictures.look, lambda: pictures.last, bars=True),
        record,
        options.kubelet_dir,
        held=lambda record: record.plugins_ids,
        turned=turned,
    )
    return Node(boot_id, pictures, record, keeper)
