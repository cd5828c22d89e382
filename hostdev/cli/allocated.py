"""What `passgate inject` is told about the VM and its allocations: files, variables, the VM itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from domxml.document import Domain
from domxml.errors import BadInput
from hostdev.injection import Options
from hostdev.request import Request

if TYPE_CHECKING:
    from hostdev.preparation import Prepared
    from hostdev.vmi.vmi import Vmi


def prepared(
    arguments: argparse.Namespace, domain: Domain, requests: tuple[Request, ...], options: Options
) -> Prepared:
    """Read them all, and say what is wanted."""
    from hostdev.gathering import Channels, gather  # noqa: PLC0415  devices named outright need none of it
    from hostdev.preparation import prepare, resources  # noqa: PLC0415

    vmi = _vmi(arguments.vmi)
    channels = Channels(
        files=tuple(arguments.env_file or ()),
        environment=dict(_variable(text) for text in arguments.env or ()),
        network_info=arguments.network_info or "",
    )
    gathered = gather(channels, domain, vmi, resources(vmi, requests))
    return prepare(vmi, requests, gathered, options)


def _vmi(path: str | None) -> Vmi | None:
    if path is None:
        return None
    from hostdev.gathering import read_file  # noqa: PLC0415
    from hostdev.vmi.manifest import parse_manifest  # noqa: PLC0415

    return parse_manifest(read_file(path)).vmi


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInput("bad-variable", f"{text[:60]!r} is not NAME=VALUE", hint="write it as `env` prints it")
    return name, value
