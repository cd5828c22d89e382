"""The last part of a start: is the domain defined, does QEMU start, has the guest its device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hostdev.explain.addresses import addresses_in
from hostdev.explain.text import plain
from hostdev.findings.explain import EXPLAINED
from hostdev.kubevirt.spec import EMPTY, Fields, get_list, get_text
from hostdev.why.evidence import COMPUTE, FILE, KERNEL
from hostdev.why.item import (
    Item,
    agent_command,
    failure_of,
    first_answer,
    kubectl,
    mark_failed,
    mark_passed,
    mark_unknown,
    start_command,
)
from hostdev.why.sayings import Saying, container_end, make_saying
from hostdev.why.steps import Check
from hostdev.why.subject import Subject

_DEFINED = ("Domain defined", "domain defined", "Domain started")


def check_defined(subject: Subject, sayings: Sequence[Saying]) -> Item:
    """Libvirt took the domain."""
    check = Check.DEFINED
    if subject.runs:
        return mark_passed(check, f"VMI {subject.name}", "the VM runs")
    item = failure_of(subject, check, sayings, "domain-not-made")
    if item:
        return item
    for log in subject.logs(COMPUTE):
        line = next((line for line in log.lines if line.message.startswith(_DEFINED)), None)
        if line:
            return mark_passed(check, f"{log.place}:{line.number}", line.message)
    if any(one.check is Check.STARTED and "qemu" in one.text.lower() for one in sayings):
        return mark_passed(check, "events, compute's log", "QEMU was started: there is a domain")
    gap = subject.evidence.gap("log compute", "events")
    command = kubectl(subject, "logs", subject.pod_name or "POD", "-c", "compute")
    return mark_unknown(
        check, "events of the VMI, compute's log", gap or "neither a refusal nor a domain is told", command
    )


@first_answer
def check_started(subject: Subject, sayings: Sequence[Saying]) -> Iterator[Item | None]:
    """QEMU runs."""
    check, phase = Check.STARTED, subject.phase
    if subject.runs:
        yield mark_passed(check, f"VMI {subject.name}", f"its phase is Running, on node {subject.node or 'unknown'}")
    ended = _ended(subject)
    yield failure_of(
        subject, check, [*_kernel(subject, sayings), *sayings], "launcher-ended" if ended else "start-failed"
    )
    yield ended
    if phase == "Failed":
        what = f"the VMI is Failed{_reason(subject)}, and what is told does not say why"
        yield mark_failed(check, f"VMI {subject.name}", "start-failed", what, subject.name)
    if subject.is_stopped:
        yield mark_unknown(check, f"VM {subject.name}", "the VM is stopped", start_command(subject))
    if phase == "Succeeded":
        what = "the guest has shut itself down: its VMI is Succeeded"
        yield mark_unknown(check, f"VMI {subject.name}", what, start_command(subject))
    gap = subject.evidence.gap("virtualmachineinstances", "log compute", "events")
    state = f"its phase is {phase}" if phase else "no VMI of it is told"
    command = kubectl(subject, "get", "vmi", subject.name, "-o", "yaml")
    yield mark_unknown(check, "VMI, events, compute's log", "; ".join(filter(None, (state, gap))), command)


def _ended(subject: Subject) -> Item | None:
    """Compute has ended; what it said last, if nothing of it is known."""
    end = container_end(subject.container_status("compute"))
    if not end or (end.get("exitCode") == 0 and get_text(end, "reason") in {"", "Completed"}):
        return None
    if get_text(end, "reason") == "OOMKilled":
        what = "compute was killed for its memory: OOMKilled"
        return mark_failed(Check.STARTED, f"pod {subject.pod_name}", "launcher-killed", what, subject.name)
    words = get_text(end, "message") or _last_words(subject)
    told = f": {words.strip().splitlines()[-1]}" if words.strip() else "; its log says why"
    what = f"compute has ended with {end.get('exitCode')} {get_text(end, 'reason')}{told}"
    if words and (saying := make_saying(words, f"pod {subject.pod_name}", Check.STARTED)) and saying.code:
        return mark_failed(Check.STARTED, f"pod {subject.pod_name}", saying.code, what, subject.name)
    return mark_failed(Check.STARTED, f"pod {subject.pod_name}", "launcher-ended", what, subject.name)


def _last_words(subject: Subject) -> str:
    lines = [line for log in subject.logs(COMPUTE) for line in log.lines if line.text.strip()]
    return lines[-1].message if lines else ""


def _reason(subject: Subject) -> str:
    reason = get_text(subject.vmi, "status", "reason")
    return f" ({reason})" if reason else ""


def _kernel(subject: Subject, sayings: Sequence[Saying]) -> list[Saying]:
    """Lines of the node's kernel about devices that were named; never of others."""
    words = [saying.text for saying in sayings if saying.check.rank >= Check.GATE.rank]
    words += [line.text for log in subject.logs(FILE) for line in log.lines]
    devices = {*subject.held_devices, *addresses_in(plain(" ".join(words)))}
    if not devices:
        return []
    found = []
    for log in subject.logs(KERNEL):
        for line in log.lines:
            if any(device in line.text for device in devices):
                saying = make_saying(line.text, f"{log.place}:{line.number}", None)
                if saying and saying.code:
                    found.append(saying._replace(check=Check.STARTED))
    return found


def check_arrived(subject: Subject) -> Item:
    """The guest's driver has taken the device: only the host's vitals show it."""
    check, where = Check.ARRIVED, "vitals of the node"
    vitals = _vitals(subject)
    bad = next((one for one in vitals if get_text(one, "verdict") == "trouble"), None)
    if bad is not None:
        found = next(iter(get_list(bad, "findings")), EMPTY)
        code, device = get_text(found, "code"), get_text(bad, "device")
        what = get_text(found, "message") or get_text(bad, "why") or "is in trouble"
        return mark_failed(check, where, code if code in EXPLAINED else "device-unhealthy", what, device)
    if vitals and all(get_text(one, "verdict") == "arrived" for one in vitals):
        names = ", ".join(get_text(one, "device") for one in vitals)
        return mark_passed(check, where, f"a driver of the guest has set up {names}")
    command = _vitals_command(subject)
    if vitals:
        told = (f"{get_text(one, 'device')}: {get_text(one, 'verdict')}: {get_text(one, 'why')}" for one in vitals)
        return mark_unknown(check, where, "; ".join(told), command)
    if not subject.runs:
        return mark_unknown(check, where, "the VM does not run, as far as is told", command)
    gap = subject.evidence.gap("vitals", "who", "agents")
    return mark_unknown(check, where, gap or "whether the guest uses its devices is not told", command)


def _vitals(subject: Subject) -> list[Fields]:
    """Those of this VM's devices: kubelet gave them to its pod, or its own QEMU holds them."""
    mine, uid = set(subject.held_devices), get_text(subject.pod, "metadata", "uid")
    domain = f"{subject.namespace}_{subject.name}"
    return [
        one
        for one in get_list(subject.evidence.answers.get("Vitals", EMPTY), "items")
        if get_text(one, "device") in mine
        or (uid and get_text(one, "held", "pod") == uid)
        or get_text(one, "held", "vm") == domain
    ]


def _vitals_command(subject: Subject) -> str:
    return agent_command(subject, "vitals", next(iter(subject.held_devices), "DEVICE"))
