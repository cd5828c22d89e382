"""Run scenarios: the passthrough host is booted once for each processor there is, and they share the work.

A scenario is asked for by its name, or by `NAME@sid` on the kernel of that release of Debian.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.vmhost import machine, obstacles, recipe, share
from tests.vmhost.image import Image, Say, with_small_kernel
from tests.vmhost.inside.scenario import all_scenarios, is_thorough
from tests.vmhost.report import Boot, Report

MOST_BOOTS = 4
BOOTS = "PASSGATE_TEST_BOOTS"
"""How many hosts may be booted at once, where other tests run beside them; otherwise one a processor."""
WORTH_A_BOOT = 60.0
"""Seconds of scenarios; a boot itself takes half of that."""
NESTED_SCENARIOS = ("scenarios_guest", "scenarios_inner", "scenarios_arrival")
NODE_STATE = ("scenarios_binding", "scenarios_holders", "scenarios_killed", "scenarios_ports", "scenarios_safety")
"""Files of scenarios of which the kernel is the judge, and kernels differ."""
GUEST_SECONDS = 150.0
USUAL_SECONDS = 8.0
SECONDS: Mapping[str, float] = {
    "every_verdict_is_what_qemu_does": 60.0,
    "disks_are_used_through_every_layer": 40.0,
    "interfaces_are_used_or_unknown": 20.0,
    "disks_in_use_are_found_right_before_the_write": 25.0,
    "interfaces_in_use_are_found_right_before_the_write": 15.0,
    "nothing_waits_with_a_removal_that_waits": 25.0,
    "vfs_are_made_changed_and_taken_away": 25.0,
    "devices_go_to_vfio_and_back": 40.0,
    "a_group_goes_to_vfio_as_a_whole": 40.0,
    "what_is_in_use_stays_where_it_is": 20.0,
    "a_write_that_waits_is_left_alone_and_recovered": 35.0,
    "killed_at_every_write_it_is_recovered": 30.0,
    "a_group_is_recovered_wherever_it_was_cut_off": 200.0,
    "a_change_of_vfs_is_recovered_wherever_it_was_cut_off": 300.0,
    "a_vm_takes_the_device_on_the_way": 40.0,
    "a_vm_takes_a_vf_while_all_shall_go": 40.0,
    "a_group_is_offered_and_reaches_the_vm_whole": 60.0,
    "open_nodes_of_sound_and_display_hold_them": 15.0,
    "driverctl_has_its_devices": 20.0,
    "a_port_goes_to_vfio_without_its_vfs": 60.0,
    "a_display_goes_to_vfio_with_its_audio": 15.0,
    "a_port_on_vfio_may_have_vfs_of_its_own": 30.0,
    "what_is_refused_is_put_to_the_kernel": 25.0,
}
"""About what scenarios take."""
BASE_SECONDS = 240
SECONDS_EACH = 45


def asked_for() -> list[str]:
    """Every scenario on the release's own kernel, and those of node state on a newer one too."""
    scenarios = all_scenarios()
    newer = [name for name, run in scenarios.items() if run.__module__.rpartition(".")[2] in NODE_STATE]
    return [*scenarios, *(f"{name}@{recipe.NEWER}" for name in newer)]


def name_of(asked: str) -> str:
    """The scenario's name."""
    return asked.partition("@")[0]


def kernel_of(asked: str) -> str:
    """The release whose kernel it runs on."""
    return asked.partition("@")[2] or recipe.SUITE


def waits_for_test_host(asked: str) -> bool:
    """Whether `make test` leaves it to `make test-host`."""
    return is_thorough(name_of(asked)) or kernel_of(asked) == recipe.NEWER


def run(host: Image, wanted: Sequence[str], directory: Path, say: Say) -> Report:
    """Run the wanted scenarios, all of one kernel, and wait for the last one."""
    portions = _shared_out(wanted)
    shares = [directory / f"share{number}" for number in range(len(portions))]
    small = with_small_kernel(host)
    for one, portion in zip(shares, portions, strict=True):
        one.mkdir(parents=True)
        share.lay_out(one, map(name_of, portion), small.kernel if small.built else None)
    hosts = f"{len(shares)} passthrough hosts" if len(shares) > 1 else "a passthrough host"
    logs = ", ".join(str(one / machine.CONSOLE) for one in shares)
    say(f"booting {hosts} for {len(wanted)} scenarios, some minutes (log: {logs})")
    begun = time.monotonic()
    with ExitStack() as running:
        started = [running.enter_context(machine.started(host, one)) for one in shares]
        until = begun + max(map(_limit, portions))
        results = [one.result(until - time.monotonic()) for one in started]
    say(f"booting, running {len(wanted)} scenarios and powering off took {time.monotonic() - begun:.0f} s")
    boots = [Boot(result, share.outcomes(one), one) for result, one in zip(results, shares, strict=True)]
    return Report({name: boot for boot, portion in zip(boots, portions, strict=True) for name in portion})


def _limit(portion: Sequence[str]) -> float:
    """Generous: other work on the same processors doubles every time."""
    return BASE_SECONDS + sum(max(SECONDS_EACH, 3 * _seconds(name)) for name in portion)


def can_run(host: Image, asked: str) -> bool:
    """Whether there is what a scenario needs: one that boots a guest needs a kernel for it."""
    return not boots_a_guest(asked) or with_small_kernel(host).built


def boots_a_guest(asked: str) -> bool:
    """Whether a scenario is of those that boot a guest."""
    run = all_scenarios().get(name_of(asked))
    return run is not None and run.__module__.endswith(NESTED_SCENARIOS)


def _shared_out(wanted: Sequence[str]) -> list[list[str]]:
    """Portions that take about as long as each other, each in the order that was asked for."""
    enough = 1 + int(sum(map(_seconds, wanted)) // WORTH_A_BOOT)
    portions: list[list[str]] = [[] for _ in range(min(_boots(), enough))]
    for name in sorted(wanted, key=_seconds, reverse=True):
        min(portions, key=lambda portion: sum(map(_seconds, portion))).append(name)
    return [sorted(portion, key=wanted.index) for portion in portions if portion]


def _seconds(asked: str) -> float:
    return GUEST_SECONDS if boots_a_guest(asked) else SECONDS.get(name_of(asked), USUAL_SECONDS)


def _boots() -> int:
    allowed = int(os.environ.get(BOOTS) or len(os.sched_getaffinity(0)))
    return max(1, min(MOST_BOOTS, allowed, obstacles.boots_in_memory()))
