"""What a kubelet 1.36.2 wrote and answered at the same moments; of registered devices only what matters here."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import NamedTuple

from hostdev.kubelet.checkpoint import Grant, parse
from hostdev.kubelet.podresources import Listing, listing
from hostdev.kubelet.stubs.podresources_v1_pb2 import ListPodResourcesResponse
from tests.house import ROOT

_RECORDED = json.loads((ROOT / "tests/fixtures/kubelet/1.36.2.json").read_text())


class Moment(NamedTuple):
    """The checkpoint, and PodResources beside it."""

    grants: tuple[Grant, ...]
    listing: Listing


def answered(data: str) -> Listing:
    """What is read of an answer."""
    return listing(ListPodResourcesResponse.FromString(b64decode(data)))


MOMENTS = {
    name: Moment(parse(json.dumps(told["checkpoint"]).encode()).grants, answered(told["podresources"]))
    for name, told in _RECORDED["moments"].items()
}
CLAIMS = {name: answered(data) for name, data in _RECORDED["claims"].items()}
ANSWERS = {name: b64decode(data) for name, data in _RECORDED["claims"].items()}
