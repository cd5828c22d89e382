"""What lint can say: every row of its table is said somewhere, is short enough, and comes for any manifest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domxml.errors import SENTENCE_LIMIT, PassgateError, Refused
from domxml.finding import Severity
from hostdev.findings import spec
from hostdev.findings.registry import ALL
from hostdev.inject import vmplan
from hostdev.lint import lint as package
from hostdev.lint.lint import lint
from hostdev.vmi.file import parse_manifest
from tests.hostdev.lint.build import QAT, manifest
from tests.hostdev.vmi.jsonvalues import ENTRIES, JSON
from tests.hostdev.vmi.vms import RECORDED

EVERYTHING = manifest(
    [
        {"resource": QAT, "count": 3, "bootOrder": 1, "name": "x", "numa": "host"},
        {"resource": "nobody.asks/for-it", "name": "x", "guestAddress": "0000:09:00.3"},
        {"device": "nothing", "guestAddress": "0000:00:1f.2"},
        {"address": "3d:02.2", "guestAddress": "0000:09:05.0", "name": "y", "nmae": 1},
    ],
    hooks=[{"env": 1}, {"image": 1}],
    annotations={"passgate.dev/device": ""},
    own={"passgate.dev/devices": "[]"},
    limits={QAT: 1, "left/over": 1},
    requests={QAT: 2},
    spec={"evictionStrategy": "LiveMigrate", "resourceClaims": [{"name": "there"}]},
    domain={
        "memory": {"guest": "1Gi"},
        "cpu": {"dedicatedCpuPlacement": True},
        "devices": {"disks": [{"name": "root", "bootOrder": 1}]},
    },
)
DEVICES = manifest(
    domain={
        "devices": {
            "gpus": [{"name": "a.b", "claimName": "there"}],
            "hostDevices": [{"name": "c", "claimName": "gone"}],
            "interfaces": [{"name": "fast", "sriov": {}}],
        }
    },
    spec={
        "resourceClaims": [{"name": "there"}],
        "networks": [{"name": "fast", "multus": {"networkName": "ns/fast"}}],
    },
    hooks=None,
    limits={QAT: 1, "left/over": 1},
)
WRONG = (EVERYTHING, DEVICES, manifest([{"address": "3d:02.2"}], limits={}))


def test_every_row_of_the_table_can_be_met() -> None:
    said = {finding.code for wrong in WRONG for finding in lint(wrong)}

    assert {kind.code for kind in spec.KINDS} - said == set()


def test_every_row_of_the_table_is_used() -> None:
    files = [*Path(package.__file__).parent.glob("*.py"), Path(vmplan.__file__)]
    used = set(re.findall(r"\b([A-Z_]+)\.found\(", "\n".join(file.read_text(encoding="utf-8") for file in files)))

    assert {kind.code.upper().replace("-", "_") for kind in spec.KINDS} <= used


@pytest.mark.parametrize("wrong", WRONG)
def test_every_finding_has_a_page_and_fits_an_event(wrong: Any) -> None:
    for finding in lint(wrong):
        assert finding.code in ALL
        assert finding.subject
        assert finding.hint
        assert not finding.message.endswith(".")
        refusal = Refused(finding.code, finding.message, subject=finding.subject, hint=finding.hint)
        assert len(str(refusal)) < SENTENCE_LIMIT


def test_the_worst_comes_first() -> None:
    ranks = [finding.severity.rank for finding in lint(EVERYTHING)]

    assert ranks == sorted(ranks, reverse=True)
    assert {0, 1, 2} == set(ranks)


def test_what_is_right_stays_right_whatever_the_kind() -> None:
    right = manifest()
    text = json.dumps({"kind": "VirtualMachineInstance", "metadata": {"annotations": dict(right.vmi.annotations)},
                       "spec": {"evictionStrategy": "None", "domain": {
                           "memory": {"reservedOverhead": {"memLock": "Required"}},
                           "resources": {"limits": {QAT: 1}}}}})  # fmt: skip

    assert [finding.severity for finding in lint(parse_manifest(text.encode()))] == [Severity.INFO]


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.name.removesuffix(".vmi.json"))
def test_nothing_is_wrong_with_the_recorded_vms(file: Path) -> None:
    assert {finding.code for finding in lint(parse_manifest(file.read_bytes()))} <= {"network-injector"}


@settings(max_examples=200)
@given(
    st.lists(ENTRIES, max_size=3) | JSON | st.text(),
    st.lists(st.dictionaries(st.sampled_from(["image", "args", "env", "Pvc"]), JSON), max_size=2) | JSON,
    st.dictionaries(st.sampled_from([QAT, "a.b/c", "cpu", "memory"]), st.integers() | st.text("0123456789.mKi")),
)
def test_any_vm_is_linted_or_refused(devices: Any, hooks: Any, limits: Any) -> None:
    try:
        wrong = manifest(devices, hooks=hooks, limits=limits)
    except PassgateError:
        return
    assert all(finding.code in ALL for finding in lint(wrong))
