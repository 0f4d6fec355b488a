"""One lookup: what was asked, what has been tried for it, and what came of it.

A lookup is a question and the tries that are made to have it answered.  A try is one query to
one resolver, and a second one over TCP when the first was answered by "too long for UDP".  Here
is only the book-keeping; ``resolver_pool`` does the asking.

There is one ``Lookup`` for each question of a scan, so it holds no more than nearly all of them
need: what lookups that begin together share is their ``Beginning``, and what those need that were
not answered at once is their ``Trouble``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final, NamedTuple

import trio

from crawler.protocol.dns_wire import Message
from crawler.vocabulary import BLAME_OF_DNS, Blame, DnsStatus

DEFINITE: Final = frozenset(
    {
        DnsStatus.NOERROR,
        DnsStatus.NO_ANSWER,
        DnsStatus.NXDOMAIN,
        DnsStatus.CNAME_LOOP,
        DnsStatus.CNAME_TOO_LONG,
    }
)
"""Answers that another resolver would give as well; anything else is worth another try."""


class Answer(NamedTuple):
    """How a lookup ended, as one value."""

    qname: str
    rdtype: int
    status: DnsStatus
    records: tuple[Any, ...]
    """Sorted and distinct; see ``protocol.dns_message.Message.records`` for the form by type."""
    authenticated: bool | None
    """AD of the answer; None when no resolver gave one."""
    cname_chain: tuple[str, ...]
    ttl: int | None
    """Smallest TTL of the records and aliases used, seconds."""
    resolver: str | None
    """The resolver that gave this answer, address:port; None when none did."""
    attempts: int
    """Queries sent, TCP included; at least 1 for a failure of ours, which is a try as well."""
    started_at: datetime
    elapsed_ms: float
    blame: Blame | None
    error: str | None
    recursion_available: bool | None
    """RA of the answer; None when no resolver gave one."""


@dataclass(slots=True, eq=False)
class Beginning:
    """What lookups have in common that were begun in one go."""

    asker: Asker
    at: float
    """On the monotonic clock, seconds."""
    started_at: datetime


@dataclass(slots=True, eq=False)
class Trouble:
    """What has been tried for a lookup that was not answered at once."""

    tries: int
    """Tries begun; the follow-up over TCP belongs to the try that it follows."""
    asked: int
    """The resolvers that a try went to, one bit each."""
    over_tcp: bool = False
    """An answer was too long for UDP, so that every further query goes over TCP."""
    follow_up: int | None = None
    """The resolver, by its number, that is to be asked again over TCP within this try."""
    failure: Message | None = None
    """The best of the answers that did not settle it."""
    failed_by: str | None = None
    """The resolver that gave it."""

    def note(self, failure: Message, resolver: str | None) -> None:
        """Note a try that did not settle the lookup.

        What a resolver said outlives the silence of another: a SERVFAIL with its reason tells
        more than a timeout after it.  A failure of ours comes last and says so.
        """
        ours = failure.status is DnsStatus.VANTAGE_FAILURE
        if resolver is not None or self.failed_by is None or ours:
            self.failure, self.failed_by = failure, resolver


class Lookup:
    """A question on its way; after it has been settled, with its answer.

    *question* is the question section for *qname* and *rdtype* as ``protocol.dns_wire`` makes it,
    and empty for a name that no message can carry.  *token* is whatever the asker wants back.
    """

    __slots__ = (
        "attempts",
        "beginning",
        "ended_at",
        "message",
        "qname",
        "question",
        "rdtype",
        "resolver",
        "sent_at",
        "token",
        "trouble",
    )

    beginning: Beginning
    attempts: int
    """Queries sent; after a failure of ours at least 1, since that is a try as well."""
    sent_at: float
    """When the last of them was sent, on the monotonic clock."""
    message: Message
    """What settled it."""
    resolver: str | None
    """The resolver that gave it; None when none did."""
    ended_at: float
    """When it was settled, on the monotonic clock."""

    def __init__(self, qname: str, rdtype: int, question: bytes, token: Any = None) -> None:
        self.qname = qname
        self.rdtype = rdtype
        self.question = question
        self.token = token
        self.trouble: Trouble | None = None

    def settle(self, message: Message, resolver: str | None, now: float) -> None:
        """Note what settles it."""
        self.message = message
        self.resolver = resolver
        self.ended_at = now

    def answer(self) -> Answer:
        """How it ended, once it has."""
        status, records, aliases, ttl, authenticated, recursion, error = self.message
        came = self.resolver is not None
        return Answer(
            qname=self.qname,
            rdtype=self.rdtype,
            status=status,
            records=records,
            authenticated=authenticated if came else None,
            cname_chain=aliases,
            ttl=ttl,
            resolver=self.resolver,
            attempts=self.attempts,
            started_at=self.beginning.started_at,
            elapsed_ms=(self.ended_at - self.beginning.at) * 1000.0,
            blame=BLAME_OF_DNS[status],
            error=error,
            recursion_available=recursion if came else None,
        )


class Asker:
    """Where a run of lookups comes from and its answers go.

    Lookups that have been settled are handed to *settled*, many at a time and in any order.
    ``done`` is set once every one of them has been.
    """

    __slots__ = ("_ahead", "_lookups", "_settled", "done", "gone", "open")

    def __init__(
        self, lookups: Iterable[Lookup], settled: Callable[[list[Lookup]], object]
    ) -> None:
        self._lookups: Iterator[Lookup] | None = iter(lookups)
        self._ahead: Lookup | None = None
        self._settled = settled
        self.open = 0
        """Lookups begun and not settled yet."""
        self.gone = False
        """Whether nobody waits for the answers any more."""
        self.done = trio.Event()

    def has_more(self) -> bool:
        """Whether there is a lookup left; looks one ahead to find out."""
        if self._ahead is None and self._lookups is not None:
            self._ahead = next(self._lookups, None)
            if self._ahead is None:
                self._lookups = None
                self._finish()
        return self._ahead is not None

    def take(self, limit: int) -> list[Lookup]:
        """Up to *limit* lookups, after ``has_more`` said that there are some."""
        assert self._ahead is not None
        assert self._lookups is not None
        ahead, self._ahead = self._ahead, None
        taken = list(chain((ahead,), islice(self._lookups, limit - 1)))
        self.open += len(taken)
        return taken

    def give(self, lookups: list[Lookup]) -> None:
        """Hand over lookups that have been settled."""
        self.open -= len(lookups)
        self._settled(lookups)
        self._finish()

    def _finish(self) -> None:
        if not self.open and self._lookups is None:
            self.done.set()

    def abandon(self) -> None:
        """Nobody waits any more: ask nothing further, and drop the answers still to come."""
        self.gone = True
        self._lookups = self._ahead = None
        self._settled = _dropped


def _dropped(_lookups: list[Lookup]) -> None:
    """The answers to questions whose asker has gone."""
