"""The arguments that several commands take."""

from __future__ import annotations

from hostdev.commandline import COLOR, VERSION, Argument, Complete

__all__ = ["COLOR", "VERSION"]

SEVERITIES = ("warning", "error")

HOST = Argument(
    ("--host",),
    "where to look: a directory that holds sys/ and proc/, or a recorded machine (.toml)",
    metavar="ROOT|MACHINE.toml",
    default="/",
    complete=Complete.FILE,
)
NODE = Argument(("--node",), "the node's name in the cluster (default: its host name)", metavar="NAME")
CHECKED_HOST = Argument(
    ("--host",),
    "check the devices on a host: a root directory, a recorded machine (.toml), or none",
    metavar="ROOT|MACHINE.toml|none",
    default="none",
    complete=Complete.FILE,
)
NETWORK_INFO = Argument(
    ("--network-info",),
    "the pod's network information, as in /etc/podinfo/network-info",
    metavar="FILE",
    complete=Complete.FILE,
)
PCI_IDS = Argument(
    ("--pci-ids",),
    "the list of PCI names to use instead of the system's",
    metavar="FILE",
    complete=Complete.FILE,
)
_CALLED = "by address (3d:02.2), interface, disk, ids (8086:37c9) or IOMMU group (group:43)"
DEVICE = Argument(("ADDRESS",), f"a device, {_CALLED}", metavar="DEVICE", complete=Complete.ADDRESS)
DEVICES = Argument(("ADDRESS",), f"devices, {_CALLED}", nargs="*", metavar="DEVICE", complete=Complete.ADDRESS)
DESPITE = Argument(
    ("--despite",),
    "judge the devices named as if this did not forbid them, for who knows better",
    choices=("platform-device",),
    repeat=True,
)


SELECTORS = Argument(
    ("ADDRESS",),
    f"devices, {_CALLED}; or selectors such as gpu, class=nic,nvme, driver!=nvidia, numa=0, 8086:, ready, not-ready: "
    "a device must fit one of each kind (docs/selectors.md)",
    nargs="*",
    metavar="DEVICE|SELECTOR",
    complete=Complete.SELECTOR,
)
SELECTOR_KEYS = ("name", "group", "role", "use", "passthrough", "reason", "address", "pf", "has", "reset")
"""Selectors that are no options; --name is -o name already."""
INSTEAD_OF_SELECTORS = {
    **{f"--{key}": f"write {key}=VALUE, without dashes" for key in SELECTOR_KEYS if key != "name"},
    **{f"--{word}": f"write {word}, without dashes" for word in ("ready", "passable", "unused", "used", "unbound")},
}
SELECTOR_OPTIONS = (
    Argument(("--class",), "the same as the selector class=", metavar="CLASS", repeat=True),
    Argument(("--vendor",), "the same as vendor=", metavar="VENDOR", repeat=True),
    Argument(("--driver",), "the same as driver=", metavar="DRIVER", repeat=True),
    Argument(("--numa",), "the same as numa=", metavar="NODE", repeat=True),
    Argument(("-d", "--ids"), "the same as ids=", metavar="VENDOR:[DEVICE]", repeat=True),
)
TABLE_OPTIONS = (
    Argument(
        ("--columns",),
        "the columns of a table or of CSV, in this order; +NAME adds one to the usual ones, -NAME leaves one out, "
        "help lists them",
        metavar="NAME[,NAME]",
        dashed=True,
    ),
    Argument(("--sort",), "sort by these columns; -NAME from the end", metavar="NAME[,NAME]", dashed=True),
    Argument(("--no-headers",), "leave out the line with the names of columns", flag=True),
)


def output_in(*formats: str, help: str = "how to print it") -> Argument:  # noqa: A002  as argparse calls it
    """`-o`; the first format is the default."""
    return Argument(("-o", "--output"), help, choices=formats, default=formats[0])


def fail_on(default: str | None = None) -> Argument:
    """`--fail-on`, as `hostdev.printing.findings.exit_code` takes it."""
    until = "never when not given" if default is None else f"default: {default}"
    return Argument(
        ("--fail-on",), f"end with 1 when there is a finding this bad ({until})", choices=SEVERITIES, default=default
    )
