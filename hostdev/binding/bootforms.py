"""The forms in which a node gets its state at boot: a systemd service, and what hosts without a writable /etc take."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from hostdev.binding.drift import AUTO, Places, matches
from hostdev.binding.state import NodeState
from hostdev.inventory import pciclasses, pciids
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import vfio_driver
from hostdev.printing.documents import Document

SERVICE = "passgate-node-state.service"
STATE_FILE = "/etc/passgate/node-state.yaml"
VFIO = "modprobe@vfio_pci.service"
"""Systemd's own unit: a module may take longer to load than a write may take."""
PATIENCE = "120"
"""Seconds for a write while a host boots."""
UNIT_FILE = f"/etc/systemd/system/{SERVICE}"
WANTED_BY = f"/etc/systemd/system/multi-user.target.wants/{SERVICE}"
MODPROBE_FILE = "/etc/modprobe.d/passgate.conf"
GRUB_FILE = "/etc/default/grub.d/passgate.cfg"
KUBELETS = ("kubelet", "k3s", "k3s-agent", "rke2-server", "rke2-agent", "k0sworker", "snap.microk8s.daemon-kubelite")
"""Services that kubelet runs in."""
_STORAGE = 0x01


class Form(NamedTuple):
    """What a form is made of."""

    text: str
    """The file, as it was written."""
    state: NodeState
    program: tuple[str, ...] = ("/usr/bin/passgate",)
    image: str = "registry.example/passgate-node:latest"
    role: str = "worker"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters of the kernel."""
        return tuple(one.text for one in self.state.parameters)

    @property
    def options(self) -> Mapping[str, tuple[str, ...]]:
        """By module its options, as modprobe.d has them."""
        found: dict[str, tuple[str, ...]] = {}
        for one in self.state.options:
            found[one.module] = (*found.get(one.module, ()), f"{one.option}={one.value}")
        return found


def service(program: Sequence[str], *, after: Iterable[str] = ()) -> str:
    """The systemd service: before kubelet hands out devices, and after udev has named them."""
    before = " ".join(f"{name}.service" for name in (*KUBELETS, "libvirtd", "virtqemud"))
    wants = " ".join(("systemd-udev-settle.service", VFIO, *after))
    waits = f"{wants} systemd-modules-load.service local-fs.target"
    return (
        "[Unit]\n"
        f"Description=PCI devices for VMs as {STATE_FILE} declares them\n"
        f"ConditionPathExists={STATE_FILE}\n"
        f"Wants={wants}\n"
        f"After={waits}\n"
        f"Before={before}\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        # What a run before this one in the same boot left open would stand in the way.
        f"ExecStartPre=-{_line(*program, 'node', 'journal', 'recover', '--yes')}\n"
        f"ExecStart={_line(*program, 'node', 'state', 'apply', '--yes', '--deadline', PATIENCE, STATE_FILE)}\n"
        # A write that waits for a VM would be killed in vain.
        "TimeoutStartSec=10min\n"
        "KillMode=process\n"
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def installed_files(wanted: Form) -> Mapping[str, str]:
    """The files of a host with systemd and a writable /etc, by path."""
    return {STATE_FILE: wanted.text, UNIT_FILE: service(wanted.program)}


def too_late(state: NodeState, machine: Machine) -> Iterator[str]:
    """Devices that a service takes when the kernel has long had them, and what takes them before."""
    places = Places(machine)
    for entry in state.devices:
        to_guest = entry.driver == AUTO or vfio_driver(entry.driver) is not None
        for function in matches(places, entry) if to_guest else ():
            if why := _had_by(function):
                ids = f"vfio-pci.ids={pciids.ids(function)}"
                yield (
                    f"{function.address} is {why} before any service runs; {ids} on the kernel's command line and "
                    "vfio-pci in the initramfs are earlier, and take every device of this model"
                )


def _had_by(function: PciFunction) -> str:
    if function.boot_vga:
        return "the display that the kernel's console is put on"
    if pciclasses.base(function.class_code) == _STORAGE:
        return "a disk that the initramfs may mount or assemble"
    return ""


def print_form(form: str, wanted: Form) -> str:
    """The text of one of the forms."""
    return FORMS[form](wanted)


def _grub(wanted: Form) -> str:
    words = " ".join(wanted.parameters)
    append = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {_in_quotes(words)}"\n'
    return "".join(
        (
            f"# {GRUB_FILE} (Debian, Ubuntu; then: update-grub)\n",
            append if words else "# no parameter is declared\n",
            f"# Fedora, RHEL and kin: grubby --update-kernel=ALL --args={shlex.quote(words)}\n" if words else "",
            # As comments: the file is read by a shell, which would take them for commands.
            f"\n# {MODPROBE_FILE} (then: update-initramfs -u, or dracut -f)\n" if wanted.options else "",
            *(f"#   {line}" for line in _modprobe(wanted)),
        )
    )


def _in_quotes(text: str) -> str:
    """A text between double quotes of a shell, as it is."""
    return re.sub(r'([\\$`"])', r"\\\1", text)


def _modprobe(wanted: Form) -> Iterator[str]:
    for module, options in wanted.options.items():
        yield f"options {module} {' '.join(options)}\n"


_VOLUMES = (
    "/sys:/sys",
    "/dev:/dev",
    "/lib/modules:/lib/modules:ro",
    "/etc/passgate:/etc/passgate:ro",
    "/var/lib/passgate:/var/lib/passgate",
)
_TALOS_UKI = """\
# A node that boots by systemd-boot (UEFI) ignores extraKernelArgs: there they belong to the schematic
# of the Image Factory, and the node is upgraded to an image of it:
"""
_TALOS_AGENT = """\
# Talos has neither systemd nor a shell. The state is kept by the agent (deploy/overlays/agent-manage),
# which reads it from this ConfigMap; the second document is for kubectl apply -f FILE:
---
"""
_HARVESTER_AGENT = """\
# Claimed devices belong to Harvester's pcidevices add-on: leave them out of the file. The state of others
# is kept by the agent (deploy/overlays/agent-manage), which reads it from this ConfigMap, for kubectl apply -f FILE:
---
"""


def _container(wanted: Form) -> tuple[str, ...]:
    """The service's command where the host has no Python: the node image, with all of the host that it needs."""
    mounts = (word for volume in _VOLUMES for word in ("--volume", volume))
    runs = ("/usr/bin/podman", "run", "--rm", "--privileged", "--pid=host", "--network=host", *mounts)
    return (*runs, wanted.image)


def _machine_config(wanted: Form) -> str:
    files = [_ignition_file(STATE_FILE, wanted.text)]
    modprobe = "".join(_modprobe(wanted))
    files += [_ignition_file(MODPROBE_FILE, modprobe)] if modprobe else []
    unit = service(_container(wanted), after=("network-online.target",))
    unit = unit.replace("[Service]\n", "[Service]\nExecStartPre=/usr/bin/mkdir -p /var/lib/passgate\n")
    spec: Document = {"kernelArguments": list(wanted.parameters)} if wanted.parameters else {}
    spec["config"] = {
        "ignition": {"version": "3.2.0"},
        "storage": {"files": files},
        "systemd": {"units": [{"name": SERVICE, "enabled": True, "contents": unit}]},
    }
    return _yaml(
        {
            "apiVersion": "machineconfiguration.openshift.io/v1",
            "kind": "MachineConfig",
            "metadata": {
                "name": f"99-{wanted.role}-passgate",
                "labels": {"machineconfiguration.openshift.io/role": wanted.role},
            },
            "spec": spec,
        }
    )


def _ignition_file(path: str, text: str) -> Document:
    source = f"data:text/plain;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"
    # Ignition is JSON, which knows no octal numbers.
    return {"path": path, "mode": 0o644, "overwrite": True, "contents": {"source": source}}


def _talos(wanted: Form) -> str:
    machine: Document = {}
    if wanted.parameters:
        machine["install"] = {"extraKernelArgs": list(wanted.parameters)}
    options = {"vfio_pci": (), **wanted.options}
    modules = [
        {"name": name, "parameters": list(words)} if words else {"name": name} for name, words in options.items()
    ]
    machine["kernel"] = {"modules": modules}
    schematic = _yaml({"customization": {"extraKernelArgs": list(wanted.parameters)}}) if wanted.parameters else ""
    return "".join(
        (
            "# Two documents. The first, up to ---, is a patch of the machine configuration:\n",
            "# write it to a file of its own, and: talosctl patch machineconfig --patch @FILE\n",
            _yaml({"machine": machine}),
            _TALOS_UKI if schematic else "",
            *(f"#   {line}\n" for line in schematic.splitlines()),
            _TALOS_AGENT,
            config_map(wanted.text),
        )
    )


def config_map(text: str, namespace: str = "passgate") -> str:
    """The ConfigMap that the agent's overlay mounts."""
    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "passgate-node-state", "namespace": namespace},
            "data": {"node-state.yaml": text},
        }
    )


def _cloud_init(wanted: Form) -> str:
    files = [{"path": path, "content": text} for path, text in installed_files(wanted).items()]
    modprobe = "".join(_modprobe(wanted))
    files += [{"path": MODPROBE_FILE, "content": modprobe}] if modprobe else []
    reboot = wanted.parameters or wanted.options
    # Without a reboot it is this boot that it has to be done in.
    enable = ["systemctl", "enable", SERVICE] if reboot else ["systemctl", "enable", "--now", SERVICE]
    commands: list[Any] = [["systemctl", "daemon-reload"], enable]
    if wanted.parameters:
        files.append({"path": GRUB_FILE, "content": _grub(wanted._replace(state=wanted.state._replace(options=())))})
        commands.append(["update-grub"])
    document: Document = {"write_files": files, "runcmd": commands}
    if reboot:
        document["power_state"] = {"mode": "reboot", "message": "kernel parameters for PCI passthrough"}
    return "#cloud-config\n" + _yaml(document)


def _harvester(wanted: Form) -> str:
    modprobe = "".join(_modprobe(wanted))
    modules = "; ".join(f"modprobe -r {one} && modprobe {one}" for one in wanted.options)
    files = [{"path": STATE_FILE, "permissions": 0o644, "content": wanted.text}]
    files += [{"path": MODPROBE_FILE, "permissions": 0o644, "content": modprobe}] if modprobe else []
    stage: Document = {"name": "passgate", "stages": {"initramfs": [{"name": "PCI passthrough", "files": files}]}}
    return "".join(
        (
            "# Harvester's root is made anew at each boot; /oem is kept.\n",
            *_harvester_parameters(" ".join(wanted.parameters)),
            f"# Options of modules that were loaded before: {modules}\n" if modules else "",
            "# /oem/98_passgate.yaml, up to ---:\n",
            _yaml(stage),
            _HARVESTER_AGENT,
            config_map(wanted.text),
        )
    )


def _harvester_parameters(words: str) -> Iterator[str]:
    """How a node gets them: by no file."""
    if words:
        yield "# A node that is there, as root (the first command shows what is set already, keep it):\n"
        yield "#   grub2-editenv /oem/grubenv list\n"
        yield f'#   grub2-editenv /oem/grubenv set third_party_kernel_args="multipath=off {_in_quotes(words)}"\n'
        yield "# A node that is to be installed, in its configuration:\n"
        new = _yaml({"os": {"additionalKernelArguments": words}})
        yield from (f"#   {line}\n" for line in new.splitlines())


FORMS = MappingProxyType(
    {
        "grub": _grub,
        "machineconfig": _machine_config,
        "talos": _talos,
        "cloud-init": _cloud_init,
        "harvester": _harvester,
    }
)
"""By name of the kind of host."""


def _line(*words: str) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """A word of a command line as systemd reads it."""
    plain = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{plain}"' if plain != word or " " in word or not word else word


def _yaml(document: Document, depth: int = 0) -> str:
    """YAML without a library: block mappings and lists, texts of several lines as blocks, others in quotes."""
    return "".join(f"{line}\n" for line in _lines(document, depth))


def _is_block(text: str) -> bool:
    """Whether a block shows the text as it is."""
    lines = text.split("\n")
    plain = all(line.isprintable() and not line.endswith(" ") for line in lines)
    return (
        len(lines) > 1
        and plain
        and bool(lines[0])
        and not lines[0].startswith(" ")
        and text[-2:] not in {"", "\n\n"}
        and text.endswith("\n")
    )


def _lines(value: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    pairs = value.items() if isinstance(value, dict) else ((None, one) for one in value)
    for key, inner in pairs:
        head = f"{pad}- " if key is None else f"{pad}{key}: "
        if isinstance(inner, dict | list) and inner:
            if key is None:
                first, *rest = _lines(inner, depth + 1)
                yield f"{pad}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{pad}{key}:"
                yield from _lines(inner, depth + 1)
        elif isinstance(inner, str) and _is_block(inner):
            yield f"{head}|"
            yield from (f"{pad}  {line}" if line else "" for line in inner[:-1].split("\n"))
        elif isinstance(inner, int) and key == "permissions":
            yield f"{head}0{inner:o}"
        else:
            yield head + (_in_double_quotes(inner) if isinstance(inner, str) else json.dumps(inner))


def _in_double_quotes(text: str) -> str:
    """As YAML's double quotes have it: what is no printable character by its number."""
    numbers = {character: f"\\U{ord(character):08x}" for character in text if not character.isprintable()}
    return '"' + "".join(numbers.get(one, f"\\{one}" if one in '"\\' else one) for one in text) + '"'
