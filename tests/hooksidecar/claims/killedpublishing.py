"""Kills the driver before its N-th change at the API server, for every N there is: a line of JSON for each.

Each N is a process of its own, forked from one that has no threads yet. What it leaves is then looked after in each
order in which things may come back.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

from hooksidecar.claims.apiserver import ApiServer
from hooksidecar.claims.credentials import Credentials
from hooksidecar.claims.publisher import Publisher
from hostdev.claims.devices import Inventory
from tests.apiserver.server import ApiServerDouble
from tests.apiserver.storage import Storage
from tests.hooksidecar.claims.apiclients import PATIENT, client
from tests.hooksidecar.claims.published import NODE, assert_no_lies, inventory, published
from tests.patience import until

DRIVER = "units.passgate.dev"
SLICES = "resourceslices"
WRITES = {"POST": "create", "PUT": "update", "DELETE": "delete"}


class Wish(NamedTuple):
    """What a node has, by the number of its devices; those that share have their counters in a slice of their own."""

    devices: int
    shared: bool = False

    @property
    def names(self) -> set[str]:
        return {f"d{number}" for number in range(self.devices)}

    @property
    def inventory(self) -> Inventory:
        sets = ("card",) if self.shared else ()
        return inventory(*sorted(self.names), sets=sets, consumes=sets)


class Change(NamedTuple):
    """What the driver publishes when it is killed."""

    name: str
    before: Wish
    wanted: Wish


CHANGES = (
    Change("Publishing what a node has, for the first time", Wish(0), Wish(300)),
    Change("Publishing a change of one slice", Wish(300), Wish(299)),
    Change("Publishing a change of several slices", Wish(100), Wish(101, shared=True)),
    Change("Publishing fewer slices", Wish(300), Wish(100)),
)


class Drivers:
    """Processes that publish, each forked from one that was forked before there were threads."""

    def __init__(self) -> None:
        asking, asked = os.pipe()
        answered, answering = os.pipe()
        if os.fork() == 0:
            os.close(asked)
            _fork_as_asked(asking, answering)
        os.close(asking)
        self._asked, self._answers = os.fdopen(asked, "w"), os.fdopen(answered)

    def start(self, url: str, account: Path, wish: Wish) -> int:
        """One more; its number."""
        self._asked.write(json.dumps([url, str(account), *wish]) + "\n")
        self._asked.flush()
        return int(self._answers.readline())


def _fork_as_asked(asking: int, answering: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in os.fdopen(asking):
        pid = os.fork()
        if pid == 0:
            url, account, devices, shared = json.loads(line)
            publisher = Publisher(ApiServer(url, Credentials(Path(account)), PATIENT), NODE, DRIVER)
            publisher.publish(Wish(devices, shared).inventory)
            publisher.start()
            time.sleep(600)
        os.write(answering, f"{pid}\n".encode())
    os._exit(0)


def publish(double: ApiServerDouble, directory: Path, wish: Wish) -> int:
    """Let a process that lives publish it; the number of its changes."""
    begun = double.storage.version
    with closing(client(double, directory)) as api, closing(Publisher(api, NODE, DRIVER)) as publisher:
        publisher.publish(wish.inventory)
        publisher.start()
        until(lambda: publisher.standing.is_current, lambda: publisher.standing.why)
    return double.storage.version - begun


def node(directory: Path, before: Wish) -> Storage:
    """A node whose driver has published, and whose slices are as that left them."""
    storage = Storage()
    storage.create("nodes", {"metadata": {"name": NODE}})
    if before.devices:
        with ApiServerDouble(storage) as double:
            publish(double, directory, before)
    return storage


def kill(drivers: Drivers, storage: Storage, directory: Path, wanted: Wish, last: int) -> str:
    """Let a driver be killed before this change, and tell which one that was."""
    killed: list[str] = []
    pids: list[int] = []

    def count(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal last
        last -= handler.command in WRITES
        if last or killed:
            return bool(killed)
        until(lambda: pids)
        os.kill(pids[0], signal.SIGKILL)
        killed.append(WRITES[handler.command])
        handler.close_connection = True
        return True

    with ApiServerDouble(storage) as double:
        double.always = count
        pids.append(drivers.start(double.url, double.service_account(directory / "killed"), wanted))
        until(lambda: killed)
    return f"{killed[0]} slice"


def _wipe(storage: Storage) -> None:
    storage.delete_all(SLICES, lambda _: True)


def _make_node_anew(storage: Storage) -> None:
    storage.delete("nodes", NODE)
    storage.create("nodes", {"metadata": {"name": NODE}})


def _nothing(_storage: Storage) -> None:
    """The next process comes before anything else happens."""


AFTERS: dict[str, tuple[Callable[[Storage], None], bool]] = {
    "start": (_nothing, True),
    "wiped, start": (_wipe, True),
    "undone, start": (_nothing, False),
    "another node, start": (_make_node_anew, True),
}
"""What happens before the next process comes, and whether it wants what the killed one did."""


def outcome(directory: Path, storage: Storage, change: Change, after: str) -> str:
    """How many changes the next process mends it by."""
    happens, is_wanted = AFTERS[after]
    happens(storage)
    wish, since = change.wanted if is_wanted else change.before, storage.version
    with ApiServerDouble(storage) as double:
        number = publish(double, directory, wish)
        assert_no_lies(double, since, [change.before.names, change.wanted.names, set()])
        uid = storage.get("nodes", NODE)["metadata"]["uid"]
        owners = {one["metadata"]["ownerReferences"][0]["uid"] for one in storage.select(SLICES)}
        if published(double) != wish.names or owners - {uid}:
            return "NOT MENDED"
    return f"start ({number})" if number else "whole"


def left(double: ApiServerDouble, change: Change) -> str:
    """What a scheduler sees meanwhile."""
    names = published(double)
    known = {change.before.devices: "what was before", change.wanted.devices: "what is wanted", 0: "nothing"}
    return known[len(names)] if names in (set(), change.before.names, change.wanted.names) else "HALF OF IT"


def run() -> None:
    """All of them."""
    drivers = Drivers()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for change in CHANGES:
            start = node(directory, change.before)
            with ApiServerDouble(start.branch()) as double:
                number = publish(double, directory, change.wanted)
            for last in range(1, number + 1):
                killed = start.branch()
                step = kill(drivers, killed, directory, change.wanted, last)
                row = {"call": change.name, "step": step, "left": left(ApiServerDouble(killed), change)}
                row |= {after: outcome(directory, killed.branch(), change, after) for after in AFTERS}
                sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    run()
