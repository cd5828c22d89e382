"""The QEMU of a root, asked what libvirt leaves to it: whether it starts with such host devices."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from itertools import pairwise
from typing import Any, NamedTuple, Self

from tests.oracle.roots import Root
from tests.oracle.worker import Worker

HOST = """\
set -e
mount -t tmpfs none "$1/sys"; mount -t tmpfs none "$1/dev"
mkdir -p "$1/sys/kernel/iommu_groups/1" "$1/dev/vfio" "$1/dev/net"
mknod "$1/dev/null" c 1 3; mknod "$1/dev/zero" c 1 5; mknod "$1/dev/urandom" c 1 9
mknod "$1/dev/vfio/vfio" c 1 3; mknod "$1/dev/net/tun" c 10 200
printf '\\125\\252\\001' > "$1/dev/x.rom"; head -c 509 /dev/zero >> "$1/dev/x.rom"
set +e"""
"""A host that passes devices on, as far as libvirt looks before it makes a command line; in a namespace of its own."""
ROM = "/dev/x.rom"
STAND_IN = "virtio-net-pci"
"""A PCI device that needs nothing of the host: what every PCI device has, such as an ACPI index, it has as well."""
_CONTROLLERS = ("pcie-root-port", "pcie-pci-bridge", "pci-bridge", "i82801b11-bridge", "zpci")
_EVERY_DEVICE = {"driver", "id", "bus"}
_RAMFB = "ramfb=on requires display=on"
"""QEMU says so after it has opened the device, which no root has; tests/vmhost lets it."""


class CommandLine(NamedTuple):
    """What of libvirt's command line for QEMU matters here."""

    program: str
    machine: str
    devices: tuple[Mapping[str, Any], ...]

    @classmethod
    def parse(cls, words: list[str]) -> CommandLine:
        program = next(word for word in words if "qemu-system-" in word)
        options = list(pairwise(words))
        machine = next(value for key, value in options if key == "-machine")
        devices = [json.loads(value) for key, value in options if key == "-device" and value.startswith("{")]
        return cls(program, machine, tuple(devices))

    @property
    def host_devices(self) -> list[Mapping[str, Any]]:
        return [device for device in self.devices if device["driver"].startswith("vfio-")]

    @property
    def key(self) -> str:
        """Equal where QEMU's answer must be."""
        named = [{k: v for k, v in one.items() if k not in {"id", "host", "sysfsdev"}} for one in self.host_devices]
        return json.dumps([self.program, self.machine, named], sort_keys=True)


class Emulator:
    """The QEMU of a root, and what its libvirt would have it do, while the `with` block lasts."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._open = ExitStack()
        self._worker = Worker(root, timeout=60.0, before=HOST)
        self._properties: dict[tuple[str, str], frozenset[str]] = {}
        self._answers: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._open.enter_context(self._worker)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def command_line(self, xml: str) -> CommandLine:
        """What libvirt would start."""
        return CommandLine.parse(self.words(xml))

    def words(self, xml: str) -> list[str]:
        """The same, word by word."""
        answer = self._worker.ask({"xml": xml, "native": True})
        if not answer["ok"]:
            raise AssertionError(f"libvirt makes no command line: {answer['message']}\n{xml}")
        return [word for word in shlex.split(answer["command"].replace("\\\n", " ")) if word]

    def refusal(self, command: CommandLine) -> str:
        """Why QEMU would not start, as far as the devices' attributes go; nothing where it would."""
        if command.key not in self._answers:
            self._answers[command.key] = self._refusal(command)
        return self._answers[command.key]

    def run(self, program: str, *words: str) -> tuple[int, str]:
        """Start QEMU and end it at once; how it ended, and its words."""
        common = ("-nodefaults", "-display", "none", "-S", "-monitor", "stdio", "-m", "64")
        answer = self._worker.ask({"run": [program, *common, *words]})
        return answer["status"], answer["errors"]

    def _refusal(self, command: CommandLine) -> str:
        for device in command.host_devices:
            unknown = device.keys() - _EVERY_DEVICE - self._known(command.program, device["driver"])
            if unknown:
                return f"Property '{device['driver']}.{min(unknown)}' not found"
            if device.get("ramfb") and device.get("display") != "on":
                return _RAMFB
        status, errors = self.run(command.program, *self._words(command))
        return errors.strip() if status else ""

    def _words(self, command: CommandLine) -> Iterable[str]:
        kept = [word for word in command.machine.split(",") if not word.startswith("memory-backend")]
        yield from ("-machine", ",".join(kept))
        for device in command.devices:
            if device["driver"] in _CONTROLLERS:
                yield from ("-device", json.dumps(device))
            elif device["driver"].startswith("vfio-pci"):
                known = self._known(command.program, STAND_IN) | _EVERY_DEVICE
                stand_in = {key: value for key, value in device.items() if key in known}
                yield from ("-device", json.dumps({"romfile": "", **stand_in, "driver": STAND_IN}))

    def _known(self, program: str, driver: str) -> frozenset[str]:
        if (program, driver) not in self._properties:
            answer = self._worker.ask({"run": [program, "-device", f"{driver},help"]})
            lines = [line.strip().partition("=")[0] for line in answer["output"].splitlines() if "=" in line]
            self._properties[program, driver] = frozenset(lines)
        return self._properties[program, driver]
