"""ResourceSlices as a scheduler reads them: those of a pool's newest generation, once all of them are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.apiserver.storage import Object


def newest(slices: Iterable[Object]) -> list[Object]:
    """Those of the newest generation."""
    slices = list(slices)
    last = max((one["spec"]["pool"]["generation"] for one in slices), default=0)
    return [one for one in slices if one["spec"]["pool"]["generation"] == last]


def is_complete(slices: Sequence[Object]) -> bool:
    """Whether a generation has as many slices as each of them says."""
    return all(one["spec"]["pool"]["resourceSliceCount"] == len(slices) for one in slices)


def every_device(slices: Iterable[Object]) -> list[Object]:
    return [device for one in slices for device in one["spec"].get("devices", ())]
