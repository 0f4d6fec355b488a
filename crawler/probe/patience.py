"""Waiting until this machine can open a connection again.

Descriptors, buffers and ports run out when too much is open at once, and come back when something
is closed.  Nothing has been sent then, so trying again contacts nobody twice.  A machine that has
had nothing left for two minutes will have nothing for the next target either: the scan ends there,
and nothing is written down about the targets that it never reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import trio

from crawler.net.failure import Exhausted

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Seconds; in all twice as long as a closed connection keeps its port (TIME-WAIT, RFC 9293)."""

T = TypeVar("T")


async def patiently(converse: Callable[[], Awaitable[T]], *, pauses: Sequence[float] = PAUSES) -> T:
    """What *converse* returns, once this machine can begin the conversation.

    Raises ``Exhausted``, which names the remedy, when it still cannot after the last pause.
    """
    for pause in pauses:
        try:
            return await converse()
        except Exhausted:
            await trio.sleep(pause)
    try:
        return await converse()
    except Exhausted as error:
        raise Exhausted(
            f"this machine can open no connection ({error}); raise ulimit -n or lower [politeness] "
            "connections, and repeat the command (nothing that was measured is lost)"
        ) from error
