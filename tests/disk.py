"""A disk that stops at a step that a test chooses: crashes, fills up or fails.

The interpreter announces every rename, removal and new folder, and ``crawler.snapshot.files``
every write and fsync, as audit events (PEP 578), before they happen.  A hook numbers those below one
folder.  Nothing is replaced, so what runs is what runs in a scan; and a hook cannot be taken off
again, so a process that has one is a test's child.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from random import Random
from threading import RLock
from typing import Any

from crawler.cli import main
from crawler.snapshot.files import FSYNC, WRITE

CRASHED = 9
"""Exit code of a process that died at a step."""

_STEPS = (WRITE, FSYNC, "os.rename", "os.remove", "os.mkdir", "os.rmdir")
_NEED_ROOM = (WRITE, FSYNC, "os.rename", "os.mkdir")


class Trouble(StrEnum):
    """What happens at the step."""

    CRASH = "crash"
    """The process dies."""
    POWER = "power"
    """The machine dies: octets that were not flushed are gone; names that were not are gone from
    some folders and stand in others."""
    FULL = "full"
    """No room, from this step on."""
    FAULT = "fault"
    """The disk fails once."""


def break_at(step: int, trouble: Trouble, root: Path) -> Callable[[], int]:
    """Have *trouble* at the step of this number, from 1, below *root*; returns a count of steps."""
    taken = 0
    unsynced = _Unsynced()
    inside = False  # undoing and noting take steps of their own
    one_by_one = RLock()  # and while one thread's are under way no other takes any

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STEPS:
            with one_by_one:
                take(event, arguments)

    def take(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal taken, inside
        if inside:
            return
        path = _where(event, arguments)
        within = path.startswith(f"{root}/") or (path == str(root) and event == FSYNC)
        if not within or "/ingest" in path:  # scratch, of 128 files
            return
        taken += 1
        due = taken == step or (trouble is Trouble.FULL and taken > step and event in _NEED_ROOM)
        inside = True
        try:
            if due:
                _strike(trouble, event, unsynced, Random(step))
            if trouble is Trouble.POWER:
                unsynced.note(event, Path(path), arguments)
        finally:
            inside = False

    sys.addaudithook(count)
    return lambda: taken


def _where(event: str, arguments: tuple[Any, ...]) -> str:
    """The path of a step, also where it is given from a folder that is open."""
    path = os.fsdecode(arguments[0])
    folder = arguments[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
    return path if folder == -1 else f"{Path(f'/proc/self/fd/{folder}').readlink()}/{path}"


def _strike(trouble: Trouble, event: str, unsynced: _Unsynced, rng: Random) -> None:
    match trouble:
        case Trouble.CRASH:
            os._exit(CRASHED)
        case Trouble.POWER:
            unsynced.lose(rng)
            os._exit(CRASHED)
        case Trouble.FULL if event in _NEED_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case Trouble.FAULT:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class _Unsynced:
    """What a power cut would undo: written octets, and names given or taken, not yet flushed."""

    def __init__(self) -> None:
        self._written: set[Path] = set()
        self._names: list[tuple[Path, Callable[[], object]]] = []
        """Folders, and how to undo what was done in them."""

    def note(self, event: str, path: Path, arguments: tuple[Any, ...]) -> None:
        """A step is about to be taken."""
        match event:
            case "crawler.write":
                self._written.add(path)
            case "crawler.fsync":
                self._written.discard(path)
                self._names = [(folder, undo) for folder, undo in self._names if folder != path]
            case "os.rename":
                self._renaming(path, Path(os.fsdecode(arguments[1])))
            case "os.remove" if path.is_file():
                content = path.read_bytes()
                self._undone(
                    path.parent, lambda: path.parent.is_dir() and path.write_bytes(content)
                )
            case "os.mkdir" if not path.exists():
                self._undone(path.parent, lambda: shutil.rmtree(path, ignore_errors=True))

    def _renaming(self, source: Path, target: Path) -> None:
        replaced = target.read_bytes() if target.is_file() else None
        if source in self._written:
            self._written.add(target)

        def undo() -> None:
            if target.exists() and source.parent.is_dir():
                target.rename(source)
            if replaced is not None and target.parent.is_dir():
                target.write_bytes(replaced)

        self._undone(target.parent, undo)

    def _undone(self, folder: Path, undo: Callable[[], object]) -> None:
        self._names.append((folder, undo))

    def lose(self, rng: Random) -> None:
        """Undo it, the latest first; names of a folder all or not at all, as *rng* has it."""
        for path in self._written:
            if path.is_file():
                os.truncate(path, 0)
        lost = {folder: rng.random() < 0.5 for folder in sorted({f for f, _ in self._names})}
        for folder, undo in reversed(self._names):
            if lost[folder]:
                undo()


if __name__ == "__main__":  # TROUBLE STEP ROOT and the arguments of the crawler's command
    taken = break_at(int(sys.argv[2]), Trouble(sys.argv[1]), Path(sys.argv[3]))
    try:
        main(sys.argv[4:])
    finally:
        sys.stderr.write(f"steps taken: {taken()}\n")
