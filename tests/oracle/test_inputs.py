from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle.corpus import Corpus, is_i440fx, is_q35, is_s390x, is_virt


def test_inputs_and_outputs_are_told_apart_by_name(tmp_path: Path) -> None:
    outputs = ("a.x86_64-latest.xml", "a.x86_64-7.2.0.xml", "a.aarch64-latest.abi-update.xml", "a-2.7.ppc64-latest.xml")
    for name in ("a.xml", "a-2.7.xml", *outputs):
        (tmp_path / name).write_text(name)
    corpus = Corpus(tmp_path)
    assert [name for name, _ in corpus.inputs()] == ["a", "a-2.7"]
    assert list(corpus.outputs("a")) == ["aarch64-latest.abi-update", "x86_64-7.2.0", "x86_64-latest"]
    assert corpus.outputs("a-2.7") == {"ppc64-latest": b"a-2.7.ppc64-latest.xml"}


@pytest.mark.parametrize(
    ("arch", "machine", "kind"),
    [
        ("x86_64", "q35", is_q35),
        ("x86_64", "pc-q35-4.0", is_q35),
        ("x86_64", "pc", is_i440fx),
        ("x86_64", "pc-i440fx-7.2", is_i440fx),
        ("x86_64", "pc-0.12", is_i440fx),
        ("aarch64", "virt-4.0", is_virt),
        ("s390x", "s390-ccw-virtio-9.1", is_s390x),
        ("riscv64", "virt", None),
        ("x86_64", "isapc", None),
    ],
)
def test_each_machine_is_of_one_kind(arch: str, machine: str, kind: object) -> None:
    xml = f"<domain><os><type arch='{arch}' machine='{machine}'>hvm</type></os></domain>".encode()
    assert [is_kind for is_kind in (is_q35, is_i440fx, is_virt, is_s390x) if is_kind(xml)] == ([kind] if kind else [])


@pytest.mark.parametrize("xml", [b"", b"<domain/>", b"<domain><os/></domain>"])
def test_what_names_no_machine_is_of_no_kind(xml: bytes) -> None:
    assert not is_q35(xml)
