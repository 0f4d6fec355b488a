"""What every judged column says: a literal case for each word that may stand in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.records import Tlsa
from crawler.vocabulary import (
    CertificateProblem,
    DaneOutcome,
    DnsStatus,
    IoStatus,
    MailOutcome,
    Mode,
    PolicyOutcome,
    RecordOutcome,
    SenderOutcome,
    TlsRptOutcome,
)
from tests import rows
from tests.assessment.domains import (
    DOMAIN,
    MX1,
    MX2,
    V4,
    V4_TOO,
    V6,
    dns_failed,
    domain,
    fetched,
    judged,
    mx_host,
    passing,
    quiet,
    seen,
    served,
    sts,
    tlsrpt,
    with_mx,
)

M, D, R, S = MailOutcome, DaneOutcome, RecordOutcome, SenderOutcome
POLICY_HOST = f"mta-sts.{DOMAIN}"
NO_MX = rows.mx(DOMAIN)
NO_DOMAIN = replace(NO_MX, status=DnsStatus.NXDOMAIN, implicit_mx=False)
NULL_MX = rows.mx(DOMAIN, (0, ""), null_mx=True)
UNKNOWN_MX = dns_failed(replace(NO_MX, implicit_mx=False))

DEFINITE = (DnsStatus.NOERROR, DnsStatus.NO_ANSWER, DnsStatus.NXDOMAIN)
INDEFINITE = tuple(status for status in DnsStatus if status not in DEFINITE)


# --- the record ----------------------------------------------------------------------------

RECORDS: dict[str, tuple[Any, RecordOutcome, str | None]] = {
    "a record": (sts(b"v=STSv1; id=20260101;"), R.VALID, "20260101"),
    "beside another string": (sts(b"v=spf1 -all", b"v=STSv1; id=1"), R.VALID, "1"),
    "NXDOMAIN": (sts(), R.ABSENT, None),
    "NODATA": (sts(status=DnsStatus.NO_ANSWER), R.ABSENT, None),
    "unrelated strings": (sts(b"v=spf1 -all"), R.ABSENT, None),
    "two records": (sts(b"v=STSv1; id=1", b"v=STSv1; id=2"), R.MULTIPLE, None),
    "a broken record": (sts(b"v=STSv1; id=a-b"), R.SYNTAX, None),
    "a near miss": (sts(b"V=STSv1; id=1"), R.SYNTAX, None),
    "not asked": (None, R.UNMEASURED, None),
    **{f"DNS {status}": (dns_failed(sts(), status), R.UNMEASURED, None) for status in INDEFINITE},
}


@pytest.mark.parametrize("case", RECORDS)
def test_record_outcome_and_id(case: str) -> None:
    lookup, outcome, record_id = RECORDS[case]
    row = judged(domain(sts=lookup))
    assert (row.record_outcome, row.record_id) == (outcome, record_id)


REPORTS: dict[str, tuple[Any, TlsRptOutcome]] = {
    "a record": (tlsrpt(b"v=TLSRPTv1; rua=mailto:a@b.example"), TlsRptOutcome.VALID),
    "a scheme of no use": (tlsrpt(b"v=TLSRPTv1; rua=ftp://b.example/"), TlsRptOutcome.VALID),
    "NXDOMAIN": (tlsrpt(), TlsRptOutcome.ABSENT),
    "NODATA": (tlsrpt(status=DnsStatus.NO_ANSWER), TlsRptOutcome.ABSENT),
    "unrelated strings": (tlsrpt(b"hello"), TlsRptOutcome.ABSENT),
    "two records": (tlsrpt(b"v=TLSRPTv1;", b"v=TLSRPTv1;"), TlsRptOutcome.MULTIPLE),
    "no scheme": (tlsrpt(b"v=TLSRPTv1; rua=a@b.example"), TlsRptOutcome.SYNTAX),
    "not asked": (None, TlsRptOutcome.UNMEASURED),
    **{
        f"DNS {status}": (dns_failed(tlsrpt(), status), TlsRptOutcome.UNMEASURED)
        for status in INDEFINITE
    },
}


@pytest.mark.parametrize("case", REPORTS)
def test_tlsrpt_outcome(case: str) -> None:
    lookup, outcome = REPORTS[case]
    assert judged(domain(tlsrpt=lookup)).tlsrpt_outcome is outcome


# --- the policy ----------------------------------------------------------------------------


def unfetched(*addresses: str, **columns: Any) -> DomainEvidence:
    return domain(fetches=(), policy_addresses=rows.addresses(POLICY_HOST, *addresses, **columns))


BLOCKED = fetched(
    outcome=PolicyOutcome.UNMEASURED, address="10.0.0.1", status=IoStatus.BLOCKLISTED_TARGET
)
BAD_RECORD = sts(b"v=STSv1;")
NOBODY_KNOWS = dns_failed(sts())

POLICIES: dict[str, tuple[DomainEvidence, PolicyOutcome]] = {
    "as fetched": (served(fetched()), PolicyOutcome.VALID),
    **{
        f"as fetched: {outcome}": (served(fetched(outcome=outcome)), outcome)
        for outcome in PolicyOutcome
        if outcome not in (PolicyOutcome.NOT_FETCHED, PolicyOutcome.DNS)
    },
    "fetched, and no record": (domain(sts=sts()), PolicyOutcome.NOT_FETCHED),
    "no record, no address": (quiet(), PolicyOutcome.NOT_FETCHED),
    "the record is bad": (domain(sts=BAD_RECORD), PolicyOutcome.VALID),
    "the record is unknown": (domain(sts=NOBODY_KNOWS), PolicyOutcome.VALID),
    "the record is unknown, and out of scope": (
        quiet(sts=NOBODY_KNOWS),
        PolicyOutcome.NOT_FETCHED,
    ),
    "NXDOMAIN": (unfetched(), PolicyOutcome.DNS),
    "NODATA": (
        unfetched(
            status=DnsStatus.NO_ANSWER,
            status_ipv4=DnsStatus.NO_ANSWER,
            status_ipv6=DnsStatus.NO_ANSWER,
        ),
        PolicyOutcome.DNS,
    ),
    "dangling alias": (unfetched(cname_chain=("gone.example",)), PolicyOutcome.DNS),
    "half an answer": (unfetched(status_ipv6=DnsStatus.SERVFAIL), PolicyOutcome.UNMEASURED),
    "no answer": (
        unfetched(status_ipv4=DnsStatus.TIMEOUT, status_ipv6=DnsStatus.TIMEOUT),
        PolicyOutcome.UNMEASURED,
    ),
    "addresses that nobody dialled": (unfetched(V4), PolicyOutcome.UNMEASURED),
    "not looked up": (domain(fetches=(), policy_addresses=None), PolicyOutcome.UNMEASURED),
    "the first address speaks": (
        served(fetched(outcome=PolicyOutcome.TCP), fetched(address=V6)),
        PolicyOutcome.TCP,
    ),
    "but not one we do not dial": (served(BLOCKED, fetched()), PolicyOutcome.VALID),
    "unless there is no other": (served(BLOCKED), PolicyOutcome.UNMEASURED),
}


def test_every_policy_outcome_has_a_case() -> None:
    assert {outcome for _, outcome in POLICIES.values()} == set(PolicyOutcome)


@pytest.mark.parametrize("case", POLICIES)
def test_policy_outcome(case: str) -> None:
    evidence, outcome = POLICIES[case]
    assert judged(evidence).policy_outcome is outcome


def test_the_columns_of_a_valid_policy() -> None:
    row = judged(served(fetched(mode=Mode.TESTING, max_age=86400, mx=("*.a.example", MX1))))
    assert (row.mode, row.max_age, row.policy_lenient) == (Mode.TESTING, 86400, True)
    assert row.policy_mx == ("*.a.example", MX1)


@pytest.mark.parametrize("outcome", sorted(set(PolicyOutcome) - {PolicyOutcome.VALID}))
def test_the_columns_of_no_valid_policy_are_empty(outcome: PolicyOutcome) -> None:
    row = judged(served(fetched(outcome=outcome)))
    assert (row.mode, row.max_age, row.policy_mx) == (None, None, ())
    assert (row.mx_covered, row.mx_passing, row.mx_failing, row.mx_unmeasured) == (None,) * 4


LENIENT: tuple[tuple[DomainEvidence, bool | None], ...] = (
    (served(fetched()), True),
    (served(fetched("blank-line", outcome=PolicyOutcome.SYNTAX, lenient=True)), True),
    (served(fetched("mode", outcome=PolicyOutcome.SYNTAX)), False),
    (served(fetched(outcome=PolicyOutcome.HTTP)), None),
    (served(fetched(outcome=PolicyOutcome.TLS)), None),
    (domain(sts=sts()), None),  # no record, so nobody reads the policy
    (domain(sts=NOBODY_KNOWS), True),
)


@pytest.mark.parametrize(("evidence", "lenient"), LENIENT)
def test_policy_lenient(evidence: DomainEvidence, lenient: bool | None) -> None:
    assert judged(evidence).policy_lenient is lenient


# --- MX hosts ------------------------------------------------------------------------------

Counts = tuple[int | None, int | None, int | None, int | None, int | None]

NO_POLICY = (fetched(outcome=PolicyOutcome.HTTP, http_status=404),)


def bad(host: str = MX1, outcome: MailOutcome = M.CERTIFICATE, address: str = V4) -> Any:
    problems = (CertificateProblem.EXPIRED,) if outcome is M.CERTIFICATE else ()
    return seen(host, address, outcome, *problems)


# total, covered, passing, failing, unmeasured
MX_COUNTS: dict[str, tuple[DomainEvidence, Counts]] = {
    "one that passes": (domain(), (1, 1, 1, 0, 0)),
    "no policy": (domain(fetches=NO_POLICY), (1, None, None, None, None)),
    "a policy in mode none without mx lines": (
        served(fetched(mode=Mode.NONE, mx=())),
        (1, None, None, None, None),
    ),
    "a policy in mode none with mx lines": (served(fetched(mode=Mode.NONE)), (1, 1, 1, 0, 0)),
    "the record is unknown": (domain(sts=NOBODY_KNOWS), (1, 1, 1, 0, 0)),
    "no record": (domain(sts=sts()), (1, None, None, None, None)),
    **{
        f"one that fails: {outcome}": (with_mx(mx_host(MX1, bad(outcome=outcome))), (1, 1, 0, 1, 0))
        for outcome in sorted(set(M) - {M.PASS, M.UNMEASURED})
    },
    "uncovered, though it passes": (with_mx(*passing(MX1), mx=(MX2,)), (1, 0, 0, 1, 0)),
    "uncovered, not measured": (with_mx(mx_host(MX1), mx=(MX2,)), (1, 0, 0, 1, 0)),
    "no address": (with_mx(mx_host(MX1)), (1, 1, 0, 0, 1)),
    "not reached": (with_mx(mx_host(MX1, seen(outcome=M.UNMEASURED))), (1, 1, 0, 0, 1)),
    "beyond the cap": (with_mx(*passing(MX1), HostEvidence(host=MX2)), (2, 2, 1, 0, 1)),
    "one address of two is enough": (
        with_mx(mx_host(MX1, bad(), seen(address=V4_TOO))),
        (1, 1, 1, 0, 0),
    ),
    "one fails, one is not known": (
        with_mx(mx_host(MX1, bad(), seen(address=V4_TOO, outcome=M.UNMEASURED))),
        (1, 1, 0, 1, 0),
    ),
    "one of each": (
        with_mx(*passing(MX1), mx_host(MX2, bad(MX2)), mx_host("mx3.example.com")),
        (3, 3, 1, 1, 1),
    ),
    "the same host twice": (
        domain(mx=rows.mx(DOMAIN, (10, MX1), (20, MX1))),
        (1, 1, 1, 0, 0),
    ),
    "null MX": (domain(mx=NULL_MX, hosts=()), (0, 0, 0, 0, 0)),
    "a root target beside a host": (
        domain(mx=rows.mx(DOMAIN, (0, ""), (10, MX1))),
        (1, 1, 1, 0, 0),
    ),
    "no such domain": (domain(mx=NO_DOMAIN, hosts=()), (0, 0, 0, 0, 0)),
    "implicit MX": (
        domain(mx=NO_MX, hosts=passing(DOMAIN), fetches=(fetched(mx=(DOMAIN,)),)),
        (1, 1, 1, 0, 0),
    ),
    "implicit MX without an address": (domain(mx=NO_MX, hosts=(mx_host(DOMAIN),)), (0, 0, 0, 0, 0)),
    "implicit MX whose address is not known": (
        domain(mx=NO_MX, hosts=(mx_host(DOMAIN, status_ipv4=DnsStatus.TIMEOUT),)),
        (None,) * 5,
    ),
    "implicit MX that was not looked up": (
        quiet(mx=NO_MX, hosts=(HostEvidence(host=DOMAIN),)),
        (None,) * 5,
    ),
    "not asked": (domain(mx=None, hosts=()), (None,) * 5),
    **{
        f"DNS {status}": (domain(mx=dns_failed(UNKNOWN_MX, status), hosts=()), (None,) * 5)
        for status in INDEFINITE
    },
    "out of scope": (quiet(), (1, None, None, None, None)),
}


@pytest.mark.parametrize("case", MX_COUNTS)
def test_mx_counts(case: str) -> None:
    evidence, counts = MX_COUNTS[case]
    row = judged(evidence)
    assert counts == (
        row.mx_total,
        row.mx_covered,
        row.mx_passing,
        row.mx_failing,
        row.mx_unmeasured,
    )


# --- headlines -----------------------------------------------------------------------------

UNCOVERED = with_mx(*passing(MX1, MX2), mx=(MX1,))
TESTING = fetched(mode=Mode.TESTING, mx=("mx.elsewhere.example",))
OFF = fetched(mode=Mode.NONE, mx=("mx.elsewhere.example",))
BAD_HOST = (mx_host(MX1, bad()),)
PLAIN_HOST = (mx_host(MX1, bad(outcome=M.NO_STARTTLS)),)
NOT_REACHED = (mx_host(MX1, seen(outcome=M.UNMEASURED)),)

# sender_outcome, misconfigured
HEADLINES: dict[str, tuple[DomainEvidence, SenderOutcome, bool | None]] = {
    "all right": (domain(), S.PROTECTED, False),
    "record not known": (domain(sts=NOBODY_KNOWS), S.UNMEASURED, None),
    "no record": (quiet(), S.ABSENT, False),
    "no record, whatever the MX hosts show": (domain(sts=sts(), hosts=BAD_HOST), S.ABSENT, False),
    "two records": (domain(sts=sts(b"v=STSv1; id=1;", b"v=STSv1; id=1;")), S.FAIL_OPEN, True),
    "a bad record": (domain(sts=BAD_RECORD), S.FAIL_OPEN, True),
    "a bad record, policy not known": (domain(sts=BAD_RECORD, fetches=()), S.FAIL_OPEN, True),
    "policy not known": (
        served(fetched(outcome=PolicyOutcome.UNMEASURED)),
        S.UNMEASURED,
        False,
    ),
    "policy not known, a bad MX host": (
        domain(fetches=(fetched(outcome=PolicyOutcome.UNMEASURED),), hosts=BAD_HOST),
        S.UNMEASURED,
        True,
    ),
    "no Policy Host": (unfetched(), S.FAIL_OPEN, True),
    **{
        f"policy: {outcome}": (served(fetched(outcome=outcome)), S.FAIL_OPEN, True)
        for outcome in (
            PolicyOutcome.TCP,
            PolicyOutcome.TLS,
            PolicyOutcome.HTTP,
            PolicyOutcome.SYNTAX,
        )
    },
    "mode none, nothing covered": (served(OFF), S.OFF, False),
    "mode none, a bad MX host": (domain(fetches=(OFF,), hosts=BAD_HOST), S.OFF, True),
    "testing, nothing covered": (served(TESTING), S.TESTING, True),
    "testing, and no mail": (domain(fetches=(TESTING,), mx=NULL_MX, hosts=()), S.TESTING, False),
    "null MX": (domain(mx=NULL_MX, hosts=()), S.NO_MAIL, False),
    "no MX and no address": (domain(mx=NO_MX, hosts=(mx_host(DOMAIN),)), S.NO_MAIL, False),
    "no such domain": (domain(mx=NO_DOMAIN, hosts=()), S.NO_MAIL, False),
    "MX not known": (domain(mx=UNKNOWN_MX, hosts=()), S.UNMEASURED, False),
    "one of two uncovered": (UNCOVERED, S.DEGRADED, True),
    "one of two does not pass": (
        with_mx(*passing(MX1), mx_host(MX2, bad(MX2))),
        S.DEGRADED,
        True,
    ),
    "one passes, one is not known": (with_mx(*passing(MX1), mx_host(MX2)), S.PROTECTED, False),
    "all uncovered": (served(fetched(mx=("mx.elsewhere.example",))), S.REFUSED, True),
    "a bad certificate": (domain(hosts=BAD_HOST), S.REFUSED, True),
    "a bad certificate at one of two addresses": (
        domain(hosts=(mx_host(MX1, bad(), seen(address=V4_TOO)),)),
        S.PROTECTED,
        True,
    ),
    "no STARTTLS": (domain(hosts=PLAIN_HOST), S.REFUSED, False),
    "not reached": (domain(hosts=NOT_REACHED), S.UNMEASURED, False),
    "one fails, one is not known": (
        with_mx(mx_host(MX1, bad(outcome=M.TLS_OLD)), mx_host(MX2)),
        S.UNMEASURED,
        False,
    ),
}


def test_every_sender_outcome_has_a_case() -> None:
    assert {sender for _, sender, _ in HEADLINES.values()} == set(SenderOutcome)


@pytest.mark.parametrize("case", HEADLINES)
def test_sender_outcome_and_misconfigured(case: str) -> None:
    evidence, sender, misconfigured = HEADLINES[case]
    row = judged(evidence)
    assert (row.sender_outcome, row.misconfigured) == (sender, misconfigured)


# --- DANE ----------------------------------------------------------------------------------

PINNED = Tlsa(usage=3, selector=1, matching_type=1, data=bytes(32))
NOT_FOR_SMTP = Tlsa(usage=1, selector=1, matching_type=1, data=bytes(32))
SIGNED_TLSA = rows.tlsa(MX1, status=DnsStatus.NOERROR, authenticated=True, records=(PINNED,))


def dane_host(
    *outcomes: DaneOutcome,
    host: str = MX1,
    signed: bool = True,
    names: tuple[str, ...] = (),
    **tlsa: Any,
) -> HostEvidence:
    """A host with a usable TLSA record, and what its addresses make of it."""
    pinned: dict[str, Any] = {
        "status": DnsStatus.NOERROR,
        "authenticated": True,
        "records": (PINNED,),
    }
    verdicts = (
        seen(host, f"192.0.2.{n}", dane=outcome, dane_names=names)
        for n, outcome in enumerate(outcomes, 1)
    )
    return mx_host(host, *verdicts, tlsa=rows.tlsa(host, **(pinned | tlsa)), authenticated=signed)


def dane(*hosts: HostEvidence, signed: bool = True, **columns: Any) -> DomainEvidence:
    records = [(10, host.host) for host in hosts]
    return domain(mx=rows.mx(DOMAIN, *records, authenticated=signed, **columns), hosts=hosts)


MATCHING = dane_host(D.MATCH)
WITHOUT = mx_host(MX2, seen(MX2), authenticated=True)
NAMED = dane_host(D.MISMATCH, names=("*.example.net", DOMAIN))

DANE: dict[str, tuple[DomainEvidence, DaneOutcome | None]] = {
    "no TLSA": (domain(), D.NONE),
    "NODATA": (dane(dane_host(D.NONE, status=DnsStatus.NO_ANSWER, records=())), D.NONE),
    "match": (dane(MATCHING), D.MATCH),
    "match at both addresses": (dane(dane_host(D.MATCH, D.MATCH)), D.MATCH),
    "match at the one that answers": (dane(dane_host(D.MATCH, D.UNMEASURED)), D.MATCH),
    "mismatch at one of two": (dane(dane_host(D.MATCH, D.MISMATCH)), D.MISMATCH),
    "mismatch": (dane(dane_host(D.MISMATCH)), D.MISMATCH),
    "usage 2, and the leaf names the next-hop domain": (dane(NAMED), D.MATCH),
    "usage 2, and the leaf names what the next-hop domain is an alias of": (
        dane(dane_host(D.MISMATCH, names=("mail.example.net",)), cname_chain=("mail.example.net",)),
        D.MATCH,
    ),
    "usage 2, and the leaf names somebody else": (
        dane(dane_host(D.MISMATCH, names=("mail.example.net",))),
        D.MISMATCH,
    ),
    "TLSA not signed": (dane(dane_host(D.INSECURE, authenticated=False)), D.INSECURE),
    "MX not signed": (dane(MATCHING, signed=False), D.INSECURE),
    "addresses not signed": (dane(dane_host(D.MATCH, signed=False)), D.INSECURE),
    "addresses not known": (
        dane(mx_host(MX1, tlsa=SIGNED_TLSA, status_ipv4=DnsStatus.SERVFAIL)),
        D.UNMEASURED,
    ),
    "unusable": (dane(dane_host(D.UNUSABLE, records=(NOT_FOR_SMTP,))), D.UNUSABLE),
    "unusable and not signed": (
        dane(dane_host(D.INSECURE, records=(NOT_FOR_SMTP,), authenticated=False)),
        D.INSECURE,
    ),
    "TLSA bogus": (
        dane(dane_host(D.UNMEASURED, status=DnsStatus.SERVFAIL, records=())),
        D.UNMEASURED,
    ),
    "host not reached": (dane(dane_host(D.UNMEASURED)), D.UNMEASURED),
    "host without a session": (dane(dane_host()), D.UNMEASURED),
    "one of two": (dane(MATCHING, WITHOUT), D.PARTIAL),
    "one of two, and the other is not signed": (
        dane(MATCHING, dane_host(D.MATCH, host=MX2, signed=False)),
        D.PARTIAL,
    ),
    "one of two, and the other mismatches": (
        dane(MATCHING, dane_host(D.MISMATCH, host=MX2)),
        D.MISMATCH,
    ),
    "one of two, and the other is not known": (
        dane(MATCHING, dane_host(D.UNMEASURED, host=MX2)),
        D.UNMEASURED,
    ),
    "one of two, and the other is beyond the cap": (
        dane(MATCHING, HostEvidence(host=MX2)),
        D.UNMEASURED,
    ),
    "unusable beside none": (
        dane(dane_host(D.UNUSABLE, records=(NOT_FOR_SMTP,)), WITHOUT),
        D.UNUSABLE,
    ),
    "insecure beside none": (dane(dane_host(D.MATCH, signed=False), WITHOUT), D.INSECURE),
    "null MX": (domain(mx=NULL_MX, hosts=()), D.NONE),
    "no such domain": (domain(mx=NO_DOMAIN, hosts=()), D.NONE),
    "implicit MX without an address": (domain(mx=NO_MX, hosts=(mx_host(DOMAIN),)), D.NONE),
    "MX not known": (domain(mx=UNKNOWN_MX, hosts=()), D.UNMEASURED),
    "out of scope": (quiet(), None),
    "out of scope, null MX": (quiet(mx=NULL_MX, hosts=()), None),
    "out of scope, MX not known": (quiet(mx=UNKNOWN_MX, hosts=()), None),
    "not looked up": (domain(hosts=(HostEvidence(host=MX1),)), None),
    "MX not asked": (domain(mx=None, hosts=()), None),
}


def test_every_dane_outcome_has_a_case() -> None:
    assert {outcome for _, outcome in DANE.values()} == {*DaneOutcome, None}


@pytest.mark.parametrize("case", DANE)
def test_dane_outcome(case: str) -> None:
    evidence, outcome = DANE[case]
    assert judged(evidence).dane_outcome is outcome
