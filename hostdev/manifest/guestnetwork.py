"""The bond of a VM's interfaces, and what the sidecar needs so that it writes it into the guest's cloud-init data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

from domxml.errors import BadInput
from hostdev.manifest.entries import devices
from hostdev.manifest.pool import Document, Pool, Wanted
from hostdev.vmi.bonds import BONDS, DEFAULT_MODE

BOND = "bond0"
ARGUMENTS = ("--cloud-init",)
"""Without it the sidecar leaves cloud-init data alone."""


class GuestNetwork(NamedTuple):
    """What a bond adds to a VM; nothing, where none is wanted."""

    arguments: tuple[str, ...] = ()
    annotations: Document = {}  # noqa: RUF012  never changed
    macs: Document = {}  # noqa: RUF012  never changed
    disks: tuple[Document, ...] = ()
    volumes: tuple[Document, ...] = ()


def bond(pools: Sequence[Pool], wanted: Wanted) -> GuestNetwork:
    """One interface of all that have a device; a sidecar matches them by MAC addresses, which must be known."""
    if not wanted.bond:
        return GuestNetwork()
    names = [device.name for device in devices(pools) if device.pool.port is not None]
    if len(names) < 2:
        what = f"--bond makes one interface of several, and the VM has {len(names)} with a device of a network card"
        raise BadInput("bad-usage", what, hint="name two ports or VFs, such as 3b:00.0 af:00.0")
    entry = {"name": BOND, "interfaces": names, "mode": DEFAULT_MODE}
    user_data = f"#cloud-config\nhostname: {wanted.name}\n"
    return GuestNetwork(
        ARGUMENTS,
        {BONDS: json.dumps([entry])},
        {name: _mac(wanted, name) for name in ("default", *names)},
        ({"name": "ci", "disk": {"bus": "virtio"}},),
        ({"name": "ci", "cloudInitNoCloud": {"userData": user_data}},),
    )


def ports_shared(pools: Sequence[Pool]) -> tuple[str, ...]:
    """Ports that carry more than one interface of the VM: a bond over one port survives nothing."""
    return tuple(str(pool.port.address) for pool in pools if pool.port is not None and len(pool.devices) > 1)


def _mac(wanted: Wanted, interface: str) -> str:
    """An address that stays the same for this interface of this VM, from the range of those that no vendor gives."""
    digest = hashlib.sha256(f"{wanted.namespace}/{wanted.name}/{interface}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
