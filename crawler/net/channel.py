"""The open questions of one socket, by message id: which of them does this message answer?

What a datagram socket and a TCP connection have in common.  Ids are random and unused among the
open questions of the socket (RFC 5452 section 4.3), and a message is believed only if the id, the
question and the flags are those of an open question; that it came from the resolver is the
kernel's to check, since every socket here is connected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from crawler.net.lookup import Lookup
from crawler.protocol.dns_wire import answers, query_after_id

IDS_AT_ONCE: Final = 2048
"""Ids drawn from the operating system in one call, two octets each."""

MOST_OPEN: Final = 16_384
"""Open questions per socket: a quarter of the ids, so that an unused one is found at once."""


class Owner(Protocol):
    """Who hears what happens on a channel; its methods only take note and never block."""

    def received(self, lookup: Lookup, message: bytes, now: float) -> None:
        """*message* answers *lookup*."""

    def junk(self) -> None:
        """A message came that answers no open question: late, garbled or forged."""

    def lost(self, lookup: Lookup, why: str, now: float) -> None:
        """*lookup* was sent, and its answer cannot come any more."""

    def unsent(self, lookup: Lookup, why: str, now: float) -> None:
        """*lookup* could not be sent, for a reason on this side."""

    def news_is_over(self) -> None:
        """A batch of news is over: there may be room for new questions."""


class Channel:
    """One socket's open questions; ``Datagrams`` and ``TcpConnection`` add the socket."""

    limit: int
    """Questions that may be open at once."""

    def __init__(self, owner: Owner, *, entropy: Callable[[int], bytes], exact_case: bool) -> None:
        self.owner = owner
        self.exact_case = exact_case
        self.waiting: dict[bytes, Lookup] = {}
        """In the order in which they were sent, so the first is the first to be overdue."""
        self.opened = 0
        """Questions ever opened here."""
        self._entropy = entropy
        self._ids = b""
        self._next_id = 0

    @property
    def room(self) -> int:
        """How many more questions may be opened now."""
        return self.limit - len(self.waiting)

    def open(self, lookup: Lookup) -> bytes:
        """Give *lookup* an id and a place in the table; returns the query."""
        while True:
            at = self._next_id
            key = self._ids[at : at + 2]
            self._next_id = at + 2
            if not key:
                self._ids, self._next_id = self._entropy(2 * IDS_AT_ONCE), 0
            elif key not in self.waiting:
                break
        self.waiting[key] = lookup
        self.opened += 1
        return key + query_after_id(lookup.question)

    def take(self, message: bytes) -> Lookup | None:
        """The open question that *message* answers, which is open no longer; None for junk.

        A message with the right id and anything else wrong leaves the question open: the true
        answer may be right behind it (the forger's race, RFC 5452 section 6).
        """
        key = message[:2]
        lookup = self.waiting.get(key)
        if lookup is None or not answers(message, lookup.question, self.exact_case):
            self.owner.junk()
            return None
        del self.waiting[key]
        return lookup

    def send(self, lookup: Lookup) -> None:
        """Ask *lookup* at the next ``flush``."""
        raise NotImplementedError

    def flush(self, now: float) -> None:
        """Hand what is unsent to the kernel."""
        raise NotImplementedError

    def oldest(self) -> float | None:
        """When the question that has been open longest was sent."""
        return next((lookup.sent_at for lookup in self.waiting.values()), None)

    def overdue(self, sent_before: float) -> Iterator[Lookup]:
        """The questions sent at or before *sent_before*, which are open no longer."""
        while self.waiting:
            key, lookup = next(iter(self.waiting.items()))
            if lookup.sent_at > sent_before:
                return
            del self.waiting[key]
            yield lookup

    def lose(self, why: str, now: float) -> None:
        """The peer is gone: no open question will be answered here."""
        waiting, self.waiting = self.waiting, {}
        for lookup in waiting.values():
            self.owner.lost(lookup, why, now)
