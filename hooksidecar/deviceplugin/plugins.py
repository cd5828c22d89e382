"""The plugins of a node: one for each resource that is offered, and whether kubelet still has them by their names."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.text import listed, printable
from hooksidecar import log
from hooksidecar.deviceplugin.handover import LONGEST
from hooksidecar.deviceplugin.kubeletsocket import KubeletSocket
from hooksidecar.deviceplugin.registrar import Registrar
from hooksidecar.deviceplugin.server import PluginServer
from hooksidecar.deviceplugin.source import Source
from hooksidecar.registration import State
from hostdev.findings.offer import OFFER_NAME_TAKEN, OFFER_UNREGISTERED
from hostdev.kubelet.podresources import SOCKET, list_allocatable

EVERY = 30.0
"""Seconds between two looks at whose names they are. There is no other way to notice that another plugin has come, nor
that one has come and gone: then kubelet knows neither, and ends no stream of ours."""
SETTLED = 5.0
"""Seconds after which kubelet shows what it was told."""


class Plugins:
    """Made, told of changes, and ended as resources come and go."""

    def __init__(self, kubelet_dir: str, source: Source) -> None:
        self._kubelet_dir = kubelet_dir
        self._podresources = os.path.join(kubelet_dir, SOCKET)  # noqa: PTH118
        self._kubelet = KubeletSocket(kubelet_dir)
        self._source = source
        self._plugins: dict[str, _Plugin] = {}
        self._begun = time.monotonic()
        self._ended: Counter[str] = Counter()
        """Outcomes of plugins that are no more."""
        self._closed = threading.Event()

    def start(self) -> None:
        """Watch kubelet."""
        self._kubelet.watch(self._kubelet_changed)
        threading.Thread(target=self._watch_names, name="names", daemon=True).start()

    def close(self) -> None:
        """End all plugins. Kubelet then counts nothing of theirs, and running pods keep what they have."""
        self._closed.set()
        self._kubelet.close()
        for plugin in [*self._plugins.values()]:
            plugin.close()

    def update(self, resources: Collection[str]) -> None:
        """Tell kubelet what has changed, of these resources and of no others."""
        if self._closed.is_set():
            return
        for resource in [*self._plugins]:
            if resource not in resources:
                plugin = self._plugins.pop(resource)
                plugin.close()
                self._ended += plugin.registrar.outcomes
        new = [resource for resource in resources if resource not in self._plugins]
        for resource in new:
            self._plugins[resource] = _Plugin(self._kubelet_dir, resource, self._source, self._kubelet)
        for resource in resources:
            if self._plugins[resource].registrar.standing.state is not State.FOREIGN:
                # Otherwise our devices would be listed under the other's name.
                self._plugins[resource].update()
        if new:
            # A name that another plugin has is not taken from it.
            self.look_at_names()
        for resource in new:
            self._plugins[resource].registrar.start()

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the registrations."""
        for resource, plugin in [*self._plugins.items()]:
            standing = plugin.registrar.standing
            if standing.state is State.FOREIGN:
                yield OFFER_NAME_TAKEN.found(resource, standing.why)
            elif standing.is_amiss:
                yield OFFER_UNREGISTERED.found(resource, standing.why)

    def states(self) -> Mapping[str, int]:
        """How many resources stand how."""
        return Counter(str(plugin.registrar.standing.state) for plugin in [*self._plugins.values()])

    def outcomes(self) -> Mapping[str, int]:
        """How often registrations ended how."""
        return sum((plugin.registrar.outcomes for plugin in [*self._plugins.values()]), self._ended.copy())

    def look_at_names(self, settled: float = SETTLED) -> None:
        """Ask kubelet whose devices it lists under our names."""
        try:
            shown = list_allocatable(self._podresources)
        except PassgateError as error:
            # That it does not answer is told elsewhere.
            log.debug("kubelet does not tell whose names they are", reason=error.sentence())
            return
        for resource, plugin in [*self._plugins.items()]:
            self._compare(plugin, shown.get(resource, frozenset()), settled)

    def _kubelet_changed(self) -> None:
        for plugin in [*self._plugins.values()]:
            plugin.registrar.look_again()

    def _watch_names(self) -> None:
        while not self._closed.wait(EVERY):
            try:
                self.look_at_names()
            except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
                log.defect(error)

    def _compare(self, plugin: _Plugin, shown: frozenset[str], settled: float) -> None:
        standing, now = plugin.registrar.standing, time.monotonic()
        foreign = shown - plugin.listed
        if foreign and now - self._begun < LONGEST and plugin.server.socket.others():
            return  # The agent that is replaced knows others.
        if foreign:
            names = listed(sorted(map(printable, foreign)), 3)
            plugin.registrar.yield_to(f"kubelet lists {names}, which is not offered here: another plugin has the name")
        elif standing.state is State.FOREIGN:
            plugin.update()
            plugin.registrar.yield_to("")
        elif standing.state is State.REGISTERED and plugin.healthy and not shown and now - standing.since > settled:
            plugin.registrar.register_again("kubelet does not list what is offered")


class _Plugin:
    """One resource's."""

    def __init__(self, kubelet_dir: str, resource: str, source: Source, kubelet: KubeletSocket) -> None:
        self._source = source
        self.server = PluginServer(kubelet_dir, resource, source)
        self.registrar = Registrar(kubelet, self.server)
        self.listed: frozenset[str] = frozenset()
        """The ids that kubelet has ever been told."""
        self.healthy = False

    def update(self) -> None:
        """Send the list where it has changed."""
        devices = self._source.listed(self.server.calls.resource)
        # Before kubelet shows them.
        self.listed |= {device.id for device in devices}
        self.healthy = any(device.healthy for device in devices)
        self.server.calls.update(devices)

    def close(self) -> None:
        self.registrar.close()
        self.server.close()
