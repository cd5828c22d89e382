"""The services as tables of methods: what KubeVirt may call, and which of our few functions answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import grpc

from domxml.errors import BadInput
from hooksidecar.calls import Calls, Question, decoded, passed_through, refuse
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks

Method: TypeAlias = Callable[[bytes, grpc.ServicerContext], bytes]
Methods: TypeAlias = Mapping[str, Method]
"""By full name: `/package.Service/Method`."""

NAME = "passgate"
VERSIONS = ("v1alpha3", "v1alpha2", "v1alpha1")
HOOK_POINTS = ("OnDefineDomain", "Shutdown")
"""PreCloudInitIso is not among them: virt-launcher panics on a VM without cloud-init when somebody subscribes."""


def hook(calls: Calls, shut_down: Callable[[], None]) -> Methods:
    """The services of a hook sidecar. The messages of v1alpha1 and v1alpha2 are those of v1alpha3, or fewer."""
    from hooksidecar.stubs import info_pb2 as info  # noqa: PLC0415  a plugin has none

    points = [info.HookPoint(name=point, priority=0) for point in HOOK_POINTS]
    about = info.InfoResult(name=NAME, hookPoints=points, versions=VERSIONS).SerializeToString()

    def on_define_domain(version: str) -> Method:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            asked = decoded(request, callbacks.OnDefineDomainParams, context)
            question = Question("OnDefineDomain", version, asked.domainXML, asked.vmi)
            return callbacks.OnDefineDomainResult(domainXML=calls.define(question, context)).SerializeToString()

        return answer

    def shutdown(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        shut_down()
        return callbacks.ShutdownResult().SerializeToString()

    return {
        "/kubevirt.hooks.info.Info/Info": lambda _request, _context: about,
        **{f"/kubevirt.hooks.{version}.Callbacks/OnDefineDomain": on_define_domain(version) for version in VERSIONS},
        "/kubevirt.hooks.v1alpha3.Callbacks/Shutdown": shutdown,
    }


def plugin(calls: Calls) -> Methods:
    """The service of a Plugin's sidecar."""
    from hooksidecar.stubs import plugin_v1alpha1_pb2 as plugins  # noqa: PLC0415  a hook has none

    def mutate_domain(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = decoded(request, plugins.MutateDomainRequest, context)
        question = Question("MutateDomain", "plugin v1alpha1", asked.domain, asked.vmi)
        if asked.sidecar_context.invocation_context == "MigrationTarget":
            domain = passed_through(question, "the target of a migration gets the source's domain")
        elif asked.domain_type != "libvirt":
            refuse(BadInput("bad-domain-type", f"domain_type is {asked.domain_type[:40]!r}, not 'libvirt'"), context)
        else:
            domain = calls.define(question, context)
        return plugins.MutateDomainResponse(domain=domain).SerializeToString()

    return {"/kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain": mutate_domain}
