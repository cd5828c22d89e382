"""A boot from the first look for a socket to the server's end, and the report of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from domxml.document import Domain
from domxml.errors import BadInput, PassgateError, Refused
from hooksidecar.rehearsal import cloudinit, devices, judge, launcher
from hooksidecar.rehearsal.cloudinit import Written
from hooksidecar.rehearsal.plugin import await_socket, plugin_release, require_modes
from hooksidecar.rehearsal.process import Server
from hooksidecar.rehearsal.readback import ReadBack
from hooksidecar.rehearsal.report import Call, Collected, Problem, Report, Shutdown, with_log
from hostdev.kubevirt.boot import Hook, Pass, boot, passes
from hostdev.kubevirt.ports import Guest
from hostdev.kubevirt.releases import Release, release_of
from hostdev.vmi.vmi import parse_vmi

START = 30.0
"""Seconds to wait for the socket; virt-launcher waits four minutes."""
DYING = 1.0
"""Seconds in which a server whose connection broke is seen to be dead."""


LIBVIRTS = frozenset({"libvirt-crashes", "libvirt-refuses", "libvirt-silent", "read-back-unknown"})
"""What is refused because of libvirt; the rest is KubeVirt's."""


class Script(NamedTuple):
    """The inputs of a rehearsal."""

    domain: bytes
    """Of the first pass, with KubeVirt's placeholders in it or without."""
    vmi: bytes
    kubevirt: str = "any"
    mode: str = "hook"

    @property
    def release(self) -> Release:
        """The one that is played."""
        return plugin_release(self.kubevirt) if self.mode == "plugin" else release_of(self.kubevirt)

    @property
    def guest(self) -> Guest:
        """What KubeVirt counts ports by."""
        return Guest.of_vmi(parse_vmi(self.vmi), Domain.parse(self.domain))


def play(script: Script, server: Server, read_back: ReadBack, start: float = START) -> Report:
    """Play a boot. What goes wrong is in the report, together with what went well before."""
    told = Report(script.kubevirt, script.release.name, read_back, script.mode)
    try:
        with _blaming_the_base():
            base = _boot(script, lambda xml: xml, read_back)
        with server:
            begun = time.monotonic()
            with _or_dead(server):
                sidecar = _collect(script, server, start)
            collected = Collected(sidecar.name, sidecar.version, sidecar.hook_points, _ms(begun))
            told = told._replace(sidecar=collected)
            told = told._replace(cloud_init=_write_cloud_init(script, server, sidecar))
            for calls, problems in _calls(script, server, sidecar, read_back, base):
                told = told._replace(calls=calls, problems=problems)
            shutdown = _shut_down(server, sidecar)
            told = told._replace(shutdown=shutdown, problems=(*told.problems, *judge.end_problems(told, shutdown)))
    except PassgateError as error:
        told = told._replace(error=error)
    return with_log(told, server.log)


def _collect(script: Script, server: Server, start: float) -> launcher.Sidecar:
    if script.mode == "plugin":
        return await_socket(server.mount, start, server.check)
    dials = script.release.dials_directories
    (sidecar,) = launcher.collect([server.mount], 1, start, server.check, dials_directories=dials)
    return sidecar


def _calls(
    script: Script, server: Server, sidecar: launcher.Sidecar, read_back: ReadBack, base: list[Pass]
) -> Iterator[tuple[tuple[Call, ...], tuple[Problem, ...]]]:
    """All calls so far and what is wrong with them, after each pass."""
    took: list[float] = []

    def hook(given: bytes) -> bytes:
        begun = time.monotonic()
        with _or_dead(server):
            answered = sidecar.define(given, script.vmi)
        took.append(_ms(begun))
        _check(answered, sidecar.call_name)
        return answered

    done: list[Pass] = []
    calls: list[Call] = []
    ours: frozenset[str] = frozenset()
    for one in passes(script.domain, _as_given(script, hook), read_back.define, script.guest, script.release):
        ours = ours or devices.touched_devices(one.given, one.answered)
        calls.append(judge.judge_call(one, done[-1] if done else None, ours, took[-1]))
        done.append(one)
        yield tuple(calls), tuple(judge.problems(done, calls, base, ours))


def _boot(script: Script, hook: Hook, read_back: ReadBack) -> list[Pass]:
    return boot(script.domain, _as_given(script, hook), read_back.define, script.guest, script.release)


def _as_given(script: Script, hook: Hook) -> Hook:
    """With a Plugin in the cluster KubeVirt reads the domain by stricter rules before anything is called."""
    return (lambda given: hook(require_modes(given))) if script.mode == "plugin" else hook


@contextmanager
def _or_dead(server: Server) -> Iterator[None]:
    """A call fails for another reason when the server died of it."""
    try:
        yield
    except Refused as error:
        if error.code == launcher.CALL_FAILED:
            server.check(DYING)
        raise


def _check(answered: bytes, name: str) -> None:
    try:
        Domain.parse(answered)
    except BadInput as error:
        raise Refused("bad-answer", f"{error.message}; virt-launcher would not define it", subject=name) from None


@contextmanager
def _blaming_the_base() -> Iterator[None]:
    """What libvirt refuses without the devices is not the sidecar's fault."""
    try:
        yield
    except Refused as error:
        if error.code in LIBVIRTS:
            error.message += ", already of the domain without the devices"
        raise


def _write_cloud_init(script: Script, server: Server, sidecar: launcher.Sidecar) -> Written | None:
    if not sidecar.subscribes(cloudinit.HOOK_POINT):
        return None
    given = cloudinit.vm_documents(script.vmi)
    begun = time.monotonic()
    with _or_dead(server):
        answered = sidecar.pre_cloud_init_iso(given, script.vmi)
    return cloudinit.compare(given, answered, _ms(begun))


def _shut_down(server: Server, sidecar: launcher.Sidecar) -> Shutdown:
    begun = time.monotonic()
    asked = sidecar.subscribes("Shutdown")
    if asked:
        with _or_dead(server):
            sidecar.shutdown()
    else:
        server.terminate()
    return Shutdown(asked, server.ended(), _ms(begun))


def _ms(begun: float) -> float:
    return round((time.monotonic() - begun) * 1000, 1)
