"""What holds for all tests: what is fast comes first, interrupts arrive, and no machine is too slow."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

TIERS = ("browser", "oracle", "vmhost")
"""The markers of the slow ones, the slowest last."""


def pytest_configure() -> None:
    """Who starts us in the background lets us ignore interrupts, and all that we start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by tier; within a tier nothing changes places."""
    items.sort(key=lambda item: [item.get_closest_marker(tier) is not None for tier in reversed(TIERS)])
