"""A folder that is replaced whole or not at all, and never one that somebody else filled.

``SHA256SUMS`` lists every other file of a release, so a folder is ours when it holds exactly what its
list says, octet for octet.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

SUMS: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")


class NotOurs(ValueError):
    """The folder holds what no release of ours left there: one sentence with the remedy."""


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """A new folder, which becomes *out* when the block ends well; otherwise *out* stays as it was.

    Raises :class:`NotOurs` when *out* holds something else than a release.
    """
    _check(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    making = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        new = making / "new"
        new.mkdir()
        yield new
        (new / SUMS).write_text("".join(f"{d}  {n}\n" for n, d in digests(new).items()), "utf-8")
        if out.exists():
            out.rename(making / "old")
        new.rename(out)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def digests(folder: Path) -> Mapping[str, str]:
    """The SHA-256 of every file below *folder*, by its path from there, but for the list of them."""
    paths = sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    # A link, a socket or a device has none.
    return {
        name: sha256(path) if path.is_file() and not path.is_symlink() else ""
        for name, path in names.items()
        if name != SUMS
    }


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _check(out: Path) -> None:
    if not out.exists() or not any(out.iterdir()):
        return
    remedy = "give a new or empty folder, or remove this one yourself"
    sums = out / SUMS
    if not sums.is_file():
        raise NotOurs(f"{out} is not empty and no release; {remedy}")
    lines = sums.read_text("utf-8", errors="replace").splitlines()
    listed = {m[2]: m[1] for line in lines if (m := _LINE.fullmatch(line))}
    there = digests(out)
    if strange := sorted(name for name in there if there[name] != listed.get(name)):
        raise NotOurs(f"{out} has {strange[0]}, which no release wrote so; {remedy}")
