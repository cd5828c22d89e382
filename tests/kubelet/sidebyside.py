"""What becomes of pods by one plugin and by the other, where the recorded kubelet surprises.

`python -m tests.kubelet.sidebyside` writes the table of docs/offer-verification.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.house import ROOT
from tests.kubelet.checkpoint import NAME
from tests.kubelet.clients import VERSION
from tests.kubelet.pods import Pod
from tests.kubelet.runtime import CONFIG
from tests.kubelet.sides import BUSES, RESOURCE, VARIABLE, Side
from tests.kubelet.times import QUICK, REAL, START, Times
from tests.kubelet.transcript import scenario
from tests.kubelet.wire import ITEM

LATE = START._replace(registry_at_start=4 * 0.69)
"""As the recorded kubelet was at one of its starts."""


class Row(NamedTuple):
    """One trouble."""

    scenarios: str
    """Of the recording."""
    trouble: str
    act: Callable[[Side], str]
    most: str
    """What becomes of it by a plugin as most are, as recorded."""
    ours: str
    rest: str = ""
    """What no plugin can mend, and why."""
    times: Times = QUICK


def losses(*pods: Pod) -> str:
    """How many of them have failed for good."""
    number = sum(pod.phase == "Failed" for pod in pods)
    return f"{number} of {len(pods)} pods lost" if number else "no pod lost"


def order(side: Side) -> str:
    side.begin()
    side.registered()
    side.run("one")
    addresses = side.run("three", 3).container().environment[VARIABLE].split(",")
    return "primaries first, in order" if addresses == sorted(addresses, key=_by_function) else "in kubelet's order"


def _by_function(address: str) -> tuple[str, str]:
    return address[-1], address


def removal(side: Side) -> str:
    side.begin()
    side.registered()
    pod = side.run("holds", 4)
    side.remove()
    side.registered(3)
    side.kubelet.crash(pod)
    side.kubelet.wait(lambda: pod.container().starts == 2 or pod.container().state.reason == CONFIG)
    told = pod.container().status[RESOURCE]
    return "the pod's status says Unhealthy" if "Unhealthy" in told.values() else "the pod's status says Healthy"


def not_now(side: Side) -> str:
    side.begin()
    side.registered()
    side.spoil()
    pod = side.pod("waits", 4)
    side.kubelet.wait(lambda: pod.ended or pod.container().state.reason)
    assert "snd_hda_intel" in pod.message + pod.container().state.message
    side.mend()
    side.kubelet.wait(lambda: pod.ended or pod.running)
    return "the pod fails for good" if pod.ended else "the pod waits, with the reason in its status, and starts"


def hang(side: Side) -> str:
    side.begin()
    side.registered()
    side.hang()
    pod = side.pod("vm")
    other = side.kubelet.create(Pod("other"), bound=True)
    side.kubelet.wait(lambda: (pod.running and other.running) or side.hangs)
    return "every pod of the node starts" if pod.running and other.running else "no pod of the node starts"


def surge(side: Side) -> str:
    end = side.begin()
    side.registered()
    side.settle()
    side.begin()
    side.take_over()
    watched = side.kubelet.clients.watching
    end()
    side.kubelet.wait(lambda: side.kubelet.clients.watching < watched)
    return arrival(side)


def arrival(side: Side) -> str:
    pod = side.pod("arrives")
    side.kubelet.wait(lambda: pod.ended or pod.running)
    return losses(pod)


def restart(side: Side) -> str:
    end = side.begin()
    side.registered()
    side.settle()
    end()
    side.registered(0)
    told = arrival(side)
    side.begin()
    side.registered()
    return told


def renumbering(side: Side) -> str:
    end = side.begin()
    side.registered()
    side.settle()
    pod = side.run("holds")
    (held,) = side.kubelet.manager.ids_of(pod, pod.container(), RESOURCE)
    end()
    side.registered(0)
    side.renumber()
    side.begin()
    side.registered()
    listed = side.kubelet.manager.resources[RESOURCE].listed
    return "kubelet knows that it is held" if held in listed else "the held card is free, under another id"


def absence(side: Side) -> str:
    end = side.begin()
    side.registered()
    side.settle()
    pod = side.run("holds")
    end()
    side.kubelet.wait(lambda: RESOURCE not in side.kubelet.manager.resources, "kubelet forgets the resource")
    side.kubelet.crash(pod)
    side.kubelet.wait(lambda: pod.container().state.message.startswith("endpoint not found in cache"))
    side.begin()
    side.kubelet.wait(lambda: pod.container().starts == 2)
    return "its container waits until the plugin is back"


def kubelet_restart(side: Side) -> str:
    side.begin()
    side.registered()
    pod = side.run("restarts")
    side.kubelet.crash(pod)
    side.kubelet.restart()
    side.return_to()
    side.kubelet.wait(lambda: pod.ended or pod.container().starts == 2)
    return losses(pod)


def lost_checkpoint(side: Side) -> str:
    side.begin()
    side.registered()
    first = side.run("first")
    side.kubelet.stop()
    file = side.kubelet.plugins / NAME
    file.write_text(file.read_text().replace('"Checksum":', '"Checksum":1'))
    side.kubelet.start()
    side.return_to()
    side.registered()
    second = side.run("second")
    both = {pod.container().environment[VARIABLE] for pod in (first, second)}
    return "one card is given twice" if len(both) == 1 else "two cards are given"


def flood(side: Side) -> str:
    side.begin()
    side.registered()
    side.settle()
    lists = [one.data for one in side.kubelet.wire if one.kind == ITEM]
    for _ in range(30):
        side.look()
    side.remove()
    side.registered(len(BUSES) - 1)
    number = sum(one.data == lists[-1] for one in side.kubelet.wire if one.kind == ITEM) - lists.count(lists[-1])
    return f"kubelet writes its checkpoint {number} times" if number else "kubelet hears nothing"


def names(side: Side) -> str:
    recorded = [
        api.RegisterRequest.FromString(one.data) for one in scenario("D") if one.call == "Register" and one.data
    ]
    tried = dict.fromkeys(one.resource_name for one in recorded if one.version == VERSION)
    refused = [name for name in tried if side.refuses(name)]
    return f"{len(refused)} of {len(tried)} names are refused {side.when}"


ROWS = (
    Row("A", "the addresses of three cards in a variable", order, "in kubelet's order", "primaries first, in order"),
    Row(
        "B",
        "a card that a VM has is gone from the host",
        removal,
        "the pod's status says Healthy",
        "the pod's status says Unhealthy",
    ),
    Row(
        "D",
        "names of resources that kubelet refuses",
        names,
        "13 of 18 names are refused when it registers",
        "13 of 18 names are refused when the file is read",
    ),
    Row(
        "E",
        "something is wrong with a card for a moment",
        not_now,
        "the pod fails for good",
        "the pod waits, with the reason in its status, and starts",
    ),
    Row(
        "F",
        "a look at the host hangs",
        hang,
        "no pod of the node starts",
        "every pod of the node starts",
        times=QUICK._replace(pre_start=REAL.pre_start),
    ),
    Row(
        "G, R",
        "an update that starts the new process before it ends the old one",
        surge,
        "1 of 1 pods lost",
        "no pod lost",
    ),
    Row(
        "G",
        "the plugin's process restarts, and a pod arrives meanwhile",
        restart,
        "1 of 1 pods lost",
        "1 of 1 pods lost",
        "kubelet refuses what arrives while no plugin is there, and refuses for good",
    ),
    Row(
        "G",
        "group numbers are others after a restart",
        renumbering,
        "the held card is free, under another id",
        "kubelet knows that it is held",
    ),
    Row(
        "H",
        "no plugin for 5 minutes, and a container restarts",
        absence,
        "its container waits until the plugin is back",
        "its container waits until the plugin is back",
        "kubelet forgets a resource 5 minutes after its plugin is gone",
        QUICK._replace(grace=0.3, retry=0.05),
    ),
    Row(
        "L",
        "kubelet restarts while a VM's container does",
        kubelet_restart,
        "1 of 1 pods lost",
        "no pod lost",
        times=START,
    ),
    Row(
        "L",
        "the same, and kubelet looks late for its plugins",
        kubelet_restart,
        "1 of 1 pods lost",
        "1 of 1 pods lost",
        "kubelet admits pods 0.4 s after its start; that it looked after 0.7 s was recorded once of two times",
        LATE,
    ),
    Row(
        "M",
        "kubelet's checkpoint is corrupt at its start",
        lost_checkpoint,
        "one card is given twice",
        "one card is given twice",
        "kubelet has forgotten who holds what; the finding `granted-twice` tells it",
    ),
    Row(
        "R",
        "thirty looks at a host that has not changed",
        flood,
        "kubelet writes its checkpoint 30 times",
        "kubelet hears nothing",
    ),
)
PAGE = ROOT / "docs" / "offer-verification.md"
HEAD = "| scenarios | what happens | a plugin as most are | Passgate | what no plugin can mend |\n"


def table() -> str:
    """The rows in Markdown."""
    lines = (f"| {row.scenarios} | {row.trouble} | {row.most} | {row.ours} | {row.rest} |\n" for row in ROWS)
    return f"{HEAD}| --- | --- | --- | --- | --- |\n" + "".join(line.replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    before, _, after = PAGE.read_text().partition(HEAD)
    PAGE.write_text(before + table() + "\n" + after.partition("\n\n")[2])
