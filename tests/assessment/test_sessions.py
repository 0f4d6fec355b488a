"""What one conversation amounts to, with real chains where there is one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.assessment.sessions import judge_fetch, judge_session
from crawler.protocol import der
from crawler.protocol.chain import ChainJudge
from crawler.records import Header, MailVerdict, PolicyVerdict, Tlsa, TlsaLookup
from crawler.vocabulary import (
    CertificateProblem,
    DaneOutcome,
    DnsStatus,
    IoStatus,
    MailOutcome,
    Mode,
    PolicyOutcome,
    Stage,
    TlsWeakness,
)
from tests import rows
from tests.protocol import zoo
from tests.protocol.zoo import DAY, HOST, MIDDLE, NOW, ROOT

P, M, D, Ends = CertificateProblem, MailOutcome, DaneOutcome, PolicyOutcome
JUDGE = ChainJudge(zoo.ROOTS)
POLICY_HOST = "mta-sts.example.com"
BODY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: 604800\r\n"


def chain(name: str = HOST, **options: Any) -> tuple[bytes, ...]:
    return zoo.leaf(name, **options), MIDDLE.der


GOOD = chain()
EXPIRED = chain(start=-90 * DAY, end=-1 * DAY)
SELF_SIGNED = (zoo.leaf(HOST, issuer=None),)
OTHER_NAME = chain("mx.elsewhere.example")


# --- policy fetches ------------------------------------------------------------------------


def fetch(presented: tuple[bytes, ...] = chain(POLICY_HOST), **columns: Any) -> PolicyVerdict:
    """The verdict over a fetch that succeeded, but for *columns*."""
    facts: dict[str, Any] = {
        "started_at": NOW,
        "tls_version": "TLSv1.3",
        "stage": Stage.HTTP_BODY,
        "content_type": "text/plain",
        "body": BODY,
    }
    row = rows.fetch("example.com", "192.0.2.1", **(facts | columns))
    return judge_fetch(row, presented, JUDGE)


def unanswered(status: IoStatus, stage: Stage | None) -> PolicyVerdict:
    """The verdict over a fetch that ended before TLS stood."""
    nothing = {"tls_version": None, "http_status": None, "content_type": None, "body": None}
    return fetch((), status=status, stage=stage, **nothing)


FETCHES: dict[str, tuple[PolicyVerdict, PolicyOutcome]] = {
    "good": (fetch(), Ends.VALID),
    "TLS 1.2": (fetch(tls_version="TLSv1.2"), Ends.VALID),
    "refused": (unanswered(IoStatus.CONNECTION_REFUSED, Stage.CONNECT), Ends.TCP),
    "timed out": (unanswered(IoStatus.CONNECTION_TIMEOUT, Stage.CONNECT), Ends.TCP),
    "unreachable": (unanswered(IoStatus.HOST_UNREACHABLE, Stage.CONNECT), Ends.TCP),
    "reset at once": (unanswered(IoStatus.CONNECTION_CLOSED, Stage.CONNECT), Ends.TCP),
    "silent": (unanswered(IoStatus.IO_TIMEOUT, Stage.TLS), Ends.TLS),
    "cut": (unanswered(IoStatus.CONNECTION_CLOSED, Stage.TLS), Ends.TLS),
    "alert": (unanswered(IoStatus.HANDSHAKE_ERROR, Stage.TLS), Ends.TLS),
    "too many certificates": (unanswered(IoStatus.CHAIN_TOO_LARGE, Stage.TLS), Ends.TLS),
    "old": (fetch(tls_version="TLSv1.1"), Ends.TLS),
    "old, and 404": (fetch(tls_version="TLSv1", http_status=404), Ends.TLS),
    "expired": (fetch(chain(POLICY_HOST, start=-90 * DAY, end=-1 * DAY)), Ends.TLS),
    "expired, and 404": (
        fetch(chain(POLICY_HOST, start=-90 * DAY, end=-1 * DAY), http_status=404),
        Ends.TLS,
    ),
    "wrong name, and no end of the body": (
        fetch(GOOD, status=IoStatus.IO_TIMEOUT),
        Ends.TLS,
    ),
    "no chain was seen": (fetch(()), Ends.TLS),
    "404": (fetch(http_status=404, body=b"not here"), Ends.HTTP),
    "redirect": (fetch(http_status=301, location="https://www.example.com/"), Ends.HTTP),
    "no content": (fetch(http_status=204, body=b""), Ends.HTTP),
    "no status": (fetch(http_status=None, body=None), Ends.HTTP),
    "slow head": (
        fetch(status=IoStatus.IO_TIMEOUT, stage=Stage.HTTP_HEADERS, http_status=None),
        Ends.HTTP,
    ),
    "cut short": (fetch(status=IoStatus.CONNECTION_CLOSED), Ends.HTTP),
    "no HTTP": (fetch(status=IoStatus.PROTOCOL_ERROR, stage=Stage.HTTP_HEADERS), Ends.HTTP),
    "too large": (fetch(status=IoStatus.RESPONSE_TOO_LARGE), Ends.HTTP),
    "compressed": (fetch(status=IoStatus.CONTENT_ENCODED), Ends.HTTP),
    "compressed, unnoticed": (
        fetch(headers=(Header(name="content-encoding", value=b"gzip"),)),
        Ends.HTTP,
    ),
    "empty": (fetch(body=b""), Ends.SYNTAX),
    "a page": (fetch(body=b"<!doctype html>", content_type="text/html"), Ends.SYNTAX),
    "opted out": (unanswered(IoStatus.OPTED_OUT, None), Ends.UNMEASURED),
    "not dialled": (unanswered(IoStatus.BLOCKLISTED_TARGET, None), Ends.UNMEASURED),
    "a failure of ours": (unanswered(IoStatus.VANTAGE_FAILURE, Stage.CONNECT), Ends.UNMEASURED),
    "a mistake of ours": (unanswered(IoStatus.UNKNOWN_ERROR, Stage.TLS), Ends.UNMEASURED),
    "a failure of ours after TLS": (
        fetch(EXPIRED, status=IoStatus.VANTAGE_FAILURE, stage=Stage.HTTP_BODY),
        Ends.UNMEASURED,
    ),
}


def test_every_outcome_of_a_fetch_has_a_case() -> None:
    # The other two are about no fetch at all.
    shown = {outcome for _, outcome in FETCHES.values()}
    assert shown == set(Ends) - {Ends.NOT_FETCHED, Ends.DNS}


@pytest.mark.parametrize("case", FETCHES)
def test_how_far_a_fetch_got(case: str) -> None:
    verdict, outcome = FETCHES[case]
    assert verdict.outcome is outcome


def test_a_good_fetch_in_full() -> None:
    assert fetch() == PolicyVerdict(
        scan_id=rows.SCAN_ID,
        domain="example.com",
        host=POLICY_HOST,
        address="192.0.2.1",
        attempt=1,
        outcome=Ends.VALID,
        lenient=True,
        mode=Mode.ENFORCE,
        max_age=604800,
        mx=("mx.example.com",),
        openssl_code=0,
    )


def test_a_policy_behind_a_bad_certificate_is_not_judged() -> None:
    verdict = fetch(chain(POLICY_HOST, issuer=None)[:1], body=b"nonsense")
    assert verdict.certificate_problems == (P.SELF_SIGNED,)
    assert (verdict.lenient, verdict.mode, verdict.problems) == (None, None, ())


def test_a_broken_policy_keeps_its_problems() -> None:
    verdict = fetch(body=BODY + b"\r\n", content_type="text/html")
    assert (verdict.outcome, verdict.lenient) == (Ends.SYNTAX, True)
    assert verdict.problems == ("media-type", "blank-line")
    assert (verdict.mode, verdict.max_age, verdict.mx) == (None, None, ())


def test_a_media_type_is_no_outcome() -> None:
    verdict = fetch(content_type=None)
    assert (verdict.outcome, verdict.problems) == (Ends.VALID, ("media-type",))


def test_a_chain_is_judged_at_the_time_of_its_observation() -> None:
    short = chain(POLICY_HOST, end=2 * DAY)
    assert fetch(short).outcome is Ends.VALID
    later = fetch(short, started_at=NOW + timedelta(days=3))
    assert (later.outcome, later.certificate_problems) == (Ends.TLS, (P.EXPIRED,))


def test_a_chain_is_judged_though_the_handshake_failed() -> None:
    verdict = fetch(
        EXPIRED, status=IoStatus.HANDSHAKE_ERROR, stage=Stage.TLS, tls_version=None, body=None
    )
    assert verdict.certificate_problems == (P.EXPIRED, P.NAME_MISMATCH)


# --- STARTTLS sessions ---------------------------------------------------------------------


def session(
    presented: tuple[bytes, ...] = GOOD, tlsa: TlsaLookup | None = None, **columns: Any
) -> MailVerdict:
    """The verdict over a session that ran to its end, but for *columns*."""
    facts = {"started_at": NOW, "tls_version": "TLSv1.3", "stage": Stage.QUIT}
    row = rows.session(HOST, "192.0.2.1", **(facts | columns))
    return judge_session(row, presented, tlsa, JUDGE)


def without_tls(status: IoStatus, stage: Stage | None, **columns: Any) -> MailVerdict:
    return session((), status=status, stage=stage, tls_version=None, **columns)


NOT_OFFERED = {"starttls_offered": False}

SESSIONS: dict[str, tuple[MailVerdict, MailOutcome]] = {
    "good": (session(), M.PASS),
    "closed instead of QUIT": (
        session(status=IoStatus.SUCCESS, stage=Stage.EHLO_TLS, error="closed"),
        M.PASS,
    ),
    "not offered": (without_tls(IoStatus.SUCCESS, Stage.QUIT, **NOT_OFFERED), M.NO_STARTTLS),
    "refused": (without_tls(IoStatus.APPLICATION_ERROR, Stage.STARTTLS), M.STARTTLS_REFUSED),
    "alert": (without_tls(IoStatus.HANDSHAKE_ERROR, Stage.TLS), M.HANDSHAKE_FAILED),
    "cut": (without_tls(IoStatus.CONNECTION_CLOSED, Stage.TLS), M.HANDSHAKE_FAILED),
    "silent in the handshake": (without_tls(IoStatus.IO_TIMEOUT, Stage.TLS), M.HANDSHAKE_FAILED),
    "injected": (
        without_tls(IoStatus.STARTTLS_INJECTION, Stage.STARTTLS),
        M.HANDSHAKE_FAILED,
    ),
    "too many certificates": (
        session(status=IoStatus.CHAIN_TOO_LARGE, stage=Stage.TLS, tls_version=None),
        M.HANDSHAKE_FAILED,
    ),
    "old": (session(tls_version="TLSv1"), M.TLS_OLD),
    "old and expired": (session(EXPIRED, tls_version="TLSv1.1"), M.TLS_OLD),
    "expired": (session(EXPIRED), M.CERTIFICATE),
    "self-signed": (session(SELF_SIGNED), M.CERTIFICATE),
    "wrong name": (session(OTHER_NAME), M.CERTIFICATE),
    "no chain was seen": (session(()), M.CERTIFICATE),
    "not connected": (without_tls(IoStatus.CONNECTION_REFUSED, Stage.CONNECT), M.UNMEASURED),
    "no greeting": (without_tls(IoStatus.IO_TIMEOUT, Stage.BANNER), M.UNMEASURED),
    "turned away": (
        without_tls(IoStatus.APPLICATION_ERROR, Stage.BANNER, starttls_offered=None),
        M.UNMEASURED,
    ),
    "EHLO turned away": (
        without_tls(IoStatus.APPLICATION_ERROR, Stage.EHLO, **NOT_OFFERED),
        M.UNMEASURED,
    ),
    "closed before STARTTLS": (
        without_tls(IoStatus.CONNECTION_CLOSED, Stage.STARTTLS),
        M.UNMEASURED,
    ),
    "no SMTP": (without_tls(IoStatus.PROTOCOL_ERROR, Stage.BANNER), M.UNMEASURED),
    "opted out": (without_tls(IoStatus.OPTED_OUT, None), M.UNMEASURED),
    "not dialled": (without_tls(IoStatus.BLOCKLISTED_TARGET, None), M.UNMEASURED),
    "a failure of ours": (without_tls(IoStatus.VANTAGE_FAILURE, Stage.TLS), M.UNMEASURED),
    "a mistake of ours": (session(EXPIRED, status=IoStatus.UNKNOWN_ERROR), M.UNMEASURED),
}


def test_every_outcome_of_a_session_has_a_case() -> None:
    assert {outcome for _, outcome in SESSIONS.values()} == set(M)


@pytest.mark.parametrize("case", SESSIONS)
def test_how_far_a_session_got(case: str) -> None:
    verdict, outcome = SESSIONS[case]
    assert verdict.outcome is outcome


@pytest.mark.parametrize("name", zoo.zoo())
def test_a_session_passes_where_its_chain_does(name: str) -> None:
    animal = zoo.zoo()[name]
    verdict = session(animal.chain)
    assert verdict.certificate_problems == animal.problems
    assert verdict.outcome is (M.CERTIFICATE if animal.problems else M.PASS)


# --- TLSA records against a session --------------------------------------------------------


def pin(usage: int, certificate: bytes) -> Tlsa:
    """A record of this usage for the certificate's key."""
    key = der.outline(certificate).public_key
    return Tlsa(usage=usage, selector=1, matching_type=1, data=hashlib.sha256(key).digest())


def published(*records: Tlsa, **columns: Any) -> TlsaLookup:
    facts = {"status": DnsStatus.NOERROR, "authenticated": True, "records": records}
    return rows.tlsa(HOST, **(facts | columns))


STRANGERS = pin(3, ROOT.der)
PINNED = published(pin(3, GOOD[0]))
ANCHORED = published(pin(2, MIDDLE.der))
NO_STARTTLS: dict[str, Any] = {"stage": Stage.QUIT, "tls_version": None, **NOT_OFFERED}
REFUSES: dict[str, Any] = {
    "status": IoStatus.APPLICATION_ERROR,
    "stage": Stage.STARTTLS,
    "tls_version": None,
}
NO_HANDSHAKE: dict[str, Any] = {
    "status": IoStatus.HANDSHAKE_ERROR,
    "stage": Stage.TLS,
    "tls_version": None,
}
UNREACHABLE: dict[str, Any] = {
    "status": IoStatus.CONNECTION_TIMEOUT,
    "stage": Stage.CONNECT,
    "tls_version": None,
}

DANE: dict[str, tuple[MailVerdict, DaneOutcome]] = {
    "not asked": (session(), D.UNMEASURED),
    "NXDOMAIN": (session(tlsa=rows.tlsa(HOST)), D.NONE),
    "NODATA": (session(tlsa=rows.tlsa(HOST, status=DnsStatus.NO_ANSWER)), D.NONE),
    "bogus": (session(tlsa=rows.tlsa(HOST, status=DnsStatus.SERVFAIL)), D.UNMEASURED),
    "not signed": (
        session(tlsa=published(pin(3, GOOD[0]), authenticated=False)),
        D.INSECURE,
    ),
    "pinned": (session(tlsa=PINNED), D.MATCH),
    "pinned, one of two": (session(tlsa=published(STRANGERS, pin(3, GOOD[0]))), D.MATCH),
    "pinned, expired": (session(EXPIRED, tlsa=PINNED), D.MATCH),
    "pinned, self-signed": (session(SELF_SIGNED, tlsa=PINNED), D.MATCH),
    "somebody else's": (session(tlsa=published(STRANGERS)), D.MISMATCH),
    "anchored": (session(tlsa=ANCHORED), D.MATCH),
    "anchored, for the expanded name": (
        session(
            OTHER_NAME,
            tlsa=published(pin(2, MIDDLE.der), qname="_25._tcp.mx.elsewhere.example"),
        ),
        D.MATCH,
    ),
    "anchored, another name": (session(OTHER_NAME, tlsa=ANCHORED), D.MISMATCH),
    "anchored, expired": (session(EXPIRED, tlsa=ANCHORED), D.MISMATCH),
    "pinned, another name": (session(OTHER_NAME, tlsa=published(pin(3, OTHER_NAME[0]))), D.MATCH),
    "pinned, over an old version": (session(tlsa=PINNED, tls_version="TLSv1"), D.MATCH),
    "pinned by the weaker of two digests": (
        session(
            tlsa=published(pin(3, GOOD[0]), replace(STRANGERS, matching_type=2, data=bytes(64)))
        ),
        D.MISMATCH,
    ),
    "usage 0": (session(tlsa=published(pin(0, MIDDLE.der))), D.UNUSABLE),
    "usage 1": (session(tlsa=published(pin(1, GOOD[0]))), D.UNUSABLE),
    "an unknown selector": (
        session(tlsa=published(replace(pin(3, GOOD[0]), selector=7))),
        D.UNUSABLE,
    ),
    "an unknown matching type": (
        session(tlsa=published(replace(pin(3, GOOD[0]), matching_type=7))),
        D.UNUSABLE,
    ),
    "usage 1 beside a pin": (session(tlsa=published(pin(1, ROOT.der), pin(3, GOOD[0]))), D.MATCH),
    "usage 1 beside somebody else's": (
        session(tlsa=published(pin(1, GOOD[0]), STRANGERS)),
        D.MISMATCH,
    ),
    "usage 1, not signed": (
        session(tlsa=published(pin(1, GOOD[0]), authenticated=False)),
        D.INSECURE,
    ),
    "no STARTTLS": (session((), tlsa=PINNED, **NO_STARTTLS), D.MISMATCH),
    "STARTTLS refused": (session((), tlsa=PINNED, **REFUSES), D.MISMATCH),
    "no STARTTLS, usage 1": (
        session((), tlsa=published(pin(1, GOOD[0])), **NO_STARTTLS),
        D.UNUSABLE,
    ),
    "no handshake": (session((), tlsa=PINNED, **NO_HANDSHAKE), D.MISMATCH),
    "no handshake, though the pin was shown": (session(tlsa=PINNED, **NO_HANDSHAKE), D.MISMATCH),
    "more certificates than we read": (
        session(tlsa=PINNED, **(NO_HANDSHAKE | {"status": IoStatus.CHAIN_TOO_LARGE})),
        D.MATCH,
    ),
    "no handshake, usage 1": (
        session((), tlsa=published(pin(1, GOOD[0])), **NO_HANDSHAKE),
        D.UNUSABLE,
    ),
    "not reached": (session((), tlsa=PINNED, **UNREACHABLE), D.UNMEASURED),
    "a failure of ours in the handshake": (
        session((), tlsa=PINNED, **(NO_HANDSHAKE | {"status": IoStatus.VANTAGE_FAILURE})),
        D.UNMEASURED,
    ),
}


def test_every_dane_outcome_of_a_session_has_a_case() -> None:
    # Being partial takes several hosts.
    assert {outcome for _, outcome in DANE.values()} == set(D) - {D.PARTIAL}


@pytest.mark.parametrize("case", DANE)
def test_tlsa_records_against_a_session(case: str) -> None:
    verdict, outcome = DANE[case]
    assert verdict.dane is outcome


def test_names_that_a_usage_2_match_has_still_to_meet_are_kept() -> None:
    assert session(OTHER_NAME, tlsa=ANCHORED).dane_names == ("mx.elsewhere.example",)
    assert session(tlsa=ANCHORED).dane_names == ()
    assert session(EXPIRED, tlsa=ANCHORED).dane_names == ()


# --- the handshake, for others -------------------------------------------------------------

LEGACY: dict[str, Any] = {
    "tls_version": "TLSv1.2",
    "cipher": "DHE-RSA-AES256-GCM-SHA384",
    "tls_group": "dhe-1024",
    "tls_secure_renegotiation": False,
}
SHORT, INSECURE = TlsWeakness.SHORT_DH_PRIME, TlsWeakness.NO_SECURE_RENEGOTIATION


def others(verdict: MailVerdict | PolicyVerdict) -> tuple[Any, ...]:
    return verdict.tls_weaknesses, verdict.refusing_senders, verdict.unoffered_by


def test_what_senders_other_than_us_make_of_a_session() -> None:
    verdict = session(**LEGACY)
    assert verdict.outcome is M.PASS
    assert others(verdict) == ((SHORT, INSECURE), ("postfix", "exim-openssl"), ("boringssl",))
    assert others(session(cipher="TLS_AES_256_GCM_SHA384", tls_group="x25519")) == ((), (), ())


def test_what_programs_that_fetch_policies_make_of_a_fetch() -> None:
    verdict = fetch(**LEGACY)
    assert verdict.outcome is Ends.VALID
    fetchers = ("postfix-mta-sts-resolver",), ("postfix-tlspol", "boringssl")
    assert others(verdict) == ((SHORT, INSECURE), *fetchers)


def test_the_key_of_the_leaf_is_looked_at() -> None:
    verdict = session(zoo.zoo()["RSA 1024"].chain)
    assert (verdict.outcome, verdict.refusing_senders) == (M.CERTIFICATE, ("exim-openssl",))


@pytest.mark.parametrize(
    "verdict",
    [
        session((), **(LEGACY | NO_HANDSHAKE)),
        session(**(LEGACY | NO_HANDSHAKE)),  # facts of a handshake that failed later
        without_tls(IoStatus.SUCCESS, Stage.QUIT, **NOT_OFFERED),
        unanswered(IoStatus.HANDSHAKE_ERROR, Stage.TLS),
    ],
)
def test_without_a_handshake_nobody_breaks_one_off(verdict: MailVerdict | PolicyVerdict) -> None:
    assert others(verdict) == ((), (), ())


def test_a_handshake_counts_whatever_came_after_it() -> None:
    verdict = session(EXPIRED, status=IoStatus.IO_TIMEOUT, stage=Stage.EHLO_TLS, **LEGACY)
    assert verdict.outcome is M.CERTIFICATE
    assert verdict.refusing_senders == ("postfix", "exim-openssl")


# --- whatever was recorded -----------------------------------------------------------------

words = st.none() | st.text(max_size=8)
recorded = st.fixed_dictionaries(
    {
        "status": st.sampled_from(IoStatus),
        "stage": st.sampled_from([None, *Stage]),
        "tls_version": words | st.sampled_from(["TLSv1", "TLSv1.2", "TLSv1.3"]),
        "cipher": words | st.sampled_from(["AES128-SHA", "DHE-RSA-AES128-SHA"]),
        "tls_group": words | st.sampled_from(["x25519", "dhe-1024", "ffdhe2048"]),
        "tls_secure_renegotiation": st.sampled_from([None, True, False]),
        "tls_alert": words,
    }
)
chains = st.lists(st.sampled_from([GOOD[0], MIDDLE.der, ROOT.der]) | st.binary(max_size=20)).map(
    tuple
)
answers = st.none() | st.builds(
    lambda status, records, signed: published(*records, status=status, authenticated=signed),
    st.sampled_from(DnsStatus),
    st.lists(
        st.builds(
            Tlsa,
            usage=st.integers(0, 4),
            selector=st.integers(0, 2),
            matching_type=st.integers(0, 3),
            data=st.sampled_from([b"", bytes(32), bytes(64), GOOD[0], PINNED.records[0].data]),
        ),
        max_size=3,
    ),
    st.sampled_from([None, True, False]),
)


@given(recorded, chains, answers, st.sampled_from([None, True, False]))
def test_no_session_is_too_odd_to_be_judged(
    facts: dict[str, Any],
    presented: tuple[bytes, ...],
    tlsa: TlsaLookup | None,
    offered: bool | None,
) -> None:
    verdict = session(presented, tlsa, starttls_offered=offered, **facts)
    assert verdict.outcome in M
    if verdict.dane is D.MATCH:
        assert verdict.outcome not in (M.NO_STARTTLS, M.STARTTLS_REFUSED)


@given(recorded, chains, st.none() | st.binary(max_size=40), st.none() | st.integers(100, 599))
def test_no_fetch_is_too_odd_to_be_judged(
    facts: dict[str, Any], presented: tuple[bytes, ...], body: bytes | None, http_status: int | None
) -> None:
    verdict = fetch(presented, body=body, http_status=http_status, **facts)
    assert verdict.outcome in Ends
