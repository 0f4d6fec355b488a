"""Questions to one resolver over one TCP connection, many at a time (RFC 7766).

Each message is preceded by its length (RFC 1035 section 4.2.2); answers come in any order (RFC
7766 section 7), and whatever has piled up goes out in one system call.  It serves for answers
that are too long for UDP and, where the configuration says so, for everything: with a resolver
on the same machine it is the cheapest way to ask, and it never truncates or drops.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import trio

from crawler.config import Endpoint
from crawler.net.channel import Channel, Owner
from crawler.net.lookup import Lookup

PIPELINE: Final = 2048
"""Questions open on one connection; with more they only queue inside the resolver."""

IDLE_SECONDS: Final = 10.0
"""RFC 7766 section 6.2.3: idle periods "on the order of seconds"; then we close."""

READ_BYTES: Final = 256 * 1024

_LENGTH: Final = struct.Struct("!H")

_CLOSED_BY_US: Final = "closed"


class TcpConnection(Channel):
    """One connection to *endpoint*.  Raises ``OSError`` when no socket can be had.

    The other arguments are those of ``Channel``.  Questions may be sent before it stands.  Once it is closed, by whomever, ``closed`` is true
    and every question still open has been given back as lost.
    """

    limit = PIPELINE

    def __init__(self, endpoint: Endpoint, owner: Owner, **options: Any) -> None:
        super().__init__(owner, **options)
        family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._endpoint = endpoint
        self._stands = False
        self._outgoing = bytearray()
        self._writable = trio.Event()
        self._incoming = b""
        self.closed = False
        self.heard_at = float("-inf")
        """When the last whole message came."""
        self.lapsed_at = float("-inf")
        """When the last of the questions that were given up had been sent."""

    def send(self, lookups: Sequence[Lookup], now: float) -> None:
        """Ask *lookups*, now or as soon as the connection stands and the kernel has room."""
        self._outgoing += b"".join(
            [_LENGTH.pack(len(query)) + query for query in self.open(lookups)]
        )
        self._flush(now)

    def overdue(self, sent_before: float) -> Iterator[Lookup]:
        """The questions sent at or before *sent_before*, which are open no longer."""
        for lookup in super().overdue(sent_before):
            self.lapsed_at = lookup.sent_at
            yield lookup

    def _flush(self, now: float) -> None:
        """Hand what is unsent to the kernel, as far as it takes it."""
        if not self._stands or not self._outgoing:
            return
        try:
            del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError as error:
            self.close(_words(error), now)
            return
        if self._outgoing:
            self._writable.set()

    async def run(self) -> None:
        """Connect, and listen until the connection is closed or has been idle for long."""
        why: str | None = _CLOSED_BY_US
        try:
            why = await self._connect()
            if why is None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    why = await self._listen()
                    nursery.cancel_scope.cancel()
        finally:
            self.close(why or _CLOSED_BY_US, trio.current_time())
        self.owner.news_is_over()

    async def _connect(self) -> str | None:
        """Connect; returns why it did not succeed."""
        try:
            self._socket.connect(self._endpoint)
        except BlockingIOError:
            try:
                await trio.lowlevel.wait_writable(self._socket)
            except trio.ClosedResourceError:
                return _CLOSED_BY_US
        except OSError as error:
            return _words(error)
        failure = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            return os.strerror(failure)
        self._stands = True
        self._flush(trio.current_time())
        return None

    async def _listen(self) -> str:
        """Read until the connection is over; returns why it is."""
        while not self.closed:
            try:
                with trio.move_on_after(IDLE_SECONDS) as idle:
                    await trio.lowlevel.wait_readable(self._socket)
                if idle.cancelled_caught:
                    if self.waiting:
                        continue
                    return "idle"
                octets = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except trio.ClosedResourceError:
                return _CLOSED_BY_US
            except OSError as error:
                return _words(error)
            if not octets:
                return "the resolver closed the connection"
            heard = self._receive(octets)
            self.owner.news_is_over()
            await self.gather(heard)
        return _CLOSED_BY_US

    def _receive(self, octets: bytes) -> int:
        """Cut *octets* into messages, and return how many; what is left waits for the rest."""
        now = trio.current_time()
        octets = self._incoming + octets
        messages: list[bytes] = []
        at, end = 0, len(octets)
        while end - at >= 2:
            length = octets[at] << 8 | octets[at + 1]
            if end - at - 2 < length:
                break
            messages.append(octets[at + 2 : at + 2 + length])
            at += 2 + length
        self._incoming = octets[at:]
        if messages:
            self.heard_at = now
            self.hear(messages, now)
        return len(messages)

    async def _write(self) -> None:
        while not self.closed:
            await self._writable.wait()
            self._writable = trio.Event()
            try:
                await trio.lowlevel.wait_writable(self._socket)
            except trio.ClosedResourceError:
                return
            self._flush(trio.current_time())

    def close(self, why: str, now: float) -> None:
        """Close the connection; its open questions are lost, and *why* says for what reason."""
        if not self.closed:
            self.closed = True
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
            self.lose(why, now)


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
