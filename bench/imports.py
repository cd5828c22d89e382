"""Where the start of the sidecar goes, as `python -X importtime` sees it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \| ( *)([\w.]+)")
OWNERS = {
    "grpc": ("grpc",),
    "protobuf and our stubs": ("google", "hooksidecar.stubs"),
    "lxml": ("lxml",),
    "passgate": ("domxml", "hostdev", "hooksidecar"),
}
OTHERS = "Python's standard library"
LONGEST = 12


class Import(NamedTuple):
    """A module, and the microseconds of it alone and with all that it loaded first."""

    name: str
    alone: int
    whole: int


def table(told: str) -> str:
    """What such a process told: by owner, then the modules that take longest themselves."""
    found = [Import(name, int(alone), int(whole)) for alone, whole, _, name in LINE.findall(told)]
    owners = {owner: [module for module in found if _owner(module.name) == owner] for owner in (*OWNERS, OTHERS)}
    lines = [
        "What loading costs, as python -X importtime sees it, which makes it slower",
        _line("", "alone", "modules"),
        *(_line(owner, _alone(modules), f"{len(modules)}") for owner, modules in owners.items()),
        _line("all", _alone(found), f"{len(found)}"),
        _line("the longest", "alone", "with theirs"),
    ]
    longest = sorted(found, key=lambda module: -module.alone)[:LONGEST]
    return "\n".join((*lines, *(_line(one.name, _alone([one]), f"{one.whole / 1000:.1f} ms") for one in longest)))


def _owner(name: str) -> str:
    """Whose a module is; the most precise prefix wins."""
    fitting = [
        (len(prefix), owner)
        for owner, prefixes in OWNERS.items()
        for prefix in prefixes
        if f"{name}.".startswith(f"{prefix}.")
    ]
    return max(fitting)[1] if fitting else OTHERS


def _alone(modules: Iterable[Import]) -> str:
    return f"{sum(module.alone for module in modules) / 1000:.1f} ms"


def _line(name: str, *figures: str) -> str:
    return f"  {name:<46} " + " ".join(f"{figure:>12}" for figure in figures)
