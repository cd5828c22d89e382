"""`passgate node vfs`: how many VFs a PF has, and on which driver."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from domxml.errors import BadInput
from domxml.text import printable
from hostdev.binding.drivers import Drivers, find_drivers
from hostdev.binding.vfs import vfs
from hostdev.binding.vfsettings import Readings, read_vf_settings
from hostdev.cli import changes
from hostdev.cli.devices import select
from hostdev.inventory.host import Host


def run(arguments: argparse.Namespace) -> int:
    """Plan, ask, and make them."""
    if arguments.count < 0:
        raise BadInput("bad-usage", "a number of VFs is 0 or more", subject=str(arguments.count))
    settings = _settings(arguments.set)
    machine = changes.machine_of(arguments.host)
    (address,) = select(machine, [arguments.address]) or ()
    despite = changes.accept_codes(arguments.despite)
    pf = machine.functions[address]

    def look(host: Host) -> tuple[Drivers, Readings]:
        return find_drivers(host, machine.kernel.release, ()), read_vf_settings(host, [pf] if settings else ())

    drivers, readings = changes.look_at(arguments.host, look)
    effects = vfs(
        *(machine, pf, arguments.count, settings, despite),
        driver=arguments.driver,
        drivers=drivers,
        readings=readings,
    )
    return changes.carry_out(arguments, effects, machine, f"vfs {address} {arguments.count}")


def _settings(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise BadInput("bad-usage", "is no KEY=VALUE", subject=f"--set {printable(word)}")
        if key in found:
            raise BadInput("bad-usage", f"{printable(key)} is set twice", subject="--set")
        found[key] = value
    return found
