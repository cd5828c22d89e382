"""`passgate.dev/policy`: what the VM's author takes upon himself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import BadInput
from hostdev.vmi.entry import CODE, MAX_BYTES, Entry, matching
from hostdev.vmi.jsontext import Format, parse_json
from hostdev.vmi.jsonvalue import JsonObject, as_object, parsed

POLICY = "passgate.dev/policy"
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "unsafe": "refuse, or warn: go on in spite of every finding, and say it loudly",
        "allow": "a list of codes: findings that are told but refuse nothing",
    }
)


class Policy(NamedTuple):
    """What to do about what the gate finds at severity error."""

    unsafe: str = "refuse"
    """`refuse` or `warn`."""
    allow: frozenset[str] = frozenset()

    @property
    def allowed(self) -> frozenset[str]:
        """The codes that refuse nothing."""
        if self.unsafe == "refuse":
            return self.allow
        from hostdev.catalogue import ALL  # noqa: PLC0415  rarely asked for

        return frozenset(ALL)


def read_policy(text: str) -> tuple[Policy, tuple[BadInput, ...]]:
    """Read the annotation, and everything that is wrong with it."""
    errors: list[BadInput] = []
    try:
        fields = as_object(parse_json(text, Format(POLICY, CODE, MAX_BYTES, POLICY)), POLICY, CODE)
    except BadInput as error:
        return Policy(), (error,)
    entry = Entry(fields, errors)
    entry.check_keys(KEYS)
    unsafe = matching(re.compile("refuse|warn"), '"refuse" or "warn"')
    read = Policy(entry.take("unsafe", unsafe, "refuse"), entry.take("allow", _allow, frozenset()))
    return read, tuple(errors)


def _allow(entry: JsonObject, key: str) -> frozenset[str]:
    from hostdev.catalogue import kind  # noqa: PLC0415  rarely asked for

    codes = enumerate(entry.get_strings(key))
    return frozenset(parsed(code, kind, f"{entry.place(key)}[{index}]", CODE).code for index, code in codes)
