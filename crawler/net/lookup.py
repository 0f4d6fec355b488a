"""One lookup: what was asked, what has been tried for it, and what came of it.

A lookup is a question and the tries that are made to have it answered.  A try is one query to
one resolver, and a second one over TCP when the first was answered by "too long for UDP".  Here
is only the book-keeping; ``resolver_pool`` does the asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final, NamedTuple

import trio

from crawler.protocol.dns_wire import HEADER_BYTES, Message
from crawler.vocabulary import BLAME_OF_DNS, Blame, DnsStatus

Question = tuple[str, int, Any]
"""A name, a record type, and whatever the asker wants back with the answer."""

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
    """How a lookup ended.  A tuple for the reason that ``Message`` is one."""

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


class Asker:
    """Where a batch of questions comes from and its answers go.

    Answers are handed to *answered* as they arrive, in any order.  ``done`` is set once every
    question has been answered.
    """

    __slots__ = ("_ahead", "_questions", "answered", "done", "gone", "open")

    def __init__(
        self, questions: Iterable[Question], answered: Callable[[Any, Answer], None]
    ) -> None:
        self._questions: Iterator[Question] | None = iter(questions)
        self._ahead: Question | None = None
        self.answered = answered
        self.open = 0
        """Lookups begun and not answered yet."""
        self.gone = False
        """Whether nobody waits for the answers any more."""
        self.done = trio.Event()

    def has_more(self) -> bool:
        """Whether there is a question left; looks one question ahead to find out."""
        if self._ahead is None and self._questions is not None:
            self._ahead = next(self._questions, None)
            if self._ahead is None:
                self._questions = None
                self._finish()
        return self._ahead is not None

    def take(self, limit: int) -> Iterator[Question]:
        """Up to *limit* questions, after ``has_more`` said that there are some."""
        assert self._ahead is not None
        assert self._questions is not None
        ahead, self._ahead = self._ahead, None
        return chain((ahead,), islice(self._questions, limit - 1))

    def give(self, token: Any, answer: Answer) -> None:
        """Hand over one answer."""
        self.open -= 1
        self.answered(token, answer)
        self._finish()

    def _finish(self) -> None:
        if not self.open and self._questions is None:
            self.done.set()

    def abandon(self) -> None:
        """Nobody waits any more: ask nothing further, and drop the answers still to come."""
        self.gone = True
        self._questions = self._ahead = None
        self.answered = _dropped


def _dropped(_token: Any, _answer: Answer) -> None:
    """The answer to a question whose asker has gone."""


class Lookup:
    """A question on its way.  Slotted and mutable: there are as many as queries in flight."""

    __slots__ = (
        "asked",
        "asker",
        "attempts",
        "began_at",
        "body",
        "failed_by",
        "failure",
        "follow_up",
        "over_tcp",
        "qname",
        "question",
        "rdtype",
        "sent_at",
        "started_at",
        "token",
        "tries",
    )

    def __init__(
        self,
        qname: str,
        rdtype: int,
        wire: bytes,
        token: Any,
        asker: Asker,
        now: float,
        started_at: datetime,
    ) -> None:
        self.question = wire
        """The question section, as sent and as expected back."""
        self.body = HEADER_BYTES + len(wire)
        self.qname = qname
        self.rdtype = rdtype
        self.token = token
        self.asker = asker
        self.began_at = self.sent_at = now
        self.started_at = started_at
        self.attempts = 0
        """Queries sent."""
        self.tries = 0
        """Tries begun; the follow-up over TCP belongs to the try that it follows."""
        self.asked = 0
        """The resolvers that a try went to, one bit each."""
        self.over_tcp = False
        """An answer was too long for UDP, so that every further query goes over TCP."""
        self.follow_up: int | None = None
        """The resolver, by its number, that is to be asked again over TCP within this try."""
        self.failure: Message | None = None
        """The best of the answers that did not settle it."""
        self.failed_by: str | None = None
        """The resolver that gave it."""

    def fail(self, message: Message, resolver: str | None) -> None:
        """Note a try that did not settle the lookup.

        What a resolver said outlives the silence of another: a SERVFAIL with its reason tells
        more than a timeout after it.  A failure of ours comes last and says so.
        """
        ours = message.status is DnsStatus.VANTAGE_FAILURE
        if resolver is not None or self.failed_by is None or ours:
            self.failure, self.failed_by = message, resolver

    def answer(self, message: Message, resolver: str | None, now: float) -> Answer:
        """The lookup's answer, given what settled it."""
        status, records, chain, ttl, authenticated, recursion, error = message
        came = resolver is not None
        attempts = self.attempts
        if not attempts and status is DnsStatus.VANTAGE_FAILURE:
            attempts = 1  # nothing was sent, but it was a try, and the next row needs its number
        fields = (
            self.qname,
            self.rdtype,
            status,
            records,
            authenticated if came else None,
            chain,
            ttl,
            resolver,
            attempts,
            self.started_at,
            (now - self.began_at) * 1000.0,
            BLAME_OF_DNS[status],
            error,
            recursion if came else None,
        )
        return tuple.__new__(Answer, fields)  # what Answer(*fields) does, at half the price
