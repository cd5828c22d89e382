"""The container runtime, as far as what a device plugin or a driver answers reaches it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hostdev.kubelet.stubs.deviceplugin_v1beta1_pb2 import ContainerAllocateResponse
from tests.kubelet.cdi import FAILED, Edits, Uninjectable, resolve
from tests.kubelet.pods import Container, Mount, Node, State
from tests.kubelet.surprises import Surprise

CREATE, CONFIG, START = "CreateContainerError", "CreateContainerConfigError", "StartError"
_ACCESS = frozenset("mrw")


class Unstartable(Exception):
    """A container cannot be started as it is."""

    def __init__(self, state: State) -> None:
        super().__init__(state.message)
        self.state = state


class Runtime(NamedTuple):
    """It sees the host below `root`; there, a link to a device is that device."""

    root: str
    surprises: frozenset[Surprise]

    def start(
        self, container: Container, answers: Iterable[ContainerAllocateResponse], cdi: Sequence[str] = ()
    ) -> None:
        """Of two answers that say something of the same thing the first counts, of two CDI devices the last; raises
        Unstartable.
        """
        environment: dict[str, str] = {}
        nodes: dict[str, Node] = {}
        for answer in answers:
            environment = {**answer.envs, **environment}
            for device in answer.devices:
                nodes.setdefault(
                    device.container_path, Node(device.container_path, device.host_path, device.permissions)
                )
        devices = tuple(found for node in nodes.values() for found in self._nodes(node))
        for number, node in enumerate(devices, 1):
            self._check_access(number, node)
        edits = self._edits(cdi)
        variables = edits.environment
        if Surprise.CDI_EDITS_OVERWRITE not in self.surprises:
            variables = variables[::-1]
        container.environment = {**environment, **dict(variables)}
        container.devices = (*devices, *dict.fromkeys(Node(*one) for one in edits.nodes))
        container.mounts = tuple(Mount(*one) for one in dict(edits.mounts).items())
        container.state = State("running")
        container.starts += 1

    def _edits(self, cdi: Sequence[str]) -> Edits:
        """What was not recorded is in the words of the runtime's libraries: a node or a mount that is not there."""
        try:
            edits = resolve(Path(self.root or "/"), cdi) if cdi else Edits()
        except Uninjectable as error:
            raise Unstartable(State("waiting", CREATE, str(error))) from None
        for _, path, _ in edits.nodes:
            if not os.path.lexists(f"{self.root}{path}"):
                why = f'failed to inject devices: failed to stat CDI host device "{path}": no such file or directory'
                raise Unstartable(State("waiting", CREATE, f"{FAILED}{why}"))
        for inside, path in edits.mounts:
            if not os.path.lexists(f"{self.root}{path}"):
                why = f'error mounting "{path}" to rootfs at "{inside}": stat {path}: no such file or directory'
                raise Unstartable(State("terminated", START, why))
        return edits

    def _nodes(self, node: Node) -> Sequence[Node]:
        path = Path(f"{self.root}/{node.host_path}")
        if not os.path.lexists(path):
            raise _unmade(f"lstat {node.host_path}: no such file or directory")
        if _is_device(path):
            return [node]
        if not path.is_dir():
            raise _unmade("not a device node")
        return list(_inside(path, node))

    def _check_access(self, number: int, node: Node) -> None:
        if not node.permissions and Surprise.EMPTY_PERMISSIONS_FAIL in self.surprises:
            raise Unstartable(State("terminated", START, f"device access at {number} field cannot be empty"))
        if frozenset(node.permissions) - _ACCESS:
            raise Unstartable(State("terminated", START, "resulting devices cgroup doesn't precisely match target"))


def _inside(path: Path, node: Node) -> Iterator[Node]:
    for found in sorted(path.iterdir()):
        if _is_device(found):
            yield Node(f"{node.container_path}/{found.name}", f"{node.host_path}/{found.name}", node.permissions)


def _is_device(path: Path) -> bool:
    return path.exists() and (stat.S_ISCHR(path.stat().st_mode) or stat.S_ISBLK(path.stat().st_mode))


def _unmade(why: str) -> Unstartable:
    made = f'failed to generate container "{os.urandom(32).hex()}" spec: failed to generate spec: {why}'
    return Unstartable(State("waiting", CREATE, made))
