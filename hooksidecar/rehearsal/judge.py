"""Whether all is as it should be: nothing lost for good, nothing moved, no other device in another place."""

from __future__ import annotations

from hooksidecar.rehearsal import devices
from hooksidecar.rehearsal.devices import Seen
from hooksidecar.rehearsal.report import Call, Loss, Problem, Report, Shutdown
from hostdev.kubevirt.boot import Pass


def judge_call(one: Pass, before: Pass | None, ours: frozenset[str], ms: float) -> Call:
    """Tell what became of our devices in a pass, and since the one before it."""
    now = devices.devices_of(one.answered, ours)
    lost = tuple(_losses(one, before, now, ours)) if before else ()
    return Call(len(one.given), len(one.answered), one.given == one.answered, ms, tuple(now.values()), lost)


def problems(boot: list[Pass], calls: list[Call], base: list[Pass], ours: frozenset[str]) -> list[Problem]:
    """Everything that is not as it should be at the end of a boot."""
    return [*_of_losses(calls), *_of_places(calls), *_of_libvirt(boot[-1], ours), *_of_others(boot, base, ours)]


def end_problems(told: Report, shutdown: Shutdown) -> list[Problem]:
    """Find what is wrong before the first pass, and after the last."""
    found = []
    if told.cloud_init is not None and told.cloud_init.foreign:
        what = f"{', '.join(told.cloud_init.foreign)} changed, which are the VM's author's"
        found.append(Problem("cloud-init-changed", "cloud-init data", what))
    if shutdown.exit_code:
        what = f"ended with {shutdown.exit_code}; the pod would count as failed"
        found.append(Problem("bad-end", "the sidecar", what))
    return found


def _losses(one: Pass, before: Pass, now: dict[str, Seen], ours: frozenset[str]) -> list[Loss]:
    given, defined = devices.devices_of(one.given, ours), devices.devices_of(before.defined, ours)
    through_libvirt = one.read == before.defined
    found = []
    for alias, was in devices.devices_of(before.answered, ours).items():
        for fact in sorted(was.facts - _facts(given, alias)):
            dropped = through_libvirt and fact not in _facts(defined, alias)
            found.append(Loss(alias, fact, "libvirt" if dropped else "structs", fact in _facts(now, alias)))
    return found


def _of_losses(calls: list[Call]) -> list[Problem]:
    return [
        Problem("not-restored", loss.alias, f"{loss.fact} got lost before pass {number} and did not come back")
        for number, call in enumerate(calls, 1)
        for loss in call.lost
        if not loss.restored
    ]


def _of_places(calls: list[Call]) -> list[Problem]:
    found = []
    places: dict[str, str] = {}
    for number, call in enumerate(calls, 1):
        now = {device.alias: device.guest for device in call.devices}
        for alias, guest in places.items():
            if alias not in now:
                found.append(Problem("device-gone", alias, f"pass {number} answered without it"))
            elif now[alias] != guest:
                found.append(Problem("device-moves", alias, f"pass {number} put it to guest {now[alias]}, not {guest}"))
        places |= {alias: guest for alias, guest in now.items() if guest != devices.LEFT}
    return found


def _of_libvirt(last: Pass, ours: frozenset[str]) -> list[Problem]:
    found = []
    defined = devices.devices_of(last.defined, ours)
    for alias, device in devices.devices_of(last.answered, ours).items():
        dropped = sorted(device.facts - _facts(defined, alias))
        found += [Problem("libvirt-drops", alias, f"libvirt dropped {fact}, without a word") for fact in dropped]
        guest = defined[alias].guest if alias in defined else "nowhere"
        if guest != device.guest != devices.LEFT:
            found.append(Problem("libvirt-moves", alias, f"libvirt put it to guest {guest}, not {device.guest}"))
    return found


def _of_others(boot: list[Pass], base: list[Pass], ours: frozenset[str]) -> list[Problem]:
    """Only what the last pass leaves counts: before it nothing has started, and KubeVirt may place things anew."""
    number = len(boot)
    now = devices.other_devices(boot[-1].defined, ours)
    return [
        Problem(
            "base-device-moves",
            name,
            f"sits at guest {now.get(name, 'nowhere')} after pass {number}, without the devices at {guest}",
        )
        for name, guest in devices.other_devices(base[number - 1].defined, ours).items()
        if now.get(name) != guest
    ]


def _facts(seen: dict[str, Seen], alias: str) -> frozenset[str]:
    return seen[alias].facts if alias in seen else frozenset()
