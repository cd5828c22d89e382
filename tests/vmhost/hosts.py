"""The passthrough hosts of a test session: one for each kernel that is asked for, built where it is not there yet."""

from __future__ import annotations

import os
import time

import pytest

from tests.vmhost import obstacles
from tests.vmhost.debian import NotPossible
from tests.vmhost.image import Image, Say, build, image


class Hosts:
    """The built hosts of a session, by the release of Debian that their kernel is of."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._obstacle = obstacles.to_boot()
        self._built: dict[str, Image | str] = {}

    def of(self, kernel: str) -> Image:
        """The built host; the test is skipped with the reason why there is none."""
        if kernel not in self._built:
            self._built[kernel] = self._obstacle or self._build(kernel)
        found = self._built[kernel]
        if isinstance(found, str):
            pytest.skip(f"no passthrough host: {found}")
        return found

    def _build(self, kernel: str) -> Image | str:
        if os.environ.get("PASSGATE_NO_BUILD") == "1" and not image(kernel).built:
            return "it is not built: make test-host"
        begun = time.monotonic()
        try:
            built = build(self._say, kernel)
        except NotPossible as reason:
            return str(reason)
        self._say(f"having the passthrough host of {kernel} took {time.monotonic() - begun:.0f} s")
        return built
