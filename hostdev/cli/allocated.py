"""What `passgate inject` is told about the VM and its allocations: files, variables, the VM itself."""

from __future__ import annotations

import argparse

from domxml.document import Domain
from domxml.errors import BadInput
from hostdev.gathering import Channels, gather, read_file
from hostdev.injection import Options
from hostdev.preparation import Prepared, prepare, resources
from hostdev.request import Request
from hostdev.vmi.manifest import parse_manifest
from hostdev.vmi.vmi import Vmi


def prepared(
    arguments: argparse.Namespace, domain: Domain, requests: tuple[Request, ...], options: Options
) -> Prepared:
    """Read them all, and say what is wanted."""
    vmi = _vmi(arguments.vmi)
    channels = Channels(
        files=tuple(arguments.env_file or ()),
        environment=dict(_variable(text) for text in arguments.env or ()),
        network_info=arguments.network_info or "",
    )
    gathered = gather(channels, domain, vmi, resources(vmi, requests))
    return prepare(vmi, requests, gathered, options)


def _vmi(path: str | None) -> Vmi | None:
    return None if path is None else parse_manifest(read_file(path)).vmi


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInput("bad-variable", f"{text[:60]!r} is not NAME=VALUE", hint="write it as `env` prints it")
    return name, value
