"""Questions to one resolver over one UDP socket (RFC 1035 section 4.2.1).

The socket is connected, so the kernel delivers only what comes from the resolver's address and
port, and tells of ICMP errors.  Its port is the kernel's random choice (RFC 5452 section 4.5);
the owner replaces the socket after ``QUESTIONS_PER_SOCKET`` questions or ``SECONDS_PER_SOCKET``.

One wake-up of the event loop empties the socket: a wake-up costs more than an answer does.
Answers that nobody has fetched yet wait in the receive buffer, and what does not fit vanishes
without a trace.  Stock kernels grant about 200 kB, which 250 answers fill, so the buffer that was
granted is read back and bounds how many questions may be open.

Sending many at once is ``segments``' business.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

import trio

from crawler.config import Endpoint
from crawler.net.channel import MOST_OPEN, Channel, Owner
from crawler.net.lookup import Lookup
from crawler.net.segments import NOT_HERE, Send, send_each, send_segmented

QUESTIONS_PER_SOCKET: Final = 30_000
SECONDS_PER_SOCKET: Final = 60.0

BATCH: Final = 256
"""Datagrams fetched before other tasks get their turn, some two milliseconds of work."""

DATAGRAM_BYTES: Final = 4096
"""More than the 1,232 octets that we offer; an answer cut here is malformed, and asked again."""

BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Receive buffer asked for; the kernel may grant less."""

ANSWER_COST: Final = 1024
"""Receive buffer that an answer is reckoned to take.  Linux charges a small datagram 768 octets
and one of 1,232 octets 2,304; nearly all answers of a scan are small."""

SO_RCVBUFFORCE: Final = 33  # Linux: beyond rmem_max, for who has CAP_NET_ADMIN; not in ``socket``

# ICMP errors about an earlier datagram, reported at the next call.
_ICMP: Final = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)


def open_socket(endpoint: Endpoint) -> tuple[socket.socket, int]:
    """A connected, non-blocking socket and the receive buffer it was granted.  Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
                break
            except OSError:  # not permitted, or not this kernel's
                continue
        sock.connect(endpoint)
        # The value read back is twice what was set: Linux counts its own overhead, as ANSWER_COST
        # does (socket(7)).
        return sock, sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    except OSError:
        sock.close()
        raise


def receive(sock: socket.socket) -> list[bytes]:
    """The datagrams that have arrived, ``BATCH`` at the most.

    Raises ``OSError`` for an ICMP error, but only when nothing was fetched before it.
    """
    datagrams: list[bytes] = []
    fetch, keep = sock.recv, datagrams.append
    try:
        for _ in range(BATCH):
            keep(fetch(DATAGRAM_BYTES))
    except BlockingIOError:
        pass
    except OSError:
        if not datagrams:
            raise
    return datagrams


class Datagrams(Channel):
    """One UDP socket to *endpoint*.  Raises ``OSError`` when none can be had.

    The other arguments are those of ``Channel``.
    """

    def __init__(self, endpoint: Endpoint, owner: Owner, *, now: float, **options: Any) -> None:
        super().__init__(owner, **options)
        self._socket, granted = open_socket(endpoint)
        self.limit = max(1, min(MOST_OPEN, granted // ANSWER_COST))
        self._until = now + SECONDS_PER_SOCKET
        self._send: Send = send_segmented
        self._unsent: list[bytes] = []
        self._writable = trio.Event()
        self.closed = False

    @property
    def room(self) -> int:
        """No room while the kernel does not take what is there already."""
        return 0 if self._unsent else self.limit - len(self.waiting)

    def spent(self, now: float) -> bool:
        """Whether the socket has been used long enough, so that its port should change."""
        return self.opened >= QUESTIONS_PER_SOCKET or now >= self._until

    def send(self, lookups: Sequence[Lookup], now: float) -> None:
        """Ask *lookups*, now or as soon as the kernel has room."""
        self._unsent += self.open(lookups)
        self._flush(now)

    def _flush(self, now: float) -> None:
        """Hand what is unsent to the kernel."""
        while self._unsent:
            try:
                self._send(self._socket, self._unsent)
            except BlockingIOError:
                self._writable.set()
                return
            except OSError as error:
                if self._send is send_segmented and error.errno in NOT_HERE:
                    self._send = send_each
                else:
                    self._refused(error, now)

    def _refused(self, error: OSError, now: float) -> None:
        """A datagram was not sent: because of an earlier one's ICMP error, or of its own."""
        self._icmp(error, now)
        query = self._unsent.pop(0)
        try:  # an ICMP error is told once; what remains is about this datagram
            self._socket.send(query)
        except OSError as again:
            lookup = self.waiting.pop(query[:2])
            self.owner.unsent(lookup, again, now)

    def _icmp(self, error: OSError, now: float) -> None:
        """The resolver's port, host or network cannot be reached: so much for what was sent."""
        if error.errno not in _ICMP:
            return
        unsent = {query[:2] for query in self._unsent}
        for key in [key for key in self.waiting if key not in unsent]:
            self.owner.lost(self.waiting.pop(key), os.strerror(error.errno), now)

    async def run(self) -> None:
        """Listen, and send what the kernel had no room for, until the socket is closed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                await self._listen()
                nursery.cancel_scope.cancel()
        finally:
            self.close()

    async def _listen(self) -> None:
        owner = self.owner
        while not self.closed:
            try:
                await trio.lowlevel.wait_readable(self._socket)
            except trio.ClosedResourceError:
                return
            now = trio.current_time()
            try:
                datagrams = receive(self._socket)
            except OSError as error:
                self._icmp(error, now)
                datagrams = []
            self.hear(datagrams, now)
            owner.news_is_over()
            await self.gather(len(datagrams))

    async def _write(self) -> None:
        while not self.closed:
            await self._writable.wait()
            self._writable = trio.Event()
            try:
                await trio.lowlevel.wait_writable(self._socket)
            except trio.ClosedResourceError:
                return
            self._flush(trio.current_time())
            self.owner.news_is_over()

    def close(self) -> None:
        """Close the socket; what is still open is the caller's to fail."""
        if not self.closed:
            self.closed = True
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
