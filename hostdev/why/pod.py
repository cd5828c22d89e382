"""The pod's part of a start: is it scheduled, does it have its devices, is the sidecar there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hostdev.kubevirt.spec import Fields, get_list, get_map, get_text
from hostdev.vmi.resources import is_device_resource
from hostdev.why.events import is_later
from hostdev.why.evidence import SIDECAR
from hostdev.why.item import (
    Item,
    failure_of,
    first_answer,
    kubectl,
    mark_failed,
    mark_passed,
    mark_unknown,
    start_command,
)
from hostdev.why.sayings import Saying, has_begun, make_saying
from hostdev.why.steps import Check, step_of
from hostdev.why.subject import HOOKS, POD, Subject

_RELEASE = re.compile(r"v?1\.(\d+)")
_CLAIM = "claim:"
"""What stands before the name of a claim among the devices of a status."""
_TELLS_HEALTH = 35
"""Kubernetes from which on a pod's status names its devices, unless that is turned off."""


@first_answer
def check_scheduled(subject: Subject, sayings: Sequence[Saying]) -> Iterator[Item | None]:
    """A node was found for the pod."""
    check, pod = Check.SCHEDULED, subject.pod
    if subject.node:
        yield mark_passed(check, f"pod {subject.pod_name or subject.name}", f"on node {subject.node}")
    placed = [event for event in subject.events(POD) if event.reason == "Scheduled"]
    refused = [one for one in sayings if one.check is check]
    if not pod and placed and not any(is_later(one.time, placed[-1].last) for one in refused):
        yield mark_passed(check, placed[-1].where, placed[-1].message)
    condition = next((one for one in get_list(pod, "status", "conditions") if one.get("type") == "PodScheduled"), {})
    message = get_text(condition, "message")
    if condition.get("status") == "False" and message:
        told = make_saying(message, f"condition PodScheduled of pod {subject.pod_name}", check)
        refused = [*([told._replace(check=check)] if told else []), *refused]
    yield failure_of(subject, check, [one for one in refused if "FailedCreate" in one.where], "pod-not-created")
    yield failure_of(subject, check, refused, "pod-not-scheduled")
    if condition.get("status") == "False":
        what = get_text(condition, "reason") or "the pod is not scheduled"
        yield mark_failed(check, f"pod {subject.pod_name}", "pod-not-scheduled", what, subject.name)
    if pod:
        yield mark_unknown(check, f"pod {subject.pod_name}", "it has no node yet; nothing says why", _events(subject))
    if subject.is_stopped:
        yield mark_unknown(check, "VirtualMachine", "the VM is stopped: it has no pod", start_command(subject))
    if "pods" in subject.evidence.asked and not subject.vmi:
        command = kubectl(subject, "describe", "vm", subject.name)
        yield mark_unknown(check, "pods, VMI", "there is no VMI, and so no pod", command)
    what = subject.evidence.gap("pods") or "no virt-launcher pod of it is told"
    command = kubectl(subject, "get", "pods", "-l", f"vm.kubevirt.io/name={subject.name}", "-o", "yaml")
    yield mark_unknown(check, "pods", what, command)


@first_answer
def check_allocated(subject: Subject, sayings: Sequence[Saying]) -> Iterator[Item | None]:
    """Kubelet admitted the pod, and gave compute its devices."""
    check, pod = Check.ALLOCATED, subject.pod
    reason, message = (get_text(pod, "status", key) for key in ("reason", "message"))
    if reason and (step_of(f"{reason} {message}") is check or reason == "UnexpectedAdmissionError"):
        told = make_saying(message or reason, f"status of pod {subject.pod_name}: {reason}", check)
        yield failure_of(subject, check, [told._replace(check=check)] if told else [], "pod-rejected")
    waiting = _waiting(subject, "compute")
    if waiting and waiting.check is check:
        # A description tells the reason alone; the message is in an event.
        said = [waiting] if ": " in waiting.text else [*sayings, waiting]
        yield failure_of(subject, check, said, "container-not-created")
    if not (subject.runs or _has_begun(subject, "compute")):
        mounts = [one for one in sayings if "FailedMount" in one.where or "FailedAttachVolume" in one.where]
        yield failure_of(subject, check, [one for one in sayings if one not in mounts], "pod-rejected")
        yield failure_of(subject, check, mounts, "container-not-created")
        yield _node_trouble(subject)
    yield _unhealthy(subject)
    yield from _given(subject)


def _node_trouble(subject: Subject) -> Item | None:
    """A node without its kubelet starts nothing."""
    for condition in get_list(subject.node_object, "status", "conditions"):
        if get_text(condition, "type") == "Ready" and get_text(condition, "status") in {"False", "Unknown"}:
            told = ": ".join(filter(None, (get_text(condition, "reason"), get_text(condition, "message"))))
            what = f"node {subject.node} is not ready: {told or 'no reason is told'}"
            return mark_failed(Check.ALLOCATED, f"node {subject.node}", "node-not-ready", what, f"node {subject.node}")
    return None


def _unhealthy(subject: Subject) -> Item | None:
    for one in _devices(subject):
        if one.health == "Unhealthy":
            said = one.message or "its plugin says that it cannot be used"
            what = f"{one.name} of {one.resource} is Unhealthy: {said}"
            where = f"allocatedResourcesStatus of pod {subject.pod_name}"
            return mark_failed(Check.ALLOCATED, where, "device-unhealthy", what, one.resource)
    return None


def _given(subject: Subject) -> Iterator[Item]:
    check = Check.ALLOCATED
    wanted = wanted_resources(subject)
    devices = _devices(subject)
    given = [f"{one.resource}: {one.name}" for one in devices]
    where = f"status of pod {subject.pod_name}"
    lacking = wanted.keys() - {one.resource for one in devices}
    if given and not lacking:
        yield mark_passed(check, where, f"kubelet gave {', '.join(given)[:300]}")
    if subject.runs and "resources" not in _compute(subject):
        yield mark_passed(check, f"VMI {subject.name}", "the VM runs with the devices of its pod")
    if not subject.pod:
        yield mark_unknown(check, "pod", subject.evidence.gap("pods") or "no pod of it is told", _events(subject))
    if "resources" not in _compute(subject):
        yield mark_unknown(check, where, "what the pod asks for is not told", _pod_command(subject))
    claims = _claims(subject)
    if not wanted and not claims:
        yield mark_passed(check, f"limits of pod {subject.pod_name}", "the pod asks for no device")
    unmade = [f"{name} ({source})" for name, (source, made) in claims.items() if not made]
    if unmade and not subject.runs:
        command = kubectl(subject, "get", "resourceclaims,resourceclaimtemplates")
        yield mark_unknown(check, where, f"no resource claim was made for {', '.join(unmade)}", command)
    if not _has_begun(subject, "compute") and not subject.runs:
        yield mark_unknown(check, where, f"compute was not started yet{_of_claims(claims)}", _events(subject))
    if not lacking:
        yield mark_passed(check, where, f"compute was started{_of_claims(claims)}")
    yield _without_status(subject, sorted(lacking))


def _claims(subject: Subject) -> dict[str, tuple[str, str]]:
    """What the pod calls its resource claims: the object that each comes from, and the claim once it is made."""
    statuses = get_list(subject.pod, "status", "resourceClaimStatuses")
    made = {get_text(one, "name"): get_text(one, "resourceClaimName") for one in statuses}
    found: dict[str, tuple[str, str]] = {}
    for one in get_list(subject.pod, "spec", "resourceClaims"):
        name, claim, template = (
            get_text(one, key) for key in ("name", "resourceClaimName", "resourceClaimTemplateName")
        )
        found[name] = (claim or f"template {template}", claim or made.get(name, ""))
    return found


def _of_claims(claims: Mapping[str, tuple[str, str]]) -> str:
    named = ", ".join(made for _, made in claims.values())
    return f"; its resource claims are {named}" if named else ""


def _without_status(subject: Subject, lacking: Sequence[str]) -> Item:
    """Compute runs, and its status names no device: it has none, or this Kubernetes does not tell."""
    check, where = Check.ALLOCATED, f"status of pod {subject.pod_name}"
    claims = get_map(subject.pod, "status", "extendedResourceClaimStatus")
    served = {get_text(one, "resourceName") for one in get_list(claims, "requestMappings")}
    if claims and set(lacking) <= served:
        return mark_passed(
            check, where, f"DRA serves {', '.join(lacking)} by the claim {get_text(claims, 'resourceClaimName')}"
        )
    held = subject.held_devices
    if held:
        return mark_passed(check, "kubelet's record, by the agent", f"kubelet gave {', '.join(held)}")
    release = _RELEASE.match(get_text(subject.node_object, "status", "nodeInfo", "kubeletVersion"))
    named = ", ".join(lacking)
    if release and int(release[1]) >= _TELLS_HEALTH and not subject.runs:
        what = f"compute runs, and kubelet {release[0]} names no device of {named} in its status"
        return mark_failed(check, where, "device-not-given", what, lacking[0])
    if subject.runs:
        return mark_passed(check, f"VMI {subject.name}", f"the VM runs, and its pod asked for {named}")
    what = f"compute runs, and the pod's status does not tell which devices of {named} it has"
    command = kubectl(subject, "exec", subject.pod_name, "-c", "compute", "--", "env") + " | grep -E 'PCI|QAT|VFIO'"
    return mark_unknown(check, where, what, command)


@first_answer
def check_sidecar(subject: Subject, sayings: Sequence[Saying]) -> Iterator[Item | None]:
    """The hook sidecar that the VM asks for is in the pod, and serves."""
    check = Check.SIDECAR
    if not wants_sidecar(subject):
        if not subject.vmi and not subject.vm and not subject.pod:
            yield mark_unknown(check, "annotations", "neither the VM nor its pod is told", _vm_command(subject))
        yield mark_passed(check, "annotations of the VMI", "the VM asks for no sidecar of Passgate: none is needed")
    if not subject.pod:
        yield mark_unknown(check, "pod", "the VM asks for a sidecar, and its pod is not told", _pod_command(subject))
    if not subject.sidecars:
        yield _no_sidecar(subject)
    names = [get_text(one, "name") for one in subject.sidecars]
    yield from (_sidecar_state(subject, name) for name in names)
    if not subject.runs:
        yield failure_of(subject, check, sayings, "hook-sockets-missing")
    if all("running" in get_map(subject.container_status(name), "state") for name in names):
        yield mark_passed(check, f"pod {subject.pod_name}", f"{', '.join(names)} runs")
    if _serves(subject):
        yield mark_passed(check, f"log of {names[0]}", "it said `serving`")
    yield mark_unknown(check, f"pod {subject.pod_name}", f"{', '.join(names)} was not started yet", _events(subject))


def _no_sidecar(subject: Subject) -> Item:
    where = f"containers of pod {subject.pod_name}"
    if not subject.containers:
        return mark_unknown(Check.SIDECAR, where, "the pod's containers are not told", _pod_command(subject))
    if subject.hooks and HOOKS not in subject.annotations:
        return mark_passed(Check.SIDECAR, where, f"{get_text(subject.hooks[0], 'name')} is there")
    what = "the VM asks for Passgate's sidecar, and the pod has no container of it"
    return mark_failed(Check.SIDECAR, where, "sidecar-not-in-pod", what, f"pod {subject.pod_name}")


def _sidecar_state(subject: Subject, name: str) -> Item | None:
    """A sidecar that does not run, and will not."""
    status = subject.container_status(name)
    state = get_map(status, "state")
    waiting, ended = get_map(state, "waiting"), get_map(state, "terminated")
    reason = get_text(waiting, "reason")
    if reason not in {"", "ContainerCreating", "PodInitializing"}:
        what = f"{name} does not start: {reason}: {get_text(waiting, 'message')}"
        return mark_failed(Check.SIDECAR, f"pod {subject.pod_name}", "sidecar-not-running", what, name)
    over = get_text(subject.pod, "status", "phase") in {"Failed", "Succeeded"}
    code = ended.get("exitCode")
    if ended and not subject.runs and not (over and code == 0):
        message = get_text(ended, "message") or _last_words(subject)
        what = f"{name} has ended with {code} {get_text(ended, 'reason')}: {message or 'its log says why'}"
        return mark_failed(Check.SIDECAR, f"pod {subject.pod_name}", "sidecar-not-running", what, name)
    return None


def _last_words(subject: Subject) -> str:
    lines = [line for log in subject.logs(SIDECAR) for line in log.lines if line.text.strip()]
    return lines[-1].message if lines else ""


def _serves(subject: Subject) -> bool:
    return any(line.message in {"serving", "answered"} for log in subject.logs(SIDECAR) for line in log.lines)


def wants_sidecar(subject: Subject) -> bool:
    """Whether annotations of the VM ask for Passgate."""
    annotations = subject.annotations
    hooks = annotations.get(HOOKS)
    ours = any(name.startswith("passgate.dev/") and name != "passgate.dev/described" for name in annotations)
    return ours or (isinstance(hooks, str) and "passgate" in hooks) or bool(subject.sidecars)


def wanted_resources(subject: Subject) -> dict[str, str]:
    """The devices that compute asks kubelet for, by resource."""
    limits = get_map(_compute(subject), "resources", "limits")
    return {name: str(count) for name, count in limits.items() if is_device_resource(name) and str(count) != "0"}


def _compute(subject: Subject) -> Fields:
    return next((one for one in subject.containers if get_text(one, "name") == "compute"), {})


class _Device(NamedTuple):
    """What kubelet says of a device that compute has."""

    resource: str
    """Or its claim, and the request."""
    name: str
    health: str
    message: str


def _devices(subject: Subject) -> list[_Device]:
    return [
        _Device(get_text(one, "name"), *(get_text(device, key) for key in ("resourceID", "health", "message")))
        for one in get_list(subject.container_status("compute"), "allocatedResourcesStatus")
        if is_device_resource(get_text(one, "name")) or get_text(one, "name").startswith(_CLAIM)
        for device in get_list(one, "resources")
    ]


def _has_begun(subject: Subject, name: str) -> bool:
    return has_begun(subject.container_status(name))


def _waiting(subject: Subject, name: str) -> Saying | None:
    waiting = get_map(subject.container_status(name), "state", "waiting")
    reason, message = get_text(waiting, "reason"), get_text(waiting, "message")
    if reason in {"", "ContainerCreating", "PodInitializing"}:
        return None
    usual = Check.STARTED if reason == "CrashLoopBackOff" else Check.ALLOCATED
    text = f"{reason}: {message}" if message else reason
    return make_saying(text, f"{name} of pod {subject.pod_name}", usual)


def _events(subject: Subject) -> str:
    return kubectl(subject, "describe", "pod", subject.pod_name or f"-l vm.kubevirt.io/name={subject.name}")


def _pod_command(subject: Subject) -> str:
    name = (subject.pod_name,) if subject.pod_name else ("-l", f"vm.kubevirt.io/name={subject.name}")
    return kubectl(subject, "get", "pod", *name, "-o", "yaml")


def _vm_command(subject: Subject) -> str:
    return kubectl(subject, "get", "vm,vmi", subject.name, "-o", "yaml")
