from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from domxml.errors import HostUnreadable
from hostdev.inventory.host import LIMIT, Host

HIDDEN = "what stands outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "host"
    (place / "sys/class").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text(HIDDEN)
    return place


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError("the host made us wait")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 20)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def as_nobody() -> Iterator[None]:
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_what_an_attribute_says_comes_without_white_space(root: Path) -> None:
    (root / "sys/vendor").write_text("0x8086\n")

    with Host(root) as host:
        assert host.read("sys/vendor") == "0x8086"
        assert host.read_bytes("sys/vendor") == b"0x8086\n"
        assert host.unread == ()


def test_what_is_absent_is_none_and_is_not_told(root: Path) -> None:
    (root / "sys/file").write_text("1")
    (root / "sys/dangling").symlink_to("nowhere")

    with Host(root) as host:
        for path in ("sys/missing", "sys/missing/below", "sys/file/below", "sys/dangling", "proc/none"):
            assert host.read(path) is None
            assert host.names(path) is None
            assert host.links(path) is None
        assert host.link("sys/missing") is None
        assert not host.exists("sys/missing")
        assert host.unread == ()


def test_a_directory_is_no_file_and_that_is_told(root: Path) -> None:
    with Host(root) as host:
        assert host.read("sys/class") is None
        assert host.unread == (("/sys/class", "Is a directory"),)


def test_a_fifo_does_not_block(root: Path) -> None:
    os.mkfifo(root / "sys/uevent")

    with Host(root) as host:
        assert host.read("sys/uevent") is None
        assert host.text("sys/uevent") is None
        assert host.unread == (("/sys/uevent", "not a regular file"),)


def test_a_device_node_is_not_read(root: Path) -> None:
    try:
        os.mknod(root / "sys/uevent", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root may make device nodes")

    with Host(root) as host:
        assert host.read("sys/uevent") is None
        assert host.unread == (("/sys/uevent", "not a regular file"),)


def test_a_socket_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listening, Host(root) as host:
        listening.bind("sys/uevent")

        assert host.read("sys/uevent") is None
        assert [path for path, _ in host.unread] == ["/sys/uevent"]


@pytest.mark.parametrize("size", [4095, 4096, 4097, LIMIT])
def test_a_file_of_any_honest_size_is_read_whole(root: Path, size: int) -> None:
    (root / "sys/uevent").write_bytes(b"x" * size)

    with Host(root) as host:
        assert host.read_bytes("sys/uevent") == b"x" * size
        assert host.unread == ()


def test_a_file_of_four_megabytes_is_cut_and_told(root: Path) -> None:
    (root / "sys/uevent").write_bytes(b"x" * (4 << 20))

    with Host(root) as host:
        assert host.read_bytes("sys/uevent") == b"x" * LIMIT
        assert host.unread == (("/sys/uevent", "longer than 1 MiB, cut there"),)


def test_a_file_of_proc_that_comes_in_pieces_is_read_to_its_end() -> None:
    with Host("/") as host:
        text = host.text("proc/self/mountinfo")

    assert text is not None
    assert len(text.splitlines()) == len(Path("/proc/self/mountinfo").read_text().splitlines())


@pytest.mark.usefixtures("as_nobody")
def test_what_must_not_be_read_is_told() -> None:
    with TemporaryDirectory() as place:
        closed = Path(place) / "sys/closed"
        closed.mkdir(parents=True)
        (Path(place) / "sys/secret").touch(mode=0)
        closed.chmod(0)

        with Host(place) as host:
            assert host.read("sys/secret") is None
            assert host.names("sys/closed") is None
            assert host.link("sys/closed/driver") is None
            assert not host.exists("sys/closed/x")
            told = ["/sys/secret", "/sys/closed", "/sys/closed/driver", "/sys/closed/x"]
            assert dict(host.unread) == dict.fromkeys(told, "Permission denied")
        closed.chmod(0o700)


def test_an_input_output_error_is_told() -> None:
    with Host("/") as host:
        # Nothing is mapped at address 0, which the kernel tells as a failing disk would.
        assert host.read("proc/self/mem") is None
        assert host.unread == (("/proc/self/mem", "Input/output error"),)


@pytest.mark.parametrize(("number", "told"), [(errno.EIO, True), (errno.ENODEV, False), (errno.EINVAL, True)])
def test_a_device_that_leaves_between_open_and_read(
    root: Path, mocker: MockerFixture, number: int, *, told: bool
) -> None:
    (root / "sys/uevent").write_text("DRIVER=x")

    with Host(root) as host:
        mocker.patch("hostdev.inventory.host.os.read", autospec=True, side_effect=OSError(number, os.strerror(number)))

        assert host.read("sys/uevent") is None
        assert bool(host.unread) is told


def test_a_loop_of_links_is_told(root: Path) -> None:
    (root / "sys/a").symlink_to("b")
    (root / "sys/b").symlink_to("a")

    with Host(root) as host:
        assert host.read("sys/a") is None
        assert host.read("sys/a/uevent") is None
        assert dict(host.unread) == dict.fromkeys(["/sys/a", "/sys/a/uevent"], "Too many levels of symbolic links")


def test_links_inside_are_followed(root: Path) -> None:
    (root / "sys/devices/pci0000:00").mkdir(parents=True)
    (root / "sys/devices/pci0000:00/uevent").write_text("DRIVER=x\n")
    (root / "sys/class/pci").symlink_to("../devices/pci0000:00")
    (root / "sys/absolute").symlink_to("/sys/class/pci")
    (root / "sys/file").symlink_to("class/pci/uevent")

    with Host(root) as host:
        assert host.read("sys/class/pci/uevent") == "DRIVER=x"
        assert host.read("sys/absolute/uevent") == "DRIVER=x"
        assert host.read("sys/file") == "DRIVER=x"
        assert host.names("sys/absolute") == ["uevent"]
        assert host.leads_to("sys/class/pci") == "sys/devices/pci0000:00"
        assert host.unread == ()


@pytest.mark.parametrize(
    "target", ["../../outside", "../../../../../../../../../{outside}", "/{outside}", "../class/../../../outside"]
)
def test_no_link_leads_out(root: Path, target: str) -> None:
    outside = str(root.parent / "outside").lstrip("/")
    (root / "sys/way").symlink_to(target.format(outside=outside))
    (root / "sys/secret").symlink_to(target.format(outside=outside) + "/secret")

    with Host(root) as host:
        assert host.read("sys/way/secret") is None
        assert host.read("sys/secret") is None
        assert host.names("sys/way") is None
        assert host.links("sys/way") is None
        assert not host.exists("sys/way/secret")
        assert host.link("sys/way/secret") is None


@pytest.mark.parametrize("target", ["../..", "../../..", "../../x", "/sys", "a/../../..", "..", "../", "a/.."])
def test_a_link_of_the_device_tree_that_climbs_too_far_leads_nowhere(root: Path, target: str) -> None:
    (root / "sys/link").symlink_to(target)

    with Host(root) as host:
        place = host.leads_to("sys/link")
        assert place is None or not set(place.split("/")) & {"..", ""} or target == "../"


def test_no_path_leads_out(root: Path) -> None:
    with Host(root) as host:
        for path in ("../outside/secret", "sys/../../outside/secret", "sys/.."):
            assert host.read(path) is None
            assert host.names(path) is None
            assert not host.exists(path)


PARTS = st.sampled_from(["..", "a", "b", "c", "sys", "outside", "secret", "."])
PLACES = st.lists(PARTS, min_size=1, max_size=7).map("/".join)
TARGETS = PLACES | PLACES.map("/{}".format)


@given(
    links=st.dictionaries(st.sampled_from(["a", "b", "c", "d/a", "d/b", "d/c"]), TARGETS),
    asked=st.lists(PARTS, min_size=1, max_size=4),
)
def test_whatever_the_links_say_the_secret_stays_outside(links: dict[str, str], asked: list[str]) -> None:
    with TemporaryDirectory() as place:
        outside = Path(place) / "outside"
        root = Path(place) / "host"
        outside.mkdir()
        (outside / "secret").write_text(HIDDEN)
        (root / "sys/d").mkdir(parents=True)
        for name, target in links.items():
            (root / "sys" / name).symlink_to(target.replace("/outside", str(outside)))
        with Host(root) as host:
            path = "/".join(["sys", *asked])
            assert host.read(path) != HIDDEN
            assert "secret" not in (host.names(path) or ())
            found = host.leads_to(path)
            assert found is None or host.read(found) != HIDDEN


def test_bytes_that_are_not_utf8_are_shown_as_such(root: Path) -> None:
    (root / "sys/name").write_bytes(b"T\xff4\n")

    with Host(root) as host:
        assert host.read("sys/name") == "T\ufffd4"


def test_names_that_are_not_utf8_are_told_and_left_out(root: Path) -> None:
    bad = os.fsdecode(b"eth\xff")
    (root / "sys/class/eth0").touch()
    (root / "sys/class/ethä").touch()
    (root / "sys/class" / bad).touch()
    (root / "sys/link").symlink_to(bad)

    with Host(root) as host:
        assert host.names("sys/class") == ["eth0", "ethä"]
        assert host.link("sys/link") is None
        assert [path for path, _ in host.unread] == ["/sys/class", "/sys/link"]


def test_names_are_sorted_and_chosen_by_their_beginning(root: Path) -> None:
    for name in ("upper_b", "upper_a", "uevent"):
        (root / "sys/class" / name).touch()

    with Host(root) as host:
        assert host.names("sys/class") == ["uevent", "upper_a", "upper_b"]
        assert host.names("sys/class", prefix="upper_") == ["upper_a", "upper_b"]


def test_links_of_a_class_leave_files_out(root: Path) -> None:
    (root / "sys/class/eth0").symlink_to("../devices/eth0")
    (root / "sys/class/bonding_masters").write_text("bond0")

    with Host(root) as host:
        assert host.links("sys/class") == {"eth0": "../devices/eth0"}
        assert host.link("sys/class/bonding_masters") is None
        assert host.unread == ()


def test_what_was_unreadable_when_it_was_recorded_is_told_again(root: Path) -> None:
    with Host(root, unreadable={"sys/uevent": "Input/output error"}) as host:
        assert host.read("sys/uevent") is None
        assert host.read("sys/other") is None
        assert host.unread == (("/sys/uevent", "Input/output error"),)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda _: None, "No such file"),
        (lambda place: place.touch(), "Not a directory"),
        (lambda place: place.mkdir(), "holds no sys/"),
    ],
)
def test_a_root_that_is_none_is_refused_with_a_sentence(
    tmp_path: Path, make: Callable[[Path], None], what: str
) -> None:
    make(tmp_path / "x")

    with pytest.raises(HostUnreadable, match=what) as refused:
        Host(tmp_path / "x")

    assert refused.value.hint
    assert str(tmp_path) in refused.value.sentence()


def test_no_descriptor_is_left_open(root: Path) -> None:
    (root / "sys/class/eth0").symlink_to("../devices/eth0")
    os.mkfifo(root / "sys/fifo")
    before = len([*Path("/proc/self/fd").iterdir()])

    with Host(root) as host:
        for path in ("sys/class", "sys/class/eth0", "sys/fifo", "sys/missing"):
            host.read(path)
            host.names(path)
            host.links(path)
            host.link(path)
    host.close()
    with pytest.raises(HostUnreadable):
        Host(root / "sys")

    assert len([*Path("/proc/self/fd").iterdir()]) == before
