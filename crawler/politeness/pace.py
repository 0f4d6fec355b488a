"""When may the next connection to an address start?  Arithmetic over a clock, no waiting.

Three rules, all about connection *starts*:

- two starts to one address lie at least its interval apart, whatever the service;
- an address that asks for less gets less: each back-off doubles its interval, up to a limit, and
  each success gives a little back.  Errors never shorten it (the rule of Scrapy's AutoThrottle);
- the scan as a whole starts no more than so many a second.

The caller brings the time (seconds on one monotonic clock) and does the waiting: ``gate``.

An address is forgotten once its last start lies ``MEMORY`` intervals back and nothing is open to
it, so memory is bounded by the rate of starts and not by the size of the scan.  An address that
is not remembered may be contacted at once, save in a scan that was resumed: the process before
this one may have contacted anybody a moment before it died, so then a full interval has to pass
since ``epoch`` first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LONGEST_INTERVAL: Final = 60.0
"""Seconds.  Beyond that a destination is better asked in the next round than waited for."""

GIVEN_BACK: Final = 0.9
"""What a success multiplies the interval by: seven in a row undo one back-off."""

MEMORY: Final = 8
"""Intervals for which a back-off is remembered, unless the address is contacted again."""

_SWEEP_FLOOR: Final = 1024  # below this many addresses forgetting them is not worth a sweep


@dataclass(slots=True)
class _Destination:
    """What is remembered of one address."""

    interval: float
    ready_at: float
    last_start: float = float("-inf")
    open: int = 0

    def is_stale(self, now: float) -> bool:
        done_with = max(self.ready_at, self.last_start + MEMORY * self.interval)
        return self.open == 0 and done_with <= now


class Pace:
    """The pace of one scan, or of one shard of it.

    *interval*: seconds between connection starts to one address.  *per_second*: starts of the
    whole scan.  *epoch*: when a resumed scan took over; None for a scan that is new.
    """

    def __init__(
        self,
        *,
        interval: float,
        per_second: float,
        epoch: float | None = None,
        longest: float = LONGEST_INTERVAL,
    ) -> None:
        self._interval = interval
        self._longest = max(longest, interval)
        self._first_ready_at = float("-inf") if epoch is None else epoch + interval
        self.limit(per_second)
        self._next_turn = float("-inf")
        self._known: dict[str, _Destination] = {}
        self._sweep_at = _SWEEP_FLOOR

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._known)

    def limit(self, per_second: float) -> None:
        """Start no more than so many connections a second from now on."""
        self._spacing = 1 / per_second

    def interval(self, address: str) -> float:
        """Seconds between connection starts to *address*, as it stands."""
        known = self._known.get(address)
        return self._interval if known is None else known.interval

    def ready_at(self, address: str) -> float:
        """When the next connection to *address* may start; a time gone by means now."""
        known = self._known.get(address)
        return self._first_ready_at if known is None else known.ready_at

    def take_turn(self, now: float) -> float:
        """Take the scan's next turn to start a connection; returns when that is, *now* or later."""
        turn = max(now, self._next_turn)
        self._next_turn = turn + self._spacing
        return turn

    def opened(self, address: str, now: float) -> None:
        """A connection to *address* starts."""
        self._remember(address, now).open += 1
        self.connected(address, now)

    def connected(self, address: str, now: float) -> None:
        """The connection that just started stands: only now has the peer been seen to be met, so
        the interval counts from here.
        """
        known = self._remember(address, now)
        known.last_start = max(known.last_start, now)
        known.ready_at = max(known.ready_at, now + known.interval)

    def closed(self, address: str, now: float) -> None:
        """A connection to *address* is over."""
        self._remember(address, now).open -= 1

    def back_off(self, address: str, now: float, *, retry_after: float | None = None) -> None:
        """The peer asked for less, or did not answer.

        *retry_after* is what it asked for, in seconds; it is honoured up to the longest interval.
        """
        known = self._remember(address, now)
        known.interval = min(2 * known.interval, self._longest)
        wait = min(max(known.interval, retry_after or 0.0), self._longest)
        known.ready_at = max(known.ready_at, now + wait)

    def ease(self, address: str) -> None:
        """The peer answered willingly: give a little of its lengthened interval back."""
        known = self._known.get(address)
        if known is not None:
            known.interval = max(self._interval, known.interval * GIVEN_BACK)

    def _remember(self, address: str, now: float) -> _Destination:
        known = self._known.get(address)
        if known is None:
            self._sweep(now)
            known = _Destination(interval=self._interval, ready_at=self._first_ready_at)
            self._known[address] = known
        return known

    def _sweep(self, now: float) -> None:
        """Forget what is stale, whenever the memory has doubled: constant cost an address."""
        if len(self._known) >= self._sweep_at:
            self._known = {a: d for a, d in self._known.items() if not d.is_stale(now)}
            self._sweep_at = max(_SWEEP_FLOOR, 2 * len(self._known))
