"""One TCP conversation under one deadline: it ends as planned, or as a ``Failure``.

A conversation is a series of steps.  Each may have a limit of its own, and none outlives the
total: a peer that sends an octet a second makes progress for ever, so a timeout that restarts
with every octet is no limit at all.  Both are one cancel scope whose deadline moves.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from crawler.net.failure import (
    Exhausted,
    Failure,
    classify,
    has_route,
    is_exhaustion,
    text_of,
    timed_out,
)
from crawler.vocabulary import Stage


class Conversation:
    """Where one conversation is, and how long it may still take.  *total* is in seconds."""

    __slots__ = ("_end", "_scope", "address", "stage", "started")

    def __init__(self, address: str, *, total: float) -> None:
        self.address: Final = address
        self.stage = Stage.CONNECT
        self.started: Final = trio.current_time()
        self._end = self.started + total
        self._scope = trio.CancelScope(deadline=self._end)

    def enter(self, stage: Stage, limit: float = math.inf) -> None:
        """The next step begins; it may take *limit* seconds, within the total."""
        self.stage = stage
        deadline = self._end
        if limit < math.inf:
            deadline = min(deadline, trio.current_time() + limit)
        if deadline != self._scope.deadline:
            self._scope.deadline = deadline

    async def run(self, talk: Callable[[], Awaitable[None]]) -> Failure | None:
        """Have the conversation; returns what went wrong, or None when it ran to its end.

        Raises ``Exhausted`` when this machine could not even begin it.
        """
        with self._scope:
            try:
                await talk()
            except Exception as error:
                routed = has_route(self.address)
                if self.stage is Stage.CONNECT and is_exhaustion(error, routed=routed):
                    raise Exhausted(text_of(error)) from error
                # The one place where a failure becomes a value.
                return classify(error, self.stage, routed=routed)
        return timed_out(self.stage) if self._scope.cancelled_caught else None
