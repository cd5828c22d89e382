"""The committed stubs are those of the .proto files, and these say what KubeVirt's say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hooksidecar.proto.generate import PACKAGES, generate
from hooksidecar.stubs import (
    callbacks_v1alpha1_pb2,
    callbacks_v1alpha2_pb2,
    callbacks_v1alpha3_pb2,
    info_pb2,
    plugin_v1alpha1_pb2,
)
from tests.hooksidecar.wirebytes import fields, message


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_generating_them_again_gives_the_same(package: Path, tmp_path: Path) -> None:
    assert generate(package, tmp_path) == 0

    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in (package / "stubs").glob("*_pb2.py*") if path.is_file()}
    assert made
    assert made == committed


FIELDS = {
    info_pb2.InfoResult: {"name": 1, "hookPoints": 3, "versions": 4},
    info_pb2.HookPoint: {"name": 1, "priority": 2},
    plugin_v1alpha1_pb2.MutateDomainRequest: {"domain_type": 1, "domain": 2, "vmi": 3, "sidecar_context": 4},
    plugin_v1alpha1_pb2.SidecarContext: {"invocation_context": 1},
    plugin_v1alpha1_pb2.MutateDomainResponse: {"domain": 1},
    plugin_v1alpha1_pb2.ExecuteNodeHookRequest: {"hookPoint": 1, "vmi": 2, "node_context": 3},
    plugin_v1alpha1_pb2.NodeContext: {"node_name": 1},
    plugin_v1alpha1_pb2.ExecuteNodeHookResponse: {},
    callbacks_v1alpha3_pb2.PreCloudInitIsoParams: {"cloudInitNoCloudSource": 1, "vmi": 2, "cloudInitData": 3},
    callbacks_v1alpha3_pb2.PreCloudInitIsoResult: {"cloudInitNoCloudSource": 1, "cloudInitData": 3},
    callbacks_v1alpha3_pb2.ShutdownParams: {},
}


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.DESCRIPTOR.full_name)
def test_numbers_of_the_fields(kind: type) -> None:
    descriptor = kind.DESCRIPTOR  # type: ignore[attr-defined]

    assert {field.name: field.number for field in descriptor.fields} == FIELDS[kind]


def test_older_versions_have_the_messages_of_v1alpha3_or_fewer() -> None:
    """That is why one set of messages serves all three."""
    newest = callbacks_v1alpha3_pb2.DESCRIPTOR.message_types_by_name
    for older in (callbacks_v1alpha1_pb2, callbacks_v1alpha2_pb2):
        for name, kind in older.DESCRIPTOR.message_types_by_name.items():
            shape = {(field.name, field.number, field.type) for field in kind.fields}
            assert shape == {(field.name, field.number, field.type) for field in newest[name].fields}


def test_the_naive_encoder_agrees_with_protobuf() -> None:
    """Else the other tests would prove little."""
    params = callbacks_v1alpha3_pb2.OnDefineDomainParams(domainXML=b"x" * 300, vmi=b"{}")
    point = info_pb2.HookPoint(name="OnDefineDomain", priority=300)

    assert params.SerializeToString() == message(f1=b"x" * 300, f2="{}")
    assert fields(point.SerializeToString()) == {1: [b"OnDefineDomain"], 2: [300]}


def test_services_and_methods() -> None:
    services = {
        f"{service.full_name}/{method.name}"
        for module in (info_pb2, callbacks_v1alpha3_pb2, plugin_v1alpha1_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }

    assert services == {
        "kubevirt.hooks.info.Info/Info",
        "kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain",
        "kubevirt.hooks.v1alpha3.Callbacks/PreCloudInitIso",
        "kubevirt.hooks.v1alpha3.Callbacks/Shutdown",
        "kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain",
        "kubevirt.hooks.plugins.v1alpha1.NodeHookService/ExecuteNodeHook",
    }
