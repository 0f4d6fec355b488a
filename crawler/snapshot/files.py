"""Whole files or none: what makes a small file or a finished part survive a crash.

The order is the one that ``rename(2)`` asks for: write beside the target, fsync the file, rename
it over the target, fsync the folder.  An error at any step is never retried: after a failed fsync
the kernel may have dropped the pages it could not write.

Every step can be watched.  The interpreter raises an audit event (PEP 578) for each rename,
removal and folder, and this module for each write and fsync, before it happens: who wants to know
what a crash, a full disk or a failing one leaves behind numbers the steps and stops at one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

WRITE: Final = "crawler.write"
FSYNC: Final = "crawler.fsync"

_REMEDY: Final[Mapping[int, str]] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on that disk and repeat the command"),
    errno.EFBIG: "raise ulimit -f and repeat the command",
    errno.EIO: "the disk fails: copy the archive to another one and repeat the command there",
    errno.EROFS: "make that file system writable and repeat the command",
    errno.EMFILE: "raise ulimit -n and repeat the command",
}


class DiskError(OSError):
    """The disk does not take what must be written; the text names the place and the remedy."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say where a disk that is full or fails did so, and what helps."""
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        if error.errno is None or error.errno not in _REMEDY:
            raise
        failed = DiskError(
            f"{path}: {os.strerror(error.errno)}; {_REMEDY[error.errno]} "
            "(nothing that was written before is lost)"
        )
        failed.errno = error.errno
        raise failed from error


def sync(path: Path) -> None:
    """Flush a file or folder to the disk; raises ``OSError`` when the disk refuses."""
    with disk_errors(path):
        sys.audit(FSYNC, str(path))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def place(temporary: Path, target: Path) -> None:
    """Give a file that is already on the disk its final name, atomically and durably."""
    with disk_errors(target):
        temporary.replace(target)
        sync(target.parent)


def write(path: Path, data: bytes) -> None:
    """Replace *path* by *data*: afterwards it holds the old content or the new, never a part.

    Several may do so at once, in other threads or on other machines; one of them is the last.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with disk_errors(path):
        try:
            flush(temporary, data)
            place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def flush(path: Path, data: bytes) -> None:
    """Write a file that nobody reads before it is placed."""
    with disk_errors(path):
        sys.audit(WRITE, str(path))
        path.write_bytes(data)
        sync(path)


def make_folder(path: Path) -> Path:
    """Make *path* and its missing parents, durably, and return it."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            sync(folder.parent)
    return path


def sha256(path: Path) -> str:
    """SHA-256 of a file as it reads back now, lower-case hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
