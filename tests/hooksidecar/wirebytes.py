"""The wire format by hand, from the numbers and types of the fields alone: a client that shares no code with us."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, BYTES = 0, 2


def field(number: int, value: bytes | str | int) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def message(**fields: bytes | str | int) -> bytes:
    """A message; the keywords are `f1`, `f2` and so on."""
    return b"".join(field(int(name[1:]), value) for name, value in fields.items())


def fields(data: bytes) -> dict[int, list[bytes | int]]:
    """What a message holds, by number."""
    found: dict[int, list[bytes | int]] = {}
    for number, value in _each(data):
        found.setdefault(number, []).append(value)
    return found


def text(data: bytes, number: int) -> str:
    """A field that is there once, as text."""
    (value,) = fields(data)[number]
    assert isinstance(value, bytes)
    return value.decode()


def only(data: bytes, number: int) -> bytes:
    """A field of bytes; absent is empty, as proto3 has it."""
    (value,) = fields(data).get(number, [b""])
    assert isinstance(value, bytes)
    return value


def varint(value: int) -> bytes:
    """A number in groups of seven bits."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _each(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == BYTES:
            yield key >> 3, data[at : at + value]
            at += value
        else:
            assert key & 7 == VARINT, key
            yield key >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
