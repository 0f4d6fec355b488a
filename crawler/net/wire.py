"""One TCP connection: where it leads, and octets both ways.

Less than ``trio.SocketStream``, which yields to the scheduler in every call, whether or not there
is anything to wait for: in a conversation of a dozen short turns that cost a fifth of its CPU.
Here only waiting yields, and a read after one that had not to wait: one may hold thousands of tiny
chunks, which take tens of milliseconds, and the next is there already.
"""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Final

import trio

from crawler.politeness.gate import Permit

READ_BYTES: Final = 18_432
"""Octets at a time: the largest TLS record (RFC 8446 section 5.2), and far more than any reply."""


class Wire:
    """A connection that stands.  For one task; ``OSError`` is what the system says."""

    __slots__ = ("_eager", "_socket")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._eager = False

    async def send_all(self, data: bytes) -> None:
        """Send all of *data*."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self) -> bytes:
        """What has come, once something has; nothing when the peer has closed the connection."""
        if self._eager:
            await trio.lowlevel.checkpoint()
        self._eager = True
        while True:
            try:
                return self._socket.recv(READ_BYTES)
            except BlockingIOError:
                self._eager = False
                await trio.lowlevel.wait_readable(self._socket)

    def receive_now(self) -> bytes | None:
        """What has come already, or None."""
        try:
            return self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


async def dial(permit: Permit) -> Wire:
    """Connect to where *permit* allows, and nowhere else."""
    address, port = permit.use()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection.connect((address, port))
        except BlockingIOError:
            await trio.lowlevel.wait_writable(connection)
            if number := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(number, os.strerror(number)) from None
        arrived(permit, connection.getpeername())
        return Wire(connection)
    except BaseException:
        connection.close()
        raise


def arrived(permit: Permit, peer: tuple[object, ...]) -> None:
    """A connection stands: *peer*, as the socket names it, has to be the one that was permitted.

    The address was checked as text; only the socket knows where it has led.
    """
    if peer[:2] != (permit.address, permit.port):
        raise RuntimeError(f"dialled {permit.address} port {permit.port}, reached {peer[:2]}")
    permit.connected()
