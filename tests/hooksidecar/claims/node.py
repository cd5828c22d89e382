"""A node that claims are prepared on: its directories, its offer, and the claims that the API server has."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from hooksidecar.claims.apierrors import ApiRefused, ApiUnreachable, Asked
from hooksidecar.claims.prepare import CLAIMS, Preparer
from hooksidecar.claims.source import ClaimRef, PreparedDevice
from hooksidecar.claims.store import ClaimStore
from hooksidecar.claims.sweep import Sweep
from hostdev.binding.state import By, Match, NodeState, OfferEntry, UnitKind
from hostdev.claims.devices import device_name
from hostdev.claims.readiness import units_by_resource
from hostdev.inventory.machine import Machine
from hostdev.kubelet.drastate import FILE
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Offer
from tests.hostdev.gate.build import machine
from tests.hostdev.kubelet.claims import DRIVER, UID, kubelet_state
from tests.hostdev.offer.offers import CARD, card

NODE, BOOT = "vm", "0b2a8e5e-0000-4000-8000-000000000001"
OTHER_BOOT = "0b2a8e5e-0000-4000-8000-000000000002"
REF = ClaimRef("default", UID, "dr0-gpu-f27z2")
CDI = f"cdi/{DRIVER}-{REF.uid}.json"
OTHER = ClaimRef("default", "f1f1f1f1-1313-498d-8f47-9c7d59942ba3", "other")
AWAY = ApiUnreachable("https://10.0.0.1", Asked("get", "/x"), "connection refused")
GONE = ApiRefused(Asked("get", "/x"), 404, "NotFound", "not found")
ENTRY = OfferEntry("offer[0]", CARD, Match(class_name="display"), UnitKind.GROUP, by=By.CLAIM)


def state(*entries: OfferEntry) -> NodeState:
    return NodeState(offers=entries)


def names(machine: Machine, nodestate: NodeState = state(ENTRY)) -> list[str]:  # noqa: B008  a value
    """The names of the devices of a machine, by their addresses."""
    units = compose_offer(nodestate, machine).of(By.CLAIM)[CARD].units
    return [device_name(one.id, CARD) for one in units]


def cards(*numbers: int) -> Machine:
    """A machine with these cards, each in the group of its number."""
    return machine(*(function for number in numbers for function in card(number, number)))


FIRST, SECOND = names(cards(0x3D, 0x3E))
"""The devices of a node, but for one that a test changes."""


def claim(*devices: str, ref: ClaimRef = REF, template: bool = True, request: str = "gpu") -> dict[str, Any]:
    """An allocated claim as the API server has it."""
    annotations = {"resource.kubernetes.io/pod-claim-name": "gpu"} if template else {}
    results = [{"request": request, "driver": DRIVER, "pool": NODE, "device": device} for device in devices]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid, "annotations": annotations},
        "status": {
            "allocation": {"devices": {"results": results}},
            "reservedFor": [{"resource": "pods", "name": f"pod-{ref.name}", "uid": f"uid-of-{ref.name}"}],
        },
    }


class Api:
    """What the API server answers; an answer may be an error, or a function that is called."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    def put(self, answer: Any, ref: ClaimRef = REF) -> None:
        self.answers[CLAIMS.format(namespace=ref.namespace, name=ref.name)] = answer

    def get(self, path: str, *, within: float | None = None) -> dict[str, Any]:
        assert within is not None
        self.asked.append(path)
        answer = self.answers[path]
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(within)
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Any] = deepcopy(answer)
        return found


class Node:
    """Its directories survive; `start` begins a process anew."""

    def __init__(self, directory: Path, machine_: Machine | None = None, boot: str = BOOT) -> None:
        self.kubelet_dir, self.cdi_dir = directory / "kubelet", directory / "cdi"
        self.kubelet_dir.mkdir(parents=True, exist_ok=True)
        self.machine = cards(0x3D, 0x3E) if machine_ is None else machine_
        self.state = state(ENTRY)
        self.api = Api()
        self.store = ClaimStore(str(self.kubelet_dir), DRIVER, str(self.cdi_dir))
        self.start(boot)

    def start(self, boot: str = BOOT) -> None:
        self.preparer = Preparer(self.api, self.store, self.offer, node=NODE, driver=DRIVER, boot_id=boot)
        self.sweep = Sweep(self.api, self.store, self.preparer, str(self.kubelet_dir), boot)

    def unbind(self) -> None:
        """The sound of the first card goes to a driver of the host: its group is not viable any more."""
        display, sound = card(0x3D, 0x3D)
        self.machine = machine(display, replace(sound, driver="snd_hda_intel", vfio_dev=None), *card(0x3E, 0x3E))

    def kubelet_holds(self, *refs: ClaimRef) -> None:
        """Kubelet writes down that pods have these claims."""
        claims = (
            {"ClaimUID": one.uid, "ClaimName": one.name, "Namespace": one.namespace, "DriverState": {DRIVER: {}}}
            for one in refs
        )
        (self.kubelet_dir / FILE).write_bytes(kubelet_state(*claims))

    def offer(self) -> Offer:
        claimed = units_by_resource(self.store.read_all().records)
        return compose_offer(self.state, self.machine, claimed=claimed)

    def prepare(self, ref: ClaimRef = REF, within: float = 45) -> tuple[PreparedDevice, ...]:
        """Prepare a claim that must be ready."""
        answer = self.preparer.prepare([ref], within)[ref.uid]
        assert not isinstance(answer, str), answer
        return tuple(answer)

    def refusal(self, ref: ClaimRef = REF, within: float = 45) -> str:
        answer = self.preparer.prepare([ref], within)[ref.uid]
        assert isinstance(answer, str), answer
        return answer

    def unprepare(self, ref: ClaimRef = REF) -> str | None:
        return self.preparer.unprepare([ref])[ref.uid]

    def files(self) -> dict[str, bytes]:
        """All files of the driver, by their paths."""
        root = self.kubelet_dir.parent
        tops = (self.cdi_dir, self.kubelet_dir / "plugins" / DRIVER)
        there = (path for top in tops for path in sorted(top.rglob("*")) if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in there}
