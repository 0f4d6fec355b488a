"""Several files of a folder exchanged for new ones: all of them, or none.

A rename exchanges one file.  For several, the new files are written beside the old ones and
flushed; then a list of them is put in place, which decides the matter; then they are renamed over
the old ones.  A crash before the list leaves the old files, one after it is made good by
``recover``, which renames the rest.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from crawler.snapshot import files

_DECIDED: Final = "decided.json"


class Exchange:
    """Files of the folder *root*, whose successors are written in the folder *staging*."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging
        self._new: list[str] = []

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Exchange what is staged in the block when it ends; an error leaves everything as it was."""
        self.recover()
        files.make_folder(self._staging)
        self._new = []
        try:
            yield
            if self._new:
                files.write(self._staging / _DECIDED, json.dumps(self._new).encode())
        except BaseException:
            self._forget()
            raise
        self.recover()

    def stage(self, path: Path) -> Path:
        """Where to write, and flush, the successor of *path*."""
        self._new.append(path.relative_to(self._root).as_posix())
        return self._staged(len(self._new) - 1)

    def _staged(self, number: int) -> Path:
        return self._staging / f"{number:06d}"

    def recover(self) -> None:
        """Complete an exchange that was decided, and forget one that was not."""
        if not self._staging.is_dir():
            return
        decided = self._staging / _DECIDED
        if decided.is_file():
            for number, path in enumerate(json.loads(decided.read_text())):
                if (staged := self._staged(number)).is_file():
                    files.place(staged, self._root / path)
        self._forget()

    def _forget(self) -> None:
        """Remove the staged files; first the list, which would make their absence mean done."""
        (self._staging / _DECIDED).unlink(missing_ok=True)
        files.sync(self._staging)
        shutil.rmtree(self._staging)
