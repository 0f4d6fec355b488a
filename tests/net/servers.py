"""Small real servers that behave as a test tells them, each on its own loopback address.

A server is one coroutine, its *behaviour*, run for every connection with a ``Peer`` to talk
through.  It keeps a log of who came and when: what a client promised is judged by what servers
saw.  Under a ``MockClock`` the log is in that clock's time.
"""

from __future__ import annotations

import socket
import ssl
import struct
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import trio
import trio.testing
import trustme

from crawler.config import Config, Limits, Net, Politeness, Seconds
from crawler.net.https import PolicyClient, PolicyExchange
from crawler.net.smtp import MailClient, SmtpExchange
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut

POLICY_HOST = "mta-sts.example.com"
MX_HOST = "mx.example.com"
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: 86400\r\n"

AUTHORITY = trustme.CA()

T = TypeVar("T")


def virtual_time() -> tuple[str, dict[str, object]]:
    """The backend of tests in which time passes only while everybody waits.

    The threshold leaves the loopback time to deliver.
    """
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.02)}


def server_context(
    *names: str,
    only: ssl.TLSVersion | None = None,
    client_certificate: bool = False,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """A server's TLS settings, with a certificate of ``AUTHORITY`` for *names*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*(names or (POLICY_HOST, MX_HOST))).configure_cert(context)
    if only is not None:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of TLS 1.0 and 1.1
            context.minimum_version = context.maximum_version = only
    if client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@dataclass(slots=True)
class Visit:
    """One connection, as the server saw it."""

    opened: float
    closed: float | None = None
    received: bytearray = field(default_factory=bytearray)
    """Every octet, inside TLS or not."""


class Peer:
    """The client, as a behaviour sees it."""

    def __init__(self, stream: trio.SocketStream, visit: Visit) -> None:
        self.tcp = stream
        self.stream: trio.abc.Stream = stream
        self.visit = visit
        self._buffer = b""

    async def say(self, data: bytes) -> None:
        """Send *data*."""
        await self.stream.send_all(data)

    async def read(self) -> bytes:
        """Read what comes; nothing means that the client has closed."""
        data = bytes(await self.stream.receive_some(65536))
        self.visit.received += data
        return data

    async def read_until(self, end: bytes) -> bytes:
        """Read up to *end* and with it."""
        while end not in self._buffer:
            data = await self.read()
            if not data:
                raise trio.BrokenResourceError
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(end)
        return found + end

    async def line(self) -> bytes:
        """Read one line."""
        return await self.read_until(b"\r\n")

    async def request(self) -> bytes:
        """Read one HTTP request without a body."""
        return await self.read_until(b"\r\n\r\n")

    async def be_silent(self) -> None:
        """Say nothing until the client has gone."""
        while await self.read():
            pass

    def reset(self) -> None:
        """Break the connection with a RST."""
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.socket.close()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Become a TLS server.  Raises ``BrokenResourceError`` when the handshake fails."""
        protected = ServerTls(self.tcp, context)
        await protected.do_handshake()
        self.stream = protected


class ServerTls(trio.abc.Stream):
    """The server's side of TLS.  Unlike ``trio.SSLStream`` it sends the alert of a failure."""

    def __init__(self, tcp: trio.SocketStream, context: ssl.SSLContext) -> None:
        self._tcp = tcp
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def _until_done(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._tcp.receive_some()
                self._incoming.write(data) if data else self._incoming.write_eof()
            except ssl.SSLError as error:
                raise trio.BrokenResourceError from error
            finally:
                await self._flush()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._tcp.send_all(self._outgoing.read())

    async def do_handshake(self) -> None:
        await self._until_done(self._tls.do_handshake)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._until_done(lambda: self._tls.read(max_bytes or 65536))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            await self._until_done(lambda: self._tls.write(data))

    async def wait_send_all_might_not_block(self) -> None:
        await self._tcp.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Say close_notify and close."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the client's own close_notify is not waited for
        try:
            await self._flush()
        finally:
            await self._tcp.aclose()


Behaviour = Callable[[Peer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server listens, and what it has seen."""

    address: str
    port: int
    visits: list[Visit] = field(default_factory=list)

    @property
    def most_at_once(self) -> int:
        """The largest number of connections that were open together."""
        return most_at_once(self.visits)


def most_at_once(visits: Sequence[Visit]) -> int:
    """The largest number of *visits* that overlap; one that ends as another begins does not."""
    edges = [(v.opened, 1) for v in visits] + [
        (v.closed, -1) for v in visits if v.closed is not None
    ]
    together = most = 0
    for _, step in sorted(edges):
        together += step
        most = max(most, together)
    return most


@asynccontextmanager
async def serving(
    behaviour: Behaviour, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Server]:
    """A server at *address*, as long as the block lasts."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = trio.socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    await listener.bind((address, port))
    listener.listen(128)
    server = Server(address, listener.getsockname()[1])

    async def handle(stream: trio.SocketStream) -> None:
        visit = Visit(trio.current_time())
        server.visits.append(visit)
        peer = Peer(stream, visit)
        try:
            await behaviour(peer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone
        finally:
            visit.closed = trio.current_time()
            await trio.aclose_forcefully(peer.stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, [trio.SocketListener(listener)])
        yield server
        nursery.cancel_scope.cancel()
    listener.close()


async def serve_while(
    behaviour: Behaviour, address: str, port: int, *, task_status: trio.TaskStatus[Server]
) -> None:
    """The same until cancelled, to be started in a nursery: for servers in number."""
    async with serving(behaviour, address, port) as server:
        task_status.started(server)
        await trio.sleep_forever()


@asynccontextmanager
async def black_hole(address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
    """An address and port that answer no SYN: a listener whose queue is full."""
    listener = socket.socket()
    listener.bind((address, port))
    listener.listen(0)
    address, port = listener.getsockname()
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex((address, port))
    try:
        yield Server(address, port)
    finally:
        for each in (listener, *fillers):
            each.close()


def unused_port() -> int:
    """A port at 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def world(port: int, **politeness: object) -> Config:
    """A closed world in which both services are on *port*, and nobody has to wait unless told."""
    limits = Politeness(per_address_interval=Seconds(0), connections_per_second=1e6)
    return Config(
        net=Net(https_port=port, smtp_port=port, allow_addresses=("127.0.0.0/8", "::1/128")),
        politeness=replace(limits, **politeness),  # type: ignore[arg-type]
    )


async def fetch(
    server: Server, *, host: str = POLICY_HOST, limits: Limits | None = None
) -> PolicyExchange:
    """Fetch a policy from *server*."""
    config = replace(world(server.port), limits=limits or Limits())
    client = PolicyClient(config.identity, config.limits)
    async with Gate(config, OptOut(None), frozenset()).admit(server.address, "https") as permit:
        return await client.fetch(permit, host)


async def greet(
    server: Server, *, host: str = MX_HOST, limits: Limits | None = None
) -> SmtpExchange:
    """Greet the MX host that is *server*."""
    config = replace(world(server.port), limits=limits or Limits())
    client = MailClient("probe.example.net", config.limits)
    async with Gate(config, OptOut(None), frozenset()).admit(server.address, "smtp") as permit:
        return await client.converse(permit, host)
