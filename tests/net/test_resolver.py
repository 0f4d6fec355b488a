"""The resolver client against small scripted nameservers, over real loopback sockets.

Time is virtual: it jumps to the next deadline whenever nothing can happen any more, so a test of
a nine second timeout takes milliseconds.  Case numbers are those of the hostile-case table.
"""

from __future__ import annotations

import os
import resource
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

from crawler.config import Dns, Seconds
from crawler.net.datagrams import SECONDS_PER_SOCKET
from crawler.net.failure import Exhausted
from crawler.net.resolver import Answer, Resolver, open_resolver
from crawler.protocol.dns_wire import RdType
from crawler.vocabulary import Blame, DnsStatus
from tests.net.nameserver import CLOSE, Asked, Nameserver, Raw, Script, Sent, serve

pytestmark = pytest.mark.anyio

NAME = "_mta-sts.example.com"
RECORD = '"v=STSv1; id=1;"'
FAST = Dns(queries_per_second=100_000)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Virtual time; the threshold leaves the loopback a moment to deliver."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.002)}


@asynccontextmanager
async def asking(*servers: Nameserver, dns: Dns = FAST, **options: Any) -> AsyncIterator[Resolver]:
    """A resolver client of *servers*."""
    configured = replace(dns, resolvers=tuple(server.label for server in servers))
    async with open_resolver(configured, rng=Random(1), **options) as resolver:
        yield resolver


async def outcome(script: Script, *, dns: Dns = FAST, **options: Any) -> tuple[Answer, Nameserver]:
    """What a TXT question comes to with one server that follows *script*."""
    async with serve(script) as server, asking(server, dns=dns, **options) as resolver:
        return await resolver.query(NAME, RdType.TXT), server


async def ask_all(
    resolver: Resolver, questions: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], Answer]:
    """The answers to *questions*, each of which has to come exactly once."""
    answers: dict[tuple[str, int], Answer] = {}

    def answered(token: tuple[str, int], answer: Answer) -> None:
        assert token not in answers
        answers[token] = answer

    await resolver.ask(((name, rdtype, (name, rdtype)) for name, rdtype in questions), answered)
    return answers


def numbered(count: int) -> Iterator[tuple[str, int]]:
    return ((f"d{i}.example", RdType.TXT) for i in range(count))


def good(asked: Asked) -> Iterator[Sent]:
    """A resolver that knows every name."""
    yield asked.reply(RECORD)


def silent(_asked: Asked) -> Iterator[Sent]:
    """A resolver that drops every question."""
    return iter(())


# --- one answer ----------------------------------------------------------------------------


async def test_a_record_is_read_with_all_that_comes_with_it() -> None:
    def script(asked: Asked) -> Iterator[Sent]:
        yield asked.reply(RECORD, aliases=["_mta-sts.provider.example"], ad=True, ttl=77)

    answer, server = await outcome(script)
    assert answer.status is DnsStatus.NOERROR
    assert answer.records == ((b"v=STSv1; id=1;",),)
    assert answer.cname_chain == ("_mta-sts.provider.example",)
    assert (answer.authenticated, answer.ttl, answer.recursion_available) == (True, 77, True)
    assert (answer.resolver, answer.attempts) == (server.label, 1)
    assert (answer.blame, answer.error) == (None, None)
    assert answer.started_at.utcoffset() is not None


async def test_a_query_asks_for_recursion_and_ad_with_edns_1232() -> None:
    _, server = await outcome(good)
    query = server.log[0].query
    assert query.flags == 0x0120
    assert (query.edns, query.payload, query.ednsflags) == (0, 1232, 0)


@pytest.mark.parametrize(
    ("rcode", "aliases", "status"),
    [
        ("NXDOMAIN", (), DnsStatus.NXDOMAIN),
        ("NXDOMAIN", ("gone.example",), DnsStatus.NXDOMAIN),
        ("NOERROR", (), DnsStatus.NO_ANSWER),
        ("NOERROR", ("there.example",), DnsStatus.NO_ANSWER),
    ],
)
async def test_absence_is_definite(rcode: str, aliases: tuple[str, ...], status: DnsStatus) -> None:
    """D29: NXDOMAIN and NODATA are answers, asked once, and keep the chain that led to them."""

    def script(asked: Asked) -> Iterator[Sent]:
        yield asked.reply(rcode=rcode, aliases=aliases)

    answer, server = await outcome(script)
    assert (answer.status, answer.cname_chain, answer.blame) == (status, aliases, None)
    assert len(server.log) == 1


@pytest.mark.parametrize(
    ("aliases", "status"),
    [
        ([f"n{i}.example" for i in range(11)], DnsStatus.NOERROR),
        ([f"n{i}.example" for i in range(12)], DnsStatus.CNAME_TOO_LONG),
        (["b.example", NAME], DnsStatus.CNAME_LOOP),
    ],
)
async def test_chains_are_bounded(aliases: list[str], status: DnsStatus) -> None:
    """D01, D02: eleven aliases are followed; a loop is no reason to ask again."""

    def script(asked: Asked) -> Iterator[Sent]:
        end = (RECORD,) if NAME not in aliases else ()
        yield asked.reply(*end, aliases=aliases)

    answer, server = await outcome(script)
    assert answer.status is status
    assert len(server.log) == 1


async def test_a_name_that_cannot_exist_is_absent_without_a_question() -> None:
    long = ".".join(["a" * 61] * 4)
    async with serve(good) as server, asking(server) as resolver:
        answer = await resolver.query(f"_smtp._tls.{long}.de", RdType.TXT)
        assert (answer.status, answer.attempts, answer.resolver) == (DnsStatus.NXDOMAIN, 0, None)
        assert answer.error is not None
        assert server.log == []


# --- failures and retries ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rcode", "status"),
    [
        ("SERVFAIL", DnsStatus.SERVFAIL),
        ("REFUSED", DnsStatus.REFUSED),
        ("FORMERR", DnsStatus.FORMERR),
        ("NOTIMP", DnsStatus.NOTIMP),
        ("BADVERS", DnsStatus.BADVERS),
        ("BADCOOKIE", DnsStatus.OTHER_RCODE),
    ],
)
async def test_a_failure_is_final_after_the_budget(rcode: str, status: DnsStatus) -> None:
    """D13, D14: every query counts, and the resolver is to blame."""
    answer, server = await outcome(lambda asked: [asked.reply(rcode=rcode)])
    assert (answer.status, answer.attempts) == (status, 3)
    assert (answer.resolver, answer.blame) == (server.label, Blame.RESOLVER)
    assert len(server.log) == 3


async def test_a_bogus_zone_is_servfail_with_the_reason() -> None:
    """D32: never "absent"."""
    script = lambda asked: [asked.reply(rcode="SERVFAIL", ede=(6, "no signature"))]  # noqa: E731
    answer, _ = await outcome(script)
    assert (answer.status, answer.error) == (
        DnsStatus.SERVFAIL,
        "EDE 6 (dnssec bogus): no signature",
    )


@pytest.mark.parametrize(
    ("dropped", "attempts", "status"),
    [(0, 3, "NOERROR"), (2, 3, "NOERROR"), (4, 5, "NOERROR"), (3, 3, "TIMEOUT"), (1, 1, "TIMEOUT")],
)
async def test_lost_queries_are_sent_again_and_counted(
    dropped: int, attempts: int, status: str
) -> None:
    def script(asked: Asked) -> Iterator[Sent]:
        if asked.count > dropped:
            yield asked.reply(RECORD)

    answer, server = await outcome(script, dns=replace(FAST, attempts=attempts))
    assert answer.status == status
    assert answer.attempts == len(server.log) == min(dropped + 1, attempts)


async def test_silence_is_a_timeout_at_its_deadline() -> None:
    answer, server = await outcome(silent)
    assert (answer.status, answer.resolver, answer.authenticated) == (DnsStatus.TIMEOUT, None, None)
    assert answer.error == f"{server.label}: no answer within 3 s"
    # Three timeouts, and two random delays of up to 3/8 and 3/4 of a second between them.
    assert 9_000 <= answer.elapsed_ms < 9_000 + 1_125 + 100


async def test_what_a_resolver_said_outlives_later_silence() -> None:
    def script(asked: Asked) -> Iterator[Sent]:
        if asked.count == 1:
            yield asked.reply(rcode="SERVFAIL", ede=(22, ""))

    answer, server = await outcome(script)
    assert (answer.status, answer.attempts) == (DnsStatus.SERVFAIL, 3)
    assert answer.resolver == server.label


async def test_a_late_answer_is_junk() -> None:
    """Its question has been given up; what is asked now is another one, with another id."""

    def script(asked: Asked) -> Iterator[Sent]:
        yield 4.0
        yield asked.reply(RECORD)

    async with serve(script) as server, asking(server, dns=replace(FAST, attempts=1)) as resolver:
        assert (await resolver.query(NAME, RdType.TXT)).status is DnsStatus.TIMEOUT
        await trio.sleep(2)
        assert resolver.stats()[0].junk == 1


# --- several resolvers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [silent, lambda a: [a.reply(rcode="SERVFAIL")], lambda a: [a.reply(rcode="REFUSED")]],
    ids=["silent", "SERVFAIL", "REFUSED"],
)
async def test_the_second_try_goes_to_the_other_resolver(first: Script) -> None:
    async with serve(first) as bad, serve(good) as fine, asking(bad, fine) as resolver:
        answer = await resolver.query(NAME, RdType.TXT)
        assert (answer.status, answer.attempts) == (DnsStatus.NOERROR, 2)
        assert answer.resolver == fine.label


async def test_questions_are_spread_over_the_resolvers() -> None:
    async with serve(good) as one, serve(good) as two, asking(one, two) as resolver:
        await ask_all(resolver, numbered(1000))
        assert len(one.log) + len(two.log) == 1000
        assert abs(len(one.log) - len(two.log)) <= 128


@pytest.mark.parametrize("death", ["silence", "a closed port", "REFUSED"])
async def test_a_resolver_that_dies_loses_nothing_while_another_lives(death: str) -> None:
    dead = trio.Event()

    def mortal(asked: Asked) -> Iterator[Sent]:
        if not dead.is_set():
            yield asked.reply(RECORD)
        elif death == "REFUSED":
            yield asked.reply(rcode="REFUSED")

    async with serve(good) as fine, trio.open_nursery() as nursery:
        scope = await nursery.start(_mortal_server, mortal)
        async with asking(scope[1], fine) as resolver:

            def questions() -> Iterator[tuple[str, int]]:
                for i, asked in enumerate(numbered(2000)):
                    if i == 500:
                        dead.set()
                        if death == "a closed port":
                            scope[0].cancel()
                    yield asked

            answers = await ask_all(resolver, questions())
        assert Counter(answer.status for answer in answers.values()) == {DnsStatus.NOERROR: 2000}
        assert max(answer.attempts for answer in answers.values()) <= 3
        nursery.cancel_scope.cancel()


async def _mortal_server(
    script: Script, *, task_status: trio.TaskStatus[tuple[trio.CancelScope, Nameserver]]
) -> None:
    with trio.CancelScope() as scope:
        async with serve(script) as server:
            task_status.started((scope, server))
            await trio.sleep_forever()


async def test_a_closed_port_is_a_failed_try() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.53.53.53", 0))
        address, port = closed.getsockname()
    dns = replace(FAST, resolvers=(f"{address}:{port}",))
    async with open_resolver(dns) as resolver:
        answer = await resolver.query(NAME, RdType.TXT)
    assert (answer.status, answer.attempts) == (DnsStatus.TIMEOUT, 3)
    assert answer.error == f"{address}:{port}: Connection refused"
    assert answer.elapsed_ms >= 6_000  # it is given the time that silence would have taken


# --- forged and garbled answers ------------------------------------------------------------


def with_octet(message: bytes, at: int, value: int) -> bytes:
    return message[:at] + bytes((value,)) + message[at + 1 :]


@pytest.mark.parametrize(
    "forge",
    [
        lambda asked, m: bytes((m[0] ^ 1,)) + m[1:],  # another id
        lambda asked, m: m.replace(b"\7example", b"\7examp1e"),  # another name
        lambda asked, m: with_octet(m, len(NAME) + 15, 15),  # another type: MX
        lambda asked, m: with_octet(m, 2, m[2] & 0x7F),  # a query, not a response
        lambda asked, m: m[:12],  # a bare header
        lambda asked, m: m[:4] + b"\0\0" + m[6:],  # no question
        lambda asked, m: b"",
        lambda asked, m: m[:1],
        lambda asked, m: b"\xff" * 1300,
    ],
)
async def test_junk_before_the_answer_is_counted_and_passed_over(forge: Any) -> None:
    """D09, D11: the good answer right behind it is used."""

    def script(asked: Asked) -> Iterator[Sent]:
        message = asked.reply(RECORD)
        yield forge(asked, message)
        yield message

    async with serve(script) as server, asking(server) as resolver:
        answer = await resolver.query(NAME, RdType.TXT)
        assert (answer.status, answer.attempts) == (DnsStatus.NOERROR, 1)
        assert resolver.stats()[0].junk == 1


async def test_an_answer_from_elsewhere_is_ignored() -> None:
    """D10: right id, right question, right port; the kernel does not even deliver it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.53.53.54", 0))
        client: list[tuple[str, int]] = []

        def script(asked: Asked) -> Iterator[Sent]:
            client.append(("127.0.0.1", asked.port))
            elsewhere.sendto(asked.reply('"forged"'), client[-1])
            yield 0.5
            yield asked.reply(RECORD)

        answer, server = await outcome(script)
    assert answer.records == ((b"v=STSv1; id=1;",),)
    assert len(server.log) == 1


async def test_a_garbled_answer_is_asked_again() -> None:
    """D08: the right id and question, and a compression pointer that leads nowhere."""

    def script(asked: Asked) -> Iterator[Sent]:
        message = asked.reply(RECORD)
        yield message.replace(b"\xc0\x0c", b"\xff\xff") if asked.count == 1 else message

    answer, _ = await outcome(script)
    assert (answer.status, answer.attempts) == (DnsStatus.NOERROR, 2)


async def test_ever_garbled_answers_are_malformed() -> None:
    script = lambda asked: [asked.reply(RECORD).replace(b"\xc0\x0c", b"\xff\xff")]  # noqa: E731
    answer, _ = await outcome(script)
    assert (answer.status, answer.attempts, answer.records) == (DnsStatus.MALFORMED, 3, ())


async def test_random_case_has_to_come_back() -> None:
    """With 0x20 the letters are part of what a forger must guess."""

    def script(asked: Asked) -> Iterator[Sent]:
        assert asked.qname.lower() == NAME
        if asked.count == 1:
            yield asked.reply('"forged"').replace(
                asked.query.question[0].name.to_wire() or b"", b"\x08_mta-sts\x07example\x03com\0"
            )
        yield asked.reply(RECORD)

    async with serve(script) as server, asking(server, random_case=True) as resolver:
        answer = await resolver.query(NAME, RdType.TXT)
        assert answer.qname == NAME
        assert answer.records == ((b"v=STSv1; id=1;",),)
        assert server.log[0].qname != NAME  # one chance in 2^17 that it is
        assert resolver.stats()[0].junk == 1


# --- truncation and TCP --------------------------------------------------------------------

LONG = " ".join(f'"{"x" * 255}"' for _ in range(254))  # 65,024 octets of strings


def long_over_tcp(asked: Asked) -> Iterator[Sent]:
    yield asked.reply(truncated=True) if asked.transport == "udp" else asked.reply(LONG)


async def test_an_answer_too_long_for_udp_comes_over_tcp() -> None:
    """D04: within the same try, with the same resolver; both queries count."""
    once = replace(FAST, attempts=1)
    async with (
        serve(silent) as other,
        serve(long_over_tcp) as server,
        asking(server, other, dns=once) as resolver,
    ):
        answer = await resolver.query(NAME, RdType.TXT)
    assert (answer.status, answer.attempts) == (DnsStatus.NOERROR, 2)
    assert len(b"".join(answer.records[0])) == 254 * 255
    assert [asked.transport for asked in server.log] == ["udp", "tcp"]


TCP_FAILURES = {
    "silent": lambda asked: [],
    "closed at once": lambda asked: [CLOSE],
    "closed within a message": lambda asked: [Raw(b"\xff\xff" + bytes(10)), CLOSE],
    "an octet a second": lambda asked: [
        item for octet in bytes(60) for item in (Raw((octet,)), 1.0)
    ],
    "a message without a header": lambda asked: [b"short"],
}


@pytest.mark.parametrize("failure", TCP_FAILURES.values(), ids=TCP_FAILURES)
async def test_a_truncated_answer_is_never_used_in_part(failure: Any) -> None:
    """D05, D06: without TCP the lookup is TRUNCATED, and later tries do not go back to UDP."""

    def script(asked: Asked) -> Iterable[Sent]:
        if asked.transport == "udp":
            return [asked.reply('"part"', truncated=True)]
        return failure(asked)  # type: ignore[no-any-return]

    answer, server = await outcome(script)
    assert (answer.status, answer.records) == (DnsStatus.TRUNCATED, ())
    assert answer.attempts == 4
    assert [asked.transport for asked in server.log] == ["udp", "tcp", "tcp", "tcp"]


async def test_a_resolver_without_tcp_leaves_it_truncated() -> None:
    script = lambda asked: [asked.reply(truncated=True)]  # noqa: E731
    async with serve(script, tcp=False) as server, asking(server) as resolver:
        answer = await resolver.query(NAME, RdType.TXT)
    assert answer.status is DnsStatus.TRUNCATED
    assert answer.attempts == 4


async def test_tcp_for_truncated_answers_is_pooled() -> None:
    async with serve(long_over_tcp) as server, asking(server) as resolver:
        answers = await ask_all(resolver, numbered(60))
    assert {answer.status for answer in answers.values()} == {DnsStatus.NOERROR}
    assert server.connections <= 4


async def test_a_question_that_costs_the_connection_takes_no_others_along() -> None:
    """Asked together, at every try: few questions of a truncated answer do not share a connection."""

    def script(asked: Asked) -> Iterator[Sent]:
        if asked.transport == "udp":
            yield asked.reply(truncated=True)
        elif asked.qname == "d0.example":
            yield CLOSE
        else:
            yield 0.05
            yield asked.reply(RECORD)

    async with serve(script) as server, asking(server) as resolver:
        answers = await ask_all(resolver, numbered(4))
    lost = [name for name, answer in answers.items() if answer.status is DnsStatus.TRUNCATED]
    assert len(lost) == 1
    assert sorted(answer.attempts for answer in answers.values()) == [2, 2, 2, 4]


TCP = replace(FAST, transport="tcp")


async def test_everything_over_tcp_is_pipelined() -> None:
    """RFC 7766 section 6.2.1.1: many questions on few connections, answered in any order."""

    def script(asked: Asked) -> Iterator[Sent]:
        yield asked.query.id % 7 / 10
        yield asked.reply(RECORD)

    async with serve(script) as server, asking(server, dns=TCP) as resolver:
        answers = await ask_all(resolver, numbered(1500))
    assert {answer.status for answer in answers.values()} == {DnsStatus.NOERROR}
    assert {asked.transport for asked in server.log} == {"tcp"}
    assert 1 <= server.connections <= 4


async def test_a_connection_that_is_closed_is_replaced() -> None:
    """RFC 7766 section 6.2.4: what was not answered is asked again on another one."""

    def script(asked: Asked) -> Iterator[Sent]:
        yield asked.reply(RECORD)
        if asked.qname == "d20.example" and asked.count == 1:
            yield CLOSE

    async with serve(script) as server, asking(server, dns=replace(TCP, in_flight=10)) as resolver:
        answers = await ask_all(resolver, numbered(50))
    assert {answer.status for answer in answers.values()} == {DnsStatus.NOERROR}
    assert server.connections == 2


async def test_an_idle_connection_is_closed_and_opened_again() -> None:
    async with serve(good) as server, asking(server, dns=TCP) as resolver:
        await resolver.query("a.example", RdType.TXT)
        await trio.sleep(60)
        answer = await resolver.query("b.example", RdType.TXT)
    assert (answer.status, answer.attempts) == (DnsStatus.NOERROR, 1)
    assert server.connections == 2


async def test_a_stalled_connection_does_not_stall_the_next_question() -> None:
    """A message that never ends blocks its connection; the next try has to use another one."""

    def script(asked: Asked) -> Iterator[Sent]:
        yield Raw(b"\x40\0\0") if asked.count == 1 else asked.reply(RECORD)

    answer, server = await outcome(script, dns=TCP)
    assert (answer.status, answer.attempts) == (DnsStatus.NOERROR, 2)
    assert server.connections == 2


# --- many questions ------------------------------------------------------------------------


async def test_thousands_are_open_at_once_over_a_handful_of_sockets() -> None:
    """No answer is given before every question has been asked, and none is lost."""
    everybody = 3000
    seen = 0

    def script(asked: Asked) -> Iterator[Sent]:
        nonlocal seen
        seen += 1
        if seen < everybody:
            yield 20.0
        yield asked.reply(RECORD)

    dns = replace(FAST, in_flight=everybody, timeout=Seconds(30))
    async with serve(script) as server, asking(server, dns=dns) as resolver:
        answers = await ask_all(resolver, numbered(everybody))
        stats = resolver.stats()[0]
    assert Counter(a.status for a in answers.values()) == {DnsStatus.NOERROR: everybody}
    assert {answer.attempts for answer in answers.values()} == {1}
    assert len({asked.port for asked in server.log}) <= 16
    assert stats.sent == stats.answered == everybody


async def test_there_is_no_task_per_question() -> None:
    async with (
        serve(silent) as server,
        asking(server, dns=replace(FAST, timeout=Seconds(30))) as resolver,
        trio.open_nursery() as nursery,
    ):
        before = trio.lowlevel.current_statistics().tasks_living
        nursery.start_soon(ask_all, resolver, numbered(1000))
        await trio.sleep(1)
        assert len(server.log) == 1000
        assert trio.lowlevel.current_statistics().tasks_living - before < 10
        nursery.cancel_scope.cancel()


async def test_no_more_are_open_than_allowed() -> None:
    open_now = most = 0

    def script(asked: Asked) -> Iterator[Sent]:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        yield 0.1
        open_now -= 1
        yield asked.reply(RECORD)

    async with serve(script) as server, asking(server, dns=replace(FAST, in_flight=37)) as resolver:
        await ask_all(resolver, numbered(300))
    assert most == 37


async def test_ids_are_random_and_ports_change() -> None:
    async with serve(good) as server, asking(server) as resolver:
        await ask_all(resolver, numbered(500))
        await trio.sleep(SECONDS_PER_SOCKET + 1)
        await resolver.query(NAME, RdType.TXT)
        await trio.sleep(SECONDS_PER_SOCKET + 1)
        await resolver.query(NAME, RdType.TXT)
    ids = [asked.query.id for asked in server.log]
    assert len(set(ids)) > 480
    assert sum(b - a == 1 for a, b in pairwise(ids)) < 5
    assert len({asked.port for asked in server.log}) == 3


async def test_a_single_question_gets_its_turn_among_many() -> None:
    async with serve(good) as server, asking(server, dns=replace(FAST, in_flight=64)) as resolver:
        heard: list[str] = []
        async with trio.open_nursery() as nursery:

            async def many() -> None:
                await resolver.ask(
                    ((name, rdtype, name) for name, rdtype in numbered(3000)),
                    lambda token, _answer: heard.append(token),
                )

            nursery.start_soon(many)
            await trio.lowlevel.checkpoint()
            await resolver.query(NAME, RdType.TXT)
            assert len(heard) < 1500


async def test_who_stops_waiting_stops_the_asking() -> None:
    heard: list[object] = []
    async with serve(silent) as server, asking(server, dns=replace(FAST, in_flight=10)) as resolver:
        with trio.move_on_after(1):
            await resolver.ask(
                ((name, rdtype, name) for name, rdtype in numbered(1000)),
                lambda token, _answer: heard.append(token),
            )
        server.script = good
        assert (await resolver.query(NAME, RdType.TXT)).status is DnsStatus.NOERROR
    assert heard == []
    assert len(server.log) <= 11 + 1


async def test_no_questions_are_answered_at_once() -> None:
    async with serve(good) as server, asking(server) as resolver:
        assert await ask_all(resolver, []) == {}


async def test_nothing_is_left_behind() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with serve(long_over_tcp) as server:
        before = descriptors(), trio.lowlevel.current_statistics().tasks_living
        async with asking(server) as resolver:
            await ask_all(resolver, numbered(20))
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        await trio.sleep(1)  # the server notices that its connections are closed
        assert (descriptors(), trio.lowlevel.current_statistics().tasks_living) == before


# --- pace ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [10, 40, 150])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_pace_is_kept_in_every_second(rate: float, transport: Any) -> None:
    """L11: as the server counts, retries included, never 5 % over."""

    def script(asked: Asked) -> Iterator[Sent]:
        if asked.qname[1] != "7" or asked.count > 1:  # some are dropped at first
            yield asked.reply(RECORD)

    dns = replace(FAST, queries_per_second=rate, transport=transport, timeout=Seconds(1))
    async with serve(script) as server, asking(server, dns=dns) as resolver:
        began = trio.current_time()
        answers = await ask_all(resolver, numbered(int(rate * 3)))
        took = trio.current_time() - began
    assert {answer.status for answer in answers.values()} == {DnsStatus.NOERROR}
    assert server.busiest() <= rate * 1.05
    assert len(server.log) / took >= rate * 0.6  # and it is used, but for the last retries


async def test_queries_over_tcp_after_truncation_count_as_well() -> None:
    dns = replace(FAST, queries_per_second=40)
    async with serve(long_over_tcp) as server, asking(server, dns=dns) as resolver:
        await ask_all(resolver, numbered(60))
    assert len(server.log) == 120
    assert server.busiest() <= 42


async def test_each_resolver_has_its_own_pace() -> None:
    dns = replace(FAST, queries_per_second=50)
    async with serve(good) as one, serve(good) as two, asking(one, two, dns=dns) as resolver:
        began = trio.current_time()
        await ask_all(resolver, numbered(300))
        assert trio.current_time() - began < 3.5
    assert max(one.busiest(), two.busiest()) <= 52


@pytest.mark.parametrize("limit", [60])
async def test_a_resolver_that_refuses_too_many_is_asked_less(limit: int) -> None:
    """D14: below its limit within five seconds; every refused query is one that counts."""
    served: list[float] = []

    def script(asked: Asked) -> Iterator[Sent]:
        recent = sum(at > asked.at - 1 for at in served[-limit:])
        if recent < limit:
            served.append(asked.at)
            yield asked.reply(RECORD)
        else:
            yield asked.reply(rcode="REFUSED")

    dns = replace(FAST, queries_per_second=300, attempts=5)
    slowest = 300.0
    async with serve(script) as server, asking(server, dns=dns) as resolver:
        began = trio.current_time()

        def hear(_token: object, _answer: Answer) -> None:
            nonlocal slowest
            if trio.current_time() - began < 5:
                slowest = min(slowest, resolver.stats()[0].rate)

        await resolver.ask(((name, rdtype, name) for name, rdtype in numbered(700)), hear)
    assert slowest < limit
    # From then on it hovers about the limit: a step up, and down again at the first complaints.
    late = [asked for asked in server.log if asked.at > began + 5]
    seconds = server.log[-1].at - began - 5
    assert len(late) / seconds < 1.6 * limit


# --- failures of ours ----------------------------------------------------------------------


@contextmanager
def no_descriptors_left() -> Iterator[Callable[[], None]]:
    """For the block, or until what it is given is called, this process may open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_question_waits_for_descriptors_to_come_back() -> None:
    async with serve(good, tcp=False) as server, asking(server) as resolver:
        with no_descriptors_left() as give_back:

            async def later() -> None:
                await trio.sleep(60)
                give_back()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(later)
                answer = await resolver.query(NAME, RdType.TXT)
    assert (answer.status, answer.attempts) == (DnsStatus.NOERROR, 1)
    assert 60_000 <= answer.elapsed_ms < 70_000


async def test_without_any_descriptor_there_is_no_going_on_and_no_row() -> None:
    began = trio.current_time()
    async with serve(good, tcp=False) as server:
        with (
            no_descriptors_left(),
            pytest.RaisesGroup(
                pytest.RaisesExc(Exhausted, match="Too many open files"), flatten_subgroups=True
            ),
        ):
            async with asking(server) as resolver:
                await resolver.query(NAME, RdType.TXT)
    assert server.log == []
    assert trio.current_time() - began > 100  # longer than a closed connection keeps its port


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
async def test_a_rate_of_zero_is_an_error_before_the_first_query(rate: float) -> None:
    with pytest.raises(ValueError, match="would never ask"):
        async with open_resolver(replace(FAST, queries_per_second=rate)):
            raise AssertionError("it must not get here")


async def test_a_small_receive_buffer_is_a_warning() -> None:
    async with (
        serve(good) as server,
        asking(server, dns=replace(FAST, in_flight=10**9)) as resolver,
    ):
        await resolver.query(NAME, RdType.TXT)
        assert "receive buffer" in resolver.warnings()[0]
    async with serve(good) as server, asking(server, dns=replace(FAST, in_flight=1)) as resolver:
        await resolver.query(NAME, RdType.TXT)
        assert resolver.warnings() == ()
