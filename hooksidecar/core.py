"""What the transports ask of the core: a domain and its VMI in, the domain with its devices out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from domxml.finding import Finding


class Answer(Protocol):
    """One call's result."""

    @property
    def xml(self) -> bytes:
        """The domain with its devices."""

    @property
    def vm(self) -> str:
        """Whose domain it is, as a log names it."""

    @property
    def devices(self) -> Sequence[object]:
        """The host devices in it, as a log names them."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What was noticed on the way."""

    @property
    def trouble(self) -> str:
        """Why the input goes back as it came, although devices are wanted."""


class Core(Protocol):
    """Serves one VM, one call at a time."""

    def define(self, domain: bytes, vmi: bytes, /, *, deadline: float) -> Answer:
        """Put the devices into the domain before `deadline` (of time.monotonic), or raise PassgateError.

        It leaves no trace: an answer that nobody waits for any more is thrown away.
        """

    def keep(self, answer: Any, /) -> int:
        """Hold to what an answer settled, because it goes out now; tell how many did so far."""
