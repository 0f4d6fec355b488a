"""What the tests of the lookup probes share: a nameserver with a zone, and a way to probe it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from crawler.config import Dns, Seconds
from crawler.net.resolver import Resolver, open_resolver
from tests.net.nameserver import Asked, Nameserver, Script, Sent, serve

SCAN = "2026-01-01"

Zone = Mapping[tuple[str, str], Script]
"""What is answered to (name, type); anything else is NXDOMAIN."""


def records(*rdata: str, aliases: tuple[str, ...] = (), ad: bool = False, ttl: int = 300) -> Script:
    """An answer with these records, or NODATA without any."""
    return lambda asked: [asked.reply(*rdata, aliases=aliases, ad=ad, ttl=ttl)]


def fails(rcode: str = "SERVFAIL", *, aliases: tuple[str, ...] = ()) -> Script:
    """An answer that is none."""
    return lambda asked: [asked.reply(rcode=rcode, aliases=aliases)]


def silence(_asked: Asked) -> Iterable[Sent]:
    """No answer at all."""
    return ()


@dataclass
class LeftAlone:
    """An opt-out list: names that are covered, and the entry for each."""

    entries: dict[str, str] = field(default_factory=dict)

    def entry_for_domain(self, name: str) -> str | None:
        """The entry that covers *name*."""
        return self.entries.get(name)

    entry_for_host = entry_for_domain


@asynccontextmanager
async def zone(contents: Zone, *, attempts: int = 3) -> AsyncIterator[tuple[Resolver, Nameserver]]:
    """A resolver client whose resolver knows *contents*."""

    def script(asked: Asked) -> Iterable[Sent]:
        known = contents.get((asked.qname, asked.rdtype))
        return [asked.reply(rcode="NXDOMAIN")] if known is None else known(asked)

    async with serve(script) as server:
        dns = Dns(
            resolvers=(server.label,),
            queries_per_second=100_000,
            timeout=Seconds(1),
            attempts=attempts,
        )
        async with open_resolver(dns, rng=Random(1)) as resolver:
            yield resolver, server


def asked_for(server: Nameserver) -> list[tuple[str, str]]:
    """The questions that the server saw, sorted."""
    return sorted((asked.qname, asked.rdtype) for asked in server.log)
