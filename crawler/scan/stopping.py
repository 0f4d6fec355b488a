"""How a scan is told to stop: by a signal, at a checkpoint."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio

from crawler.scan.progress import Progress

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal, a supervisor and a line that hangs up send, to every process of the scan."""


class Interrupted(Exception):
    """The scan was told to stop; everything measured so far is on the disk."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def ours_to_hear() -> Iterator[None]:
    """Whoever is started in the block does not hear these signals; what it sets for them is undone.

    For others' code that starts processes and sets handlers of its own.  Of the main thread only.
    """
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@asynccontextmanager
async def stoppable(progress: Progress) -> AsyncIterator[None]:
    """Turn the first of these signals into an orderly stop; a second one ends the process.

    A SIGHUP that is ignored, as nohup(1) has it, stays so.  Raises ``Interrupted``.  A block that comes to its end all the same, because its last step does not stop half-way, has
    done what it was asked.
    """
    work = trio.CancelScope()
    stopped: list[int] = []
    ended = False

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in STOPPING if not (ignored and number == signal.SIGHUP)]

    async def listen(task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*heard) as signals:
            task_status.started()
            async for number in signals:
                if stopped:
                    signal.signal(number, signal.SIG_DFL)
                    signal.raise_signal(number)
                stopped.append(number)
                progress.say("stopping; a second signal stops at once")
                work.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(listen)
        with work:  # the listener outlives it, to hear the second signal
            yield
            ended = True
        nursery.cancel_scope.cancel()
    if stopped and not ended:
        raise Interrupted(stopped[0])
