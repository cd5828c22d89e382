"""The wire formats, judged by the bytes that a real kubelet and its plugins exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as deviceplugin
from tests.kubelet.transcript import CLAIMS, MESSAGES, PLUGINS, Line, lines

WHOLE = [line for part in (PLUGINS, CLAIMS) for line in lines(part) if line.format and not line.truncated_to]


def parts(message: Message) -> Iterator[Message]:
    """A message and all that are in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            for part in value.values():
                yield from parts(part) if isinstance(part, Message) else ()
        elif field.message_type:
            for part in value if field.is_repeated else [value]:
                yield from parts(part)


@pytest.mark.parametrize("call", MESSAGES)
def test_each_recorded_message_is_read_whole_and_written_again_to_the_byte(call: str) -> None:
    recorded = [line for line in WHOLE if line.call == call]
    assert {line.kind for line in recorded} >= {"request"}, "nothing was recorded of it"
    for line in recorded:
        assert line.format
        message = line.format.FromString(line.data)
        assert not any(len(UnknownFieldSet(part)) for part in parts(message)), line
        assert again(line, message) == line.data, line


def again(line: Line, message: Message) -> bytes:
    """Written by us; of a map no order is promised, so what it holds is compared instead where there is one."""
    if isinstance(message, deviceplugin.AllocateResponse) and line.format:
        return line.data if line.format.FromString(message.SerializeToString()) == message else b""
    return message.SerializeToString()


def nested(kinds: set[Any]) -> set[Any]:
    """The descriptors of these messages, and of those in their fields."""
    more = {field.message_type for kind in kinds for field in kind.fields if field.message_type} - kinds
    return nested(kinds | more) if more else kinds


def test_a_field_of_each_message_has_a_value_somewhere() -> None:
    kinds = nested({kind.DESCRIPTOR for pair in MESSAGES.values() for kind in pair})
    unset = {field.full_name for kind in kinds for field in kind.fields if not kind.GetOptions().map_entry}
    for line in WHOLE:
        assert line.format
        for part in parts(line.format.FromString(line.data)):
            unset -= {field.full_name for field, _ in part.ListFields()}

    assert not unset, "nothing in the recording shows that these have the right number"
