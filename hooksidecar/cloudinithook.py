"""PreCloudInitIso from its bytes to its answer. The cloud-init data holds passwords: no line of the log shows it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

import grpc

from hooksidecar import log
from hooksidecar.deadline import WORK, Bounded, Failed, elapsed
from hooksidecar.domainhook import decode_request
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks
from hostdev.cloudinit.hook import Answer, CloudInitHook, Documents

HOOK_POINT = "PreCloudInitIso"


class CloudInitCalls:
    """Puts cloud-init data to its core, in one line with the domains."""

    def __init__(self, core: CloudInitHook, bounded: Bounded, *, wait: float) -> None:
        self._core = core
        self._budget = WORK + wait
        self._bounded = bounded

    def write(self, version: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer with network data in the documents; end the call with a status when there are none."""
        asked = decode_request(request, callbacks.PreCloudInitIsoParams, context)
        begun = time.monotonic()
        documents = Documents(asked.cloudInitNoCloudSource, asked.cloudInitData)
        fields = {"hook": HOOK_POINT, "version": version}
        try:
            answer = self._bounded.run(
                lambda deadline: self._core.write(documents, asked.vmi, deadline=deadline),
                self._budget,
                context,
                fields,
            )
        except Failed as failed:
            failed.end(context)
        self._core.keep(answer)
        _tell(answer, fields, begun)
        source, data = answer.documents
        return callbacks.PreCloudInitIsoResult(cloudInitNoCloudSource=source, cloudInitData=data).SerializeToString()


def _tell(answer: Answer, fields: Mapping[str, object], begun: float) -> None:
    written = answer.network_data.encode()
    # A digest of all of the data would let the curious try passwords.
    digest = f"sha256:{hashlib.sha256(written).hexdigest()[:16]}" if written else ""
    result = {"changed": bool(written), "networkDataDigest": digest, "interfaces": list(answer.interfaces)}
    log.info("answered", vm=answer.vm, **fields, **result, **elapsed(begun))
    if answer.trouble:
        log.error("an answer was given already: the cloud-init data went back as it came", reason=answer.trouble)
    log.findings(answer.findings)
    if written:
        log.debug("what changed", networkData=answer.network_data)
