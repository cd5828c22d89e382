"""libvirt's client: a connection, and what goes wrong with one as sentences.

The rehearsal hands this text to other Pythons, which have libvirt's binding and nothing of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import libvirt

    from domxml.errors import BadInput, Refused

URIS = "try qemu:///system, qemu:///session or test:///default"


def connect(uri: str, *, read_only: bool = False) -> libvirt.virConnect:
    """Open a connection; libvirt's errors are raised, and never printed on standard error."""
    import libvirt  # noqa: PLC0415  costs 46 ms, and may not be there

    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    return (libvirt.openReadOnly if read_only else libvirt.open)(uri)


def unreachable(uri: str, why: str, *, what: str = "cannot connect to libvirt", hint: str = URIS) -> BadInput:
    """The error that there is no answer, with libvirt's own words."""
    from domxml.errors import BadInput  # noqa: PLC0415  not in other Pythons

    return BadInput("libvirt-unreachable", f"{what}: {why}", subject=uri, hint=hint)


def refusal(why: str, hint: str = "") -> Refused:
    """The error that libvirt does not take a domain, with its own words."""
    from domxml.errors import Refused  # noqa: PLC0415  not in other Pythons

    return Refused("libvirt-refuses", f"libvirt says: {why}", hint=hint)
