"""MX hosts that accept whoever comes and say an octet a second, for ever: a program of its own.

``python tarpit.py PORT COUNT`` listens at *COUNT* addresses below 127.2.0.0/16.  What it says is
the beginning of a greeting that never ends, so that a client has no reason to leave before its
own limit.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from contextlib import suppress

EVERY = 1.0
"""Seconds between two octets."""


def address(number: int) -> str:
    """The address of tarpit *number*."""
    return f"127.2.{number // 250}.{1 + number % 250}"


def serve(port: int, count: int) -> None:
    """Listen, accept and drip until the process is ended."""
    accepting = selectors.DefaultSelector()
    for number in range(count):
        listener = socket.create_server((address(number), port))
        listener.setblocking(False)
        accepting.register(listener, selectors.EVENT_READ)
    victims: set[socket.socket] = set()
    drip_at = time.monotonic() + EVERY
    while True:
        for key, _ in accepting.select(max(0.0, drip_at - time.monotonic())):
            assert isinstance(key.fileobj, socket.socket)
            with suppress(BlockingIOError):
                victims.add(key.fileobj.accept()[0])
        if time.monotonic() >= drip_at:
            drip_at += EVERY
            victims = {victim for victim in victims if _drip(victim)}


def _drip(victim: socket.socket) -> bool:
    """Say one octet; false, and the end of it, when the other side has gone."""
    try:
        victim.send(b"2", socket.MSG_DONTWAIT)
    except OSError:
        victim.close()
        return False
    return True


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
