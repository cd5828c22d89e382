"""`passgate-hook rehearse`: a whole boot against the real server, and what became of the devices on the way."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence

from domxml.errors import BadInput, ExitCode, Refused
from hooksidecar.log import LEVELS
from hooksidecar.rehearsal import devices, launcher, standin
from hooksidecar.rehearsal.boot import Define, boot
from hooksidecar.rehearsal.process import Server, read

START = 30.0
"""Seconds to wait for the socket; virt-launcher waits four minutes."""
ROOT_COMPLEX = "kubevirt.io/placePCIDevicesOnRootComplex"
EPILOG = """Nothing of this machine is changed. Without --connect, the guest addresses that libvirt would add are
Passgate's own prediction: such a rehearsal says nothing about libvirt.

exit codes: 0 all went well; 2 unreadable input; 5 the sidecar, or libvirt, refused, or a device lost something."""


def rehearse(words: Sequence[str]) -> int:
    """Rehearse, and report on standard output."""
    arguments = _parser().parse_args(words)
    domain, vmi = read(arguments.domain), read(arguments.vmi)
    on_root = _root_complex(vmi, arguments.vmi)
    allocation = b"\n".join(read(path) for path in arguments.env_file)
    define = _define(arguments.connect)
    flags = ["--host", arguments.host, "--wait", str(arguments.wait), "--log-level", arguments.log_level]
    with Server(flags, allocation) as server:
        begun = time.monotonic()
        (sidecar,) = launcher.collect([server.mount], 1, START, server.check)
        points = ", ".join(sidecar.hook_points)
        _say(f"collected {sidecar.name}, {sidecar.version}, after {_ms(begun):.0f} ms: {points}")
        report = _Report(sidecar.define, vmi)
        passes = boot(domain, report.call, define, root_complex=on_root)
        begun = time.monotonic()
        sidecar.shutdown()
        code = server.ended()
        _say(f"shutdown: ended with {code} after {_ms(begun):.0f} ms")
    if not arguments.connect:
        _say("read-back by a stand-in, not by libvirt; --connect asks a real one")
    final = devices.facts(passes[-1].defined)
    dropped = devices.facts(passes[-1].answered) - final
    if arguments.connect and dropped:
        raise Refused("libvirt-drops", f"libvirt dropped {'; '.join(sorted(dropped))}")
    return ExitCode.DONE if code == 0 and report.steady else ExitCode.REFUSED


class _Report:
    """Calls the hook, and tells what each call was given, what it answered, what was lost before and came back."""

    def __init__(self, hook: Callable[[bytes, bytes], bytes], vmi: bytes) -> None:
        self._hook = hook
        self._vmi = vmi
        self._number = 0
        self._before: set[str] = set()
        self._places: dict[str, str] = {}
        self.steady = True

    def call(self, given: bytes) -> bytes:
        """One pass."""
        self._number += 1
        begun = time.monotonic()
        answered = self._hook(given, self._vmi)
        took = _ms(begun)
        same = ", the same" if answered == given else ""
        _say(f"pass {self._number}: given {len(given)} bytes, answered {len(answered)}{same}, in {took:.1f} ms")
        self._compare(given, answered)
        return answered

    def _compare(self, given: bytes, answered: bytes) -> None:
        there, now = devices.facts(given), devices.facts(answered)
        lost = self._before - there
        for fact in sorted(lost):
            _say(f"  lost      {fact}")
            _say(f"  {'restored ' if fact in now else 'NOT BACK '} {fact}")
        places = devices.places(answered)
        for alias, place in places.items():
            moved = self._places.get(alias, place) != place
            _say(f"  {'MOVED   ' if moved else 'device  '}  {alias} at guest {place}")
        gone = self._places.keys() - places.keys()
        for alias in sorted(gone):
            _say(f"  GONE      {alias}")
        kept = all(place == places.get(alias) for alias, place in self._places.items())
        self.steady = self.steady and kept and lost <= now
        self._before, self._places = now, places


def _define(uri: str) -> Define:
    if not uri:
        return standin.define
    from hooksidecar.rehearsal.readback import live  # noqa: PLC0415  libvirt's module may be absent

    return live(uri)


def _root_complex(vmi: bytes, path: str) -> bool:
    try:
        document = json.loads(vmi)
        return str(document["metadata"].get("annotations", {}).get(ROOT_COMPLEX)) == "true"
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput("bad-vmi", "this is no VirtualMachineInstance in JSON", subject=path) from None


def _ms(begun: float) -> float:
    return (time.monotonic() - begun) * 1000


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passgate-hook rehearse",
        description="Play virt-launcher against the real sidecar: collect it, make all passes of a boot, shut it down.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--vmi", required=True, metavar="FILE", help="the VirtualMachineInstance as JSON")
    parser.add_argument("--domain", required=True, metavar="FILE", help="the domain of the first pass as XML")
    parser.add_argument(
        "--env-file", action="append", default=[], metavar="FILE", help="the pod's allocation: lines of NAME=VALUE"
    )
    parser.add_argument("--host", default="none", metavar="ROOT|MACHINE.toml|none", help="where to check the devices")
    parser.add_argument("--connect", default="", metavar="URI", help="the libvirt that reads each answer back")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="as the sidecar has it (default 0)")
    parser.add_argument("--log-level", default="warning", choices=tuple(LEVELS), help="of the sidecar's log")
    return parser
