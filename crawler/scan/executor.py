"""Who runs the shards of a pass: the one protocol, and the process itself as the simplest answer.

Planning, waiting between rounds and judging are the same whoever it is (``rounds``).  ``Local``
runs shards in this process; a ``crew.Crew`` hands them to workers, in each of which a ``Local``
runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from crawler.scan.context import Context
from crawler.scan.passes import Pass
from crawler.scan.sink import open_sink
from crawler.snapshot.plan import questions
from crawler.snapshot.sharding import visit_order

Owns = Callable[[Pass, int], bool]
"""Whether a shard of a pass is ours to run."""


class Executor(Protocol):
    """Runs shards of the passes."""

    def owns(self, pass_: Pass, shard: int) -> bool:
        """Whether it sees to that shard; whoever else does is not waited for."""
        ...

    async def run(self, pass_: Pass, step: str, shards: Sequence[int]) -> None:
        """Run these shards of a step, a round of a pass, to their end."""
        ...


def unit_of(step: str, shard: int) -> str:
    """The unit that one shard of a step is: what is done once and marked when it is whole."""
    return f"{step}-{shard:05d}"


class Local:
    """Runs shards here, some of a pass side by side; all of them unless *owns* says which."""

    def __init__(self, context: Context, owns: Owns = lambda _pass, _shard: True) -> None:
        self._context = context
        self._owns = owns

    def owns(self, pass_: Pass, shard: int) -> bool:
        """As was said when it was made."""
        return self._owns(pass_, shard)

    async def run(self, pass_: Pass, step: str, shards: Sequence[int]) -> None:
        """Run shards in the seeded order."""
        slots = trio.Semaphore(pass_.shards_at_once)

        async def run(shard: int) -> None:
            try:
                await self._run_shard(pass_, step, shard)
            finally:
                slots.release()

        async with trio.open_nursery() as nursery:
            seed = self._context.planning.seed
            for shard in sorted(shards, key=lambda n: visit_order(seed, str(n))):
                await slots.acquire()
                nursery.start_soon(run, shard)

    async def _run_shard(self, pass_: Pass, step: str, shard: int) -> None:
        context, unit = self._context, unit_of(step, shard)
        targets = await trio.to_thread.run_sync(context.work.targets, step, shard, pass_.target)
        context.progress.expect(pass_.name, questions(targets))
        vantage = context.config.vantage.name
        async with open_sink(context.work, unit, vantage=vantage) as sink:
            await pass_.probe(context, targets, sink)
        await trio.to_thread.run_sync(context.work.finish, unit)
        await trio.to_thread.run_sync(context.health.keep)
