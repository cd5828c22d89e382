"""What the node offers to kubelet as device plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding
from domxml.text import listed
from hooksidecar import log
from hooksidecar.agent.given import Given
from hooksidecar.deviceplugin.plugins import Plugins
from hooksidecar.deviceplugin.source import Granted, Listed
from hooksidecar.nodewatch.keeper import Keeper, count_units
from hooksidecar.nodewatch.look import Look
from hooksidecar.nodewatch.record import Record
from hostdev.binding.state import By, NodeState
from hostdev.findings.offer import OFFER_RECORD_DIFFERS
from hostdev.inventory.machine import Machine
from hostdev.kubelet.checkpoint import Grant
from hostdev.offer.grant import findings_against, make_grant
from hostdev.offer.pool import Held, Offer
from hostdev.offer.prefer import prefer_units


class Offering(NamedTuple):
    """The last turn."""

    findings: tuple[Finding, ...] = ()
    units: Mapping[str, int] = MappingProxyType({})
    """By what has become of them."""
    resources: Mapping[str, int] = MappingProxyType({})
    """By how they stand with kubelet."""
    registrations: Mapping[str, int] = MappingProxyType({})
    """By how they ended, since the agent began."""


class Offers:
    """Tells kubelet of the offer, and answers it."""

    def __init__(self, declared: Callable[[Machine], NodeState], look: Look, record: Record, kubelet_dir: str) -> None:
        self.keeper = Keeper(declared, look, record, kubelet_dir, held=self._held, turned=self._turned)
        self._plugins = Plugins(kubelet_dir, self)
        self.given = Given()
        self._units: Mapping[str, int] = {}
        self._differing: tuple[Finding, ...] = ()

    def start(self) -> None:
        """Offer what is there, and what comes."""
        self._plugins.start()
        self.keeper.start()

    def close(self) -> None:
        """Offer nothing any more."""
        self._plugins.close()

    @property
    def seen(self) -> Offering:
        """How it stands now."""
        found = (*self.keeper.findings(), *self._differing, *self._plugins.findings())
        return Offering(found, self._units, self._plugins.states(), self._plugins.outcomes())

    def listed(self, resource: str) -> Sequence[Listed]:
        """List the units of a resource."""
        pool = self.keeper.offer.of(By.PLUGIN).get(resource)
        return [Listed(one.id, one.is_healthy, one.numa_node) for one in pool.units] if pool else ()

    def allocate(self, resource: str, ids: Sequence[str]) -> Granted:
        """Give units away."""
        grant = make_grant(self.keeper.offer, resource, ids)
        granted = Granted(grant.variables, grant.nodes)
        self.given.note(resource, ids, granted)
        log.info("given", resource=resource, units=list(ids), devices=list(map(str, grant.addresses)))
        return granted

    def prefer(self, resource: str, available: Sequence[str], must_include: Sequence[str], size: int) -> Sequence[str]:
        """Choose units."""
        pool = self.keeper.offer.of(By.PLUGIN).get(resource)
        return prefer_units(pool, available, must_include, size) if pool else tuple(available[:size])

    def check(self, resource: str, ids: Sequence[str]) -> None:
        """Look at units once more, and refuse to start with what cannot be given any more."""
        pool = self.keeper.offer.of(By.PLUGIN).get(resource)
        units = [one.unit for id_ in ids if pool and (one := pool.by_id.get(id_)) and one.unit]
        self.keeper.renew({address for unit in units for address in unit.functions})
        if found := findings_against(self.keeper.offer, resource, ids):
            raise found[0].refusal()

    def _held(self, record: Record) -> Held:
        if record.is_current:
            self.given.keep(record.grants, record.read_at)
            self._differing = tuple(_differs(grant) for grant in self.given.differing(record.grants))
        return self.given.held(record.plugins_ids)

    def _turned(self, offer: Offer) -> None:
        pools = offer.of(By.PLUGIN)
        self._units = count_units(pools.values())
        self._plugins.update(list(pools))


def _differs(grant: Grant) -> Finding:
    text = f"pod {grant.pod_uid} was given {listed(grant.device_ids, 3)}, and the record has other variables or nodes"
    return OFFER_RECORD_DIFFERS.found(grant.resource, text)
