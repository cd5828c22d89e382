"""The journal: a file for each change of the host, on the disk before the first write, and readable ever after."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from domxml.errors import BadInput, NotPermitted, PassgateError
from domxml.pciaddress import PciAddress
from domxml.text import did_you_mean
from hostdev.binding.child import Writer, finding_from
from hostdev.binding.effects import Effects, Outcome, State, Step
from hostdev.binding.lock import STATE_DIR
from hostdev.binding.vfsettings import Readings
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import vfio_driver
from hostdev.jsonutil import show_value
from hostdev.printing.documents import API_VERSION, Document, document

DIRECTORY = "journal"
_LARGEST = 16 << 20
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_RUNNING = frozenset({Outcome.PLANNED, Outcome.PENDING})


class Before(NamedTuple):
    """A device as it was before the change: which one it is, and what had it."""

    address: PciAddress
    vendor: int
    device: int
    class_code: int
    subsystem_vendor: int | None
    subsystem_device: int | None
    driver: str | None
    override: str | None
    physfn: PciAddress | None = None
    num_vfs: int | None = None
    autoprobe: bool | None = None
    settings: Mapping[str, str] | None = None
    """What it was set up with, as far as an undo gives that back; None where it was not read."""

    @classmethod
    def of(cls, function: PciFunction) -> Before:
        return cls(
            function.address,
            function.vendor,
            function.device,
            function.class_code,
            function.subsystem_vendor,
            function.subsystem_device,
            function.driver,
            function.driver_override,
            function.physfn,
            function.num_vfs,
            function.vf_autoprobe,
        )

    def with_settings(self, machine: Machine, readings: Readings) -> Before:
        """The same with what it was set up with."""
        if self.physfn is None:
            return self._replace(settings=readings.kept_of(self.address, None))
        port = machine.functions.get(self.physfn)
        vfs = port.virtfns if port else ()
        own = vfs.index(self.address) if self.address in vfs else None
        return self if own is None else self._replace(settings=readings.kept_of(self.physfn, own))

    @property
    def identity(self) -> tuple[int | None, ...]:
        """The numbers that another device at the same address would not have."""
        return self[1:6]


class Transaction(NamedTuple):
    """One change of the host."""

    what: str
    """As it would be typed: `bind 0000:3d:02.2`."""
    effects: Effects
    before: tuple[Before, ...]
    boot_id: str
    kernel: str
    begun: str
    ended: str | None = None
    undo: tuple[Step, ...] = ()
    """The writes that put things back."""
    writer: Writer | None = None
    """The process that makes the write that was last begun."""

    @property
    def id(self) -> str:
        return self.effects.id

    @property
    def running(self) -> bool:
        """It has not been told how it ended."""
        return self.ended is None

    @property
    def addresses(self) -> tuple[PciAddress, ...]:
        """The functions that it changes."""
        return tuple(before.address for before in self.before)

    def touches(self, addresses: Iterable[PciAddress]) -> bool:
        """Whether it writes to one of these, its PF or a VF of it."""
        own = {one for before in self.before for one in (before.address, before.physfn) if one}
        return not own.isdisjoint(addresses)


class Unreadable(NamedTuple):
    """A file of the journal that cannot be taken for a transaction."""

    path: str
    why: str


class _Newer(ValueError):
    """Written by another version, which may mean something else by the same words."""


class Journal:
    """The files below a state directory."""

    def __init__(self, state_dir: Path = Path(STATE_DIR)) -> None:
        self.state_dir = state_dir
        self.directory = state_dir / DIRECTORY

    def begin(self, what: str, effects: Effects, machine: Machine, readings: Readings | None = None) -> Transaction:
        """Write a change down before it is made; `readings` are the settings that it may take away."""
        named = [PciAddress.parse(device) for device in effects.devices]
        vfs = [vf for address in named if (pf := machine.functions.get(address)) for vf in pf.virtfns]
        known = [address for address in dict.fromkeys((*named, *vfs)) if address in machine.functions]
        befores = (Before.of(machine.functions[address]) for address in known)
        before = tuple(one if readings is None else one.with_settings(machine, readings) for one in befores)
        kernel = machine.kernel
        started = Transaction(what, effects._replace(id=_new_id()), before, kernel.boot_id, kernel.release, _now())
        self.save(started)
        return started

    def save(self, transaction: Transaction) -> None:
        """Put the file on the disk, whole or not at all."""
        text = json.dumps(as_document(transaction), indent=2) + "\n"
        path = self.directory / f"{transaction.id}.json"
        beside = path.with_suffix(".new")
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            _sync(self.directory)
        except OSError as error:
            raise NotPermitted(
                "journal-unwritable",
                f"the journal cannot be kept: {error.strerror}",
                subject=str(path),
                hint="nothing is changed without it: make room, or name another directory with --state-dir",
            ) from None

    def end(self, transaction: Transaction, effects: Effects) -> Transaction:
        """Write down how it ended."""
        ended = None if effects.outcome in _RUNNING else _now()
        finished = transaction._replace(effects=effects, ended=ended)
        self.save(finished)
        return finished

    def each(self) -> Iterator[Transaction]:
        """All transactions, the oldest first; what cannot be read is not among them."""
        yield from (one for _, one in self._files() if isinstance(one, Transaction))

    def unreadable(self) -> tuple[Unreadable, ...]:
        """Files that are no transactions, though they lie where these do."""
        return tuple(Unreadable(str(path), why) for path, why in self._files() if isinstance(why, str))

    def _files(self) -> Iterator[tuple[Path, Transaction | str]]:
        for path in self._paths():
            try:
                yield path, _transaction(path.stem, json.loads(_content(path)))
            except OSError as error:
                yield path, error.strerror or str(error)
            except RecursionError:
                yield path, "it is nested too deeply"
            except (PassgateError, AttributeError, KeyError, TypeError, ValueError) as error:
                yield path, str(error) if isinstance(error, _Newer) else f"it is no transaction: {error}"

    def find(self, name: str) -> Transaction:
        """The transaction of this ID, or of the only one that starts so."""
        known = {one.id: one for one in self.each()}
        fitting = [one for key, one in known.items() if key.startswith(name)] if name else []
        if len(fitting) == 1:
            return fitting[0]
        hint = did_you_mean(name, known, "`passgate node journal list` shows them")
        what = f"{len(fitting)} transactions start so" if fitting else "there is no such transaction"
        raise BadInput("no-transaction", what, subject=name[:60], hint=hint)

    def running(self, boot_id: str) -> tuple[Transaction, ...]:
        """What was begun in this boot and has not been told how it ended; before a reboot it is history."""
        return tuple(one for one in self.each() if one.running and one.boot_id == boot_id)

    def drivers_before(self, functions: Iterable[PciFunction]) -> dict[PciAddress, str]:
        """The driver of the host that had each of these the last time that one was put on a vfio driver."""
        wanted = {function.address: Before.of(function).identity for function in functions}
        found: dict[PciAddress, str] = {}
        for transaction in self.each():
            for before in transaction.before:
                same = wanted.get(before.address) == before.identity
                if same and before.driver is not None and vfio_driver(before.driver) is None:
                    found[before.address] = before.driver
        return found

    def _paths(self) -> list[Path]:
        try:
            found = sorted(self.directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            what = f"the journal cannot be read: {error.strerror}"
            raise NotPermitted("journal-unreadable", what, subject=str(self.directory), hint="run it as root") from None
        return [path for path in found if path.suffix == ".json" and _ID.fullmatch(path.stem)]


def as_document(transaction: Transaction) -> Document:
    """The kind Transaction, which is also how the file is written."""
    content = transaction.effects.as_document()
    return document(
        "Transaction",
        id=transaction.id,
        what=transaction.what,
        outcome=content["outcome"],
        begun=transaction.begun,
        ended=transaction.ended,
        bootId=transaction.boot_id,
        kernel=transaction.kernel,
        devices=[_device(before) for before in transaction.before],
        steps=[{**step.as_dict(), "expect": step.expect} for step in transaction.effects.steps],
        undo=[{**step.as_dict(), "expect": step.expect} for step in transaction.undo],
        writer=None if transaction.writer is None else transaction.writer._asdict(),
        findings=content["findings"],
    )


def _device(before: Before) -> Document:
    numbers = ((key, getattr(before, key)) for key in ("vendor", "device", "subsystem_vendor", "subsystem_device"))
    ids = {_KEYS.get(key, key): None if value is None else f"0x{value:04x}" for key, value in numbers}
    return {
        "address": str(before.address),
        **ids,
        "classCode": f"0x{before.class_code:06x}",
        "driver": before.driver,
        "driverOverride": before.override,
        "physfn": None if before.physfn is None else str(before.physfn),
        "numVfs": before.num_vfs,
        "vfAutoprobe": before.autoprobe,
        "settings": None if before.settings is None else dict(before.settings),
    }


_KEYS = {"subsystem_vendor": "subsystemVendor", "subsystem_device": "subsystemDevice"}


def _content(path: Path) -> bytes:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no file")
    if status.st_size > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")
    return path.read_bytes()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{show_value(value)} stands where a text is wanted")
    return value


def _transaction(name: str, data: dict[str, Any]) -> Transaction:
    if data["apiVersion"] != API_VERSION or data["kind"] != "Transaction":
        raise _Newer(f"it is {show_value(data['apiVersion'])} {show_value(data['kind'])}, of another version")
    if data["id"] != name:
        raise ValueError(f"it says that it is {show_value(data['id'])}")
    findings = tuple(map(finding_from, data["findings"]))
    writer = data["writer"]
    return Transaction(
        _text(data["what"]),
        Effects(name, Outcome(data["outcome"]), tuple(map(_step, data["steps"])), findings),
        tuple(map(_before, data["devices"])),
        _text(data["bootId"]),
        _text(data["kernel"]),
        _text(data["begun"]),
        None if data["ended"] is None else _text(data["ended"]),
        tuple(map(_step, data["undo"])),
        None if writer is None else Writer(int(writer["pid"]), _text(writer["started"])),
    )


def _step(data: dict[str, Any]) -> Step:
    write, value, why, device = (_text(data[key]) for key in ("write", "value", "why", "device"))
    expect = data["expect"]
    return Step(write, value, why, device, State(data["state"]), None if expect is None else _text(expect))


def _before(data: dict[str, Any]) -> Before:
    numbers = (data[key] for key in ("vendor", "device", "classCode", "subsystemVendor", "subsystemDevice"))
    vendor, device, code, subvendor, subdevice = (None if text is None else int(text, 16) for text in numbers)
    physfn = data["physfn"]
    return Before(
        PciAddress.parse(data["address"]),
        vendor or 0,
        device or 0,
        code or 0,
        subvendor,
        subdevice,
        None if data["driver"] is None else _text(data["driver"]),
        None if data["driverOverride"] is None else _text(data["driverOverride"]),
        None if physfn is None else PciAddress.parse(physfn),
        data["numVfs"],
        data["vfAutoprobe"],
        _settings(data.get("settings")),
    )


def _settings(data: Any) -> Mapping[str, str] | None:
    return None if data is None else {_text(name): _text(value) for name, value in data.items()}


def _new_id() -> str:
    """In the order of time, and different on two nodes."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
