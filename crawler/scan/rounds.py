"""Running the passes: shards side by side, then again what was transient, after a delay.

Each (pass, round, shard) is a unit that is finished once; whatever a run before this one
finished is passed over, and what it had begun goes on where its last part ends.

The delay is counted on the monotonic clock, which does not outlive a process: of a round that an
earlier run finished, from when this run came to it.  A resumed scan may so wait a delay too long;
a clock that was set forward never makes it ask too soon.
"""

from __future__ import annotations

import trio

from crawler.scan.context import Context
from crawler.scan.passes import ORDER, Pass
from crawler.scan.sink import open_sink
from crawler.snapshot.plan import Connection, Relation, questions
from crawler.snapshot.sharding import visit_order


async def run_passes(context: Context) -> None:
    """Run every pass with all its rounds."""
    for group in ORDER:
        async with trio.open_nursery() as nursery:
            for pass_ in group:
                nursery.start_soon(_run_pass, context, pass_)


async def _run_pass(context: Context, pass_: Pass) -> None:
    not_before = trio.current_time()
    for round_ in range(context.config.retry.rounds + 1):
        step = f"{pass_.name}-r{round_}"
        shards = await _plan(context, pass_, step, round_)
        if not shards:
            break
        if left := [s for s in shards if not context.work.finished(_unit(step, s))]:
            await trio.sleep_until(not_before)
            await _run_shards(context, pass_, step, left)
        not_before = trio.current_time() + context.config.retry.delay
    context.progress.end(pass_.name)


def _unit(step: str, shard: int) -> str:
    return f"{step}-{shard:05d}"


async def _plan(context: Context, pass_: Pass, step: str, round_: int) -> list[int]:
    if not round_ and pass_.first is None:
        return list(context.work.domain_shards())

    def make(connection: Connection) -> Relation:
        if round_ or pass_.first is None:
            return pass_.again(connection)
        return pass_.first(connection, context.planning)

    return await trio.to_thread.run_sync(context.work.plan, step, pass_.target, make)


async def _run_shards(context: Context, pass_: Pass, step: str, shards: list[int]) -> None:
    slots = trio.Semaphore(pass_.shards_at_once)

    async def run(shard: int) -> None:
        try:
            await _run_shard(context, pass_, step, shard)
        finally:
            slots.release()

    async with trio.open_nursery() as nursery:
        for shard in sorted(shards, key=lambda n: visit_order(context.planning.seed, str(n))):
            await slots.acquire()
            nursery.start_soon(run, shard)


async def _run_shard(context: Context, pass_: Pass, step: str, shard: int) -> None:
    unit = _unit(step, shard)
    targets = await trio.to_thread.run_sync(context.work.targets, step, shard, pass_.target)
    context.progress.expect(pass_.name, questions(targets))
    vantage = context.config.vantage.name
    async with open_sink(context.work, unit, vantage=vantage) as sink:
        await pass_.probe(context, targets, sink)
    await trio.to_thread.run_sync(context.work.finish, unit)
    await trio.to_thread.run_sync(context.health.keep)
