"""`passgate node draw`: a picture of the PCI tree."""

from __future__ import annotations

import argparse

from domxml.errors import ExitCode
from hostdev import pcinames
from hostdev.cli import look, output
from hostdev.cli.drawing import dot, svg, text
from hostdev.cli.drawing.scene import Scene
from hostdev.cli.screen import Screen


def run(arguments: argparse.Namespace) -> int:
    """Draw the machine."""
    machine = look.machine(arguments.host)
    names = pcinames.namer(arguments.pci_ids, live=arguments.host == look.LIVE)
    scene = Scene.of(machine, names, arguments.by)
    if arguments.output == "svg":
        output.write(svg.draw(scene))
    elif arguments.output == "dot":
        output.write(dot.draw(scene))
    else:
        Screen.of(arguments.color).tree(text.branches(scene))
    look.tell_unread(machine)
    return ExitCode.DONE
