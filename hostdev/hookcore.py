"""One hook call: from the domain and the VM that virt-launcher hands over to the domain it gets back.

KubeVirt calls the hook one to three times a boot, each time with the answer of the call before, as libvirt and
KubeVirt's structs have left it. Only the first call may refuse: behind every later one stands a defined domain.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from domxml import alias as aliases
from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.source import holders
from hostdev.allocation.dialects import speaking
from hostdev.allocation.wait import filled, wait_for
from hostdev.gathering import Channels, gather, read_file
from hostdev.injection import Injection, Options
from hostdev.preparation import Prepared, carry_out, prepare, resources, waits_for_file
from hostdev.vmi.vmi import Vmi, parse_vmi

if TYPE_CHECKING:
    from hostdev.machine import Machine


class Answer(NamedTuple):
    """What goes back to virt-launcher, and what there is to say about it."""

    xml: bytes
    vm: str
    passes: int
    """How many calls of this process succeeded, this one included."""
    devices: tuple[str, ...] = ()
    """Aliases of the devices that are in the domain because of us."""
    findings: tuple[Finding, ...] = ()
    trouble: str = ""
    """Why the input went back as it came, although devices are wanted: only after a first success."""


class _Settled(NamedTuple):
    """What the first success settled; later calls apply it again, whatever the channels say by then."""

    prepared: Prepared
    machine: Machine | None


class HookCore:
    """The state of one process, which serves one VM's pod."""

    def __init__(
        self, channels: Callable[[], Channels], look: Callable[[], Machine | None], *, wait: float = 0.0
    ) -> None:
        self._channels = channels
        self._look = look
        self._wait = wait
        self._lock = Lock()
        self._settled: _Settled | None = None
        self._passes = 0

    def define(self, xml: bytes, vmi: bytes, *, deadline: float) -> Answer:
        """Answer one call before `deadline` (of time.monotonic). Raises PassgateError to refuse, at first only."""
        with self._lock:
            try:
                return self._define(xml, parse_vmi(vmi), min(deadline, monotonic() + self._wait))
            except PassgateError as error:
                if self._settled is None and not is_later_pass(xml):
                    raise
                return Answer(xml, "", self._passes, trouble=error.sentence())

    def _define(self, xml: bytes, vmi: Vmi, patience: float) -> Answer:
        if vmi.is_migration_target:
            # KubeVirt throws the answer away; the real domain is the source's.
            return Answer(xml, str(vmi), self._passes)
        domain = Domain.parse(xml)
        settled = self._settled or self._settle(domain, vmi, patience)
        injection = carry_out(domain, settled.prepared, settled.machine)
        # What was noticed while gathering is told once.
        self._settled = settled._replace(prepared=settled.prepared._replace(findings=()))
        self._passes += 1
        return Answer(injection.result.xml, str(vmi), self._passes, _devices(injection), injection.findings)

    def _settle(self, domain: Domain, vmi: Vmi, patience: float) -> _Settled:
        # The agent writes its file when it sees the pod's allocation, KubeVirt fills network-info when the pod runs:
        # that may be a moment after our start.
        wait_for(lambda: self._told(vmi), patience, clock=monotonic, sleep=sleep)
        asked = resources(vmi)
        ready = prepare(vmi, (), gather(self._channels(), domain, vmi, asked), Options())
        wants = bool(ready.wanted.requests or ready.wanted.allocations)
        return _Settled(ready, self._look() if wants else None)

    def _told(self, vmi: Vmi) -> bytes | None:
        """Something, once every channel has spoken that will."""
        channels = self._channels()
        if channels.network_info and not filled(read_file(channels.network_info)):
            return None
        named = channels.files or any(speaking(variable) for variable in channels.environment)
        return b"all" if named or not waits_for_file(vmi) else None


def is_later_pass(xml: bytes) -> bool:
    """Whether an earlier pass has put devices of ours into the domain."""
    try:
        held = holders(Domain.parse(xml)).values()
    except PassgateError:
        return False
    found = [holder.element.find("alias") for holder in held]
    return any(alias is not None and aliases.is_ours(alias.get("name", "")) for alias in found)


def _devices(injection: Injection) -> tuple[str, ...]:
    return tuple(change.alias for change in injection.result.changes)
