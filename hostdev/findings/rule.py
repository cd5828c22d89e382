"""Rules: wordings that lead to a code, and the conditions without which they do not."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from hostdev.findings.release import LOOK


class Sureness(StrEnum):
    """How sure a rule is of its code once its conditions hold."""

    CERTAIN = "certain"
    LIKELY = "likely"
    ONE_OF = "one-of"
    """It is one of several that say the same."""

    @property
    def rank(self) -> int:
        """Order: the surest first."""
        return list(Sureness).index(self)


class Condition(NamedTuple):
    """What must be true of a text, or of the host it comes from, for a rule to hold."""

    key: str
    asks: str
    """The question, for a reader who has to answer it."""
    look: str = ""
    """The command that answers it."""
    mended: tuple[str, ...] = ()
    """The releases that must not be reached."""


def older_than(*mended: str) -> Condition:
    """That the release which a text names is older than the first of its branch in which something is mended."""
    component = mended[-1].rpartition(" ")[0]
    versions = " or ".join(one.rpartition(" ")[2] for one in mended)
    return Condition("older", f"is {component} older than {versions}, each in its own branch?", LOOK[component], mended)


class Rule(NamedTuple):
    """Wordings of one code. `{any}` stands for a gap, `{resource}` for a name such as intel.com/qat."""

    code: str
    words: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    sure: Sureness = Sureness.CERTAIN
    over: tuple[str, ...] = ()
    """Codes that it puts aside where both fit one message."""


MEDIATED = Condition("mediated", "is it a mediated device (a UUID), such as a vGPU?")
NOT_MEDIATED = Condition("not-mediated", "is it a PCI device, and no mediated one?")
ABOVE_WIDTH = Condition(
    "above-width",
    "is the address above what the host's IOMMU can reach?",
    "dmesg | grep -i 'host address width'",
)
IN_RESERVED = Condition(
    "in-reserved",
    "does the address lie in a region that the firmware reserves?",
    "cat /sys/kernel/iommu_groups/GROUP/reserved_regions",
)
NOT_OF_A_BAR = Condition("not-of-a-bar", "is it memory of the guest, and no BAR of another device?")
OF_A_BAR = Condition("of-a-bar", "is the region a BAR of another device, and no memory of the guest?")
ON_VFIO = Condition("on-vfio", "is the device on vfio-pci?", "passgate node show DEVICE")
ON_HOST_DRIVER = Condition("on-host-driver", "is the device on a driver of the host?", "passgate node show DEVICE")
OF_OURS = Condition("of-ours", "does the resource belong to a device that is passed through?")
OF_SRIOV = Condition("of-sriov", "does it speak of SR-IOV?")
ERROR_TOLD = Condition("error-told", "does an error stand behind it?")
CDI_OF_DEVICES = Condition("cdi-of-devices", "is the plugin one of devices that are passed through?")
IN_VIRT_LAUNCHER = Condition("in-virt-launcher", "did virt-launcher say it?")
VFIO_HAS_INTERRUPT = Condition(
    "vfio-has-interrupt",
    "did a device on vfio-pci have this interrupt? The handlers that the kernel names below the line tell it",
    "cat /proc/interrupts",
)
REASON_ELSEWHERE = Condition("reason-elsewhere", "does it say no more than that something failed?")
IN_CLOUD_INIT = Condition("in-cloud-init", "was it virt-launcher, while it made cloud-init data for a hook?")
OF_IO_OR_ROM = Condition("of-io-or-rom", "is it I/O space or a ROM?")
OF_A_VF_BAR = Condition("of-a-vf-bar", "is it a BAR of VFs?")
OF_A_BAR_OF_MEMORY = Condition("of-a-bar-of-memory", "is it memory of a device?")
OF_A_WINDOW = Condition("of-a-window", "is it a window of a bridge?")
DEVICE_BELOW = Condition(
    "device-below", "is there a device below that bridge, and not only room to plug one?", "lspci -t"
)
ONE_VARIABLE = Condition(
    "one-variable",
    "is only one of PCI_RESOURCE_… and MDEV_PCI_RESOURCE_… missing, and has the VM its device?",
    "kubectl exec POD -c compute -- env",
)
BOTH_VARIABLES = Condition(
    "both-variables", "are PCI_RESOURCE_… and MDEV_PCI_RESOURCE_… both missing?", "kubectl exec POD -c compute -- env"
)
IN_GUEST = Condition("in-guest", "is it a guest that says so?", "cat /sys/class/dmi/id/sys_vendor")
ON_HOST = Condition("on-host", "is it the host that says so?", "cat /sys/class/dmi/id/sys_vendor")
OF_NUMBERS = (ABOVE_WIDTH, IN_RESERVED)
"""What hangs on the numbers of a message."""
OF_A_GUEST_DEVICE = Condition("of-a-guest-device", "is it a device that the guest was given?")
