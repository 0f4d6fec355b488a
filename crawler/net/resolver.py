"""Asking recursive resolvers: ``query`` one question, ``ask`` some, ``settle`` millions.

Everything that the other side may do is a value: an ``Answer`` with a status, never an
exception.  Politeness is not an option here either: each resolver has its ``QueryRate``, and no
query leaves without it.

RFC 1034 section 5.3.1 (stub resolvers), RFC 5452 (resilience against forged answers), RFC 7766
(TCP).  The work is done in ``resolver_pool``; what the answers mean is left to ``probe``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import starmap
from random import Random, SystemRandom
from typing import Any

import trio

from crawler.config import Config, Dns, Endpoint
from crawler.net.datagrams import ANSWER_COST, BUFFER_BYTES
from crawler.net.lookup import Answer, Asker, Lookup
from crawler.net.resolver_pool import ResolverPool
from crawler.net.upstream import ResolverStats
from crawler.politeness.query_rate import QueryRate
from crawler.protocol.dns_wire import CNAME_HOPS, NameTooLong, question

__all__ = ["Answer", "Lookup", "Question", "Resolver", "ResolverStats", "open_resolver"]

Question = tuple[str, int, Any]
"""A name in normal form, a record type, and a token that comes back with the answer."""


class Resolver:
    """The resolvers of a scan; made by ``open_resolver``."""

    def __init__(self, pool: ResolverPool, dns: Dns) -> None:
        self._pool = pool
        self._in_flight = dns.in_flight
        self._tcp = dns.transport == "tcp"

    async def settle(
        self, lookups: Iterable[Lookup], settled: Callable[[list[Lookup]], object]
    ) -> None:
        """Have every one of *lookups* answered; returns when each has been.

        Lookups are taken from the iterable one by one as there is room for them, so it may be
        endless; *settled* gets them back as answers arrive, many at a time and in any order, and
        must not block.  An exception from either ends the resolver and everything around it: it
        is our own mistake.
        """
        asker = Asker(lookups, settled)
        try:
            self._pool.add(asker)
            await asker.done.wait()
        finally:
            self._pool.withdraw(asker)

    async def ask(
        self, questions: Iterable[Question], answered: Callable[[Any, Answer], object]
    ) -> None:
        """The same for fewer questions: each answer comes alone and as one value.

        *answered* is called with the token of the question, and the answer.
        """

        def settled(lookups: list[Lookup]) -> None:
            for lookup in lookups:
                answered(lookup.token, lookup.answer())

        await self.settle(starmap(_lookup, questions), settled)

    async def query(self, name: str, rdtype: int) -> Answer:
        """Ask one question: for *name*, in normal form, and *rdtype*."""
        answers: list[Answer] = []
        await self.ask([(name, rdtype, None)], lambda _, answer: answers.append(answer))
        return answers[0]

    def limit(self, dns: Dns) -> None:
        """Keep from now on within the rate and the lookups in flight of *dns*."""
        self._in_flight = dns.in_flight
        self._pool.limit(dns)

    @property
    def crowded(self) -> bool:
        """Whether more lookups are open than ``limit`` has allowed since they began."""
        return self._pool.crowded

    def stats(self) -> tuple[ResolverStats, ...]:
        """What has happened so far with each resolver, in the order of the configuration."""
        for upstream in self._pool.upstreams:
            upstream.stats.rate = upstream.rate.current
            upstream.stats.resting = upstream.resting
        return tuple(upstream.stats for upstream in self._pool.upstreams)

    def warnings(self) -> tuple[str, ...]:
        """What whoever runs the scan should know about this machine."""
        if self._tcp:
            return ()
        upstreams = self._pool.upstreams
        granted = min(filter(None, (u.receive_buffer() for u in upstreams)), default=None)
        if granted is None or granted // ANSWER_COST * len(upstreams) >= self._in_flight:
            return ()
        small = (
            f"the kernel grants a receive buffer of {granted // 1024} KiB, so no more than "
            f"{granted // ANSWER_COST} questions are kept open on one UDP socket; "
            f"sysctl net.core.rmem_max={BUFFER_BYTES} lifts that"
        )
        return (small,)


def _lookup(name: str, rdtype: int, token: Any) -> Lookup:
    try:
        return Lookup(name, rdtype, question(name, rdtype), token)
    except NameTooLong:
        return Lookup(name, rdtype, b"", token)


@asynccontextmanager
async def open_resolver(
    dns: Dns,
    *,
    cname_hops: int = CNAME_HOPS,
    rng: Random | None = None,
    endpoints: Sequence[Endpoint] | None = None,
    random_case: bool = False,
    entropy: Callable[[int], bytes] = os.urandom,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[Resolver]:
    """The resolvers of *dns*, open for questions within the ``async with`` block.

    *cname_hops*: aliases that are followed.  *rng*: the delays between tries.  *endpoints*: the
    resolvers, when they are not those of *dns*.  *random_case*: vary the case of each name
    (draft-vixie-dnsext-dns0x20), for resolvers that repeat it.  *entropy*: message ids, which
    must not be guessed.  *clock*: the time of day of ``started_at``; deadlines are on trio's.

    Raises ``ValueError`` when there is no resolver, or a rate of zero.
    """
    if endpoints is None:
        endpoints = Config(dns=dns).resolver_endpoints()
    paced = [(endpoint, QueryRate(dns.queries_per_second)) for endpoint in endpoints]
    if not paced:
        raise ValueError("no resolver to ask")
    async with trio.open_nursery() as nursery:
        pool = ResolverPool(
            dns,
            paced,
            cname_hops=cname_hops,
            rng=rng or SystemRandom(),
            entropy=entropy,
            clock=clock,
            random_case=random_case,
            start=nursery.start_soon,
        )
        nursery.start_soon(pool.keep_time)
        yield Resolver(pool, dns)
        nursery.cancel_scope.cancel()
