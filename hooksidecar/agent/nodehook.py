"""KubeVirt's node hooks: before a VM starts on this node, its devices go through the gate, as the host sees them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

from domxml.errors import BadInput, PassgateError
from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.agent.volumes import CONTAINER
from hooksidecar.deadline import WORK, Bounded, Failed, elapsed, refusal
from hooksidecar.domainhook import decode_request
from hooksidecar.server import Methods
from hooksidecar.stubs import plugin_v1alpha1_pb2 as plugins
from hostdev.allocation.allocation import ENVIRONMENT, merge
from hostdev.allocation.environment import from_environment
from hostdev.allocation.kubevirt import from_vmi_status
from hostdev.gate.check import enforce
from hostdev.holders.pods import devices_of, held_by_others, may_have_devices, outright_devices, pods_of
from hostdev.inject.plan import refuse_doubt
from hostdev.inject.vmplan import resources, vm_inputs
from hostdev.inventory.machine import Machine
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.environment import environment
from hostdev.vmi.vmi import parse_vmi

METHOD = "/kubevirt.hooks.plugins.v1alpha1.NodeHookService/ExecuteNodeHook"
CHECKED = ("PreVMStart", "PreMigrationTarget")
"""The hook points after which a VM has its devices here."""
POINTS = (*CHECKED, "PostVMStart", "PreVMStop", "PostVMStop", "PreMigrationSource", "PostMigrationTarget")
STARTED = ("PostVMStart", "PostMigrationTarget")
"""Those after which a guest runs here."""
UNKNOWN = "unknown"
"""The hook in metrics: names that any caller can send would be labels without end."""

VERDICTS = {
    grpc.StatusCode.FAILED_PRECONDITION: "refused",
    grpc.StatusCode.INVALID_ARGUMENT: "bad-input",
    grpc.StatusCode.DEADLINE_EXCEEDED: "late",
    grpc.StatusCode.CANCELLED: "cancelled",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "busy",
    grpc.StatusCode.INTERNAL: "defect",
}
PASSED, NO_DEVICES, NOT_CHECKED = "passed", "no-devices", "not-checked"


class Checked(NamedTuple):
    """A VM that may start."""

    vm: str
    devices: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class NodeHook:
    """Asks the host and kubelet about one VM."""

    def __init__(self, look: Callable[[], Machine], grants: Callable[[], Sequence[Grant]]) -> None:
        self._look = look
        self._grants = grants

    def check(self, vmi_json: bytes, node: str) -> Checked:
        """Raise PassgateError where the VM must not start."""
        vmi = parse_vmi(vmi_json)
        pods = pods_of(vmi, node)
        claimed = from_vmi_status({"status": vmi.status})
        if not (may_have_devices(vmi) or claimed.allocations):
            # Such a VM starts, whatever is wrong with kubelet's record.
            return Checked(str(vmi))
        grants = self._grants()
        own = [grant for grant in grants if grant.pod_uid in pods and grant.is_for(CONTAINER)]
        told = merge(claimed, from_environment(environment(own).variables, resources(vmi), channel=ENVIRONMENT))
        inputs = vm_inputs(vmi, (), told)
        if not (own or claimed.allocations or outright_devices(vmi)):
            return Checked(str(vmi))
        refuse_doubt(inputs)
        machine = self._look()
        devices = devices_of(vmi, own, claimed.allocations, machine)
        held = held_by_others(grants, pods, machine)
        findings = enforce(machine, devices, held=held, allowed=inputs.allowed) if devices else ()
        return Checked(str(vmi), tuple(map(str, devices)), (*told.findings, *findings))


def methods(
    look: Callable[[], Machine],
    grants: Callable[[], Sequence[Grant]],
    told: Callable[[str, str], None],
    started: Callable[[frozenset[str]], None] | None = None,
) -> Methods:
    """The service of a Plugin's node hook. `told` hears of every call: the hook point and the verdict.

    `started` hears of the pods of VMs that have started here, or have come by migration.
    """
    hook, bounded = NodeHook(look, grants), Bounded()

    def execute(request: bytes, context: grpc.ServicerContext) -> bytes:
        point, verdict = UNKNOWN, VERDICTS[grpc.StatusCode.INVALID_ARGUMENT]
        try:
            asked = decode_request(request, plugins.ExecuteNodeHookRequest, context)
            if asked.hookPoint not in POINTS:
                raise refusal(_unknown(asked.hookPoint))
            point = asked.hookPoint
            if started and point in STARTED:
                _tell_started(asked, started)
            verdict = _answer(hook, bounded, asked, context) if point in CHECKED else NOT_CHECKED
        except Failed as failed:
            verdict = VERDICTS[failed.status]
            failed.end(context)
        finally:
            told(point, verdict)
        return plugins.ExecuteNodeHookResponse().SerializeToString()

    return {METHOD: execute}


def _answer(hook: NodeHook, bounded: Bounded, asked: Any, context: grpc.ServicerContext) -> str:
    begun = time.monotonic()
    fields = {"hook": asked.hookPoint}
    node = asked.node_context.node_name
    checked = bounded.run(lambda _deadline: hook.check(asked.vmi, node), WORK, context, fields)
    log.info("answered", **fields, vm=checked.vm, devices=list(checked.devices), **elapsed(begun))
    log.findings(checked.findings)
    return PASSED if checked.devices else NO_DEVICES


def _tell_started(asked: Any, started: Callable[[frozenset[str]], None]) -> None:
    """The VM runs already: whatever its document is like, it is no reason to answer with an error."""
    try:
        started(pods_of(parse_vmi(asked.vmi), asked.node_context.node_name))
    except PassgateError as error:
        log.warning("a VM that started cannot be read", reason=error.sentence())


def _unknown(point: str) -> BadInput:
    return BadInput(
        "unknown-hook-point", f"there is no hook point {point[:40]!r}", hint=f"permittedHooks knows {', '.join(POINTS)}"
    )
