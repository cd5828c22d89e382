"""`passgate inject` as a process: a filter that prints XML when all is well, and a sentence when it is not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.domxml.baddocuments import BAD_DOCUMENTS
from tests.domxml.domains import FOLDER, load
from tests.domxml.guestslots import tree_of
from tests.hostdev.cli.injecting import Outcome, passgate

QAT = "0000:3d:02.2"
OFFLINE = ("--host", "none")


def inject(*arguments: str, given: bytes = b"") -> Outcome:
    return passgate("inject", *OFFLINE, *arguments, given=given)


def refused(outcome: Outcome, code: int) -> str:
    """A refusal prints nothing on standard output, a sentence on standard error, and never a traceback."""
    assert (outcome.code, outcome.out) == (code, b""), outcome
    assert outcome.err.strip()
    assert "Traceback" not in outcome.err
    assert "internal" not in outcome.err
    return outcome.err


def test_it_is_a_filter() -> None:
    outcome = inject("--device", f"{QAT},name=qat", given=load("q35-default"))

    assert (outcome.code, outcome.err) == (0, "")
    assert tree_of(outcome.out).find("devices/hostdev/alias").get("name") == "ua-passgate-qat"
    assert inject("--device", f"{QAT},name=qat", given=outcome.out).out == outcome.out


def test_without_a_device_the_very_same_bytes_come_out() -> None:
    assert inject(str(FOLDER / "q35-default.xml")).out == load("q35-default")


def test_the_diff_shows_what_changed_and_nothing_else() -> None:
    diff = inject("--device", f"{QAT},name=qat", "-o", "diff", str(FOLDER / "q35-default.xml")).out.decode()

    assert diff.startswith("--- ")
    assert '+\t\t<hostdev mode="subsystem" type="pci" managed="no">' in diff
    assert not [line for line in diff.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert "vmport" not in diff


def test_the_story_says_where_and_why() -> None:
    story = inject("--device", f"{QAT},name=qat", "-o", "plan", str(FOLDER / "q35-default.xml")).out.decode()

    assert f"{QAT} -> guest 0000:09:00.0" in story
    assert "ua-passgate-qat: a root port of its own, above all others" in story


def test_the_plan_for_programs_has_its_keys() -> None:
    plan = json.loads(inject("--device", f"{QAT},name=qat", "-o", "json", str(FOLDER / "q35-default.xml")).out)
    device = plan["devices"][0]

    assert (plan["apiVersion"], plan["kind"]) == ("passgate.dev/v1", "Plan")
    assert set(plan) >= {"devices", "controllers", "findings"}
    assert set(device) >= {"name", "alias", "type", "source", "guestAddress", "resource", "sources", "action"}
    assert (device["source"], device["guestAddress"], device["action"]) == (QAT, "0000:09:00.0", "added")


def test_findings_of_a_plan_have_their_keys() -> None:
    arguments = ("--device", f"{QAT},name=qat,guest=00:04.0", "-o", "json", str(FOLDER / "i440fx.xml"))
    outcome = inject(*arguments)
    finding = json.loads(outcome.out)["findings"][0]

    assert set(finding) == {"code", "severity", "subject", "message", "hint", "evidence"}
    assert finding["code"] == "base-device-moves"
    assert "warning" in outcome.err
    assert inject(*arguments, "--fail-on", "error").code == 0
    assert inject(*arguments, "--fail-on", "warning").code == 1


SPECS = {
    "empty": ("", "--device needs a value"),
    "not an address": ("hello", "bad-address"),
    "slot too high": ("0000:00:20.0", "bad-address"),
    "function too high": ("0000:00:02.8", "bad-address"),
    "one digit": ("3b:0.1", "bad-address"),
    "full-width digits": ("\uff10000:3b:00.1", "bad-address"),
    "path": ("../../../etc/passwd", "bad-address"),
    "line break": ("0000:3b:00.1\n", "bad-address"),
    "bad UUID": ("c0ffee-1111-2222-3333-44445555666g", "bad-uuid"),
    "no value": (f"{QAT},name", "bad-device"),
    "unknown key": (f"{QAT},rom.baar=off", "did you mean rom.bar"),
    "key twice": (f"{QAT},name=a,name=b", "twice"),
    "bad name": (f"{QAT},name=a.b", "name"),
    "long name": (f"{QAT},name={'a' * 64}", "name"),
    "bad guest": (f"{QAT},guest=09", "bad-address"),
    "bad functions": (f"{QAT},functions=two", "functions"),
    "bad numa": (f"{QAT},numa=near", "numa"),
    "bad attribute": (f"{QAT},rom.bar=maybe", "bad-attribute"),
    "two functions 0": (f"{QAT},functions=9", "functions"),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_bad_device_is_refused_in_a_sentence(name: str) -> None:
    spec, words = SPECS[name]

    assert words in refused(inject("--device", spec, given=load("q35-default")), 2)


REFUSALS = {
    "VMD": ("10000:e1:00.0", 2, "domain-too-large"),
    "all functions of an unknown host": (f"{QAT},functions=all", 5, "functions-need-host"),
    "functions of a mediated device": ("c0ffee00-1111-2222-3333-444455556666,functions=all", 5, "functions"),
    "guest address taken": (f"{QAT},guest=00:02.0", 5, "guest-address-taken"),
    "guest address impossible": (f"{QAT},guest=09:01.0", 5, "guest-address-impossible"),
    "attribute of a newer libvirt": (f"{QAT},driverModel=mlx5_vfio_pci", 5, "libvirt-too-old"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_met_exactly_is_refused(name: str) -> None:
    spec, code, words = REFUSALS[name]

    assert words in refused(inject("--device", spec, given=load("q35-default")), code)


@pytest.mark.parametrize("name", [name for name in BAD_DOCUMENTS if name not in {"oversize", "too deep"}])
def test_a_bad_document_is_refused_in_a_sentence(name: str) -> None:
    data, code = BAD_DOCUMENTS[name]

    assert code in refused(inject("--device", QAT, given=data), 2)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert "No such file" in refused(inject("--device", QAT, str(tmp_path / "none.xml")), 2)
    assert "directory" in refused(inject("--device", QAT, str(tmp_path)), 2)


@pytest.mark.parametrize("arguments", [("--libvirt", "new"), ("--nonsense",), ("-o", "pdf"), ("a", "b")])
def test_a_wrong_use_is_told(arguments: tuple[str, ...]) -> None:
    refused(inject("--device", QAT, *arguments, given=load("q35-default")), 2)


def test_several_devices_without_names_are_numbered_whatever_their_order() -> None:
    one = inject("--device", "3d:02.2", "--device", "3d:02.3", given=load("q35-default"))
    other = inject("--device", "3d:02.3", "--device", "3d:02.2", given=load("q35-default"))
    aliases = [e.get("name") for e in tree_of(one.out).iterfind("devices/hostdev/alias")]

    assert one.out == other.out
    assert aliases == ["ua-passgate-device-1", "ua-passgate-device-2"]


def test_two_runs_in_a_row_keep_both_devices_and_prune_takes_the_first_out() -> None:
    first = inject("--device", "3d:02.2", given=load("q35-default")).out
    second = inject("--device", "3d:02.3", given=first)
    pruned = inject("--device", "3d:02.3", "--prune", given=second.out)

    assert second.out.count(b"<hostdev") == 2
    assert pruned.out.count(b"<hostdev") == 1


PLAIN = b"""<domain type='test'><name>plain</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><memballoon model='none'/>%s</devices></domain>"""


def test_a_live_libvirt_is_the_judge() -> None:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    judge = ("--device", f"{QAT},name=qat", "--validate", "test:///default")
    plain = (PLAIN % b"").replace(b"'test'", b"'kvm'")
    outcome = inject(*judge, given=plain)
    lenient = inject(*judge, given=load("q35-minimal").replace(b' slots="0"', b' slots="1"'))
    broken = (PLAIN % b"<serial type='pty'><target type='isa-serial' port='x'/></serial>").replace(b"'test'", b"'kvm'")

    assert (outcome.code, outcome.err) == (0, "")
    assert lenient.code == 0
    assert "schema" in lenient.err
    assert "libvirt-refuses" in refused(inject(*judge, given=broken), 5)
    assert "libvirt-unreachable" in refused(inject("--device", QAT, "--validate", "qemu+no:///x", given=plain), 2)


def test_a_domain_is_taken_out_of_what_it_stands_in() -> None:
    status = b"<domstatus state='running'>" + load("q35-default").strip() + b"</domstatus>"
    outcome = inject("--device", f"{QAT},name=qat", given=status)

    assert outcome.code == 0
    assert tree_of(outcome.out).tag == "domain"
    assert "info: domain-taken-out: <domstatus>: the domain was taken out of it" in outcome.err


def test_the_release_of_kubevirt_is_told_or_refused() -> None:
    domain = str(FOLDER / "q35-default.xml")

    assert inject("--kubevirt", "1.7.4", "--device", f"{QAT},name=qat", domain).code == 0
    assert "is not a release of KubeVirt" in refused(inject("--kubevirt", "one", "--device", QAT, domain), 2)


MINE = (
    b"<domain type='kvm'><name>mine</name><os><type arch='x86_64' machine='q35'>hvm</type></os>\n<devices>\n"
    b"<hostdev mode='subsystem' type='pci' managed='yes'>"
    b"<source><address domain='0' bus='0x3d' slot='2' function='1'/></source>%s"
    b"<address type='pci' domain='0' bus='0' slot='0x10' function='0'/></hostdev>\n"
    b"<memballoon model='none'/>\n</devices>\n</domain>\n"
)


def test_a_removed_device_leaves_the_first_bytes() -> None:
    first = load("q35-default")
    with_it = inject("--device", f"{QAT},name=qat", given=first).out

    for word in (QAT, "3d:02.2", "pci_0000_3d_02_2", "ua-passgate-qat", "qat"):
        assert inject("--remove", word, given=with_it) == Outcome(0, first, "")
    assert inject("--prune", given=with_it).out == first


def test_what_is_removed_is_planned_and_refused_like_anything_else() -> None:
    with_it = inject("--device", f"{QAT},name=qat", given=load("q35-default")).out

    story = inject("--remove", "qat", "-o", "plan", given=with_it).out.decode()
    assert "  removed   ua-passgate-qat\n" in story
    assert "  removed   9 PCI controllers: pcie-root-port 1-9\n" in story
    plan = json.loads(inject("--remove", "qat", "-o", "json", given=with_it).out)
    assert plan["removed"] == ["ua-passgate-qat"]
    assert {"index": 9, "model": "pcie-root-port", "guestAddress": "0000:00:10.0"} in plan["removedControllers"]
    words = refused(inject("--remove", "3d:02.5", given=with_it), 5)
    assert "device-not-in-domain" in words
    assert "0000:3d:02.2 (ua-passgate-qat)" in words
    assert "device-both-ways" in refused(inject("--remove", "qat", "--device", QAT, given=with_it), 2)


def test_a_device_that_moves_is_told_with_both_addresses() -> None:
    outcome = inject("--device", "3d:02.1,guest=10:00.0", given=MINE % b"")

    assert outcome.code == 0
    assert "device-moves" in outcome.err
    assert "becomes 0000:10:00.0 instead of 0000:00:10.0" in outcome.err
    assert b"managed='yes'" in outcome.out
    plan = json.loads(inject("--device", "3d:02.1,guest=10:00.0", "-o", "json", given=MINE % b"").out)
    assert plan["devices"][0]["guestAddressBefore"] == "0000:00:10.0"
    story = inject("--device", "3d:02.1,guest=10:00.0", "-o", "plan", given=MINE % b"").out.decode()
    assert "it was at 0000:00:10.0" in story
    # Once it is there, there is nothing to tell.
    assert inject("--device", "3d:02.1,guest=10:00.0", given=outcome.out) == Outcome(0, outcome.out, "")


def test_a_device_gets_another_name_where_one_is_given() -> None:
    mine = MINE % b"<alias name='ua-mine'/>"

    assert inject("--device", "3d:02.1", given=mine) == Outcome(0, mine, "")
    outcome = inject("--device", "3d:02.1,name=other", given=mine)
    assert "device-renamed: ua-passgate-other: 0000:3d:02.1 had the alias ua-mine" in outcome.err
    assert tree_of(outcome.out).find("devices/hostdev/alias").get("name") == "ua-passgate-other"
    assert inject("--device", "3d:02.1,name=other", given=outcome.out) == Outcome(0, outcome.out, "")
    again = inject("--device", "3d:02.1,name=third", "-o", "json", given=outcome.out)
    assert json.loads(again.out)["devices"][0]["aliasBefore"] == "ua-passgate-other"


def test_a_setting_without_effect_is_told() -> None:
    kubevirts = MINE % b"<alias name='ua-gpu-one'/>"

    outcome = inject("--device", "3d:02.1,name=other", given=kubevirts)
    assert (outcome.code, outcome.out) == (0, kubevirts)
    assert "setting-ignored: ua-gpu-one: name=other: the device keeps the alias" in outcome.err
    outcome = inject("--device", "3d:02.1,numa=1", given=MINE % b"<alias name='ua-mine'/>")
    assert "setting-ignored: ua-mine: numa=1: the device stays where it is, at 0000:00:10.0" in outcome.err


@pytest.mark.parametrize(
    ("setting", "there", "then"),
    [("", "yes", "yes"), (",managed=keep", "yes", "yes"), (",managed=no", "yes", "no"), (",managed=yes", "no", "yes")],
)
def test_managed_is_kept_or_changed_as_it_is_asked(setting: str, there: str, then: str) -> None:
    given = (MINE % b"<alias name='ua-mine'/>").replace(b"managed='yes'", f"managed='{there}'".encode())

    after = inject("--device", f"3d:02.1{setting}", given=given).out

    assert after == given.replace(f"managed='{there}'".encode(), f"managed='{then}'".encode())


@pytest.mark.parametrize(("setting", "written"), [("", b"no"), (",managed=keep", b"no"), (",managed=yes", b"yes")])
def test_a_new_device_is_managed_where_that_is_asked(setting: str, written: bytes) -> None:
    after = inject("--device", f"{QAT}{setting}", given=MINE % b"").out

    assert b"<hostdev mode='subsystem' type='pci' managed='%s'>" % written in after.replace(MINE[:250], b"")


def test_in_a_pod_libvirt_does_not_take_devices() -> None:
    assert "virt-launcher's pod" in refused(inject("--device", f"{QAT},managed=yes", given=load("q35-default")), 5)


def test_the_short_plan_has_one_line_for_all_controllers() -> None:
    short = inject("--device", f"{QAT},name=qat", "-o", "plan", str(FOLDER / "q35-default.xml")).out.decode()
    wide = inject("--device", f"{QAT},name=qat", "-o", "wide", str(FOLDER / "q35-default.xml")).out.decode()

    assert short.count("pcie-root-port") == 1
    assert "  added     9 PCI controllers: pcie-root-port 1-9\n" in short
    assert "  added     pcie-root-port 9 at 0000:00:10.0\n            for qat\n" in wide


def test_a_diff_is_a_patch_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "vm.xml"
    for given in ((MINE % b"").replace(b"\n", b"\r\n"), (MINE % b"").rstrip(), b"\xef\xbb\xbf" + MINE % b""):
        path.write_bytes(given)
        wanted = inject("--device", QAT, str(path)).out
        patch = inject("--device", QAT, "-o", "diff", str(path)).out

        subprocess.run(["patch", "--binary", "-s", str(path)], input=patch, check=True)

        assert path.read_bytes() == wanted


def test_a_snippet_needs_no_domain() -> None:
    outcome = inject("--device", f"{QAT},name=qat", "--device", "3d:02.3", "-o", "hostdev")

    assert outcome.code == 0
    assert "standard input was not read" in outcome.err
    first, second = outcome.out.decode().split("</hostdev>\n")[:2]
    assert tree_of(f"{first}</hostdev>").find("alias").get("name") == "ua-passgate-qat"
    assert tree_of(f"{second}</hostdev>").find("address") is None
    given = inject("-", "--device", QAT, "-o", "hostdev", given=load("q35-default"))
    assert (given.code, "place-not-checked" in given.err) == (0, True)
    assert "no device is named" in refused(inject("-o", "hostdev"), 2)
    assert "detach-device" in refused(inject("--remove", "qat", "-o", "hostdev"), 2)


@pytest.mark.parametrize("word", ["nvidia-222", "i915-GVTg_V5_4", "vfio_ap-passthrough"])
def test_a_type_of_mediated_devices_is_told_from_one(word: str) -> None:
    words = refused(inject("--device", word, given=load("q35-default")), 2)

    assert "type of mediated devices; a device has a UUID" in words
    assert "mdevctl list" in words


def test_a_manifest_is_as_good_as_a_domain() -> None:
    done = passgate("inject", "deploy/examples/qat/vm.yaml", "--env", "QAT0=0000:3d:02.2", "-o", "json")

    (device,) = json.loads(done.out)["devices"]
    assert (device["source"], device["guestAddress"]) == ("0000:3d:02.2", "0000:10:00.0")
    assert "the domain is made as KubeVirt 1.9" in done.err
