"""One of several workers that run the shards of a scan: ``python -m crawler.scan.worker FD``.

It does what it is told over the socket FD, with its own resolver client and its own gate, writes
finished parts into the scan's folder and nothing else, and ends when the socket does.  It plans
nothing, judges nothing and greets no canary unless told to.  An actor (``actor``) is the same
worker in a process that is not ours to start.
"""

from __future__ import annotations

import pickle
import signal
import socket
import sys
import traceback
from collections import defaultdict
from typing import Any, Final

import trio

from crawler.config import divided
from crawler.politeness.opt_out import OptOut
from crawler.scan import passes
from crawler.scan.context import Context
from crawler.scan.executor import Local
from crawler.scan.planning import planning
from crawler.scan.progress import Progress
from crawler.scan.session import open_context, within_descriptors
from crawler.scan.stopping import STOPPING
from crawler.scan.wire import Call, Channel, Failed, Greet, Limit, News, Reply, Report, Run, Setup
from crawler.snapshot.archives import folder_at
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.store import ScanFolder

REPORTED_EVERY: Final = 1.0
"""Seconds; a person who watches wants to see it move."""

CROWDED_LOOK: Final = 0.05
"""Seconds between two looks at whether enough conversations have ended."""

_PASSES: Final = {pass_.name: pass_ for group in passes.ORDER for pass_ in group}


class Telling(Progress):
    """Collects what there is to say and to count, for the next report."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self._said: list[str] = []
        self._expected: dict[str, int] = defaultdict(int)
        self._advanced: dict[str, int] = defaultdict(int)
        self.kept: dict[str, Any] = {}

    def say(self, sentence: str) -> None:
        """Have it said by the scan."""
        self._said.append(sentence)

    def expect(self, pass_name: str, targets: int) -> None:
        """Have it counted by the scan."""
        self._expected[pass_name] += targets

    def advance(self, pass_name: str, targets: int = 1) -> None:
        """Have it counted by the scan."""
        self._advanced[pass_name] += targets

    def report(self) -> Report:
        """What has come together since the last one."""
        names = self._expected.keys() | self._advanced.keys()
        report = Report(
            at=trio.current_time(),
            said=tuple(self._said),
            counted={name: (self._expected[name], self._advanced[name]) for name in names},
            kept=dict(self.kept),
        )
        self._said.clear()
        self._expected.clear()
        self._advanced.clear()
        return report


class WorkerWork(FolderWork):
    """The ``Work`` of a worker: parts go to the folder, what is to be remembered to the scan."""

    def __init__(self, folder: ScanFolder, kept: dict[str, Any], *, seed: str) -> None:
        super().__init__(folder, seed=seed)
        self._kept = kept

    def remember(self, name: str, value: Any) -> None:
        """Have the scan remember it."""
        self._kept[name] = value

    def recall(self, name: str) -> Any:  # noqa: ARG002
        """Nothing: what workers before this one have counted is the scan's to add up."""
        return None


class Worker:
    """What one worker does, once it has everything it needs."""

    def __init__(self, setup: Setup, context: Context, channel: Channel, telling: Telling) -> None:
        self._config = setup.config
        self._context = context
        self._channel = channel
        self._telling = telling

    async def report(self) -> None:
        """Tell what there is to tell."""
        await self._channel.send(self._telling.report())

    async def keep_reporting(self) -> None:
        """Tell it from time to time."""
        while True:
            await trio.sleep(REPORTED_EVERY)
            self._context.health.keep()
            await self.report()

    async def answer(self, call: Call) -> None:
        """Do what is asked for, and say so."""
        value = await self._do(call.what)
        await self.report()
        await self._channel.send(Reply(call.number, value))

    async def _do(self, what: Limit | Run | Greet) -> Any:
        if isinstance(what, Run):
            return await Local(self._context).run(_PASSES[what.pass_name], what.step, what.shards)
        if isinstance(what, Greet):
            return await self._context.canaries.greet(what.canary)
        self._context.limit(within_descriptors(divided(self._config, what.among), QUIET))
        while self._context.crowded:  # noqa: ASYNC110 - told by what ends, in several places
            await trio.sleep(CROWDED_LOOK)
        return None

    def hear(self, news: News) -> None:
        """Pass on what the canaries say."""
        self._context.canaries.hear(news.good, news.began)


QUIET: Final = Progress(quiet=True)


async def work(channel: Channel) -> None:
    """Work until the scan has said all."""
    telling = Telling()
    try:
        await _work(channel, telling)
    except Exception as error:  # noqa: BLE001 - what ends a worker ends the scan, there
        await channel.send(Failed(_portable(error)))
    await channel.send(telling.report())
    await channel.end()


async def _work(channel: Channel, telling: Telling) -> None:
    messages = channel.receive()
    setup: Setup | None = await anext(messages, None)
    if setup is None:
        return
    async with (
        open_context(
            setup.config,
            planning(setup.config, seed=setup.seed),
            WorkerWork(folder_at(setup.folder, setup.store), telling.kept, seed=setup.seed),
            OptOut(setup.config.politeness.opt_out),
            telling,
            roots=setup.roots,
            resumed=setup.resumed,
            watch=False,
        ) as context,
        trio.open_nursery() as nursery,
    ):
        worker = Worker(setup, context, channel, telling)
        nursery.start_soon(worker.keep_reporting)
        async for message in messages:
            if isinstance(message, News):
                worker.hear(message)
            else:
                nursery.start_soon(worker.answer, message)
        nursery.cancel_scope.cancel()


def _portable(error: Exception) -> Exception:
    """The error as it can be said to another process, with where it comes from as a note."""
    where = "".join(traceback.format_exception(error))
    error.add_note(f"in a worker:\n{where}")
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - some exceptions cannot be made from their arguments
        return RuntimeError(where)
    return error


def main() -> None:
    """Work for the process at the other end of the socket."""
    # A terminal's Ctrl-C or hang-up and a supervisor's SIGTERM go to all processes; the scan hears
    # them and says when to stop.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    trio.run(serve, socket.socket(fileno=int(sys.argv[1])))


async def serve(own: socket.socket) -> None:
    """Work for who has the other end of a socket pair; *own* is closed at the end."""
    channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(own)))
    try:
        await work(channel)
    finally:
        with trio.CancelScope(shield=True):
            await channel.close()


if __name__ == "__main__":
    main()
