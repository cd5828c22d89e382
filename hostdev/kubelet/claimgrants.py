"""From what was prepared of resource claims to grants, as kubelet's record has them of device plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hostdev.kubelet.checkpoint import Grant, is_another_boot
from hostdev.kubelet.claimrecords import ClaimRecord, by_resource
from hostdev.kubelet.resourcename import variable_name


def claim_grants(records: Iterable[ClaimRecord], boot_id: str) -> tuple[Grant, ...]:
    """A grant for each pod and resource of a claim; none of what was prepared in another boot.

    Of a claim that is reserved for no pod the grant names none.
    """
    held = (one for one in records if not is_another_boot(one.boot_id, boot_id))
    return tuple(sorted(grant for record in held for grant in _grants(record)))


def _grants(record: ClaimRecord) -> Iterator[Grant]:
    variables = record.variables
    for resource, units in by_resource(record.units).items():
        variable = variable_name(resource)
        for uid in [uid for _, uid in record.pods] or [""]:
            yield Grant(
                uid,
                # Which of the pod's containers uses the claim, its record does not say.
                "",
                resource,
                tuple(dict.fromkeys(unit.unit for unit in units)),
                ((variable, variables[variable]),),
                tuple(dict.fromkeys(node for unit in units for node in unit.nodes)),
                f"{record.namespace}/{record.name}",
            )
