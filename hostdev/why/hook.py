"""The sidecar's part of a start: has it the allocation file, does it answer, does the gate let the devices pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domxml.errors import PassgateError
from hostdev.findings.explain import EXPLAINED
from hostdev.inject.vmplan import waits_for_file
from hostdev.jsonutil import JsonObject
from hostdev.kubevirt.spec import EMPTY, get_list, get_text
from hostdev.vmi.vmi import CODE, Vmi, vmi_of
from hostdev.why.describe import is_described
from hostdev.why.evidence import AGENT, FILE, SIDECAR, Line
from hostdev.why.item import (
    Item,
    agent_command,
    failure_of,
    first_answer,
    kubectl,
    mark_failed,
    mark_passed,
    mark_unknown,
)
from hostdev.why.pod import wants_sidecar
from hostdev.why.sayings import Saying, make_saying
from hostdev.why.steps import Check, our_code
from hostdev.why.subject import Subject

_POLICY = re.compile(r"passgate|allocation\.env")
_SHIM = re.compile(r"exit status (\d+)")
_WRITTEN = re.compile(r"^[A-Z][A-Z0-9_.-]*=(.+)$")


class Answers(NamedTuple):
    """What the sidecar's log says of its calls."""

    place: str = ""
    answered: Line | None = None
    """The last call that went well."""
    refused: tuple[Line, ...] = ()
    """Those that did not, and came after it."""
    serving: bool = False

    @property
    def time(self) -> str:
        """When it answered last."""
        return self.answered.time if self.answered else ""


_BAD = frozenset({"refused", "late", "defect", "given up", "cancelled by the caller"})
_PASSED_BACK = frozenset({"a domain is defined already: the input went back as it came"})


def read_answers(subject: Subject) -> Answers:
    """Read the log of the sidecar of the VM's pod."""
    found = Answers()
    for log in subject.logs(SIDECAR):
        for line in log.lines:
            if line.message == "answered" and get_text(line.fields, "hook") in {"", "OnDefineDomain", "MutateDomain"}:
                found = Answers(log.place, line, (), serving=True)
            elif line.message in _BAD | _PASSED_BACK:
                found = found._replace(place=log.place, refused=(*found.refused, line))
            elif line.message == "serving":
                found = found._replace(place=log.place, serving=True)
    return found


def sayings_of_sidecar(answers: Answers) -> list[Saying]:
    """Its refusals, which are events of the VMI as well, if those are there."""
    found = []
    for line in answers.refused[-20:]:
        code = get_text(line.fields, "code")
        reason = get_text(line.fields, "reason") or get_text(line.fields, "doing") or line.message
        text = reason if not code or reason.startswith(code) else f"{code}: {reason}"
        usual = Check.FILE if "allocation file" in text else Check.HOOK
        saying = make_saying(text, f"{answers.place}:{line.number}", usual, line.time)
        if saying:
            late = {"late": "hook-late", "given up": "hook-late", "defect": "hook-defect"}
            found.append(saying._replace(code=saying.code or late.get(line.message, "")))
    return found


@first_answer
def check_file(subject: Subject, sayings: Sequence[Saying], answers: Answers) -> Iterator[Item | None]:
    """The allocation file is in the sidecar's volume."""
    check = Check.FILE
    if not wants_sidecar(subject) and not any(one.check is check for one in sayings):
        yield _not_needed(subject, check, "no allocation file is needed")
    if not _needs_file(subject):
        yield mark_passed(check, "annotations and limits of the VMI", "nothing is wanted that the file would name")
    if subject.runs:
        yield mark_passed(check, f"VMI {subject.name}", "the VM runs: the sidecar had what it needed")
    if answers.answered is not None:
        yield mark_passed(check, f"{answers.place}:{answers.answered.number}", "the sidecar has answered")
    yield _has_gone_by(subject, check, sayings)
    for log in subject.logs(FILE):
        named = [line.text for line in log.lines if _WRITTEN.match(line.text)]
        if named:
            yield mark_passed(check, log.place, f"it names {', '.join(named)[:200]}")
    item = failure_of(subject, check, sayings, "allocation-missing")
    alone = _without_agent(subject)
    if item and item.finding and item.finding.code == "allocation-missing":
        yield alone
    yield item
    yield alone
    yield _unseen_file(subject)


def _without_agent(subject: Subject) -> Item | None:
    """No agent on the pod's node, and no policy in the pod: nothing could have written the file."""
    known = "agents" in subject.evidence.asked or bool(subject.agents)
    if not subject.node or not known or _has_policy(subject):
        return None
    agent = subject.agent
    where = f"pods of passgate-agent, pod {subject.pod_name}"
    if not agent:
        others = [get_text(one, "spec", "nodeName") for one in subject.agents]
        there = f"; it runs on {', '.join(sorted(filter(None, others))[:3])}" if any(others) else ""
        what = f"no node agent runs on {subject.node}{there}, and the pod's postStart is not the policy's"
        return mark_failed(Check.FILE, where, "agent-not-on-node", what, f"node {subject.node}")
    if any("--observe" in map(str, one.get("args") or ()) for one in get_list(agent, "spec", "containers")):
        name = get_text(agent, "metadata", "name")
        what = f"the node agent {name} only observes (--observe), and the pod's postStart is not the policy's"
        return mark_failed(Check.FILE, where, "agent-not-on-node", what, f"node {subject.node}")
    if get_text(agent, "status", "phase") != "Running" or not _is_ready(agent):
        name = get_text(agent, "metadata", "name")
        state = get_text(agent, "status", "phase") or "not running"
        what = f"the node agent {name} is {state} and not ready, and the pod has no postStart of the policy"
        return mark_failed(Check.FILE, where, "agent-not-on-node", what, f"node {subject.node}")
    return None


def _is_ready(pod: object) -> bool:
    statuses = get_list(pod, "status", "containerStatuses")
    return all(one.get("ready") is not False for one in statuses)


def _has_policy(subject: Subject) -> bool:
    compute = next((one for one in subject.containers if get_text(one, "name") == "compute"), EMPTY)
    return bool(_POLICY.search(str(compute.get("lifecycle", "")))) or not compute or is_described(subject.pod)


def _unseen_file(subject: Subject) -> Item:
    path = f"/var/run/kubevirt-hooks/{_sidecar_name(subject)}/userdata/passgate/allocation.env"
    name = subject.pod_name or "POD"
    command = kubectl(subject, "exec", name, "-c", "compute", "--", "cat", path)
    gap = subject.evidence.gap("allocation file", "log sidecar")
    what = gap or "whether the file is there is not told"
    if _has_policy(subject) and subject.containers and not is_described(subject.pod):
        what = f"the policy's postStart is in the pod; {what}"
    return mark_unknown(Check.FILE, "sidecar's log, allocation file", what, command)


@first_answer
def check_hook(subject: Subject, sayings: Sequence[Saying], answers: Answers) -> Iterator[Item | None]:
    """The sidecar answers KubeVirt's call; a refusal is an answer, and belongs to what was refused."""
    check = Check.HOOK
    if not wants_sidecar(subject) and not any(one.check is check for one in sayings):
        yield _not_needed(subject, check, "no hook of Passgate is called")
    if subject.runs:
        yield mark_passed(check, f"VMI {subject.name}", "the VM runs: KubeVirt had an answer of each hook")
    item = failure_of(subject, check, sayings, "hook-not-answered")
    yield item and _with_shim(item, sayings)
    if answers.answered is None:
        yield _has_gone_by(subject, check, sayings)
    if answers.answered is not None and not answers.refused:
        devices = answers.answered.fields.get("devices")
        names = ", ".join(map(str, devices)) if isinstance(devices, list) and devices else "no device"
        yield mark_passed(check, f"{answers.place}:{answers.answered.number}", f"it answered, with {names}")
    refused = [one for one in sayings if one.check in {Check.FILE, Check.GATE} and our_code(one.text)]
    if refused:
        yield mark_passed(check, refused[-1].where, f"it answered: it refused with {refused[-1].code}")
    command = kubectl(subject, "logs", subject.pod_name or "POD", "-c", _sidecar_name(subject))
    if answers.serving:
        yield mark_unknown(check, answers.place, "it serves, and no call of KubeVirt's stands in its log", command)
    gap = subject.evidence.gap("log sidecar", "events")
    yield mark_unknown(check, "sidecar's log, events", gap or "no call stands in what is told", command)


def _with_shim(item: Item, sayings: Sequence[Saying]) -> Item:
    """KubeVirt's shim tells no more than how the program ended: the sentence is in the log of its container."""
    if item.finding is None or not _SHIM.search(item.message):
        return item
    known = next((one for one in sayings if one.check is Check.HOOK and one.code not in {"", item.finding.code}), None)
    if known is None:
        return item
    finding = item.finding._replace(code=known.code, message=known.text[:300])
    return item._replace(finding=finding, message=known.text[:300])


@first_answer
def check_gate(subject: Subject, sayings: Sequence[Saying], answers: Answers) -> Iterator[Item | None]:
    """The host's devices may be given to a VM."""
    check = Check.GATE
    if subject.runs:
        yield mark_passed(check, f"VMI {subject.name}", "the VM runs: the kernel let it have its devices")
    yield failure_of(subject, check, sayings, "device-held-back")
    yield _of_doctor(subject)
    if answers.answered is not None and not answers.refused:
        where = f"{answers.place}:{answers.answered.number}"
        yield mark_passed(check, where, "the sidecar answered, and so has let them pass")
    if wants_sidecar(subject):
        yield _has_gone_by(subject, check, sayings)
    what = "the devices were not judged" if wants_sidecar(subject) else "without a sidecar nothing judges the devices"
    yield mark_unknown(check, "sidecar's log, events, node's agent", what, agent_command(subject, "doctor"))


_LIBVIRT = re.compile(r"LibvirtError\(|virError\(|qemu", re.IGNORECASE)


def _has_gone_by(subject: Subject, check: Check, sayings: Sequence[Saying]) -> Item | None:
    """A later step was reached: the gate is asked behind the file, and libvirt behind every hook."""
    if not subject.sidecars:
        return None
    for one in sayings:
        if check is Check.FILE and one.check is Check.GATE and our_code(one.text):
            return mark_passed(check, one.where, "the sidecar came as far as the gate")
        if one.check in {Check.DEFINED, Check.STARTED} and "SyncFailed" in one.where and _LIBVIRT.search(one.text):
            return mark_passed(check, one.where, "libvirt was given a domain: each hook had answered")
    return None


def _of_doctor(subject: Subject) -> Item | None:
    """What the node's own check found, asked through the agent of the devices that the pod has."""
    findings = subject.evidence.answers.get("Findings", EMPTY)
    for one in get_list(findings, "items"):
        if one.get("severity") == "error":
            code, about, message = (get_text(one, key) for key in ("code", "subject", "message"))
            if code in EXPLAINED:
                return mark_failed(Check.GATE, f"passgate node doctor on {subject.node}", code, message, about)
    return None


def _not_needed(subject: Subject, check: Check, what: str) -> Item:
    if not subject.vmi and not subject.vm and not subject.pod:
        return mark_unknown(
            check, "annotations", "neither the VM nor its pod is told", kubectl(subject, "get", "vmi", subject.name)
        )
    return mark_passed(check, "annotations of the VMI", f"the VM asks for no sidecar of Passgate: {what}")


def _needs_file(subject: Subject) -> bool:
    """Whether what the VM wants can only be named by the file; where the VM cannot be read, it may."""
    vmi = read_vmi(subject)
    return vmi is None or waits_for_file(vmi)


def read_vmi(subject: Subject) -> Vmi | None:
    """The VMI as far as it matters here; None where it is not told, or cannot be read."""
    if not subject.spec:
        return None
    value = {"metadata": {"name": subject.name, "annotations": dict(subject.annotations)}, "spec": subject.spec}
    try:
        return vmi_of(JsonObject({**value, "kind": "VirtualMachineInstance"}, "", CODE))
    except PassgateError:
        return None


def _sidecar_name(subject: Subject) -> str:
    return next((get_text(one, "name") for one in subject.sidecars), "hook-sidecar-0")


def agent_findings(subject: Subject) -> list[Saying]:
    """What the agent of the node logged of this pod's files."""
    uid = get_text(subject.pod, "metadata", "uid")
    found = []
    for log in subject.logs(AGENT):
        for line in log.lines:
            about = f"{get_text(line.fields, 'subject')} {get_text(line.fields, 'what')}"
            code = get_text(line.fields, "code")
            if line.message == "finding" and uid and uid in about and code.startswith("drop-"):
                text = f"{code}: {about}"
                found.append(Saying(text, f"{log.place}:{line.number}", Check.FILE, line.time, code))
    return found
