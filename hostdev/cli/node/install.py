"""`passgate node state install`: the service that makes a node as a file says at each boot, and its other forms."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from domxml.errors import BadInput, ExitCode, NotPermitted
from hostdev.binding.bootforms import (
    FORMS,
    SERVICE,
    STATE_FILE,
    UNIT_FILE,
    WANTED_BY,
    Form,
    installed_files,
    print_form,
    too_late,
)
from hostdev.binding.state import NodeState
from hostdev.cli import devices
from hostdev.cli.node.nodefile import parse_file
from hostdev.cli.node.state import look
from hostdev.inject import gather
from hostdev.printing import output

SYSTEMD = Path("/run/systemd/system")
"""There where systemd is process 1."""


def install_state(arguments: argparse.Namespace) -> int:
    """Write the service of a host with systemd, or print the form of another kind of host."""
    data = gather.read_file(arguments.file)
    states = parse_file(data, arguments.file)
    text = data.decode()
    kind = getattr(arguments, "for")
    if kind:
        named = [
            state
            for state in states
            if arguments.node is None or arguments.node in (state.nodes.names or (arguments.node,))
        ]
        output.write(print_form(kind, Form(text, _joined(named), ("/usr/bin/passgate",), arguments.image)))
        return ExitCode.DONE
    wanted = look(arguments, states)
    form = Form(text, wanted.state, (_program(),))
    if arguments.dry_run or arguments.host != devices.LIVE:
        for path, content in installed_files(form).items():
            output.write(f"# {path}\n{content}\n")
        output.write(f"# {WANTED_BY} -> {UNIT_FILE}\n")
    else:
        _install(installed_files(form))
    for sentence in too_late(wanted.state, wanted.seen.machine):
        output.note(f"note: {sentence}")
    return ExitCode.DONE


def _joined(states: Iterable[NodeState]) -> NodeState:
    joined = NodeState()
    for state in states:
        joined = joined.joined(state)
    return joined


def _program() -> str:
    """The program that the service is to start."""
    found = shutil.which("passgate")
    if found is None:
        what = "no program `passgate` is in the PATH for the service to start"
        raise BadInput("no-program", what, hint="install Passgate on this host, or use --for with its image")
    return found


def _install(wanted: Mapping[str, str]) -> None:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        what = "this host has no systemd to start a service"
        raise BadInput("no-systemd", what, hint=f"print the form for this kind of host: --for {'|'.join(FORMS)}")
    try:
        for path, content in wanted.items():
            _write(Path(path), content)
        link = Path(WANTED_BY)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(UNIT_FILE)
    except OSError as error:
        hint = f"run it as root; where /etc cannot be written, print another form: --for {'|'.join(FORMS)}"
        what = f"cannot be written: {error.strerror}"
        raise NotPermitted("not-installed", what, subject=str(error.filename), hint=hint) from None
    if SYSTEMD.exists():
        subprocess.run([systemctl, "daemon-reload"], check=False, stdin=subprocess.DEVNULL)  # noqa: S603  no word of it is foreign
    for path in (*wanted, WANTED_BY):
        output.write(f"wrote {path}\n")
    output.write(f"now: systemctl start {SERVICE}, or a reboot\n")
    output.write(
        f"away with it: systemctl disable {SERVICE} && rm {UNIT_FILE} {STATE_FILE}; devices stay as they are\n"
    )


def _write(path: Path, content: str) -> None:
    """Whole or not at all: half a file would be read at the next boot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
