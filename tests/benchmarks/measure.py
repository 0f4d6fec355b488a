"""One command, run to its end: how long it took, what CPU and memory the whole process used.

Clients are not pinned to a core.  On two cores that made nothing steadier: over six rounds of
dnsperf the rate varied by 17 to 18 % with and without, the CPU by 10 % without and 13 % with.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Where commands run: ``python -m tests.benchmarks.ours`` is found from there."""

LOOK = 50
"""Milliseconds between two looks at the memory of a running command."""


@dataclass(frozen=True)
class Ended:
    """What a command cost."""

    seconds: float
    cpu: float
    """User and system CPU of all its threads and of the children it waited for."""
    rss_mib: float
    """The largest resident memory seen."""
    output: str
    """Standard output and error, as they came."""
    problem: str | None = None
    """Why its figures do not count."""


@dataclass
class _Watch:
    pid: int
    deadline: float
    peak_kib: int = 0
    late: bool = False
    poller: select.poll = field(default_factory=select.poll)

    def until_the_end(self) -> None:
        """Return when the process has ended, by itself or by the deadline."""
        descriptor = os.pidfd_open(self.pid)
        try:
            self.poller.register(descriptor, select.POLLIN)
            while not self.poller.poll(LOOK):
                self._look()
                if not self.late and time.monotonic() > self.deadline:
                    self.late = True
                    _kill(self.pid)
        finally:
            os.close(descriptor)

    def _look(self) -> None:
        # Not ru_maxrss: that of a child begins with what its parent had before the exec, and a
        # small client would be charged for all that this process has imported.
        with suppress(OSError):
            status = Path(f"/proc/{self.pid}/status").read_text()
            if stated := re.search(r"^VmHWM:\s*(\d+)", status, re.MULTILINE):
                self.peak_kib = max(self.peak_kib, int(stated[1]))


def run(
    argv: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run *argv* to its end, or to that of *timeout* seconds, when its session is killed."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        watch = _Watch(process.pid, began + timeout)
        try:
            watch.until_the_end()
        except BaseException:
            _kill(process.pid)
            process.wait()
            raise
        seconds = time.monotonic() - began
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait once more
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Ended(
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        rss_mib=watch.peak_kib / 1024,
        output=text,
        problem=_problem(process.returncode, watch.late, timeout, text),
    )


def _problem(code: int, late: bool, timeout: float, text: str) -> str | None:
    if late:
        return f"not done within {timeout:g} s"
    if code:
        return f"ended with {code}: {text.strip()[-300:]}"
    return None


def _kill(session: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
