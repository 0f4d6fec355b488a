"""Loss on the way to a resolver: every name is measured that the budget allows, and tries count.

What is lost is drawn for each name and try by itself, so it is the same in every run, in whatever
order the queries come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
import trio.testing

from crawler.config import Dns, Seconds
from crawler.net.resolver import Lookup, open_resolver
from crawler.protocol.dns_wire import RdType, question
from crawler.vocabulary import DnsStatus
from tests.net.nameserver import Asked, Script, Sent, serve

pytestmark = pytest.mark.anyio

NAMES = 2_000


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Virtual time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.002)}


async def measure(script: Script, *, attempts: int) -> tuple[list[Lookup], int]:
    """``NAMES`` lookups against one resolver that follows *script*, and the queries it saw."""
    found: list[Lookup] = []
    names = [f"d{number}.example" for number in range(NAMES)]
    async with serve(script) as server:
        dns = Dns(
            resolvers=(server.label,),
            queries_per_second=1_000_000,
            timeout=Seconds(1),
            attempts=attempts,
        )
        async with open_resolver(dns, rng=Random(1)) as resolver:
            lookups = (Lookup(name, RdType.TXT, question(name, RdType.TXT)) for name in names)
            await resolver.settle(lookups, found.extend)
        assert sorted(lookup.qname for lookup in found) == sorted(names)
        return found, len(server.log)


async def test_four_lost_queries_of_five_leave_no_name_unmeasured() -> None:
    """How many of the first four tries are dropped is drawn for each name."""
    seen = Counter[str]()
    drops = {name: Random(name).randint(0, 4) for name in map("d{}.example".format, range(NAMES))}

    def script(asked: Asked) -> Iterator[Sent]:
        seen[asked.qname] += 1
        if seen[asked.qname] > drops[asked.qname]:
            yield asked.reply('"x"')

    found, queries = await measure(script, attempts=5)
    assert {lookup.message.status for lookup in found} == {DnsStatus.NOERROR}
    assert {lookup.qname: lookup.attempts for lookup in found} == {
        name: dropped + 1 for name, dropped in drops.items()
    }
    assert queries == sum(lookup.attempts for lookup in found)


async def test_five_per_cent_lost_each_way_cost_no_more_than_chance() -> None:
    seen, loss, attempts = Counter[str](), 0.05, 3

    def script(asked: Asked) -> Iterator[Sent]:
        # A query that is lost on the way was sent all the same, and so was a lost answer's.
        seen[asked.qname] += 1
        rng = Random(f"{asked.qname} {seen[asked.qname]}")
        if rng.random() >= loss and rng.random() >= loss:
            yield asked.reply('"x"')

    found, queries = await measure(script, attempts=attempts)
    unmeasured = sum(lookup.message.status is DnsStatus.TIMEOUT for lookup in found)
    chance = (1 - (1 - loss) ** 2) ** attempts  # one name in a thousand
    expected = NAMES * chance
    assert unmeasured <= expected + 3 * (expected * (1 - chance)) ** 0.5
    assert all(lookup.message.status in (DnsStatus.NOERROR, DnsStatus.TIMEOUT) for lookup in found)
    assert queries == sum(lookup.attempts for lookup in found)
