"""The arguments that several commands take."""

from __future__ import annotations

from hostdev.commandline import Argument, Complete

SEVERITIES = ("warning", "error")

VERSION = Argument(("--version",), "show the versions of passgate, Python, lxml and libxml2", flag=True)

HOST = Argument(
    ("--host",),
    "where to look: a directory that holds sys/ and proc/, or a recorded machine (.toml)",
    metavar="ROOT|MACHINE.toml",
    default="/",
    complete=Complete.FILE,
)
PCI_IDS = Argument(
    ("--pci-ids",),
    "the list of PCI names to use instead of the system's",
    metavar="FILE",
    complete=Complete.FILE,
)
COLOR = Argument(
    ("--color",),
    "colour the output: auto means on a terminal; a NO_COLOR in the environment always wins",
    choices=("auto", "always", "never"),
    default="auto",
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


def output_in(*formats: str, help: str = "how to print it") -> Argument:  # noqa: A002  as argparse calls it
    """`-o`; the first format is the default."""
    return Argument(("-o", "--output"), help, choices=formats, default=formats[0])


def fail_on(default: str | None = None) -> Argument:
    """`--fail-on`, as `hostdev.printing.findings.exit_code` takes it."""
    until = "never when not given" if default is None else f"default: {default}"
    return Argument(
        ("--fail-on",), f"end with 1 when there is a finding this bad ({until})", choices=SEVERITIES, default=default
    )
