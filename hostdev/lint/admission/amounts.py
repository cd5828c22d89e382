"""Amounts of a spec: CPUs, and bytes of memory; negative ones too, which KubeVirt partly lets pass."""

from __future__ import annotations

import json
from typing import Any

from domxml.errors import BadInput
from hostdev.jsonutil import parse_quantity

MILLI = 1000
MEBI, GIBI = 1 << 20, 1 << 30


def amount(value: Any) -> int | None:
    """An amount in thousandths; None where nothing is written, or what cannot be read."""
    if value is None or isinstance(value, bool):
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parse_quantity(text.removeprefix("-"), scale=MILLI)
    except BadInput:
        return None


def written(value: Any) -> str:
    """An amount as it was written."""
    return value if isinstance(value, str) else json.dumps(value)
