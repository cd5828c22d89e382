"""The hook that the policy gives to compute, run for real: the very command, with real shells and environments."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooksidecar.container import ALLOCATION_FILE
from hostdev.allocation.dialects import DIALECTS, dialects_of
from hostdev.allocation.env_file import EnvFile, parse_env_file
from tests.deploy.admission import admit
from tests.deploy.manifests import manifest
from tests.deploy.pods import SIDECAR, command, launcher
from tests.hostdev.cli.injecting import passgate
from tests.house import ROOT
from tests.patience import PATIENCE

TOOLS = ("chmod", "grep", "mkdir", "mktemp", "mv", "rm", "tr")
"""What the hook calls; virt-launcher's image has them, and bash as sh."""
SHELLS = ("bash", "dash", "busybox")
UID = 107
"""The user of a VM."""
AGENTS = b"#passgate-agent=1\nQAT0=0000:3f:02.1\n"
ENVIRONMENT = {"QAT0": "0000:3d:02.2", "PATH_TO_SECRET": "hush", "HOME": "/", "MYQAT0": "0000:3d:02.3"}


class Pod:
    """A hook volume, and a container that has nothing but a shell and its tools."""

    def __init__(self, place: Path, shell: str) -> None:
        self.shell, self.tools, self.volume = shell, place / "bin", place / "kubevirt-hooks"
        self.tools.mkdir()
        self.volume.mkdir(mode=0o777)
        # As kubelet makes an emptyDir for a pod with an fsGroup.
        self.volume.chmod(0o2777)
        names = ("sh", *TOOLS) if shell == "busybox" else TOOLS
        for name in names:
            (self.tools / name).symlink_to(_program("busybox" if shell == "busybox" else name))
        if shell != "busybox":
            (self.tools / "sh").symlink_to(_program(shell))
        self.folder = self.volume / "hook-sidecar-0"

    @property
    def file(self) -> Path:
        """Where the sidecar looks."""
        return self.folder / ALLOCATION_FILE

    def start(
        self, environment: Mapping[str, str] | Mapping[bytes, bytes], *folders: Path, limits: Sequence[str] = ()
    ) -> None:
        """Kubelet's part: what does not end in 0, or not soon, would end the VM."""
        variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        words = [str(self.tools / "sh"), *hook(*limits)[1:4], *map(str, folders or (self.folder,))]
        # As somebody who is stopped by permissions.
        user = {"user": UID, "group": UID, "extra_groups": []} if os.geteuid() == 0 else {}
        # Bytes that are no text of the locale are values, too.
        variables |= {b"PATH": os.fsencode(self.tools), b"LC_ALL": b"C.UTF-8"}
        done = subprocess.run(words, env=variables, timeout=PATIENCE, check=False, **user)  # type: ignore[call-overload]
        assert done.returncode == 0

    def variables(self) -> Mapping[str, str]:
        """What the sidecar reads there."""
        return self.read().variables

    def read(self) -> EnvFile:
        """The same, with what is told beside."""
        assert stat.S_ISREG(self.file.lstat().st_mode)
        file = parse_env_file(self.file.read_bytes())
        assert file.findings == ()
        return file


def hook(*limits: str) -> list[str]:
    """The command for a pod that asks for these resources."""
    pod = launcher(SIDECAR, resources={"limits": dict.fromkeys(limits, "1")}) if limits else launcher(SIDECAR)
    return command(admit(manifest("overlays/sidecar", "MutatingAdmissionPolicy"), pod))


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} on this machine")
    return path


@pytest.fixture(params=SHELLS)
def pod(request: pytest.FixtureRequest) -> Iterator[Pod]:
    """Where another user gets to, as not to pytest's own directories."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Pod(Path(name), request.param)


def test_the_device_plugins_lines_and_nothing_else(pod: Pod) -> None:
    plugins = {row.example.partition("=")[0]: row.example.partition("=")[2] for row in DIALECTS}

    pod.start(ENVIRONMENT | plugins)

    assert pod.variables() == {"QAT0": "0000:3d:02.2"} | plugins
    assert b"hush" not in pod.file.read_bytes()


def test_everybody_in_the_pod_can_go_on_with_what_is_made(pod: Pod) -> None:
    """Kubelet has not made the sidecar's folder yet: it waits for this hook before it starts the sidecar."""
    pod.start(ENVIRONMENT)

    assert stat.S_IMODE(pod.folder.stat().st_mode) & 0o777 == 0o777
    assert stat.S_IMODE(pod.file.stat().st_mode) == 0o644
    assert list(pod.file.parent.iterdir()) == [pod.file]
    # virt-launcher takes every plain file in the folder for a socket.
    assert [one for one in pod.folder.iterdir() if not one.is_dir()] == []


def test_every_sidecar_gets_it(pod: Pod) -> None:
    two = [pod.volume / f"hook-sidecar-{number}" for number in range(2)]

    pod.start(ENVIRONMENT, *two)

    assert {(folder / ALLOCATION_FILE).read_bytes() for folder in two} == {b"QAT0=0000:3d:02.2\n"}


def test_names_that_no_shell_can_read(pod: Pod) -> None:
    odd = {"MDEV_PCI_RESOURCE_NVIDIA_COM_GRID_T4-1Q": "83b8f4f2-509f-4c95-b1e5-6f2f8a6a5a4e"}

    pod.start(odd)

    assert pod.variables() == odd


def test_a_line_break_makes_no_variable(pod: Pod) -> None:
    pod.start({"QAT0": "0000:3d:02.2\nQAT1=0000:3d:02.3\n", "HARMLESS": "x\nQAT2=0000:3d:02.4"})

    assert pod.variables() == {"QAT0": "0000:3d:02.2\x01QAT1=0000:3d:02.3\x01"}


@pytest.mark.parametrize("value", ["", ",", "0000:3d:02.2,", " ", "a=b=c", '"quoted"', "$(touch /tmp/x)", "\\n%s", "*"])
def test_values_stay_as_they_are(pod: Pod, value: str) -> None:
    pod.start({"PCI_RESOURCE_X": value})

    assert pod.variables() == {"PCI_RESOURCE_X": value}


def test_bytes_that_are_no_text(pod: Pod) -> None:
    pod.start({b"QAT0": b"\xff", b"QAT1": b"0000:3d:02.2"})

    assert pod.variables() == {"QAT0": "\\xff", "QAT1": "0000:3d:02.2"}


def test_a_large_environment(pod: Pod) -> None:
    many = {f"PCIDEVICE_X_{number:03}_INFO": "x" * 1000 for number in range(100)}

    pod.start(many | {"NOISE": "y" * 100_000})

    assert pod.variables() == many


@pytest.mark.parametrize(
    ("limits", "whose"),
    [
        ((), {}),
        (("devices.kubevirt.io/kvm", "nvidia.com/T4"), {}),
        (("qat.intel.com/sym", "cpu"), {"QAT0": "sym", "QAT12": "sym"}),
        (("qat.intel.com/sym", "qat.intel.com/dc"), {}),
        (("qat.intel.com/sym", "dsa.intel.com/wq-user-shared"), {"QAT0": "sym", "QAT12": "sym", "VFIO_BDF0": "wq"}),
        (("qat.intel.com/sym", "qat.intel.com/dc", "dsa.intel.com/wq-user-shared"), {"VFIO_BDF0": "wq"}),
    ],
)
def test_whose_a_number_is_is_told_where_only_one_can_be(
    pod: Pod, limits: tuple[str, ...], whose: dict[str, str]
) -> None:
    names = {"sym": "qat.intel.com/sym", "wq": "dsa.intel.com/wq-user-shared"}
    told = {"QAT0": "0000:3d:02.2", "QAT12": "b\\n%s", "VFIO_BDF0": "0000:6a:01.0", "QAT1X": "no number"}

    pod.start(told | {"PCI_RESOURCE_NVIDIA_COM_T4": "0000:da:00.0"}, limits=limits)

    assert pod.read().resources == {name: (names[short],) for name, short in whose.items()}
    assert pod.variables() == told | {"PCI_RESOURCE_NVIDIA_COM_T4": "0000:da:00.0"}


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_the_agents_file_stays(pod: Pod, end: bytes) -> None:
    """It may come before the hook does: the agent sees the folder that the hook of another container made."""
    pod.file.parent.mkdir(parents=True)
    pod.file.write_bytes(AGENTS.replace(b"\n", end))
    pod.file.chmod(0o400)
    _open_to_all(pod.volume)
    if os.geteuid() == 0:
        os.chown(pod.file, UID, UID)

    pod.start(ENVIRONMENT)

    assert pod.file.read_bytes() == AGENTS.replace(b"\n", end)
    assert list(pod.file.parent.iterdir()) == [pod.file]


@pytest.mark.parametrize("there", [b"", b"QAT0=0000:3f:02.1\n", b"# passgate-agent=1\n", b"\n" + AGENTS, b"\xff\xfe"])
def test_any_other_file_is_replaced(pod: Pod, there: bytes) -> None:
    pod.file.parent.mkdir(parents=True)
    pod.file.write_bytes(there)
    _open_to_all(pod.volume)

    pod.start(ENVIRONMENT)

    assert pod.variables() == {"QAT0": "0000:3d:02.2"}


def test_where_kubevirt_has_the_volume() -> None:
    """Not a word of the command is changed."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a /var/run of its own")
    volume = "mount -t tmpfs none /run && mkdir -m 2777 /run/kubevirt-hooks"
    user = f'setpriv --reuid {UID} --regid {UID} --clear-groups "$@"'
    words = hook()
    script = f"{volume} && {user} && cat {words[4]}/{ALLOCATION_FILE}"

    said = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", script, "sh", *words],
        env={"PATH": os.environ["PATH"], "QAT0": "0000:3d:02.2"},
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode in {1, 32} and said.stderr.startswith(("unshare:", "mount:")):
        pytest.skip(f"cannot mount a tmpfs here: {said.stderr.strip()}")

    assert (said.returncode, said.stdout) == (0, "QAT0=0000:3d:02.2\n"), said.stderr


def test_nothing_to_tell_is_no_failure(pod: Pod) -> None:
    pod.start({"HOME": "/"})

    assert not pod.folder.exists()


@pytest.mark.parametrize("part", [".", "userdata", "userdata/passgate"])
def test_a_link_on_the_way_is_not_followed(pod: Pod, part: str) -> None:
    elsewhere = pod.volume.parent / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    trap = pod.folder / part
    trap.parent.mkdir(parents=True, exist_ok=True)
    trap.symlink_to(elsewhere)

    pod.start(ENVIRONMENT)

    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("points_to", ["victim", "directory", "nowhere"])
def test_a_link_in_its_place_is_replaced(pod: Pod, points_to: str) -> None:
    (pod.volume / "victim").write_text("mine")
    (pod.volume / "directory").mkdir(mode=0o777)
    pod.file.parent.mkdir(parents=True)
    pod.file.symlink_to(pod.volume / points_to)
    _open_to_all(pod.volume)

    pod.start(ENVIRONMENT)

    assert (pod.volume / "victim").read_text() == "mine"
    assert list((pod.volume / "directory").iterdir()) == []
    assert not (pod.volume / "nowhere").exists()
    # busybox's mv leaves a link to a directory alone; no virt-launcher has that.
    if (pod.shell, points_to) != ("busybox", "directory"):
        assert pod.variables() == {"QAT0": "0000:3d:02.2"}


def test_a_fifo_in_its_place_is_replaced(pod: Pod) -> None:
    pod.file.parent.mkdir(parents=True)
    os.mkfifo(pod.file)
    _open_to_all(pod.volume)

    pod.start(ENVIRONMENT)

    assert pod.variables() == {"QAT0": "0000:3d:02.2"}


@pytest.mark.parametrize("part", [".", "userdata", "userdata/passgate"])
def test_a_directory_that_may_not_be_written_is_no_failure(pod: Pod, part: str) -> None:
    pod.file.parent.mkdir(parents=True)
    _open_to_all(pod.volume)
    for below in [one for one in pod.folder.rglob("*") if one.relative_to(pod.folder) > Path(part)]:
        shutil.rmtree(below, ignore_errors=True)
    (pod.folder / part).chmod(0o555)

    pod.start(ENVIRONMENT)

    assert not pod.file.exists()


def test_a_directory_in_its_place_is_no_failure(pod: Pod) -> None:
    pod.file.mkdir(parents=True)
    _open_to_all(pod.volume)

    pod.start(ENVIRONMENT)

    assert list(pod.file.iterdir()) == []
    assert list(pod.file.parent.iterdir()) == [pod.file]


def test_no_volume_at_all_is_no_failure(pod: Pod) -> None:
    pod.start(ENVIRONMENT, pod.volume / "missing" / "hook-sidecar-0")

    assert not (pod.volume / "missing").exists()


def test_no_one_ever_reads_a_part_of_it(pod: Pod) -> None:
    many = {f"PCIDEVICE_X_{number:03}": "x" * 1000 for number in range(100)}
    torn: list[int] = []
    done = Event()

    def read() -> None:
        while not done.is_set():
            if pod.file.exists() and len(parse_env_file(pod.file.read_bytes()).variables) != len(many):
                torn.append(1)

    reader = Thread(target=read)
    reader.start()
    for _ in range(5):
        pod.start(many)
    done.set()
    reader.join()

    assert torn == []
    assert pod.variables() == many


def test_the_file_is_what_inject_reads(pod: Pod) -> None:
    pod.start({"QAT0": "0000:3d:02.2", "HOME": "/"})

    said = passgate("inject", str(ROOT / "demo/q35.xml"), "--env-file", str(pod.file), "-o", "json")

    assert [device["source"] for device in json.loads(said.out)["devices"]] == ["0000:3d:02.2"]


NAMES = st.sampled_from(["QAT0", "QAT", "PCIDEVICE_A_B-C", "USB_RESOURCE_X", "VFIO_BDF12", "HOME", "XQAT0", "qat1"])
VALUES = st.binary(max_size=40).map(lambda value: value.replace(b"\0", b""))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(environment=st.dictionaries(NAMES, VALUES, max_size=6))
def test_any_environment(pod: Pod, environment: dict[str, bytes]) -> None:
    pod.file.unlink(missing_ok=True)

    pod.start({os.fsencode(name): value for name, value in environment.items()})

    wanted = {name: value for name, value in environment.items() if dialects_of(name)}
    assert pod.file.exists() == bool(wanted)
    if wanted:
        text = {name: value.replace(b"\n", b"\1").decode(errors="backslashreplace") for name, value in wanted.items()}
        # The reader takes a line that ends as on Windows for one that was edited there.
        assert pod.variables() == {name: value.removesuffix("\r") for name, value in text.items()}


def _open_to_all(folder: Path) -> None:
    """What the test has made, the VM's user may change."""
    for one in [folder, *folder.rglob("*")]:
        if one.is_dir() and not one.is_symlink():
            one.chmod(0o777)
