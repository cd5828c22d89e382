"""Findings about the network data that goes into the guest's cloud-init data."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

BOND_NOT_POSSIBLE = FindingKind(
    code="bond-not-possible",
    severity=Severity.ERROR,
    title="A bond of passgate.dev/bonds cannot be made",
    cause=(
        "The bond is written into the guest's cloud-init data as network data, which matches its interfaces by their "
        "MAC addresses. That needs a cloud-init volume without network data of its own, in the format NoCloud, and "
        "interfaces of the VM whose addresses are known before it starts and belong to them alone. A VM without the "
        "bond would come up with half of its network, so it is refused."
    ),
    hint="name interfaces of the VM and give each a macAddress",
    remedy=(
        "1. Names in `interfaces` are those of spec.domain.devices.interfaces; each has a `macAddress` of its own.\n"
        "2. The first cloud-init volume is `cloudInitNoCloud`, and has no `networkData`. Where it has, write the bond "
        "there, and remove the annotation.\n"
        "3. `passgate-hook` runs with `--cloud-init`: `args` of the hookSidecars annotation."
    ),
)

INTERFACE_NOT_POSSIBLE = FindingKind(
    code="interface-not-possible",
    severity=Severity.ERROR,
    title="An interface of passgate.dev/interfaces cannot get its addresses",
    cause=(
        "The addresses are written into the guest's cloud-init data as network data, which matches the interface by "
        "its MAC address. That needs a cloud-init volume without network data of its own, in the format NoCloud, and "
        "an interface of the VM whose address is known before it starts and belongs to it alone. A VM that comes up "
        "without the address is not what was asked for, so it is refused."
    ),
    hint="name an interface of the VM and give it a macAddress",
    remedy=(
        "1. `name` is that of an entry of spec.domain.devices.interfaces, which has a `macAddress` of its own; so has "
        "the VM's first interface.\n"
        "2. An interface that is a part of a bond has no addresses: write them at the bond.\n"
        "3. The first cloud-init volume is `cloudInitNoCloud`, and has no `networkData`. Where it has, write the "
        "addresses there, and remove the annotation.\n"
        "4. `passgate-hook` runs with `--cloud-init`: `args` of the hookSidecars annotation."
    ),
)

BONDS_NOT_READ = FindingKind(
    code="bonds-not-read",
    severity=Severity.WARNING,
    title="There are bonds or addresses, and no hook sidecar that writes cloud-init data",
    cause=(
        "`passgate.dev/bonds` and `passgate.dev/interfaces` are read only by a `passgate-hook` that runs with "
        "`--cloud-init`. Without it the guest starts without its bond or its addresses, and nobody says so."
    ),
    hint='add "args": ["--cloud-init"] to the hook sidecar',
    remedy=(
        '`hooks.kubevirt.io/hookSidecars: \'[{"image": "REGISTRY/passgate-hook:TAG", "args": ["--cloud-init"]}]\'`. '
        "The VM must have a cloud-init volume then: without one virt-launcher crashes."
    ),
)

CLOUD_INIT_MISSING = FindingKind(
    code="cloud-init-missing",
    severity=Severity.ERROR,
    title="A hook sidecar waits for cloud-init data that the VM does not have",
    cause=(
        "With `--cloud-init` Passgate subscribes PreCloudInitIso. KubeVirt calls it for every VM, and virt-launcher "
        "crashes when the VM has no cloud-init volume."
    ),
    hint="add a cloudInitNoCloud volume, or take --cloud-init away",
    remedy=(
        "```yaml\n"
        "volumes:\n"
        "- name: init\n"
        "  cloudInitNoCloud:\n"
        "    userData: |\n"
        "      #cloud-config\n"
        "```\n\n"
        "The volume needs a disk of the same name."
    ),
)

INTERFACE_NOT_MATCHED = FindingKind(
    code="interface-not-matched",
    severity=Severity.WARNING,
    title="An SR-IOV interface is not in the guest's network data",
    cause=(
        "Network data matches interfaces by their MAC addresses. The address of this one is not known before the VM "
        "starts, or another interface has the same, as the standby of a VF does."
    ),
    hint="give the interface a macAddress of its own in the VM's spec",
    remedy=(
        "Write `macAddress` into the interface of spec.domain.devices.interfaces. Where a binding plugin or the VMI's "
        "status tells an address, that is used."
    ),
)

NETWORK_DATA_NOT_WRITTEN = FindingKind(
    code="network-data-not-written",
    severity=Severity.WARNING,
    title="The guest's network data is left as it is",
    cause=(
        "With `--cloud-init` Passgate writes network data for SR-IOV interfaces where there is none. It changes "
        "nothing that the VM's author wrote, writes no OpenStack format, which `cloudInitConfigDrive` needs, and does "
        "not write where cloud-init would then no longer configure the VM's first interface."
    ),
    hint="give each interface a macAddress, and use cloudInitNoCloud without networkData",
    remedy=(
        "Without network data cloud-init asks for an address by DHCP on the first interface, and with network data on "
        "none that is not in it. So the first interface has to be matched too, which needs its `macAddress`. For a "
        "masquerade interface any address will do: nobody outside the pod sees it."
    ),
)

KINDS: tuple[FindingKind, ...] = (
    BOND_NOT_POSSIBLE,
    INTERFACE_NOT_POSSIBLE,
    BONDS_NOT_READ,
    CLOUD_INIT_MISSING,
    INTERFACE_NOT_MATCHED,
    NETWORK_DATA_NOT_WRITTEN,
)
