"""All that kubectl tells of one VM, as the files of a dump: the same that are read again from a directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domxml.errors import BadInput, HostUnreadable, NotPermitted, PassgateError
from hostdev.cli.kubectl import Answer, Kubectl, Trouble
from hostdev.jsontext import Format, parse_json
from hostdev.kubevirt.spec import Fields, get_list, get_map, get_text
from hostdev.why.dump import LARGEST, File, index_file, read_dump
from hostdev.why.evidence import Evidence, Gap
from hostdev.why.pod import wants_sidecar
from hostdev.why.sayings import has_begun
from hostdev.why.subject import Name, Subject, find_subject

MOST_PODS = 3
"""Pods of a VM whose events are asked for: the one of now, and the last before."""
_TAIL = ("--tail=5000", "--limit-bytes=16777216")
_INSTANCE_KINDS = {
    "VirtualMachineInstancetype": "virtualmachineinstancetypes",
    "VirtualMachineClusterInstancetype": "virtualmachineclusterinstancetypes",
    "VirtualMachinePreference": "virtualmachinepreferences",
    "VirtualMachineClusterPreference": "virtualmachineclusterpreferences",
}
_MOST_HANGS = 2


class ClusterDump:
    """Asks step by step: what comes next depends on what there is."""

    def __init__(self, kubectl: Kubectl, wanted: Name) -> None:
        self._kubectl = kubectl
        self._wanted = wanted
        self.files: list[File] = []
        self.gaps: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self._hangs = 0

    @property
    def evidence(self) -> Evidence:
        """What is known by now."""
        return read_dump("the cluster", [*self.files, self._index()])

    def gather(self) -> Evidence:
        """Ask for everything that a diagnosis takes; refused where nothing at all can be asked."""
        self._objects()
        subject = self._subject()
        if subject is not None:
            self._beside(subject)
            self._events(subject)
            if subject.node:
                self._get("node.json", "nodes", "nodes", subject.node, namespace="")
            self._agents()
            subject = self._subject() or subject
            self._logs(subject)
            self._agent(subject)
        return self.evidence

    def _objects(self) -> None:
        vm = self._get("vm.json", "virtualmachines", "vm", self._wanted.name)
        vmi = self._get("vmi.json", "virtualmachineinstances", "vmi", self._wanted.name)
        self._check_reachable(vm, vmi)
        found = next((space for file in self.files if (space := _namespace(file))), "")
        self._kubectl.namespace = self._kubectl.namespace or found
        pods = self._get("pods.json", "pods", "pods", "-l", "kubevirt.io=virt-launcher")
        if {vm.trouble, vmi.trouble, pods.trouble} <= {Trouble.FORBIDDEN}:
            hint = "ask for `get` on virtualmachines, virtualmachineinstances, pods and events, and for pods/log"
            raise NotPermitted("not-allowed", f"the cluster shows nothing of it: {vm.why}", hint=hint)

    def _check_reachable(self, vm: Answer, vmi: Answer) -> None:
        if {vm.trouble, vmi.trouble} == {Trouble.UNKNOWN_KIND}:
            what = f"the cluster has no KubeVirt: {vm.why}"
            raise BadInput("no-kubevirt", what, hint="is it the right --context?")
        bad = {Trouble.HANGS, Trouble.UNREACHABLE, Trouble.FAILED}
        if vm.trouble in bad and vmi.trouble in bad:
            hint = "try `kubectl get vm` by hand; --context names another cluster, --deadline waits longer"
            raise HostUnreadable("no-cluster", vm.why, hint=hint)

    def _subject(self) -> Subject | None:
        """The VM as it is known by now; None where nothing of it is there."""
        try:
            return find_subject(self.evidence, Name(self._wanted.name, self._kubectl.namespace))
        except PassgateError:
            return None

    def _beside(self, subject: Subject) -> None:
        self._get("kubevirt.json", "kubevirts", "kubevirt", "-A")
        for network in get_list(subject.spec, "networks"):
            space, _, name = get_text(network, "multus", "networkName").rpartition("/")
            if name:
                words = ("network-attachment-definitions", name)
                self._get(f"network-{name}.json", "networks", *words, namespace=space or subject.namespace)
        for key in ("instancetype", "preference"):
            matcher = get_map(subject.vm, "spec", key)
            kind = get_text(matcher, "kind") or f"VirtualMachineCluster{key.capitalize()}"
            plural = next((many for one, many in _INSTANCE_KINDS.items() if one.lower() == kind.lower()), "")
            if plural and get_text(matcher, "name"):
                self._get(f"{key}.json", f"{key}s", plural, get_text(matcher, "name"))

    def _events(self, subject: Subject) -> None:
        pods = [subject.pod, *subject.others][:MOST_PODS]
        names = [subject.name, *filter(None, (get_text(pod, "metadata", "name") for pod in pods))]
        for name in dict.fromkeys(names):
            words = ("events", "--field-selector", f"involvedObject.name={name}")
            answer = self._get(f"events-{name}.json", "events", *words)
            if answer.trouble:
                return

    def _agents(self) -> None:
        self._keep("agents.json", "agents", self._kubectl.get_agents())

    def _logs(self, subject: Subject) -> None:
        for name in ("compute", *(get_text(one, "name") for one in subject.sidecars)):
            if self._has_begun(subject, name):
                words = ("logs", subject.pod_name, "-c", name, *_TAIL)
                writer = "compute" if name == "compute" else "sidecar"
                self._read(f"logs/{subject.pod_name}.{name}.log", f"log {writer}", *words)
        if subject.sidecars and not subject.runs and self._has_begun(subject, "compute"):
            folder = get_text(subject.sidecars[0], "name")
            path = f"/var/run/kubevirt-hooks/{folder}/userdata/passgate/allocation.env"
            command = ("exec", subject.pod_name, "-c", "compute", "--", "cat", path)
            self._read(f"logs/{subject.pod_name}.allocation.env", "allocation file", *command)

    def _has_begun(self, subject: Subject, name: str) -> bool:
        return bool(subject.pod_name) and has_begun(subject.container_status(name))

    def _agent(self, subject: Subject) -> None:
        """What only the node knows: who has which device, and how they do. Its agent's image has passgate."""
        name, space = (get_text(subject.agent, "metadata", key) for key in ("name", "namespace"))
        if not name or not (wants_sidecar(subject) or subject.pod):
            return
        words = ("logs", name, "-c", "agent", "--tail=2000", "--limit-bytes=4194304")
        self._read(f"logs/{name}.agent.log", "log agent", *words, namespace=space)
        self._exec(name, space, "who", "who", "driver=vfio*")
        mine = (self._subject() or subject).held_devices
        if mine:
            self._exec(name, space, "vitals", "vitals", *mine)
            if not subject.runs:
                self._exec(name, space, "doctor", "doctor", *mine)

    def _exec(self, pod: str, namespace: str, what: str, *words: str) -> None:
        command = ("exec", pod, "-c", "agent", "--", "passgate", "node", *words, "-o", "json")
        answer = self._ask(command, namespace, partial=True)
        value = _value(answer.data)
        if answer.trouble or not isinstance(value, dict) or value.get("kind") == "Error":
            why = answer.why or get_text(value, "message") or "the agent answered with something that is no document"
            self.gaps.append((what, why))
        else:
            self.files.append(File(f"agent/{what}.json", answer.data))

    def _get(self, file: str, what: str, *words: str, namespace: str | None = None) -> Answer:
        return self._keep(file, what, self._ask(("get", *words, "-o", "json"), namespace))

    def _read(self, file: str, what: str, *words: str, namespace: str | None = None) -> None:
        answer = self._ask(words, namespace)
        if answer.trouble:
            self.gaps.append((what, answer.why))
        else:
            self.files.append(File(file, answer.data))
            self.asked.append(what)

    def _ask(self, words: Sequence[str], namespace: str | None, *, partial: bool = False) -> Answer:
        """Run one call; what hangs again and again is not asked any more."""
        if self._hangs >= _MOST_HANGS:
            return Answer(trouble=Trouble.HANGS, why="not asked any more: kubectl has hung before")
        answer = self._kubectl.run(*words, namespace=namespace, partial=partial)
        self._hangs += answer.trouble is Trouble.HANGS
        return answer

    def _keep(self, file: str, what: str, answer: Answer) -> Answer:
        if answer.trouble is Trouble.ABSENT:
            self.asked.append(what)
        elif answer.trouble:
            self.gaps.append((what, answer.why))
        elif not isinstance(_value(answer.data), dict):
            why = f"kubectl answered with something that is no JSON ({len(answer.data)} bytes)"
            self.gaps.append((what, why))
            return Answer(trouble=Trouble.FAILED, why=f"{what}: {why}")
        else:
            self.files.append(File(file, answer.data))
            self.asked.append(what)
        return answer

    def _index(self) -> File:
        return index_file(self.asked, [Gap(what, why) for what, why in self.gaps])


def _value(data: bytes) -> Any:
    try:
        return parse_json(data, Format("kubectl", "bad-dump", LARGEST))
    except BadInput:
        return None


def _namespace(file: File) -> str:
    value: Fields = _value(file.data) or {}
    items = get_list(value, "items")
    return get_text(value, "metadata", "namespace") or next(
        (get_text(one, "metadata", "namespace") for one in items), ""
    )
