"""A NodeState file: what it says, and every mistake in it with its line."""

from __future__ import annotations

import contextlib
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.binding.state import (
    By,
    DeviceEntry,
    Match,
    ModuleOption,
    NodeState,
    OfferEntry,
    Parameter,
    UnitKind,
    UnitSet,
    VfEntry,
)
from hostdev.binding.statefile import BadState, Flaw, read_states, state_for
from hostdev.inventory.machine import PciFunction
from tests.hostdev.gate.build import at, function, machine

WHOLE = """\
apiVersion: passgate.dev/v1
kind: NodeState
metadata:
  name: gpu-nodes
  nodes:
    names: [worker-1, worker-2]
    has:
      - {id: "10DE:1eb8"}
spec:
  devices:
    - match: {address: 3b:00.0, id: 10de:1eb8, subsystem: 10de:12a2, class: 3d, numa: 0, driver: nvidia}
      driver: vfio-pci
      withGroup: true
    - match: {path: pci0000:3a/00.0/00.1}
      driver: auto
  virtualFunctions:
    - match: {id: 8086:1572}
      count: 8
      driver: vfio-pci
      settings: {vlan: 7, 0.mac: "02:00:00:00:00:01"}
  kernel:
    parameters: [intel_iommu=on, iommu=pt]
    moduleOptions:
      vfio-pci: {disable_idle_d3: true, ids: "10de:1eb8,10de:10f0"}
      i915: {max_vfs: 7}
"""
HEAD = "apiVersion: passgate.dev/v1\nkind: NodeState\n"


def read(text: str) -> NodeState:
    (state,) = read_states(text.encode(), "node.yaml")
    return state


def flaws(text: str) -> tuple[Flaw, ...]:
    with pytest.raises(BadState) as caught:
        read_states(text.encode(), "node.yaml")
    return caught.value.flaws


def said(text: str) -> list[tuple[int, str, str, str]]:
    """Line, place, message and hint of every mistake."""
    return [(flaw.line, flaw.finding.subject, flaw.finding.message, flaw.finding.hint) for flaw in flaws(text)]


def test_every_key_is_read() -> None:
    state = read(WHOLE)

    assert (state.name, state.nodes.names) == ("gpu-nodes", ("worker-1", "worker-2"))
    assert state.nodes.has == (Match(id=(0x10DE, 0x1EB8)),)
    card = Match(at("3b:00.0"), "", (0x10DE, 0x1EB8), (0x10DE, 0x12A2), "3d", 0, "nvidia")
    assert state.devices == (
        DeviceEntry("devices[0]", card, "vfio-pci", with_group=True),
        DeviceEntry("devices[1]", Match(path="pci0000:3a/00.0/00.1"), "auto"),
    )
    assert state.vfs == (
        VfEntry(
            "virtualFunctions[0]",
            Match(id=(0x8086, 0x1572)),
            8,
            "vfio-pci",
            {"vlan": "7", "0.mac": "02:00:00:00:00:01"},
        ),
    )
    assert state.parameters[1] == Parameter("kernel.parameters[1]", "iommu=pt")
    assert state.options == (
        ModuleOption("kernel.moduleOptions.vfio-pci.disable_idle_d3", "vfio_pci", "disable_idle_d3", "Y"),
        ModuleOption("kernel.moduleOptions.vfio-pci.ids", "vfio_pci", "ids", "10de:1eb8,10de:10f0"),
        ModuleOption("kernel.moduleOptions.i915.max_vfs", "i915", "max_vfs", "7"),
    )


def test_an_offer_is_read() -> None:
    state = read(
        HEAD + "spec:\n"
        "  offer:\n"
        "    - {resource: example.com/gpu, match: {class: vga}, unit: group, limit: 4}\n"
        "    - {resource: example.com/nic, match: {id: 8086:154c}, by: claim}\n"
    )

    assert state.offers == (
        OfferEntry("offer[0]", "example.com/gpu", Match(class_name="vga"), UnitKind.GROUP, 4),
        OfferEntry("offer[1]", "example.com/nic", Match(id=(0x8086, 0x154C)), by=By.CLAIM),
    )


SETS = """\
apiVersion: passgate.dev/v1
kind: UnitSets
metadata: {name: cards}
spec:
  sets:
    - {name: first, functions: [{address: "3b:00.0"}, {path: pci0000:3a/00.0/00.1, id: 8086:1572}], whole: true}
    - {name: second, functions: [{address: "3c:00.0"}]}
"""


def test_sets_stand_in_a_document_of_their_own() -> None:
    (sets,) = read_states(SETS.encode(), "sets.yaml")

    assert sets == NodeState(
        "cards",
        sets=(
            UnitSet(
                "sets[0]",
                "first",
                (Match(at("3b:00.0")), Match(path="pci0000:3a/00.0/00.1", id=(0x8086, 0x1572))),
                is_whole=True,
            ),
            UnitSet("sets[1]", "second", (Match(at("3c:00.0")),)),
        ),
    )
    states = read_states(f"{WHOLE}---\n{SETS}".encode(), "node.yaml")
    assert (state_for(states, machine(), "worker-1") or NodeState()).sets[0].place == "cards/sets[0]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("functions: [{address: 3b:00.0}]", "is missing"),
        ("name: a", "is missing"),
        ("name: a, functions: []", "is missing"),
        ("name: a, functions: [{id: 8086:1572}]", "names no place"),
        ("name: a, functions: [{}]", "fits every device"),
        ("name: 'a b', functions: [{address: 3b:00.0}]", "must be a name"),
        ("name: a, functions: [{address: 3b:00.0}], whole: maybe", "must be true or false"),
        ("name: a, functions: [{address: 3b:00.0}], hole: true", "is no key that is known"),
    ],
)
def test_a_mistake_of_a_set_has_its_line(text: str, message: str) -> None:
    (flaw,) = flaws(f"{SETS}    - {{{text}}}\n")

    assert flaw.line == 8
    assert message in flaw.finding.message


def test_two_resources_that_a_vm_cannot_tell_apart_are_refused() -> None:
    entries = "".join(
        f"    - {{resource: {name}, match: {{class: vga}}}}\n" for name in ("a.b/c", "a.b/d", "a.b/c", "a.b/C")
    )

    assert [(line, what) for line, _, what, _ in said(f"{HEAD}spec:\n  offer:\n{entries}")] == [
        (7, "is a.b/c, which offer[0] offers: a resource has one entry"),
        (8, "a.b/C and a.b/c of offer[0] are one variable in a VM's pod, PCI_RESOURCE_A_B_C"),
    ]


def test_an_empty_document_declares_nothing() -> None:
    assert read(HEAD) == NodeState()


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    text = HEAD + (
        "spec:\n"
        "  device: []\n"
        "  devices:\n"
        "    - match: {adress: 3b:00.0}\n"
        "      driver: vfio-pci\n"
        "    - match: {id: 8086}\n"
        "    - driver: vfio-pci\n"
        "  virtualFunctions:\n"
        "    - match: {id: 8086:1572}\n"
        "      count: many\n"
        "    - match: {class: 0200}\n"
        "      driver: a b\n"
    )

    assert said(text) == [
        (4, "spec.device", "is no key that is known", "did you mean devices?"),
        (6, "spec.devices[0].match.adress", "is no key that is known", "did you mean address?"),
        (
            8,
            "spec.devices[1].driver",
            "is missing",
            "vfio-pci; auto, for the vfio driver that fits best; or the name of a driver of the host",
        ),
        (8, "spec.devices[1].match.id", "must be text, is 8086", ""),
        (
            9,
            "spec.devices[2].match",
            "is missing",
            "name the device by address, id, subsystem, path, numa, class or driver",
        ),
        (12, "spec.virtualFunctions[0].count", 'must be a whole number, is "many"', ""),
        (13, "spec.virtualFunctions[1].count", "is missing", "say how many VFs each PF shall have"),
        (
            13,
            "spec.virtualFunctions[1].match.class",
            "must be text, is 128",
            "put the class into quotes: YAML reads it as a number",
        ),
        (
            14,
            "spec.virtualFunctions[1].driver",
            'must be the name of a driver, is "a b"',
            "such as vfio-pci, or auto",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("spec: {devices: [{match: {}, driver: vfio-pci}]}", 3, "fits every device"),
        ("spec: {devices: [{match: {class: etherent}, driver: vfio-pci}]}", 3, "is no class that is known"),
        ("spec: {devices: [{match: {numa: -1}, driver: vfio-pci}]}", 3, "must be 0 or more"),
        ("spec: {devices: [{match: {address: 3b:00}, driver: vfio-pci}]}", 3, "not a PCI address"),
        ("spec: {devices: [{match: {path: 3b:00.0}, driver: vfio-pci}]}", 3, "must be a host bridge"),
        ("spec: {devices: {}}", 3, "must be a list of objects"),
        ("spec:\n  kernel:\n    parameters: ['a b']", 5, "is not one parameter"),
        ("spec:\n  kernel:\n    moduleOptions: {vfio_pci: {ids: [1]}}", 5, "must be a text, a number or a truth value"),
        ("spec:\n  offer: [{resource: a.b/c}]", 4, "is missing"),
        ("spec:\n  offer: [{match: {class: vga}}]", 4, "is missing"),
        ("spec:\n  offer: [{resource: c, match: {class: vga}}]", 4, 'kubelet takes no such name: "c" has no domain'),
        ("spec:\n  offer: [{resource: a.b/c, match: {class: vga}, unit: groop}]", 4, 'cannot be "groop"'),
        ("spec:\n  offer: [{resource: a.b/c, match: {class: vga}, by: plugins}]", 4, 'cannot be "plugins"'),
        ("spec:\n  offer: [{resource: a.b/c, match: {class: vga}, limit: 0}]", 4, "must be between 1 and 65535"),
        ("spec:\n  offer: [{resource: a.b/c, match: {class: vga}, limits: 1}]", 4, "is no key that is known"),
        ("spec:\n  devices: []\n  devices: []", 5, "twice, for the first time in line 4"),
        ("metadata: {name: 'no name!'}", 3, "must be a name"),
        ("status: {}", 3, "is no key that is known"),
    ],
)
def test_a_mistake_has_its_line(text: str, line: int, message: str) -> None:
    (flaw,) = flaws(HEAD + text)

    assert (flaw.line, flaw.finding.code) == (line, "bad-node-state")
    assert message in flaw.finding.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("{", "is not YAML"),
        ("- 1", "must be an object"),
        ("kind: NodeState", "is missing"),
        ("apiVersion: passgate.dev/v1\nkind: ConfigMap", 'must be NodeState, is "ConfigMap"'),
        ("apiVersion: passgate.dev/v1", "is missing: NodeState is read here"),
    ],
)
def test_what_is_no_node_state_is_refused(text: str, message: str) -> None:
    (flaw,) = flaws(text)

    assert message in flaw.finding.message


def test_a_newer_file_is_refused_as_a_whole() -> None:
    newer = WHOLE + "---\napiVersion: passgate.dev/v2\nkind: NodeState\nspec: {somethingNew: 1}\n"
    (flaw,) = flaws(newer)

    assert (flaw.finding.code, flaw.line) == ("node-state-version", WHOLE.count("\n") + 2)
    assert "nothing of the file is done" in flaw.finding.message
    assert flaw.finding.hint.startswith("update Passgate")


def test_items_of_a_list_are_documents() -> None:
    item = {"apiVersion": "passgate.dev/v1", "kind": "NodeState"}
    one, two = read_states(f"{{apiVersion: v1, kind: List, items: [{item}, {item}]}}".encode(), "-")
    (flaw,) = flaws(f"apiVersion: v1\nkind: List\nitems:\n- {item}\n- apiVersion: passgate.dev/v1\n  kind: Other\n")

    assert one == two == NodeState()
    assert flaw.line == 6


T4 = function("0000:3b:00.0", vendor=0x10DE, device=0x1EB8)
TWO = """\
apiVersion: passgate.dev/v1
kind: NodeState
metadata: {name: one, nodes: {names: [worker-1]}}
spec: {devices: [{match: {id: 10de:1eb8}, driver: vfio-pci}]}
---
apiVersion: passgate.dev/v1
kind: NodeState
metadata: {name: two, nodes: {has: [{id: 8086:1572}]}}
spec: {devices: [{match: {id: 8086:1572}, driver: vfio-pci}]}
"""


@pytest.mark.parametrize(
    ("node", "functions", "entries"),
    [
        ("worker-1", (T4,), ["one/devices[0]"]),
        ("worker-1", (T4, function("0000:5b:00.0")), ["one/devices[0]", "two/devices[0]"]),
        ("worker-2", (function("0000:5b:00.0"),), ["two/devices[0]"]),
        ("worker-2", (T4,), None),
    ],
)
def test_a_node_takes_the_documents_that_are_for_it(
    node: str, functions: tuple[PciFunction, ...], entries: list[str] | None
) -> None:
    state = state_for(read_states(TWO.encode(), "two.yaml"), machine(*functions), node)

    assert (state and [entry.place for entry in state.devices]) == entries


def test_a_node_without_a_name_is_no_guess() -> None:
    with pytest.raises(BadInput, match="this one's is not known") as caught:
        state_for(read_states(TWO.encode(), "two.yaml"), machine(T4), None)

    assert caught.value.hint == "say which node it is: --node NAME; named are worker-1"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    with contextlib.suppress(BadState):
        read_states(text.encode("utf-8", "surrogatepass"), "node.yaml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["match", "driver", "count", "id", "address", "names", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["devices", "virtualFunctions", "kernel", "offer"]), VALUES))
def test_any_spec_is_read_or_refused_with_a_sentence(spec: dict[str, object]) -> None:
    document = {"apiVersion": "passgate.dev/v1", "kind": "NodeState", "spec": spec}
    with contextlib.suppress(BadState):
        read_states(json.dumps(document).encode(), "node.yaml")


def test_json_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    document = {"apiVersion": "passgate.dev/v1", "kind": "NodeState", "spec": {"devices": 1}}

    (flaw,) = flaws(json.dumps(document))
    assert flaw.finding.message == "must be a list of objects, is 1"
    (missing,) = flaws(WHOLE)
    assert (missing.finding.code, missing.finding.hint) == (
        "module-missing",
        "pip install 'passgate[cli]', or give JSON",
    )


def test_an_entry_may_accept_what_holds_for_good_of_a_device_that_it_names() -> None:
    state = read(
        HEAD + "spec:\n  devices: [{match: {address: 3b:00.0}, driver: auto, despite: [managed-elsewhere]}]\n"
        "  virtualFunctions: [{match: {path: pci0000:3a/00.0}, count: 1, despite: [reserved-region]}]\n"
    )

    assert [sorted(one.despite) for one in state.devices] == [["managed-elsewhere"]]
    assert [sorted(one.despite) for one in state.vfs] == [["reserved-region"]]


@pytest.mark.parametrize(
    ("match", "code", "words"),
    [
        ("{address: 3b:00.0}", "host-root-disk", '"host-root-disk" cannot be accepted for good'),
        ("{address: 3b:00.0}", "device-in-use", '"device-in-use" cannot be accepted for good'),
        ("{id: '8086:1572'}", "managed-elsewhere", "is accepted of one device, which the entry does not name"),
    ],
)
def test_what_the_host_stands_on_is_accepted_by_no_file(match: str, code: str, words: str) -> None:
    (found,) = flaws(HEAD + f"spec:\n  devices:\n  - match: {match}\n    driver: auto\n    despite: [{code}]\n")

    assert (found.line, words in found.finding.message) == (7, True)
