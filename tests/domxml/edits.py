"""What `passgate inject` writes, for tests that edit domains."""

from __future__ import annotations

from collections.abc import Sequence

from domxml.document import Domain
from domxml.guestslot import GuestSlot
from domxml.removal import find_devices
from domxml.splice import SourceText
from domxml.transform import Transformed, transform
from domxml.version import LibvirtVersion

NEW = LibvirtVersion(11, 3)


def edit(
    xml: bytes,
    *wishes: GuestSlot,
    remove: Sequence[str] = (),
    prune: bool = False,
    libvirt: LibvirtVersion = NEW,
) -> tuple[bytes, Transformed]:
    """Put devices in and take others out; nothing to do gives the very same bytes."""
    parsed = Domain.parse(xml)
    source = SourceText(parsed)
    leaving = find_devices(parsed, remove)
    result = transform(parsed, wishes, libvirt=libvirt, remove=leaving, prune=prune, mark=True)
    return (xml if result.xml is parsed.data else source.rewrite()), result
