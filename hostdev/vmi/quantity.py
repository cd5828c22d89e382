"""Amounts as Kubernetes writes them: `2`, `500m`, `4Gi`, `1e3`."""

from __future__ import annotations

import re

from domxml.errors import BadInput

MOST = (1 << 63) - 1
"""Kubernetes keeps amounts within this."""

_QUANTITY = re.compile(r"\+?([0-9]{0,30})(?:\.([0-9]{0,30}))?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?", re.ASCII)
_BINARY = {f"{letter}i": 1 << 10 * power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def parse_quantity(text: str, *, scale: int = 1) -> int:
    """The amount times `scale`, rounded up as Kubernetes does."""
    match = _QUANTITY.fullmatch(text)
    whole, fraction, suffix = match.groups(default="") if match else ("", "", "")
    if not whole and not fraction:
        raise BadInput("bad-quantity", f"{text[:40]!r} is not a quantity", hint='write it as 2, "500m" or "4Gi"')
    exponent = _exponent(suffix) - len(fraction)
    top: int = int(whole + fraction) * scale * _BINARY.get(suffix, 1) * 10 ** max(exponent, 0)
    amount: int = -(-top // 10 ** max(-exponent, 0))
    if amount > MOST:
        raise BadInput("bad-quantity", f"{text[:40]!r} is too large", hint=f"the most there can be is {MOST}")
    return amount


def _exponent(suffix: str) -> int:
    if suffix in _BINARY:
        return 0
    return _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
