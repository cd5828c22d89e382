"""Kubelet's times, in seconds: as they are in a node, and shortened for tests."""

from __future__ import annotations

from typing import NamedTuple

from tests.patience import PATIENCE


class Times(NamedTuple):
    """What kubelet waits for, and how long."""

    dial: float = 10.0
    """For a plugin's socket to answer, inside Register."""
    pre_start: float = 30.0
    get_info: float = 1.0
    notify: float = 5.0
    loop: float = 1.0
    """Between two looks at plugins_registry."""
    backoff: float = 0.5
    """After the first failure of a path in plugins_registry; it doubles."""
    longest_backoff: float = 122.0
    registry_at_start: float = 0.17
    """From the new kubelet.sock to the first look; 0.69 was recorded, too."""
    register_at_start: float = 0.5
    """From the new kubelet.sock until Register is worked on; one that came after 0.18 waited 0.53."""
    admission_at_start: float = 0.4
    """From the new kubelet.sock to the pods of the node; 0.35 to 0.48."""
    beat: float = 10.0
    """Between two reports of the node's status."""
    grace: float = 300.0
    """How long the resource of a plugin that is gone stays."""
    sandbox: float = 0.3
    """From admission to the first container."""
    retry: float = 11.0
    """Between two starts of a container that fails."""
    deadline: float = 10.0
    """Of a call that has none, where the surprise that it has none is off."""
    claims: float = 45.0
    """For a driver to prepare claims, or to undo it."""
    prepare_retry: float = 75.0
    """After a claim could not be prepared; 61 and 90 were recorded."""
    undo_retries: tuple[float, ...] = (0.8, 15.0)
    """After it could not be undone, the last one again and again."""
    reconcile: float = 60.0
    """Between two looks for claims of pods that are gone."""
    wipe: float = 30.0
    """From the end of a driver's last connection until its ResourceSlices are removed."""
    health_retry: float = 5.0
    """Until a driver is asked for health again."""
    health_expiry: float = 30.0
    """After which what a driver said of a device is old, where it names no time itself."""


REAL = Times()
QUICK = Times(
    dial=1.0,
    pre_start=10.0,
    get_info=2.0,
    loop=0.05,
    backoff=0.05,
    longest_backoff=0.2,
    registry_at_start=0.02,
    register_at_start=0.05,
    admission_at_start=0.1,
    beat=0.1,
    grace=PATIENCE,
    sandbox=0.01,
    retry=0.1,
    deadline=0.3,
    claims=10.0,
    prepare_retry=0.4,
    undo_retries=(0.05, 0.15),
    reconcile=0.2,
    wipe=0.3,
    health_retry=0.05,
    health_expiry=0.4,
)
"""The order of what happens is that of a node; only the waits are short, and none in which a plugin has to answer."""
START = QUICK._replace(
    registry_at_start=4 * REAL.registry_at_start,
    register_at_start=4 * REAL.register_at_start,
    admission_at_start=4 * REAL.admission_at_start,
    retry=PATIENCE,
)
"""Kubelet's start is a race, which is run slowly here: a busy machine changes no order."""
