"""May this address be contacted now?  Waits until it may, and gives a ``Permit`` to connect once.

The order is: has anybody opted out; may the address be dialled; does this vantage have the
family; then the waiting, for one of the address's slots, for its interval, for room in its
prefix, for room in the scan, for the scan's next turn; then the opt-out once more, because the
list may have grown meanwhile.

Nobody waits for a stranger.  What a waiter holds while it waits is wanted only by others that
wait for the same thing: slots and the turn of one address, then a place in its prefix, then a
place in the scan, always in that order, so there is no deadlock either.

Leaves to ``pace`` the arithmetic, to ``net`` the connection, and to ``probe`` which outcomes
mean that the peer wants less of us.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from types import MappingProxyType
from typing import Final, Generic, Literal, TypeVar

import trio

from crawler.config import Config, Politeness
from crawler.politeness import addresses
from crawler.politeness.destination import prefix_of
from crawler.politeness.opt_out import OptOut
from crawler.politeness.pace import Pace
from crawler.vocabulary import BLAME_OF_IO, Blame, IoStatus

Service = Literal["smtp", "https"]

_SEAL: Final = object()  # what only this module can hand to a Permit


class Refused(Exception):
    """We do not connect: ``status`` is the word for the row, ``reason`` says why, for people."""

    def __init__(self, status: IoStatus, reason: str) -> None:
        super().__init__(reason)
        self.status: Final = status
        self.reason: Final = reason

    @property
    def blame(self) -> Blame | None:
        """Whose doing it is: our policy's or our vantage's, never the target's."""
        return BLAME_OF_IO[self.status]


class Permit:
    """Leave to open one connection, to ``address`` and ``port`` and nowhere else.

    It is good for one connection and inside its ``admit`` block; using it again is our mistake
    and raises ``RuntimeError``.
    """

    __slots__ = ("_live", "_pace", "address", "port")

    def __init__(self, address: str, port: int, pace: Pace, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only Gate.admit makes a Permit")
        self.address: Final = address
        self.port: Final = port
        self._pace = pace
        self._live = True

    def use(self) -> tuple[str, int]:
        """Where to connect.  Called by ``net`` as it does so."""
        if not self._live:
            raise RuntimeError(f"the permit for {self.address} was used before, or is over")
        self._live = False
        return self.address, self.port

    def connected(self) -> None:
        """Called by ``net`` when the connection stands: the interval counts from now."""
        self._pace.connected(self.address, trio.current_time())

    def back_off(self, retry_after: float | None = None) -> None:
        """The peer wants less of us (421, 4xx, 429, 503) or timed out: contact it less often.

        *retry_after*: the seconds it asked for, if it did.
        """
        self._pace.back_off(self.address, trio.current_time(), retry_after=retry_after)

    def ease(self) -> None:
        """The conversation went well: an interval that was lengthened may shrink a little."""
        self._pace.ease(self.address)

    def _end(self) -> None:
        self._live = False
        self._pace.closed(self.address, trio.current_time())


V = TypeVar("V")


class _Shared(Generic[V]):
    """Values by key that exist only while somebody uses them."""

    def __init__(self) -> None:
        self._users: dict[Hashable, tuple[V, int]] = {}

    def __len__(self) -> int:
        return len(self._users)

    @contextmanager
    def of(self, key: Hashable, new: V) -> Iterator[V]:
        """The value of *key*, which is *new* for the first of its users."""
        value, users = self._users.get(key, (new, 0))
        self._users[key] = (value, users + 1)
        try:
            yield value
        finally:
            users = self._users[key][1]
            if users == 1:
                del self._users[key]
            else:
                self._users[key] = (value, users - 1)


@dataclass(slots=True)
class _Queue:
    """The queue in front of one address."""

    slots: Mapping[Service, trio.Semaphore]
    turn: trio.Lock = field(default_factory=trio.Lock)
    """Held from the wait for the interval until the connection starts: one at a time."""


class _Places:
    """A semaphore whose number may change while places are taken."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._free = trio.Semaphore(number)
        self.owed = 0
        """Places that are taken and exist no more: those given back next are not free."""

    def limit(self, number: int) -> None:
        change, self._number = number - self._number, number
        for _ in range(change):
            self.release()
        for _ in range(-change):
            try:
                self._free.acquire_nowait()
            except trio.WouldBlock:
                self.owed += 1

    def acquire_nowait(self) -> None:
        self._free.acquire_nowait()

    async def acquire(self) -> None:
        await self._free.acquire()

    def release(self) -> None:
        if self.owed:
            self.owed -= 1
        else:
            self._free.release()


class Gate:
    """The one way to a connection, for all that one process contacts in one pass.

    *own* are addresses of ours that must not be dialled, beside the resolvers of *config*; *nat64*
    are prefixes through which this network reaches IPv4 (RFC 7050).
    *resumed*: an earlier process may have contacted anybody just now, so every destination is
    first left alone for one full interval.  To be made and used inside ``trio.run``.
    """

    def __init__(
        self,
        config: Config,
        opt_out: OptOut,
        own: frozenset[str] | None = None,
        *,
        resumed: bool = False,
        nat64: tuple[addresses.Network, ...] = (),
    ) -> None:
        limits = config.politeness
        resolvers = frozenset(host for host, _ in config.resolver_endpoints())
        self._opt_out = opt_out
        self._own = (addresses.own_addresses() if own is None else own) | resolvers
        self._allow = tuple(ip_network(n, strict=False) for n in config.net.allow_addresses)
        self._nat64 = nat64
        self._ipv6 = config.net.ipv6
        self._ports: Mapping[Service, int] = MappingProxyType(
            {"smtp": config.net.smtp_port, "https": config.net.https_port}
        )
        self._at_once: Mapping[Service, int] = MappingProxyType(
            {"smtp": limits.per_address_smtp, "https": limits.per_address_https}
        )
        self._per_prefix = limits.per_prefix_connections
        self._places = _Places(limits.connections)
        self._queues: _Shared[_Queue] = _Shared()
        self._prefixes: _Shared[trio.Semaphore] = _Shared()
        self._pace = Pace(
            interval=limits.per_address_interval,
            per_second=limits.connections_per_second,
            epoch=trio.current_time() if resumed else None,
        )

    def limit(self, limits: Politeness) -> None:
        """Keep from now on within the connections at once, and a second, of *limits*."""
        self._places.limit(limits.connections)
        self._pace.limit(limits.connections_per_second)

    @property
    def crowded(self) -> bool:
        """Whether more connections are open than ``limit`` has allowed since they began."""
        return self._places.owed > 0

    @asynccontextmanager
    async def admit(
        self, address: str, service: Service, *, names: tuple[str, ...] = ()
    ) -> AsyncIterator[Permit]:
        """Wait until *address* may be contacted; the connection may live as long as the block.

        *names* are the names that led to the address, in normal form: Policy Domain, host and
        aliases.  An opt-out of any of them counts.  Raises ``Refused`` before or after waiting.
        """
        address = str(addresses.parse(address))  # one spelling, so that one address has one queue
        self._refuse(address, names)
        queue = _Queue({s: trio.Semaphore(n) for s, n in self._at_once.items()})
        room = trio.Semaphore(self._per_prefix)
        with (
            self._queues.of(address, queue) as queue,
            self._prefixes.of(prefix_of(address), room) as room,
        ):
            held: list[trio.Semaphore | _Places] = []
            await _take(queue.slots[service])
            try:
                await _take(queue.turn)
                try:
                    await self._wait_to_start(address, room, held)
                    self._refuse(address, names)
                    self._pace.opened(address, trio.current_time())
                finally:
                    queue.turn.release()
                permit = Permit(address, self._ports[service], self._pace, seal=_SEAL)
                try:
                    yield permit
                finally:
                    permit._end()
            finally:
                _give_back(held)
                queue.slots[service].release()

    async def _wait_to_start(
        self, address: str, room: trio.Semaphore, held: list[trio.Semaphore | _Places]
    ) -> None:
        """Wait until a connection to *address* may start, with the places it takes in *held*."""
        while True:
            await _sleep_until(self._pace.ready_at(address))
            for places in (room, self._places):
                await _take(places)
                held.append(places)
            await _sleep_until(self._pace.take_turn(trio.current_time()))
            if self._pace.ready_at(address) <= trio.current_time():
                return
            # Another conversation with this address was asked to slow down meanwhile: others may
            # have these places while we wait.
            _give_back(held)

    def _refuse(self, address: str, names: tuple[str, ...]) -> None:
        """Raise ``Refused`` if this address, reached by these names, is not to be contacted."""
        listed = self._opt_out.current
        entry = listed.entry_for_address(address) or next(
            (e for e in map(listed.entry_for_host, names) if e is not None), None
        )
        if entry is not None:
            raise Refused(IoStatus.OPTED_OUT, f"opt-out list: {entry}")
        reason = addresses.refusal(address, self._allow, self._own, self._nat64)
        if reason is not None:
            raise Refused(IoStatus.BLOCKLISTED_TARGET, f"{address}: {reason}")
        if not self._ipv6 and ":" in address:
            raise Refused(IoStatus.VANTAGE_FAILURE, "this vantage has no IPv6: [net] ipv6 = false")


async def _take(places: trio.Semaphore | trio.Lock | _Places) -> None:
    """Take one of *places*; yields to the scheduler only when there is none.

    Who waits is served first: ``release`` hands its place over, so nobody can slip in between.
    """
    try:
        places.acquire_nowait()
    except trio.WouldBlock:
        await places.acquire()


def _give_back(held: list[trio.Semaphore | _Places]) -> None:
    while held:
        held.pop().release()


async def _sleep_until(when: float) -> None:
    """Sleep until *when*, which may be long gone."""
    if when > trio.current_time():
        await trio.sleep_until(when)
