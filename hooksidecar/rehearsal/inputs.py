"""What is rehearsed: the files of the command line, or the example that comes with the package."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from domxml.document import Domain
from domxml.errors import BadInput
from hooksidecar.rehearsal.play import Script
from hooksidecar.rehearsal.process import OWN, PLACE
from hostdev.gathering import read_file
from hostdev.vmi.vmi import parse_vmi

EXAMPLE = Path(__file__).with_name("example")
"""A server with QuickAssist adapters, and a VM that asks for one of their virtual functions."""
ROOT_COMPLEX = "kubevirt.io/placePCIDevicesOnRootComplex"


class Inputs(NamedTuple):
    """Read and found to be what they should be."""

    script: Script
    allocation: bytes
    host: str
    command: Sequence[str]
    """Starts the sidecar."""


def read(arguments: Namespace) -> Inputs:
    """Read what is named; where no VM is named, the example's."""
    if bool(arguments.vmi) != bool(arguments.domain):
        missing = "--domain" if arguments.vmi else "--vmi"
        raise BadInput("bad-usage", f"{missing} is missing", hint="give both, or neither for the example")
    own = bool(arguments.vmi)
    env_files = arguments.env_file or ([] if own else [str(EXAMPLE / "allocation.env")])
    script = _script(
        arguments.domain or str(EXAMPLE / "domain.xml"), arguments.vmi or str(EXAMPLE / "vmi.json"), arguments.kubevirt
    )
    # Another sidecar, in a container perhaps, has not got the example's machine.
    host = arguments.host or ("none" if own or arguments.server else str(EXAMPLE / "machine.toml"))
    return Inputs(script, b"\n".join(read_file(path) for path in env_files), host, _command(arguments.server))


def _command(text: str | None) -> Sequence[str]:
    if text is None:
        return OWN
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput("bad-usage", f"--server: {error}", subject=text, hint="quote it as for a shell") from None
    if not any(PLACE in word for word in words):
        what = f"--server does not say where {PLACE}, the directory of the socket, goes"
        raise BadInput("bad-usage", what, subject=text, hint=f"such as --server 'passgate-hook --socket-dir {PLACE}'")
    return words


def _script(domain_path: str, vmi_path: str, kubevirt: str) -> Script:
    domain, data = read_file(domain_path), read_file(vmi_path)
    with _about(domain_path):
        Domain.parse(domain)
    with _about(vmi_path):
        vmi = parse_vmi(data)
        if vmi.place or not vmi.name:
            what = "holds a template of one" if vmi.place else "has no metadata.name"
            hint = "kubectl get vmi NAME -o json > FILE"
            raise BadInput("bad-vmi", f"{what}, so it is no VirtualMachineInstance", hint=hint)
    return Script(domain, data, vmi.annotations.get(ROOT_COMPLEX) == "true", kubevirt)


@contextmanager
def _about(path: str) -> Iterator[None]:
    """Name the file."""
    try:
        yield
    except BadInput as error:
        error.subject = f"{path}: {error.subject}" if error.subject else path
        raise
