"""The JSON around cloud-init data: one text is replaced, and every other byte stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.cloudinit.envelope import read_envelope
from tests.hostdev.cloudinit.build import SECRET, documents
from tests.hostdev.vmi.jsonvalues import JSON

KEYS = st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda key: "etwork" not in key)
SPACES = st.sampled_from(["", " ", "\n\t", "\r\n  "])


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, str, str]:
    """An object with an empty NetworkData somewhere in it: the text before its value, the value, the text after."""
    fields = draw(st.dictionaries(KEYS, JSON, max_size=5))
    items = [(key, json.dumps(value, ensure_ascii=draw(st.booleans()))) for key, value in fields.items()]
    place = draw(st.integers(0, len(items)))
    space = draw(SPACES)
    members = [f"{space}{json.dumps(key)}{space}:{space}{value}{space}" for key, value in items]
    before = "".join(f"{member}," for member in members[:place])
    after = "".join(f",{member}" for member in members[place:])
    return f'{space}{{{before}"NetworkData"{space}:', '""', f"{space}{after}}}{space}"


@given(objects(), st.text(st.characters(codec="utf-8")))
def test_every_other_byte_stays(parts: tuple[str, str, str], text: str) -> None:
    before, value, after = parts
    envelope = read_envelope((before + value + after).encode(), "NetworkData")
    assert envelope is not None

    written = envelope.with_network_data(text).decode()

    assert written.startswith(before)
    assert written.endswith(after)
    assert json.loads(written[len(before) : len(written) - len(after)]) == text


@given(st.dictionaries(KEYS, JSON, max_size=4), st.text(st.characters(codec="utf-8")))
def test_a_key_that_is_absent_is_added(fields: dict[str, Any], text: str) -> None:
    data = json.dumps(fields).encode()
    envelope = read_envelope(data, "networkData")
    assert envelope is not None

    written = envelope.with_network_data(text)

    assert json.loads(written) == {**json.loads(data), "networkData": text}
    assert written.startswith(data[:-1])


def test_what_kubevirt_writes_is_read() -> None:
    envelope = read_envelope(documents("version: 2").data, "NetworkData")

    assert envelope is not None
    assert (envelope.network_data, envelope.config_drive) == ("version: 2", False)


@pytest.mark.parametrize("data", [b"", b"null", b" null\n"])
def test_what_is_not_there_is_none(data: bytes) -> None:
    assert read_envelope(data, "NetworkData") is None


@pytest.mark.parametrize("key", ["NetworkData", "networkData", "networkDataBase64", "networkDataSecretRef"])
def test_every_form_of_network_data_is_the_authors(key: str) -> None:
    envelope = read_envelope(json.dumps({key: {"name": "x"} if key.endswith("Ref") else "x"}).encode(), "networkData")

    assert envelope is not None
    assert envelope.network_data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[]", "must be an object, is a list"),
        (b"{", "is not JSON: "),
        (b"\xff{}", "is not UTF-8 text"),
        ("{}".encode("utf-16"), "is not UTF-8 text"),
        (b'{"NetworkData":"","NetworkData":"x"}', 'has the key "NetworkData" twice'),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadInput) as failed:
        read_envelope(data, "NetworkData")

    assert failed.value.code == "bad-cloud-init"
    assert failed.value.message.startswith(says)


@given(st.integers(1, len(documents().data) - 1))
def test_no_error_quotes_the_data(length: int) -> None:
    with pytest.raises(BadInput) as failed:
        read_envelope(documents().data[:length], "NetworkData")

    assert SECRET not in str(failed.value)
