"""What is kept on the node of each claim: its record, the metadata files of its requests, and its CDI file.

The record is there before all else, and goes last: whatever a killed process left, it says what belongs to the claim.
The other files follow from it, so that they can be made again at any time, without the API server.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from domxml.errors import BadInput
from hooksidecar.claims.files import (
    new_name,
    overwrite_file,
    read_file,
    remove_directory,
    remove_file,
    write_file,
)
from hostdev.claims.cdi import file_name, render_spec
from hostdev.claims.metadata import DIRECTORY, FILE, claim_directory, claim_of, list_requests, render_metadata
from hostdev.findings.claims import CLAIM_STATE_UNWRITABLE
from hostdev.kubelet.claimrecords import (
    SUFFIX,
    ClaimRecord,
    ClaimRecords,
    NewerRecord,
    is_uid,
    read_record,
    read_records,
    records_directory,
    render_record,
)

RECORD_MODE, READABLE = 0o600, 0o644
"""What containers and runtimes read is readable by all: a VM's process is not root's."""
_HINTS = {
    errno.ENOSPC: "the file system is full: make room there",
    errno.EDQUOT: "the quota is used up: make room there",
    errno.EROFS: "it is mounted read-only: mount it writable, and see `dmesg` whether its disk failed",
    errno.EACCES: "the driver must be root, with that directory mounted writable",
    errno.EPERM: "the driver must be root, with that directory mounted writable",
    errno.EIO: "the disk fails: `dmesg` tells which",
}


class Leftovers(NamedTuple):
    """Files without a record."""

    uids: frozenset[str]
    """Of claims that have a CDI file, or one that was being written."""
    directories: frozenset[str]
    """Of metadata files, as `claim_directory` names them."""


class ClaimStore:
    """The files of one driver; from any thread, as long as no two write of one claim."""

    def __init__(self, kubelet_dir: str, driver: str, cdi_dir: str) -> None:
        self.driver = driver
        self._kubelet_dir, self._cdi_dir = kubelet_dir, cdi_dir
        self._records_dir = records_directory(kubelet_dir, driver)
        self._metadata_dir = f"{os.path.dirname(self._records_dir)}/{DIRECTORY}"  # noqa: PTH120

    def read_all(self) -> ClaimRecords:
        """All records, as they are on the disk."""
        return read_records(self._kubelet_dir, self.driver)

    def find(self, uid: str) -> ClaimRecord | None:
        """The record of a claim; a damaged one is none, since all that is in it can be found out again.

        One of a newer version is refused: it may mean more than is known here.
        """
        try:
            with _errors_told(self._record_path(uid), "read"):
                return read_record(self._record_path(uid))
        except NewerRecord:
            raise
        except (BadInput, FileNotFoundError, NotADirectoryError):
            return None

    def keep(self, record: ClaimRecord) -> None:
        """Write down what a claim holds."""
        path = self._record_path(record.uid)
        with _errors_told(path, "written"):
            write_file(path, render_record(record), RECORD_MODE)

    def provide(self, record: ClaimRecord) -> None:
        """Have the files that its containers need, as the record says; what is as it should be is not touched."""
        for request in list_requests(record):
            path, data = self._metadata_path(record, request), render_metadata(record, request)
            with _errors_told(path, "written"):
                there = read_file(path)
                if there is not None and claim_of(there) == record.uid:
                    if there != data:
                        overwrite_file(path, data, padding=b"\n")
                else:
                    # None, or that of a deleted claim of this name, whose pod may still have it.
                    write_file(path, data, READABLE)
        path = self._cdi_path(record.uid)
        data = render_spec(record, lambda request: self._metadata_path(record, request))
        with _errors_told(path, "written"):
            if read_file(path) != data:
                write_file(path, data, READABLE)

    def remove(self, uid: str, namespace: str, name: str) -> None:
        """Take away all that belongs to a claim, whether there is a record of it or not."""
        self._remove_files(self._cdi_path(uid))
        path = f"{self._metadata_dir}/{claim_directory(namespace, name)}"
        with _errors_told(path, "removed"):
            if self._is_of(path, uid, (namespace, name)):
                remove_directory(path)
        self._remove_files(self._record_path(uid))

    def _remove_files(self, path: str, *, only_new: bool = False) -> None:
        for one in (new_name(path), *(() if only_new else (path,))):
            with _errors_told(one, "removed"):
                remove_file(one)

    def _is_of(self, directory: str, uid: str, name: tuple[str, str]) -> bool:
        """Whether the files there are of no other claim: one of the same name may have been made since."""
        if any((one.namespace, one.name) == name and one.uid != uid for one in self.read_all().records):
            return False
        owners = {claim_of(data) for path in _metadata_files(directory) if (data := read_file(path)) is not None}
        return owners <= {uid, None}

    def find_leftovers(self) -> Leftovers:
        """What lies there and belongs to no record: of a process that was killed, or whose record is lost."""
        found, names = self.read_all(), _list(self._records_dir)
        prefix = file_name(self.driver, "").removesuffix(SUFFIX)
        begun = (f"{prefix}{name.removeprefix('.')}" for name in names if name.startswith("."))
        named = (*begun, *(name.removeprefix(".") for name in _list(self._cdi_dir)))
        uids = {name[len(prefix) :].partition(".")[0] for name in named if name.startswith(prefix)}
        of_records = {claim_directory(one.namespace, one.name) for one in found.records}
        # A record that cannot be read is one, and which directory is its own is not known.
        directories = set() if found.findings else {*_list(self._metadata_dir)} - of_records
        return Leftovers(
            frozenset(filter(is_uid, uids - {name.removesuffix(SUFFIX) for name in names})), frozenset(directories)
        )

    def remove_leftover(self, *, uid: str = "", directory: str = "") -> None:
        """Take away what belongs to no record."""
        if uid:
            self._remove_files(self._cdi_path(uid))
            self._remove_files(self._record_path(uid), only_new=True)
        if directory:
            path = f"{self._metadata_dir}/{directory}"
            with _errors_told(path, "removed"):
                remove_directory(path)

    def _record_path(self, uid: str) -> str:
        return f"{self._records_dir}/{uid}{SUFFIX}"

    def _cdi_path(self, uid: str) -> str:
        return f"{self._cdi_dir}/{file_name(self.driver, uid)}"

    def _metadata_path(self, record: ClaimRecord, request: str) -> str:
        return f"{self._metadata_dir}/{claim_directory(record.namespace, record.name)}/{request}/{FILE}"


def _metadata_files(directory: str) -> Iterator[str]:
    yield from (f"{directory}/{request}/{FILE}" for request in _list(directory))


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208
    except OSError:
        return []


@contextmanager
def _errors_told(path: str, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if done == "read" and isinstance(error, FileNotFoundError | NotADirectoryError):
            raise
        what = f"cannot be {done}: {error.strerror}"
        raise CLAIM_STATE_UNWRITABLE.refused(path, what, _HINTS.get(error.errno or 0)) from None
