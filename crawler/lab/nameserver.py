"""Plays a validating recursive resolver for the whole world, over UDP and TCP.

It answers from the zones of the sites: follows CNAMEs across them, tells NXDOMAIN from NODATA,
sets RA always and AD for what is signed (RFC 4035 section 3.2.3), honours EDNS (RFC 6891) and
truncates what does not fit.  It misbehaves exactly as a zone's faults say.  ``Resolver`` is the
pure part, octets in and octets out; ``serve`` puts it on sockets.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import trio

from crawler.lab.addresses import RESOLVER, Addresses
from crawler.lab.operators import OPERATORS
from crawler.lab.scenario import Fault
from crawler.lab.site import Sites
from crawler.lab.zone import Record, Zone, records

A, NS, CNAME, SOA, PTR, OPT, DNSKEY = 1, 2, 5, 6, 12, 41, 48
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
_QR, _TC, _RD, _RA, _AD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020
_DO: Final = 0x8000
_HEADER: Final = struct.Struct("!6H")
_TTL: Final = 300
_UDP_LIMIT: Final = 1232
"""Octets of a UDP answer at the most, as resolvers have it since the DNS flag day of 2020."""
_CNAME_LIMIT: Final = 24
"""Aliases that are followed; more than any crawler should, so that it has to count."""
_DNSSEC_BOGUS: Final = struct.pack("!HHH", 15, 2, 6)
"""EDNS option 15 with Extended DNS Error 6 (RFC 8914 section 4.7)."""

_ROOT: Final = """
.                             SOA  a.lab. hostmaster.lab. 1 1800 900 604800 86400
.                             NS   a.lab.
.                             DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
"""
_MACHINERY: Final = """
a.lab.                        A    127.0.0.1
scanner.lab.test.             A    127.0.0.1
1.0.0.127.in-addr.arpa.       PTR  scanner.lab.test.
"""
"""With the root: what a vantage self-test asks for, a signed root and an EHLO name with its PTR."""


def machinery(addresses: Addresses) -> Iterator[Record]:
    """The records of the lab's own names, the MX hosts of the operators among them."""
    yield from records(_MACHINERY, "", {})
    for number, operator in enumerate(OPERATORS):
        for host in (1, 2):
            text = f"mx{host} A {addresses.operator(number, host)}"
            yield from records(text, operator.domain, {})


def _holds(zone: Zone, name: str) -> bool:
    return not zone.apex or name == zone.apex or name.endswith("." + zone.apex)


@lru_cache(maxsize=1024)
def wire_name(name: str) -> bytes:
    """A name as uncompressed labels (RFC 1035 section 3.1); no name of the lab needs escapes."""
    labels = name.encode("latin-1").split(b".") if name else ()
    return b"".join((*(bytes((len(label),)) + label for label in labels), b"\0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is used of a query message."""

    id: int
    name: str
    rdtype: int
    question: bytes
    """The question section as it came, to be echoed with its case."""
    size: int | None
    """UDP payload size that the client announces; None without EDNS."""
    wants_ad: bool


def read_query(message: bytes) -> Query | None:
    """Read a query; None if it is not one that a resolver would answer."""
    if len(message) < 17:
        return None
    ident, flags, questions, _, _, additional = _HEADER.unpack_from(message)
    if flags & _QR or flags & 0x7800 or questions != 1:
        return None
    labels, at = [], 12
    while at < len(message) and (length := message[at]):
        if length > 63:
            return None
        labels.append(message[at + 1 : at + 1 + length])
        at += 1 + length
    end = at + 5
    if end > len(message):
        return None
    (rdtype,) = struct.unpack_from("!H", message, at + 1)
    size, wants_ad = None, bool(flags & _AD)
    # Clients put OPT first in the additional section, with the root as its owner.
    if additional and message[end : end + 3] == b"\0\0\x29" and len(message) >= end + 11:
        size, ttl = struct.unpack_from("!HI", message, end + 3)
        wants_ad = wants_ad or bool(ttl & _DO)
    name = b".".join(labels).decode("latin-1").lower()
    return Query(
        id=ident,
        name=name,
        rdtype=rdtype,
        question=message[12:end],
        size=size,
        wants_ad=wants_ad,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer before it is fitted to a transport."""

    rcode: int = NOERROR
    answers: tuple[bytes, ...] = ()
    authority: bytes = b""
    authenticated: bool = False
    option: bytes = b""
    fault: Fault | None = None


def _encode(record: Record, asked: str) -> bytes:
    owner = b"\xc0\x0c" if record.owner == asked else wire_name(record.owner)
    return owner + struct.pack("!HHIH", record.rdtype, 1, _TTL, len(record.rdata)) + record.rdata


class Resolver:
    """Answers queries from the zones of a world."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._flaked: set[tuple[str, int]] = set()
        self._static = self._static_zones()
        self.on_query: Callable[[Query, str], None] = lambda _query, _transport: None
        """Called with every query and its transport, for tests that count."""

    def _static_zones(self) -> list[Zone]:
        """The zones of the machinery, the most specific first; the root is the last."""
        zones = [Zone(operator.domain, signed=True) for operator in OPERATORS]
        zones.append(Zone("", signed=True))
        records_of_all = (
            *machinery(self._sites.addresses),
            *records(_ROOT, "", {}),
        )
        for record in records_of_all:
            next(z for z in zones if _holds(z, record.owner)).add(record)
        return zones

    def _zone(self, name: str) -> Zone:
        """The zone that *name* is in."""
        if site := self._sites.find(name):
            return site.zone
        return next(zone for zone in self._static if _holds(zone, name))

    def resolve(self, name: str, rdtype: int) -> Reply:
        """What the world says to a question."""
        zone, current, chain = self._zone(name), name, list[Record]()
        authenticated, seen = True, {name}
        while True:
            authenticated = authenticated and zone.signed
            if fault := self._fault(zone, current, rdtype):
                return fault
            node = zone.node(current)
            if node is None or rdtype in node or CNAME not in node:
                break
            alias = node[CNAME][0]
            chain.append(alias)
            current = alias.target
            if current in seen or len(chain) > _CNAME_LIMIT:
                return Reply(answers=tuple(_encode(r, name) for r in chain))
            seen.add(current)
            if current not in zone.nodes:
                zone = self._zone(current)
        found = (node or {}).get(rdtype, [])
        return Reply(
            rcode=NXDOMAIN if node is None else NOERROR,
            answers=tuple(
                _encode(r, name)
                # A wildcard's records are given out under the name that was asked.
                for r in (*chain, *(replace(r, owner=current) for r in found))
            ),
            authority=b"" if found else _denial(zone.apex),
            authenticated=authenticated,
            fault=self._truncation(zone, name, rdtype),
        )

    def _fault(self, zone: Zone, name: str, rdtype: int) -> Reply | None:
        """The reply of a fault that hides the answer."""
        match fault := _fault_at(zone, name, rdtype):
            case None | Fault.TRUNCATED | Fault.TRUNCATED_ONLY:
                return None
            case Fault.SERVFAIL:
                return Reply(rcode=SERVFAIL)
            case Fault.BOGUS:
                return Reply(rcode=SERVFAIL, option=_DNSSEC_BOGUS)
            case Fault.REFUSED:
                return Reply(rcode=REFUSED)
            case Fault.DROP:
                return Reply(fault=fault)
            case Fault.FLAKY:
                if (name, rdtype) in self._flaked:
                    return None
                self._flaked.add((name, rdtype))
                return Reply(rcode=SERVFAIL)

    def _truncation(self, zone: Zone, name: str, rdtype: int) -> Fault | None:
        fault = _fault_at(zone, name, rdtype)
        return fault if fault in (Fault.TRUNCATED, Fault.TRUNCATED_ONLY) else None

    def answer_udp(self, message: bytes) -> bytes | None:
        """The datagram that answers *message*; None: silence."""
        query = read_query(message)
        if query is None:
            return None
        self.on_query(query, "udp")
        reply = self.resolve(query.name, query.rdtype)
        if reply.fault is Fault.DROP:
            return None
        whole = _message(query, reply)
        limit = min(query.size or 512, _UDP_LIMIT)
        if reply.fault is None and len(whole) <= limit:
            return whole
        # RFC 2181 section 9: a truncated answer is to be ignored, so nothing is put into it.
        return _message(query, Reply(rcode=reply.rcode), truncated=True)

    def answer_tcp(self, message: bytes) -> bytes | None:
        """The message that answers *message* over TCP; None: the connection is closed."""
        query = read_query(message)
        if query is None:
            return None
        self.on_query(query, "tcp")
        reply = self.resolve(query.name, query.rdtype)
        if reply.fault in (Fault.DROP, Fault.TRUNCATED_ONLY):
            return None
        return _message(query, reply)


def _fault_at(zone: Zone, name: str, rdtype: int) -> Fault | None:
    if not zone.faults:
        return None
    return zone.faults.get((name, _TYPE_NAMES.get(rdtype, ""))) or zone.faults.get((name, ""))


_TYPE_NAMES: Final = {1: "A", 5: "CNAME", 15: "MX", 16: "TXT", 28: "AAAA", 52: "TLSA"}


def _denial(apex: str) -> bytes:
    """The SOA that goes with a negative answer (RFC 2308 section 3)."""
    rdata = wire_name("a.lab") + wire_name("hostmaster.lab") + struct.pack("!5I", 1, 2, 3, 4, 60)
    return wire_name(apex) + struct.pack("!HHIH", SOA, 1, 60, len(rdata)) + rdata


def _message(query: Query, reply: Reply, *, truncated: bool = False) -> bytes:
    flags = _QR | _RD | _RA | reply.rcode
    if truncated:
        flags |= _TC
    if reply.authenticated and query.wants_ad:
        flags |= _AD
    additional = b""
    if query.size is not None:
        option = reply.option
        additional = struct.pack("!BHHIH", 0, OPT, _UDP_LIMIT, 0, len(option)) + option
    counts = (1, len(reply.answers), bool(reply.authority), bool(additional))
    header = _HEADER.pack(query.id, flags, *counts)
    return b"".join((header, query.question, *reply.answers, reply.authority, additional))


async def _serve_udp(sock: socket.socket, answer: Callable[[bytes], bytes | None]) -> None:
    while True:
        await trio.lowlevel.wait_readable(sock)
        # A batch at a time: the event loop costs more than an answer does.
        for _ in range(64):
            try:
                message, peer = sock.recvfrom(4096)
                if (reply := answer(message)) is not None:
                    sock.sendto(reply, peer)
            except BlockingIOError:
                break


async def _serve_tcp(stream: trio.SocketStream, answer: Callable[[bytes], bytes | None]) -> None:
    """Answer length-prefixed messages until the client closes (RFC 7766)."""
    buffer = bytearray()
    async with stream:
        try:
            while data := await stream.receive_some():
                buffer += data
                while len(buffer) >= 2 and len(buffer) >= 2 + (size := buffer[0] << 8 | buffer[1]):
                    reply = answer(bytes(buffer[2 : 2 + size]))
                    del buffer[: 2 + size]
                    if reply is None:
                        return
                    await stream.send_all(len(reply).to_bytes(2, "big") + reply)
        except trio.BrokenResourceError:
            return


def bind(port: int) -> socket.socket:
    """The UDP socket of the resolver; ``OSError`` if the port is taken."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    # A scan asks in bursts; the kernel grants what it allows of this.
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
    try:
        udp.bind((RESOLVER, port))
    except OSError:
        udp.close()
        raise
    return udp


async def serve(
    resolver: Resolver,
    *,
    port: int,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on ``RESOLVER`` until cancelled; ``OSError`` if the port is taken."""
    with bind(port) as udp:
        listeners = await trio.open_tcp_listeners(port, host=RESOLVER)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_udp, udp, resolver.answer_udp)
            nursery.start_soon(
                trio.serve_listeners, lambda s: _serve_tcp(s, resolver.answer_tcp), listeners
            )
            task_status.started()
