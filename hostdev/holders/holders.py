"""The answer to who holds a device: all claims by trust, what is true of it, and whether the sources agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from domxml.finding import Evidence, Finding, Severity
from domxml.text import listed, printable
from hostdev.findings.holders import (
    CLAIM_OF_GONE_POD,
    GRANT_OF_GONE_POD,
    GRANTED_TWICE,
    HOLDERS_DISAGREE,
    KUBELET_DISAGREES,
    RECORD_OF_EARLIER_BOOT,
)
from hostdev.holders.claim import RANK, TRUST, Claim, How, State
from hostdev.holders.grants import (
    Kubelet,
    claims_of_grants,
    contradictions,
    devices_of_grant,
    grants_of_living_pods,
    listed_pods,
    pod_names,
    unknown_units,
)
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.kubelet.checkpoint import is_another_boot

_IN_USE = (How.OPEN, How.TOLD)
_GRANTED = (How.CHECKPOINT, How.CLAIM)
"""What is written down when a pod is given a device, and may outlive the pod."""
_QUARRELS = frozenset({GRANTED_TWICE.code, HOLDERS_DISAGREE.code, KUBELET_DISAGREES.code})


@dataclass(frozen=True, slots=True)
class Asked:
    """One source and how it answered; `why` is empty when it answered in full."""

    how: How
    why: str = ""
    missing: bool = False
    """It is not there at all, so that nothing can be hidden in it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """All holders that were found, the best source first, and what comes of it."""

    claims: tuple[Claim, ...]
    asked: tuple[Asked, ...]
    findings: tuple[Finding, ...]
    claimed: tuple[str, ...] = ()
    """Devices of resource claims, of which it is not told whether this is one."""
    ended: frozenset[str | None] = frozenset()
    """Pods that were granted it and are there no more."""

    @property
    def holding(self) -> tuple[Claim, ...]:
        """The claims by which it belongs to a VM, a pod or a process now; the host's driver is none of these."""
        return tuple(
            claim
            for claim in self.claims
            if claim.how is not How.DRIVER and not (claim.how in _GRANTED and claim.pod and claim.pod in self.ended)
        )

    @property
    def complete(self) -> bool:
        """Whether all processes were seen, and kubelet told its grants in one of its two ways, if it is there."""
        looked = all(not asked.why for asked in self.asked if asked.how is How.OPEN)
        kubelet = [asked for asked in self.asked if asked.how in {How.CHECKPOINT, How.PODRESOURCES}]
        told = all(asked.missing for asked in kubelet) or any(not asked.why for asked in kubelet)
        prepared = not any(asked.why for asked in self.asked if asked.how is How.CLAIM)
        return looked and told and prepared and not self.claimed

    @property
    def state(self) -> State:
        """The state that the best source proves; free only where all of them could be looked at."""
        if self.claims:
            return TRUST[self.claims[0].how].proves
        return State.FREE if self.complete else State.UNKNOWN

    @property
    def agree(self) -> bool | None:
        """Whether the sources name the same pods; None where only one tells of a pod."""
        if any(finding.code in _QUARRELS for finding in self.findings):
            return False
        voices = {"processes" if claim.how in _IN_USE else claim.how for claim in self.claims if claim.holder}
        return True if len(voices) > 1 else None


def find_holders(
    function: PciFunction, machine: Machine, found: Iterable[Claim], kubelet: Kubelet, asked: Sequence[Asked]
) -> Answer:
    """Rank what processes, libvirt and the driver say beside what kubelet says, and hold the one against the other."""
    names = pod_names(kubelet)
    told = [
        _named(claim, names.get(claim.pod or "")) for claim in (*found, *claims_of_grants(function, machine, kubelet))
    ]
    claims = tuple(
        sorted(dict.fromkeys(told), key=lambda claim: (RANK[claim.how], claim.pid or 0, claim.pod or "", claim.who))
    )
    subject = str(function.address)
    findings = (
        *_old(subject, claims, machine, kubelet),
        *_twice(subject, claims, kubelet),
        *_used_by_another(subject, claims, kubelet),
        *_kubelet_disagrees(subject, claims, kubelet),
        *_gone(subject, claims, kubelet),
        *_record_differs(function, machine, kubelet),
    )
    gone = frozenset(claim.pod for claim in claims if claim.how in _GRANTED and not kubelet.may_have(claim.pod))
    return Answer(claims, tuple(asked), findings, kubelet.claimed, gone | _ended(claims, kubelet))


def name_unknown_units(asked: Iterable[Asked], machine: Machine, kubelet: Kubelet) -> Iterator[Asked]:
    """The sources; one that has an id of no unit of this machine tells less than all: it may be any device."""
    for source in asked:
        units = listed(map(printable, unknown_units(source.how, kubelet, machine)))
        why = f"it has ids of units that this machine has not: {units}" if units else ""
        yield replace(source, why=source.why or why)


def confirm(first: Answer, second: Answer) -> Answer:
    """The later of two answers: what is not read at the same moment quarrels only if it did both times."""
    codes = {finding.code for finding in first.findings}
    lasting = (one for one in second.findings if one.code not in _QUARRELS or one.code in codes)
    return replace(second, findings=tuple(lasting))


def _named(claim: Claim, pod: tuple[str, str] | None) -> Claim:
    return claim if pod is None or claim.name else replace(claim, namespace=pod[0], name=pod[1])


def _old(subject: str, claims: Sequence[Claim], machine: Machine, kubelet: Kubelet) -> Iterator[Finding]:
    here = machine.kernel.boot_id
    told = any(claim.how is How.CHECKPOINT for claim in claims)
    if told and is_another_boot(kubelet.boot_id, here):
        evidence = (Evidence("kubelet_internal_checkpoint", f"BootID {kubelet.boot_id}"),)
        text = f"the grants were written in boot {kubelet.boot_id}, this is {here}"
        yield RECORD_OF_EARLIER_BOOT.found(subject, text, evidence=evidence)


def _twice(subject: str, claims: Sequence[Claim], kubelet: Kubelet) -> Iterator[Finding]:
    granted_to = {claim.pod: claim for claim in claims if claim.how in _GRANTED and kubelet.may_have(claim.pod)}
    if len(granted_to) > 1:
        pods = " and ".join(f"pod {claim.holder} ({claim.granted})" for claim in granted_to.values())
        yield GRANTED_TWICE.found(subject, f"is granted to {pods}", evidence=_evidence(granted_to.values()))


def _used_by_another(subject: str, claims: Sequence[Claim], kubelet: Kubelet) -> Iterator[Finding]:
    """A process in a pod that was granted nothing, or one in no pod although a pod was granted the device."""
    if kubelet.grants is None:
        return
    grants = [claim for claim in claims if claim.how in _GRANTED and kubelet.may_have(claim.pod)]
    owners = {claim.pod for claim in grants}
    for pod, claim in {claim.pod: claim for claim in reversed(claims) if claim.how in _IN_USE}.items():
        if pod in owners or (pod is None and not owners):
            continue
        user = f"{claim.who} (PID {claim.pid}) in {f'pod {claim.holder}' if pod else 'no pod'}"
        text = f"{user} uses it, and kubelet granted it to {_pods(grants)}"
        yield HOLDERS_DISAGREE.found(subject, text, evidence=_evidence((claim, *grants)))


def _kubelet_disagrees(subject: str, claims: Sequence[Claim], kubelet: Kubelet) -> Iterator[Finding]:
    """Kubelet's two ways to tell, where the pods of both are known by UID, and their devices exactly."""
    if kubelet.grants is None or kubelet.listed is None:
        return
    ended = _ended(claims, kubelet)
    written = [claim for claim in claims if claim.how is How.CHECKPOINT and kubelet.may_have(claim.pod)]
    listed = [claim for claim in claims if claim.how is How.PODRESOURCES]
    comparable = all(claim.pod and claim.exact for claim in (*written, *listed))
    if comparable and {claim.pod for claim in written} - ended != {claim.pod for claim in listed} - ended:
        text = f"the checkpoint names {_pods(written)}, PodResources names {_pods(listed)}"
        yield KUBELET_DISAGREES.found(subject, text, evidence=_evidence((*written, *listed)))


def _gone(subject: str, claims: Sequence[Claim], kubelet: Kubelet) -> Iterator[Finding]:
    ended = _ended(claims, kubelet)
    for claim in claims:
        if claim.how is How.CLAIM and not kubelet.may_have(claim.pod):
            text = f"is prepared for claim {claim.resource_claim} of pod {claim.holder}, which is gone"
            yield CLAIM_OF_GONE_POD.found(subject, text, evidence=_evidence([claim]))
        if claim.how is How.CHECKPOINT and (claim.pod in ended or not kubelet.may_have(claim.pod)):
            state, severity = ("has ended", Severity.INFO) if claim.pod in ended else ("is gone", None)
            text = f"is granted to pod {claim.holder}, which {state}"
            yield GRANT_OF_GONE_POD.found(subject, text, severity=severity, evidence=_evidence([claim]))


def _record_differs(function: PciFunction, machine: Machine, kubelet: Kubelet) -> Iterator[Finding]:
    for grant in grants_of_living_pods(kubelet, machine):
        found = tuple(contradictions(grant, machine))
        if found and any(one.device == function.address for one in devices_of_grant(grant, machine)):
            yield from found


def _ended(claims: Sequence[Claim], kubelet: Kubelet) -> frozenset[str | None]:
    """Pods with a directory of which PodResources lists nothing any more, nor the device for any other."""
    if kubelet.listed is None or any(claim.how is How.PODRESOURCES for claim in claims):
        return frozenset()
    running = listed_pods(kubelet)
    written = {claim.pod for claim in claims if claim.how is How.CHECKPOINT and kubelet.may_have(claim.pod)}
    in_use = {claim.pod for claim in claims if claim.how in _IN_USE}
    return frozenset(pod for pod in written if pod not in running and pod not in in_use)


def _pods(claims: Sequence[Claim]) -> str:
    return " and ".join(dict.fromkeys(f"pod {claim.holder}" for claim in claims)) or "nobody"


def _evidence(claims: Iterable[Claim]) -> tuple[Evidence, ...]:
    return tuple(Evidence(f"{claim.how} {claim.who}", claim.where) for claim in claims)
