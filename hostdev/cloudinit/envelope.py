"""KubeVirt's JSON around cloud-init data: one text in it is replaced, and every other byte stays as it is."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, as_object

CODE = "bad-cloud-init"
MAX_BYTES = 4 << 20
NETWORK_KEYS = ("NetworkData", "networkData", "networkDataBase64", "networkDataSecretRef")
"""What the author's network data may be called: first in KubeVirt's own document, then in the older one."""
_SPACE = re.compile(r"[ \t\r\n]*")


class Envelope(NamedTuple):
    """One of the two documents with cloud-init data that KubeVirt hands over."""

    text: str
    key: str
    """Where the network data belongs."""
    fields: JsonObject

    @property
    def config_drive(self) -> bool:
        """The guest reads OpenStack's formats."""
        return self.fields.get_str("DataSource") == "configDrive"

    @property
    def network_data(self) -> str:
        """The network data that is there already; empty: there is none."""
        found = (self.fields.fields.get(key) for key in NETWORK_KEYS)
        return next((value if isinstance(value, str) else "an object" for value in found if value), "")

    def with_network_data(self, network_data: str) -> bytes:
        """The same document with network data in it."""
        written = json.dumps(network_data, ensure_ascii=False)
        spans, end = _spans(self.text)
        if self.key in spans:
            first, last = spans[self.key]
            return (self.text[:first] + written + self.text[last:]).encode()
        comma = "," if spans else ""
        return f'{self.text[:end]}{comma}"{self.key}":{written}{self.text[end:]}'.encode()


def read_envelope(data: bytes, key: str) -> Envelope | None:
    """Read a document; None when KubeVirt has sent none."""
    if data.strip() in {b"", b"null"}:
        return None
    name = "the cloud-init data"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadInput(CODE, "is not UTF-8 text", subject=name) from None
    return Envelope(text, key, as_object(parse_json(text, Format(name, CODE, MAX_BYTES)), name, CODE))


def _spans(text: str) -> tuple[dict[str, tuple[int, int]], int]:
    """Where the value of each key begins and ends, and where the object's last brace is. The text has been parsed."""
    read = json.JSONDecoder().raw_decode
    spans = {}
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = read(text, at)
        first = _skip(text, _skip(text, at) + 1)
        _, last = read(text, first)
        spans[key] = (first, last)
        at = _skip(text, last)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans, at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
