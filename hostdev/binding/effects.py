"""The writes that change a host's drivers: as data, as shell lines, and as the one place that does them."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from hostdev.inventory import netlink
from hostdev.printing.documents import Document, document

MODPROBE = "modprobe"
LINK = "ip"
"""What a PF keeps for a VF is asked of its interface by netlink, and written down as `ip` takes it."""
SYS = "/sys/"
CLEAR = "\n"
"""The only text that clears driver_override: nothing at all writes nothing, and (null) is taken for a name."""
_WORDS = {errno.EROFS: "/sys is mounted read-only, as in a container", errno.EPERM: "the kernel does not permit it"}


class State(StrEnum):
    """How far a step has come."""

    TODO = "todo"
    DONE = "done"
    FAILED = "failed"
    PENDING = "pending"
    UNDONE = "undone"


class Outcome(StrEnum):
    """What became of the steps as a whole."""

    PLANNED = "planned"
    NOTHING = "nothing"
    DONE = "done"
    UNDONE = "undone"
    STUCK = "stuck"
    PENDING = "pending"
    REFUSED = "refused"


class Step(NamedTuple):
    """One write, or the loading of one module."""

    write: str
    """An absolute path below /sys, `modprobe`, or `ip`."""
    value: str
    why: str
    device: str
    """The address of the PCI function that it is done for."""
    state: str = State.TODO
    expect: str | None = None
    """What the file, or for a probe the `driver` link, says afterwards; None: what is there is right."""

    def as_dict(self) -> dict[str, str]:
        """The JSON form; its keys are a contract."""
        return {
            "write": self.write,
            "value": self.value,
            "why": self.why,
            "device": self.device,
            "state": str(self.state),
        }


class Effects(NamedTuple):
    """A change of the host: planned, on its way, or as it ended."""

    id: str
    """That of the transaction in the journal; empty as long as there is none."""
    outcome: str
    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Those of severity error forbid it."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Addresses of all functions that it writes to, in order."""
        return tuple(dict.fromkeys(step.device for step in self.steps if step.device))

    def with_step(self, number: int, state: State) -> Effects:
        """The same with one step in another state."""
        steps = list(self.steps)
        steps[number] = steps[number]._replace(state=state)
        return self._replace(steps=tuple(steps))

    def with_findings(self, more: Iterable[Finding]) -> Effects:
        """The same with further findings, each once; refused where one of them forbids it before it began."""
        findings = tuple(dict.fromkeys((*self.findings, *more)))
        begun = self.outcome not in {Outcome.PLANNED, Outcome.NOTHING, Outcome.REFUSED}
        return self._replace(findings=findings) if begun else effects_of(self.steps, findings)

    def as_document(self) -> Document:
        """The kind Effects."""
        return document(
            "Effects",
            id=self.id,
            outcome=str(self.outcome),
            steps=[step.as_dict() for step in self.steps],
            findings=[finding.as_dict() for finding in self.findings],
        )


def effects_of(steps: Iterable[Step], findings: Iterable[Finding]) -> Effects:
    """What is to be done; where a finding of severity error stands against it, no write that anybody could copy."""
    found, todo = tuple(dict.fromkeys(findings)), tuple(steps)
    if any(finding.severity is Severity.ERROR for finding in found):
        return Effects("", Outcome.REFUSED, (), found)
    return Effects("", Outcome.PLANNED if todo else Outcome.NOTHING, todo, found)


def describe(step: Step) -> str:
    """The shell line that does the same."""
    if step.write == MODPROBE:
        return f"modprobe {shlex.quote(step.value)}"
    if step.write == LINK:
        return f"ip {step.value}"
    value = "" if step.value == CLEAR else f" {shlex.quote(step.value)}"
    return f"echo{value} > {shlex.quote(step.write)}"


class WriteFailed(Exception):
    """The kernel, or modprobe, refused a step; the message is what it said."""


def perform(step: Step) -> None:
    """Do a step on the running machine, and on nothing else. It may never return."""
    if step.write == MODPROBE:
        _load(step.value)
    elif step.write == LINK:
        _set_link(step.value)
    else:
        _write(step.write, step.value)


def _write(path: str, value: str) -> None:
    data = value.encode() if value.endswith("\n") else f"{value}\n".encode()
    if not path.startswith(SYS) or "/../" in path:
        raise WriteFailed(f"{path} is not below /sys")
    try:
        # Neither created nor cut: what is not there is no attribute.
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
    except OSError as error:
        what = _WORDS.get(error.errno or 0, "")
        raise WriteFailed(": ".join(filter(None, (error.strerror or str(error), what)))) from None


def _load(module: str) -> None:
    command: list[Any] = [MODPROBE, "--", module]
    try:
        ended = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")  # noqa: S603
    except OSError as error:
        hint = "modprobe (kmod) is not installed here" if error.errno == errno.ENOENT else error.strerror or str(error)
        raise WriteFailed(hint) from None
    if ended.returncode:
        raise WriteFailed(" ".join(ended.stderr.split()) or f"modprobe ended with {ended.returncode}")


_VF = re.compile(r"link set dev (\S+) vf ([0-9]+) (mac|vlan|spoofchk|trust) (\S+)", re.ASCII)


def vf_of_link(value: str) -> tuple[str, int, str, str]:
    """The interface, the VF, what is set, and to what."""
    found = _VF.fullmatch(value)
    if not found:
        raise WriteFailed(f"{value} is nothing that is set of a VF")
    return found[1], int(found[2]), found[3], found[4]


def _set_link(value: str) -> None:
    interface, vf, name, setting = vf_of_link(value)
    try:
        if name == "mac":
            netlink.set_vf_mac(interface, vf, setting)
        elif name == "vlan":
            netlink.set_vf_vlan(interface, vf, int(setting))
        else:
            netlink.set_vf_switch(interface, vf, name, on=setting == "on")
    except OSError as error:
        raise WriteFailed(f"{interface}, VF {vf}, {name}: {error.strerror or error}") from None
