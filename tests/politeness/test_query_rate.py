"""The pace of queries to one resolver, on a simulated clock."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.politeness.query_rate import FLOOR, STEP, QueryRate

LATENCY = 0.02
TIMEOUT = 3.0


@dataclass(kw_only=True)
class Simulation:
    """A client that always has questions, and a resolver that may drop or refuse some."""

    rate: QueryRate
    accepts: Callable[[float], bool] = lambda _now: True
    refuses: bool = False
    """Whether a query that is not accepted is refused; else it is dropped."""
    now: float = 1000.0
    sent: list[float] = field(default_factory=list)
    history: list[tuple[float, float]] = field(default_factory=list)
    """(time, rate allowed) at every send."""
    _news: list[tuple[float, float, bool]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Ask as fast as the rate allows."""
        end = self.now + seconds
        while self.now < end:
            wake = self.now + self.rate.delay(self.now)
            while self._news and self._news[0][0] <= wake:
                self.now, sent_at, good = heapq.heappop(self._news)
                if good:
                    self.rate.answered([sent_at])
                else:
                    self.rate.troubled(sent_at, self.now)
            self.now = max(self.now, wake) + 1e-6
            for _ in range(self.rate.take(self.now, 1000)):
                self._send()
            self.history.append((self.now, self.rate.current))

    def _send(self) -> None:
        self.sent.append(self.now)
        good = self.accepts(self.now)
        delay = LATENCY if good or self.refuses else TIMEOUT
        heapq.heappush(self._news, (self.now + delay, self.now, good))

    def busiest(self, window: float = 1.0) -> int:
        """The most queries within any *window* of seconds."""
        start = most = 0
        for end, at in enumerate(self.sent):
            while at - self.sent[start] >= window:
                start += 1
            most = max(most, end - start + 1)
        return most


def limited_to(per_second: float) -> Callable[[float], bool]:
    """A resolver that accepts *per_second* and no more."""
    tokens, last = per_second / 10, 1000.0

    def accepts(now: float) -> bool:
        nonlocal tokens, last
        tokens, last = min(per_second / 10, tokens + (now - last) * per_second), now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return accepts


# --- the rate ------------------------------------------------------------------------------


@pytest.mark.parametrize("per_second", [1, 3, 10, 33, 100, 1000])
def test_no_window_of_a_second_holds_more_than_the_rate_and_five_per_cent(
    per_second: float,
) -> None:
    simulation = Simulation(rate=QueryRate(per_second))
    simulation.run(5)
    assert simulation.busiest() <= per_second * 1.05
    assert simulation.busiest(1.019) <= per_second * 1.05  # as a clock with some jitter sees it


@pytest.mark.parametrize("per_second", [0.5, 1, 10, 1000])
def test_the_rate_is_used(per_second: float) -> None:
    simulation = Simulation(rate=QueryRate(per_second))
    simulation.run(20)
    assert len(simulation.sent) >= 0.95 * 20 * per_second


def test_a_rate_below_one_a_second_keeps_its_distance() -> None:
    simulation = Simulation(rate=QueryRate(0.25))
    simulation.run(60)
    assert min(b - a for a, b in pairwise(simulation.sent)) >= 4


@given(
    per_second=st.floats(min_value=0.1, max_value=5000),
    pauses=st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=60),
)
def test_pauses_do_not_save_up_a_burst(per_second: float, pauses: list[float]) -> None:
    rate, now, sent = QueryRate(per_second), 5.0, []
    for pause in pauses:
        now += pause
        sent += [now] * rate.take(now, 10_000)
    for at in set(sent):
        in_window = bisect_left(sent, at + 1) - bisect_left(sent, at)
        assert in_window <= ceil(per_second) * 1.05  # 1.5 a second is two in some of them


def test_what_was_not_used_can_be_given_back() -> None:
    rate = QueryRate(100)
    assert rate.take(0, 3) == 3
    rate.give_back(2)
    assert rate.take(0, 5) == 2


def test_delay_is_the_time_until_one_may_be_sent() -> None:
    rate = QueryRate(10)
    assert rate.delay(0) == 0
    assert rate.take(0) == 1
    ready = rate.delay(0)
    assert rate.take(ready - 1e-6) == 0
    assert rate.take(ready + 1e-6) == 1


@pytest.mark.parametrize("per_second", [0, -1, float("nan")])
def test_a_rate_that_would_never_ask_is_our_mistake(per_second: float) -> None:
    with pytest.raises(ValueError, match="never ask"):
        QueryRate(per_second)


# --- slowing down --------------------------------------------------------------------------


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("limit", [50, 100, 400])
def test_it_falls_below_what_the_resolver_takes_within_five_seconds(
    limit: float, refuses: bool
) -> None:
    """D14 of the hostile cases."""
    rate = QueryRate(1000)
    simulation = Simulation(rate=rate, accepts=limited_to(limit), refuses=refuses)
    simulation.run(5)
    assert min(current for _, current in simulation.history) < limit
    simulation.run(25)
    late = [current for at, current in simulation.history if at > 1010]
    assert max(late) < limit + 6 * STEP * 1000 + 0.35 * limit  # a few steps too far, then back


def test_it_recovers_by_equal_steps() -> None:
    rate = QueryRate(1000)
    simulation = Simulation(rate=rate, accepts=limited_to(100), refuses=True)
    simulation.run(2)
    simulation.accepts = lambda _now: True
    low = rate.current
    simulation.run(10)
    assert rate.current == pytest.approx(low + 10 * STEP * 1000, abs=2 * STEP * 1000)
    simulation.run(60)
    assert rate.current == 1000


def test_a_dead_resolver_is_still_tried_now_and_then() -> None:
    simulation = Simulation(rate=QueryRate(1000), accepts=lambda _now: False)
    simulation.run(30)
    assert simulation.rate.current <= FLOOR * 1000 * 5
    assert any(at > simulation.now - 2 for at in simulation.sent)


def test_the_floor_of_a_low_rate_is_one_query_a_second() -> None:
    simulation = Simulation(rate=QueryRate(20), accepts=lambda _now: False)
    simulation.run(120)
    assert 1 <= min(current for _, current in simulation.history) < 2


@pytest.mark.parametrize("loss", [0.02, 0.0975])
def test_a_lossy_line_is_not_an_overloaded_resolver(loss: float) -> None:
    """Five per cent of loss each way loses 9.75 % of the answers."""
    random = Random(7)
    simulation = Simulation(rate=QueryRate(500), accepts=lambda _now: random.random() >= loss)
    simulation.run(30)
    assert min(current for _, current in simulation.history) == 500


def test_what_was_sent_before_a_cut_does_not_cut_again() -> None:
    rate = QueryRate(1000)
    rate.take(0, 1)
    for _ in range(300):
        rate.troubled(0.0, 3.0)
    fallen = rate.current
    for _ in range(300):
        rate.troubled(2.9, 3.1)
    assert rate.current == fallen < 1000


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_another_limit_holds_at_once(factor: float) -> None:
    simulation = Simulation(rate=QueryRate(1000.0))
    simulation.run(2)
    before = len(simulation.sent)
    simulation.rate.limit(1000.0 * factor)
    simulation.run(2)
    assert len(simulation.sent) - before == pytest.approx(2000 * factor, rel=0.03)


def test_a_resolver_in_trouble_keeps_its_share_of_another_limit() -> None:
    simulation = Simulation(rate=QueryRate(1000.0), accepts=lambda _now: False)
    simulation.run(5)
    cut = simulation.rate.current
    simulation.rate.limit(500.0)
    assert simulation.rate.current == pytest.approx(cut / 2)
