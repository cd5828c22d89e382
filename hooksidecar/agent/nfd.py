"""Labels for Node Feature Discovery: what they say, and the file they are kept in."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence

from domxml.errors import BadInput, NotPermitted, PassgateError
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from domxml.text import printable
from hooksidecar import log
from hooksidecar.agent.pods import Sweep
from hostdev.gate.group import group_verdict
from hostdev.gate.iommu import has_no_iommu, is_noiommu
from hostdev.holders.grants import devices_of_grant, devices_of_ids
from hostdev.inventory.machine import Machine
from hostdev.kubelet.checkpoint import Checkpoint, Grant


class Labels:
    """Writes the file when what it tells may have changed."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._told: tuple[object, ...] = ()
        self._trouble = ""

    def write(self, swept: Sweep, checkpoint: Checkpoint | None) -> None:
        """Tell of the machine and the grants of a sweep; where the file cannot be written, say so once."""
        about = (swept.machine, swept.grants, checkpoint)
        if not self._directory or swept.machine is None or about == self._told:
            return
        registered = checkpoint.registered if checkpoint else {}
        try:
            write_labels(self._directory, labels_text(swept.machine, swept.grants, registered))
        except PassgateError as error:
            if error.sentence() != self._trouble:
                self._trouble = error.sentence()
                log.warning("no labels", reason=self._trouble)
        else:
            self._told, self._trouble = about, ""


DIRECTORY = "/etc/kubernetes/node-feature-discovery/features.d"
NAME = "passgate"
BESIDE = ".passgate.new"
"""The worker passes over names that begin with a dot."""
PREFIX = "passgate.dev/"
LONGEST = 63
"""Characters of a label's name, and of its value."""

KINDS: tuple[tuple[str, str, str], ...] = (
    ("dmar", "DMAR", "intel"),
    ("ivhd", "IVRS", "amd"),
    ("smmu", "IORT", "smmu"),
    ("arm-smmu", "IORT", "smmu"),
)
"""What the kernel's units begin with, the firmware's table, and what the label says."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def labels_text(machine: Machine, grants: Sequence[Grant], registered: Mapping[str, Sequence[str]]) -> str:
    """The file: a label a line; what cannot be one is a comment that says why."""
    lines = [f"{PREFIX}iommu={_kind(machine)}"]
    if machine.iommu.groups_visible:
        lines.append(f"{PREFIX}iommu.enabled={'false' if has_no_iommu(machine) else 'true'}")
    else:
        lines.append("# not known whether the IOMMU is on: its groups cannot be listed")
    return "".join(f"{line}\n" for line in (*lines, *_resources(machine, grants, registered)))


def label_name(resource: str) -> str:
    """The label of a resource, empty if it cannot have one: a domain has no underscore, so no two resources share."""
    name = f"viable-groups.{resource.replace('/', '_', 1)}"
    domain, slash, _ = resource.partition("/")
    return name if slash and "_" not in domain and _NAME.fullmatch(name) else ""


def write_labels(directory: str, content: str) -> bool:
    """Put the file in place, unless it is there as it should be; whether it was written."""
    path, beside = os.path.join(directory, NAME), os.path.join(directory, BESIDE)  # noqa: PTH118
    data = content.encode()
    try:
        if _read(path) == data:
            return False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)  # noqa: PTH108
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
                os.fchmod(file.fileno(), 0o644)  # The worker is another user, whatever our umask.
                file.write(data)
            os.rename(beside, path)  # noqa: PTH104
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)  # noqa: PTH108
            raise
    except OSError as error:
        raise _unwritable(path, error) from None
    return True


def _kind(machine: Machine) -> str:
    units, tables = machine.iommu.units, machine.iommu.tables
    for unit, _, kind in KINDS:
        if any(name.startswith(unit) for name in units):
            return kind
    if units or (machine.groups and not has_no_iommu(machine)):
        return "other"
    if tables is None:
        return "unknown"
    # An IOMMU that is off has no name in the kernel, but a table in the firmware.
    return next((kind for _, table, kind in KINDS if table in tables), "none")


def _resources(machine: Machine, grants: Sequence[Grant], registered: Mapping[str, Sequence[str]]) -> Iterator[str]:
    granted: dict[str, set[HostDevice]] = {}
    for grant in grants:
        joined = devices_of_grant(grant, machine)
        granted.setdefault(grant.resource, set()).update(one.device for one in joined)
    for resource in sorted({*registered, *granted}):
        named = {one.device for one in devices_of_ids(registered.get(resource, ()), machine)}
        devices = named | granted.get(resource, set())
        if not devices:
            continue  # A resource of another kind.
        name = label_name(resource)
        if name:
            yield f"{PREFIX}{name}={_viable(devices, machine)}"
        else:
            yield f"# no label for {printable(resource)}: its name does not fit into one"


def _viable(devices: set[HostDevice], machine: Machine) -> int:
    """How many IOMMU groups of these devices can go to a VM; each mediated device has one, which can."""
    functions = [device for device in devices if isinstance(device, PciAddress)]
    groups = {group.number: group for device in functions if (group := machine.group_of(device))}
    good = [group for group in groups.values() if not is_noiommu(group) and group_verdict(machine, group).viable]
    return len(good) + sum(not isinstance(device, PciAddress) for device in devices)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        return None


def _unwritable(path: str, error: OSError) -> PassgateError:
    kind = NotPermitted if error.errno in _PERMISSION else BadInput
    hint = "Node Feature Discovery makes the directory; mount it into the agent, or leave --features-dir out"
    return kind("features-unwritable", f"cannot be written: {error.strerror}", subject=path, hint=hint)
