"""What this machine lacks is waited for, and is no row."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from crawler.net.failure import Exhausted
from crawler.probe.patience import PAUSES, patiently

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Waiting costs nothing here."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def test_a_conversation_that_could_not_begin_is_begun_later() -> None:
    left = 3

    async def converse() -> str:
        nonlocal left
        left -= 1
        if left:
            raise Exhausted("EMFILE: Too many open files")
        return "row"

    began = trio.current_time()
    assert await patiently(converse) == "row"
    assert trio.current_time() - began == sum(PAUSES[:2])


async def test_in_the_end_it_says_what_to_do() -> None:
    async def converse() -> str:
        raise Exhausted("EMFILE: Too many open files")

    began = trio.current_time()
    with pytest.raises(Exhausted, match=r"EMFILE.*raise ulimit -n or lower \[politeness\]"):
        await patiently(converse)
    assert trio.current_time() - began == sum(PAUSES)


async def test_anything_else_is_not_waited_for() -> None:
    async def converse() -> str:
        raise ZeroDivisionError

    began = trio.current_time()
    with pytest.raises(ZeroDivisionError):
        await patiently(converse)
    assert trio.current_time() == began
