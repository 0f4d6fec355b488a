"""Which question goes to which resolver, and when?  The heart of the resolver client.

There is no task, cancel scope or socket per question.  Each socket has a task that hands over
what arrived; one more task keeps the time.  Either ends with ``go_on``, which sends whatever
there is room and pace for: first the retries that are due, then fresh questions.

A lookup gets as many tries as the configuration allows, each with a resolver that it has not
tried if one is in health.  Between two tries lies a random delay, so that questions that failed
together do not come back together.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import count, groupby
from operator import attrgetter
from random import Random
from typing import Final

import trio

from crawler.config import Dns, Endpoint
from crawler.net.failure import Exhausted
from crawler.net.lookup import Asker, Beginning, Lookup, Trouble
from crawler.net.upstream import Upstream
from crawler.politeness.query_rate import QueryRate
from crawler.protocol.dns_wire import Message, mixed_case
from crawler.vocabulary import DnsStatus

TURN: Final = 256
"""Questions that one resolver gets before the next, and one asker before the next."""

GRAIN: Final = 0.005
"""Seconds between two looks at what is overdue: many time out together."""

BACKOFF: Final = 1 / 8
"""The first retry waits up to this share of the timeout, each further one up to twice as long."""

EXTRA_TRIES: Final = 40
"""Further tries where this machine could not send: some two minutes with the usual timeout, twice
as long as a closed connection keeps its port."""


class ResolverPool:
    """Puts the questions of every asker to the resolvers, each at its own pace."""

    def __init__(
        self,
        dns: Dns,
        paced: Sequence[tuple[Endpoint, QueryRate]],
        *,
        cname_hops: int,
        rng: Random,
        entropy: Callable[[int], bytes],
        clock: Callable[[], datetime],
        random_case: bool,
        start: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self.upstreams = [
            Upstream(
                index,
                endpoint,
                rate,
                desk=self,
                start=start,
                entropy=entropy,
                exact_case=random_case,
                cname_hops=cname_hops,
            )
            for index, (endpoint, rate) in enumerate(paced)
        ]
        self._tcp = dns.transport == "tcp"
        self._timeout = float(dns.timeout)
        self._tries = dns.attempts
        self._in_flight = dns.in_flight
        self._rng = rng
        self._entropy = entropy
        self._clock = clock
        self._random_case = random_case
        self._askers: deque[Asker] = deque()
        self._open = 0
        """Lookups begun and not settled, wherever they are."""
        self._ready: deque[Lookup] = deque()
        """Tries that may be sent as soon as there is room and pace."""
        self._due: list[tuple[float, int, Lookup]] = []
        """Tries that have to wait, by the time until which; the number breaks ties."""
        self._order = count()
        self._turn = 0
        self._wake_at = float("inf")
        self._nap = trio.CancelScope()

    def add(self, asker: Asker) -> None:
        """Begin to ask what *asker* has."""
        self._askers.append(asker)
        self.go_on()

    def withdraw(self, asker: Asker) -> None:
        """Ask no more of *asker*'s questions, and drop the answers that are on their way."""
        asker.abandon()
        if asker in self._askers:
            self._askers.remove(asker)

    def limit(self, dns: Dns) -> None:
        """Keep from now on within the rate and the lookups in flight of *dns*."""
        self._in_flight = dns.in_flight
        for upstream in self.upstreams:
            upstream.rate.limit(dns.queries_per_second)
        self.go_on()

    @property
    def crowded(self) -> bool:
        """Whether more lookups are open than may be."""
        return self._open > self._in_flight

    # --- sending ---------------------------------------------------------------------------

    def go_on(self) -> None:
        """Send what there is room and pace for."""
        now = trio.current_time()
        if self._ready:
            self._resend(now)
        if self._askers and self._open < self._in_flight:
            self._begin(now)
        if self._open:
            self._wake_by(now + self._timeout)

    def _resend(self, now: float) -> None:
        while self._ready:
            lookup = self._ready[0]
            trouble = lookup.trouble
            assert trouble is not None
            tcp = self._tcp or trouble.over_tcp
            for upstream in self._preferred(trouble):
                channel, granted = upstream.grant(now, 1, tcp=tcp, apart=True)
                if granted:
                    break
                self._wake_for(upstream, now)
            else:
                return
            self._ready.popleft()
            upstream.again(lookup, trouble, channel, now)

    def _preferred(self, trouble: Trouble) -> list[Upstream]:
        """The resolvers that the next try may go to, the best first."""
        if trouble.follow_up is not None:
            return [self.upstreams[trouble.follow_up]]
        healthy = [upstream for upstream in self.upstreams if not upstream.resting]
        turn, number = self._turn, len(self.upstreams)
        return sorted(
            healthy or self.upstreams,
            key=lambda u: (trouble.asked >> u.index & 1, (u.index - turn) % number),
        )

    def _begin(self, now: float) -> None:
        """Begin lookups, a turn at a time, until there is no question, room or pace left."""
        number, without = len(self.upstreams), 0
        while self._open < self._in_flight and without < number and self._more():
            upstream = self.upstreams[self._turn]
            self._turn = (self._turn + 1) % number
            wanted = min(TURN, self._in_flight - self._open)
            channel, granted = upstream.grant(now, wanted, tcp=self._tcp)
            if not granted:
                self._wake_for(upstream, now)
                without += 1
                continue
            without = 0
            lookups = self._fresh(granted, now)
            upstream.rate.give_back(granted - len(lookups))
            upstream.begin(lookups, channel, now)

    def _more(self) -> bool:
        """Whether there is a question left; drops the askers that have none."""
        while self._askers and not self._askers[0].has_more():
            self._askers.popleft()
        return bool(self._askers)

    def _fresh(self, limit: int, now: float) -> list[Lookup]:
        """Up to *limit* lookups, begun, of the asker whose turn it is."""
        asker = self._askers[0]
        self._askers.rotate(-1)
        lookups = asker.take(limit)
        self._open += len(lookups)
        beginning = Beginning(asker, now, self._clock())
        for lookup in lookups:
            lookup.beginning = beginning
        if not all(map(_question, lookups)):
            self._settle_impossible(lookups, now)
        if self._random_case:
            for lookup in lookups:
                bits = int.from_bytes(self._entropy(len(lookup.question) // 8 + 1), "big")
                lookup.question = mixed_case(lookup.question, bits)
        return lookups

    def _settle_impossible(self, lookups: list[Lookup], now: float) -> None:
        """Take out of *lookups* those that no message can carry, and settle them unasked.

        A name that is too long cannot exist (RFC 1035 section 2.3.4), so it is as absent as one
        that the DNS denies.
        """
        impossible = [lookup for lookup in lookups if not lookup.question]
        lookups[:] = [lookup for lookup in lookups if lookup.question]
        for lookup in impossible:
            lookup.attempts = 0
            lookup.settle(_TOO_LONG, None, now)
        self.settled(impossible)

    # --- what comes of it (the desk of the upstreams) --------------------------------------

    def settled(self, lookups: list[Lookup]) -> None:
        """*lookups* have been settled: hand them to their askers."""
        self._open -= len(lookups)
        for asker, run in groupby(lookups, attrgetter("beginning.asker")):
            asker.give(list(run))

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
        """A try with *upstream* came to nothing: plan the next one, or give up.

        For want of what comes back when other connections end, a question waits longer than for
        an answer; where it does not come back there is no going on, and no row could tell why.
        """
        trouble = _trouble(lookup, upstream)
        trouble.note(failure, resolver)
        tries = self._tries + EXTRA_TRIES if exhausted else self._tries
        if trouble.tries < tries and not lookup.beginning.asker.gone:
            self._wait(lookup, now + self._delay(lookup, trouble, failure, now))
        elif exhausted:
            raise Exhausted(f"{failure.error}; raise ulimit -n, or see what else uses this machine")
        elif trouble.failure is not None:
            if trouble.failure.status is DnsStatus.VANTAGE_FAILURE:
                lookup.attempts = max(lookup.attempts, 1)
            lookup.settle(trouble.failure, trouble.failed_by, now)
            self.settled([lookup])

    def cut_short(self, lookup: Lookup, upstream: Upstream) -> None:
        """The answer is too long for UDP: the try goes on over TCP, with the same resolver."""
        partial = Message(DnsStatus.TRUNCATED, error="too long for UDP, and no answer over TCP")
        trouble = _trouble(lookup, upstream)
        trouble.note(partial, upstream.label)
        trouble.over_tcp = True
        trouble.follow_up = upstream.index
        self._ready.append(lookup)

    def _delay(self, lookup: Lookup, trouble: Trouble, failure: Message, now: float) -> float:
        """Seconds until the next try of *lookup*."""
        doubled = min(trouble.tries, self._tries) - 1
        delay = self._rng.uniform(0, BACKOFF * self._timeout * 2**doubled)
        if failure.status in _NOT_NOW and not self._untried(trouble):
            # A closed port, a network that is down and a resolver that has had enough of us say
            # so at once.  It takes a while to get over it, so the same resolver is left alone for
            # the time that silence would have taken.
            delay += max(0.0, lookup.sent_at + self._timeout - now)
        return delay

    def _untried(self, trouble: Trouble) -> bool:
        """Whether there is a resolver in health that has not been tried."""
        return any(not u.resting and not trouble.asked >> u.index & 1 for u in self.upstreams)

    # --- time ------------------------------------------------------------------------------

    async def keep_time(self) -> None:
        """Give up what is overdue, and send what has waited long enough.  Never returns."""
        while True:
            with trio.CancelScope(deadline=min(self._next_look(), self._wake_at)) as self._nap:
                await trio.sleep_forever()
            now, self._wake_at = trio.current_time(), float("inf")
            for upstream in self.upstreams:
                upstream.sweep(now, self._timeout)
            while self._due and self._due[0][0] <= now:
                self._ready.append(heapq.heappop(self._due)[2])
            self.go_on()

    def _next_look(self) -> float:
        """When something will be overdue or due next."""
        oldest = min(upstream.oldest() for upstream in self.upstreams)
        due = self._due[0][0] if self._due else float("inf")
        return max(trio.current_time() + GRAIN, min(oldest + self._timeout, due))

    def _wait(self, lookup: Lookup, until: float) -> None:
        heapq.heappush(self._due, (until, next(self._order), lookup))
        self._wake_by(until)

    def _wake_for(self, upstream: Upstream, now: float) -> None:
        """Come back when *upstream* may be asked again, if it is the pace that keeps us."""
        delay = upstream.rate.delay(now)
        if delay > 0:
            self._wake_by(now + max(delay, GRAIN))

    def _wake_by(self, when: float) -> None:
        if when < self._wake_at:
            self._wake_at = when
            self._nap.deadline = min(self._nap.deadline, when)


_TOO_LONG: Final = Message(DnsStatus.NXDOMAIN, error="not asked: longer than a DNS name can be")

_question: Final = attrgetter("question")
_NOT_NOW: Final = (DnsStatus.TIMEOUT, DnsStatus.VANTAGE_FAILURE, DnsStatus.REFUSED)


def _trouble(lookup: Lookup, upstream: Upstream) -> Trouble:
    """The trouble that *lookup* is in, which begins with its first try, at *upstream*."""
    if lookup.trouble is None:
        lookup.trouble = Trouble(tries=1, asked=1 << upstream.index)
    return lookup.trouble
