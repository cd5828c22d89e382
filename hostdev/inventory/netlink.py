"""Addresses and routes of an interface as the kernel has them: of every table and family, which no file tells."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_LINK = struct.Struct("=BxHiII")
_ERROR, _DONE = 2, 3
_GETLINK, _SETLINK, _GETADDR, _NEWROUTE, _GETROUTE = 18, 19, 22, 24, 26
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_SOL_NETLINK, _STRICT = 270, 12
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_MULTIPATH, _RTA_TABLE = 1, 4, 9, 15
_NEXTHOP = struct.Struct("=HBBi")
_VFINFO_LIST, _VF_INFO, _VF_MAC, _VF_VLAN, _VF_SPOOFCHK, _VF_TRUST = 22, 1, 1, 2, 4, 9
_SWITCHES: Mapping[str, int] = MappingProxyType({"spoofchk": _VF_SPOOFCHK, "trust": _VF_TRUST})
_NOT_TOLD = 0xFFFFFFFF
_IFLA_EXT_MASK, _WITH_VFS = 29, 1
_LOCAL_TABLE = 255
_TYPES = frozenset({1, 5})
"""Unicast and multicast: what leads through an interface, and is neither its own address nor refused."""
_FAMILIES: Mapping[int, int] = MappingProxyType({socket.AF_INET: 32, socket.AF_INET6: 128})
_BUFFER = 1 << 16
_PATIENCE = 5.0
_LINK_LOCAL = "fe80:"


class VfSettings(NamedTuple):
    """What a PF keeps for one of its VFs."""

    mac: str
    vlan: int
    spoofchk: bool | None = None
    trust: bool | None = None
    """None where the driver does not tell."""

    def as_texts(self) -> Iterator[tuple[str, str]]:
        """Each that is known, as `ip` writes it."""
        yield from (("mac", self.mac), ("vlan", str(self.vlan)))
        for name, value in (("spoofchk", self.spoofchk), ("trust", self.trust)):
            if value is not None:
                yield name, "on" if value else "off"


def addresses_of(interface: str) -> tuple[str, ...]:
    """The addresses of an interface, but for those that every interface has; raises OSError."""
    index = socket.if_nametoindex(interface)
    found: list[str] = []
    for family in _FAMILIES:
        for body in _dump(_GETADDR, _ADDRESS.pack(family, 0, 0, 0, index)):
            of, length, _, _, at = _ADDRESS.unpack_from(body)
            values = dict(_attributes(body[_ADDRESS.size :]))
            raw = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
            if of == family and at == index and raw:
                found.append(f"{socket.inet_ntop(family, raw)}/{length}")
    return tuple(one for one in found if not one.startswith(_LINK_LOCAL))


def routes_of(interface: str) -> tuple[str, ...]:
    """The routes through an interface in every table but the one of local addresses; raises OSError."""
    index = socket.if_nametoindex(interface)
    found: list[str] = []
    for family in _FAMILIES:
        wanted = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0) + _attribute(_RTA_OIF, struct.pack("=I", index))
        for body in _dump(_GETROUTE, wanted, answer=_NEWROUTE):
            of, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
            values = dict(_attributes(body[_ROUTE.size :]))
            number = struct.unpack("=I", values[_RTA_TABLE])[0] if _RTA_TABLE in values else table
            if of != family or kind not in _TYPES or number == _LOCAL_TABLE or not _leads_through(values, index):
                continue
            destination = socket.inet_ntop(family, values[_RTA_DST]) if _RTA_DST in values else "default"
            # Link-local and multicast ones come with every interface that is up.
            if not destination.startswith((_LINK_LOCAL, "ff")):
                where = f"{destination}/{length}" if _RTA_DST in values else destination
                found.append(f"{where} in table {number}")
    return tuple(found)


def _leads_through(values: Mapping[int, bytes], index: int) -> bool:
    """Whether a route uses an interface; an old kernel tells those of all."""
    ways = {struct.unpack("=I", values[_RTA_OIF])[0]} if _RTA_OIF in values else set()
    several = values.get(_RTA_MULTIPATH, b"")
    while len(several) >= _NEXTHOP.size:
        length, _, _, way = _NEXTHOP.unpack_from(several)
        ways.add(way)
        several = several[max(_aligned(length), _NEXTHOP.size) :]
    return index in ways


def vf_settings(interface: str) -> dict[int, VfSettings]:
    """What a PF's interface says of each of its VFs, by number; raises OSError."""
    wanted = _link(interface) + _attribute(_IFLA_EXT_MASK, struct.pack("=I", _WITH_VFS))
    found: dict[int, VfSettings] = {}
    for body in _ask(_GETLINK, wanted, _REQUEST | _ACK):
        several = dict(_attributes(body[_LINK.size :])).get(_VFINFO_LIST, b"")
        for _, one in _attributes(several):
            values = dict(_attributes(one))
            number, mac = struct.unpack_from("=I32s", values[_VF_MAC])
            vlan = struct.unpack_from("=II", values[_VF_VLAN])[1] if _VF_VLAN in values else 0
            spoofchk, trust = (_switch(values.get(kind)) for kind in (_VF_SPOOFCHK, _VF_TRUST))
            found[number] = VfSettings(mac[:6].hex(":"), vlan, spoofchk, trust)
    return found


def _switch(value: bytes | None) -> bool | None:
    setting = struct.unpack_from("=II", value)[1] if value else _NOT_TOLD
    return None if setting == _NOT_TOLD else bool(setting)


def set_vf_mac(interface: str, vf: int, mac: str) -> None:
    """Let a PF give one of its VFs a MAC address; raises OSError."""
    _set_vf(interface, _attribute(_VF_MAC, struct.pack("=I32s", vf, bytes.fromhex(mac.replace(":", "")))))


def set_vf_vlan(interface: str, vf: int, vlan: int) -> None:
    """Let a PF keep one of its VFs in a VLAN, or with 0 in none; raises OSError."""
    _set_vf(interface, _attribute(_VF_VLAN, struct.pack("=III", vf, vlan, 0)))


def set_vf_switch(interface: str, vf: int, name: str, *, on: bool) -> None:
    """Let a PF turn `spoofchk` or `trust` of one of its VFs on or off; raises OSError."""
    _set_vf(interface, _attribute(_SWITCHES[name], struct.pack("=II", vf, int(on))))


def _set_vf(interface: str, setting: bytes) -> None:
    nested = _attribute(_VFINFO_LIST | _NESTED, _attribute(_VF_INFO | _NESTED, setting))
    tuple(_ask(_SETLINK, _link(interface) + nested, _REQUEST | _ACK))


def _link(interface: str) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, socket.if_nametoindex(interface), 0, 0)


def _dump(kind: int, wanted: bytes, *, answer: int | None = None) -> Iterator[bytes]:
    return _ask(kind, wanted, _REQUEST | _DUMP, answer=answer)


def _ask(kind: int, wanted: bytes, flags: int, *, answer: int | None = None) -> Iterator[bytes]:
    """Every message of the answer, without its header."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
        asked.settimeout(_PATIENCE)
        # With it the kernel filters a dump by what was asked for; before 4.20 it tells all, and we filter.
        try:
            asked.setsockopt(_SOL_NETLINK, _STRICT, 1)
        except OSError:
            wanted = wanted[: _ROUTE.size] if kind == _GETROUTE else wanted
        asked.send(_HEADER.pack(_HEADER.size + len(wanted), kind, flags, 1, 0) + wanted)
        while True:
            for told, body in _messages(asked.recv(_BUFFER)):
                if told == _DONE:
                    return
                if told == _ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                if answer is None or told == answer:
                    yield body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            raise OSError(f"the kernel's answer has a message of {length} bytes")
        yield kind, data[_HEADER.size : length]
        data = data[_aligned(length) :]


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
