"""Workers as processes of this machine: each is started with one end of a socket pair.

A worker's process is given the lock of the scan, so the scan is held as long as one works, whatever
becomes of the process that has started it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

import crawler
from crawler.scan.crew import Worker
from crawler.scan.wire import Channel, Setup

_PATH: Final = str(Path(crawler.__file__).parents[1])
"""Where a worker finds this package, however it was found here."""


class _Process:
    """The ``Life`` of a worker."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process

    async def end(self) -> str:
        code = await self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


async def start_process(setup: Setup, inherited: Sequence[int]) -> Worker:
    """Start a worker that keeps the descriptors *inherited* open."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-m", "crawler.scan.worker", str(theirs.fileno())]
    with theirs, trio.CancelScope(shield=True):  # a process that nobody knew of would be left
        process = await trio.lowlevel.open_process(
            command,
            pass_fds=(theirs.fileno(), *inherited),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": module_path()},
        )
        channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        await channel.send(setup)
    return Worker(_Process(process), channel)


def module_path() -> str:
    """Where a Python that this one starts is to look for modules."""
    given = os.environ.get("PYTHONPATH")
    return _PATH if given is None else os.pathsep.join((_PATH, given))
