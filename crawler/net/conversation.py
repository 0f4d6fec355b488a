"""One TCP conversation under one deadline: it ends as planned, or as a ``Failure``.

A conversation is a series of steps.  Each may have a limit of its own, and none outlives the
total: a peer that sends an octet a second makes progress for ever, so a timeout that restarts
with every octet is no limit at all.  Both are one cancel scope whose deadline moves.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from crawler.net.failure import Failure, classify, has_route, timed_out
from crawler.politeness.gate import Permit
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
        self._scope.deadline = min(self._end, trio.current_time() + limit)

    async def run(self, talk: Callable[[], Awaitable[None]]) -> Failure | None:
        """Have the conversation; returns what went wrong, or None when it ran to its end."""
        with self._scope:
            try:
                await talk()
            except Exception as error:  # noqa: BLE001  the one place where a failure becomes a value
                return classify(error, self.stage, routed=has_route(self.address))
        return timed_out(self.stage) if self._scope.cancelled_caught else None


async def dial(permit: Permit) -> trio.SocketStream:
    """Connect to where *permit* allows, and nowhere else."""
    address, port = permit.use()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await connection.connect((address, port))
        arrived(permit, connection.getpeername())
        return trio.SocketStream(connection)
    except BaseException:
        connection.close()
        raise


def arrived(permit: Permit, peer: tuple[object, ...]) -> None:
    """A connection stands: *peer*, as the socket names it, has to be the one that was permitted.

    The address was checked as text; only the socket knows where it has led.
    """
    if peer[:2] != (permit.address, permit.port):
        raise RuntimeError(f"dialled {permit.address} port {permit.port}, reached {peer[:2]}")
    permit.connected()
