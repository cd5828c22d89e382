"""Libraries without the parts that are not used here: together they are a third of a bare server's start and memory."""

from __future__ import annotations

import sys
from types import ModuleType

EMPTY = (
    "asyncio",  # for gRPC's other server
    "calendar",  # for moments in protobuf's messages
    "google.protobuf.internal.python_message",  # messages without the C library
    "grpc.aio",
)
"""Modules that those below import, and do not touch before what is built on them is used."""
ABSENT = (
    "_hashlib",  # OpenSSL; hashlib has digests of its own
    "grpc_health",
    "grpc_reflection",
    "grpc_tools",
)
"""Modules that those below can do without, and would take where they are."""


def load() -> None:
    """Import what the server stands on; afterwards the left out modules can be imported as ever."""
    try:
        _load_without()
    except Exception:  # noqa: BLE001  other versions of the libraries may use what is left out at once
        _load()


def _load_without() -> None:
    stand_ins = {**{name: ModuleType(name) for name in EMPTY}, **dict.fromkeys(ABSENT)}
    mine = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(mine)  # type: ignore[arg-type]  # None says that there is none
    try:
        _load()
    finally:
        for name in mine:
            del sys.modules[name]


def _load() -> None:
    import hashlib  # noqa: F401, PLC0415  a later import finds them loaded

    import google.protobuf.internal.builder  # noqa: PLC0415
    import google.protobuf.internal.well_known_types  # noqa: F401, PLC0415
    import grpc  # noqa: F401, PLC0415
