"""`passgate node state`: what it prints, writes and ends with."""

from __future__ import annotations

import base64
import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from hostdev.kubelet.resourcename import DRIVER
from tests.hostdev.cli.running import MACHINES, Ran, host
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.layout import lay_out

HEAD = "apiVersion: passgate.dev/v1\nkind: NodeState\nmetadata: {name: mine}\n"
DRIFTED = HEAD + "spec: {virtualFunctions: [{match: {address: 3f:00.0, id: 8086:37c8}, count: 16, driver: vfio-pci}]}\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """Write a file and say where it is."""

    def write(text: str) -> str:
        path = tmp_path / "node-state.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_what_is_exported_is_held(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    exported = cli("node", "state", "export", *host("qat"))

    told = cli("node", "state", "status", file(exported.out), *host("qat"))

    assert (exported.code, exported.err, told.code, told.err) == (0, "", 0, "")
    assert {line.split()[2] for line in told.out.splitlines()[1:]} == {"held"}


def test_json_and_yaml_export_the_same(cli: Callable[..., Ran]) -> None:
    words = ("node", "state", "export", *host("kunpeng"), "--name", "kunpeng-1")
    document = json.loads(cli(*words, "-o", "json").out)

    assert document == yaml.safe_load(cli(*words).out)
    assert document["metadata"] == {"name": "kunpeng-1"}
    assert list(errors(document, schema("nodestate.json"))) == []


def test_drift_is_told_and_ends_with_1(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli("node", "state", "status", file(DRIFTED), *host("qat"), "-o", "json")
    document = json.loads(told.out)

    assert told.code == 1
    assert document["kind"] == "NodeStateStatus"
    assert list(errors(document, schema("nodestatestatus.json"))) == []
    pf, first, *others = document["items"]
    assert (pf["entry"], pf["device"], pf["state"]) == ("virtualFunctions[0]", "0000:3f:00.0", "held")
    assert (first["entry"], first["device"], first["state"]) == ("virtualFunctions[0]", "0000:3f:01.0", "drifted")
    assert first["drift"] == [{"what": "driver", "want": "vfio-pci", "have": "c6xxvf", "by": None}]
    assert len(others) == 15


def test_a_missing_parameter_is_a_pending_reboot(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli(
        "node", "state", "status", file(HEAD + "spec: {kernel: {parameters: [iommu=pt]}}\n"), *host("intel-igpu")
    )

    assert told.code == 1
    assert "kernel parameter: iommu=pt is wanted, - is there" in told.out
    assert "reboot pending" in told.out


def test_every_mistake_of_a_file_has_its_line(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    name = file(HEAD + "spec:\n  devices:\n  - {match: {id: x}}\n  offers: 1\n")
    told = cli("node", "state", "status", name, *host("qat"))

    assert told.code == 2
    assert told.out == ""
    assert (
        f"error: {name}:7:3: spec.offers: is no key that is known [bad-node-state]\nhint: did you mean offer?"
        in told.err
    )
    assert f"error: {name}:6:14: spec.devices[0].match.id: must be vendor:device" in told.err
    assert f"error: {name}:6:5: spec.devices[0].driver: is missing" in told.err


def test_a_newer_file_is_refused(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli("node", "state", "status", file(DRIFTED.replace("v1", "v2")), *host("qat"))

    assert (told.code, told.out) == (2, "")
    assert "[node-state-version]" in told.err


def test_a_recording_has_no_name(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    named = file(HEAD.replace("mine", "mine, nodes: {names: [worker-1]}") + "spec: {}\n")

    assert "[node-unknown]" in cli("node", "state", "status", named, *host("qat")).err
    assert cli("node", "state", "status", named, *host("qat"), "--node", "worker-1").code == 0
    other = cli("node", "state", "status", named, *host("qat"), "--node", "worker-2")
    assert (other.code, other.out) == (0, "")
    assert other.err.startswith("note: none of 1 documents is for worker-2: mine\n")


def test_a_file_that_is_not_there(cli: Callable[..., Ran]) -> None:
    told = cli("node", "state", "status", "nowhere.yaml", *host("qat"))

    assert (told.code, told.out) == (2, "")
    assert "[unreadable-file]" in told.err


def test_a_plan_has_a_transaction_an_item(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli("node", "state", "plan", file(DRIFTED), *host("qat"), "-o", "json")
    document = json.loads(told.out)

    assert told.code == 0
    assert (document["kind"], document["outcome"]) == ("Effects", "planned")
    assert list(errors(document, schema("effects.json"))) == []
    pf, item, *_ = document["items"]
    assert (pf["devices"], pf["outcome"], pf["steps"]) == (["0000:3f:00.0"], "nothing", [])
    assert (item["entry"], item["devices"], item["outcome"]) == ("virtualFunctions[0]", ["0000:3f:01.0"], "planned")
    assert item["steps"][0]["write"] == "/sys/bus/pci/devices/0000:3f:01.0/driver_override"
    assert {step["state"] for step in item["steps"]} == {"todo"}


def test_what_is_exported_plans_to_nothing(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    for machine in ("qat", "kunpeng", "intel-igpu", "tesla-t4"):
        exported = cli("node", "state", "export", *host(machine))
        document = json.loads(cli("node", "state", "plan", file(exported.out), *host(machine), "-o", "json").out)

        assert document["outcome"] == "nothing"
        assert not any(item["steps"] for item in document["items"])


def test_a_plan_that_is_refused_ends_with_5_and_shows_the_others(
    cli: Callable[..., Ran], file: Callable[[str], str]
) -> None:
    both = DRIFTED.replace("spec: {", "spec: {devices: [{match: {address: 3d:00.0}, driver: vfio-pci}], ")
    told = cli("node", "state", "plan", file(both), *host("qat"))

    assert told.code == 5
    assert (
        "virtualFunctions[0]  0000:3f:01.0\necho vfio-pci > /sys/bus/pci/devices/0000:3f:01.0/driver_override"
        in told.out
    )
    assert "[pf-with-vfs]" in told.out


def test_only_this_node_is_changed(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    name = file(DRIFTED)
    told = cli("node", "state", "apply", name, *host("qat"), "--yes")
    shown = cli("node", "state", "apply", name, *host("qat"), "--dry-run")

    assert (told.code, told.out) == (2, "")
    assert "only the running machine can be changed" in told.err
    assert shown.out == cli("node", "state", "plan", name, *host("qat")).out


@pytest.mark.parametrize("form", ["machineconfig", "talos", "cloud-init", "harvester"])
def test_forms_are_yaml_that_holds_the_file(form: str, cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    text = DRIFTED[:-2] + ", kernel: {parameters: [iommu=pt], moduleOptions: {vfio_pci: {disable_idle_d3: true}}}}\n"
    told = cli("node", "state", "install", file(text), "--for", form)

    assert told.code == 0
    everything = str(list(yaml.safe_load_all(told.out)))
    assert "iommu=pt" in told.out
    assert (
        "disable_idle_d3=Y" in everything
        or base64.b64encode(b"options vfio_pci disable_idle_d3=Y\n").decode() in told.out
    )
    assert repr(text)[1:-1] in everything or base64.b64encode(text.encode()).decode() in everything


def test_grub_gets_its_lines(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    text = HEAD + "spec: {kernel: {parameters: [iommu=pt, intel_iommu=on], moduleOptions: {i915: {max_vfs: 7}}}}\n"
    told = cli("node", "state", "install", file(text), "--for", "grub")

    assert 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX iommu=pt intel_iommu=on"\n' in told.out
    assert "options i915 max_vfs=7\n" in told.out


def test_a_dry_run_of_install_prints_the_service(
    cli: Callable[..., Ran], file: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passgate").write_text("#!/bin/sh\n")
    (tmp_path / "passgate").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    told = cli("node", "state", "install", file(DRIFTED), *host("qat"), "--dry-run")

    assert told.code == 0
    assert (
        f"ExecStart={tmp_path}/passgate node state apply --yes --deadline 120 /etc/passgate/node-state.yaml\n"
        in told.out
    )
    assert "After=systemd-udev-settle.service modprobe@vfio_pci.service" in told.out
    assert "Before=kubelet.service k3s.service" in told.out
    monkeypatch.setenv("PATH", "/nowhere")
    assert "[no-program]" in cli("node", "state", "install", file(DRIFTED), *host("qat"), "--dry-run").err


def test_what_a_service_is_too_late_for_is_said(
    cli: Callable[..., Ran], file: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passgate").write_text("#!/bin/sh\n")
    (tmp_path / "passgate").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    disk = HEAD + "spec: {devices: [{match: {class: nvme}, driver: vfio-pci}]}\n"
    told = cli("node", "state", "install", file(disk), *host("consumer-gpu"), "--dry-run")

    assert "is a disk that the initramfs may mount or assemble before any service runs; vfio-pci.ids=" in told.err


OFFER = HEAD + (
    "spec:\n"
    "  virtualFunctions: [{match: {address: 3f:00.0, id: 8086:37c8}, count: 16, driver: vfio-pci}]\n"
    "  offer:\n"
    "  - {resource: qat.intel.com/vf, match: {id: 8086:37c9}}\n"
    "  - {resource: example.com/pf, match: {id: 8086:37c8}}\n"
    "  - {resource: example.com/nic, match: {class: ethernet}, by: claim}\n"
)


def test_a_plan_shows_what_is_offered(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli("node", "state", "plan", file(OFFER), *host("qat"))
    rows = [
        line.split(None, 2) for line in told.out.splitlines() if line.startswith(("example.com/", "qat.intel.com/"))
    ]

    assert told.code == 0
    assert [row[2].split(None, 2)[-1] for row in rows[:2]] == ["not offered: offer-conflict (+2)"] * 2
    assert rows[2] == ["qat.intel.com/vf", "0000:3d:01.0", "+15   -      0      yes"]
    assert rows[3] == ["qat.intel.com/vf", "0000:3f:01.0", "+15   -      0      not yet: not-bound-to-vfio (+1)"]
    assert "qat.intel.com/vf: 16 of 32 units are ready\n" in told.out
    assert "and 31 more such pairs; the PF is not offered [offer-conflict]" in told.out


CLAIMS = HEAD + (
    "spec:\n"
    "  offer:\n"
    "  - {resource: example.com/vf, match: {id: 8086:4941}, by: claim}\n"
    "  - {resource: example.com/one, match: {address: 6b:00.1}, by: claim}\n"
    "  - {resource: example.com/pf, match: {id: 8086:37c8}, by: claim}\n"
)


def test_a_plan_says_what_claims_are_told_of(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    name = file(CLAIMS)
    told = cli("node", "state", "plan", name, *host("qat"))
    document = json.loads(cli("node", "state", "plan", name, *host("qat"), "-o", "json").out)

    assert list(errors(document, schema("effects.json"))) == []
    assert (
        "example.com/one, by claim: 1 of 1 units are ready; sharing with others, which counters exclude: 1\n"
        "example.com/pf, by claim: 0 of 2 units are ready\n"
    ) in told.out
    one, pfs, vfs = document["offer"]
    assert [unit["device"] for unit in pfs["units"]] == [None, None]
    assert one["units"][0]["device"].startswith("0000-6b-00-0-vf0-8086-4941-")
    assert one["units"][0]["counters"] == ["exclusive-0/group-7"]
    assert [unit["functions"] for unit in vfs["units"] if unit["counters"]] == [["0000:6b:00.1"]]


def test_an_offer_of_nothing_is_refused_and_stops_nothing(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    name = file(
        HEAD + "spec: {offer: [{resource: a.b/c, match: {id: 1234:5678}}, {resource: a.b/d, match: {id: 8086:37c9}}]}\n"
    )
    told = cli("node", "state", "plan", name, *host("qat"), "-o", "json")
    document = json.loads(told.out)

    assert told.code == 5
    assert list(errors(document, schema("effects.json"))) == []
    assert document["outcome"] == "refused"
    assert [finding["code"] for finding in document["findings"]] == ["entry-unmatched"]
    nothing, vfs = document["offer"]
    assert (nothing["resource"], nothing["entry"], nothing["units"]) == ("a.b/c", "offer[0]", [])
    assert (len(vfs["units"]), vfs["units"][0]["ready"], vfs["units"][0]["functions"]) == (32, True, ["0000:3d:01.0"])
    # Carrying out a file is nothing that an offer could hinder.
    assert cli("node", "state", "apply", name, *host("qat"), "--dry-run").code == 0


def test_status_tells_of_each_offer(cli: Callable[..., Ran], file: Callable[[str], str]) -> None:
    told = cli("node", "state", "status", file(OFFER), *host("qat"), "-o", "json")
    document = json.loads(told.out)

    assert list(errors(document, schema("nodestatestatus.json"))) == []
    assert [(item["entry"], item["state"]) for item in document["items"] if item["entry"].startswith("offer")] == [
        ("offer[0]", "drifted"),
        ("offer[1]", "drifted"),
        ("offer[2]", "refused"),
    ]
    assert {"what": "ready units", "want": 32, "have": 16, "by": None} in [
        drift for item in document["items"] for drift in item["drift"]
    ]


def test_a_plan_names_the_sets_of_a_resource(cli: Callable[..., Ran]) -> None:
    words = ("node", "state", "plan", "tests/fixtures/nodestate/hgx.yaml", *host("hgx-h100"))
    document = json.loads(cli(*words, "-o", "json").out)

    assert list(errors(document, schema("effects.json"))) == []
    assert [len(one["units"]) for one in document["offer"][0]["sets"]] == [8, 4, 4, 2, 2, 2, 2]
    assert "8 of 8 units are ready; sets: all-8, four-1, four-5, two-1, two-3, two-5, two-7\n" in cli(*words).out


BY_CLAIM = HEAD + "spec: {offer: [{resource: example.com/qat, match: {id: 8086:37c9}, by: claim}]}\n"


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Where a socket has room."""
    with tempfile.TemporaryDirectory(prefix="st-") as directory:
        yield Path(directory)


def test_entries_by_claim_want_their_driver_on_the_node(
    cli: Callable[..., Ran], file: Callable[[str], str], short_path: Path
) -> None:
    lay_out((MACHINES / "qat.toml").read_text(), short_path)
    name, kubelet = file(BY_CLAIM), short_path / "var/lib/kubelet"
    words = ("node", "state", "plan", name, "--host", str(short_path))
    assert "claims-not-served" not in cli(*words).out

    plugin = kubelet / f"plugins/{DRIVER}"
    plugin.mkdir(parents=True)
    told = cli(*words)
    assert (told.code, "claims-not-served" in told.out) == (0, True)
    status = json.loads(cli("node", "state", "status", name, "--host", str(short_path), "-o", "json").out)
    (line,) = status["items"]
    assert [one["code"] for one in line["findings"]] == ["claims-not-served"]

    with socket.socket(socket.AF_UNIX) as serving:
        serving.bind(str(plugin / "dra-0123abcd.sock"))
        assert "claims-not-served" not in cli(*words).out
