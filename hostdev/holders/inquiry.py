"""Asking a host who holds a device: processes, libvirt, the kernel's own count, kubelet; one answer of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hostdev.holders import processes
from hostdev.holders.claim import Claim, How
from hostdev.holders.domains import domain_claims
from hostdev.holders.grants import Kubelet
from hostdev.holders.holders import Answer, Asked, find_holders, name_unknown_units
from hostdev.holders.kubelet import ask_kubelet
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction


class Inquiry:
    """The sources of one host. Kubelet is asked once, the others for each device, at that moment."""

    def __init__(self, host: Host, *, kubelet_dir: str | None = None, root: Path | None = None) -> None:
        self._host = host
        self._kubelet: Kubelet
        self._kubelet, self._asked = ask_kubelet(kubelet_dir, root)
        self.hidden = 0
        """Processes that could not be looked into the last time."""

    def ask(self, machine: Machine, function: PciFunction, more: Iterable[Claim] = (), *, whole: bool = True) -> Answer:
        """Who holds a function; `more` is what another source claims, such as a libvirt that was asked itself.

        `whole` is whether the picture is of the whole machine: otherwise units that it has not may well be there.
        """
        seen, looked = self._processes(function)
        self.hidden = len(seen.hidden)
        found = (
            *seen.claims,
            *processes.enabled_claims(self._host, function),
            *processes.driver_claims(function),
            *domain_claims(self._host, function.address),
            *more,
        )
        answers = (looked, *self._asked)
        asked = tuple(name_unknown_units(answers, machine, self._kubelet)) if whole else answers
        return find_holders(function, machine, found, self._kubelet, asked)

    def _processes(self, function: PciFunction) -> tuple[processes.Seen, Asked]:
        if not processes.processes(self._host):
            return processes.Seen(()), Asked(How.OPEN, f"{self._host.source} has no processes to look at")
        seen = processes.ask_processes(self._host, function)
        hidden = f"not permitted to look into {len(seen.hidden)} processes; ask again as root" if seen.hidden else ""
        return seen, Asked(How.OPEN, hidden)


def describe_holders(claims: Sequence[Claim]) -> str:
    """Holders in words, the most trusted first."""
    first, more = claims[0], len({claim.pid or claim.who for claim in claims}) - 1
    who = f"{first.who} (PID {first.pid})" if first.pid else _by_source(first)
    pod = f" of pod {first.holder}" if first.holder and first.pid else ""
    return f"{who}{pod}{f' and {more} more' if more > 0 else ''}: {first.where}"


def _by_source(claim: Claim) -> str:
    words = {
        How.DOMAIN: f"the domain {claim.who}",
        How.ENABLED: "a process that is not to be seen",
        How.CHECKPOINT: f"pod {claim.holder}, to which kubelet granted {claim.granted}",
        How.CLAIM: f"pod {claim.holder or 'that is not known'}, for which {claim.granted} is prepared",
        How.PODRESOURCES: f"pod {claim.holder}, to which kubelet granted {claim.granted}",
    }
    return words.get(claim.how, claim.who)
