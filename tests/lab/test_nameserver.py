"""The resolver of the lab, asked by dnspython over real sockets."""

from __future__ import annotations

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
import trio

from crawler.lab import World
from crawler.lab.addresses import RESOLVER

pytestmark = pytest.mark.anyio


async def ask(world: World, name: str, rdtype: str, *, tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
    query.flags |= dns.flags.AD
    method = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    reply = await method(query, RESOLVER, timeout=2, port=world.dns_port)
    assert isinstance(reply, dns.message.Message)
    return reply


def texts(reply: dns.message.Message) -> list[str]:
    return [f"{rrset.name} {rdata}" for rrset in reply.answer for rdata in rrset]


async def test_it_answers_like_a_recursive_resolver(world: World) -> None:
    """RA is set, the question is echoed, EDNS is answered."""
    reply = await ask(world, "_MTA-STS.own-enforce.com", "TXT")
    assert reply.flags & dns.flags.RA
    assert str(reply.question[0].name) == "_MTA-STS.own-enforce.com."
    assert reply.edns == 0
    assert '"v=STSv1; id=20240101000000;"' in texts(reply)[0]


@pytest.mark.parametrize(
    ("name", "rdtype", "rcode"),
    [
        ("own-enforce.com", "MX", dns.rcode.NOERROR),
        ("own-enforce.com", "AAAA", dns.rcode.NOERROR),  # the name exists: NODATA
        ("_tls.own-enforce.com", "TXT", dns.rcode.NOERROR),  # an empty non-terminal
        ("nothing.own-enforce.com", "A", dns.rcode.NXDOMAIN),
        ("outside-nxdomain.com", "MX", dns.rcode.NXDOMAIN),
        ("nobodys-name.com", "MX", dns.rcode.NXDOMAIN),
        ("k3j4h5.invalid", "A", dns.rcode.NXDOMAIN),
        ("txt-servfail.com", "MX", dns.rcode.NOERROR),
        ("_mta-sts.txt-servfail.com", "TXT", dns.rcode.SERVFAIL),
        ("_mta-sts.txt-refused.com", "TXT", dns.rcode.REFUSED),
    ],
)
async def test_rcodes(world: World, name: str, rdtype: str, rcode: int) -> None:
    """NXDOMAIN, NODATA and failure are told apart; negative answers carry a SOA."""
    reply = await ask(world, name, rdtype)
    assert reply.rcode() == rcode
    if rcode == dns.rcode.NXDOMAIN:
        assert reply.authority


async def test_aliases_are_followed_to_the_provider(world: World) -> None:
    """The whole chain is in the answer, as from a resolver."""
    for name, rdtype in (("_mta-sts", "TXT"), ("mta-sts", "A")):
        reply = await ask(world, f"{name}.managed-enforce.com", rdtype)
        assert len(reply.answer) == 2
        assert reply.answer[0].rdtype == dns.rdatatype.CNAME
        assert str(reply.answer[1].name).endswith(".lab.")


async def test_a_dangling_alias_is_nxdomain_with_its_chain(world: World) -> None:
    """The customer has left the provider."""
    reply = await ask(world, "_mta-sts.txt-cname-dangling.com", "TXT")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.CNAME]


async def test_a_loop_is_given_out_as_far_as_it_goes(world: World) -> None:
    """The client has to see it."""
    reply = await ask(world, "_mta-sts.txt-cname-loop.com", "TXT")
    assert {rrset.rdtype for rrset in reply.answer} == {dns.rdatatype.CNAME}


@pytest.mark.parametrize(("name", "hops"), [("long-cname-chain", 11), ("txt-cname-too-long", 12)])
async def test_long_chains_come_whole(world: World, name: str, hops: int) -> None:
    """Counting them is the client's."""
    reply = await ask(world, f"_mta-sts.{name}.com", "TXT", tcp=True)
    assert len(reply.answer) == hops + 1


@pytest.mark.parametrize(
    ("name", "rdtype", "authenticated"),
    [
        (".", "SOA", True),
        (".", "DNSKEY", True),
        ("mx1.grandmail.lab", "A", True),
        ("_25._tcp.mx1.dane-match.com", "TLSA", True),
        ("_25._tcp.mx1.dane-insecure.com", "TLSA", False),
    ],
)
async def test_ad_is_set_for_signed_zones(
    world: World, name: str, rdtype: str, authenticated: bool
) -> None:
    """And for no other."""
    reply = await ask(world, name, rdtype)
    assert reply.answer
    assert bool(reply.flags & dns.flags.AD) is authenticated


async def test_bogus_says_why(world: World) -> None:
    """SERVFAIL with Extended DNS Error 6 (RFC 8914)."""
    reply = await ask(world, "_mta-sts.txt-bogus.com", "TXT")
    assert reply.rcode() == dns.rcode.SERVFAIL
    (option,) = reply.options
    assert isinstance(option, dns.edns.EDEOption)
    assert option.code == 6


async def test_a_flaky_question_is_answered_the_second_time(world: World) -> None:
    """So a crawler that asks once more finds the answer."""
    rcodes = [(await ask(world, "_mta-sts.flaky-resolver.com", "TXT")).rcode() for _ in range(3)]
    assert rcodes == [dns.rcode.SERVFAIL, dns.rcode.NOERROR, dns.rcode.NOERROR]


@pytest.mark.parametrize("name", ["truncated-answers", "txt-large-answer"])
async def test_truncation_falls_back_to_tcp(world: World, name: str) -> None:
    """TC and nothing over UDP; all of it over TCP."""
    cut = await ask(world, f"_mta-sts.{name}.com", "TXT")
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    whole = await ask(world, f"_mta-sts.{name}.com", "TXT", tcp=True)
    assert not whole.flags & dns.flags.TC
    assert any("v=STSv1" in text for text in texts(whole))


async def test_dropped_questions_stay_unanswered(world: World) -> None:
    """Neither over UDP nor over TCP."""
    query = dns.message.make_query("_mta-sts.txt-timeout.com", "TXT")
    with pytest.raises(dns.exception.Timeout):
        await dns.asyncquery.udp(query, RESOLVER, timeout=0.2, port=world.dns_port)
    query = dns.message.make_query("_mta-sts.txt-truncated-only.com", "TXT")
    with pytest.raises(EOFError):
        await dns.asyncquery.tcp(query, RESOLVER, timeout=2, port=world.dns_port)


async def test_a_wildcard_answers_under_the_name_asked(world: World) -> None:
    """RFC 4592; a name that exists is not covered by it."""
    for name in ("_mta-sts", "_smtp._tls", "anything"):
        reply = await ask(world, f"{name}.txt-wildcard.com", "TXT")
        assert texts(reply) == [f'{name}.txt-wildcard.com. "v=spf1 -all"']
    assert not (await ask(world, "mx1.txt-wildcard.com", "TXT")).answer


async def test_without_edns_answers_stay_under_512_octets(world: World) -> None:
    """RFC 1035 section 4.2.1."""
    query = dns.message.make_query("_mta-sts.long-cname-chain.com", "TXT", use_edns=False)
    reply = await dns.asyncquery.udp(
        query, RESOLVER, timeout=2, port=world.dns_port, raise_on_truncation=False
    )
    assert reply.flags & dns.flags.TC or len(reply.to_wire()) <= 512
    assert reply.edns == -1


async def test_the_scanner_has_forward_and_reverse_names(world: World) -> None:
    """As the identity of lab.toml says."""
    assert texts(await ask(world, "1.0.0.127.in-addr.arpa", "PTR"))[0].endswith("scanner.lab.test.")
    assert texts(await ask(world, "scanner.lab.test", "A"))[0].endswith("127.0.0.1")


async def test_junk_is_ignored_and_queries_are_counted(world: World) -> None:
    """Nothing that is no query is answered, and nothing breaks."""
    counted: list[str] = []
    world.resolver.on_query = lambda query, transport: counted.append(f"{transport} {query.name}")
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        for junk in (b"", b"\0" * 11, b"\xff" * 40, b"\0\0\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"):
            await sock.sendto(junk, (RESOLVER, world.dns_port))
    await ask(world, "own-enforce.com", "MX")
    assert counted == ["udp own-enforce.com"]
