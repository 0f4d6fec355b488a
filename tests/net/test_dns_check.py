"""Resolvers that a scan must not trust, and those that it may."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import trio.testing

from crawler.net.dns_check import ResolverCheck, check_resolver
from tests.net.nameserver import Asked, Script, Sent, serve

pytestmark = pytest.mark.anyio

SOA = "a.root-servers.example. nstld.example. 1 1800 900 604800 86400"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Virtual time, so that a resolver that does not answer costs nothing."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.002)}


def resolver(*, recurses: bool = True, validates: bool = True, rewrites: bool = False) -> Script:
    """A resolver with these habits."""

    def script(asked: Asked) -> Iterable[Sent]:
        if asked.rdtype == "SOA":
            return [asked.reply(SOA, ad=validates, ra=recurses)]
        assert asked.qname.endswith(".invalid")
        return [
            asked.reply("192.0.2.1") if rewrites else asked.reply(rcode="NXDOMAIN", ra=recurses)
        ]

    return script


async def check(script: Script, *, tcp: bool = True) -> ResolverCheck:
    async with serve(script, tcp=tcp) as server:
        found = await check_resolver(server.endpoint, timeout=1.0)
        assert found.resolver == server.label
        return found


def facts(found: ResolverCheck) -> tuple[bool, ...]:
    return (
        found.answers,
        found.recursion_available,
        found.rewrites_nxdomain,
        found.tcp,
        found.authenticates_root,
    )


async def test_a_validating_resolver_passes() -> None:
    found = await check(resolver())
    assert facts(found) == (True, True, False, True, True)
    assert found.error is None


async def test_no_recursion_is_seen_from_ra() -> None:
    assert not (await check(resolver(recurses=False))).recursion_available


async def test_refused_recursion_is_none_whatever_ra_says() -> None:
    found = await check(lambda asked: [asked.reply(rcode="REFUSED")])
    assert found.answers
    assert not found.recursion_available


async def test_a_resolver_that_rewrites_nxdomain_is_found_out() -> None:
    """D30."""
    assert (await check(resolver(rewrites=True))).rewrites_nxdomain


async def test_a_resolver_that_does_not_validate_is_seen_from_ad() -> None:
    assert not (await check(resolver(validates=False))).authenticates_root


async def test_a_resolver_without_tcp_is_usable() -> None:
    assert facts(await check(resolver(), tcp=False)) == (True, True, False, False, True)


async def test_a_lost_query_does_not_condemn_a_resolver() -> None:
    honest = resolver()
    found = await check(lambda asked: honest(asked) if asked.count > 1 else [])
    assert found.answers


async def test_a_silent_resolver_is_told_from_a_bad_one() -> None:
    found = await check(lambda _asked: [])
    assert facts(found) == (False, False, False, False, False)
    assert found.error == f"{found.resolver}: no answer within 1 s"


async def test_the_random_name_is_another_one_each_time() -> None:
    """A name that was asked for before could be answered from a cache that lies only at first."""
    names = set()

    def script(asked: Asked) -> Iterable[Sent]:
        if asked.rdtype == "A":
            names.add(asked.qname)
        return resolver()(asked)

    await check(script)
    await check(script)
    assert len(names) == 2
