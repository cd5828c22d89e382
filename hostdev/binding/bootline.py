"""What a node state needs of the kernel: parameters and module options, compared with those of the running one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from hostdev.binding.state import ModuleOption, NodeState, Parameter
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.platform import module_parameters

OPPOSITES = (frozenset({"on", "off"}), frozenset({"pt", "nopt"}), frozenset({"strict", "lazy"}))
"""Words of which the last one on the command line counts."""
_TRUE, _FALSE = frozenset({"Y", "y", "1", "true", "on"}), frozenset({"N", "n", "0", "false", "off"})
TELLING = frozenset(
    {
        *("intel_iommu", "amd_iommu", "iommu", "iommu.passthrough", "iommu.strict", "pcie_acs_override"),
        *("modprobe.blacklist", "module_blacklist", "rd.driver.pre", "default_hugepagesz", "hugepagesz", "hugepages"),
    }
)
"""Parameters that decide about passthrough, besides those of modules."""
MODULES = frozenset(
    {"vfio", "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "i915", "xe", "kvm", "nvidia", "mlx5_core"}
)
"""Modules whose parameters do."""
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "vfio_pci": {
        "disable_idle_d3": "N",
        "disable_denylist": "N",
        "disable_vga": "N",
        "nointxmask": "N",
        "enable_sriov": "N",
    },
    "vfio": {"enable_unsafe_noiommu_mode": "N"},
    "vfio_iommu_type1": {"allow_unsafe_interrupts": "N", "disable_hugepages": "N"},
}
"""Options that decide about passthrough, as they are when nothing is said."""


FILES = ("etc/default/grub", "etc/kernel/cmdline", "boot/grub/grub.cfg", "boot/grub2/grub.cfg")
DIRECTORIES = ("etc/default/grub.d", "boot/loader/entries", "etc/modprobe.d")
"""Where boots are configured, by GRUB, systemd-boot and kmod."""
SUFFIX = ".toml"


class Boot(NamedTuple):
    """What the kernel runs with, and what the next boot is to bring, as far as it can be read."""

    cmdline: str = ""
    options: Mapping[str, Mapping[str, str] | None] = {}
    """By module its parameters as they are now; None for a module that is not there, or was not looked at."""
    files: Mapping[str, str] = {}
    """Files of the boot configuration by path, with their text."""
    recorded: bool = False
    """A recording holds the parameters of few modules, and none of these files."""
    hidden: bool = False
    """The files of the next boot are not to be seen from within this container."""


class Shortfall(NamedTuple):
    """A parameter or an option that is not as it is declared."""

    place: str
    what: str
    want: str
    have: str | None
    configured: str = ""
    """The file in which it stands already, for the next boot."""
    unknown: str = ""
    """Why it cannot be known whether it is so."""


def read_boot(host: Host, machine: Machine, modules: Iterable[str] = ()) -> Boot:
    """Look at the parameters of these modules and of VFIO's, and at the files of the next boot."""
    recorded = machine.source.endswith(SUFFIX)
    options = {module: module_parameters(host, module) for module in {*DEFAULTS, *modules}}
    root = host.node_root
    files = {} if recorded or root is None else dict(_files(host, root))
    return Boot(machine.kernel.cmdline, options, files, recorded, root is None)


def _files(host: Host, root: str) -> Iterator[tuple[str, str]]:
    listed = (f"{one}/{name}" for one in DIRECTORIES for name in host.names(f"{root}{one}") or ())
    for file in (*FILES, *listed):
        text = host.text(f"{root}{file}", quiet=True)
        if text:
            yield file, text


def shortfalls(state: NodeState, boot: Boot) -> Iterator[Shortfall]:
    """Everything declared that the running kernel does not show."""
    for parameter in state.parameters:
        given = occurrences(boot.cmdline, parameter.name)
        if not _has(given, parameter):
            have = " ".join(given) or None
            configured = _configured(boot, parameter)
            yield Shortfall(parameter.place, "kernel parameter", parameter.text, have, configured)
    for option in state.options:
        yield from _of_option(option, boot)


def places(state: NodeState) -> dict[str, str]:
    """Everything declared of the kernel, by its place in the file."""
    parameters = {one.place: one.text for one in state.parameters}
    return parameters | {one.place: f"{one}={one.value}" for one in state.options}


def occurrences(cmdline: str, name: str) -> tuple[str, ...]:
    """The words of a command line that set one parameter; dashes and underscores are one."""
    words = (word for word in _words(cmdline) if _plain(word.partition("=")[0]) == _plain(name))
    return tuple(words)


def exported_parameters(cmdline: str) -> tuple[str, ...]:
    """The words of a command line that decide about passthrough."""
    found = (word for word in _words(cmdline) if _is_telling(word.partition("=")[0]))
    return tuple(dict.fromkeys(word for word in found if '"' not in word and " " not in word))


def exported_options(boot: Boot) -> Mapping[str, Mapping[str, str]]:
    """Options of VFIO's modules that are not as they would be by themselves."""
    found: dict[str, dict[str, str]] = {}
    for module, defaults in DEFAULTS.items():
        now = boot.options.get(module) or {}
        differ = {name: value for name, value in now.items() if name in defaults and not _same(value, defaults[name])}
        if differ:
            found[module] = differ
    return found


def _has(given: tuple[str, ...], parameter: Parameter) -> bool:
    if parameter.value is None:
        return parameter.text in given
    values = [word.partition("=")[2] for word in given if "=" in word]
    if "." in parameter.name:
        # Of a module's parameter the last one counts.
        return bool(values) and _set(values[-1]) == _set(parameter.value)
    said: set[str] = set()
    for value in values:
        for word in value.split(","):
            said -= next((pair for pair in OPPOSITES if word in pair), frozenset())
            said.add(word)
    return _set(parameter.value) <= said


def _of_option(option: ModuleOption, boot: Boot) -> Iterator[Shortfall]:
    given = occurrences(boot.cmdline, str(option))
    now = boot.options.get(option.module)
    want, what = f"{option}={option.value}", "module option"
    if now is not None and option.option in now:
        if not _same(now[option.option], option.value):
            configured = _configured_option(option, boot)
            yield Shortfall(option.place, what, want, f"{option}={now[option.option]}", configured)
    elif given and _same(given[-1].partition("=")[2], option.value):
        return
    elif now is None:
        why = "a recording does not hold the module" if boot.recorded else "the module is not loaded"
        yield Shortfall(option.place, what, want, None, _configured_option(option, boot), why)
    else:
        why = "the module does not show this option in /sys/module"
        yield Shortfall(option.place, what, want, None, _configured_option(option, boot), why)


def _configured(boot: Boot, parameter: Parameter) -> str:
    for file, text in boot.files.items():
        lines = (line.partition("#")[0].replace('"', " ").replace("'", " ") for line in text.splitlines())
        if "modprobe" not in file and any(parameter.text in line.split() for line in lines):
            return f"/{file}"
    return ""


def _configured_option(option: ModuleOption, boot: Boot) -> str:
    for file, text in boot.files.items():
        if "modprobe" in file and any(_sets(line, option) for line in text.splitlines()):
            return f"/{file}"
    return _configured(boot, Parameter("", f"{option}={option.value}"))


def _sets(line: str, option: ModuleOption) -> bool:
    """Whether a line of modprobe.d gives the option its value."""
    first, module, *words = [*line.partition("#")[0].split(), "", ""]
    pairs = (word.partition("=") for word in words)
    named = first == "options" and _plain(module) == option.module
    return named and any(
        _plain(name) == _plain(option.option) and _same(value, option.value) for name, _, value in pairs
    )


def _words(cmdline: str) -> Iterator[str]:
    """Split at blanks that are not within quotes; what stands after `--` is for init."""
    for word in _quoted(cmdline).split():
        if word == "--":
            return
        yield word.replace("\0", " ")


def _quoted(cmdline: str) -> str:
    inside = cmdline.split('"')
    return "".join(part.replace(" ", "\0") if index % 2 else part for index, part in enumerate(inside))


def _is_telling(name: str) -> bool:
    module, dot, _ = name.partition(".")
    return name in TELLING or (bool(dot) and _plain(module) in MODULES)


def _set(value: str) -> set[str]:
    return {word.lower() for word in value.split(",")}


def _same(one: str, other: str) -> bool:
    if {one, other} <= _TRUE or {one, other} <= _FALSE:
        return True
    return one.lower() == other.lower() or (_number(one) is not None and _number(one) == _number(other))


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _plain(name: str) -> str:
    return name.replace("-", "_")
