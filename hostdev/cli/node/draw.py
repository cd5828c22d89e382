"""`passgate node draw`: a picture of the PCI tree."""

from __future__ import annotations

import argparse

from domxml.errors import ExitCode
from hostdev.cli import devices
from hostdev.cli.drawing import svg, text
from hostdev.cli.drawing.scene import Scene
from hostdev.cli.drawing.text import draw
from hostdev.inventory import pciids
from hostdev.printing import output
from hostdev.printing.screen import Screen


def run(arguments: argparse.Namespace) -> int:
    machine = devices.machine_at(arguments.host)
    names = pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE)
    scene = Scene.of(machine, names, arguments.by)
    if arguments.output == "svg":
        output.write(svg.draw(scene))
    elif arguments.output == "dot":
        output.write(draw(scene))
    else:
        Screen.of(arguments.color).tree(text.branches(scene))
    devices.note_unread(machine)
    return ExitCode.DONE
