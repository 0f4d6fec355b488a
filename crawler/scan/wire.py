"""What a scan's process and its workers say to each other, over a stream of their own.

The scan says ``Setup`` once, then ``Call`` and ``News``; a worker answers each call with a
``Reply``, tells what it is doing by ``Report`` and why it cannot go on by ``Failed``.  Who closes
its side has said all; a worker that hears so ends at a checkpoint.
"""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from crawler.config import Config, Endpoint

_LENGTH: Final = 4
"""Octets that say how long a message is."""

_BLOCK: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is to work on."""

    place: int
    """Which of the workers it is, from 0; whoever comes after it has the same."""
    folder: Path
    store: str | None = None
    """The address of the object store that has the scan; None: the disk has."""
    seed: str
    config: Config
    """Of the whole scan; ``Limit`` says what of it the worker may use."""
    roots: bytes
    """Trust anchors, PEM."""
    resumed: bool
    """Whether anybody may have been contacted just now by who worked before."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Be one of so many; answered when no more is open than that allows."""

    among: int


@dataclass(frozen=True, slots=True)
class Run:
    """Run shards of a step; answered when they are finished."""

    pass_name: str
    step: str
    shards: Sequence[int]


@dataclass(frozen=True, slots=True)
class Greet:
    """Greet a canary; answered by what came of it."""

    canary: Endpoint


@dataclass(frozen=True, slots=True)
class Call:
    """One of the three, with a number by which its reply is known."""

    number: int
    what: Limit | Run | Greet


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call."""

    number: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class News:
    """What the canaries say, see ``Canaries.hear``; *began* is on the worker's clock."""

    good: bool
    began: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What there is to tell since the last one."""

    at: float
    """What the worker's clock shows; each process has its own."""
    said: Sequence[str] = ()
    """Sentences for people."""
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By pass: targets that are expected, and targets that are done."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """Values to be remembered, by name; each replaces the worker's earlier one."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker ends for this reason."""

    error: BaseException


class Channel:
    """One end.  Several tasks may send; one receives."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream
        self._sending = trio.Lock()

    async def send(self, message: Any) -> None:
        """Send a message, which is lost when nobody is there any more."""
        data = pickle.dumps(message)
        async with self._sending:
            try:
                await self._stream.send_all(len(data).to_bytes(_LENGTH, "big") + data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # who receives finds it out, at the end of what was said before

    async def receive(self) -> AsyncIterator[Any]:
        """What the other end says, until it has said all or is gone."""
        buffer = bytearray()
        while True:
            while (end := _LENGTH + int.from_bytes(buffer[:_LENGTH], "big")) <= len(buffer):
                message = bytes(buffer[_LENGTH:end])
                del buffer[:end]
                yield pickle.loads(message)  # noqa: S301 - of our own child or parent, nobody else
            try:
                more = await self._stream.receive_some(_BLOCK)
            except trio.BrokenResourceError:
                return
            if not more:
                return
            buffer += more

    async def close(self) -> None:
        """Be done with it."""
        await self._stream.aclose()

    async def end(self) -> None:
        """Say that all has been said."""
        async with self._sending:
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
