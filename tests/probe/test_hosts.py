"""The hosts pass: addresses of policy hosts and MX hosts, and TLSA of the latter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
import trio.testing

from crawler.probe import hosts
from crawler.records import AddressLookup, HostTarget, Tlsa, TlsaLookup
from crawler.vocabulary import Blame, DnsStatus
from tests.net.nameserver import Script
from tests.probe.lookup_world import SCAN, LeftAlone, Zone, asked_for, fails, records, silence, zone

pytestmark = pytest.mark.anyio

HOST = "mx.example.com"
ALIASED = "mx.provider.example"
MAIL = HostTarget(host=HOST, mail=True)
POLICY = HostTarget(host=HOST, mail=False)
OWN = "_25._tcp.mx.example.com"
EXPANDED = "_25._tcp.mx.provider.example"

V4, V6, AT_OWN, AT_EXPANDED = (HOST, "A"), (HOST, "AAAA"), (OWN, "TLSA"), (EXPANDED, "TLSA")
HAS_ADDRESS = records("192.0.2.1", ad=True)
IS_ALIAS = records("192.0.2.1", aliases=(ALIASED,), ad=True)
A_RECORD = f"3 1 1 {'0a' * 32}"
ANOTHER = f"2 0 1 {'0b' * 32}"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Virtual time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.002)}


async def probe(
    contents: Zone, *targets: HostTarget, opt_out: LeftAlone | None = None
) -> tuple[list[AddressLookup | TlsaLookup], list[tuple[str, str]]]:
    """The rows for *targets*, and what was asked for them."""
    rows: list[AddressLookup | TlsaLookup] = []
    async with zone(contents) as (resolver, server):
        await hosts.probe(
            targets,
            scan_id=SCAN,
            resolver=resolver,
            opt_out=opt_out or LeftAlone(),
            emit=rows.append,
        )
        return rows, asked_for(server)


async def addresses(ipv4: Script, ipv6: Script, target: HostTarget = POLICY) -> AddressLookup:
    """The one row of a host without mail."""
    rows, _ = await probe({V4: ipv4, V6: ipv6}, target)
    assert len(rows) == 1
    row = rows[0]
    assert isinstance(row, AddressLookup)
    return row


async def tlsa(contents: Zone, target: HostTarget = MAIL) -> tuple[TlsaLookup, list[str]]:
    """The TLSA row of a mail host, and the TLSA names that were asked."""
    rows, asked = await probe(contents, target)
    found = [row for row in rows if isinstance(row, TlsaLookup)]
    assert len(found) == 1
    return found[0], [name for name, rdtype in asked if rdtype == "TLSA"]


# --- addresses -----------------------------------------------------------------------------


async def test_both_families_make_one_row() -> None:
    row = await addresses(
        records("192.0.2.10", "192.0.2.9", ad=True, ttl=60), records("2001:db8::1", ad=True, ttl=50)
    )
    assert (row.scan_id, row.host, row.status) == (SCAN, HOST, DnsStatus.NOERROR)
    assert (row.status_ipv4, row.status_ipv6) == (DnsStatus.NOERROR, DnsStatus.NOERROR)
    assert (row.ipv4, row.ipv6) == (("192.0.2.9", "192.0.2.10"), ("2001:db8::1",))
    assert (row.authenticated, row.ttl, row.attempt) == (True, 50, 2)
    assert (row.blame, row.error) == (None, None)


NXDOMAIN = fails("NXDOMAIN")
NODATA = records()
ADDRESS = records("192.0.2.1")
ADDRESS6 = records("2001:db8::1")


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "status"),
    [
        (ADDRESS, NODATA, DnsStatus.NOERROR),
        (NODATA, ADDRESS6, DnsStatus.NOERROR),
        (ADDRESS, fails("SERVFAIL"), DnsStatus.NOERROR),  # one address is enough
        (silence, ADDRESS6, DnsStatus.NOERROR),
        (fails("SERVFAIL"), NODATA, DnsStatus.SERVFAIL),  # there might have been one
        (NODATA, silence, DnsStatus.TIMEOUT),
        (NXDOMAIN, fails("REFUSED"), DnsStatus.REFUSED),
        (fails("SERVFAIL"), silence, DnsStatus.SERVFAIL),  # the first of two
        (NXDOMAIN, NXDOMAIN, DnsStatus.NXDOMAIN),
        (NODATA, NODATA, DnsStatus.NO_ANSWER),
        (NXDOMAIN, NODATA, DnsStatus.NO_ANSWER),  # NODATA proves that the name is there
        (records(aliases=(HOST,)), NODATA, DnsStatus.CNAME_LOOP),
    ],
)
async def test_the_status_of_both(ipv4: Script, ipv6: Script, status: DnsStatus) -> None:
    assert (await addresses(ipv4, ipv6)).status is status


async def test_a_failure_brings_its_blame_and_words() -> None:
    row = await addresses(NODATA, silence)
    assert row.blame is Blame.RESOLVER
    assert row.error is not None
    assert row.attempt == 1 + 3


@pytest.mark.parametrize(
    ("ipv4_ad", "ipv6_ad", "ipv6_has_one", "authenticated"),
    [
        (True, True, True, True),
        (True, False, True, False),  # every answer that gave an address counts
        (True, False, False, True),  # and only those
    ],
)
async def test_authenticated_is_what_the_addresses_are(
    ipv4_ad: bool, ipv6_ad: bool, ipv6_has_one: bool, authenticated: bool
) -> None:
    ipv6 = records(*(["2001:db8::1"] if ipv6_has_one else []), ad=ipv6_ad)
    assert (await addresses(records("192.0.2.1", ad=ipv4_ad), ipv6)).authenticated is authenticated


async def test_absence_is_authenticated_when_both_answers_are() -> None:
    assert (await addresses(records(ad=True), records(ad=True))).authenticated is True
    assert (await addresses(records(ad=True), records(ad=False))).authenticated is False


async def test_silence_is_neither_authenticated_nor_not() -> None:
    assert (await addresses(silence, silence)).authenticated is None


@pytest.mark.parametrize("end", [(), ("192.0.2.1",)])
async def test_the_chain_is_kept_with_or_without_an_address(end: tuple[str, ...]) -> None:
    row = await addresses(records(*end, aliases=("a.example", "b.example")), NODATA)
    assert row.cname_chain == (("a.example", "b.example") if end else row.cname_chain)
    assert row.ipv4 == end


async def test_attempts_add_up_over_rounds() -> None:
    row = await addresses(ADDRESS, NODATA, replace(POLICY, address_attempts=6))
    assert row.attempt == 8


async def test_a_policy_host_is_not_asked_for_tlsa() -> None:
    rows, asked = await probe({V4: ADDRESS}, POLICY)
    assert asked == [V4, V6]
    assert [type(row) for row in rows] == [AddressLookup]


# --- TLSA ----------------------------------------------------------------------------------


async def test_tlsa_is_asked_at_the_host() -> None:
    row, asked = await tlsa({V4: HAS_ADDRESS, AT_OWN: records(A_RECORD, ANOTHER, ad=True)})
    assert (row.scan_id, row.host, row.qname) == (SCAN, HOST, OWN)
    assert row.records == (
        Tlsa(usage=2, selector=0, matching_type=1, data=b"\x0b" * 32),
        Tlsa(usage=3, selector=1, matching_type=1, data=b"\x0a" * 32),
    )
    assert (row.status, row.authenticated, row.attempt) == (DnsStatus.NOERROR, True, 1)
    assert asked == [OWN]


async def test_an_alias_is_asked_at_its_end_first() -> None:
    """RFC 7672 section 2.2.3: authenticated records there settle it."""
    row, asked = await tlsa({V4: IS_ALIAS, AT_EXPANDED: records(A_RECORD, ad=True)})
    assert (row.qname, row.status, row.attempt) == (EXPANDED, DnsStatus.NOERROR, 1)
    assert asked == [EXPANDED]


@pytest.mark.parametrize("absent", [NODATA, NXDOMAIN])
async def test_an_alias_without_tlsa_at_its_end_is_asked_at_its_own_name(absent: Script) -> None:
    row, asked = await tlsa({V4: IS_ALIAS, AT_EXPANDED: absent, AT_OWN: records(A_RECORD, ad=True)})
    assert (row.qname, row.status, row.attempt) == (OWN, DnsStatus.NOERROR, 2)
    assert asked == [OWN, EXPANDED]


async def test_a_failure_at_the_end_of_the_alias_is_not_papered_over() -> None:
    """RFC 7672 section 2.1.1: a lookup that fails must not look like a host without TLSA."""
    row, asked = await tlsa(
        {V4: IS_ALIAS, AT_EXPANDED: fails(), AT_OWN: records(A_RECORD, ad=True)}
    )
    assert (row.qname, row.status, row.attempt) == (EXPANDED, DnsStatus.SERVFAIL, 3)
    assert set(asked) == {EXPANDED}


@pytest.mark.parametrize(
    ("at_own", "qname", "status", "authenticated"),
    [
        (records(ANOTHER, ad=True), OWN, DnsStatus.NOERROR, True),
        (NXDOMAIN, EXPANDED, DnsStatus.NOERROR, False),  # the insecure records are a fact
        (records(ANOTHER, ad=False), OWN, DnsStatus.NOERROR, False),
        (fails("SERVFAIL"), OWN, DnsStatus.SERVFAIL, False),
    ],
)
async def test_insecure_records_at_the_end_of_an_alias_are_not_the_last_word(
    at_own: Script, qname: str, status: DnsStatus, authenticated: bool
) -> None:
    row, _ = await tlsa({V4: IS_ALIAS, AT_EXPANDED: records(A_RECORD, ad=False), AT_OWN: at_own})
    assert (row.qname, row.status, row.authenticated) == (qname, status, authenticated)


async def test_a_host_without_tlsa_has_a_row_that_says_so() -> None:
    row, _ = await tlsa({V4: HAS_ADDRESS})
    assert (row.status, row.records) == (DnsStatus.NXDOMAIN, ())


async def test_an_alias_to_nowhere_is_asked_at_its_own_name_only() -> None:
    _, asked = await tlsa({V4: fails("NXDOMAIN", aliases=(ALIASED,))})
    assert asked == [OWN]


async def test_a_later_round_asks_only_what_is_wanted() -> None:
    target = replace(MAIL, ask_addresses=False, expanded=ALIASED, tlsa_attempts=3)
    rows, asked = await probe({AT_EXPANDED: records(A_RECORD, ad=True)}, target)
    assert asked == [AT_EXPANDED]
    assert [row.attempt for row in rows] == [4]


async def test_a_later_round_for_a_host_that_is_no_alias() -> None:
    _, asked = await probe({}, replace(MAIL, ask_addresses=False))
    assert asked == [AT_OWN]


# --- opt-out and numbers -------------------------------------------------------------------


async def test_a_host_that_has_opted_out_is_left_alone() -> None:
    alone = LeftAlone({HOST: "example.com"})
    target = replace(MAIL, address_attempts=2, tlsa_attempts=1)
    rows, asked = await probe({V4: HAS_ADDRESS}, target, opt_out=alone)
    assert asked == []
    assert [(type(row), row.attempt) for row in rows] == [(AddressLookup, 3), (TlsaLookup, 2)]
    for row in rows:
        assert (row.status, row.blame) == (DnsStatus.OPTED_OUT, Blame.POLICY)
        assert row.error == "opt-out list: example.com"


async def test_an_alias_to_who_has_opted_out_is_not_followed_by_questions() -> None:
    _, asked = await probe({V4: IS_ALIAS}, MAIL, opt_out=LeftAlone({ALIASED: "provider.example"}))
    assert (EXPANDED, "TLSA") not in asked
    assert AT_OWN in asked


async def test_many_hosts_at_once() -> None:
    def all_mail() -> Iterable[HostTarget]:
        return (HostTarget(host=f"mx{i}.example", mail=i % 2 == 0) for i in range(200))

    rows, _ = await probe({}, *all_mail())
    assert sum(isinstance(row, AddressLookup) for row in rows) == 200
    assert {row.host for row in rows if isinstance(row, TlsaLookup)} == {
        target.host for target in all_mail() if target.mail
    }
