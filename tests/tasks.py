"""What new users want to do, and what they type for it: a line of sh in a checkout, and what must come of it.

`$M` is the folder of recorded machines. Where a task is answered by a page, the line reads that page.
"""

from __future__ import annotations

from typing import NamedTuple

QAT, GPU, T4, X710 = (f"--host $M/{name}.toml" for name in ("qat", "consumer-gpu", "tesla-t4", "two-socket-x710"))
D = "demo/q35.xml"
GIVEN = "--env-file tests/fixtures/scenarios/qat-q35/compute.env"
VM = "deploy/examples/qat/vm.yaml"
UUID = "83b8f4f2-509f-4c95-b1e5-6f2f8a6a5a4e"


class Task(NamedTuple):
    """One task: who has it, what is typed, what must be said and what must not."""

    row: str
    what: str
    line: str
    says: tuple[str, ...]
    never: tuple[str, ...] = ()
    code: int = 0
    needs: str = ""
    """A program that is not everywhere."""


TASKS = (
    Task("A1", "a VM with a QAT VF", f"passgate manifest crypto {QAT}", ("qat.intel.com/generic", '"count": 1')),
    Task(
        *("A2", "the same at a fixed guest address"),
        f"passgate manifest 8086:37c9 --guest 0000:10:00.0 {QAT}",
        ('"guestAddress": "0000:10:00.0"',),
    ),
    Task("A3", "where it lands, before the cluster", f"passgate plan {VM}", ("0000:10:00.0", "hostdev passgate-qat")),
    Task(
        *("A4", "a GPU with its audio function only", f"passgate manifest 01:00.0 01:00.1 {GPU}"),
        ('"functions": "0+1"',),
        ('"all"}',),
    ),
    Task(
        *("A5", "two SR-IOV NICs, bonded", f"passgate manifest 3b:00.0 af:00.0 --bond {X710}"),
        ("passgate.dev/bonds", "--cloud-init", "macAddress", "cloudInitNoCloud"),
    ),
    Task(
        *("A6", "what KubeVirt 1.8 to 1.9 changes", "passgate lint deploy/examples --kubevirt 1.8 --against 1.9"),
        ("upgrade-changes", "deprecated"),
    ),
    Task(
        *("A7", "a boot of my VM on 1.9", f"passgate-hook rehearse --vmi {VM} {GIVEN} {QAT} --kubevirt 1.9"),
        ("1 device in place on every pass",),
    ),
    Task("A8", "lint one VM", f"passgate lint {VM}", ("1 object in 1 file: 0 errors",)),
    Task("A9", "lint a repository", "passgate lint deploy", ("0 errors, 0 warnings",)),
    Task("A10", "a result for a program", "passgate lint deploy -o sarif", ('"ruleId"', '"startLine"')),
    Task(
        *("A11", "render an overlay", "kubectl kustomize deploy/overlays/agent", ("kind: DaemonSet",)),
        needs="kubectl",
    ),
    Task(
        *("A12", "pin all images", "grep -h 'kustomize edit set image' docs/gitops.md"),
        ("passgate-hook=", "passgate-node=", "@sha256:"),
    ),
    Task("A13", "Argo CD, Flux, a remote base", "cat docs/gitops.md", ("kind: Application", "GitRepository", "?ref=v")),
    Task(
        *("A14", "an example in kustomize", "kubectl kustomize deploy/examples/qat", ("kind: VirtualMachine",)),
        needs="kubectl",
    ),
    Task("A15", "the images to mirror", "cat deploy/images/list.txt", ("passgate-hook:", "passgate-node:")),
    Task(
        *("B1", "add a device, see the change", f"passgate inject {D} --device 0000:3d:02.2,name=qat -o diff"),
        ("+    <hostdev", '+      <alias name="ua-passgate-qat"/>'),
    ),
    Task(
        *("B2", "NVMe and GPU in one call"),
        f"passgate inject {D} --device 41:00.0,bootOrder=1 --device 01:00.0,rom.bar=off -o plan",
        ("0000:41:00.0 -> guest", "0000:01:00.0 -> guest"),
    ),
    Task("B3", "managed=yes", f"passgate inject {D} --device 3d:02.2,managed=yes", ('managed="yes"',)),
    Task(
        *("B4", "move a device that I had"),
        f"passgate inject {D} --device 3d:02.2,managed=yes | passgate inject - --device 3d:02.2,guest=10:00.0",
        ('managed="yes"', "device-moves"),
        ('type="pci" managed="no"',),
    ),
    Task(
        *("B5", "apply and undo"),
        f"passgate inject {D} --device 3d:02.2 | passgate inject - --remove 3d:02.2 | cmp - {D} && echo as before",
        ("as before",),
    ),
    Task(
        *("B6", "remove one device of two"),
        f"passgate inject {D} --device 3d:02.2 --device 3d:02.3 | passgate inject - --remove 3d:02.2",
        ('slot="0x02" function="0x3"',),
        ('slot="0x02" function="0x2"/>\n      </source>',),
    ),
    Task("B7", "a mediated device", f"passgate inject {D} --device {UUID} -o plan", (f"{UUID} -> guest",)),
    Task(
        *("B8", "display=on without graphics"),
        f"passgate inject {D} --device {UUID},display=on --libvirt 11.3",
        ("display-needs-graphics",),
        ("please report",),
        5,
    ),
    Task(
        *("B9", "many domains in a loop"),
        f"for d in {D} demo/i440fx.xml; do passgate inject $d --device 3d:02.2 -o json; done | grep guestAddress",
        ('"guestAddress": "0000:06:00.0"', '"guestAddress": "0000:00:'),
    ),
    Task(
        *("B14", "whether a card's memory fits into the guest"),
        f"passgate fit {D} --device 01:00.0 {GPU} --physical-bits 46 --firmware ovmf-2025.02",
        ("every device gets its addresses",),
    ),
    Task("B10", "the guest addresses of all devices", f"passgate slots {D}", ("0000:",)),
    Task(
        *("B11", "a snippet for virsh attach-device", f"passgate inject {D} --device 3d:02.2 -o hostdev"),
        ("<hostdev",),
        ("<domain",),
    ),
    Task("B12", "names as virsh has them", f"passgate inject - --device pci_0000_3d_02_2 -o plan <{D}", ("-> guest",)),
    Task(
        *("B13", "another alias"),
        f"passgate inject {D} --device 3d:02.2,name=a | passgate inject - --device 3d:02.2,name=b -o plan",
        ("ua-passgate-b", "device-renamed"),
    ),
    Task("C1", "what can be passed", f"passgate node list {QAT}", ("PASSTHROUGH", "no: ")),
    Task("C2", "more columns", f"COLUMNS=80 passgate node list -o wide {QAT}", ("IDS", "NUMA", "CLASS", "ROLE")),
    Task("C3", "by class and driver", f"passgate node list class=nvme driver=vfio-pci {QAT}", ("ADDRESS",)),
    Task("C4", "CSV in an order", f"passgate node list -o csv --no-headers --sort driver {QAT}", ("0000:3d:00.0,",)),
    Task("C5", "what passes, for a script", f"passgate node list ready -o name {QAT}", ("0000:3d:02.2",)),
    Task("C6", "the group of a device", f"passgate node groups 01:00.0 {GPU}", ("0000:01:00.1", "blocks")),
    Task("C7", "what is wrong here", f"passgate node doctor --problems {GPU}", ("group-not-viable",), ("PASS",), 1),
    Task(
        *("C8", "an unchanged node"),
        f"passgate node snapshot {QAT} >s.toml && passgate node compare s.toml $M/qat.toml",
        ("nothing changed",),
    ),
    Task(
        *("C9", "a recording for a bug report"),
        "mkdir -p h/sys h/proc; echo 'root=/dev/sda1 password hunter2 -- --token hunter3' >h/proc/cmdline; "
        "passgate node snapshot --host h",
        ("cmdline",),
        ("hunter2", "hunter3"),
    ),
    Task(
        *("C10", "who holds two devices"),
        f"mkdir -p k/device-plugins; passgate node who 3d:02.2 3d:02.3 --kubelet-dir k {QAT}",
        ("nobody that could be seen holds 0000:3d:02.2, 0000:3d:02.3",),
        (),
        4,
    ),
    Task(
        *("C10a", "did the device arrive in the guest"),
        "passgate node vitals 3b:02.0 --host $M/../vitals/vms.toml",
        ("arrived", "a driver in the guest has set up interrupts"),
        ("qemu",),
    ),
    Task("C11", "watch devices", "passgate node watch --help", ("--count",)),
    Task("C12", "a picture", f"passgate node draw -o svg {QAT}", ("<svg", "0000:3d:02.2")),
    Task("C13", "over a reboot, with undo", "cat docs/reboot.md", ("driverctl unset-override", "update-initramfs")),
    Task(
        *("D1", "a group that is not viable", f"passgate explain 'group 1 is not viable' {GPU}"),
        ("# group-not-viable", "0000:01:00.1", "snd_hda_intel"),
    ),
    Task("D2", "a message of KubeVirt", "passgate explain failed to create GPU host-devices", ("# no-address-left",)),
    Task(
        *("D3", "a part of an event", "passgate explain 'Insufficient qat.intel.com/generic'"),
        ("# resource-insufficient",),
    ),
    Task(
        *("D4", "another message", "passgate explain 'no more addresses to allocate for resource a.b/c'"),
        ("# no-address-left",),
    ),
    Task(
        *("D5", "events, line by line"),
        "printf '%s\\n' 'x: vfio 0000:3b:00.0: group 12 is not viable' '3 Insufficient a.b/c' | passgate explain",
        ("LINE", "0000:3b:00.0", "a.b/c"),
    ),
    Task("D6", "short names", f"passgate doctor 3d:02.2 {QAT} && passgate show 3d:02.2 {QAT}", ("16 PASS",)),
    Task(
        *("D7", "a file with events"),
        "echo 'group 12 is not viable' >events.txt; passgate explain -f events.txt && passgate explain events.txt",
        ("# group-not-viable",),
    ),
    Task(
        *("D8", "what to do about a blocked GPU", f"passgate doctor 01:00.0 {GPU}"),
        ("group 1 is not viable", "passgate node bind 0000:01:00.1 0000:01:00.2 0000:01:00.3"),
        (),
        1,
    ),
    Task(
        *("D9", "a GPU that has vGPUs", f"passgate doctor 3b:00.0 {T4}"),
        ("the host would lose the mediated device",),
        ("driver/unbind", "node bind"),
        1,
    ),
    Task(
        *("D10", "a disk behind VMD", "passgate doctor 10000:e1:00.0 0000:00:0e.0 --host $M/vmd.toml"),
        ("FAIL",),
        ("driver/unbind", "node bind"),
        1,
    ),
    Task("D11", "a closed gate", "passgate explain HostDevices feature gate is not enabled", ("# gate-closed",)),
    Task(
        *("D12", "QAT in hostDevices"),
        "passgate lint tests/fixtures/frontdoor/hostdevices.yaml --fail-on warning",
        ("resource-without-address",),
        (),
        1,
    ),
    Task(
        *("D13", "why a VM does not start", "passgate why --from tests/fixtures/why/refused nonode"),
        ("allocated   FAIL", "allocated fails: ", "/dev/vfio/35"),
        ("Traceback",),
        1,
    ),
    Task(
        *("E1", "free GPUs of a cluster", "passgate fleet find gpu free --from tests/fixtures/fleet/before -o name"),
        ("gpu-1",),
        ("gpu-2", "net-1"),
    ),
    Task(
        *("E2", "where a VM can run, and why not elsewhere"),
        "passgate fleet why tests/fixtures/fleet/*.yaml --from tests/fixtures/fleet/before",
        ("gpu-1    yes", "no-fitting-device"),
        ("Traceback",),
    ),
    Task(
        *("E3", "how many more of a VM fit"),
        "passgate fleet capacity tests/fixtures/fleet/*.yaml --from tests/fixtures/fleet/before",
        ("4 such VMs fit on 6 nodes",),
    ),
)
