"""`passgate fit`: whether the BARs of all devices find room in the guest."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from domxml.document import Domain
from domxml.errors import BadInput, ExitCode, about_file
from domxml.transform import transform
from domxml.version import OLDEST, LibvirtVersion
from hostdev.cli import fitview
from hostdev.cli.devices import machine_at
from hostdev.cli.inject import read_domain, read_inputs, read_named
from hostdev.cli.madedomain import is_manifest
from hostdev.findings import device, driver, group, hostuse, platform, sriov
from hostdev.findings.device import DEVICE_MISSING
from hostdev.fit.firmware import Firmware, firmware_of_image, parse_firmware
from hostdev.fit.fit import fit
from hostdev.fit.inputs import Node, host_functions, node_of
from hostdev.fit.solution import Outcome
from hostdev.inject.plan import Inputs, plan
from hostdev.printing import output

if TYPE_CHECKING:
    from hostdev.inventory.machine import Machine
    from hostdev.vmi.request import Request

LARGEST_IMAGE = 64 << 20
LEAST_BITS, MOST_BITS = 32, 64
_GATE = frozenset(
    kind.code
    for table in (platform.KINDS, group.KINDS, device.KINDS, driver.KINDS, sriov.KINDS, hostuse.KINDS)
    for kind in table
    if kind is not DEVICE_MISSING
)
"""Whether a device may be given to a VM is another question; a device that is not there has no BARs."""


def run(arguments: argparse.Namespace) -> int:
    """Read, compute, print."""
    _check_bits(arguments.physical_bits)
    firmware = _firmware(arguments.firmware)
    machine = None if arguments.host == "none" else machine_at(arguments.host, bars=True)
    named = read_named(arguments, machine)
    libvirt = LibvirtVersion.parse(arguments.libvirt) if arguments.libvirt else OLDEST
    domain = _domain(arguments, machine, named, libvirt)
    node = Node() if machine is None else node_of(machine)
    functions = {} if machine is None else host_functions(machine, domain.host_devices)
    found = fit(
        domain,
        functions,
        node._replace(vendor=arguments.cpu_vendor or node.vendor),
        firmware=firmware,
        bits=arguments.physical_bits,
        libvirt=libvirt,
    )
    if machine is None and domain.host_devices:
        output.note("note: the sizes of BARs are read of a host: name it with --host")
    fitview.show(arguments, domain.name, found)
    return ExitCode.DONE if found.outcome is Outcome.FITS else ExitCode.FINDINGS


def _check_bits(bits: int | None) -> None:
    if bits is not None and not LEAST_BITS <= bits <= MOST_BITS:
        what = f"--physical-bits: no processor has {bits} bits"
        raise BadInput("bad-usage", what, hint=f"write a number from {LEAST_BITS} to {MOST_BITS}, such as 46")


def _firmware(word: str | None) -> Firmware | None:
    """What `--firmware` names: a release, or an image that is there."""
    if word is None:
        return None
    if "/" not in word and not os.path.isfile(word):  # noqa: PTH113
        return parse_firmware(word)
    with about_file(word):
        found = firmware_of_image(_image(word))
        if found is None:
            hint = "name the code of OVMF, AAVMF or SeaBIOS, or its release"
            raise BadInput("bad-firmware", "no firmware that is known is in it", hint=hint)
    return found


def _image(path: str) -> bytes:
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            data = file.read(LARGEST_IMAGE + 1)
    except OSError as error:
        hint = "name a release such as ovmf-2025.02, or an image that is there"
        raise BadInput("unreadable-file", f"cannot read it: {error.strerror}", hint=hint) from None
    if len(data or b"") > LARGEST_IMAGE:
        raise BadInput("bad-firmware", f"it is larger than {LARGEST_IMAGE >> 20} MiB", hint="name a firmware's image")
    return data or b""


def _domain(
    arguments: argparse.Namespace, machine: Machine | None, named: tuple[Request, ...], libvirt: LibvirtVersion
) -> Domain:
    """The domain as it will be: with the devices that are named, or given to the VM."""
    path = arguments.domain
    if path and path != "-" and not arguments.connect and not path.endswith(".xml") and is_manifest(path):
        domain = Domain.parse(_planned(arguments, machine))
        asked = Inputs(named=named)
    else:
        name = path or "-"
        with about_file(name):
            data, findings = read_domain(name, arguments.connect)
            domain = Domain.parse(data)
        for finding in findings:
            output.note(f"note: {finding.subject}: {finding.message}")
        asked = read_inputs(arguments, domain, named)
    planned = plan(domain, asked._replace(allowed=asked.allowed | _GATE), machine)
    result = transform(domain, planned.slots, libvirt=libvirt)
    return Domain.parse(result.xml)


def _planned(arguments: argparse.Namespace, machine: Machine | None) -> bytes:
    """The domain of a VM that has none yet, as the last of KubeVirt's passes leaves it."""
    from hostdev.cli.plan import plan_object, read_asked, read_objects  # noqa: PLC0415  a domain needs no admission
    from hostdev.lint.neighbours import neighbours  # noqa: PLC0415
    from hostdev.lint.objects import VM_KINDS  # noqa: PLC0415

    objects = read_objects([arguments.domain])
    vms = [one for one in objects if one.kind in VM_KINDS]
    if len(vms) != 1:
        raise BadInput("bad-vmi", f"holds {len(vms)} VMs", subject=arguments.domain, hint="give one VM at a time")
    asked = read_asked(arguments)._replace(machine=machine, allowed=_GATE)
    made = plan_object(vms[0], neighbours(objects, VM_KINDS), asked)
    output.note(f"note: the domain is as KubeVirt {made.release.name} makes it; passgate plan shows it")
    for line in made.unknown:
        output.note(f"unknown: {line}")
    return made.final or made.last or made.first
