"""A process with libvirt in it: JSON lines with domains come in, JSON lines with what libvirt made of them go out.

It stands alone, so that any Python with libvirt's binding can run it, such as that of the distribution.
"""

from __future__ import annotations

import json
import sys
import threading
from types import ModuleType
from typing import Any

try:
    import libvirt
except ImportError:
    sys.exit(3)

CLIENT = ModuleType("libvirtclient")
exec(sys.argv[2], vars(CLIENT))  # noqa: S102  the text of our own module
FORGET = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE


def main(uri: str) -> None:
    """Answer until stdin ends."""
    libvirt.virEventRegisterDefaultImpl()
    # Without a running event loop an embedded driver never hears from the QEMU that it probes.
    threading.Thread(target=_run_events, daemon=True).start()
    try:
        connection = CLIENT.connect(uri)
    except libvirt.libvirtError as error:
        _say({"unreachable": error.get_error_message()})
        return
    _say({"version": connection.getLibVersion(), "type": connection.getType().lower()})
    for line in sys.stdin:
        _say(_define(connection, json.loads(line)))


def _define(connection: libvirt.virConnect, xml: str) -> dict[str, Any]:
    try:
        domain = connection.defineXML(xml)
        try:
            return {"xml": domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)}
        finally:
            _forget(domain)
    except libvirt.libvirtError as error:
        return {"refused": error.get_error_message()}


def _forget(domain: libvirt.virDomain) -> None:
    try:
        domain.undefineFlags(FORGET)
    except libvirt.libvirtError:
        domain.undefine()  # The test driver knows no flags.


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


main(sys.argv[1])
