"""The oracle: asks a real libvirt to define a domain, and tells what it made of the domain, or why it refused."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue
from typing import Self, TypeAlias

from tests.oracle.addresses import Addresses, guest_addresses
from tests.oracle.portable import portable
from tests.oracle.roots import Root
from tests.oracle.worker import Died, Silent, Worker

TIMEOUT = 60.0
"""Seconds; the first domain of an architecture waits for its emulator to be probed."""
CRASHED = -1
TIMED_OUT = -2


@dataclass(frozen=True)
class Defined:
    """A domain that libvirt took: its inactive XML, and that of defining this XML again, if asked for."""

    xml: bytes
    again: bytes | None = None

    @cached_property
    def addresses(self) -> Addresses:
        """Who sits where in the guest."""
        return guest_addresses(self.xml)


@dataclass(frozen=True, slots=True)
class Refused:
    """A domain that libvirt did not take: its error code, the part of libvirt that spoke, its words."""

    code: int
    domain: int
    message: str


Answer: TypeAlias = Defined | Refused


class Oracle:
    """A libvirt to ask while the `with` block lasts."""

    def __init__(self, root: Root, *, timeout: float = TIMEOUT) -> None:
        self.root = root
        self.timeout = timeout
        self._open = ExitStack()
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        self._hire(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def version(self) -> int:
        """As libvirt counts: 11003000 is 11.3.0."""
        return self._workers[0].version

    @property
    def pid(self) -> int:
        """The process that everything of the first worker ends with."""
        return self._workers[0].pid

    def define(self, xml: bytes, *, validate: bool = False, redefine: bool = False) -> Answer:
        """Define the domain, read it back and undefine it; with `validate` against libvirt's schema as well."""
        return _define(self._workers[0], xml, validate=validate, redefine=redefine)

    def define_many(
        self, domains: Iterable[bytes], *, jobs: int = 4, validate: bool = False, redefine: bool = False
    ) -> list[Answer]:
        """Define each domain by itself, several at a time; the answers come in the order of the domains."""
        self._hire(jobs)
        idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers[:jobs]:
            idle.put(worker)

        def define(xml: bytes) -> Answer:
            worker = idle.get()
            try:
                return _define(worker, xml, validate=validate, redefine=redefine)
            finally:
                idle.put(worker)

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(define, domains))

    def _hire(self, count: int) -> None:
        while len(self._workers) < count:
            self._workers.append(self._open.enter_context(Worker(self.root, timeout=self.timeout)))


def _define(worker: Worker, xml: bytes, *, validate: bool, redefine: bool) -> Answer:
    text = portable(xml, worker.version, validate=validate)
    try:
        answer = worker.ask({"xml": text, "validate": validate, "redefine": redefine})
    except Died as error:
        return Refused(CRASHED, 0, f"crashed: {error}")
    except Silent as error:
        return Refused(TIMED_OUT, 0, f"timed out: {error}")
    if not answer["ok"]:
        return Refused(answer["code"], answer["domain"], answer["message"])
    again = answer["again"]
    return Defined(answer["xml"].encode(), None if again is None else again.encode())
