"""The open questions of one socket, by message id: which of them does this message answer?

What a datagram socket and a TCP connection have in common.  Ids are random and unused among the
open questions of the socket (RFC 5452 section 4.3), and a message is believed only if the id, the
question and the flags are those of an open question; that it came from the resolver is the
kernel's to check, since every socket here is connected.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

import trio

from crawler.net.lookup import DEFINITE, Lookup
from crawler.protocol.dns_wire import CNAME_HOPS, Message, decode, queries

IDS_AT_ONCE: Final = 2048
"""Ids drawn from the operating system in one call, two octets each."""

MOST_OPEN: Final = 16_384
"""Open questions per socket: a quarter of the ids, so that unused ones are found at once."""

MANY_OPEN: Final = 64
FEW_ANSWERS: Final = 32
GATHERING: Final = 0.002
"""With many questions open and few answers per wake-up, seconds to wait for more to come: a wake-up
costs more than an answer does, and no question is in such a hurry."""

_IDS: Final = struct.Struct("2s" * IDS_AT_ONCE)


class Owner(Protocol):
    """Who hears what happens on a channel; its methods only take note and never block."""

    label: str
    """The resolver at the other end."""

    def settled(self, lookups: list[Lookup]) -> None:
        """Answers came that settle *lookups*, and stand in them."""

    def indefinite(self, lookup: Lookup, answer: Message, now: float) -> None:
        """An answer came that settles nothing."""

    def junk(self, messages: int) -> None:
        """Messages came that answer no open question: late, garbled or forged."""

    def lost(self, lookup: Lookup, why: str, now: float) -> None:
        """*lookup* was sent, and its answer cannot come any more."""

    def unsent(self, lookup: Lookup, error: OSError, now: float) -> None:
        """*lookup* could not be sent, for a reason on this side."""

    def news_is_over(self) -> None:
        """A batch of news is over: there may be room for new questions."""


class Channel:
    """One socket's open questions; ``Datagrams`` and ``TcpConnection`` add the socket."""

    limit: int
    """Questions that may be open at once."""

    def __init__(
        self,
        owner: Owner,
        *,
        entropy: Callable[[int], bytes],
        exact_case: bool = False,
        cname_hops: int = CNAME_HOPS,
    ) -> None:
        self.owner = owner
        self.waiting: dict[bytes, Lookup] = {}
        """In the order in which they were sent, so the first is the first to be overdue."""
        self.opened = 0
        """Questions ever opened here."""
        self._exact_case = exact_case
        self._cname_hops = cname_hops
        self._ids = _drawn(entropy)

    @property
    def room(self) -> int:
        """How many more questions may be opened now."""
        return self.limit - len(self.waiting)

    def open(self, lookups: Sequence[Lookup]) -> list[bytes]:
        """Give *lookups* ids and a place in the table; returns the queries."""
        waiting = self.waiting
        ids = dict.fromkeys(islice(self._ids, len(lookups)))
        while len(ids) < len(lookups) or not waiting.keys().isdisjoint(ids):
            unused = [message_id for message_id in ids if message_id not in waiting]
            ids = dict.fromkeys(unused)
            ids.update(dict.fromkeys(islice(self._ids, len(lookups) - len(ids))))
        waiting.update(zip(ids, lookups, strict=True))
        self.opened += len(lookups)
        return queries(ids, [lookup.question for lookup in lookups])

    async def gather(self, heard: int) -> None:
        """Let answers gather for a moment, when *heard* were few and many are still to come."""
        if heard < FEW_ANSWERS and len(self.waiting) > MANY_OPEN:
            await trio.sleep(GATHERING)

    def hear(self, messages: Iterable[bytes], now: float) -> None:
        """Find out which open questions *messages* answer, and tell the owner.

        A message with the right id and anything else wrong leaves the question open: the true
        answer may be right behind it (the forger's race, RFC 5452 section 6).
        """
        waiting, label = self.waiting, self.owner.label
        exact_case, cname_hops = self._exact_case, self._cname_hops
        settled: list[Lookup] = []
        junk = 0
        for message in messages:
            message_id = message[:2]
            lookup = waiting.get(message_id)
            answer = None
            if lookup is not None:
                answer = decode(
                    message, lookup.question, lookup.qname, lookup.rdtype, exact_case, cname_hops
                )
            if lookup is None or answer is None:
                junk += 1
                continue
            del waiting[message_id]
            if answer[0] in DEFINITE:
                lookup.message = answer
                lookup.resolver = label
                lookup.ended_at = now
                settled.append(lookup)
            else:
                self.owner.indefinite(lookup, answer, now)
        if settled:
            self.owner.settled(settled)
        if junk:
            self.owner.junk(junk)

    def send(self, lookups: Sequence[Lookup], now: float) -> None:
        """Ask *lookups*, now or as soon as the kernel has room."""
        raise NotImplementedError

    def oldest(self) -> float | None:
        """When the question that has been open longest was sent."""
        return next((lookup.sent_at for lookup in self.waiting.values()), None)

    def overdue(self, sent_before: float) -> Iterator[Lookup]:
        """The questions sent at or before *sent_before*, which are open no longer."""
        while self.waiting:
            message_id, lookup = next(iter(self.waiting.items()))
            if lookup.sent_at > sent_before:
                return
            del self.waiting[message_id]
            yield lookup

    def lose(self, why: str, now: float) -> None:
        """The peer is gone: no open question will be answered here."""
        waiting, self.waiting = self.waiting, {}
        for lookup in waiting.values():
            self.owner.lost(lookup, why, now)


def _drawn(entropy: Callable[[int], bytes]) -> Iterator[bytes]:
    """Message ids without end, as *entropy* has them."""
    while True:
        yield from _IDS.unpack(entropy(_IDS.size))
