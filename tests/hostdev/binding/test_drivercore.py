"""The driver core of these tests does what Linux 6.12 and 7.2 were seen to do; tests/vmhost asks a real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from domxml.pciaddress import PciAddress
from hostdev.binding import steps
from hostdev.binding.effects import Step, WriteFailed
from tests.hostdev.binding.drivercore import DriverCore, Hangs
from tests.hostdev.binding.hosts import AUDIO, DISK, GPU, core

DEVICE = PciAddress.parse(DISK)


def _do(kernel: DriverCore, *what: Step) -> str | None:
    """The driver afterwards, or the error's name."""
    try:
        for step in what:
            kernel.perform(step)
    except WriteFailed as error:
        return str(error)
    return kernel.machine.functions[DEVICE].driver


def _probe(driver: str | None = None) -> Step:
    return steps.probe(DEVICE, driver)


ROWS: dict[str, tuple[Callable[[DriverCore], object], tuple[Step, ...], str | None]] = {
    "an override alone moves nothing": (lambda k: k, (steps.override(DEVICE, "vfio-pci"),), "nvme"),
    "a probe leaves what is bound": (lambda k: k, (steps.override(DEVICE, "vfio-pci"), _probe()), "nvme"),
    "an unbound device with an override goes there": (
        lambda k: k,
        (steps.override(DEVICE, "vfio-pci"), steps.unbind(DEVICE, "nvme"), _probe()),
        "vfio-pci",
    ),
    "an unknown driver in the override: the probe succeeds, and nothing is bound": (
        lambda k: k,
        (steps.override(DEVICE, "vfio_pci"), steps.unbind(DEVICE, "nvme"), _probe()),
        None,
    ),
    "a driver that is not loaded: the same": (
        lambda k: k.registered.discard("vfio-pci"),
        (steps.override(DEVICE, "vfio-pci"), steps.unbind(DEVICE, "nvme"), _probe()),
        None,
    ),
    "loading it binds what waits for it": (
        lambda k: k.registered.discard("vfio-pci"),
        (steps.override(DEVICE, "vfio-pci"), steps.unbind(DEVICE, "nvme"), steps.load("vfio-pci", DEVICE)),
        "vfio-pci",
    ),
    "a probe that fails is not told": (
        lambda k: k.broken.add("vfio-pci"),
        (steps.override(DEVICE, "vfio-pci"), steps.unbind(DEVICE, "nvme"), _probe()),
        None,
    ),
    "a cleared override: the host's driver comes back": (
        lambda k: k,
        (steps.override(DEVICE, "vfio-pci"), steps.unbind(DEVICE, "nvme"), steps.override(DEVICE, None), _probe()),
        "nvme",
    ),
    "(null) is taken for a name": (
        lambda k: k,
        (
            Step(f"/sys/bus/pci/devices/{DISK}/driver_override", "(null)", "", DISK),
            steps.unbind(DEVICE, "nvme"),
            _probe(),
        ),
        None,
    ),
    "an id of vfio-pci wins over the host's driver": (
        lambda k: k.dynamic.add(DEVICE),
        (steps.unbind(DEVICE, "nvme"), _probe()),
        "vfio-pci",
    ),
    "and not over an override": (
        lambda k: k.dynamic.add(DEVICE),
        (steps.override(DEVICE, "nvme"), steps.unbind(DEVICE, "nvme"), _probe()),
        "nvme",
    ),
    "to unbind from another driver is no such device": (
        lambda k: k,
        (steps.unbind(DEVICE, "vfio-pci"),),
        os.strerror(errno.ENODEV),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_it_does_what_a_kernel_does(row: str) -> None:
    prepare, what, driver = ROWS[row]
    kernel = core("hgx-h100")
    prepare(kernel)

    assert _do(kernel, *what) == driver


def test_taking_a_held_device_waits_with_the_driver_gone() -> None:
    kernel = core()
    gpu = PciAddress.parse(GPU)
    kernel.held.add(gpu)

    with pytest.raises(Hangs):
        kernel.perform(steps.unbind(gpu, "vfio-pci"))

    assert kernel.machine.functions[gpu].driver is None
    assert kernel.waiting == [(gpu, "vfio-pci")]
    kernel.perform(steps.probe(gpu, "vfio-pci"))
    assert kernel.machine.functions[gpu].driver is None
    kernel.release()
    kernel.perform(steps.probe(gpu, "vfio-pci"))
    assert kernel.machine.functions[gpu].driver == "vfio-pci"


def test_no_driver_of_the_host_comes_into_a_held_group() -> None:
    kernel = core()
    audio = PciAddress.parse(AUDIO)
    kernel.perform(steps.unbind(audio, "snd_hda_intel"))
    kernel.held.add(PciAddress.parse(GPU))

    with pytest.raises(WriteFailed, match=os.strerror(errno.EINVAL)):
        kernel.perform(steps.probe(audio, "snd_hda_intel"))

    kernel.perform(steps.override(audio, "vfio-pci"))
    kernel.perform(steps.probe(audio, "vfio-pci"))
    assert kernel.machine.functions[audio].driver == "vfio-pci"
