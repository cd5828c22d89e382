"""What a driver answers kubelet from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class ClaimRef(NamedTuple):
    """All that kubelet tells of a claim."""

    namespace: str
    uid: str
    name: str

    @property
    def full_name(self) -> str:
        """Where it is, and how it is called."""
        return f"{self.namespace}/{self.name}"


class PreparedDevice(NamedTuple):
    """A device of a claim, and what the container runtime injects for it."""

    requests: tuple[str, ...]
    """Names as in the allocation's results."""
    pool: str
    device: str
    cdi_ids: tuple[str, ...]


class Claims(Protocol):
    """Prepares and undoes; the same claim may be asked for twice at once, and again at any time."""

    def prepare(self, refs: Sequence[ClaimRef], within: float) -> Mapping[str, Sequence[PreparedDevice] | str]:
        """Make the devices of each claim ready, within so many seconds; by UID, or a sentence that says why not."""

    def unprepare(self, refs: Sequence[ClaimRef]) -> Mapping[str, str | None]:
        """Undo it, from what is kept here: the claim may be gone already. By UID what went wrong."""


class DeviceHealth(NamedTuple):
    """What a pod's status says of a device."""

    pool: str
    device: str
    healthy: bool | None
    """None: it is not known."""
    message: str = ""


class Health(Protocol):
    """Knows how devices are."""

    def devices(self) -> Sequence[DeviceHealth]:
        """Those that kubelet is to know of; from any thread, and from memory."""
