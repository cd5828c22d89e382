"""Where a command or a hook looks at the host: a root directory, a recorded machine, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostdev.inventory.machine import Machine


def looker(host: str, *, use: bool = False) -> Callable[[], Machine | None]:
    """A function that takes the picture when it is needed; for `none` there is none.

    What the host does with functions is looked at for commands only: a hook has no time for it, and offers nothing.
    """

    def look() -> Machine | None:
        if host == "none":
            return None
        from hostdev.inventory.recorded.layout import open_host  # noqa: PLC0415  an offline run needs neither
        from hostdev.inventory.scan import scan  # noqa: PLC0415

        with open_host(host) as opened:
            return scan(opened, use=use)

    return look
