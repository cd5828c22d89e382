"""The codes of errors that are no findings: what was wrong with what Passgate was given, and what to do."""

from __future__ import annotations

from hostdev.findings.trouble import Trouble

_GIVEN = {
    # What was typed.
    "bad-usage": ("The command line does not fit the command", "--help shows how it is used"),
    "unknown-command": ("There is no such command", "--help lists them"),
    "unknown-option": ("The command has no such option", "--help lists them"),
    "unknown-finding": ("There is no such code", "`passgate node explain` lists them"),
    "no-such-vm": ("There is no such VM in the cluster, or in the dump", "the hint names those that are there"),
    "vm-ambiguous": ("VMs of that name are in several namespaces", "name one of them with -n"),
    "no-kubectl": (
        "There is no kubectl, or it cannot be run",
        "install it, or read a dump with --from",
    ),
    "no-kubevirt": ("The cluster has no KubeVirt", "--context names another cluster"),
    "no-cluster": ("The cluster does not answer kubectl", "try `kubectl get vm` by hand"),
    "not-allowed": ("The cluster shows nothing of the VM to you", "ask for `get` on VMs, pods and events"),
    "already-there": ("A dump is never written over what is there", "name a directory that is not there yet"),
    "no-directory": ("The directory above it is not there", "make it first"),
    "not-written": ("It cannot be written", "name a place where you may write"),
    "unknown-text": ("No known error has these words", "paste the message as it is, whole lines of it"),
    "bad-address": ("It is no PCI address", "write domain:bus:slot.function in hex, such as 0000:3d:02.2"),
    "bad-firmware": ("It is no firmware that is known", "write ovmf-2025.02, seabios-1.16.3 or the path of the image"),
    "bad-uuid": ("It is no UUID of a mediated device", "/sys/bus/mdev/devices has them"),
    "group-missing": ("The host has no such IOMMU group", "numbers change with a reboot; look them up again"),
    "bad-device": ("A --device cannot be read", "write ADDRESS,key=value; the hint of the error names the keys"),
    "bad-variable": ("An --env is not NAME=VALUE", "write it as `env` prints it"),
    "bad-version": ("It is no version of libvirt", "write 11.3 or 11.3.0"),
    "bad-resource": (
        "It is no name of a resource that kubelet takes",
        "write DOMAIN/NAME, such as intel.com/qat_vf; for the SR-IOV operator letters, digits and _ only",
    ),
    "nothing-selected": (
        "No device of the machine is meant by this",
        "name an address, an interface, a disk, ids such as 8086:37c9, or a group such as group:43",
    ),
    "bad-selector": ("A selector asks for what there is not", "docs/selectors.md lists keys and values"),
    "resource-unknown": ("What a device plugin calls its devices is not known", "name it with --resource"),
    "no-input": ("Standard input is closed", "name a file instead"),
    "module-missing": ("A Python package is not installed", "pip install the extra that the hint names"),
    # What changes a host.
    "host-busy": ("Another passgate is changing this host", "wait for it to end, and try again"),
    "journal-unwritable": ("The journal of changes cannot be kept", "run it as root, or name another --state-dir"),
    "journal-unreadable": ("The journal of changes cannot be read", "run it as root"),
    "no-transaction": ("The journal has no such change", "`passgate node journal list` shows them"),
    # Files.
    "unreadable-file": ("A file cannot be read", "name one that is there, that you may read, and that is not huge"),
    "bad-pci-ids": ("The list of PCI names cannot be read", "leave --pci-ids out to use the system's"),
    "bad-recording": ("It is no recorded machine", "record it again: passgate node snapshot"),
    "no-machine": ("There is no such recorded machine", "name a .toml file, or a directory with sys/ in it"),
    "no-fleet": ("There is no directory with the snapshots of a fleet", "name the one that was collected: --from DIR"),
    "bad-expression": ("An expression asks for what there is not", "docs/fleet.md tells what can be asked"),
    "bad-nodes": ("A file holds no Node objects", "kubectl get nodes -o json > nodes.json"),
    "lock-impossible": (
        "The file by which two processes of a driver take turns cannot be opened",
        "mount the driver's directory below kubelet's, writable, at the same path",
    ),
    "no-api-server": (
        "Where the API server is was not said",
        "kubelet says it to every pod; elsewhere, name it with --api-server",
    ),
    "bad-api-server": ("It is no URL of an API server", "write it as https://10.96.0.1:443"),
    "api-unreachable": (
        "The API server gave no answer that can be used",
        "is it there? `kubectl get --raw /readyz` asks it",
    ),
    "api-refused": (
        "The API server refused it",
        "the hint of the error tells which right, policy or version is in the way",
    ),
    "no-agent": ("The cluster has no agent of Passgate", "deploy it, or collect by --exec"),
    "program-missing": ("A program cannot be run", "is it installed, and in PATH?"),
    "fleet-not-read": ("A process that reads the snapshots of a fleet was ended", "is there enough memory? try again"),
    "man-not-written": ("The manual pages cannot be written there", "name a directory that you may write to"),
    "output-lost": ("The output could not be written", "look whether the disk is full"),
    # Domain XML.
    "empty-document": ("The domain XML is empty", "hand over the XML of one domain"),
    "malformed-xml": ("The domain XML cannot be parsed", "hand it over as libvirt or virt-launcher wrote it"),
    "bad-encoding": ("The domain XML is not UTF-8", "convert it"),
    "document-too-large": ("The domain XML is larger than any real one", "look at what produced it"),
    "document-type": ("The domain XML has a DOCTYPE", "remove it: entities are not read"),
    "not-a-domain": ("The XML is not that of a domain", "hand over a <domain>"),
    "devices-count": ("The domain has no <devices>, or two", "hand over the XML of a whole domain"),
    "duplicate-controller": ("Two PCI controllers have one index", "repair the domain: libvirt refuses it too"),
    "bad-controller-index": ("A PCI controller's index is no number from 0 to 255", "repair the domain"),
    "unsupported-hypervisor": ("The domain is not for KVM or QEMU", "use a KVM domain: VFIO is of no use elsewhere"),
    "unsupported-machine": ("The machine type is not known", "use q35, i440fx, aarch64 virt or s390x"),
    # A VM's manifest.
    "bad-vmi": ("It is no VM or VMI that can be read", "hand over the object as `kubectl get -o yaml` prints it"),
    "bad-release": ("It is no release of KubeVirt that is known", "write 1.5 to 1.9, or head"),
    "bad-gate": ("It is no feature gate of KubeVirt", "write it as the KubeVirt CR names it, letter by letter"),
    "bad-quantity": ("It is no quantity of Kubernetes", 'write 2, "500m" or "4Gi"'),
    "bad-cloud-init": ("The cloud-init data of KubeVirt cannot be read", "report it, with the version of KubeVirt"),
}
_ASKED = {
    "unknown-attribute": ("There is no such attribute", "the hint of the error names the nearest"),
    "bad-attribute": ("An attribute cannot have this value", "the hint of the error says which it can have"),
    "attribute-not-for-mdev": ("The attribute is not possible for a mediated device", "leave it out"),
    "attribute-not-for-machine": ("The guest's machine type has no such attribute", "leave it out"),
    "libvirt-too-old": ("This libvirt would drop the attribute without a word", "leave it out, or tell --libvirt"),
    "bad-functions": ("These functions cannot be one guest device", "name distinct ones, function 0 among them"),
    "functions-need-host": ("Which functions a slot has is known to the host only", "give --host, or name them"),
    "root-complex-full": (
        "With placePCIDevicesOnRootComplex every device of the VM needs a slot of bus 0, and there are too few",
        "take the annotation away, or some devices",
    ),
    "functions-not-possible": ("The device has no other functions that belong to it", "leave functions out"),
    "companion-not-allocated": (
        "Another function of the card is in another IOMMU group, and the pod was not given it",
        "request its resource too, or leave functions out",
    ),
    "device-attached": ("The device is to be plugged into a VM that has it", "nothing to do"),
    "device-both-ways": ("One device is to be taken out and to be put in", "name it once"),
    "no-such-domain": ("The libvirt at --connect has no domain of that name", "`virsh list --all` lists them"),
    "device-held-otherwise": ("An <interface> or <disk> of the domain has the device already", "ask for another one"),
    "duplicate-name": ("Two devices have one name", "give each its own"),
    "output-would-not-work": ("What was made did not pass its own check, and was not given out", "report it"),
    "libvirt-refuses": ("The libvirt that was asked does not take the domain", "-o plan shows what was planned"),
    "libvirt-unreachable": ("There is no libvirt at this URI", "try qemu:///system or test:///default"),
    "no-host": ("There is no host to look at", "give --host"),
    "no-events": ("The kernel's events cannot be received", "run it on the node itself, not in a container"),
    "no-processes": ("There are no processes to look at", "run it on the node, or give a root that has proc/"),
    "no-device-named": ("No device is named that this is about", "add its address"),
    "node-unknown": ("It is not known which node this is", "say it with --node"),
    "no-program": ("There is no program for a service to start", "install Passgate on the host"),
    "no-systemd": ("This host has no systemd", "print the form for its kind: --for"),
    "not-installed": ("The service cannot be written", "run it as root; where /etc is read-only, use --for"),
    "no-kubelet": ("That is no directory of kubelet", "name kubelet's --root-dir, or a copy of it"),
    "kubelet-dir-unreadable": ("Kubelet's directory cannot be read", "run it as root, with the directory mounted"),
    "kubelet-claims-unreadable": (
        "Kubelet's record of claims, `dra_manager_state`, is none that is known",
        "kubelet writes it again; what it may hold is left alone until then",
    ),
    "kubelet-dir-replaced": (
        "A directory of kubelet's was made anew on the node, and the agent's mount shows the old one",
        "start the agent anew; in its DaemonSet kubelet does that",
    ),
    "no-socket": ("What is there is no socket", "look whether kubelet runs"),
    "path-too-long": ("A unix socket's path has 107 bytes at most", "choose a shorter directory"),
}
_SERVED = {
    # The sidecar and the agent.
    "bad-container-name": ("CONTAINER_NAME cannot name a socket", "leave it to KubeVirt"),
    "address-space-limited": (
        "The sidecar's process has too few addresses by `ulimit -v`",
        "start it without that limit",
    ),
    "no-threads": ("The pod may have no more processes", "look at the pids limit of the pod and of its node"),
    "socket-bind": ("No socket can be made in the mount", "look whether it is full or read-only"),
    "socket-busy": ("Another process uses the directory", "end it, or give each its own"),
    "socket-taken": ("Something else is where the socket belongs", "remove it, or end the other server"),
    "bad-listen": ("--listen is not ADDR:PORT", "write 127.0.0.1:9100 or :9100"),
    "listen-impossible": ("Nobody can listen at this address", "use one of this machine"),
    "listen-not-permitted": ("The port is for root only", "use one above 1023"),
    "port-in-use": ("Somebody else listens at this port", "choose another one"),
    "bad-message": ("A request is no message of the hook protocol", "look at who calls: it is not KubeVirt"),
    "message-too-large": ("Domain and VMI are larger than any real ones", "look at what made them"),
    "answer-too-large": ("The domain became larger than virt-launcher takes", "ask for fewer devices"),
    "bad-domain-type": ("The plugin API offers a domain that is not libvirt's", "report it, with KubeVirt's version"),
    "unknown-hook-point": (
        "The plugin's permittedHooks has an unknown point",
        "write PreVMStart or PreMigrationTarget",
    ),
    "internal-error": ("A defect of Passgate", "report it, with what --debug or the log tells"),
    # The rehearsal.
    "call-failed": ("The hook answered a call with an error", "the message is what KubeVirt would show"),
    "bad-answer": ("The hook's answer is not what KubeVirt reads", "report it"),
    "no-common-version": ("The sidecar offers no version that virt-launcher knows", "offer v1alpha1 to v1alpha3"),
    "no-cloud-init": (
        "--cloud-init with a VM that has no cloud-init volume",
        "leave it out: virt-launcher would panic",
    ),
    "read-back-unknown": ("What libvirt makes of the domain cannot be told without it", "give --connect"),
    "libvirt-crashes": ("The process of libvirt ended over the domain", "report it, with the domain"),
    "libvirt-silent": ("The libvirt that was asked does not answer", "look whether it runs"),
    "sidecar-ended": ("The sidecar ended before it was told to", "see what it said on standard error"),
    "sidecar-stays": ("The sidecar did not end when it was told to", "report it"),
    "sidecars-missing": ("Fewer sidecars answered than there are", "give each container a mount of its own"),
    "plugin-needs-mode": (
        "With a Plugin in the cluster KubeVirt cannot read a PCI host device of the VM's spec",
        "take a KubeVirt in which kubevirt/kubevirt#18861 is repaired, or hook sidecars",
    ),
    "slot-count-invalid": (
        "KubeVirt's annotation of the number of interface slots is no number",
        "take kubevirt.io/pci-interface-slot-count away, at the VM's template too",
    ),
    "too-many-sockets": ("More sockets answered than there are sidecars", "leave one socket in each mount"),
    "unreadable-mount": ("The directory of sockets cannot be read", "name one that you may read"),
}

ERRORS = tuple(
    Trouble(code, title, hint) for table in (_GIVEN, _ASKED, _SERVED) for code, (title, hint) in sorted(table.items())
)
