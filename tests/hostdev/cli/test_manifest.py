"""`passgate manifest`: the documents as they are printed, and the words beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from domxml.errors import ExitCode
from hostdev.cli.commands.cluster import MANIFEST
from hostdev.manifest.pool import By, Wanted
from tests.deploy import schemas
from tests.hostdev.cli.running import ROOT, Ran, host

NAMES = ("--pci-ids", "tests/hostdev/manifest/pci.ids")
GOLDEN = {
    "qat": ("8086:37c9", "--guest", "0000:10:00.0"),
    "consumer-gpu": ("01:00.0,rom.bar=off", "01:00.1", "--name", "render"),
    "tesla-t4": ("nvidia-222", "10de:1eb8", "--name", "inference"),
    "two-socket-x710": ("3b:00.0", "af:00.0", "--vlan", "100", "--node", "node1", "--bond"),
    "kunpeng": ("83:02.0", "84:02.0", "--by", "cni", "--namespace", "edge"),
    "hgx-h100": ("19:00.0", "1a:00.0", "--image", "registry.example/team/passgate-hook:0.1.0"),
    "intel-igpu": ("vga", "--resource", "intel.com/sriov-gpudevice", "--kubevirt", "harvester-system/kubevirt"),
}
QAT = ("manifest", "8086:37c9", *host("qat"), *NAMES)


@pytest.mark.parametrize("machine", GOLDEN)
def test_the_documents_are_as_they_were(
    machine: str, cli: Callable[..., Ran], golden: Callable[[str, str], None]
) -> None:
    ran = cli("manifest", *GOLDEN[machine], *host(machine), *NAMES)

    assert ran.code == 0
    golden(f"manifest-{machine}.yaml", ran.out)
    golden(f"manifest-{machine}.txt", ran.err)


def test_what_the_agent_offers_is_as_it_was(cli: Callable[..., Ran], golden: Callable[[str, str], None]) -> None:
    ran = cli("manifest", "10de:1e04", "--by", "passgate", *host("consumer-gpu"), *NAMES)

    assert ran.code == 0
    golden("manifest-offer.yaml", ran.out)
    golden("manifest-offer.txt", ran.err)


@pytest.mark.parametrize("by", [(), ("--by", "kubevirt")])
def test_a_part_that_nothing_writes_is_refused(cli: Callable[..., Ran], by: tuple[str, ...]) -> None:
    ran = cli(*QAT, *by, "--only", "node")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "--by passgate" in ran.err


def test_the_node_s_part_is_the_file_that_the_page_plans(cli: Callable[..., Ran]) -> None:
    ran = cli("manifest", "10de:1e04", "--by", "passgate", "--only", "node", *host("consumer-gpu"), *NAMES)

    assert ran.out == (ROOT / "tests/fixtures/nodestate/offered-gpu.yaml").read_text()


def test_the_node_s_part_is_read_as_it_is_and_lint_has_nothing_against_all_three(
    cli: Callable[..., Ran], tmp_path: Path
) -> None:
    words = ("manifest", "10de:1e04", "--by", "passgate", *host("consumer-gpu"), *NAMES)
    parts = {part: tmp_path / f"{part}.yaml" for part in ("node", "cluster", "vm")}
    for part, file in parts.items():
        file.write_text(cli(*words, "--only", part).out)

    planned = cli("node", "state", "plan", str(parts["node"]), *host("consumer-gpu"))
    linted = cli("lint", *map(str, parts.values()), "--ignore", "sidecar-gate", "-o", "json")
    together = tmp_path / "all.yaml"
    together.write_text(cli(*words).out)

    assert (planned.code, "0000:01:00.3/driver_override" in planned.out) == (0, True)
    assert json.loads(linted.out)["items"] == []
    assert json.loads(cli("lint", str(together), "--ignore", "sidecar-gate", "-o", "json").out)["items"] == []


@pytest.mark.parametrize("machine", GOLDEN)
def test_json_says_the_same(machine: str, cli: Callable[..., Ran]) -> None:
    words = ("manifest", *GOLDEN[machine], *host(machine), *NAMES)
    document = json.loads(cli(*words, "-o", "json").out)

    assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    assert document["items"] == list(yaml.safe_load_all(cli(*words).out))
    for item in document["items"]:
        schemas.check(item)


def test_what_could_be_a_number_is_quoted(cli: Callable[..., Ran]) -> None:
    out = cli("manifest", "01:00.0", *host("consumer-gpu"), "--pci-ids", "/dev/null").out

    assert '"10DE:1E04"' in out
    assert 'vendor: "8086"' in cli("manifest", "3b:00.0", *host("two-socket-x710")).out


@pytest.mark.parametrize(("part", "kinds"), [("cluster", ["KubeVirt"]), ("vm", ["VirtualMachine"])])
def test_one_part(part: str, kinds: list[str], cli: Callable[..., Ran]) -> None:
    documents = list(yaml.safe_load_all(cli(*QAT, "--only", part).out))

    assert [document["kind"] for document in documents] == kinds


def test_findings_decide_on_the_exit_code(cli: Callable[..., Ran]) -> None:
    words = ("manifest", "3b:00.0", *host("tesla-t4"), *NAMES)
    ran = cli(*words, "--fail-on", "error")

    assert (cli(*words).code, ran.code) == (ExitCode.DONE, ExitCode.FINDINGS)
    assert "ERROR    0000:3b:00.0: is on nvidia [not-bound-to-vfio]" in ran.err
    assert (bool(cli(*words).out), ran.out) == (True, "")


def test_the_vm_gets_its_device(cli: Callable[..., Ran], tmp_path: Path) -> None:
    """What the plugin tells the pod of such a VM is injected."""
    file = tmp_path / "vm.yaml"
    file.write_text(cli("manifest", *GOLDEN["qat"], *host("qat"), "--only", "vm").out)
    domain = "tests/fixtures/domains/q35-default.xml"
    words = ("inject", domain, "--vmi", str(file), "--env", "QAT0=0000:3d:02.2", *host("qat"), "-o", "json")
    (device,) = json.loads(cli(*words).out)["devices"]

    assert (device["source"], device["resource"], device["alias"]) == (
        "0000:3d:02.2",
        "qat.intel.com/generic",
        "ua-passgate-qat",
    )


def test_the_device_that_kubevirt_puts_in_is_found(cli: Callable[..., Ran], tmp_path: Path) -> None:
    file, domain = tmp_path / "vm.yaml", tmp_path / "domain.xml"
    file.write_text(cli("manifest", "19:00.0", *host("hgx-h100"), *NAMES, "--only", "vm").out)
    (gpu,) = yaml.safe_load(file.read_text())["spec"]["template"]["spec"]["domain"]["devices"]["gpus"]
    there = (ROOT / "tests/fixtures/domains/q35-gpu-1.xml").read_text()
    domain.write_text(re.sub(r"ua-gpu-[\w-]+", f"ua-gpu-{gpu['name']}", there))
    (device,) = json.loads(cli("inject", str(domain), "--vmi", str(file), "-o", "json").out)["devices"]

    assert device["alias"] == f"ua-gpu-{gpu['name']}"


def test_images_of_nobody_are_told(cli: Callable[..., Ran]) -> None:
    note = "are to be replaced"

    assert note in cli(*QAT).err
    assert note not in cli(*QAT, "--only", "cluster").err
    assert note not in cli(*QAT, "--image", "a.b/passgate:1", "--disk", "a.b/disk:1").err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((), ExitCode.USAGE, "no device is named"),
        (("3d:1f.7",), ExitCode.REFUSED, "the nearest are"),
        (("3d:00.0",), ExitCode.REFUSED, "[pf-with-vfs]"),
        (("00:1c.0",), ExitCode.REFUSED, "[not-an-endpoint]"),
        (("8086:37c9", "--by", "nobody"), ExitCode.USAGE, "--by cannot be 'nobody'"),
        (("8086:37c9", "--resource", "QAT"), ExitCode.USAGE, "[bad-resource]"),
        (("8086:37c9", "--by", "operator"), ExitCode.USAGE, "is for those only"),
        (("8086:37c9", "--name", "My_VM"), ExitCode.USAGE, "--name cannot be 'My_VM'"),
        (("8086:37c9", "--namespace", "-"), ExitCode.USAGE, "--namespace cannot be '-'"),
        (("8086:37c9", "--node", "a..b"), ExitCode.USAGE, "--node cannot be"),
        (("8086:37c9", "--kubevirt", "kubevirt"), ExitCode.USAGE, "NAMESPACE/NAME"),
        (("8086:37c9", "--operator-namespace", ""), ExitCode.USAGE, "--operator-namespace needs a value"),
        (("8086:37c9", "--image", "two words"), ExitCode.USAGE, "--image cannot be"),
        (("8086:37c9", "--vlan", "4095"), ExitCode.USAGE, "--vlan cannot be 4095"),
        (("8086:37c9", "--vlan", "x"), ExitCode.USAGE, "needs a number"),
        (("8086:37c9", "--guest", "10"), ExitCode.USAGE, "PCI address"),
        (("8086:37c9", "--functions", "0,1"), ExitCode.USAGE, "--functions cannot be '0,1'"),
        (("8086:37c9", "--bond"), ExitCode.USAGE, "the VM has 0"),
    ],
)
def test_what_is_wrong_is_a_sentence(words: tuple[str, ...], code: int, text: str, cli: Callable[..., Ran]) -> None:
    ran = cli("manifest", *words, *host("qat"), *NAMES)

    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err
    assert "\nhint: " in ran.err


@pytest.mark.parametrize(
    ("words", "told"), [(("--by", "operator"), True), (("--by", "cni"), True), (("--only", "vm"), False)]
)
def test_who_requests_a_networks_device_from_kubevirt_1_9_on(
    words: tuple[str, ...],
    told: bool,  # noqa: FBT001
    cli: Callable[..., Ran],
) -> None:
    said = cli("manifest", "3b:00.0", "--vfs", "8", *host("two-socket-x710"), *words)

    assert ("network-resources-injector" in said.err) == told


def test_on_a_machine_where_nothing_passes(cli: Callable[..., Ran]) -> None:
    assert "`passgate node list`" in cli("manifest", *host("empty")).err


def test_the_page_has_every_way_and_option() -> None:
    text = (ROOT / "docs/manifest.md").read_text()

    assert {f"| `{by}` |" for by in By} == set(re.findall(r"^\| `[a-z]+` \|", text, re.MULTILINE))
    shared = {"--host", "--output", "--pci-ids", "--kubevirt", "--operator-namespace"}
    options = {argument.names[-1] for argument in MANIFEST.options} - shared
    assert {option for option in options if f"{option}" not in text} == set()


def test_the_table_has_the_defaults_of_the_core() -> None:
    defaults = {argument.dest: argument.default for argument in MANIFEST.options}
    wanted = Wanted()

    assert (defaults["image"], defaults["disk"], defaults["name"]) == (wanted.image, wanted.disk, wanted.name)
    assert (defaults["namespace"], defaults["operator_namespace"]) == (wanted.namespace, wanted.operator)
    assert defaults["kubevirt"] == "/".join(wanted.kubevirt)
    (by,) = (argument for argument in MANIFEST.options if argument.names == ("--by",))
    assert by.choices == tuple(By)
