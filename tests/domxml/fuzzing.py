"""What the pure floor does with a domain: everything that a hook call and `passgate inject` do with it."""

from __future__ import annotations

from collections.abc import Sequence

from domxml.container import take_out_domain
from domxml.document import Domain
from domxml.numa import guest_node
from domxml.transform import transform
from domxml.version import LibvirtVersion
from tests.boots import boots
from tests.domxml.domains import load, names, recorded_passes
from tests.domxml.guestslots import multifunction, wish
from tests.domxml.realdomains import LEAVING, TAKEN

NEW = LibvirtVersion(11, 3)
CPUS = {0: frozenset(range(8)), 1: frozenset(range(8, 16))}
SLOTS = (
    (wish("qat", "3d:02.2", rom_bar="off", bootOrder="7", acpiIndex="9", display="on", ramfb="on"),),
    (wish("qat", "3d:02.2", "0a:00.0"), wish("vgpu", "c0ffee00-1111-2222-3333-444455556666")),
    (multifunction("gpu", "d1:00.0", 4), wish("near", "61:00.0", node=0)),
    (wish("low", "3d:02.2", "00:04.0"), wish("sriov0", "5e:02.0", "0e:00.0", teaming="ua-default")),
)


def seeds() -> Sequence[bytes]:
    """Domains of every kind that there is here."""
    made = [load(name) for name in names()]
    made += [path.read_bytes() for path in recorded_passes()]
    made += [path.with_name(path.name.replace(".out.", ".readback.")).read_bytes() for path in recorded_passes()]
    made += [recorded.passes[-1] for recorded in boots() if recorded.release == "1.9.0"]
    made += [taken.xml for taken in TAKEN.values()]
    made += [LEAVING, b"<domstatus>" + LEAVING + b"</domstatus>"]
    return made


def read(data: bytes) -> None:
    """Parse, place, write, read back: with other wishes for each length."""
    inner, _ = take_out_domain(data)
    domain = Domain.parse(inner)
    guest_node(domain, 1, CPUS)
    result = transform(domain, SLOTS[len(data) % len(SLOTS)], libvirt=NEW, prune=len(data) % 3 == 0)
    again = transform(Domain.parse(result.xml), SLOTS[len(data) % len(SLOTS)], libvirt=NEW)
    if len(again.xml) > len(result.xml) + 100_000:
        raise AssertionError("a second run adds and adds")
