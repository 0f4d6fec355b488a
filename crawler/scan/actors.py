"""Workers as actors of a Ray cluster, one actor for each place, on as many machines as it has.

Ray chooses the machine, notices when an actor's process dies and starts it again
(``max_restarts``).  What it is not trusted with is to do anything twice: a call is made at most
once, and only the one that begins a conversation, which may be repeated, is
(``max_task_retries``).  Whoever is in the place then goes on behind the parts that stand.

To be imported in a cluster (``cluster``) and not before: importing Ray decides where it listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Final

import ray
import ray.exceptions
import trio

import crawler
from crawler.scan.actor import LISTENING, Actor
from crawler.scan.crew import Start, Worker, WorkerError
from crawler.scan.progress import Progress
from crawler.scan.wire import Channel, Setup
from crawler.snapshot.store import ScanFolder

PATIENCE: Final = 15.0
"""Seconds after which a person is told that the cluster has not given a worker its place."""


async def _settled(reference: Any, slow: Callable[[], None] | None = None) -> Any:
    """What came of a call; *slow* is called when that takes longer than ``PATIENCE``."""
    token, over = trio.lowlevel.current_trio_token(), trio.Event()

    def wake(_: object) -> None:
        try:
            token.run_sync_soon(over.set)
        except trio.RunFinishedError:  # nobody waits any more
            pass

    future = reference.future()
    future.add_done_callback(wake)
    if slow is not None:
        with trio.move_on_after(PATIENCE):
            await over.wait()
        if not over.is_set():
            slow()
    await over.wait()
    return future.result()


class _Stream(trio.abc.HalfCloseableStream):
    """The scan's end of the socket pair in an actor; broken as soon as one call is lost."""

    def __init__(self, actor: Any, number: int) -> None:
        self._actor = actor
        self._number = number
        self.lost: str | None = None
        """By what it has broken."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.CancelScope(shield=True):  # what follows may not overtake it
            await self._call(self._actor.take, bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        with trio.CancelScope(shield=True):
            await self._call(self._actor.hang_up)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:  # noqa: ARG002
        octets: bytes = await self._call(self._actor.give.options(concurrency_group=LISTENING))
        return octets

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()  # the actor closes it, when it leaves or begins another

    async def _call(self, method: Any, *arguments: Any) -> Any:
        try:
            return await _settled(method.remote(self._number, *arguments))
        except ray.exceptions.RayError as error:
            self.lost = self.lost or _words(error)
            raise trio.BrokenResourceError from error


class _Life:
    """The ``Life`` of a worker."""

    def __init__(self, actor: Any, stream: _Stream) -> None:
        self._actor = actor
        self._stream = stream

    async def end(self) -> str:
        if self._stream.lost is not None:
            return self._stream.lost
        try:
            await _settled(self._actor.leave.remote())
        except ray.exceptions.RayError as error:
            return _words(error)
        return "the end of its work"


class _Actors:
    """The actors of a scan."""

    def __init__(self, folder: ScanFolder, progress: Progress) -> None:
        self._folder = folder.path.resolve()
        self._progress = progress
        self._actors: dict[int, Any] = {}
        self._numbers = count()

    def _at(self, place: int) -> Any:
        """The actor of a place, which outlives the processes that it has."""
        if place not in self._actors:
            options = {
                "num_cpus": 1,
                "scheduling_strategy": "SPREAD",
                "max_restarts": -1,  # ``crew.FRUITLESS`` says when it is enough
                "max_task_retries": 0,
                "concurrency_groups": {LISTENING: 1},
            }
            self._actors[place] = ray.remote(**options)(Actor).remote(self._folder, place)
        return self._actors[place]

    async def start(self, setup: Setup) -> Worker:
        """A worker in the actor of its place."""
        actor, number = self._at(setup.place), next(self._numbers)
        begun = actor.begin.options(max_task_retries=-1).remote(number)
        try:
            version = await _settled(begun, slow=partial(self._say_slow, setup.place))
        except ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()[-1]  # a traceback, or a sentence
            raise WorkerError(f"worker {setup.place} cannot start: {said}") from None
        if version != crawler.__version__:
            raise WorkerError(
                f"worker {setup.place} is of version {version} and the scan of "
                f"{crawler.__version__}; install the same on every machine of the cluster"
            )
        stream = _Stream(actor, number)
        channel = Channel(stream)
        await channel.send(setup)
        return Worker(_Life(actor, stream), channel)

    def _say_slow(self, place: int) -> None:
        self._progress.say(
            f"worker {place} waits for the cluster to give it a CPU; the cluster has "
            f"{ray.cluster_resources().get('CPU', 0):g}, see ray status"
        )

    def kill(self) -> None:
        """End them, whatever they are doing."""
        for actor in self._actors.values():
            ray.kill(actor, no_restart=True)


def _words(error: ray.exceptions.RayError) -> str:
    """What a person needs of it; more stands in the logs of the cluster."""
    return f"the loss of its actor ({type(error).__name__})"


@contextmanager
def open_actors(folder: ScanFolder, progress: Progress) -> Iterator[Start]:
    """What starts workers of a scan, while the block runs and this process is in a cluster.

    It raises ``WorkerError`` when one cannot be started anywhere.
    """
    actors = _Actors(folder, progress)
    try:
        yield actors.start
    finally:
        actors.kill()
