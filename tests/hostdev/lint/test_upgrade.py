"""What an upgrade of KubeVirt changes for VMs, and the page of it."""

from __future__ import annotations

import itertools

import pytest

from hostdev.lint.admission.releases import NAMES, Cluster, parse_gates, parse_release
from hostdev.lint.repository import gather
from hostdev.lint.upgrade import CHANGES, page, upgrade_results
from tests.hostdev.lint.run import files, vm
from tests.house import ROOT


def changes(text: str, old: str, new: str, gates: str | None = None) -> list[str]:
    release = (parse_release(old),)
    cluster = Cluster(release, None if gates is None else parse_gates(gates, release))
    told = upgrade_results(gather(files(text)).objects, cluster, parse_release(new))
    return [f"{one.finding.severity} {one.finding.code} {one.finding.subject}: {one.finding.message}" for one in told]


TWO = vm("networks: [{name: lan, pod: {}}]", devices="{interfaces: [{name: lan, masquerade: {}, bridge: {}}]}")
CDROM = vm(devices="{disks: [{name: cd, cdrom: {bus: sata}}]}")


def test_a_plain_vm_is_not_touched() -> None:
    assert [line for old, new in itertools.pairwise(NAMES) for line in changes(vm(), old, new)] == []


def test_what_the_newer_one_refuses() -> None:
    (line,) = changes(TWO, "1.8", "1.9")

    assert line.startswith(
        "error upgrade-refuses spec.template.spec.domain.devices.interfaces[0]: KubeVirt 1.9 refuses"
    )
    assert line.endswith("logical lan interface must have exactly one binding method or binding plugin")
    assert changes(TWO, "1.7", "1.8") == []


def test_what_the_newer_one_takes() -> None:
    (line,) = changes(CDROM, "1.8", "1.9", gates="none")

    assert line.startswith(
        "info upgrade-admits spec.template.spec.domain.devices.disks[0].name: KubeVirt 1.9 no longer"
    )


@pytest.mark.parametrize(
    ("old", "new", "words"), [("1.7", "1.8", "1.8 reads this key"), ("1.8", "1.7", "1.7 drops this key")]
)
def test_a_key_that_comes_to_be_read(old: str, new: str, words: str) -> None:
    text = vm(devices="{interfaces: [{name: lan, passtBinding: {}, masquerade: {}}]}").replace(
        "      domain:", "      networks: [{name: lan, pod: {}}]\n      domain:"
    )

    assert any("upgrade-changes" in line and words in line for line in changes(text, old, new, gates="all"))


def test_what_changes_without_a_rule_of_admission() -> None:
    hook = vm(annotations='{hooks.kubevirt.io/hookSidecars: \'[{"image": "a.b/c"}]\'}')
    (line,) = changes(hook, "1.8", "1.9")

    assert line.startswith("info upgrade-changes spec.template.metadata.annotations[hooks.kubevirt.io/hookSidecars]: ")
    assert "deprecated" in line


def test_every_change_names_a_release_that_is_known() -> None:
    assert {change.release for change in CHANGES} <= set(NAMES[1:])


def test_the_page_is_that_of_the_tables() -> None:
    path = ROOT / "docs/upgrade.md"

    assert path.read_text(encoding="utf-8") == page(), "run: python -m hostdev.lint.upgrade docs/upgrade.md"
