"""What holds of every assessment, whatever the evidence: generated rows, plausible and not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.assessment.rules import RULES
from crawler.records import Assessment, MailVerdict, PolicyFetch, PolicyVerdict, Tlsa
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
    Stage,
    TlsWeakness,
    TxtKind,
)
from tests import rows
from tests.assessment.domains import DOMAIN, judged

IDS = [rule.id for rule in RULES]
UNCOUNTED = (None, None, None, None)


def one_of(vocabulary: Any) -> Any:
    """Any word, the most usual ones most often."""
    first = next(iter(vocabulary))
    return st.one_of(st.just(first), st.sampled_from(list(vocabulary)))


names = st.sampled_from(
    [
        DOMAIN,
        "mx1.example.com",
        "a.b.example.com",
        "mx1.example.org",
        "mx.exmaple.com",
        "aspmx.l.google.com",
        "aspmx2.googlemail.com",
        "192.0.2.1",
        "_under.example.com",
        "com",
        "not a name",
        "",
    ]
)
patterns = st.sampled_from(
    ["mx1.example.com", "*.example.com", "*.google.com", "mta-sts.example.com", "mx.example.net"]
)
statuses = one_of(DnsStatus)
aliases = st.lists(names, max_size=2).map(tuple)
maybe = st.sampled_from([None, True, False])
problems = st.lists(st.sampled_from(CertificateProblem), max_size=2, unique=True).map(tuple)
weaknesses = st.lists(st.sampled_from(TlsWeakness), max_size=2, unique=True).map(tuple)
others = st.lists(st.sampled_from(["postfix", "boringssl"]), max_size=1).map(tuple)
addresses = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"])

strings = st.one_of(
    st.sampled_from(
        [
            b"v=STSv1; id=1;",
            b"v=STSv1; id=2; id=3",
            b"v=STSv1;",
            b"v=stsv1; id=1",
            b"v=TLSRPTv1; rua=mailto:a@b.example",
            b"v=TLSRPTv1; rua=ftp://b.example",
            b"v=TLSRPTv1;",
            b"v=spf1 -all",
        ]
    ),
    st.binary(max_size=20),
)


def txt(kind: TxtKind) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda records, status, chain: rows.txt(
            DOMAIN, *records, kind=kind, status=status, cname_chain=chain
        ),
        st.lists(st.lists(strings, min_size=1, max_size=2).map(tuple), max_size=3),
        statuses,
        aliases,
    )


mx_lookups = st.builds(
    lambda hosts, columns: rows.mx(DOMAIN, *hosts, **columns),
    st.lists(st.tuples(st.integers(0, 3), names), max_size=4),
    st.fixed_dictionaries(
        {"authenticated": maybe, "cname_chain": aliases}, optional={"status": statuses}
    ),
)

address_lookups = st.builds(
    lambda host, found, columns: rows.addresses(host, *found, **columns),
    names,
    st.lists(addresses, max_size=3, unique=True),
    st.fixed_dictionaries(
        {"authenticated": maybe, "cname_chain": aliases},
        optional={"status_ipv4": statuses, "status_ipv6": statuses},
    ),
)

tlsa_records = st.builds(
    Tlsa,
    usage=st.integers(0, 4),
    selector=st.integers(0, 2),
    matching_type=st.integers(0, 3),
    data=st.sampled_from([b"", bytes(32), bytes(64)]),
)
tlsa_lookups = st.builds(
    lambda host, columns: rows.tlsa(host, **columns),
    names,
    st.fixed_dictionaries(
        {
            "status": statuses,
            "authenticated": maybe,
            "records": st.lists(tlsa_records, max_size=2).map(tuple),
        }
    ),
)

mail_verdicts = st.builds(
    MailVerdict,
    scan_id=st.just(rows.SCAN_ID),
    host=names,
    address=addresses,
    attempt=st.just(1),
    outcome=one_of(MailOutcome),
    dane=st.sampled_from(sorted(set(DaneOutcome) - {DaneOutcome.PARTIAL})),
    dane_names=st.lists(names, max_size=2).map(tuple),
    certificate_problems=problems,
    tls_weaknesses=weaknesses,
    refusing_senders=others,
    unoffered_by=others,
)

fetches = st.builds(
    lambda address, columns: rows.fetch(DOMAIN, address, **columns),
    addresses,
    st.fixed_dictionaries(
        {
            "status": one_of(IoStatus),
            "stage": st.sampled_from([None, *Stage]),
            "http_status": st.sampled_from([None, 200, 204, 301, 403, 404, 429, 500]),
            "tls_version": st.sampled_from([None, "TLSv1", "TLSv1.2", "TLSv1.3"]),
            "tls_alert": st.sampled_from([None, "unrecognized_name"]),
        }
    ),
)


@st.composite
def judged_fetches(draw: st.DrawFn) -> tuple[PolicyFetch, PolicyVerdict]:
    """A fetch and a verdict that hang together no further than their types do."""
    fetch = draw(fetches)
    outcome = draw(st.sampled_from([PolicyOutcome.VALID, PolicyOutcome.VALID, *PolicyOutcome]))
    valid = outcome is PolicyOutcome.VALID
    verdict = PolicyVerdict(
        scan_id=rows.SCAN_ID,
        domain=DOMAIN,
        host=fetch.host,
        address=fetch.address,
        attempt=1,
        outcome=outcome,
        lenient=draw(maybe),
        mode=draw(st.sampled_from(Mode)) if valid else None,
        max_age=draw(st.integers(0, 31_557_600)) if valid else None,
        mx=tuple(draw(st.lists(patterns, max_size=3))) if valid else (),
        problems=tuple(draw(st.lists(st.sampled_from(["html", "mode", "media-type"]), max_size=2))),
        certificate_problems=draw(problems),
        tls_weaknesses=draw(weaknesses),
        refusing_senders=draw(others),
        unoffered_by=draw(others),
    )
    return fetch, verdict


hosts = st.builds(
    HostEvidence,
    host=names,
    addresses=st.none() | address_lookups,
    tlsa=st.none() | tlsa_lookups,
    verdicts=st.lists(mail_verdicts, max_size=3).map(tuple),
)


@st.composite
def evidence(draw: st.DrawFn) -> DomainEvidence:
    """Anything that the types allow; the hosts mostly, but not always, those of the MX answer."""
    mx = draw(st.none() | mx_lookups)
    named = [host.host for host in mx.hosts] if mx and mx.hosts else [DOMAIN]
    of_mx = [draw(st.builds(_renamed, hosts, st.just(name))) for name in named]
    return DomainEvidence(
        domain=DOMAIN,
        mail_in_scope=draw(st.booleans()),
        sts=draw(st.none() | txt(TxtKind.MTA_STS)),
        tlsrpt=draw(st.none() | txt(TxtKind.TLS_RPT)),
        mx=mx,
        policy_addresses=draw(st.none() | address_lookups),
        fetches=tuple(draw(st.lists(judged_fetches(), max_size=3))),
        hosts=tuple(draw(st.one_of(st.just(of_mx), st.lists(hosts, max_size=3)))),
    )


def _renamed(host: HostEvidence, name: str) -> HostEvidence:
    return HostEvidence(host=name, addresses=host.addresses, tlsa=host.tlsa, verdicts=host.verdicts)


def counts(row: Assessment) -> tuple[int | None, ...]:
    return row.mx_covered, row.mx_passing, row.mx_failing, row.mx_unmeasured


@given(evidence())
@settings(max_examples=200)
def test_no_evidence_is_too_odd_to_be_judged(domain: DomainEvidence) -> None:
    row = judged(domain)
    assert {field.name for field in fields(row)} >= {"findings", "rules_version"}
    assert row == judged(domain)


@given(evidence())
def test_counts_add_up(domain: DomainEvidence) -> None:
    row = judged(domain)
    if row.mx_covered is None:
        assert counts(row) == UNCOUNTED
        return
    assert row.mx_total is not None
    assert row.mx_passing is not None
    assert row.mx_failing is not None
    assert row.mx_unmeasured is not None
    assert row.mx_covered <= row.mx_total
    assert row.mx_passing + row.mx_failing + row.mx_unmeasured == row.mx_total
    assert row.mx_passing + row.mx_unmeasured <= row.mx_covered
    assert row.policy_mx
    assert row.policy_outcome is PolicyOutcome.VALID


@given(evidence())
def test_columns_of_a_policy_are_there_when_there_is_one(domain: DomainEvidence) -> None:
    row = judged(domain)
    valid = row.policy_outcome is PolicyOutcome.VALID
    assert (row.mode is not None) is valid
    assert (row.max_age is not None) is valid
    assert valid or not row.policy_mx
    if row.record_outcome is RecordOutcome.ABSENT:
        assert row.policy_outcome is PolicyOutcome.NOT_FETCHED
    assert (row.record_id is not None) is (row.record_outcome is RecordOutcome.VALID)


def _shows_bad_certificate(domain: DomainEvidence, row: Assessment) -> bool:
    """From the verdicts of the hosts that the MX answer names."""
    if not row.mx_total and row.mx_total is not None:
        return False
    mx = domain.mx
    if mx is None or mx.status not in (DnsStatus.NOERROR, DnsStatus.NO_ANSWER):
        return False
    answered = mx.status is DnsStatus.NOERROR and mx.hosts
    candidates = {h.host for h in mx.hosts} - {""} if answered else {DOMAIN}
    last = {host.host: host for host in domain.hosts}
    return any(
        v.outcome is MailOutcome.CERTIFICATE
        or (v.outcome is not MailOutcome.UNMEASURED and v.certificate_problems)
        for name in candidates & set(last)
        for v in last[name].verdicts
    )


@given(evidence())
def test_misconfigured_derived_anew(domain: DomainEvidence) -> None:
    """``JUDGEMENT.md``, word by word, from the other columns and the verdicts."""
    row = judged(domain)
    if row.record_outcome is RecordOutcome.UNMEASURED:
        assert row.misconfigured is None
    elif row.record_outcome is RecordOutcome.ABSENT:
        assert row.misconfigured is False
    else:
        reasons = [
            row.record_outcome in ("multiple", "syntax"),
            row.policy_outcome in ("dns", "tcp", "tls", "http", "syntax"),
            row.mode in ("testing", "enforce")
            and row.mx_covered is not None
            and row.mx_covered < (row.mx_total or 0),
            _shows_bad_certificate(domain, row),
        ]
        assert row.misconfigured is any(reasons)


@given(evidence())
def test_sender_outcome_derived_anew(domain: DomainEvidence) -> None:
    """``JUDGEMENT.md``: what a word implies for the columns beside it."""
    row = judged(domain)
    some, none = bool(row.mx_passing), not row.mx_passing
    implied = {
        SenderOutcome.UNMEASURED: True,
        SenderOutcome.ABSENT: row.record_outcome == "absent",
        SenderOutcome.FAIL_OPEN: row.record_outcome in ("multiple", "syntax")
        or row.policy_outcome not in ("valid", "unmeasured"),
        SenderOutcome.OFF: row.mode == "none",
        SenderOutcome.TESTING: row.mode == "testing",
        SenderOutcome.NO_MAIL: row.mode == "enforce" and row.mx_total == 0,
        SenderOutcome.PROTECTED: row.mode == "enforce" and some and not row.mx_failing,
        SenderOutcome.DEGRADED: row.mode == "enforce" and some and bool(row.mx_failing),
        SenderOutcome.REFUSED: row.mode == "enforce" and none and row.mx_failing == row.mx_total,
    }
    assert implied[row.sender_outcome]
    if row.record_outcome == "unmeasured":
        assert row.sender_outcome is SenderOutcome.UNMEASURED


@given(evidence())
def test_findings_are_a_part_of_the_table_in_its_order(domain: DomainEvidence) -> None:
    findings = judged(domain).findings
    assert list(findings) == [each for each in IDS if each in findings]


@given(evidence())
def test_exactly_one_stage_is_told_to_have_failed(domain: DomainEvidence) -> None:
    row = judged(domain)
    told = {each for each in row.findings if each in ("tls-any", "http-any", "pol-any")}
    stages = {"tls": "tls-any", "http": "http-any", "syntax": "pol-any"}
    assert told == {name for outcome, name in stages.items() if row.policy_outcome == outcome}


@given(evidence())
def test_what_is_out_of_scope_is_null(domain: DomainEvidence) -> None:
    row = judged(domain)
    if not domain.mail_in_scope or domain.mx is None:
        assert row.dane_outcome is None


TOLD_BESIDE = {
    each
    for each in IDS
    if each.endswith(
        (
            "-sender-refuses",
            "-unoffered",
            "-weak-dh",
            "-no-forward-secrecy",
            "-no-secure-renegotiation",
        )
    )
}


@given(evidence())
def test_what_other_senders_make_of_tls_changes_findings_only(domain: DomainEvidence) -> None:
    """The columns are about a sender as careful as RFC 8461 asks, and no particular one."""

    def plain(verdict: Any) -> Any:
        return replace(verdict, tls_weaknesses=(), refusing_senders=(), unoffered_by=())

    bare = replace(
        domain,
        fetches=tuple((fetch, plain(verdict)) for fetch, verdict in domain.fetches),
        hosts=tuple(
            replace(host, verdicts=tuple(map(plain, host.verdicts))) for host in domain.hosts
        ),
    )
    row = judged(domain)
    rest = tuple(each for each in row.findings if each not in TOLD_BESIDE)
    assert judged(bare) == replace(row, findings=rest)
