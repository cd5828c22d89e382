"""The recording, played against the double: the plugins' side as it was, kubelet's side compared, to the byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeAlias

import grpc

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from hostdev.kubelet.stubs.pluginregistration_v1_pb2 import RegistrationStatus
from tests.kubelet.dice import Dice
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.player import HEALTH, STREAM, Answer, Incoming, Player, Stream, register
from tests.kubelet.pods import Pod
from tests.kubelet.surprises import ALL, Surprise
from tests.kubelet.times import QUICK, REAL
from tests.kubelet.transcript import Line
from tests.kubelet.wire import ASKS, ITEM
from tests.patience import PATIENCE

RECORDED = "/var/lib/kubelet"
TIMES = QUICK._replace(beat=30.0, grace=0.5, health_expiry=REAL.health_expiry, pre_start=2.0)
REGISTER_TIMEOUT = 15.0
PREFER, ALLOCATE, PRE_START, MUST = "GetPreferredAllocation", "Allocate", "PreStartContainer", "must"
_LATE = 0.2
"""What gRPC may add to a deadline on its way."""
_LONGEST = 4 << 20
"""Of a message that kubelet's gRPC takes."""
_DEADLINES = {"PreStartContainer": TIMES.pre_start, "GetInfo": TIMES.get_info, "NotifyRegistrationStatus": TIMES.notify}
_DEADLINES |= dict.fromkeys(("NodePrepareResources", "NodeUnprepareResources"), TIMES.claims)
_REAL = {"PreStartContainer": REAL.pre_start, "GetInfo": REAL.get_info}
_REAL |= dict.fromkeys(("NodePrepareResources", "NodeUnprepareResources"), REAL.claims)

Step: TypeAlias = Callable[["Replay"], object]
Script: TypeAlias = Mapping[int, Sequence[Step]]
"""What happened in the node just before a line: pods, restarts and accidents, which no message tells of."""


class RecordedDice(Dice):
    """Falls as it fell: what may be random is as recorded, and anything else stays as the double has it."""

    def __init__(self, lines: Iterable[Line]) -> None:
        super().__init__(0)
        lines = tuple(lines)
        names = resources(lines)
        asked = [one for one in lines if (one.side, one.kind) == ("kubelet", ASKS) and one.call in _IDS]
        self._next = [(line, names.get(line.plugin, line.plugin)) for line in asked]
        self._must: list[str] = []

    def order(self, call: str, resource: str, ids: Iterable[str]) -> list[str]:
        line = self._peek(resource, call)
        recorded = self._must if call == MUST else _IDS[call](line) if line else []
        if line:
            self._must = _must(line) if call == PREFER else []
            self._next.remove((line, resource))
        return [one for one in recorded if one in ids] + [one for one in sorted(ids) if one not in recorded]

    def pick(self, resource: str, ids: Iterable[str], number: int) -> Sequence[str]:
        line = self._peek(resource, ALLOCATE)
        recorded = [one for one in (_IDS[ALLOCATE](line) if line else []) if one in ids]
        return (recorded + [one for one in sorted(ids) if one not in recorded])[:number]

    def resources(self, names: Iterable[str]) -> list[str]:
        first = [resource for line, resource in self._next if line.call != PRE_START]
        return sorted(names, key=lambda name: first.index(name) if name in first else len(first))

    def _peek(self, resource: str, call: str) -> Line | None:
        return next((line for line, name in self._next if (line.call, name) == (call, resource)), None)


def resources(lines: Iterable[Line]) -> Mapping[str, str]:
    """The resource that each plugin registered, by the plugin's label."""
    named = {}
    for line in lines:
        if line.call == "Register" and line.kind == ASKS:
            named[line.plugin] = api.RegisterRequest.FromString(line.data).resource_name
    return named


def _available(line: Line) -> list[str]:
    return list(api.PreferredAllocationRequest.FromString(line.data).container_requests[0].available_deviceIDs)


def _must(line: Line) -> list[str]:
    return list(api.PreferredAllocationRequest.FromString(line.data).container_requests[0].must_include_deviceIDs)


def _allocated(line: Line) -> list[str]:
    if not line.truncated_to:
        return list(api.AllocateRequest.FromString(line.data).container_requests[0].devices_ids)
    # The ids at its beginning, each with a tag and a length before it.
    return [part[1:].decode() for part in line.data.split(b"\x0a") if part[:1] == b"\x0c" and len(part) == 13]


def _started(line: Line) -> list[str]:
    return list(api.PreStartContainerRequest.FromString(line.data).devices_ids)


_IDS: Mapping[str, Callable[[Line], list[str]]] = {PREFER: _available, ALLOCATE: _allocated, PRE_START: _started}
"""The ids of each call that has some, in the order in which kubelet sent them."""


class Replay:
    """One scenario."""

    def __init__(
        self,
        directory: Path,
        lines: Sequence[Line],
        script: Script,
        *,
        surprises: frozenset[Surprise] = ALL,
        patience: float = PATIENCE,
    ) -> None:
        self.lines, self._script, self._patience = lines, script, patience
        root = str(directory / "root")
        self.kubelet = Kubelet(directory, times=TIMES, dice=RecordedDice(lines), root=root, surprises=surprises)
        self.players: dict[str, Player] = {}
        self.pods: dict[str, Pod] = {}
        self.differences: list[str] = []
        self._served: dict[str, list[Player]] = {}
        self._asked: dict[tuple[str, str], int] = {}
        self._registers: dict[str, list[Future[Answer]]] = {}
        self._held: dict[str, list[Incoming]] = {}
        self.register_timeout = REGISTER_TIMEOUT

    def play(self) -> list[str]:
        """Go through it line by line; the answer is what was different."""
        with self.kubelet:
            try:
                for line in self.lines:
                    for step in self._script.get(line.n, ()):
                        step(self)
                    self._play(line)
                self._check_for_more()
            finally:
                for player in (one for served in self._served.values() for one in served):
                    player.stop()
        return self.differences

    def _play(self, line: Line) -> None:
        if line.side == "test":
            (self.serve if line.call == "serve" else self.stop)(line.plugin, line.note)
        elif line.call == "Register":
            self._send_register(line) if line.kind == ASKS else self._check_register(line)
        elif line.kind in {"stream-ended", "stream-return"}:
            self._end_stream(line)
        elif line.call in {STREAM, HEALTH}:
            self._watch(line)
        elif line.side == "kubelet":
            self._check_asked(line)
        else:
            self._answer(line)

    # The plugins' side.

    def serve(self, plugin: str, note: str) -> None:
        """A server at the recorded path, and what was served before under that label goes on."""
        path = note.replace(RECORDED, str(self.kubelet.directory))
        Path(path).parent.mkdir(exist_ok=True)
        self.players[plugin] = Player(path, self.kubelet.wire)
        self._served.setdefault(plugin, []).append(self.players[plugin])

    def stop(self, plugin: str, note: str = "") -> None:
        """Its server ends."""
        del note
        for player in self._served.get(plugin, ()):
            if not player.stopped:
                player.stop()

    def send_register(self, request: api.RegisterRequest) -> Future[Answer]:
        """In a thread, as the answer may take a while."""
        future: Future[Answer] = Future()
        socket, timeout = str(self.kubelet.plugins / "kubelet.sock"), self.register_timeout

        def send() -> None:
            future.set_result(register(socket, request, timeout))
            self.kubelet.wire.ring()

        threading.Thread(target=send, daemon=True).start()
        return future

    def _send_register(self, line: Line) -> None:
        sent = self.send_register(api.RegisterRequest.FromString(line.data))
        self._registers.setdefault(line.plugin, []).append(sent)

    def _answer(self, line: Line) -> None:
        """What was recorded goes to the call that waits for it; a call that is no more gets none."""
        held = self._held.get(line.plugin, [])
        asked = next((one for one in held if one.call == line.call and not one.answer.done()), None)
        if asked:
            code = grpc.StatusCode[line.code.rpartition(".")[2]] if line.code else None
            asked.answer.set_result(Answer(self.answer_of(line), code, line.details))

    def answer_of(self, line: Line) -> bytes:
        """What the plugin says."""
        return line.data

    def is_asked(self, plugin: str, call: str) -> bool:
        """Whether a call waits for its answer."""
        return any(not one.answer.done() for one in self._all_asked((plugin, call)))

    def fail(self, plugin: str, call: str, answer: Answer) -> None:
        """An answer that was not recorded."""
        asked = self._all_asked((plugin, call))
        self._asked[plugin, call] = len(asked)
        asked[-1].answer.set_result(answer)

    # Kubelet's side.

    def _check_asked(self, line: Line) -> None:
        asked = self._await_asked(line)
        said = self._as_recorded(asked)
        length = line.length or len(line.data)
        if len(said) != length or said[: len(line.data)] != line.data:
            self._differs(line, f"{said.hex()} instead of {line.data.hex()}")
        self._check_deadline(line, asked)
        self._held.setdefault(line.plugin, []).append(asked)

    def _as_recorded(self, asked: Incoming) -> bytes:
        """With kubelet's directory where it was."""
        if asked.call != "NotifyRegistrationStatus":
            return asked.data
        status = RegistrationStatus.FromString(asked.data)
        status.error = status.error.replace(str(self.kubelet.directory), RECORDED)
        return status.SerializeToString()

    def _await_asked(self, line: Line) -> Incoming:
        key = line.plugin, line.call
        number = self._asked[key] = self._asked.get(key, 0) + 1
        self._wait(line, lambda: len(self._all_asked(key)) >= number)
        return self._all_asked(key)[number - 1]

    def _all_asked(self, key: tuple[str, str]) -> list[Incoming]:
        plugin, call = key
        return [one for player in self._served.get(plugin, ()) for one in player.incoming if one.call == call]

    def _check_deadline(self, line: Line, asked: Incoming) -> None:
        recorded = line.deadline
        if recorded is None or asked.deadline is None:
            same = recorded is asked.deadline
        else:
            ours = _DEADLINES.get(line.call, self.register_timeout)
            real = _REAL.get(line.call)
            same = asked.deadline <= ours + _LATE and (real is None or recorded <= real)
        if not same:
            self._differs(line, f"deadline {asked.deadline} instead of {line.deadline}")

    def _check_register(self, line: Line) -> None:
        future = self._registers[line.plugin].pop(0)
        self._wait(line, future.done)
        answer = future.result()
        code = str(answer.code) if answer.code else ""
        # Of a kubelet that is down the plugin's own library tells.
        ours = answer.code is grpc.StatusCode.UNAVAILABLE
        if code != line.code or (answer.details != line.details and not ours):
            self._differs(line, f"{code} {answer.details}")

    def _watch(self, line: Line) -> None:
        """Kubelet opens a stream, or a list is sent on one."""
        number = line.stream or 1
        self._wait(line, lambda: len(self._streams(line.plugin)) >= number)
        if line.kind == ITEM:
            self._streams(line.plugin)[number - 1].send(line.data)
            if len(line.data) <= _LONGEST:
                self.kubelet.wait(lambda: self._is_listed(line), f"line {line.n}")

    def _is_listed(self, line: Line) -> bool:
        """Whether kubelet has read as many lists with this content as were sent, and made them its own."""
        sent = sum(one.kind == ITEM and one.n <= line.n and one.data == line.data for one in self.lines)
        arrived = sum(one.kind == ITEM and one.data == line.data for one in self.kubelet.wire)
        devices = {device.ID: device for device in api.ListAndWatchResponse.FromString(line.data).devices}
        known = self.kubelet.manager.resources.values()
        return arrived >= sent and any(resource.listed == devices for resource in known)

    def _streams(self, plugin: str) -> list[Stream]:
        return [stream for player in self._served.get(plugin, ()) for stream in player.streams]

    def _end_stream(self, line: Line) -> None:
        stream = self._streams(line.plugin)[(line.stream or 1) - 1]
        if line.kind == "stream-return":
            stream.end()
            return
        following = (one for one in self.lines if one.plugin == line.plugin and one.n > line.n)
        cause = next((one for one in following if one.kind != "stream-ended"), None)
        if not stream.ended and cause and cause.call == "stop" and cause.at - line.at < 1:
            self.stop(line.plugin)
        self._wait(line, lambda: stream.ended)
        # Where Register came before kubelet has noticed, it would be cut by the old stream's end: another scenario.
        self._wait(line, lambda: self.kubelet.clients.watching <= self._open_streams())

    def _open_streams(self) -> int:
        return sum(not stream.ended for plugin in self._served for stream in self._streams(plugin))

    def _wait(self, line: Line, condition: Callable[[], object]) -> None:
        what = f"line {line.n} of {line.scenario}: {line.plugin} {line.call} {line.kind}"
        self.kubelet.wait(condition, what, self._patience)

    def _differs(self, line: Line, what: str) -> None:
        self.differences.append(f"{line.n} {line.scenario}: {line.call} {what}")

    def _check_for_more(self) -> None:
        for plugin, served in self._served.items():
            for call in {asked.call for player in served for asked in player.incoming}:
                said, recorded = len(self._all_asked((plugin, call))), self._asked.get((plugin, call), 0)
                if said != recorded:
                    self.differences.append(f"{plugin}: {call} {said} times instead of {recorded}")


# Steps of any script, and what a test asks of a scenario.


def stop(replay: Replay) -> None:
    """Kubelet is stopped, when all containers run."""
    replay.kubelet.wait(lambda: all(one.running or one.ended for one in replay.kubelet.pods))
    replay.kubelet.stop()


def start(replay: Replay) -> None:
    """And started."""
    replay.kubelet.start()


def is_played_otherwise(replay: Replay) -> bool:
    """Whether something was different, or never came."""
    try:
        return bool(replay.play())
    except AssertionError:
        return True
