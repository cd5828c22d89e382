"""One PreCloudInitIso call: from the guest's cloud-init data to the same with network data in it.

KubeVirt makes the call before the domain is defined, again for each try to start, and on the target of a migration.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.allocation.network_info import from_network_info, network_macs
from hostdev.cloudinit.envelope import Envelope, read_envelope
from hostdev.cloudinit.netplan import CONFIG_DRIVE, OWN_DATA, Network, config_drive, macs, network, own_data
from hostdev.findings.cloudinit import NETWORK_DATA_NOT_WRITTEN
from hostdev.inject.gather import is_filled, wait_until
from hostdev.inject.hook import Settlement
from hostdev.vmi.addressing import INTERFACES
from hostdev.vmi.annotations import bonds, interfaces
from hostdev.vmi.bonds import BONDS
from hostdev.vmi.vmi import Vmi, parse_vmi


class Documents(NamedTuple):
    """The cloud-init data in both forms that KubeVirt knows, as bytes; the older one is all that old releases have."""

    source: bytes = b""
    data: bytes = b""


class Answer(NamedTuple):
    """The documents for virt-launcher, and what there is to say about it."""

    documents: Documents
    vm: str
    network_data: str = ""
    """What was written into them; empty: they are as they came."""
    interfaces: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    trouble: str = ""
    """Why they are as they came, although something is wanted: only after a first success."""
    settled: Network | None = None
    """Later calls hold to it, once this answer went out."""


class CloudInitHook:
    """The state of one process, which serves one VM's pod."""

    def __init__(self, network_info: Callable[[], bytes | None], *, wait: float = 0.0) -> None:
        self._network_info = network_info
        self._wait = wait
        self._settlement: Settlement[Network] = Settlement()

    def write(self, documents: Documents, vmi: bytes, *, deadline: float) -> Answer:
        """Answer one call before `deadline` (of time.monotonic). Raises PassgateError to refuse, at first only.

        Nothing is remembered of it until `keep` is called: the caller may be gone by now.
        """
        try:
            return self._write(documents, parse_vmi(vmi), min(deadline, monotonic() + self._wait))
        except PassgateError as error:
            if self._settlement.value is None:
                raise
            return Answer(documents, "", trouble=error.sentence())

    def keep(self, answer: Answer) -> int:
        """Hold to what an answer settled, because it goes out now; tell how many did so far."""
        return self._settlement.keep(answer.settled)

    def _write(self, documents: Documents, vmi: Vmi, patience: float) -> Answer:
        envelopes = [
            envelope
            for data, key in ((documents.data, "NetworkData"), (documents.source, "networkData"))
            if (envelope := read_envelope(data, key)) is not None
        ]
        if vmi.is_migration_target or not envelopes:
            # The guest runs already, and has read its data.
            return Answer(documents, str(vmi))
        wanted = self._settlement.value or self._settle(vmi, patience)
        settled = wanted._replace(findings=())
        if wanted.text in (envelope.network_data for envelope in envelopes):
            return Answer(documents, str(vmi), findings=wanted.findings, settled=settled)
        obstacle = _obstacle(vmi, envelopes) if wanted.text or wanted.findings else None
        if obstacle is not None or not wanted.text:
            findings = wanted.findings if obstacle is None else (obstacle,)
            return Answer(documents, str(vmi), findings=findings, settled=settled)
        written = _written(documents, envelopes, wanted.text)
        return Answer(written, str(vmi), wanted.text, wanted.interfaces, wanted.findings, settled=settled)

    def _settle(self, vmi: Vmi, patience: float) -> Network:
        info = b""
        if any(one.is_sriov or one.plugin for one in vmi.interfaces):
            # KubeVirt fills the file when the pod runs: that may be a moment after our start.
            wait_until(self._network_info_is_filled, patience, clock=monotonic, sleep=sleep)
            info = self._network_info() or b""
        plugged = {one.name for one in from_network_info(info).allocations if isinstance(one.device, PciAddress)}
        ours = frozenset(one.name for one in vmi.interfaces if one.plugin and one.name in plugged)
        return network(vmi, bonds(vmi), macs(vmi, network_macs(info)), ours, interfaces(vmi))

    def _network_info_is_filled(self) -> bool:
        data = self._network_info()
        return data is None or is_filled(data)


def _obstacle(vmi: Vmi, envelopes: list[Envelope]) -> Finding | None:
    """Say why nothing can be written; a bond that can be written nowhere is refused."""
    taken = any(envelope.network_data for envelope in envelopes)
    if not taken and not any(envelope.config_drive for envelope in envelopes):
        return None
    for annotation, asked in ((BONDS, bonds(vmi)), (INTERFACES, interfaces(vmi))):
        if asked:
            finding = own_data(annotation) if taken else config_drive(annotation)
            raise finding.refusal()
    if taken:
        hint = "nothing to do if it knows the interfaces"
        return NETWORK_DATA_NOT_WRITTEN.found(str(vmi), OWN_DATA, hint=hint, severity=Severity.INFO)
    return NETWORK_DATA_NOT_WRITTEN.found(str(vmi), CONFIG_DRIVE, hint="use cloudInitNoCloud")


def _written(documents: Documents, envelopes: list[Envelope], text: str) -> Documents:
    bytes_of = {envelope.key: envelope.with_network_data(text) for envelope in envelopes}
    return Documents(bytes_of.get("networkData", documents.source), bytes_of.get("NetworkData", documents.data))
