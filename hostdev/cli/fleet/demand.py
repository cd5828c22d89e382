"""The VM that a fleet is asked about: files of the command line, read as `passgate plan` reads them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from domxml.errors import BadInput
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import read_states_among
from hostdev.cli.fleet.survey import Moment
from hostdev.fleet.demand import Demand, read_demand, read_meanings
from hostdev.fleet.nodeobject import read_node_objects
from hostdev.fleet.placement import Asked
from hostdev.inject.gather import read_file
from hostdev.inventory import pciids
from hostdev.lint.files import File, read_files
from hostdev.lint.neighbours import neighbours
from hostdev.lint.nodestates import NODE_STATE_TEXT
from hostdev.lint.objects import VM_KINDS
from hostdev.lint.repository import readable_objects


def read_asked(arguments: argparse.Namespace, moment: Moment) -> Asked:
    """Read the VM, what its resources stand for, and the Node objects, where they are given."""
    files = list(read_files(arguments.file or ["-"]))
    states = _states(files)
    objects = readable_objects(files)
    vms = [one for one in objects if one.kind in VM_KINDS]
    if len(vms) != 1:
        what = "no file holds a VM" if not vms else f"the files hold {len(vms)} VMs: {', '.join(map(str, vms[:5]))}"
        raise BadInput("bad-vmi", what, hint="name one VM, and the files with what it refers to")
    beside = neighbours(objects, VM_KINDS)
    namer = pciids.namer(None, live=False)
    demand = read_demand(vms[0], beside, read_meanings(beside, states, arguments.resource or (), namer))
    _check(demand)
    nodes = read_node_objects(read_file(arguments.nodes), arguments.nodes) if arguments.nodes else {}
    return Asked(demand, moment.now, moment.max_age, nodes, arguments.same_numa)


def _states(files: Sequence[File]) -> list[NodeState]:
    return [
        state
        for file in files
        if file.error is None and NODE_STATE_TEXT.search(file.data)
        for state in read_states_among(file.data, file.name)
    ]


def _check(demand: Demand) -> None:
    if not demand.wants and not demand.unknown:
        what = "asks for no device: every node can give it that"
        raise BadInput("no-device-named", what, subject=demand.vm, hint="`passgate lint` tells what a VM asks for")
