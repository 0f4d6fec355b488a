"""The names pass: three questions a domain, one row each, whatever happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

import pytest
import trio.testing

from crawler.probe import names
from crawler.records import MxLookup, NameTarget, TxtLookup
from crawler.vocabulary import Blame, DnsStatus, Question, TxtKind
from tests.probe.lookup_world import SCAN, LeftAlone, Zone, asked_for, fails, records, silence, zone

pytestmark = pytest.mark.anyio

DOMAIN = "example.com"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Virtual time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.002)}


async def probe(
    contents: Zone, targets: Iterable[NameTarget | str], *, opt_out: LeftAlone | None = None
) -> tuple[list[TxtLookup | MxLookup], list[tuple[str, str]]]:
    """The rows for *targets*, and what was asked for them."""
    rows: list[TxtLookup | MxLookup] = []

    def emit(cls: type[TxtLookup] | type[MxLookup], some: list[names.Row]) -> None:
        columns = [column.name for column in fields(cls)]
        for row in some:
            plain = isinstance(row, tuple)
            rows.append(cls(**dict(zip(columns, row, strict=True))) if plain else row)

    async with zone(contents) as (resolver, server):
        await names.probe(
            targets,
            scan_id=SCAN,
            resolver=resolver,
            opt_out=opt_out or LeftAlone(),
            emit=emit,
        )
        return rows, asked_for(server)


async def one(contents: Zone, question: Question, *, attempts: int = 0) -> TxtLookup | MxLookup:
    target = NameTarget(domain=DOMAIN, question=question, attempts=attempts)
    rows, _ = await probe(contents, [target])
    assert len(rows) == 1
    return rows[0]


async def txt(contents: Zone, **options: int) -> TxtLookup:
    row = await one(contents, Question.MTA_STS, **options)
    assert isinstance(row, TxtLookup)
    return row


async def mx(contents: Zone) -> MxLookup:
    row = await one(contents, Question.MX)
    assert isinstance(row, MxLookup)
    return row


# --- TXT -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "kind", "qname"),
    [
        (Question.MTA_STS, TxtKind.MTA_STS, "_mta-sts.example.com"),
        (Question.TLS_RPT, TxtKind.TLS_RPT, "_smtp._tls.example.com"),
    ],
)
async def test_a_txt_row_keeps_the_strings_as_octets(
    question: Question, kind: TxtKind, qname: str
) -> None:
    contents = {(qname, "TXT"): records('"v=x; " "y"', '"\\255\\000"', ad=True, ttl=60)}
    row = await one(contents, question)
    assert isinstance(row, TxtLookup)
    assert (row.scan_id, row.domain, row.kind, row.qname) == (SCAN, DOMAIN, kind, qname)
    assert row.records == ((b"v=x; ", b"y"), (b"\xff\0",))
    assert (row.status, row.authenticated, row.ttl) == (DnsStatus.NOERROR, True, 60)
    assert (row.attempt, row.blame, row.error) == (1, None, None)
    assert row.resolver is not None


async def test_absence_keeps_the_chain_that_led_to_it() -> None:
    row = await txt({("_mta-sts.example.com", "TXT"): fails("NXDOMAIN", aliases=("gone.example",))})
    assert (row.status, row.cname_chain, row.records) == (DnsStatus.NXDOMAIN, ("gone.example",), ())


@pytest.mark.parametrize(
    ("script", "status", "blame"),
    [
        (records(), DnsStatus.NO_ANSWER, None),
        (fails("SERVFAIL"), DnsStatus.SERVFAIL, Blame.RESOLVER),
        (fails("REFUSED"), DnsStatus.REFUSED, Blame.RESOLVER),
        (silence, DnsStatus.TIMEOUT, Blame.RESOLVER),
        (records(aliases=("_mta-sts.example.com",)), DnsStatus.CNAME_LOOP, Blame.TARGET),
    ],
)  # fmt: skip
async def test_every_ending_is_a_row_with_its_word(
    script: object, status: DnsStatus, blame: Blame | None
) -> None:
    """D29: absent, failed, silent and looping are told apart."""
    row = await txt({("_mta-sts.example.com", "TXT"): script})  # type: ignore[dict-item]
    assert (row.status, row.blame) == (status, blame)


async def test_attempts_add_up_over_rounds() -> None:
    row = await txt({("_mta-sts.example.com", "TXT"): fails()}, attempts=3)
    assert row.attempt == 6


async def test_a_question_that_outgrows_the_dns_is_an_absent_record() -> None:
    domain = ".".join(["a" * 61] * 4) + ".de"
    rows, asked = await probe({}, [NameTarget(domain=domain, question=Question.TLS_RPT)])
    assert [(row.status, row.attempt) for row in rows] == [(DnsStatus.NXDOMAIN, 0)]
    assert rows[0].error is not None
    assert asked == []


# --- MX ------------------------------------------------------------------------------------


async def test_mx_records_are_sorted_hosts() -> None:
    row = await mx({(DOMAIN, "MX"): records("20 B.example.net.", "10 z.example.", "20 a.example.")})
    assert row.hosts == (
        (10, "z.example"),
        (20, "a.example"),
        (20, "b.example.net"),
    )
    assert (row.null_mx, row.implicit_mx) == (False, False)


async def test_a_null_mx_is_said_to_be_one() -> None:
    """D18; RFC 7505."""
    row = await mx({(DOMAIN, "MX"): records("0 .")})
    assert (row.null_mx, row.hosts) == (True, ((0, ""),))


@pytest.mark.parametrize(
    ("script", "implicit"),
    [(records(), True), (fails("NXDOMAIN"), False), (fails("SERVFAIL"), False), (silence, False)],
)
async def test_only_a_name_without_mx_has_an_implicit_one(script: object, implicit: bool) -> None:
    """D21; RFC 5321 section 5.1: NODATA, never NXDOMAIN and never a failure."""
    row = await mx({(DOMAIN, "MX"): script})  # type: ignore[dict-item]
    assert row.implicit_mx is implicit


# --- all of it -----------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True], ids=["questions", "domains"])
async def test_every_question_gets_exactly_one_row(whole: bool) -> None:
    """A domain that is given as text is all three questions."""
    domains = [f"d{i}.example" for i in range(200)]
    questions = [NameTarget(domain=d, question=question) for d in domains for question in Question]
    rows, asked = await probe({}, iter(domains if whole else questions))
    assert len(asked) == len(rows) == 600
    made = {
        (row.domain, row.kind if isinstance(row, TxtLookup) else "mx", row.status) for row in rows
    }
    assert made == {(t.domain, t.question, DnsStatus.NXDOMAIN) for t in questions}


async def test_who_has_opted_out_is_not_asked_about_and_has_rows() -> None:
    targets = [NameTarget(domain=DOMAIN, question=q, attempts=2) for q in Question]
    targets.append(NameTarget(domain="other.example", question=Question.MX))
    rows, asked = await probe({}, targets, opt_out=LeftAlone({DOMAIN: "example.com"}))
    assert asked == [("other.example", "MX")]
    skipped = [row for row in rows if row.domain == DOMAIN]
    assert len(skipped) == 3
    for row in skipped:
        assert (row.status, row.blame) == (DnsStatus.OPTED_OUT, Blame.POLICY)
        assert row.attempt == 3  # a skip counts, so that (target, attempt) names one row
        assert row.error == "opt-out list: example.com"
        assert row.started_at.utcoffset() is not None
