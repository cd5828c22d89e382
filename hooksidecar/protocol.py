"""The services as tables of methods: what KubeVirt may call, and which of our few functions answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import grpc

from domxml.errors import BadInput
from hooksidecar.domainhook import Calls, Question, decode_request, pass_through, refuse
from hooksidecar.options import VERSIONS
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks

if TYPE_CHECKING:
    from hooksidecar.cloudinithook import CloudInitCalls

Method: TypeAlias = Callable[[bytes, grpc.ServicerContext], bytes]
Methods: TypeAlias = Mapping[str, Method]
"""By full name: `/package.Service/Method`."""

INFO = "/kubevirt.hooks.info.Info/Info"
SHUTDOWN = "/kubevirt.hooks.v1alpha3.Callbacks/Shutdown"
AT_ONCE = frozenset({INFO, SHUTDOWN})
"""Methods that take nothing from their message, and are answered whatever else is going on."""
NAME = "passgate"


def hook(
    calls: Calls,
    shut_down: Callable[[], None],
    cloud_init: CloudInitCalls | None = None,
    versions: Sequence[str] = VERSIONS,
) -> Methods:
    """The services of a hook sidecar. The messages of v1alpha1 and v1alpha2 are those of v1alpha3, or fewer."""
    from hooksidecar.stubs import info_pb2 as info  # noqa: PLC0415  a plugin has none

    ends = "v1alpha3" in versions
    # PreCloudInitIso only when asked for: where a sidecar subscribes it, virt-launcher panics on a VM without it.
    names = ["OnDefineDomain", *["Shutdown"] * ends, *["PreCloudInitIso"] * (cloud_init is not None)]
    points = [info.HookPoint(name=name, priority=0) for name in names]
    about = info.InfoResult(name=NAME, hookPoints=points, versions=versions).SerializeToString()

    def answer_info(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(calls.warm_up)
        return about

    def on_define_domain(version: str) -> Method:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            asked = decode_request(request, callbacks.OnDefineDomainParams, context)
            question = Question("OnDefineDomain", version, asked.domainXML, asked.vmi)
            del asked  # It has copies of both.
            return callbacks.OnDefineDomainResult(domainXML=calls.define(question, context)).SerializeToString()

        return answer

    def shutdown(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        shut_down()
        return callbacks.ShutdownResult().SerializeToString()

    return {
        INFO: answer_info,
        **{f"/kubevirt.hooks.{version}.Callbacks/OnDefineDomain": on_define_domain(version) for version in versions},
        **({SHUTDOWN: shutdown} if ends else {}),
        **(_pre_cloud_init_iso(cloud_init, versions) if cloud_init else {}),
    }


def _pre_cloud_init_iso(cloud_init: CloudInitCalls, versions: Sequence[str]) -> Methods:
    """v1alpha1 has no such call."""

    def method(version: str) -> Method:
        return lambda request, context: cloud_init.write(version, request, context)

    newer = [version for version in versions if version != "v1alpha1"]
    return {f"/kubevirt.hooks.{version}.Callbacks/PreCloudInitIso": method(version) for version in newer}


def plugin(calls: Calls) -> Methods:
    """The service of a Plugin's sidecar."""
    from hooksidecar.stubs import plugin_v1alpha1_pb2 as plugins  # noqa: PLC0415  a hook has none

    def mutate_domain(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = decode_request(request, plugins.MutateDomainRequest, context)
        question = Question("MutateDomain", "plugin v1alpha1", asked.domain, asked.vmi)
        if asked.sidecar_context.invocation_context == "MigrationTarget":
            domain = pass_through(question, "the target of a migration gets the source's domain")
        elif asked.domain_type != "libvirt":
            refuse(BadInput("bad-domain-type", f"domain_type is {asked.domain_type[:40]!r}, not 'libvirt'"), context)
        else:
            domain = calls.define(question, context)
        return plugins.MutateDomainResponse(domain=domain).SerializeToString()

    return {"/kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain": mutate_domain}
