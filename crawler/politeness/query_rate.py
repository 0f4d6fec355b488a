"""How many queries may be sent to one resolver now?

Two rules.  In no window of one second does a resolver get more than ``queries_per_second``,
whatever they are: first questions, retries, TCP.  And a resolver that drops or refuses queries
gets fewer: the rate falls at once to what it did answer, and comes back in small steps (additive
increase, multiplicative decrease, as RFC 5681 section 3.1 has it for congestion).

Pure: the clock is an argument, in seconds on one monotonic clock.  Who is asked next, and what
counts as dropped, is left to ``net``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

JITTER: Final = 0.02
"""Seconds by which a resolver may see our sends displaced; a second is stretched by so much, so
that a second of its clock never holds more than the rate."""

BURST: Final = 0.03
"""Seconds' worth of queries that may go out at once: timers and batches are no finer.  With the
allowance above, a window of one second holds at the most 1.01 times the rate."""

SAMPLE: Final = 100
"""Outcomes that it takes to judge a resolver: a few lost queries in a quiet minute mean nothing."""

TROUBLED: Final = 0.2
"""Share of a sample, dropped or refused, from which the resolver is taken to be overloaded.  Five
per cent of loss each way, which a bad link may have, stays far below."""

INTERVAL: Final = 1.0
"""Seconds after which the rate may rise by a step, and over which a sample is collected at least."""

STEP: Final = 0.02
"""Share of the configured rate that is given back per interval without trouble."""

MARGIN: Final = 0.9
"""Share of what was answered that is asked after a cut."""

FLOOR: Final = 0.01
"""Share of the configured rate that is always tried, or a resolver that is back would never be
noticed; at least one query a second."""

_NEVER: Final = float("-inf")


class QueryRate:
    """The pace of queries to one resolver, at *per_second* when all is well."""

    def __init__(self, per_second: float) -> None:
        if not per_second > 0:
            raise ValueError(
                f"a rate of {per_second:g} queries per second would never ask anything"
            )
        self.configured = per_second
        self.current = per_second
        """Queries per second that are allowed now."""
        self._tokens = self._burst
        self._refilled_at = self._stepped_at = self._sample_began_at = float("nan")
        self._cut_at = _NEVER
        self._answered = self._troubled = 0

    @property
    def _burst(self) -> float:
        return max(1.0, self.current * BURST)

    def limit(self, per_second: float) -> None:
        """Allow *per_second* from now on; what a troubled resolver was cut to is cut alike."""
        self.current *= per_second / self.configured
        self.configured = per_second
        self._tokens = min(self._tokens, self._burst)

    def take(self, now: float, wanted: int = 1) -> int:
        """Take up to *wanted* queries; returns how many may be sent at *now*."""
        self._refill(now)
        granted = min(wanted, int(self._tokens))
        self._tokens -= granted
        return granted

    def give_back(self, unused: int) -> None:
        """Return what was taken and not sent after all."""
        self._tokens += unused

    def delay(self, now: float) -> float:
        """Seconds until one more query may be sent."""
        self._refill(now)
        return max(0.0, (1.0 - self._tokens) * (1.0 + JITTER) / self.current)

    def _refill(self, now: float) -> None:
        if math.isnan(self._refilled_at):  # the clock may begin anywhere
            self._refilled_at = self._stepped_at = self._sample_began_at = now
        elif now > self._refilled_at:
            if now - self._stepped_at >= INTERVAL:
                self._recover(now)
            gained = (now - self._refilled_at) * self.current / (1.0 + JITTER)
            self._tokens = min(self._burst, self._tokens + gained)
            self._refilled_at = now

    def answered(self, sent_at: Sequence[float]) -> None:
        """The queries that left at these times were answered, whatever is said of the names."""
        if self._cut_at == _NEVER:
            self._answered += len(sent_at)
        else:
            self._answered += sum(at >= self._cut_at for at in sent_at)

    def troubled(self, sent_at: float, now: float) -> None:
        """A query that left at *sent_at* was dropped or refused, as is known at *now*.

        One that left before the last cut says nothing about the rate since.
        """
        if sent_at < self._cut_at:
            return
        self._troubled += 1
        outcomes = self._answered + self._troubled
        if outcomes >= SAMPLE and self._troubled > TROUBLED * outcomes:
            self._cut(now)

    def _cut(self, now: float) -> None:
        """Fall to a little below what the resolver answered while the sample was collected."""
        lasted = max(now - self._sample_began_at, 1e-3)
        floor = min(self.configured, max(1.0, FLOOR * self.configured))
        self.current = max(floor, min(self.current / 2, MARGIN * self._answered / lasted))
        self._tokens = min(self._tokens, self._burst)
        self._cut_at = self._stepped_at = now
        self._begin_sample(now)

    def _recover(self, now: float) -> None:
        """Give a step back for each interval that passed without trouble."""
        outcomes = self._answered + self._troubled
        if self._troubled <= TROUBLED * outcomes and self.current < self.configured:
            intervals = int((now - self._stepped_at) / INTERVAL)
            risen = self.current + intervals * STEP * self.configured
            self.current = min(self.configured, risen)
        self._stepped_at = now
        if outcomes >= SAMPLE:  # a slow scan collects one sample over several intervals
            self._begin_sample(now)

    def _begin_sample(self, now: float) -> None:
        self._sample_began_at = now
        self._answered = self._troubled = 0
