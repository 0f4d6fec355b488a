"""The arithmetic of pacing holds for every order of events, and its memory stays small."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.politeness.pace import GIVEN_BACK, MEMORY, Pace

INTERVAL = 2.0


def pace(**changes: float) -> Pace:
    return Pace(**{"interval": INTERVAL, "per_second": 100.0, **changes})


def meet(subject: Pace, address: str, now: float) -> float:
    """Contact *address* as soon as it may be, *now* or later; returns when."""
    start = max(now, subject.ready_at(address))
    subject.opened(address, start)
    subject.closed(address, start)
    return start


def test_an_unknown_address_may_be_contacted_at_once() -> None:
    assert pace().ready_at("192.0.2.1") <= 0


def test_the_next_start_waits_for_the_interval_of_its_own_address_only() -> None:
    subject = pace()
    meet(subject, "192.0.2.1", 10)
    assert subject.ready_at("192.0.2.1") == 10 + INTERVAL
    assert subject.ready_at("192.0.2.2") <= 10


def test_the_interval_counts_from_when_the_connection_stood() -> None:
    """The server's clock starts no earlier than its accept, so its log shows the full gap."""
    subject = pace()
    subject.opened("a", 10)
    subject.connected("a", 10.4)
    assert subject.ready_at("a") == 10.4 + INTERVAL


def test_l5_a_resumed_scan_waits_one_interval_for_everybody() -> None:
    """Whoever the process before this one met a moment before it died is not met sooner."""
    subject = pace(epoch=100.0)
    assert subject.ready_at("never seen") == 100 + INTERVAL
    meet(subject, "a", 100)
    assert subject.ready_at("a") == 100 + 2 * INTERVAL


def test_l9_each_back_off_doubles_the_interval_up_to_a_limit() -> None:
    subject = pace(longest=10.0)
    seen = []
    for _ in range(5):
        subject.back_off("a", 0)
        seen.append(subject.interval("a"))
    assert seen == [4, 8, 10, 10, 10]


def test_l9_a_success_gives_back_slowly_and_never_below_the_interval() -> None:
    subject = pace()
    subject.back_off("a", 0)
    subject.ease("a")
    assert subject.interval("a") == 4 * GIVEN_BACK
    for _ in range(100):
        subject.ease("a")
    assert subject.interval("a") == INTERVAL


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(None, 4), (0, 4), (-5, 4), (1, 4), (30, 30), (99999999, 60)],
)
def test_h12_retry_after_is_honoured_up_to_a_cap(asked: float | None, waits: float) -> None:
    """And it can only make us wait longer."""
    subject = pace()
    subject.back_off("a", 100, retry_after=asked)
    assert subject.ready_at("a") == 100 + waits


def test_an_interval_beyond_the_limit_is_kept_as_it_is() -> None:
    subject = pace(interval=120.0, longest=60.0)
    subject.back_off("a", 0)
    assert subject.interval("a") == 120


@given(st.lists(st.floats(0, 1), max_size=200), st.sampled_from([1.0, 10.0, 200.0]))
def test_the_scan_s_turns_are_never_closer_than_its_rate(
    waits: list[float], per_second: float
) -> None:
    subject = pace(per_second=per_second)
    now, turns = 0.0, []
    for wait in waits:
        now += wait
        turns.append(subject.take_turn(now))
        assert turns[-1] >= now
    assert all(b - a >= 1 / per_second - 1e-9 for a, b in pairwise(turns))


Step = tuple[str, str, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["meet", "back off", "ease", "wait"]),
        st.sampled_from("abc"),
        st.floats(0, 5),
    ),
    max_size=60,
)


@given(STEPS)
def test_l2_l9_no_order_of_events_brings_two_starts_closer(steps: list[Step]) -> None:
    """Starts to one address lie an interval apart; after a back-off, the longer one."""
    subject = pace()
    now = 0.0
    starts: dict[str, float] = {}
    needed: dict[str, float] = {}
    for action, address, wait in steps:
        now += wait
        if action == "meet":
            interval = subject.interval(address)
            start = meet(subject, address, now)
            if address in starts:
                assert start - starts[address] >= needed[address] - 1e-9
            starts[address], needed[address] = start, interval
            now = start
        elif action == "back off":
            before = subject.interval(address)
            subject.back_off(address, now)
            assert subject.interval(address) >= before
            assert subject.ready_at(address) >= now + before
        elif action == "ease":
            ready_at = subject.ready_at(address)
            subject.ease(address)
            assert subject.ready_at(address) == ready_at, "what was promised is kept"
        assert subject.interval(address) >= INTERVAL


def test_memory_is_bounded_by_the_rate_and_not_by_the_scan() -> None:
    """100,000 addresses at ten a second: only the last quarter of a minute is remembered."""
    subject = pace()
    for index in range(100_000):
        meet(subject, f"address {index}", index / 10)
    assert len(subject) <= 2048


def test_an_open_conversation_and_a_back_off_are_not_forgotten() -> None:
    subject = pace()
    subject.opened("open", 0)
    subject.opened("slow", 0)
    subject.back_off("slow", 0)
    subject.closed("slow", 0)
    remembered_until = MEMORY * 2 * INTERVAL
    for index in range(3000):
        meet(subject, f"address {index}", remembered_until * index / 3001)
    assert subject.interval("slow") == 2 * INTERVAL
    for index in range(3000):
        meet(subject, f"later {index}", 1000 + index)
    assert subject.interval("slow") == INTERVAL
    assert subject.ready_at("open") == INTERVAL, "it is open still"
