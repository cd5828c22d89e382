"""From selected devices to pools: which of them are one resource, who hands it out, and how many the VM gets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, count

from domxml.errors import BadInput
from hostdev.allocation.dialects import fold_name, resource_suffix
from hostdev.findings.allocation import RESOURCE_NAME_AMBIGUOUS
from hostdev.findings.device import DEVICE_MISSING
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.pciids import Namer
from hostdev.manifest import naming
from hostdev.manifest.pool import OFFERED, By, Pool, Wanted, Word, of_network
from hostdev.manifest.selection import Selected
from hostdev.manifest.units import fold_units
from hostdev.manifest.words import Named
from hostdev.vmi.request import Request

_NETWORK = (By.OPERATOR, By.CNI)


def pools(machine: Machine, namer: Namer, found: Iterable[Named], wanted: Wanted) -> tuple[Pool, ...]:
    """One pool for each kind of device, network port, and type of mediated devices."""
    drafts: dict[object, Pool] = {}
    for selected, word in fold_units(machine, tuple(found)) if wanted.by in OFFERED else found:
        for key, draft in _drafts(machine, selected, wanted):
            meant = draft._replace(words=(word,))
            drafts[key] = _joined(drafts[key], meant) if key in drafts else meant
    named = tuple(_named(list(drafts.values()), namer, wanted))
    _check_apart(named)
    return named


def _drafts(machine: Machine, selected: Selected, wanted: Wanted) -> Iterator[tuple[object, Pool]]:
    if selected.mdev is not None:
        if wanted.by in _NETWORK:
            raise _no_network(selected.mdev.name, wanted)
        by = wanted.by or By.KUBEVIRT
        yield (by, selected.mdev.name), Pool(by, "", "", selected.functions, mdev=selected.mdev)
        return
    units = {unit.primary: (unit,) for unit in selected.units}
    for function in selected.functions:
        by = wanted.by or _usual(function, wanted)
        if by in _NETWORK:
            yield _of_network(machine, function, by, selected, wanted)
        else:
            mine = units.get(function.address, ())
            pool = Pool(by, "", "", (function,), outright=selected.outright, units=mine)
            yield (by, _kind(function, by, wanted)), pool


def _usual(function: PciFunction, wanted: Wanted) -> By:
    """Who hands such a device out on most clusters."""
    if of_network(function):
        return By.OPERATOR
    plugins = naming.PLUGIN_RESOURCES.get((function.vendor, function.device))
    return By.PLUGIN if plugins is not None and wanted.resource in {"", plugins} else By.KUBEVIRT


def _kind(function: PciFunction, by: By, wanted: Wanted) -> object:
    """Tell resources apart: one is all that --resource names, what a plugin calls the same, or what is the same."""
    ids = (function.vendor, function.device)
    return wanted.resource or (naming.PLUGIN_RESOURCES.get(ids, ids) if by is By.PLUGIN else ids)


def _of_network(
    machine: Machine, function: PciFunction, by: By, selected: Selected, wanted: Wanted
) -> tuple[object, Pool]:
    if not of_network(function):
        raise _no_network(str(function.address), wanted)
    port = function if function.physfn is None else machine.functions.get(function.physfn)
    if port is None:
        what, hint = f"its PF {function.physfn} is not to be seen", "run it on the node itself"
        raise DEVICE_MISSING.refused(str(function.address), what, hint)
    named = selected.outright and function is not port
    every = tuple(machine.functions[vf] for vf in port.virtfns if vf in machine.functions)
    functions = (function,) if named else every
    vfs = number_of_vfs(port, wanted.vfs)
    if named and port.virtfns.index(function.address) >= vfs:
        what = f"is VF {port.virtfns.index(function.address)} of {port.address}, which shall have {vfs}"
        raise BadInput("bad-usage", what, subject=str(function.address), hint="name a lower one, or raise --vfs")
    return (by, port.address), Pool(by, "", "", functions, outright=named, port=port, vfs=vfs)


def number_of_vfs(port: PciFunction, asked: int | None) -> int:
    """How many VFs a port shall have: as many as were asked for, as it has, or as it can have."""
    most = port.total_vfs or 0
    if asked is not None and not 0 < asked <= most:
        what = f"cannot have {asked} VFs"
        raise BadInput("bad-usage", what, subject=str(port.address), hint=f"it can have 1 to {most}")
    return asked or port.num_vfs or most


def _joined(first: Pool, second: Pool) -> Pool:
    """Of a kind the VM gets one; of those that were named, all."""
    outright = first.outright and second.outright
    units = tuple({unit.primary: unit for unit in (*first.units, *second.units)}.values())
    if not outright:
        functions = tuple(dict.fromkeys((*first.functions, *second.functions)))
        words = (_agreed(first.words[0], second.words[0]),)
        return first._replace(functions=functions, outright=False, wanted=1, words=words, units=units)
    named = dict(zip(first.functions, first.words, strict=True))
    for function, word in zip(second.functions, second.words, strict=True):
        named[function] = _agreed(named[function], word) if function in named else word
    return first._replace(functions=tuple(named), wanted=len(named), words=tuple(named.values()), units=units)


def _agreed(first: Word, second: Word) -> Word:
    """Two words for one device: the settings of one of them, or of both where they are the same."""
    bare = Request()
    if second.request in (bare, first.request):
        return first
    if first.request == bare:
        return second._replace(number=first.number)
    what = f"{first.text} and {second.text} mean one device, and ask for different things"
    raise BadInput("bad-device", what, subject=second.text, hint="write the settings at one of them")


def _named(drafts: Sequence[Pool], namer: Namer, wanted: Wanted) -> Iterator[Pool]:
    if wanted.resource and len(drafts) > 1:
        kinds = ", ".join(_what(draft) for draft in drafts[:4])
        what = f"--resource names one resource, and these are {len(drafts)}: {kinds}"
        raise BadInput("bad-usage", what, hint="run it once for each of them")
    taken: set[str] = set()
    devices = _names(draft.words for draft in drafts)
    for index, draft in enumerate(drafts):
        resource = wanted.resource or _derived(draft, namer, index)
        if not wanted.resource and fold_name(resource_suffix(resource)) in taken and draft.mdev is None:
            resource = naming.numbered_name(resource, draft.functions[0] if draft.port is None else draft.port)
        taken.add(fold_name(resource_suffix(resource)))
        if draft.by is By.OPERATOR:
            naming.check_operators(resource)
        else:
            naming.check(resource, kubevirt=draft.by is By.KUBEVIRT)
        pool = _apart(draft._replace(resource=resource, name=naming.slug(resource)), devices)
        devices.update((pool.name, *pool.devices))
        yield pool


def _names(words: Iterable[Sequence[Word]]) -> set[str]:
    """The names that the words give to devices of the VM."""
    given: set[str] = set()
    for name in (word.request.name for some in words for word in some if word.request.name):
        if name in given:
            raise BadInput("bad-device", f"two devices are named {name}", hint="give each a name of its own")
        given.add(name)
    return given


def _apart(pool: Pool, taken: Collection[str]) -> Pool:
    """The same with a name that makes no device's name a second time."""
    names = chain([pool.name], (f"{pool.name}-v{number}" for number in count(2)))
    candidates = (pool._replace(name=name) for name in names)
    given = {word.request.name for word in pool.words}
    return next(one for one in candidates if not {one.name, *({*one.devices} - given)} & {*taken})


def _derived(pool: Pool, namer: Namer, index: int) -> str:
    if pool.port is not None:
        name = naming.of_port(pool.port, index)
        return name if pool.by is By.OPERATOR else f"{naming.domain_of(namer(pool.port))}/{name}"
    function = pool.functions[0]
    if pool.mdev is not None:
        return naming.derived_of_type(pool.mdev, namer(function))
    if pool.by is By.PLUGIN and function.vendor != naming.NVIDIA:
        known = naming.PLUGIN_RESOURCES.get((function.vendor, function.device))
        if known is None:
            what = f"what the device plugin calls {pciids.ids(function)} is not known"
            hint = "name it with --resource, as `kubectl describe node` shows it"
            raise BadInput("resource-unknown", what, subject=str(function.address), hint=hint)
        return known
    return naming.resource_name(function, namer(function))


def _check_apart(named: Iterable[Pool]) -> None:
    """Each resource has a variable of its own."""
    seen: dict[str, Pool] = {}
    for pool in named:
        other = seen.setdefault(fold_name(resource_suffix(pool.resource)), pool)
        if other is not pool:
            what = f"{_what(other)} would be {other.resource}, {_what(pool)} {pool.resource}: one variable for both"
            hint = "run it once for each of them, with --resource"
            raise BadInput(RESOURCE_NAME_AMBIGUOUS.code, what, hint=hint)


def _what(pool: Pool) -> str:
    if pool.mdev is not None:
        return pool.mdev.name
    return f"the VFs of {pool.port.address}" if pool.port else pciids.ids(pool.functions[0])


def _no_network(subject: str, wanted: Wanted) -> BadInput:
    what = f"is no port or VF of a network card, and --by {wanted.by} is for those only"
    return BadInput("bad-usage", what, subject=subject, hint=f"leave --by out, or write --by {By.KUBEVIRT}")
