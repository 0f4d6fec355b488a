"""Many destinations side by side, each in its own queue, so that none holds up another.

The gate decides *when* an address may be contacted; this module sees to it that a target that
has to wait never stands in front of one that need not.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

import trio


class HasAddress(Protocol):
    """A target that is contacted at an address."""

    @property
    def address(self) -> str:
        """Address to dial."""
        ...


T = TypeVar("T", bound=HasAddress)


async def visit(
    targets: Iterable[T],
    probe: Callable[[T], Awaitable[None]],
    *,
    lanes: int,
    at_once: int,
) -> None:
    """Probe every target; one address by at most *lanes* at a time, *at_once* lanes in all.

    The longest queues begin first: the destination with the most targets bounds how long a
    shard takes, whatever else is done.  Queues of equal length keep the order of *targets*.
    """
    queues: dict[str, deque[T]] = defaultdict(deque)
    for target in targets:
        queues[target.address].append(target)
    slots = trio.Semaphore(at_once)

    async def drain(queue: deque[T]) -> None:
        try:
            while queue:
                await probe(queue.popleft())
        finally:
            slots.release()

    async with trio.open_nursery() as nursery:
        for queue in sorted(queues.values(), key=len, reverse=True):
            for _ in range(min(lanes, len(queue))):
                await slots.acquire()
                nursery.start_soon(drain, queue)
