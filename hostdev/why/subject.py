"""The VM that is asked about, among all that was told: its VMI, its pod of now, those of before, its node's agent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.text import did_you_mean, listed, printable
from hostdev.kubevirt.spec import EMPTY, Fields, get_list, get_map, get_text
from hostdev.why.describe import is_described
from hostdev.why.events import Event
from hostdev.why.evidence import AGENT, HANDLER, KERNEL, Evidence, Log

VM, VMI, POD = "VirtualMachine", "VirtualMachineInstance", "Pod"
HOOKS = "hooks.kubevirt.io/hookSidecars"
OURS = "passgate.dev/"
_POD_NAME = re.compile(r"virt-launcher-(.+?)(?:-[a-z0-9]{5})?")
_WORDS = {
    **dict.fromkeys(("vm", "vms", "virtualmachine", "virtualmachines"), VM),
    **dict.fromkeys(("vmi", "vmis", "virtualmachineinstance", "virtualmachineinstances"), VMI),
    **dict.fromkeys(("pod", "pods", "po"), POD),
}
_VERSION = re.compile(r"(?:^|:)v?(\d+\.\d+(?:\.\d+)?)(?=[.-]|$)")
_IMAGE = re.compile(r"(?:^|/)[\w.-]*passgate[\w.-]*(?::[^/]*)?(?:@[^/]*)?$")
_OVER = frozenset({"Failed", "Succeeded"})


class Name(NamedTuple):
    """The VM as it was typed: its name, and the namespace if one was told."""

    name: str
    namespace: str = ""


def parse_name(word: str, namespace: str) -> Name:
    """Read NAME, vm/NAME, vmi/NAME, pod/NAME or NAMESPACE/NAME."""
    kind, slash, name = word.partition("/")
    if not slash:
        return Name(word, namespace)
    if not kind or not name or "/" in name:
        raise BadInput("bad-usage", f"{printable(word)!r} is no name of a VM", hint="write NAME, or -n NAMESPACE NAME")
    if kind.partition(".")[0].lower() in _WORDS:
        return Name(name, namespace)
    if namespace not in {"", kind}:
        what = f"{printable(word)!r} names another namespace than -n {printable(namespace)}"
        raise BadInput("bad-usage", what, hint="name one of them")
    return Name(name, kind)


class Subject(NamedTuple):
    """A VM, and what there is of it."""

    name: str
    namespace: str
    evidence: Evidence
    vm: Fields = EMPTY
    vmi: Fields = EMPTY
    pod: Fields = EMPTY
    others: tuple[Fields, ...] = ()
    """Its other pods: of starts before this one, and of migrations."""
    strangers: tuple[str, ...] = ()
    """Other VMs of which something is told."""

    @property
    def label(self) -> str:
        """How people name it: `NAMESPACE/NAME`."""
        return "/".join(filter(None, (self.namespace, self.name)))

    @property
    def phase(self) -> str:
        """As KubeVirt tells it."""
        told = get_text(self.vmi, "status", "phase")
        if not told and not self.vmi and get_text(self.vm, "status", "printableStatus") in {"Running", "Migrating"}:
            return "Running"
        return told

    @property
    def runs(self) -> bool:
        """KubeVirt has seen its domain run."""
        return self.phase == "Running"

    @property
    def is_stopped(self) -> bool:
        """It is not meant to run, and nothing of it is there."""
        spec = get_map(self.vm, "spec")
        halted = spec.get("runStrategy") == "Halted" or spec.get("running") is False
        manual = get_text(self.vm, "status", "printableStatus") == "Stopped"
        return bool(self.vm) and (halted or manual) and not self.vmi

    @property
    def annotations(self) -> Fields:
        """Of the VMI, which KubeVirt copies to its pod."""
        template = get_map(self.vm, "spec", "template")
        places = (self.vmi, self.pod, template)
        found: dict[str, Any] = {}
        for place in places:
            for name, value in get_map(place, "metadata", "annotations").items():
                found.setdefault(name, value)
        return found

    @property
    def spec(self) -> Fields:
        """Of the VMI; empty where it is not told."""
        spec = get_map(self.vmi, "spec")
        return spec if "domain" in spec else get_map(self.vm, "spec", "template", "spec")

    @property
    def pod_name(self) -> str:
        return get_text(self.pod, "metadata", "name")

    @property
    def node(self) -> str:
        """Where its pod is; empty where it is nowhere yet."""
        return get_text(self.pod, "spec", "nodeName") or get_text(self.vmi, "status", "nodeName")

    @property
    def node_object(self) -> Fields:
        found = [one for one in self.evidence.of_kind("Node") if get_text(one, "metadata", "name") == self.node]
        return found[0] if found and self.node else EMPTY

    @property
    def release(self) -> str:
        """KubeVirt's, such as 1.7; empty where nothing tells."""
        return ".".join(self.version.split(".")[:2])

    @property
    def version(self) -> str:
        """KubeVirt's, such as 1.7.2; empty where nothing tells."""
        told = [get_text(one, "status", "observedKubeVirtVersion") for one in self.evidence.of_kind("KubeVirt")]
        told.insert(0, get_text(self.vmi, "status", "launcherContainerImageVersion"))
        told += [get_text(one, "image") for one in self.containers if get_text(one, "name") == "compute"]
        return next((found[1] for one in told if (found := _VERSION.search(one.rpartition("/")[2]))), "")

    @property
    def containers(self) -> list[Fields]:
        """Of its pod, as they were asked for."""
        return get_list(self.pod, "spec", "containers")

    def container_status(self, name: str) -> Fields:
        """How a container of its pod stands."""
        keys = ("containerStatuses", "initContainerStatuses")
        found = [one for key in keys for one in get_list(self.pod, "status", key) if get_text(one, "name") == name]
        return found[0] if found else EMPTY

    @property
    def sidecars(self) -> list[Fields]:
        """The containers of Passgate in its pod."""
        return [one for one in self.containers if _is_sidecar(one)]

    @property
    def hooks(self) -> list[Fields]:
        """The containers of hook sidecars in its pod, Passgate's or another's."""
        return [one for one in self.containers if get_text(one, "name").startswith("hook-sidecar-")]

    @property
    def agents(self) -> list[Fields]:
        """The pods of node agents, wherever they run."""
        return [one for one in self.evidence.of_kind(POD) if is_agent(one)]

    @property
    def agent(self) -> Fields:
        """The one on its node."""
        found = [one for one in self.agents if get_text(one, "spec", "nodeName") == self.node and self.node]
        return max(found, key=_running_first) if found else EMPTY

    @property
    def held_devices(self) -> list[str]:
        """The addresses of its pod's devices, as the agent of its node tells them."""
        uid = get_text(self.pod, "metadata", "uid")
        found = [
            get_text(device, "address")
            for device in get_list(self.evidence.answers.get("HoldersList", EMPTY), "items")
            if uid and any(get_text(one, "pod") == uid for one in get_list(device, "items"))
        ]
        return list(dict.fromkeys(filter(None, found)))

    def logs(self, writer: str) -> Iterator[Log]:
        """The logs of its pod by who wrote them; of the agent those of its node."""
        for log in self.evidence.written_by(writer):
            if writer in {HANDLER, KERNEL}:
                yield log
            elif writer == AGENT:
                name = get_text(self.agent, "metadata", "name")
                if not name or not self.agents[1:] or log.concerns(name, "", ()):
                    yield log
            elif log.concerns(self.pod_name, self.name, self.strangers):
                yield log

    def events(self, *kinds: str) -> list[Event]:
        """What is told of it as it is now, oldest first; not of what had its name before."""
        now = {VM: self.vm, VMI: self.vmi, POD: self.pod}
        found: list[Event] = []
        for kind in kinds:
            name = get_text(now[kind], "metadata", "name") or (self.name if kind != POD else "")
            uid = get_text(now[kind], "metadata", "uid")
            found += [one for one in self.evidence.events if name and one.is_about(kind, name, self.namespace, uid)]
        if POD in kinds and not self.pod:
            found += [one for one in self.evidence.events if one.kind == POD and self._is_my_pod(one)]
        return sorted(found, key=lambda event: event.last)

    def _is_my_pod(self, event: Event) -> bool:
        return self.name in vms_of_pod_name(event.name) and self.namespace in {"", event.namespace or self.namespace}


def _is_sidecar(container: Fields) -> bool:
    name, image = get_text(container, "name"), get_text(container, "image")
    if _IMAGE.search(image):
        return name != "compute"
    # A description of a pod may tell no images.
    return name == "passgate" or (not image and name.startswith("hook-sidecar-"))


def is_agent(pod: Fields) -> bool:
    """Whether a pod is the node agent's."""
    labels = get_map(pod, "metadata", "labels")
    named = labels.get("app.kubernetes.io/name") == "passgate" and labels.get("app.kubernetes.io/component") == "agent"
    return named or get_text(pod, "metadata", "name").startswith("passgate-agent-")


def is_launcher(pod: Fields) -> bool:
    """Whether a pod runs a VM; those that attach its volumes do not."""
    label = get_map(pod, "metadata", "labels").get("kubevirt.io")
    return label == "virt-launcher" or (
        label is None and get_text(pod, "metadata", "name").startswith("virt-launcher-")
    )


def vm_of(pod: Fields) -> str:
    """The VM of a virt-launcher pod; a label cannot hold a long name."""
    owners = [one for one in get_list(pod, "metadata", "ownerReferences") if one.get("kind") == VMI]
    labels, annotations = (get_map(pod, "metadata", key) for key in ("labels", "annotations"))
    told = (
        *(get_text(one, "name") for one in owners),
        get_text(annotations, "kubevirt.io/domain"),
        *(get_text(labels, key) for key in ("vm.kubevirt.io/name", "vmi.kubevirt.io/id", "kubevirt.io/vm")),
    )
    return next(filter(None, told), "") or next(iter(vms_of_pod_name(get_text(pod, "metadata", "name"))), "")


def vms_of_pod_name(name: str) -> tuple[str, ...]:
    """The VMs of which a pod of this name may be: it ends in five letters of chance, and so may the VM's name."""
    found = _POD_NAME.fullmatch(name)
    return tuple(dict.fromkeys((found[1], name.removeprefix("virt-launcher-")))) if found else ()


def find_subject(evidence: Evidence, wanted: Name) -> Subject:
    """The VM of a name; refused where there is none, or one in several namespaces."""
    known = set(_known(evidence))
    wanted = _by_pod(evidence, wanted)
    namespaces = sorted({space for space, name in known if name == wanted.name and wanted.namespace in {"", space}})
    blank = [space for space, name in known if name == wanted.name and not space]
    if not namespaces and not blank:
        raise _not_found(evidence, wanted, known)
    if len(namespaces := [space for space in namespaces if space]) > 1:
        what = f"{evidence.source} has {printable(wanted.name)} in {listed(namespaces, 5)}"
        raise BadInput("vm-ambiguous", what, hint=f"name one of them: -n {namespaces[0]}")
    namespace = wanted.namespace or next(iter(namespaces), "")
    strangers = {name for _, name in _named(evidence)} - {wanted.name}
    return _gathered(Subject(wanted.name, namespace, evidence, strangers=tuple(sorted(strangers))))


def _gathered(subject: Subject) -> Subject:
    vm, vmi = (_newest(_of(subject, subject.evidence.of_kind(kind))) for kind in (VM, VMI))
    pods = [one for one in subject.evidence.of_kind(POD) if is_launcher(one) and vm_of(one) == subject.name]
    pods = sorted((one for one in pods if _in_namespace(one, subject.namespace)), key=_age)
    pod = _active(pods, vmi)
    others = tuple(one for one in reversed(pods) if one is not pod)
    return subject._replace(vm=vm, vmi=vmi, pod=pod, others=others)


def _active(pods: Sequence[Fields], vmi: Fields) -> Fields:
    """The pod in which the VM is, or is about to be."""
    mine = [one for one in pods if _is_of(one, vmi)]
    target = get_text(vmi, "status", "migrationState", "targetPod")
    running = get_text(vmi, "status", "phase") == "Running"
    there = get_text(vmi, "status", "nodeName")
    if running and there:
        at_work = [one for one in mine if get_text(one, "spec", "nodeName") == there and not _is_over(one)]
        # The target of a migration on the same node is not the VM's pod yet.
        mine = [one for one in at_work if get_text(one, "metadata", "name") != target] or at_work or mine
    alive = [one for one in mine if not _is_over(one)]
    return (alive or list(mine) or [EMPTY])[-1]


def _is_over(pod: Fields) -> bool:
    return get_text(pod, "status", "phase") in _OVER


def _is_of(pod: Fields, vmi: Fields) -> bool:
    """Whether a pod is this VMI's, and not that of one that had its name before."""
    uid = get_text(vmi, "metadata", "uid")
    owners = [get_text(one, "uid") for one in get_list(pod, "metadata", "ownerReferences") if one.get("kind") == VMI]
    made = get_text(pod, "metadata", "labels", "kubevirt.io/created-by")
    told = {one for one in (*owners, made) if one}
    return not uid or not told or uid in told


def _of(subject: Subject, objects: Iterable[Fields]) -> list[Fields]:
    named = [one for one in objects if get_text(one, "metadata", "name") == subject.name]
    return [one for one in named if _in_namespace(one, subject.namespace)]


def _in_namespace(value: Fields, namespace: str) -> bool:
    return namespace in {"", get_text(value, "metadata", "namespace") or namespace}


def _newest(objects: Sequence[Fields]) -> Fields:
    return max(objects, key=lambda one: (not is_described(one), _age(one)), default=EMPTY)


def _age(value: Fields) -> str:
    return get_text(value, "metadata", "creationTimestamp")


def _running_first(pod: Fields) -> tuple[bool, str]:
    return get_text(pod, "status", "phase") == "Running", _age(pod)


def _named(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Namespaces and names of VMs that are told for sure."""
    for one in evidence.of_kind(VM, VMI):
        yield get_text(one, "metadata", "namespace"), get_text(one, "metadata", "name")
    for one in evidence.of_kind(POD):
        if is_launcher(one):
            yield get_text(one, "metadata", "namespace"), vm_of(one)
    yield from ((event.namespace, event.name) for event in evidence.events if event.kind in {VM, VMI})


def _known(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Those, and those that only the names of pods may mean."""
    yield from _named(evidence)
    pods = {get_text(one, "metadata", "name") for one in evidence.of_kind(POD)}
    for event in evidence.events:
        if event.kind == POD and event.name not in pods:
            yield from ((event.namespace, name) for name in vms_of_pod_name(event.name))


def _by_pod(evidence: Evidence, wanted: Name) -> Name:
    """A virt-launcher pod may be named instead of its VM."""
    for pod in evidence.of_kind(POD):
        if get_text(pod, "metadata", "name") == wanted.name and is_launcher(pod):
            return Name(vm_of(pod), wanted.namespace or get_text(pod, "metadata", "namespace"))
    return wanted


def _not_found(evidence: Evidence, wanted: Name, known: set[tuple[str, str]]) -> BadInput:
    where = f" in the namespace {printable(wanted.namespace)}" if wanted.namespace else ""
    elsewhere = sorted(space for space, name in known if name == wanted.name and space)
    names = sorted({name for space, name in known if wanted.namespace in {"", space}})
    hint = did_you_mean(wanted.name, names, f"VMs there: {listed(names, 8)}") if names else "is it the right namespace?"
    hint = f"it is in {listed(elsewhere)}: -n {elsewhere[0]}" if elsewhere else hint
    return BadInput("no-such-vm", f"{evidence.source} has no VM {printable(wanted.name)}{where}", hint=hint)
