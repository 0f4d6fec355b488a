"""How far a scan is: a live line per pass on a terminal, one sentence per pass elsewhere.

Everything goes to standard error; nothing here can hold up a scan.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TextIO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

DESCRIBED_EVERY = 1.0
"""Seconds between two looks at how a pass is doing."""


class Unhurried(io.TextIOBase):
    """Text to a file that may be a pipe which nobody reads: what does not fit is dropped.

    A scan must not stand still because whoever watches it does.  poll(2) calls a pipe or a
    terminal writable when it takes ``PIPE_BUF`` octets without waiting.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._writable = select.poll()
        self._writable.register(file, select.POLLOUT)
        self.dropped = 0
        """Writes that were dropped."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the file."""
        return self._file.encoding

    def fileno(self) -> int:
        """That of the file."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Whether a person may be watching."""
        return self._file.isatty()

    def write(self, text: str) -> int:
        """Write *text* as far as there is room for it now; it counts as written in any case."""
        octets = text.encode(self.encoding, "replace")
        with self._lock:
            for start in range(0, len(octets), select.PIPE_BUF):
                if not self._put(octets[start : start + select.PIPE_BUF]):
                    self.dropped += 1
                    break
        return len(text)

    def _put(self, octets: bytes) -> bool:
        if not any(event & select.POLLOUT for _, event in self._writable.poll(0)):
            return False
        try:
            os.write(self.fileno(), octets)
        except OSError:  # whoever watched has gone
            return False
        return True


def visible(sentence: str) -> str:
    r"""*sentence* with every character that would not print written out, as ``\x1b``."""
    if sentence.isprintable():
        return sentence
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence)


def standard_error() -> TextIO:
    """Standard error, for words that nothing may wait for."""
    try:
        return cast("TextIO", Unhurried(sys.stderr))
    except (OSError, ValueError):  # replaced by something that is no file
        return sys.stderr


class Progress:
    """Counts targets per pass.  ``quiet`` says nothing at all."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(file=standard_error(), highlight=False)
        self._quiet = quiet
        self._live = self._console.is_terminal and not quiet
        self._bars = Bars(
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            console=self._console,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._counts: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._described: Mapping[str, Callable[[], str]] = {}
        self._described_at = 0.0

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def say(self, sentence: str) -> None:
        """Print one line; nothing in it is interpreted."""
        if not self._quiet:
            self._console.print(visible(sentence), markup=False, soft_wrap=True)

    def describe(self, pass_names: Sequence[str], words: Callable[[], str]) -> None:
        """Show what *words* says at the moment beside each of the passes, while it runs."""
        self._described = {**self._described, **dict.fromkeys(pass_names, words)}

    def expect(self, pass_name: str, targets: int) -> None:
        """More targets of a pass are about to be probed."""
        if pass_name not in self._tasks:
            self._tasks[pass_name] = self._bars.add_task(pass_name, total=0, words="")
            self._counts[pass_name] = 0
            self._began[pass_name] = time.monotonic()
        task = self._tasks[pass_name]
        self._counts[pass_name] += targets
        self._bars.update(task, total=self._counts[pass_name])

    def advance(self, pass_name: str, targets: int = 1) -> None:
        """Some targets of a pass are done."""
        if not self._live:
            return
        self._bars.advance(self._tasks[pass_name], targets)
        words, now = self._described.get(pass_name), time.monotonic()
        if words is not None and now - self._described_at >= DESCRIBED_EVERY:
            self._described_at = now
            self._bars.update(self._tasks[pass_name], words=words())

    def end(self, pass_name: str) -> None:
        """A pass is over."""
        if pass_name in self._tasks:
            self._bars.update(self._tasks[pass_name], words="")
            took = time.monotonic() - self._began[pass_name]
            self.say(f"{pass_name}: {self._counts[pass_name]:,} targets in {took:.1f} s")
