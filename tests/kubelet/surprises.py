"""What kubelet does against expectation, each to be turned off by itself.

The numbers are those of the list of 22. 14 is no kubelet's but gRPC's: `server.stop()` unlinks the path of its socket
though another process has bound it since; a plugin in Python shows it by itself. 21 is the API server's. The others
from 17 on are of dynamic resource allocation.
"""

from __future__ import annotations

from enum import IntEnum


class Surprise(IntEnum):
    """With one turned off, the double does what its comment says."""

    STREAM_END_CUTS_THE_CURRENT = 1
    """Off: the end of a stream disconnects the plugin whose stream it was, and only where that is the current one."""
    FAILED_REGISTER_BLINDS = 2
    """Off: after a Register that failed, the plugin that had the name is still watched."""
    ALLOCATE_HAS_NO_DEADLINE = 3
    """Off: Allocate and GetPreferredAllocation have one."""
    REFUSED_IS_DEAD = 4
    """Off: a pod that was refused is tried again at each report of the node's status."""
    VANISHED_IS_HEALTHY = 5
    """Off: a device that is no longer listed is reported Unhealthy."""
    RESTART_IGNORES_HEALTH = 6
    """Off: a container is started again only while its devices are healthy."""
    ADMITS_BEFORE_PLUGINS = 7
    """Off: after its own start kubelet waits with admission until all known resources are registered again."""
    LOST_CHECKPOINT_FORGETS = 8
    """Off: the devices of running containers are recorded again where the checkpoint cannot be read."""
    PREFERENCE_IS_ALWAYS_ASKED = 9
    """Off: a plugin is asked only where there is a choice, and ids are in order in every call."""
    REGISTER_OPTIONS_IGNORED = 10
    """Off: those in Register count, and the plugin is not asked."""
    HEALTH_TO_THE_LETTER = 11
    """Off: `healthy` is healthy, too."""
    PUSH_BY_ID_ALONE = 12
    """Off: the pod of a device whose health changed is found by its resource and its id."""
    LIST_CHANGES_KUBELET = 13
    """Off: PodResources only reads, and answers as often as it is asked."""
    EMPTY_PERMISSIONS_FAIL = 15
    """Off: a node without permissions is given as `mrw`."""
    START_REMOVES_SOCKETS = 16
    """Off: at its start kubelet removes its own socket and no other."""
    SLICES_ARE_WIPED = 17
    """Off: a node's ResourceSlices stay, whether kubelet starts or a driver is gone."""
    PREPARE_RETRY_IS_LATE = 18
    """Off: a claim that could not be prepared is tried again as soon as a container would be."""
    PREPARED_TWICE = 19
    """Off: two pods of one claim wait for one call, and what was prepared is known after kubelet's restart."""
    CDI_EDITS_OVERWRITE = 20
    """Off: of two CDI devices that set a variable the first one's counts, and PodResources has of each device its
    own."""
    HEALTH_EXPIRES = 22
    """Off: what a driver said of a device counts until it says something else."""


ALL = frozenset(Surprise)
CLAIMS = tuple(surprise for surprise in Surprise if surprise >= Surprise.SLICES_ARE_WIPED)
"""Those of dynamic resource allocation."""
