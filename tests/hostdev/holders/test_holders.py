"""The answer: ranked by trust, one state, and every way in which sources can contradict each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from domxml.errors import SENTENCE_LIMIT, Refused
from hostdev import holders
from hostdev.findings.holders import HELD
from hostdev.holders.claim import TRUST, Claim, How, State
from hostdev.holders.grants import Kubelet
from hostdev.holders.holders import Answer, Asked, confirm, find_holders
from hostdev.kubelet.podresources import PodDevices
from tests.hostdev.gate.build import KERNEL, at, function, machine
from tests.hostdev.holders.grants import grant
from tests.hostdev.kubelet.claims import record, unit

D = "0000:3d:02.1"
HERE = "5ad60ee0-5bc0-4b0c-a273-1e1ca4ca07c0"
HOST = machine(function(D, group=43), function("0000:3d:02.2", group=44), kernel=replace(KERNEL, boot_id=HERE))
FUNCTION = HOST.functions[at(D)]
A, B = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
GRANT_A = grant(D, pod=A)
LOGS = (f"default_vm-a_{A}", f"default_vm-b_{B}")
LISTED_A = PodDevices("default", "vm-a", "compute", "a.b/c", (D,))
LISTED_B = PodDevices("default", "vm-b", "compute", "a.b/c", (D,))
OPEN_A = Claim(How.OPEN, "qemu-kvm", "/dev/vfio/43", pid=7, pod=A)
OPEN_B = Claim(How.OPEN, "qemu-kvm", "/dev/vfio/43", pid=8, pod=B)
TOLD_A = Claim(How.TOLD, "qemu-kvm", f"host={D}", pid=7, pod=A)
OUTSIDE = Claim(How.OPEN, "dpdk-testpmd", "/dev/vfio/43", pid=9)
DRIVER = Claim(How.DRIVER, "i40e", "the host's driver ens1f0")
ALIVE = frozenset({A, B})
CLAIM_A = record(unit(resource="a.b/c")._replace(functions=(at(D),), unit="none"), pods=(("vm-a", A),), boot_id=HERE)
ALL = (Asked(How.OPEN), Asked(How.CHECKPOINT), Asked(How.PODRESOURCES))


def ask(claims: Sequence[Claim] = (), *, asked: Sequence[Asked] = ALL, **kubelet: object) -> Answer:
    told = Kubelet(**{"grants": (), "alive": ALIVE, "logs": LOGS, **kubelet})  # type: ignore[arg-type]
    return find_holders(FUNCTION, HOST, claims, told, asked)


STATES: Mapping[str, tuple[Answer, State, bool | None]] = {
    "nobody": (ask(), State.FREE, None),
    "granted": (ask(grants=(GRANT_A,)), State.ALLOCATED, None),
    "prepared for a claim": (ask(records=(CLAIM_A,)), State.ALLOCATED, None),
    "prepared for a claim, and open": (ask([OPEN_A], records=(CLAIM_A,)), State.OPEN, True),
    "prepared in another boot": (ask(records=(CLAIM_A._replace(boot_id="0" * 8),)), State.FREE, None),
    "records that cannot be read": (ask(asked=[*ALL, Asked(How.CLAIM, "torn")]), State.UNKNOWN, None),
    "granted, both ways": (ask(grants=(GRANT_A,), listed=(LISTED_A,)), State.ALLOCATED, True),
    "open": (ask([OPEN_A, TOLD_A], grants=(GRANT_A,), listed=(LISTED_A,)), State.OPEN, True),
    "told only": (ask([TOLD_A], grants=(GRANT_A,)), State.OPEN, True),
    "open outside of Kubernetes": (ask([OUTSIDE]), State.OPEN, None),
    "another device's grant": (ask(grants=(grant("0000:3d:02.2", pod=A),)), State.FREE, None),
    "the host": (ask([DRIVER]), State.HOST, None),
    "the host, and a container": (ask([DRIVER], grants=(GRANT_A,)), State.ALLOCATED, None),
    "a process that may not be looked at": (ask(asked=[Asked(How.OPEN, "no"), *ALL[1:]]), State.UNKNOWN, None),
    "no kubelet": (
        ask(asked=[ALL[0], Asked(How.CHECKPOINT, "no", missing=True), Asked(How.PODRESOURCES, "no", missing=True)]),
        State.FREE,
        None,
    ),
    "half a kubelet": (ask(asked=[*ALL[:2], Asked(How.PODRESOURCES, "down")]), State.FREE, None),
    "a kubelet that cannot be asked": (
        ask(asked=[ALL[0], Asked(How.CHECKPOINT, "torn"), Asked(How.PODRESOURCES, "down")]),
        State.UNKNOWN,
        None,
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_state_and_agreement(case: str) -> None:
    told, state, agree = STATES[case]

    assert (told.state, told.agree, told.findings) == (state, agree, ())
    assert told.complete is (state is not State.UNKNOWN)


CASES: Mapping[str, tuple[Answer, str, str]] = {
    "allocated to one, opened by another": (
        ask([OPEN_B], grants=(GRANT_A,)),
        "holders-disagree",
        "qemu-kvm (PID 8) in pod default/vm-b uses it, and kubelet granted it to pod default/vm-a",
    ),
    "opened by a pod that was granted nothing": (
        ask([OPEN_B]),
        "holders-disagree",
        "qemu-kvm (PID 8) in pod default/vm-b uses it, and kubelet granted it to nobody",
    ),
    "opened by the host, granted to a pod": (
        ask([OUTSIDE], grants=(GRANT_A,)),
        "holders-disagree",
        "dpdk-testpmd (PID 9) in no pod uses it, and kubelet granted it to pod default/vm-a",
    ),
    "two pods": (
        ask(grants=(GRANT_A, grant(D, pod=B, resource="x.y/z"))),
        "granted-twice",
        "is granted to pod default/vm-a (a.b/c) and pod default/vm-b (x.y/z)",
    ),
    "kubelet against kubelet": (
        ask(grants=(GRANT_A,), listed=(LISTED_B,)),
        "kubelet-disagrees",
        "the checkpoint names pod default/vm-a, PodResources names pod default/vm-b",
    ),
    "kubelet against itself": (
        ask(grants=(GRANT_A,), listed=(LISTED_A._replace(device_ids=("0000:3d:02.7",)),)),
        "kubelet-disagrees",
        "the checkpoint names pod default/vm-a, PodResources names nobody",
    ),
    "listed, and written down for nobody": (
        ask(grants=(), listed=(LISTED_B,)),
        "kubelet-disagrees",
        "the checkpoint names nobody, PodResources names pod default/vm-b",
    ),
    "a pod that has ended": (
        ask(grants=(GRANT_A,), listed=()),
        "grant-of-gone-pod",
        "pod default/vm-a, which has ended",
    ),
    "a gone pod": (ask(grants=(GRANT_A,), alive=frozenset()), "grant-of-gone-pod", "pod default/vm-a, which is gone"),
    "a claim of a gone pod": (
        ask(records=(CLAIM_A,), alive=frozenset()),
        "claim-of-gone-pod",
        "is prepared for claim default/dr0-gpu-f27z2 of pod default/vm-a, which is gone",
    ),
    "a claim, opened by another": (
        ask([OPEN_B], records=(CLAIM_A,)),
        "holders-disagree",
        "qemu-kvm (PID 8) in pod default/vm-b uses it, and kubelet granted it to pod default/vm-a",
    ),
    "a claim and a plugin": (
        ask(grants=(grant(D, pod=B),), records=(CLAIM_A,)),
        "granted-twice",
        "pod default/vm-b (a.b/c) and pod default/vm-a (a.b/c, claim default/dr0-gpu-f27z2)",
    ),
    "another boot": (
        ask(grants=(GRANT_A,), boot_id="0" * 8),
        "record-of-earlier-boot",
        f"written in boot 00000000, this is {HERE}",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_disagreement(case: str) -> None:
    told, code, message = CASES[case]

    assert [finding.code for finding in told.findings] == [code]
    assert message in told.findings[0].message
    assert told.findings[0].subject == D
    assert told.findings[0].evidence
    assert told.agree is (
        None if code in {"grant-of-gone-pod", "claim-of-gone-pod", "record-of-earlier-boot"} else False
    )


@pytest.mark.parametrize("case", CASES)
def test_its_sentence_fits_an_event(case: str) -> None:
    for finding in CASES[case][0].findings:
        refusal = Refused(finding.code, finding.message, subject=finding.subject, hint=finding.hint)
        assert refusal.sentence() == str(refusal)
        assert len(str(refusal)) < SENTENCE_LIMIT


def test_every_code_has_a_case_and_every_row_is_used() -> None:
    codes = {kind.code for kind in HELD}
    source = "\n".join(file.read_text() for file in Path(holders.__file__).parent.glob("*.py"))
    used = {name.lower().replace("_", "-") for name in re.findall(r"\b([A-Z_]+)\.found\(", source)}

    assert codes <= {code for _, code, _ in CASES.values()}
    assert codes <= used


def test_a_gone_pod_quarrels_with_nobody() -> None:
    told = ask([OPEN_B], grants=(GRANT_A, grant(D, pod=B)), alive=frozenset({B}))

    assert [finding.code for finding in told.findings] == ["grant-of-gone-pod"]


@pytest.mark.parametrize("listed", [LISTED_B, LISTED_B._replace(device_ids=("43",), container="x")])
def test_names_alone_prove_nothing(listed: PodDevices) -> None:
    """Without a directory of logs nobody knows the UID of a pod that PodResources names."""
    told = ask(grants=(GRANT_A, grant("0000:3d:02.2", pod=B)), listed=(listed,), logs=())

    assert "kubelet-disagrees" not in {finding.code for finding in told.findings}


def test_names_come_from_podresources_where_there_are_no_logs() -> None:
    told = ask([OPEN_A], grants=(GRANT_A,), listed=(LISTED_A,), logs=())

    assert {claim.holder for claim in told.claims} == {"default/vm-a"}
    assert told.agree is True


def test_the_best_source_stands_first_whatever_the_order() -> None:
    claims = [DRIVER, TOLD_A, OPEN_A, Claim(How.DOMAIN, "vm", "<hostdev>", guest="vm")]
    expected = [How.OPEN, How.TOLD, How.DOMAIN, How.CHECKPOINT, How.PODRESOURCES, How.DRIVER]

    for order in itertools.permutations(claims):
        told = ask(order, grants=(GRANT_A,), listed=(LISTED_A,))
        assert [claim.how for claim in told.claims] == expected


def test_the_table_ranks_what_proves_more_above_what_proves_less() -> None:
    proves = [trust.proves for trust in TRUST.values()]

    assert list(TRUST) == list(How)
    assert proves == sorted(proves, key=[State.OPEN, State.ALLOCATED, State.HOST].index)


CARD = machine(
    function(D, group=43), function("0000:3d:02.3", group=43), function("0000:3d:02.4", group=43, driver=None)
)


@pytest.mark.parametrize(
    ("address", "claims"),
    [
        (D, [(f"device ID {D}", True)]),
        ("0000:3d:02.3", [(f"device ID {D}, {D} of its group", False)]),
        ("0000:3d:02.4", []),
    ],
)
def test_a_group_has_one_owner(address: str, claims: list[tuple[str, bool]]) -> None:
    """Who was granted a card's display has its sound, too: the group is opened as one."""
    told = find_holders(CARD.functions[at(address)], CARD, [OPEN_A] if claims else [], Kubelet((GRANT_A,)), ALL)

    assert [(one.where, one.exact) for one in told.claims if one.how is How.CHECKPOINT] == claims
    assert told.findings == ()


@pytest.mark.parametrize("address", [D, "0000:3d:02.3"])
def test_halves_of_a_group_are_granted_twice(address: str) -> None:
    told = find_holders(CARD.functions[at(address)], CARD, (), Kubelet((GRANT_A, grant("0000:3d:02.3", pod=B))), ALL)

    assert [finding.code for finding in told.findings] == ["granted-twice"]


def test_a_pod_that_has_it_open_has_not_ended() -> None:
    told = ask([OPEN_A], grants=(GRANT_A,), listed=())

    assert [finding.code for finding in told.findings] == ["kubelet-disagrees"]


def test_a_quarrel_of_a_moment_is_none() -> None:
    quarrel, peace = ask([OPEN_B], grants=(GRANT_A,)), ask([OPEN_B], grants=(grant(D, pod=B),))

    assert confirm(quarrel, peace).agree is True
    assert confirm(peace, quarrel).findings == ()
    assert [finding.code for finding in confirm(quarrel, quarrel).findings] == ["holders-disagree"]
    gone = ask(grants=(GRANT_A,), alive=frozenset())
    assert confirm(quarrel, gone).findings == gone.findings


def test_nobody_is_free_beside_devices_that_only_a_driver_can_name() -> None:
    told = ask(claimed=("units.lab.dev/vm/unit-0000-3d-02-1",))

    assert (told.complete, told.state) == (False, State.UNKNOWN)
