"""What QEMU, libvirt or the kernel would say of a finding, in their words, with its device and group filled in."""

from __future__ import annotations

from domxml.errors import BadInput
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.findings.registry import ALL
from hostdev.inventory.machine import Machine
from tests.hostdev.texts import fill_template


def predict_texts(machine: Machine, finding: Finding) -> tuple[str, ...]:
    """The texts that one may meet, as far as every word of them is known."""
    values = _values(machine, finding.subject)
    texts = (fill_template(template, values) for template in ALL[finding.code].says)
    return tuple(text for text in texts if text is not None)


def _values(machine: Machine, subject: str) -> dict[str, str]:
    try:
        address = PciAddress.parse(subject)
    except BadInput:
        return {"uuid": subject}
    values = {"device": str(address)}
    function = machine.functions.get(address)
    if function and function.group is not None:
        values["group"] = str(function.group)
    if function and function.vfio_dev:
        values["cdev"] = function.vfio_dev
    return values
