"""What the hosts of the lab saw: one entry per connection, for tests of politeness.

A promise such as "one conversation at a time per address" is proved from the servers' side,
never from the crawler's own counters.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import trio

_KEPT: Final = 100_000
"""Connections; older ones are forgotten, so that a lab may run for days."""
_TRANSCRIPT: Final = 8192
"""Octets kept of what a client said."""


@dataclass(slots=True, kw_only=True)
class Connection:
    """One accepted connection.  Times are of the event loop's clock, in seconds."""

    service: str
    """``https`` or ``smtp``."""
    address: str
    opened_at: float
    closed_at: float | None = None
    sni: str | None = None
    said: bytearray = field(default_factory=bytearray)
    """What the client sent: the request, or the SMTP commands, outside and inside TLS."""
    commands: list[str] = field(default_factory=list)
    """SMTP verbs in order."""

    def heard(self, data: bytes | bytearray) -> None:
        """Note what the client sent, up to a bound."""
        self.said += data[: _TRANSCRIPT - len(self.said)]


class Log:
    """The connections of a world, oldest first."""

    def __init__(self) -> None:
        self.connections: deque[Connection] = deque(maxlen=_KEPT)

    def opened(self, service: str, address: str) -> Connection:
        """A connection has been accepted."""
        entry = Connection(service=service, address=address, opened_at=trio.current_time())
        self.connections.append(entry)
        return entry

    def most_at_once(self, service: str, address: str) -> int:
        """The largest number of connections of *service* that were open together at *address*."""
        mine = [c for c in self.connections if (c.service, c.address) == (service, address)]
        steps = [(c.opened_at, 1) for c in mine]
        steps += [(c.closed_at, -1) for c in mine if c.closed_at is not None]
        most = now = 0
        for _, step in sorted(steps):
            now += step
            most = max(most, now)
        return most
