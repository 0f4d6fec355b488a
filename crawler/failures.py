"""What may go wrong without a fault of the program: in which words, and with which exit code.

Exit codes: 0 ok, 1 failure, 2 usage, 3 work remains, 130 interrupted after a checkpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, NoReturn, TypeVar

import click
import trio

from crawler.config import ConfigError
from crawler.politeness.opt_out import OptOutError
from crawler.scan.crew import WorkerError
from crawler.scan.doctor import CannotStartError, IdentityError
from crawler.scan.progress import standard_error, visible
from crawler.scan.request import RequestError
from crawler.scan.run import WorkRemainsError
from crawler.scan.stopping import Interrupted
from crawler.snapshot import duck
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.lists import ListError
from crawler.snapshot.parts import PartError
from crawler.snapshot.patience import StorageError
from crawler.snapshot.remote import LostError
from crawler.snapshot.rows import SchemaError
from crawler.snapshot.store import StoreError

T = TypeVar("T")

FORESEEN: Final[Mapping[type[Exception], int]] = {
    ConfigError: 2,
    OptOutError: 2,
    RequestError: 2,
    WorkRemainsError: 3,
    WorkerError: 1,
    StorageError: 3,
    LostError: 3,
    DamagedError: 1,
    StoreError: 2,
    ListError: 2,
    IdentityError: 2,
    CannotStartError: 1,
    PartError: 1,
    SchemaError: 1,
    OSError: 1,
}
"""The first that an error is an instance of counts; any other is a fault of the program."""

INTERRUPTED: Final = 130


def fail(sentence: object, code: int) -> NoReturn:
    """Say *sentence* on standard error, and exit with *code*."""
    click.echo(f"sts-crawl: {visible(str(sentence))}", file=standard_error())
    raise SystemExit(code)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run an asynchronous command, see :func:`attempt`."""
    return attempt(lambda: trio.run(work))


def attempt(work: Callable[[], T]) -> T:
    """Do *work*; every foreseen failure is one sentence and an exit code."""
    try:
        return work()
    except (Exception, BaseExceptionGroup) as error:
        # What fills a disk fails in every shard at once: one of them says it all.
        ends = [(_sentence(e), _code(e)) for e in _leaves(error)]
        if any(code is None for _, code in ends):
            raise
        sentence, code = ends[0]
        assert code is not None
        fail(sentence, code)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, however deep, or the one error."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error


def _code(error: BaseException) -> int | None:
    if isinstance(error, Interrupted):
        return INTERRUPTED
    if duck.trouble(error) is not None:
        return 1
    return next((code for kind, code in FORESEEN.items() if isinstance(error, kind)), None)


def _sentence(error: BaseException) -> str:
    if isinstance(error, Interrupted):
        return f"{error}; the same command goes on from here"
    return duck.trouble(error) or str(error)
