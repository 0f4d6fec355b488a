"""Running the passes: shards side by side, then again what was transient, after a delay.

Each (pass, round, shard) is a unit that is finished once; whatever a run before this one
finished is passed over, and what it had begun goes on where its last part ends.  Who runs the
shards is the executor's business.

The delay is counted on the monotonic clock, which does not outlive a process: of a round that an
earlier run finished, from when this run came to it.  A resumed scan may so wait a delay too long;
a clock that was set forward never makes it ask too soon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import trio

from crawler.scan.context import Frame
from crawler.scan.executor import Executor, unit_of
from crawler.scan.passes import ORDER, FirstRound, Pass
from crawler.snapshot import carry
from crawler.snapshot.plan import Connection, Relation


async def run_passes(frame: Frame, executor: Executor) -> list[str]:
    """Run every pass with all its rounds, as far as the shards go that *executor* owns.

    Returns the units that others have to finish before there is anything more to do; none when
    all passes are over.
    """
    awaited: list[str] = []

    async def run(pass_: Pass) -> None:
        awaited.extend(await _run_pass(frame, executor, pass_))

    for group in ORDER:
        async with trio.open_nursery() as nursery:
            for pass_ in group:
                nursery.start_soon(run, pass_)
        if awaited:
            break
    return sorted(awaited)


async def _run_pass(frame: Frame, executor: Executor, pass_: Pass) -> list[str]:
    """Run the rounds of a pass; the units of others that the next one needs."""
    not_before = trio.current_time()
    for round_ in range(frame.config.retry.rounds + 1):
        step = f"{pass_.name}-r{round_}"
        shards = await _plan(frame, pass_, step, round_)
        if not shards:
            break
        left = [s for s in shards if not frame.work.finished(unit_of(step, s))]
        if ours := [s for s in left if executor.owns(pass_, s)]:
            await trio.sleep_until(not_before)
            await executor.run(pass_, step, ours)
        if len(ours) < len(left):
            await trio.to_thread.run_sync(frame.work.refresh)
        units = (unit_of(step, s) for s in left)
        if awaited := [unit for unit in units if not frame.work.finished(unit)]:
            return awaited
        not_before = trio.current_time() + frame.config.retry.delay
    frame.progress.end(pass_.name)
    return []


async def _plan(frame: Frame, pass_: Pass, step: str, round_: int) -> list[int]:
    """Plan a round, once; the shards that have targets."""
    if round_:
        make = pass_.again
    elif pass_.first is None:
        return list(frame.work.domain_shards())
    else:
        make = await _first_round(frame, pass_.first, pass_.carried)
    return await trio.to_thread.run_sync(frame.work.plan, step, pass_.target, make)


async def _first_round(
    frame: Frame, first: FirstRound, carried: carry.Conversation | None
) -> Callable[[Connection], Relation]:
    """What the first round of a pass asks, after what need not be asked was carried over."""

    def everything(connection: Connection) -> Relation:
        return first(connection, frame.planning)

    since = frame.since
    if carried is None or since is None:
        return everything
    await _carry_over(frame, carried, everything, since)
    return lambda connection: carry.left(connection, carried, everything(connection), since)


async def _carry_over(
    frame: Frame,
    carried: carry.Conversation,
    everything: Callable[[Connection], Relation],
    since: carry.Since,
) -> None:
    """Write down what is carried over, before it is planned what is asked: once, as the plan is."""
    written = 0

    def make(connection: Connection) -> Iterator[Mapping[type[Any], Sequence[Any]]]:
        nonlocal written
        for rows in carry.rows(connection, carried, everything(connection), since):
            written += len(rows[carried.row])
            yield rows

    await trio.to_thread.run_sync(frame.work.once, carried.unit, make)
    if written:
        frame.progress.say(
            f"{carried.name}: {written:,} conversations carried over from {since.earlier.scan_id}"
        )
