"""Which destinations bound a scan of everybody: a seeded simulation of its mail pass, by events.

Workers take shards from one queue, some at a time each, and a shard is over when its last
destination is.  A destination (an address) is greeted once for each MX host that has it, one start an
interval; the starts of the whole scan are limited too, and each worker has its part of them.
Destinations with many hosts are followed one by one; the others are so many and so small that of a
shard only their sum matters.  Between two events all rates are constant, so time advances from event
to event.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from math import log
from random import Random

HEAVY = 1_800
"""Hosts at one address from which it is followed by itself: an hour at an interval of two seconds."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What one unit of work holds."""

    light: float
    """Conversations with destinations that bound nothing."""
    heavy: tuple[float, ...] = ()
    """Conversations of each of the others."""

    @property
    def total(self) -> float:
        """All its conversations."""
        return self.light + sum(self.heavy)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The politeness of the whole scan, and who carries it out."""

    workers: int
    shards_at_once: int
    """Of each worker."""
    starts_per_second: float
    """Of all of them together: more workers do not raise it."""
    interval: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """When things were done, in seconds."""

    makespan: float
    progress: tuple[tuple[float, float], ...]
    """Time, and how many conversations were over by then."""

    def when(self, share: float) -> float:
        """When this share of the conversations was over."""
        wanted = share * self.progress[-1][1]
        return next(time for time, done in self.progress if done >= wanted * (1 - 1e-9))


@dataclass
class _Open:
    """A shard under way."""

    light: float
    heavy: list[float]


@dataclass
class _Worker:
    """What one worker has under way, and since when it is accounted for."""

    budget: float
    interval: float
    time: float = 0.0
    open: list[_Open] = field(default_factory=list)

    def rates(self) -> tuple[float, float]:
        """Starts a second of one heavy destination, and of the light ones of one shard."""
        heavy = sum(len(shard.heavy) for shard in self.open)
        light = sum(shard.light > 0 for shard in self.open)
        # Everybody who may start queues for the turn of the worker: nobody is preferred.
        each = min(1 / self.interval, self.budget / (heavy + light)) if heavy else 0.0
        return each, (self.budget - heavy * each) / light if light else 0.0

    def next_event(self) -> float:
        """When something of it is over; never, when it has nothing."""
        each, light = self.rates()
        waits = [h / each for shard in self.open for h in shard.heavy]
        waits += [shard.light / light for shard in self.open if shard.light > 0]
        return self.time + min(waits, default=float("inf"))

    def advance(self, now: float) -> float:
        """Bring it to *now*; how many conversations that were."""
        each, light = self.rates()
        seconds, done = now - self.time, 0.0
        for shard in self.open:
            before = shard.light + sum(shard.heavy)
            shard.light = _left(shard.light, light * seconds)
            shard.heavy = [left for h in shard.heavy if (left := _left(h, each * seconds))]
            done += before - shard.light - sum(shard.heavy)
        self.open = [shard for shard in self.open if shard.light or shard.heavy]
        self.time = now
        return done


def _left(amount: float, done: float) -> float:
    left = amount - done
    return left if left > 1e-6 * max(amount, 1.0) else 0.0  # sums of floats end beside zero


def simulate(shards: Sequence[Shard], limits: Limits) -> Course:
    """Carry the shards out, in their order."""
    waiting = iter([shard for shard in shards if shard.total])
    workers = [
        _Worker(budget=limits.starts_per_second / limits.workers, interval=limits.interval)
        for _ in range(limits.workers)
    ]
    events: list[tuple[float, int]] = []

    def take(number: int) -> None:
        worker = workers[number]
        while len(worker.open) < limits.shards_at_once and (shard := next(waiting, None)):
            worker.open.append(_Open(light=shard.light, heavy=list(shard.heavy)))
        if worker.open:
            heapq.heappush(events, (worker.next_event(), number))

    for _ in range(limits.shards_at_once):  # shared out one by one, as they are asked for
        for worker in workers:
            if shard := next(waiting, None):
                worker.open.append(_Open(light=shard.light, heavy=list(shard.heavy)))
    for number in range(limits.workers):
        take(number)
    now, done, progress = 0.0, 0.0, [(0.0, 0.0)]
    while events:
        now, number = heapq.heappop(events)
        done += workers[number].advance(now)
        progress.append((now, done))
        take(number)
    return Course(makespan=now, progress=tuple(progress))


# --- who is greeted how often ---------------------------------------------------------------


def zipf(total: float, places: int, exponent: float) -> Iterator[float]:
    """*total* divided over *places*, the k-th getting 1 / k ** *exponent* of the first's part."""
    first = total / _harmonic(places, exponent)
    return (float(first / k**exponent) for k in range(1, places + 1))


def _harmonic(n: int, exponent: float) -> float:
    """The sum of 1 / k ** *exponent*, the far part of it by the integral."""
    near = min(n, 1000)
    total = float(sum(1 / k**exponent for k in range(1, near + 1)))
    low, high = near + 0.5, n + 0.5
    if exponent == 1:
        return total + log(high / low)
    return total + float(high ** (1 - exponent) - low ** (1 - exponent)) / (1 - exponent)


def heavy_destinations(
    total: float, places: int, exponent: float, *, even: Sequence[float] = ()
) -> tuple[list[float], float]:
    """The destinations with at least ``HEAVY`` hosts, and how many conversations the others make.

    *even* are destinations that are known besides.
    """
    heavy = list(takewhile(lambda hosts: hosts >= HEAVY, zipf(total, places, exponent)))
    return [*heavy, *even], total - sum(heavy)


def capped(heavy: Sequence[float], cap: float | None) -> list[float]:
    """The same, when of one address no more than *cap* hosts are greeted in one scan."""
    return [min(hosts, cap) if cap else hosts for hosts in heavy]


def divided(heavy: Sequence[float], light: float, shards: int, *, seed: int) -> list[Shard]:
    """The destinations thrown into shards, as a hash of their prefixes does it."""
    rng = Random(seed)
    found: list[list[float]] = [[] for _ in range(shards)]
    for hosts in heavy:
        found[rng.randrange(shards)].append(hosts)
    return [Shard(light=light / shards, heavy=tuple(sorted(one, reverse=True))) for one in found]
