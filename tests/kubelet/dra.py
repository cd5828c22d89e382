"""Kubelet's manager of resource claims: prepares them before a pod's containers, and undoes it after its last pod."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message

from hostdev.kubelet.stubs import dra_v1_pb2 as api
from tests.kubelet import drastate
from tests.kubelet.cluster import Cluster, Object
from tests.kubelet.devicehealth import HealthCache, Told
from tests.kubelet.drastate import ClaimInfo, Device
from tests.kubelet.drivers import Drivers
from tests.kubelet.pods import Container, Pod
from tests.kubelet.surprises import Surprise
from tests.kubelet.times import Times
from tests.kubelet.wire import Failed, Wire

Answer = TypeVar("Answer", bound=Message)
Key: TypeAlias = tuple[str, str]
"""Namespace and name."""


class Unprepared(Exception):
    """A pod's claims cannot be prepared, or undone, now."""


class ClaimManager:
    """Claims by name, with what the drivers answered."""

    def __init__(
        self,
        directory: Path,
        wire: Wire,
        cluster: Cluster,
        pods: Callable[[], Collection[Pod]],
        *,
        times: Times,
        surprises: frozenset[Surprise],
        prepared: Collection[str] = (),
    ) -> None:
        self._directory, self._wire, self._cluster, self._pods = directory, wire, cluster, pods
        self._times = times
        self.health = HealthCache(directory, times, surprises)
        self.drivers = Drivers(wire, cluster, self.health, times, surprises)
        self._overwrites = Surprise.CDI_EDITS_OVERWRITE in surprises
        self._lock = threading.RLock()
        self._calls: AbstractContextManager[Any] = (
            nullcontext() if Surprise.PREPARED_TWICE in surprises else threading.Lock()
        )
        self.infos: dict[Key, ClaimInfo] = {(info.namespace, info.name): info for info in drastate.read(directory)}
        for info in self.infos.values():
            info.prepared = info.uid in prepared

    def start(self) -> None:
        """With no driver registered."""
        self.drivers.start()

    @property
    def prepared(self) -> frozenset[str]:
        """UIDs of claims that are, as far as this kubelet knows."""
        return frozenset(info.uid for info in self.infos.values() if info.prepared)

    # Before a pod's containers.

    def prepare(self, pod: Pod) -> None:
        """All of a pod's claims; raises Unprepared."""
        with self._calls:
            try:
                self._prepare(pod)
            except Unprepared as error:
                raise Unprepared(f"prepare dynamic resources: {error}") from None

    def _prepare(self, pod: Pod) -> None:
        claims = [self._find(pod, name) for name in _names(pod)]
        for claim in claims:
            for driver in _drivers(claim):
                if self.drivers.find(driver) is None:
                    raise Unprepared(f"DRA driver {driver} is not registered")
        asked = [info for claim in claims if not (info := self._reference(pod, claim)).prepared]
        for driver in dict.fromkeys(name for info in asked for name in info.drivers):
            self._ask(driver, [info for info in asked if driver in info.drivers])
        with self._lock:
            for info in asked:
                info.prepared = True
            self._save()

    def _find(self, pod: Pod, name: str) -> Object:
        claim = self._cluster.find_claim(pod.namespace, name)
        if claim is None:
            raise Unprepared(f'fetch ResourceClaim {name}: resourceclaims.resource.k8s.io "{name}" not found')
        reserved = {one["uid"] for one in claim.get("status", {}).get("reservedFor", ())}
        if pod.uid not in reserved:
            uid = claim["metadata"]["uid"]
            raise Unprepared(f"pod {pod.name} ({pod.uid}) is not allowed to use ResourceClaim {name} ({uid})")
        return claim

    def _reference(self, pod: Pod, claim: Object) -> ClaimInfo:
        meta = claim["metadata"]
        with self._lock:
            new = ClaimInfo(meta["uid"], meta["name"], meta["namespace"], {name: [] for name in _drivers(claim)})
            info = self.infos.setdefault((new.namespace, new.name), new)
            if info.uid != new.uid:
                raise Unprepared(
                    f"old ResourceClaim with same name {new.name} and different UID {info.uid} still exists "
                    "(previous pod force-deleted?!)"
                )
            info.pods[pod.uid] = None
            self._save()
            return info

    def _ask(self, driver: str, infos: Sequence[ClaimInfo]) -> None:
        name = "NodePrepareResources"
        request = api.NodePrepareResourcesRequest(claims=[*map(_claim, infos)])
        answer = self._call(driver, name, request, api.NodePrepareResourcesResponse)
        for info, found in self._answers(name, infos, answer.claims):
            with self._lock:
                info.drivers[driver] += [
                    Device(one.pool_name, one.device_name, tuple(one.request_names), tuple(one.cdi_device_ids))
                    for one in found.devices
                ]

    # After its last one.

    def holds(self, pod: Pod) -> bool:
        """Whether something is to be undone before the pod may go."""
        with self._lock:
            return any(pod.uid in info.pods for info in self.infos.values())

    def unprepare(self, uid: str) -> None:
        """What a pod used and no other uses any more; raises Unprepared."""
        with self._lock:
            mine = [info for info in self.infos.values() if uid in info.pods]
            for info in mine:
                if len(info.pods) > 1:
                    del info.pods[uid]
            last = [info for info in mine if uid in info.pods]
        for driver in dict.fromkeys(name for info in last for name in info.drivers):
            self._undo(driver, [info for info in last if driver in info.drivers])
        with self._lock:
            for info in last:
                self.infos.pop((info.namespace, info.name), None)
            self._save()
        self._wire.ring()

    def _undo(self, driver: str, infos: Sequence[ClaimInfo]) -> None:
        name = "NodeUnprepareResources"
        request = api.NodeUnprepareResourcesRequest(claims=[*map(_claim, infos)])
        answer = self._call(driver, name, request, api.NodeUnprepareResourcesResponse)
        for _ in self._answers(name, infos, answer.claims):
            pass

    def reconcile(self) -> None:
        """Undo for pods that are gone without a word."""
        there = {pod.uid for pod in self._pods() if not pod.ended}
        with self._lock:
            gone = {uid for info in self.infos.values() for uid in info.pods} - there
        for uid in gone:
            try:
                self.unprepare(uid)
            except Unprepared:
                continue

    # Calls.

    def _call(self, driver: str, name: str, request: Message, answer: type[Answer]) -> Answer:
        peer = self.drivers.find(driver)
        if peer is None:
            raise Unprepared(f"DRA driver {driver} is not registered")
        try:
            return peer.call(name, request, answer, self._times.claims)
        except Failed as error:
            raise Unprepared(f"{name}: {error}") from None

    def _answers(
        self, name: str, infos: Sequence[ClaimInfo], answers: Mapping[str, Any]
    ) -> Iterable[tuple[ClaimInfo, Any]]:
        asked = {info.uid: info for info in infos}
        for uid, answer in answers.items():
            if uid not in asked:
                raise Unprepared(f"{name} returned result for unknown claim UID {uid}")
            if answer.error:
                raise Unprepared(f"{name} failed for ResourceClaim {asked[uid].name}: {answer.error}")
            yield asked[uid], answer
        if missing := len(asked) - len(answers):
            raise Unprepared(f"{name} skipped {missing} ResourceClaims")

    # What a container gets, and what is told of it.

    def cdi_ids(self, pod: Pod, container: Container) -> list[str]:
        """In the order of the answers; those of a claim that was prepared twice at once are there twice."""
        return [
            name
            for info, request in self._uses(pod, container)
            for _, device in info.devices(request)
            for name in device.cdi
        ]

    def report(self, pod: Pod, container: Container) -> None:
        """Add to the container's status what is known of the devices of its claims."""
        for name, devices in self._statuses(pod, container).items():
            container.status = {**container.status, name: {one: told.health for one, told in devices.items()}}
            container.notes = {**container.notes, **{one: told.message for one, told in devices.items()}}

    def _statuses(self, pod: Pod, container: Container) -> Mapping[str, Mapping[str, Told]]:
        """By the name in allocatedResourcesStatus, and by its first CDI id; nothing of extended resources."""
        found: dict[str, dict[str, Told]] = {}
        for use in container.claims:
            info = self._named(pod, dict(pod.claims).get(use.name, ""))
            for driver, device in info.devices(use.request) if info else ():
                name = f"claim:{use.name}/{use.request}" if use.request else f"claim:{use.name}"
                resource = device.cdi[0] if device.cdi else f"{driver}/{device.pool}/{device.device}"
                found.setdefault(name, {})[resource] = self.health.of(driver, device.pool, device.device)
        return found

    def dynamic_resources(self, pod: Pod, container: Container) -> list[tuple[ClaimInfo, list[tuple[str, Device]]]]:
        """As PodResources has them: each claim once, and of each device also the CDI ids of those before it."""
        infos = {id(info): info for info, _ in self._uses(pod, container)}
        return [(info, self._told(info)) for info in infos.values()]

    def _told(self, info: ClaimInfo) -> list[tuple[str, Device]]:
        told: list[tuple[str, Device]] = []
        for driver, device in info.devices():
            before = told[-1][1].cdi if told and self._overwrites else ()
            told.append((driver, device._replace(cdi=(*before, *device.cdi))))
        return told

    def pods_of(self, driver: str, devices: Collection[tuple[str, str]]) -> set[str]:
        """UIDs of pods that use one of them."""
        with self._lock:
            return {
                uid
                for info in self.infos.values()
                if any((one.pool, one.device) in devices for one in info.drivers.get(driver, ()))
                for uid in info.pods
            }

    def _uses(self, pod: Pod, container: Container) -> Iterable[tuple[ClaimInfo, str]]:
        names = dict(pod.claims)
        wanted = [(names[use.name], use.request) for use in container.claims if use.name in names]
        if pod.extended:
            wanted += [(pod.extended.claim, one) for name, _, one in pod.extended.mappings if name == container.name]
        for name, request in wanted:
            if info := self._named(pod, name):
                yield info, request

    def _named(self, pod: Pod, name: str) -> ClaimInfo | None:
        with self._lock:
            return self.infos.get((pod.namespace, name))

    def _save(self) -> None:
        drastate.write(self._directory, self.infos.values())


def _names(pod: Pod) -> list[str]:
    return [claim.claim for claim in pod.claims] + ([pod.extended.claim] if pod.extended else [])


def _drivers(claim: Object) -> list[str]:
    results = claim.get("status", {}).get("allocation", {}).get("devices", {}).get("results", ())
    return list(dict.fromkeys(one["driver"] for one in results))


def _claim(info: ClaimInfo) -> api.Claim:
    return api.Claim(namespace=info.namespace, uid=info.uid, name=info.name)
