"""Whole files or none: what makes a small file or a finished part survive a crash.

The order is the one that ``rename(2)`` asks for: write beside the target, fsync the file, rename
it over the target, fsync the folder.  An error at any step leaves the target as it was and is
never retried: after a failed fsync the kernel may have dropped the pages it could not write.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def sync(path: Path) -> None:
    """Flush a file or folder to the disk; raises ``OSError`` when the disk refuses."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place(temporary: Path, target: Path) -> None:
    """Give a file that is already on the disk its final name, atomically and durably."""
    temporary.replace(target)
    sync(target.parent)


def write(path: Path, data: bytes) -> None:
    """Replace *path* by *data*: afterwards it holds the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        sync(temporary)
        place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make *path* and its missing parents, durably, and return it."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)
    return path


def sha256(path: Path) -> str:
    """SHA-256 of a file as it reads back now, lower-case hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
