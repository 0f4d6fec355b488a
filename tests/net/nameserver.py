"""A small resolver that answers as a test's script tells it, at a loopback address of its own.

A script is a generator: it gets one question (``Asked``) and yields what goes back, in order.
Octets are a message; a number is a pause in seconds (of the clock the test runs on); ``Raw`` is
octets of a TCP stream without a length in front; ``CLOSE`` closes the TCP connection.  A script
that yields nothing drops the question.  Most are one line::

    def script(asked):
        yield asked.reply("10 mx.example.")

Every question is logged as the server saw it: what a client promised about ids, ports, flags and
pace is judged by the log.  dnspython reads and writes the messages, so none of our own code is
its own judge.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import trio

_ADDRESSES = (f"127.53.{n // 250}.{n % 250 + 1}" for n in itertools.count())


class Raw(bytes):
    """Octets that go into the TCP stream as they are."""


CLOSE = object()
"""Close the TCP connection."""

Sent = bytes | float | object


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question, as the server saw it."""

    query: dns.message.Message
    transport: str
    at: float
    port: int
    """Source port of the client."""
    count: int
    """How many times this question has been asked, this time included."""

    @property
    def qname(self) -> str:
        """Name asked, as spelt, without the final dot."""
        return self.query.question[0].name.to_text(omit_final_dot=True)

    @property
    def rdtype(self) -> str:
        """Type asked, as text."""
        return dns.rdatatype.to_text(self.query.question[0].rdtype)

    def reply(
        self,
        *rdata: str,
        rcode: str = "NOERROR",
        aliases: Sequence[str] = (),
        ad: bool = False,
        ra: bool = True,
        truncated: bool = False,
        ede: tuple[int, str] | None = None,
        ttl: int = 300,
    ) -> bytes:
        """An answer: the *aliases* in a chain from the name asked, then *rdata* at its end."""
        response = dns.message.make_response(self.query, recursion_available=ra)
        response.set_rcode(dns.rcode.from_text(rcode))
        response.flags |= (dns.flags.AD if ad else 0) | (dns.flags.TC if truncated else 0)
        owner = self.query.question[0].name.to_text()
        for alias in aliases:
            response.answer.append(dns.rrset.from_text(owner, ttl, "IN", "CNAME", f"{alias}."))
            owner = f"{alias}."
        if rdata:
            response.answer.append(dns.rrset.from_text(owner, ttl, "IN", self.rdtype, *rdata))
        if ede is not None:
            response.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode(ede[0]), ede[1])])
        return response.to_wire(max_size=65535)


Script = Callable[[Asked], Iterable[Sent]]


@dataclass(kw_only=True)
class Nameserver:
    """A running server and what it has been asked."""

    address: str
    port: int
    script: Script
    log: list[Asked] = field(default_factory=list)
    connections: int = 0
    """TCP connections ever accepted."""
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def endpoint(self) -> tuple[str, int]:
        """Address and port."""
        return self.address, self.port

    @property
    def label(self) -> str:
        """address:port, as the configuration has it."""
        return f"{self.address}:{self.port}"

    def busiest(self, window: float = 1.0) -> int:
        """The most questions that came within any *window* of seconds."""
        times = sorted(asked.at for asked in self.log)
        start = most = 0
        for end, at in enumerate(times):
            while at - times[start] >= window:
                start += 1
            most = max(most, end - start + 1)
        return most

    def _note(self, message: bytes, transport: str, port: int) -> Asked:
        query = dns.message.from_wire(message)
        question = query.question[0]
        key = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self._counts[key] += 1
        asked = Asked(
            query=query,
            transport=transport,
            at=trio.current_time(),
            port=port,
            count=self._counts[key],
        )
        self.log.append(asked)
        return asked


@asynccontextmanager
async def serve(script: Script, *, tcp: bool = True) -> AsyncIterator[Nameserver]:
    """A server that follows *script*, for as long as the block runs."""
    address = next(_ADDRESSES)
    udp, listener = await _sockets(address, tcp)
    server = Nameserver(address=address, port=udp.getsockname()[1], script=script)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve_udp, server, udp, nursery)
        if listener is not None:
            nursery.start_soon(_serve_tcp, server, listener, nursery)
        yield server
        nursery.cancel_scope.cancel()


async def _sockets(
    address: str, tcp: bool
) -> tuple[trio.socket.SocketType, trio.socket.SocketType | None]:
    """A UDP socket and, with *tcp*, a listener on the same port."""
    while True:
        udp = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        await udp.bind((address, 0))
        if not tcp:
            return udp, None
        listener = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            await listener.bind(udp.getsockname())
        except OSError:  # somebody has the TCP port
            udp.close()
            listener.close()
        else:
            listener.listen(64)
            return udp, listener


async def _serve_udp(
    server: Nameserver, udp: trio.socket.SocketType, nursery: trio.Nursery
) -> None:
    async def reply(asked: Asked, client: tuple[str, int]) -> None:
        for item in server.script(asked):
            if isinstance(item, bytes):
                await udp.sendto(item, client)
            elif isinstance(item, (int, float)):
                await trio.sleep(item)

    with udp:
        while True:
            message, client = await udp.recvfrom(4096)
            asked = server._note(message, "udp", client[1])
            nursery.start_soon(reply, asked, client)


async def _serve_tcp(
    server: Nameserver, listener: trio.socket.SocketType, nursery: trio.Nursery
) -> None:
    with listener:
        while True:
            connection, client = await listener.accept()
            server.connections += 1
            nursery.start_soon(_converse, server, trio.SocketStream(connection), client[1])


async def _converse(server: Nameserver, stream: trio.SocketStream, port: int) -> None:
    """One connection: questions are answered side by side, each as its script has it."""
    speaking = trio.Lock()

    async def reply(asked: Asked, scope: trio.CancelScope) -> None:
        for item in server.script(asked):
            if isinstance(item, (int, float)):
                await trio.sleep(item)
            elif item is CLOSE:
                scope.cancel()
            elif isinstance(item, bytes):
                prefix = b"" if isinstance(item, Raw) else struct.pack("!H", len(item))
                async with speaking:
                    await stream.send_all(prefix + item)

    buffer = b""
    async with stream, trio.open_nursery() as nursery:
        try:
            async for octets in stream:
                buffer += octets
                while len(buffer) >= 2 and len(buffer) >= 2 + (
                    size := int.from_bytes(buffer[:2], "big")
                ):
                    asked = server._note(buffer[2 : 2 + size], "tcp", port)
                    buffer = buffer[2 + size :]
                    nursery.start_soon(reply, asked, nursery.cancel_scope)
        except trio.BrokenResourceError:
            pass
        nursery.cancel_scope.cancel()
