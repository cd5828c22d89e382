"""The agent: its turns, and what each of them looks at and tells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from domxml.errors import ExitCode, HostUnreadable
from domxml.finding import Finding, Severity
from hooksidecar import log
from hooksidecar.agent.arrivals import Arrivals
from hooksidecar.agent.hostwatch import Surroundings
from hooksidecar.agent.metrics import Metrics
from hooksidecar.agent.nfd import Labels
from hooksidecar.agent.options import Options
from hooksidecar.agent.pods import Node, Sweep
from hooksidecar.agent.watch import POLL, Watch, Woken
from hooksidecar.nodewatch.look import declared_by, look_at, read_boot_id_of
from hooksidecar.nodewatch.record import Record, current_grants
from hostdev.inventory.machine import Machine
from hostdev.inventory.scan import looker
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2  # noqa: F401  loaded before a pod waits for it

if TYPE_CHECKING:
    from hooksidecar.agent.manager import Manager
    from hooksidecar.agent.offers import Offers

WHOLE = 60.0
"""Seconds between two sweeps over all pods, whatever was told meanwhile."""
STUCK = 60.0
"""Seconds without a turn that are too many; a turn comes every ten."""


class Loop:
    """Goes round until it is told to end."""

    def __init__(  # noqa: PLR0913  what it goes round
        self,
        node: Node,
        watch: Watch,
        surroundings: Surroundings,
        *,
        tell: Callable[[Sweep], None],
        ended: Callable[[], bool],
        manager: Manager | None = None,
        arrivals: Arrivals | None = None,
        offers: Offers | None = None,
    ) -> None:
        self._manager = manager
        self._offers = offers
        self._arrivals = arrivals
        self._node = node
        self._record = node.record
        self._watch = watch
        self._surroundings = surroundings
        self._tell = tell
        self._ended = ended
        self._turned = time.monotonic()

    def once(self) -> Sweep:
        """One sweep over all pods, and a look around."""
        swept = self._node.sweep(whole=True)
        if self._manager:
            self._manager.turn()
        self._surroundings.look_twice()
        return self._told(swept)

    def run(self) -> None:
        """Sweep whenever there is a reason to."""
        # First of all: as long as nothing is offered, pods that arrive fail for good.
        if self._offers:
            self._offers.start()
        self._surroundings.start(self._around)
        if self._manager:
            self._manager.start(self._watch.wake)
        if self._arrivals:
            self._arrivals.start(self._watch.wake)
        woken, look_at, whole_at = Woken(everything=True), 0.0, 0.0
        while not self._ended():
            now = time.monotonic()
            whole = woken.everything or now >= whole_at
            look = whole or woken.checkpoint or now >= look_at
            if look and not woken.checkpoint:
                # No event tells of it: what is mounted is not gone for the kernel.
                self._watch.check_mounts()
            before = self._record.granted
            swept = self._node.sweep(look=look, whole=whole, touched=woken.pods)
            if swept.grants is not before:
                self._surroundings.ask()
                if self._offers:
                    self._offers.keeper.ask()
            self._told(swept)
            self._turned = time.monotonic()
            whole_at = now + WHOLE if whole else whole_at
            # A torn file may be whole a moment later, and no event tells.
            look_at = now + (POLL if self._record.trouble else self._watch.patience) if look else look_at
            woken = self._watch.wait(min(self._node.next(), whole_at, look_at) - self._turned)

    def trouble(self) -> str:
        """The reason why the agent is of no use now; empty when it is well."""
        late = time.monotonic() - self._turned
        return f"no sweep has ended for {late:.0f} s" if late > STUCK else ""

    def _around(self) -> None:
        """The surroundings have been looked at."""
        if self._offers:
            self._offers.keeper.ask()
        self._watch.wake()

    def _told(self, swept: Sweep) -> Sweep:
        seen = self._surroundings.seen
        kept = self._manager.seen.findings if self._manager else ()
        if self._arrivals:
            self._arrivals.granted(swept.grants)
            kept += self._arrivals.seen.findings
        if self._offers:
            kept += self._offers.seen.findings
        swept = swept._replace(machine=seen.machine, findings=(*swept.findings, *seen.findings, *kept))
        self._tell(swept)
        return swept


class Agent:
    """One node's agent."""

    def __init__(self, options: Options, ended: Callable[[], bool]) -> None:
        self._options = options
        self._boot_id = read_boot_id_of(options.host)
        self._record = Record(options.kubelet_dir, self._boot_id)
        self._watch = Watch(options.kubelet_dir)
        self.waker = self._watch.waker
        """A descriptor: a byte written to it ends a wait."""
        self._look = looker(options.host)
        self._surroundings = Surroundings(self._look, options.kubelet_dir, Record(options.kubelet_dir, self._boot_id))
        self._manager = _manager(options)
        self._arrivals = _arrivals(options, self._surroundings)
        self._offers = _offers(options, self._look, self._surroundings, self._boot_id)
        node = Node(
            options.kubelet_dir,
            self._record,
            self._watch.arm,
            writes=not options.observe,
            ended=ended,
            as_given=self._as_given,
        )
        self._loop = Loop(
            node,
            self._watch,
            self._surroundings,
            tell=self._tell,
            ended=ended,
            manager=self._manager,
            arrivals=self._arrivals,
            offers=self._offers,
        )
        self._diary = log.Diary()
        self._metrics = Metrics(ages=self._ages)
        self._labels = Labels(options.features_dir)

    def once(self) -> int:
        """One sweep; the exit code tells what is wrong."""
        swept = self._loop.once()
        if self._record.trouble:
            return ExitCode.HOST_UNREADABLE
        return ExitCode.FINDINGS if swept.failed else ExitCode.DONE

    def run(self) -> None:
        """Serve until told to end."""
        with ExitStack() as faces:
            if self._options.listen:
                self._serve_web(faces)
            if self._options.node_hook_socket:
                self._serve_hooks(faces)
            directory = os.path.abspath(self._options.kubelet_dir)  # noqa: PTH100
            if self._manager:
                faces.callback(self._manager.close)
                log.info("managing", file=self._options.manage)
            if self._offers:
                faces.callback(self._offers.close)
            log.info("watching", directory=directory, observe=self._options.observe)
            self._loop.run()

    def _serve_web(self, faces: ExitStack) -> None:
        from hooksidecar.nodewatch.web import Web  # noqa: PLC0415  most of its weight is asyncio's

        web = Web(self._options.listen, self._metrics.text, self._loop.trouble)
        web.start()
        faces.callback(web.close)

    def _serve_hooks(self, faces: ExitStack) -> None:
        from hooksidecar.agent import nodehook  # noqa: PLC0415  only where it is asked for
        from hooksidecar.server import Server  # noqa: PLC0415
        from hooksidecar.unixsocket import UnixSocket  # noqa: PLC0415

        # A record of its own: the hook is asked in another thread, and wants the file as it is now.
        record = Record(self._options.kubelet_dir, self._boot_id)
        methods = nodehook.methods(
            self._machine,
            lambda: self._as_given(current_grants(self._options.kubelet_dir, record)),
            self._metrics.answered,
            self._arrivals.started if self._arrivals else None,
        )
        server = Server(methods)
        directory, _, name = self._options.node_hook_socket.rpartition("/")
        place = UnixSocket(directory or ".", name)
        faces.callback(server.stop)
        place.publish(server.listen)
        faces.callback(place.remove)
        log.info("serving node hooks", socket=place.path)

    def _as_given(self, grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
        """Kubelet's record, and of what this agent gave its own memory."""
        return self._offers.given.as_given(grants) if self._offers else grants

    def _machine(self) -> Machine:
        machine = self._look()
        if machine is None:
            raise HostUnreadable("no-host", "there is no host to look at", hint="give one with --host")
        return machine

    def _ages(self) -> Mapping[str, float]:
        """Seconds since each source of what is told was read whole."""
        around, now = self._surroundings, time.monotonic()
        read_at = {"record": self._record.read_at, "podresources": around.podresources_read_at}
        if self._options.host != "none":
            read_at["host"] = around.host_read_at
        if self._manager:
            read_at["node-state"] = self._manager.read_at
        return {source: now - moment for source, moment in read_at.items()}

    def _tell(self, swept: Sweep) -> None:
        swept = swept._replace(findings=tuple(map(self._as_expected, swept.findings)))
        _log_sweep(swept)
        self._diary.write(swept.findings)
        self._metrics.swept(swept)
        if self._manager:
            self._metrics.managed(self._manager.seen.standings, self._manager.seen.outcomes)
        if self._offers:
            offering = self._offers.seen
            self._metrics.offered(offering.units, offering.resources, offering.registrations)
        if self._arrivals:
            self._metrics.arrived(self._arrivals.seen.states, self._arrivals.seen.arrived)
        self._labels.write(swept, self._record.checkpoint)

    def _as_expected(self, finding: Finding) -> Finding:
        """What the node is meant to be is no alarm."""
        return finding._replace(severity=Severity.INFO) if finding.code in self._options.expected else finding


def _manager(options: Options) -> Manager | None:
    if not options.manage:
        return None
    from hooksidecar.agent.manager import Manager, steward_of  # noqa: PLC0415  only where it is asked for

    return Manager(steward_of(options.manage, options.node, options.state_dir))


def _offers(options: Options, look: Callable[[], Machine | None], around: Surroundings, boot_id: str) -> Offers | None:
    if not options.offer:
        return None
    from hooksidecar.agent import offers  # noqa: PLC0415  only where it is asked for

    return offers.Offers(
        declared_by(options.manage, options.node),
        look_at(options.host, look, lambda: around.seen.picture),
        Record(options.kubelet_dir, boot_id),
        options.kubelet_dir,
    )


def _arrivals(options: Options, surroundings: Surroundings) -> Arrivals | None:
    """Only where there is a host that lives: a recorded one runs no VMs."""
    if options.once or not os.path.isdir(options.host):  # noqa: PTH112
        return None
    return Arrivals(options.host, lambda: surroundings.seen.machine)


def _log_sweep(swept: Sweep) -> None:
    if swept.dropped or swept.removed or swept.failed:
        log.info(
            "swept",
            dropped=swept.dropped,
            kept=swept.kept,
            removed=swept.removed,
            failed=swept.failed,
            ms=round(swept.seconds * 1000, 1),
        )
