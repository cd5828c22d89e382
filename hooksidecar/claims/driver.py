"""One node's driver: what is offered becomes slices, and claims of them are prepared."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.claims.apiserver import ApiServer
from hooksidecar.claims.metrics import CountedClaims, Metrics, State
from hooksidecar.claims.node import watch_node
from hooksidecar.claims.options import Options
from hooksidecar.claims.prepare import Preparer
from hooksidecar.claims.publisher import Publisher
from hooksidecar.claims.server import DraServer
from hooksidecar.claims.source import DeviceHealth
from hooksidecar.claims.store import ClaimStore
from hooksidecar.claims.sweep import Sweep
from hooksidecar.nodewatch.keeper import count_units
from hooksidecar.nodewatch.mounts import Mounts
from hooksidecar.process import Stop
from hooksidecar.registration import State as Registration
from hostdev.binding.state import By
from hostdev.claims.devices import Device, Inventory, make_inventory
from hostdev.kubelet.checkpoint import FILE
from hostdev.kubelet.directory import DRIVERS, PLUGINS, dra_directory
from hostdev.offer.grant import findings_against
from hostdev.offer.pool import Offer

TURN = 10.0
"""Seconds between two looks at what is to be told."""
AGAIN = 60.0
"""Seconds until what is left of claims is looked at again."""
FIRST = 5.0
"""Seconds that kubelet is not told of the driver while the host was not looked at yet."""


class Driver:
    """Wires the parts together; each works in threads of its own."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._boot_id, self._pictures, self._record, self._keeper = watch_node(options, self._turned)
        self._api = ApiServer.in_cluster(options.service_account_dir, options.api_server or None)
        self._mounts = Mounts(_mounted(options))
        self._store = ClaimStore(options.kubelet_dir, options.driver, options.cdi_dir)
        self._preparer = Preparer(
            self._api,
            self._store,
            lambda: self._keeper.offer,
            node=options.node,
            driver=options.driver,
            boot_id=self._boot_id,
        )
        self._preparer.on_change = self._keeper.ask
        own = Path(dra_directory(options.kubelet_dir, options.driver))
        self._publisher = Publisher(self._api, options.node, options.driver, own)
        self._calls = CountedClaims(self._preparer)
        self._server = DraServer(options.kubelet_dir, options.driver, self._calls, self)
        self._metrics = Metrics(self._state, self._calls)
        self._diary = log.Diary()
        self._seen = threading.Event()
        """Set when the host and the file were read once."""
        self._left: tuple[Finding, ...] = ()
        """What may be left of claims, and could not be judged."""
        self._offer = self._keeper.offer
        self._inventory = Inventory()

    def run(self, stop: Stop) -> None:
        """Serve until told to end. The slices stay: kubelet takes them away where no process of the driver comes."""
        with ExitStack() as faces:
            faces.callback(self._api.close)
            if self._options.listen:
                self._serve_web(faces)
            self._keeper.start()
            self._pictures.start(self._keeper.ask)
            self._publisher.start()
            faces.callback(self._publisher.close)
            self._seen.wait(FIRST)
            self._server.start()
            faces.callback(self._server.close)
            threading.Thread(target=self._sweep, name="sweep", daemon=True).start()
            log.info("serving claims", driver=self._options.driver, node=self._options.node)
            while not stop.wait(TURN):
                self._mounts.check()
                self._tell()

    def devices(self) -> Sequence[DeviceHealth]:
        """How the devices of the slices are; what a claim holds stays in them, whatever became of it."""
        return tuple(self._health())

    def _serve_web(self, faces: ExitStack) -> None:
        from hooksidecar.nodewatch.web import Web  # noqa: PLC0415  most of its weight is asyncio's

        web = Web(self._options.listen, self._metrics.text, str, self._lacking)
        web.start()
        faces.callback(web.close)

    def _turned(self, offer: Offer) -> None:
        if offer is self._offer and self._seen.is_set():
            return
        self._offer, self._inventory = offer, make_inventory(offer, self._inventory)
        self._publisher.publish(self._inventory, lambda: make_inventory(offer, with_counters=False))
        self._server.health_changed()
        self._seen.set()

    def _sweep(self) -> None:
        """Until nothing is left of processes before this one that cannot be judged."""
        sweep = Sweep(self._api, self._store, self._preparer, self._options.kubelet_dir, self._boot_id)
        while True:
            try:
                self._left = sweep.run()
            except Exception as error:  # noqa: BLE001  a defect here must not end what else the driver does
                log.defect(error)
            if not self._left:
                return
            time.sleep(AGAIN)

    def _health(self) -> Iterator[DeviceHealth]:
        late = next(self._keeper.late(), None)
        for device in self._inventory.devices:
            one = device.unit
            healthy, said = (None, late.message) if late else (one.is_healthy, self._ailment(device))
            yield DeviceHealth(self._options.node, device.name, healthy, said)

    def _ailment(self, device: Device) -> str:
        one = device.unit
        found = () if one.is_healthy else findings_against(self._offer, device.resource, [one.id], By.CLAIM)
        return "; ".join(finding.what for finding in found or one.against)

    def _lacking(self) -> str:
        """Why pods cannot have claims prepared now; empty when they can."""
        if not self._seen.is_set():
            return "the host and the NodeState file have not been read yet: see the log"
        standing = self._server.standing
        if standing.state is not Registration.REGISTERED:
            return f"kubelet does not know the driver: {standing.why}"
        published = self._publisher.standing
        return "" if published.is_current else f"the slices are not published: {published.why}"

    def _findings(self) -> Iterator[Finding]:
        yield from self._keeper.findings()
        yield from self._inventory.remarks
        yield from self._left
        yield from self._record.findings
        yield from self._server.findings()
        yield from self._publisher.findings()
        yield from self._pictures.findings()

    def _tell(self) -> None:
        self._diary.write(tuple(self._findings()))

    def _state(self) -> State:
        return State(
            tuple(self._findings()),
            count_units(self._keeper.offer.of(By.CLAIM).values()),
            len(self._record.records),
            self._publisher.standing,
            self._publisher.errors,
            self._server.standing.state is Registration.REGISTERED,
            time.monotonic() - self._pictures.read_at,
        )


def _mounted(options: Options) -> Iterator[str]:
    """What of kubelet's directory is mounted by itself in a container."""
    for place in (FILE.rpartition("/")[0], PLUGINS, DRIVERS):
        yield os.path.join(options.kubelet_dir, place)  # noqa: PTH118
    yield options.cdi_dir
