"""One recursive resolver: its sockets, its pace, and how it has been doing.

Sockets are opened when they are needed and replaced while in use, so that the source port does
not stay the same; an old one is kept until its last question is settled.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from crawler.config import Endpoint
from crawler.net.channel import Channel
from crawler.net.datagrams import Datagrams
from crawler.net.dns_tcp import TcpConnection
from crawler.net.lookup import DEFINITE, Lookup
from crawler.politeness.query_rate import QueryRate
from crawler.protocol.dns_wire import Message, decode
from crawler.vocabulary import DnsStatus

UDP_SOCKETS: Final = 64
"""In use at once per resolver: with the smallest buffers enough for 13,000 open questions."""

TCP_CONNECTIONS: Final = 4
"""RFC 7766 section 6.2.2 asks clients for few; four reach every thread of a usual resolver."""

ENOUGH_OPEN: Final = 128
"""Open questions on a TCP connection from which a second one is worth its handshake."""

RESTS_AFTER: Final = 10
"""Tries in a row that were dropped or refused, after which a resolver is no longer trusted with retries."""


@dataclass(slots=True, kw_only=True)
class ResolverStats:
    """What happened with one resolver, for the manifest and the progress line."""

    resolver: str
    sent: int = 0
    """Queries, retries and TCP included."""
    answered: int = 0
    """Answers that settled a lookup."""
    servfail: int = 0
    refused: int = 0
    """Answers with REFUSED."""
    other_failures: int = 0
    """Answers with any other RCODE, or malformed."""
    truncated: int = 0
    timeouts: int = 0
    unreachable: int = 0
    """Queries lost to an ICMP error or a closed connection."""
    unsent: int = 0
    """Queries that did not leave this machine."""
    junk: int = 0
    """Messages that answered no open question: late, garbled or forged."""
    rate: float = 0.0
    """Queries per second allowed at the moment."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the manifest."""
        return asdict(self)


class Desk(Protocol):
    """Who hears what came of the questions put to a resolver: the pool."""

    def settled(self, lookup: Lookup, message: Message, resolver: str, now: float) -> None:
        """*message* is a definite answer."""

    def failed(self, lookup: Lookup, failure: Message, resolver: str | None, now: float) -> None:
        """A try came to nothing; *resolver* is named when it was the one to say so."""

    def cut_short(self, lookup: Lookup, upstream: Upstream) -> None:
        """The answer is too long for UDP: the try goes on over TCP, with the same resolver."""

    def go_on(self) -> None:
        """A batch of news is over."""


class Upstream:
    """The resolver at *endpoint*, number *index* of the pool.

    *desk* hears what comes of its questions; *start* runs a task for as long as the pool is open.
    Also the ``Owner`` of its channels.
    """

    def __init__(
        self,
        index: int,
        endpoint: Endpoint,
        rate: QueryRate,
        *,
        cname_hops: int,
        desk: Desk,
        start: Callable[[Callable[[], Awaitable[None]]], None],
        entropy: Callable[[int], bytes],
        exact_case: bool,
    ) -> None:
        host, port = endpoint
        self.index = index
        self.label = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.rate = rate
        self.stats = ResolverStats(resolver=self.label)
        self.granted: int | None = None
        """Receive buffer of its last UDP socket, octets, as the kernel granted it."""
        self._silence = 0
        self._problem = ""
        self._endpoint = endpoint
        self._cname_hops = cname_hops
        self._desk = desk
        self._start = start
        self._entropy = entropy
        self._exact_case = exact_case
        self._datagrams: list[Datagrams] = []
        self._retired: list[Datagrams] = []
        self._connections: list[TcpConnection] = []

    @property
    def resting(self) -> bool:
        """It has dropped or refused so many tries in a row that retries should go elsewhere."""
        return self._silence >= RESTS_AFTER

    # --- asking ----------------------------------------------------------------------------

    def grant(self, now: float, wanted: int, *, tcp: bool) -> tuple[Channel | None, int]:
        """A channel, and how many of *wanted* questions may be sent on it now; 0 for none.

        Where no socket can be had, one question is granted and no channel: to find that out, too,
        is a try, and a scan must not rush through its list without a network.
        """
        # The pace comes first: without it there is no reason to open anything.
        granted = self.rate.take(now, wanted)
        if not granted:
            return None, 0
        try:
            channel = self._connection() if tcp else self._socket(now)
        except OSError as error:
            self._problem = os.strerror(error.errno) if error.errno else str(error)
            channel, room = None, 1
        else:
            room = 0 if channel is None else channel.room
        if room < granted:
            self.rate.give_back(granted - room)
            granted = room
        return channel, granted

    def send(self, lookup: Lookup, channel: Channel | None, now: float) -> None:
        """Send *lookup* on the *channel* that was granted, at its next ``flush``."""
        lookup.sent_at = now
        lookup.asked |= 1 << self.index
        if lookup.follow_up is None:
            lookup.tries += 1
        lookup.follow_up = None
        lookup.attempts += 1
        self.stats.sent += 1
        if channel is None:
            self.unsent(lookup, self._problem, now)
        else:
            channel.send(lookup)

    def _socket(self, now: float) -> Datagrams | None:
        """A UDP socket with room; None when all are full.  Raises ``OSError``."""
        for place, channel in enumerate(self._datagrams):
            if channel.spent(now):
                try:
                    self._datagrams[place] = self._open_socket(now)
                except OSError:
                    break  # an old port is better than none
                self._retired.append(channel)
        for channel in self._datagrams:
            if channel.room > 0:
                return channel
        if len(self._datagrams) >= UDP_SOCKETS:
            return None
        try:
            self._datagrams.append(self._open_socket(now))
        except OSError:
            if self._datagrams:
                return None  # there are some, and they will have room again
            raise
        return self._datagrams[-1]

    def _open_socket(self, now: float) -> Datagrams:
        channel = Datagrams(
            self._endpoint, self, entropy=self._entropy, exact_case=self._exact_case, now=now
        )
        self.granted = channel.granted
        self._start(channel.run)
        return channel

    def _connection(self) -> TcpConnection | None:
        """A TCP connection with room; None when all are full.  Raises ``OSError``."""
        self._connections = [c for c in self._connections if not c.closed]
        best = max(self._connections, key=lambda c: c.room, default=None)
        if best is not None and (
            len(best.waiting) < ENOUGH_OPEN or len(self._connections) >= TCP_CONNECTIONS
        ):
            return best if best.room > 0 else None
        try:
            best = TcpConnection(
                self._endpoint, self, entropy=self._entropy, exact_case=self._exact_case
            )
        except OSError:
            if best is not None and best.room > 0:
                return best
            raise
        self._connections.append(best)
        self._start(best.run)
        return best

    # --- what comes of it ------------------------------------------------------------------

    def received(self, lookup: Lookup, message: bytes, now: float) -> None:
        """*message* answers *lookup*."""
        answer = decode(
            message, lookup.qname, lookup.rdtype, lookup.body, cname_hops=self._cname_hops
        )
        if answer.status in DEFINITE:
            self._silence = 0
            self.stats.answered += 1
            self.rate.answered(lookup.sent_at)
            self._desk.settled(lookup, answer, self.label, now)
        else:
            self._indefinite(lookup, answer, now)

    def _indefinite(self, lookup: Lookup, answer: Message, now: float) -> None:
        """An answer came that settles nothing."""
        if answer.status is DnsStatus.REFUSED:
            # The only RCODE by which a resolver speaks of us and not of the name.
            self.stats.refused += 1
            self._silence += 1
            self.rate.troubled(lookup.sent_at, now)
        else:
            self._silence = 0
            self.rate.answered(lookup.sent_at)
            self.stats.servfail += answer.status is DnsStatus.SERVFAIL
            self.stats.truncated += answer.status is DnsStatus.TRUNCATED
            self.stats.other_failures += answer.status not in _COUNTED_APART
        if answer.status is DnsStatus.TRUNCATED and not lookup.over_tcp:
            self._desk.cut_short(lookup, self)
        else:
            self._desk.failed(lookup, answer, self.label, now)

    def lost(self, lookup: Lookup, why: str, now: float) -> None:
        """*lookup* was sent, and its answer cannot come any more."""
        self.stats.unreachable += 1
        self._no_answer(lookup, f"{self.label}: {why}", now)

    def unsent(self, lookup: Lookup, why: str, now: float) -> None:
        """*lookup* could not be sent, for a reason on this side."""
        lookup.attempts -= 1
        self.stats.sent -= 1
        self.stats.unsent += 1
        self._silence += 1
        failure = Message(DnsStatus.VANTAGE_FAILURE, error=f"no query left for {self.label}: {why}")
        self._desk.failed(lookup, failure, None, now)

    def _no_answer(self, lookup: Lookup, why: str, now: float) -> None:
        self._silence += 1
        self.rate.troubled(lookup.sent_at, now)
        self._desk.failed(lookup, Message(DnsStatus.TIMEOUT, error=why), None, now)

    def junk(self) -> None:
        """A message came that answers no open question."""
        self.stats.junk += 1

    def news_is_over(self) -> None:
        """A batch of news is over: close what is done with, and let the pool ask more."""
        if self._retired:
            self._close_retired()
        self._desk.go_on()

    # --- time ------------------------------------------------------------------------------

    def oldest(self) -> float:
        """When the question that has been open longest was sent; infinity for none."""
        return min(
            (at for channel in self._channels() if (at := channel.oldest()) is not None),
            default=float("inf"),
        )

    def sweep(self, now: float, timeout: float) -> None:
        """Give up the questions that were sent *timeout* seconds ago or earlier."""
        why = f"{self.label}: no answer within {timeout:g} s"
        for channel in self._channels():
            for lookup in channel.overdue(now - timeout):
                self.stats.timeouts += 1
                self._no_answer(lookup, why, now)
        for connection in self._connections:
            # Silent since a question that it let lapse: it may be stuck in the middle of a
            # message, and then nothing that is sent after it would ever be answered.
            if connection.lapsed_at > connection.heard_at:
                connection.close(why, now)
        self._close_retired()

    def _channels(self) -> Iterator[Channel]:
        yield from self._datagrams
        yield from self._retired
        yield from self._connections

    def _close_retired(self) -> None:
        for channel in [c for c in self._retired if not c.waiting]:
            self._retired.remove(channel)
            channel.close()


_COUNTED_APART: Final = (DnsStatus.SERVFAIL, DnsStatus.TRUNCATED)
