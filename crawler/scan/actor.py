"""A worker in an actor: its process is Ray's to start and to restart, on whichever machine.

It is the worker of ``worker``, in a thread, at one end of a socket pair.  The scan has the other
end through the methods here (``actors``).  Nothing but what is said over it ever leaves an actor:
rows go to the scan's folder, as parts.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Final

import trio

import crawler
from crawler.scan.worker import serve
from crawler.snapshot.store import ScanFolder

LISTENING: Final = "listening"
"""The concurrency group of ``give``, which waits; everything else is done one after the other."""

_BLOCK: Final = 65536
"""Octets at a time, few enough for Ray to send them along with its reply."""


class Over(Exception):
    """The conversation is not the one that is under way."""


class _Conversation:
    """A worker that works, from the first word to the last."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ours, theirs = socket.socketpair()
        self._thread = threading.Thread(target=trio.run, args=(serve, theirs), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Hang up, and wait until the worker has ended, at a checkpoint."""
        try:
            self.ours.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has hung up before
            pass
        self._thread.join()
        self.ours.close()


class Actor:
    """What there is in an actor's process; Ray makes it anew when the process has died.

    A scan that has lost sight of it begins another conversation, and what belongs to an earlier one
    is refused: nothing is heard by a worker that it was not said to.
    """

    def __init__(self, folder: Path, place: int) -> None:
        self._folder = ScanFolder(folder)
        self._place = place
        self._held: int | None = None
        self._conversation: _Conversation | None = None

    def begin(self, number: int) -> str:
        """Have a new worker at the other end, once the one before has ended; our version."""
        if self._conversation is not None:
            self._conversation.end()
        if self._held is None:
            # Who was in the place before may live on where Ray believes it dead, with the lock.
            self._held = self._folder.hold_place(self._place)
        self._conversation = _Conversation(number)
        return crawler.__version__

    def _socket(self, number: int) -> socket.socket:
        if self._conversation is None or self._conversation.number != number:
            raise Over
        return self._conversation.ours

    def take(self, number: int, data: bytes) -> None:
        """Octets for the worker."""
        self._socket(number).sendall(data)

    def give(self, number: int) -> bytes:
        """Octets from the worker, as soon as there are any; none at its end."""
        return self._socket(number).recv(_BLOCK)

    def hang_up(self, number: int) -> None:
        """Nothing more will be said to the worker."""
        self._socket(number).shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Let go of the place."""
        if self._conversation is not None:
            self._conversation.end()
            self._conversation = None
        if self._held is not None:
            os.close(self._held)
            self._held = None
