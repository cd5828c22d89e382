"""Which MAC address each interface of a VM has, as far as anybody tells before it starts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hostdev.allocation import jsontext
from hostdev.vmi.vmi import Vmi

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)


def macs(vmi: Vmi, told: Mapping[str, str]) -> dict[str, str]:
    """The address of each interface whose address is known: the spec's, else the status's, else `told`."""
    entries = map(jsontext.mapping, jsontext.items(vmi.status.get("interfaces")))
    seen = {jsontext.string(entry.get("name")): jsontext.string(entry.get("mac")) for entry in entries}
    found = {}
    for interface in vmi.interfaces:
        texts = (interface.mac, seen.get(interface.name, ""), told.get(interface.name, ""))
        written = [address for text in texts if (address := _plain(text))]
        if written:
            found[interface.name] = written[0]
    return found


def _plain(text: str) -> str:
    """An address as the guest's tools write it; empty: it is none."""
    address = text.strip().lower().replace("-", ":")
    return address if _MAC.fullmatch(address) else ""
