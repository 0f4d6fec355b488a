"""One recursive resolver: its sockets, its pace, and how it has been doing.

Sockets are opened when they are needed and replaced while in use, so that the source port does
not stay the same; an old one is kept until its last question is settled.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from crawler.config import Endpoint
from crawler.net.channel import Channel
from crawler.net.datagrams import Datagrams, open_socket
from crawler.net.dns_tcp import TcpConnection
from crawler.net.failure import has_route, is_exhaustion
from crawler.net.lookup import Lookup, Trouble
from crawler.politeness.query_rate import QueryRate
from crawler.protocol.dns_wire import Message
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
    resting: bool = False
    """It dropped or refused so many queries in a row that retries go elsewhere if they can."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the manifest."""
        return asdict(self)


class Desk(Protocol):
    """Who hears what came of the questions put to a resolver: the pool."""

    def settled(self, lookups: list[Lookup]) -> None:
        """*lookups* have been settled; they hold what settled them."""

    def failed(
        self,
        lookup: Lookup,
        upstream: Upstream,
        failure: Message,
        resolver: str | None,
        now: float,
        *,
        exhausted: bool = False,
    ) -> None:
        """A try with *upstream* came to nothing; *resolver* is named when it said so itself.

        *exhausted*: this machine had nothing left to send it with.
        """

    def cut_short(self, lookup: Lookup, upstream: Upstream) -> None:
        """The answer is too long for UDP: the try goes on over TCP, with the same resolver."""

    def go_on(self) -> None:
        """A batch of news is over."""


class Upstream:
    """The resolver at *endpoint*, number *index* of the pool.

    *desk* hears what comes of its questions; *start* runs a task for as long as the pool is open;
    the other arguments are those of ``Channel``.  Also the ``Owner`` of its channels.
    """

    def __init__(
        self,
        index: int,
        endpoint: Endpoint,
        rate: QueryRate,
        *,
        desk: Desk,
        start: Callable[[Callable[[], Awaitable[None]]], None],
        **options: Any,
    ) -> None:
        host, port = endpoint
        self.index = index
        self.label = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.rate = rate
        self.stats = ResolverStats(resolver=self.label)
        self._silence = 0
        self._problem = OSError()
        self._endpoint = endpoint
        self._desk = desk
        self._start = start
        self._options = options
        self._datagrams: list[Datagrams] = []
        self._retired: list[Datagrams] = []
        self._connections: list[TcpConnection] = []

    @property
    def resting(self) -> bool:
        """It has dropped or refused so many tries in a row that retries should go elsewhere."""
        return self._silence >= RESTS_AFTER

    def receive_buffer(self) -> int | None:
        """Octets that the kernel grants a UDP socket's receive buffer; None if there is no socket."""
        try:
            sock, granted = open_socket(self._endpoint)
        except OSError:
            return None
        sock.close()
        return granted

    # --- asking ----------------------------------------------------------------------------

    def grant(
        self, now: float, wanted: int, *, tcp: bool, apart: bool = False
    ) -> tuple[Channel | None, int]:
        """A channel, and how many of *wanted* questions may be sent on it now; 0 for none.

        With *apart* over a TCP connection on which nothing is open, while there may be more of them: a
        resolver that closes a connection over one question takes the others on it along.

        Where no socket can be had, one question is granted and no channel: to find that out, too,
        is a try, and a scan must not rush through its list without a network.
        """
        # The pace comes first: without it there is no reason to open anything.
        granted = self.rate.take(now, wanted)
        if not granted:
            return None, 0
        try:
            channel = self._connection(1 if apart else ENOUGH_OPEN) if tcp else self._socket(now)
        except OSError as error:
            self._problem = error
            channel, room = None, 1
        else:
            room = 0 if channel is None else channel.room
        if room < granted:
            self.rate.give_back(granted - room)
            granted = room
        return channel, granted

    def begin(self, lookups: Sequence[Lookup], channel: Channel | None, now: float) -> None:
        """Send the first query for each of *lookups* on the *channel* that was granted."""
        for lookup in lookups:
            lookup.sent_at = now
            lookup.attempts = 1
        self._send(lookups, channel, now)

    def again(self, lookup: Lookup, trouble: Trouble, channel: Channel | None, now: float) -> None:
        """Send a further query for *lookup*, which is in *trouble*."""
        lookup.sent_at = now
        lookup.attempts += 1
        trouble.asked |= 1 << self.index
        if trouble.follow_up is None:
            trouble.tries += 1
        trouble.follow_up = None
        self._send((lookup,), channel, now)

    def _send(self, lookups: Sequence[Lookup], channel: Channel | None, now: float) -> None:
        self.stats.sent += len(lookups)
        if channel is not None:
            channel.send(lookups, now)
        else:
            for lookup in lookups:
                self.unsent(lookup, self._problem, now)

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
        channel = Datagrams(self._endpoint, self, now=now, **self._options)
        self._start(channel.run)
        return channel

    def _connection(self, enough: int) -> TcpConnection | None:
        """A TCP connection with room, and with fewer than *enough* open questions if that can be.

        None when all are full.  Raises ``OSError``.
        """
        self._connections = [c for c in self._connections if not c.closed]
        best = max(self._connections, key=lambda c: c.room, default=None)
        if best is not None and (
            len(best.waiting) < enough or len(self._connections) >= TCP_CONNECTIONS
        ):
            return best if best.room > 0 else None
        try:
            best = TcpConnection(self._endpoint, self, **self._options)
        except OSError:
            if best is not None and best.room > 0:
                return best
            raise
        self._connections.append(best)
        self._start(best.run)
        return best

    # --- what comes of it ------------------------------------------------------------------

    def settled(self, lookups: list[Lookup]) -> None:
        """Answers came that settle *lookups*."""
        self._silence = 0
        self.stats.answered += len(lookups)
        self.rate.answered([lookup.sent_at for lookup in lookups])
        self._desk.settled(lookups)

    def indefinite(self, lookup: Lookup, answer: Message, now: float) -> None:
        """An answer came that settles nothing."""
        if answer.status is DnsStatus.REFUSED:
            # The only RCODE by which a resolver speaks of us and not of the name.
            self.stats.refused += 1
            self._silence += 1
            self.rate.troubled(lookup.sent_at, now)
        else:
            self._silence = 0
            self.rate.answered([lookup.sent_at])
            self.stats.servfail += answer.status is DnsStatus.SERVFAIL
            self.stats.truncated += answer.status is DnsStatus.TRUNCATED
            self.stats.other_failures += answer.status not in _COUNTED_APART
        cut_short = answer.status is DnsStatus.TRUNCATED
        if cut_short and not (lookup.trouble and lookup.trouble.over_tcp):
            self._desk.cut_short(lookup, self)
        else:
            self._desk.failed(lookup, self, answer, self.label, now)

    def lost(self, lookup: Lookup, why: str, now: float) -> None:
        """*lookup* was sent, and its answer cannot come any more."""
        self.stats.unreachable += 1
        self._no_answer(lookup, f"{self.label}: {why}", now)

    def unsent(self, lookup: Lookup, error: OSError, now: float) -> None:
        """*lookup* could not be sent, for a reason on this side."""
        why = os.strerror(error.errno) if error.errno else str(error)
        lookup.attempts -= 1
        self.stats.sent -= 1
        self.stats.unsent += 1
        self._silence += 1
        failure = Message(DnsStatus.VANTAGE_FAILURE, error=f"no query left for {self.label}: {why}")
        exhausted = is_exhaustion(error, routed=has_route(self._endpoint[0]))
        self._desk.failed(lookup, self, failure, None, now, exhausted=exhausted)

    def _no_answer(self, lookup: Lookup, why: str, now: float) -> None:
        self._silence += 1
        self.rate.troubled(lookup.sent_at, now)
        self._desk.failed(lookup, self, Message(DnsStatus.TIMEOUT, error=why), None, now)

    def junk(self, messages: int) -> None:
        """Messages came that answer no open question."""
        self.stats.junk += messages

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
