"""What NodeStates offer of the nodes of a fleet: the same units as the agent's, and why some of them are not given."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hostdev.binding.state import By
from hostdev.binding.statefile import read_states_among, state_for
from hostdev.cli.fleet.survey import Moment, head_of
from hostdev.cli.fleet.why import Judged
from hostdev.fleet.node import Node, State
from hostdev.fleet.placement import Verdict, place
from hostdev.inventory.machine import Machine
from hostdev.offer.compose import compose_offer
from tests.hostdev.fleet.demands import TAKEN, WEEK, asked, codes, counted, node, vm
from tests.hostdev.fleet.fleets import NOW
from tests.hostdev.machines.fixtures import picture

GPU, VF = "units.example.com/gpu", "units.example.com/vf"
MACHINES = (
    *("amd-epyc", "consumer-gpu", "container-view", "empty", "hgx-h100", "no-iommu", "nvme-in-gpu-group"),
    *("old-kernel", "qat", "tesla-t4", "two-socket-x710", "vmd"),
)


def state(*lines: str) -> str:
    return "\n".join(("apiVersion: passgate.dev/v1", "kind: NodeState", "metadata: {name: s}", "spec:", *lines))


def offer(*entries: str) -> str:
    return f"  offer: [{', '.join(f'{{{one}}}' for one in entries)}]"


H100 = f"resource: {GPU}, match: {{id: '10de:2330'}}"
VFS = f"resource: {VF}, match: {{id: '8086:154c'}}"


def wants(resource: str = GPU, count: int = 1, **more: int) -> dict[str, int]:
    return {resource: count, **more}


def fit(machine: Node, text: str, count: int = 1, resource: str = GPU) -> tuple[str, int, int | None]:
    return counted(place(machine, asked(vm("", wants(resource, count)), text)))


def test_a_slot_is_one_unit_whatever_is_in_it() -> None:
    """Two functions of the card fit the match, and kubelet counts one."""
    card = state(offer(f"resource: {GPU}, match: {{class: '0c'}}, unit: slot"))
    answer = place(node("consumer-gpu"), asked(vm("", wants(count=2)), card))

    assert counted(answer) == ("never", 0, 0)
    assert "asks for 2 of units.example.com/gpu, and the node has 1 of them" in answer.findings[0].message


def test_what_conflicts_is_not_offered_and_says_so() -> None:
    both = state(offer(f"{H100}, limit: 8", f"resource: {VF}, match: {{class: '0302'}}"))
    answer = place(node("hgx-h100"), asked(vm("", wants()), both))

    assert answer.verdict is Verdict.NOT_NOW
    assert "offer-conflict" in codes(answer)


def test_units_of_claims_are_counted() -> None:
    answer = place(node("hgx-h100"), asked(vm("", wants()), state(offer(f"{H100}, by: claim"))))

    assert counted(answer) == counted(place(node("hgx-h100"), asked(vm("", wants()), state(offer(H100)))))
    # Both claims list every GPU, and no GPU goes to two of them.
    both = state(offer(f"{H100}, by: claim", f"resource: {VF}, match: {{class: '0302'}}, by: claim"))
    assert counted(place(node("hgx-h100"), asked(vm("", wants(count=8)), both))) == ("yes", 1, 1)
    assert counted(place(node("hgx-h100"), asked(vm("", {**wants(count=5), VF: 4}), both)))[1:] == (0, 0)
    none = place(node("vmd"), asked(vm("", wants()), state(offer(f"{H100}, by: claim"))))
    assert none.verdict is Verdict.NEVER, "there is no such device at all"


def test_what_is_not_bound_as_declared_is_not_now() -> None:
    bound = state("  devices: [{match: {id: '144d:a80a'}, driver: vfio-pci}]",
                  offer(f"resource: {GPU}, match: {{id: '144d:a80a'}}"))  # fmt: skip
    answer = place(node("hgx-h100"), asked(vm("", wants()), bound))

    assert counted(answer) == ("notNow", 0, 0)
    (drifted, *_) = [one for one in answer.findings if one.code == "node-state-drifted"]
    assert "passgate node state apply" in drifted.hint
    assert "driver is nvme, not vfio-pci" in drifted.message


def test_a_ready_unit_with_another_driver_than_declared_is_not_given() -> None:
    """Its agent lists it as unhealthy until it is as declared."""
    other = state("  devices: [{match: {id: '10de:2330'}, driver: nvidia}]", offer(H100))

    assert fit(node("hgx-h100"), other) == ("notNow", 0, 0)


def test_what_a_match_means_by_its_driver_may_come() -> None:
    by_driver = state(offer(f"resource: {GPU}, match: {{id: '144d:a80a', driver: vfio-pci}}"))
    answer = place(node("hgx-h100"), asked(vm("", wants()), by_driver))

    assert answer.verdict is Verdict.NOT_NOW
    assert "not on vfio-pci: 0000:1c:00.0" in next(o.message for o in answer.findings if o.code == "node-state-drifted")


def test_the_disk_of_the_host_never_comes() -> None:
    disk = state(offer(f"resource: {GPU}, match: {{id: '8086:a182', driver: vfio-pci}}"))

    assert place(node("hgx-h100"), asked(vm("", wants()), disk)).verdict is Verdict.NEVER


def test_vfs_that_are_declared_may_come() -> None:
    more = state("  virtualFunctions: [{match: {address: '0000:3b:00.1'}, count: 4}]", offer(VFS))
    answer = place(node("two-socket-x710"), asked(vm("", wants(VF, 17)), more))

    assert answer.verdict is Verdict.UNKNOWN
    assert "has 0 VFs, and shall have 4" in {one.message for one in answer.findings}


def test_settings_that_no_snapshot_has_are_doubt_and_no_drift() -> None:
    vlan = state("  virtualFunctions: [{match: {address: '0000:af:00.0'}, count: 8, settings: {vlan: 7}}]",
                 offer(f"resource: {VF}, match: {{id: '8086:154c', numa: 1}}"))  # fmt: skip
    answer = place(node("two-socket-x710"), asked(vm("", wants(VF)), vlan))

    assert answer.verdict is Verdict.UNKNOWN
    assert any("vlan" in one.message and "could not be read" in one.message for one in answer.findings)


def sets(*members: tuple[int, ...], whole: bool = True) -> str:
    """A document beside the offer."""
    named = []
    for number, some in enumerate(members):
        functions = ", ".join(f"{{address: '{GPUS[one]}'}}" for one in some)
        named.append(f"{{name: s{number}, whole: {str(whole).lower()}, functions: [{functions}]}}")
    spec = f"spec: {{sets: [{', '.join(named)}]}}"
    return f"\n---\napiVersion: passgate.dev/v1\nkind: UnitSets\nmetadata: {{name: u}}\n{spec}"


GPUS = [one.address for one in picture("hgx-h100").functions.values() if (one.vendor, one.device) == (0x10DE, 0x2330)]


def test_whole_sets_go_to_one_vm_and_parts_to_none() -> None:
    pairs = state(offer(H100)) + sets((0, 1), (2, 3), (4, 5), (6, 7))
    loose = state(offer(H100)) + sets((0, 1), (2, 3), (4, 5), (6, 7), whole=False)
    held = node("hgx-h100", str(GPUS[0]))

    assert fit(node("hgx-h100"), pairs, 2) == ("yes", 4, 4)
    assert fit(node("hgx-h100"), pairs, 4) == ("yes", 2, 2)
    assert fit(node("hgx-h100"), pairs, 3)[0] == "never"
    assert fit(node("hgx-h100"), loose, 3) == ("yes", 2, 2)
    assert fit(held, pairs, 2) == ("yes", 3, 3)
    assert fit(held, pairs, 8)[0] == "notNow"


def test_a_limit_counts_what_pods_hold_and_not_what_others_do() -> None:
    """A snapshot does not tell which of them it is."""
    limited = state(offer(f"{H100}, limit: 3"))

    assert fit(node("hgx-h100", str(GPUS[7])), limited) == ("yes", 2, 3)
    assert fit(node("hgx-h100", *map(str, GPUS[5:])), limited) == ("unknown", 0, 3)


def test_what_two_plugins_offer_counts_for_at_most_alone() -> None:
    """Either may give it away: eight cards suffice for four such VMs, and for none where one plugin is unlucky."""
    both = asked(vm("", wants(), h100=1), state(offer(H100)))
    half = asked(vm("", wants(), h100=1), state(offer(f"{H100}, limit: 4")))

    assert counted(place(node("hgx-h100"), both)) == ("unknown", 0, 4)
    assert counted(place(node("hgx-h100"), half)) == ("yes", 4, 4)


def test_mediated_devices_are_not_counted_beside_what_is() -> None:
    answer = place(node("hgx-h100"), asked(vm("", wants(), mdev=1), state(offer(H100))))

    assert counted(answer) == ("unknown", 0, None)
    assert any("mediated devices of the type 'GRID T4-8Q'" in one.message for one in answer.findings)


def tried(units: dict[str, str], whole: list[frozenset[str]], count: int) -> int:
    """How many VMs of so many units each, by trying every choice for the next one."""
    best = 0
    for chosen in map(frozenset, combinations(sorted(units), count)):
        if all(one <= chosen or one.isdisjoint(chosen) for one in whole):
            best = max(best, 1 + tried({k: v for k, v in units.items() if k not in chosen}, whole, count))
    return best


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 4),
    held=st.sets(st.integers(0, 7), max_size=4),
    cut=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kind=st.sampled_from(["", ", unit: function", ", unit: slot", ", unit: group"]),
)
def test_it_counts_what_the_agent_would_list(count: int, held: set[int], cut: list[int], kind: str) -> None:
    starts = [sum(cut[:number]) for number in range(len(cut) + 1)]
    parts = [tuple(range(a, min(b, 8))) for a, b in pairwise(starts) if a < 8]
    text = state(offer(f"{H100}{kind}")) + sets(*parts)
    one = node("hgx-h100", *(str(GPUS[number]) for number in held))
    declared = state_for(read_states_among(text.encode(), "s.yaml"), one.machine, "n")
    assert declared is not None
    pool = compose_offer(declared, one.machine).of(By.PLUGIN)[GPU]
    free = {u.id: "" for u in pool.units if u.is_healthy and u.unit and one.state_of(u.unit) is State.READY}

    answer = place(one, asked(vm("", wants(count=count)), text))

    most = tried(free, [some.ids for some in pool.sets if some.is_whole], count)
    assert (answer.least, answer.most) == (most, most)


DISPLAYS = f"resource: {GPU}, match: {{class: display}}"
STATES = st.sampled_from(
    (
        "",
        state(offer(H100, VFS)),
        state(offer(f"{H100}, limit: 1", VFS)),
        state(offer(f"{DISPLAYS}, unit: group", VFS)),
        state(offer(DISPLAYS, f"resource: {VF}, match: {{class: network}}, by: claim")),
        state("  devices: [{match: {class: display}, driver: vfio-pci}]", offer(DISPLAYS, VFS)),
        state(offer(H100)) + sets((0, 1), (2, 3)),
    )
)
NODES = st.builds(
    lambda machine, held, uncounted: make_node(picture(machine), held=held, uncounted=uncounted),
    st.sampled_from(MACHINES),
    st.booleans(),
    st.booleans(),
)


def make_node(machine: Machine, *, held: bool, uncounted: bool) -> Node:
    every = machine.functions
    open_ = dict.fromkeys(every, "it is 1") if held else {}
    return Node("n", machine, TAKEN, open_, frozenset(every) if uncounted else frozenset())


@settings(max_examples=150, deadline=None)
@given(
    one=NODES,
    text=STATES,
    resources=st.dictionaries(
        st.sampled_from([GPU, VF, "h100", "vf", "a2000", "mdev"]), st.sampled_from([1, 4]), min_size=1, max_size=3
    ),
    same_numa=st.booleans(),
)
def test_no_verdict_but_yes_is_without_a_reason(
    one: Node, text: str, resources: dict[str, int], *, same_numa: bool
) -> None:
    """In the short table as well, which leaves out what is said of many nodes alike."""
    answer = place(one, asked(vm("", resources), *filter(None, [text]), same_numa=same_numa))

    judged = Judged(head_of(one, Moment(NOW, WEEK)), answer)
    assert answer.verdict is Verdict.YES or any(found.message for found in judged.told)
    assert (answer.least > 0) == (answer.verdict is Verdict.YES)
    assert answer.most is None or answer.least <= answer.most
    assert answer.verdict not in {Verdict.NEVER, Verdict.NOT_NOW} or answer.most == 0
