"""How are the resolvers doing?  A few words for the progress line, and the sums for the manifest.

A scan may be interrupted and resumed, so what one run counted is added to what earlier runs did;
it is kept whenever a unit is finished and when the network is closed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from crawler.net.resolver import ResolverStats
from crawler.snapshot.work import Work

STATE: Final = "resolver-health"

_NOT_COUNTED: Final = ("resolver", "rate", "resting")
"""What is of the moment; everything else adds up over runs."""


class Health:
    """The resolvers' counters over all runs of one scan; *stats* gives those of this run."""

    def __init__(
        self,
        stats: Callable[[], Sequence[ResolverStats]],
        work: Work,
        clock: Callable[[], float],
    ) -> None:
        self._stats = stats
        self._work = work
        self._clock = clock
        self._earlier: Mapping[str, Mapping[str, Any]] = {
            row["resolver"]: row for row in work.recall(STATE) or ()
        }
        self._seen = (clock(), 0)
        self._keeping = threading.Lock()

    def totals(self) -> list[dict[str, Any]]:
        """One mapping for each resolver, as the manifest lists it."""
        return added([[*self._earlier.values()], [s.as_dict() for s in self._stats()]])

    def keep(self) -> None:
        """Write the totals down, for the manifest and for the next run.

        Shards that end together call this from their threads; one after the other writes.
        """
        with self._keeping:
            self._work.remember(STATE, self.totals())

    def words(self) -> str:
        """How it goes at this moment: for people, in a few words."""
        stats = self._stats()
        answered, sent = sum(s.answered for s in stats), sum(s.sent for s in stats)
        (then, before), self._seen = self._seen, (self._clock(), answered)
        seconds = max(self._seen[0] - then, 1e-3)
        well = sum(not s.resting for s in stats)
        resolvers = "resolver" if len(stats) == 1 else "resolvers"
        return (
            f"{well} of {len(stats)} {resolvers} well, "
            f"{(answered - before) / seconds:,.0f} answers/s, {_unanswered(stats, sent)}"
        )


def added(counts: Iterable[Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """What several counted of the resolvers, resolver by resolver."""
    sums: dict[str, dict[str, Any]] = {}
    for row in chain.from_iterable(counts):
        sums[row["resolver"]] = _sum(sums.get(row["resolver"], {}), row)
    return list(sums.values())


def sentences(totals: Iterable[Mapping[str, Any]]) -> list[str]:
    """What became of the queries, resolver by resolver, for people."""
    return [
        f"resolver {row['resolver']}: {row['sent']:,} queries, {row['answered']:,} settled, "
        f"{row['timeouts'] + row['unreachable']:,} unanswered, {row['servfail']:,} SERVFAIL, "
        f"{row['refused']:,} refused"
        for row in totals
    ]


def _sum(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value if key in _NOT_COUNTED else value + earlier.get(key, 0)
        for key, value in now.items()
    }


def _unanswered(stats: Sequence[ResolverStats], sent: int) -> str:
    lost = sum(s.timeouts + s.unreachable for s in stats)
    return f"{100 * lost / sent:.1f} % unanswered" if sent else "nothing sent yet"
