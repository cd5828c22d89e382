"""Boot a guest until its firmware has placed what it can, and ask QEMU where each register is."""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from domxml.pciaddress import PciAddress
from tests.firmware.images import Images
from tests.hostdev.fit.guests import IVSHMEM, TESTDEV, Card, Given

MOUNTED = "/run"
_DROPPED = {
    "-name",
    "-sandbox",
    "-chardev",
    "-mon",
    "-display",
    "-rtc",
    "-no-shutdown",
    "-S",
    "-blockdev",
    "-boot",
    "-msg",
}
_ALONE = {"-no-shutdown", "-S", "-nodefaults", "-no-user-config"}
_ENTER = """\
set -e
mount -t tmpfs none "$1/dev"
mknod "$1/dev/null" c 1 3; mknod "$1/dev/zero" c 1 5; mknod "$1/dev/urandom" c 1 9; mknod "$1/dev/random" c 1 8
mkdir "$1/dev/net"; mknod "$1/dev/net/tun" c 10 200
mount --bind "$2" "$1/run"
mount --bind "$2/overcommit" "$1/proc/sys/vm/overcommit_memory"
root=$1; shift 2
exec chroot "$root" "$@"
"""
"""QEMU leaves memory unreserved where the kernel promises more than there is, and guests here are larger than hosts."""
_SERIAL, _DEBUG = "serial", "debug"
_READY = "BdsDxe: "
_SETTLED = 1.2
"""Seconds without a change."""
_MOST, _MOST_WITHOUT_PCI = 600.0, 25.0
_ECAM = 0x4010000000
"""Where Arm's machine has the configuration space of PCI."""
_NOWHERE = -1


class Answer(NamedTuple):
    """What became of a guest."""

    started: bool
    addresses: Mapping[tuple[str, int], int]
    """By QEMU's name of the device and register; -1: none."""
    ids: Mapping[PciAddress, str]
    """QEMU's names, by the addresses that libvirt wrote."""
    said: str
    """The last words of firmware and QEMU."""
    ready: bool
    """Whether the firmware went on to boot."""


def boot(given: Given, words: list[str], images: Images, kind: str, directory: Path, *, without_pci: bool) -> Answer:
    """Start it; `without_pci`: the firmware is expected to say nothing, and is waited for less long."""
    directory.mkdir()
    (directory / "overcommit").write_text("1\n")
    shutil.copy(images.code(kind), directory / "CODE.fd")
    if (variables := images.variables(kind)) is not None:
        shutil.copy(variables, directory / "VARS.fd")
    command = list(_command(given, words, kind))
    root = images.root.path
    enter = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", f"--mount-proc={root}/proc"]
    program = [*enter, "sh", "-c", _ENTER, "sh", str(root), str(directory), *command]
    with (directory / "qemu.log").open("wb") as log:
        process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0)
        monitor = _Monitor(process)
        try:
            return _watch(monitor, directory, kind, _ids(words), without_pci=without_pci)
        finally:
            process.kill()
            process.wait()
            monitor.close()


def _watch(
    monitor: _Monitor, directory: Path, kind: str, ids: Mapping[PciAddress, str], *, without_pci: bool
) -> Answer:
    begun = changed = time.monotonic()
    seen: Mapping[tuple[str, int], int] = {}
    ready = False
    try:
        monitor.ask("qmp_capabilities")
        while time.monotonic() - begun < (_MOST_WITHOUT_PCI if without_pci else _MOST):
            now = _registers(monitor, kind)
            if now != seen:
                seen, changed = now, time.monotonic()
            ready = _is_ready(directory, kind)
            if ready and time.monotonic() - changed > _SETTLED:
                break
            time.sleep(0.15)
    except EOFError:
        return Answer(False, {}, ids, _tail(directory), ready)
    return Answer(True, seen, ids, _tail(directory), ready)


def _is_ready(directory: Path, kind: str) -> bool:
    said = _text(directory / _DEBUG) if kind == "seabios" else _text(directory / _SERIAL)
    return (
        ("Press ESC" in said or "Scan for VGA" in said or "PCI: out of" in said)
        if kind == "seabios"
        else _READY in said
    )


def _registers(monitor: _Monitor, kind: str) -> dict[tuple[str, int], int]:
    found = {}
    for device in _walk(monitor.ask("query-pci")):
        for region in device["regions"]:
            number, name = region["bar"], device["qdev_id"]
            if name and number < 6:
                raw = _raw(monitor, device, region) if kind == "aavmf" else region["address"]
                found[name, number] = raw
    return found


def _raw(monitor: _Monitor, device: Mapping[str, Any], region: Mapping[str, Any]) -> int:
    """Read the register itself: its firmware leaves devices without a driver off, and QEMU then tells no address."""
    at = _ECAM + (device["bus"] << 20 | device["slot"] << 15 | device["function"] << 12) + 0x10 + 4 * region["bar"]
    words = re.findall(r"0x([0-9a-f]{8})", monitor.ask("human-monitor-command", {"command-line": f"xp /2wx {at:#x}"}))
    value = int(words[0], 16) & (~0x3 if region["type"] == "io" else ~0xF)
    wide = region["type"] == "memory" and region.get("mem_type_64")
    space = 1 << (64 if wide else 32)
    value += int(words[1], 16) << 32 if wide else 0
    # What was never programmed is as its size was asked for.
    return _NOWHERE if value in {0, (space - region["size"]) % space} else value


def _walk(buses: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for bus in buses:
        for device in bus["devices"]:
            yield device
            behind = device.get("pci_bridge", {})
            yield from _walk([{"devices": behind.get("devices", [])}])


def _ids(words: list[str]) -> dict[PciAddress, str]:
    found = {}
    for device in _devices(words):
        bus, addr = re.fullmatch(r"pcie?\.(\d+)", device.get("bus", "")), device.get("addr")
        if bus is not None and addr is not None:
            slot, _, function = addr.partition(".")
            found[PciAddress(0, int(bus[1]), int(slot, 16), int(function or "0", 16))] = device["id"]
    return found


def _devices(words: list[str]) -> Iterator[dict[str, Any]]:
    for option, value in pairwise(words):
        if option == "-device" and value.startswith("{"):
            yield json.loads(value)


def _command(given: Given, words: list[str], kind: str) -> Iterator[str]:
    """Libvirt's command line, with devices of QEMU's in place of the host's."""
    cards = {str(source): card for source, card in given.cards.items()}
    memories = 0
    remaining = iter(words[next(number for number, word in enumerate(words) if "qemu-system-" in word) :])
    yield next(remaining)
    for option in remaining:
        value = "" if option in _ALONE else next(remaining)
        if option in _DROPPED or "masterKey" in value or "charmonitor" in value:
            continue
        if option == "-machine":
            value = ",".join(part for part in value.split(",") if not part.startswith("pflash"))
        elif option == "-object" and "memory-backend" in value:
            value = json.dumps(json.loads(value) | {"reserve": False})
        elif option == "-device" and value.startswith("{") and json.loads(value)["driver"] == "vfio-pci":
            device = json.loads(value)
            memories += 1
            yield from _stand_in(device, cards[device["host"]], f"memory{memories}")
            continue
        yield from (option, value) if value else (option,)
    yield from ("-display", "none", "-qmp", "stdio", "-serial", f"file:{MOUNTED}/{_SERIAL}", "-no-reboot")
    if kind == "seabios":
        yield from ("-bios", f"{MOUNTED}/CODE.fd", "-chardev", f"file,id=debug,path={MOUNTED}/{_DEBUG}")
        yield from ("-device", "isa-debugcon,iobase=0x402,chardev=debug")
    else:
        yield from ("-drive", f"if=pflash,format=raw,readonly=on,file={MOUNTED}/CODE.fd")
        yield from ("-drive", f"if=pflash,format=raw,file={MOUNTED}/VARS.fd")


def _stand_in(device: Mapping[str, Any], card: Card, memory: str) -> Iterator[str]:
    kept = {key: value for key, value in device.items() if key in {"id", "bus", "addr", "multifunction"}}
    if card.model == IVSHMEM:
        backend = {"qom-type": "memory-backend-ram", "id": memory, "size": card.size, "share": False, "reserve": False}
        yield from ("-object", json.dumps(backend))
        kept["memdev"] = memory
    elif card.size:
        kept["membar" if card.model == TESTDEV else "hostmem"] = card.size
    yield from ("-device", json.dumps({"driver": card.model} | kept))


class _Monitor:
    """QEMU's monitor on its standard input and output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)

    def ask(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})
        try:
            self._in.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise EOFError from None
        while True:
            answer = json.loads(self._line())
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, answer

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            if not self._selector.select(60):
                raise TimeoutError("QEMU does not answer")
            chunk = os.read(self._out.fileno(), 1 << 16)
            if not chunk:
                raise EOFError
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def close(self) -> None:
        self._selector.close()
        self._out.close()
        with suppress(BrokenPipeError):
            self._in.close()


def _tail(directory: Path) -> str:
    return "\n".join(_text(directory / name)[-1500:] for name in ("qemu.log", _SERIAL, _DEBUG))


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
