"""Many destinations side by side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock

from crawler.scan.destinations import visit

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Waiting costs nothing here."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@dataclass(frozen=True)
class Target:
    address: str
    number: int = 0


async def test_a_slow_destination_holds_up_no_other() -> None:
    done: dict[Target, float] = {}
    begin = trio.current_time()

    async def probe(target: Target) -> None:
        await trio.sleep(100 if target.address == "slow" else 1)
        done[target] = trio.current_time() - begin

    slow = [Target("slow", n) for n in range(3)]
    quick = [Target(f"quick{n}") for n in range(50)]
    await visit([*slow, *quick], probe, lanes=1, at_once=60)
    assert max(done[t] for t in quick) == 1
    assert done[slow[-1]] == 300


async def test_one_address_has_at_most_its_lanes_and_all_have_at_most_their_slots() -> None:
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def probe(target: Target) -> None:
        now[target.address] += 1
        most[target.address] = max(most[target.address], now[target.address])
        most["all"] = max(most["all"], now.total())
        await trio.sleep(1)
        now[target.address] -= 1

    targets = [Target(f"a{n % 10}", n) for n in range(100)]
    await visit(targets, probe, lanes=2, at_once=7)
    assert max(most[f"a{n}"] for n in range(10)) == 2
    assert most["all"] == 7


async def test_the_longest_queue_begins_first() -> None:
    order: list[str] = []

    async def probe(target: Target) -> None:
        order.append(target.address)
        await trio.sleep(1)

    await visit([Target("short"), Target("long", 1), Target("long", 2)], probe, lanes=1, at_once=1)
    assert order == ["long", "long", "short"]


async def test_every_target_is_probed_once() -> None:
    seen: Counter[Target] = Counter()

    async def probe(target: Target) -> None:
        seen[target] += 1
        await trio.lowlevel.checkpoint()

    targets = [Target(f"a{n % 7}", n) for n in range(99)]
    await visit(targets, probe, lanes=2, at_once=3)
    assert seen == Counter(targets)


async def test_nothing_to_do_is_done_at_once() -> None:
    async def probe(target: Target) -> None:
        raise AssertionError(target)

    await visit([], probe, lanes=1, at_once=1)
