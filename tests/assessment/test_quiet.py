"""The short path gives the row that the long way gives, and only quiet domains take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.assessment.assess import assess, assess_in_full, shows_sign
from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.assessment.quiet import silence_of
from crawler.records import MxLookup, Tlsa, TxtLookup
from crawler.vocabulary import CertificateProblem, DaneOutcome, DnsStatus, MailOutcome, TxtKind
from tests import rows
from tests.assessment.domains import (
    DOMAIN,
    MX1,
    V4,
    domain,
    fetched,
    mx_host,
    passing,
    quiet,
    registrable,
    seen,
    sts,
    tlsrpt,
)

TARGETS = (MX1, "mx2.example.com", DOMAIN, "192.0.2.1", "_a.example", "com", "")
OTHER = "other.example"

PINNED = Tlsa(usage=2, selector=0, matching_type=1, data=bytes(32))
SIGNED: dict[str, Any] = {
    "tlsa": rows.tlsa(MX1, status=DnsStatus.NOERROR, authenticated=True, records=(PINNED,)),
    "authenticated": True,
}
POOL: dict[str, Sequence[HostEvidence]] = {
    name: (
        HostEvidence(host=name),
        mx_host(name),
        mx_host(name, seen(name)),
        mx_host(name, seen(name, V4, MailOutcome.CERTIFICATE, CertificateProblem.EXPIRED)),
        mx_host(name, seen(name, dane=DaneOutcome.MISMATCH), **SIGNED),
        mx_host(name, seen(name, dane=DaneOutcome.MISMATCH, dane_names=(OTHER,)), **SIGNED),
    )
    for name in TARGETS
}
"""What may be known of each host; domains share it, as they do in a scan."""

targets = st.sampled_from(TARGETS)
statuses = st.sampled_from([DnsStatus.NOERROR, DnsStatus.NXDOMAIN, DnsStatus.NO_ANSWER, *DnsStatus])
strings = st.sampled_from([(b"v=spf1 -all",), (b"v=STSv1; id=1;",), (b"v=TLSRPTv1;",), (b"",)])


def txt(kind: TxtKind) -> st.SearchStrategy[TxtLookup]:
    """A TXT answer, mostly empty."""
    return st.builds(
        lambda status, records, chain: rows.txt(
            DOMAIN, *records, kind=kind, status=status, cname_chain=chain
        ),
        statuses,
        st.just([]) | st.just([]) | st.lists(strings, max_size=2),
        st.just(()) | st.just(()) | st.just(("alias.example",)),
    )


mx_lookups: st.SearchStrategy[MxLookup] = st.builds(
    lambda hosts, null_mx, columns: rows.mx(DOMAIN, *hosts, null_mx=null_mx, **columns),
    st.lists(st.tuples(st.integers(0, 2), targets), max_size=3),
    st.booleans(),
    st.fixed_dictionaries({"authenticated": st.booleans()}, optional={"status": statuses}),
)


@st.composite
def silent(draw: st.DrawFn) -> DomainEvidence:
    """Domains around the border between quiet and not."""
    mx = draw(st.none() | mx_lookups)
    named = [host.host for host in mx.hosts] if mx and mx.hosts else [DOMAIN]
    hosts = tuple(draw(st.sampled_from(POOL[name])) for name in named if draw(st.booleans()))
    return DomainEvidence(
        domain=draw(st.sampled_from([DOMAIN, OTHER])),
        mail_in_scope=draw(st.booleans()),
        sts=draw(st.none() | txt(TxtKind.MTA_STS)),
        tlsrpt=draw(st.none() | txt(TxtKind.TLS_RPT)),
        mx=mx,
        hosts=hosts,
    )


@given(silent())
@settings(max_examples=300)
def test_the_short_path_leads_to_the_same_row(evidence: DomainEvidence) -> None:
    row = assess(evidence, registrable, scan_id=rows.SCAN_ID)
    assert row == assess_in_full(evidence, registrable, scan_id=rows.SCAN_ID)


@given(silent())
@settings(max_examples=300)
def test_no_domain_with_a_sign_takes_it(evidence: DomainEvidence) -> None:
    if shows_sign(evidence.sts, evidence.tlsrpt):
        assert silence_of(evidence) is None


# What makes a domain worth the long way.
LOUD: dict[str, Any] = {
    "a record": {"sts": sts(b"v=STSv1; id=1;")},
    "an unrelated string": {"sts": sts(b"v=spf1 -all")},
    "an alias": {"sts": sts(cname_chain=("gone.example",))},
    "a TLSRPT record": {"tlsrpt": tlsrpt(b"v=TLSRPTv1; rua=mailto:a@b.example")},
    "an alias at _smtp._tls": {"tlsrpt": tlsrpt(cname_chain=("gone.example",))},
    "a Policy Host that was looked up": {"policy_addresses": rows.addresses("mta-sts.a.example")},
    "a policy that was fetched": {"fetches": (fetched(),)},
    "an MX host whose certificate may have to bear the domain's name": {
        "hosts": (mx_host(MX1, seen(dane=DaneOutcome.MISMATCH, dane_names=(OTHER,))),)
    },
}


@pytest.mark.parametrize("case", LOUD)
def test_who_shows_anything_does_not_take_it(case: str) -> None:
    assert silence_of(quiet(**LOUD[case])) is None


def test_who_publishes_nothing_takes_it() -> None:
    assert silence_of(quiet()) is not None
    assert silence_of(quiet(hosts=passing(MX1), mail_in_scope=True)) is not None
    assert silence_of(domain()) is None


def test_domains_that_are_silent_alike_are_judged_alike_but_for_their_names() -> None:
    one = quiet(hosts=passing(MX1), mail_in_scope=True)
    other = replace(one, domain=OTHER)
    assert silence_of(one) == silence_of(other)
    assert assess(other, registrable, scan_id="a") == replace(
        assess(one, registrable, scan_id="b"), domain=OTHER, scan_id="a"
    )


def test_hosts_of_which_the_same_is_known_are_two_all_the_same() -> None:
    one, other = (quiet(hosts=passing(MX1), mail_in_scope=True) for _ in range(2))
    assert silence_of(one) != silence_of(other)


@given(silent(), st.data())
@settings(max_examples=300)
def test_whatever_silence_does_not_heed_changes_no_row(
    one: DomainEvidence, data: st.DataObject
) -> None:
    """A neighbour that differs in one part is silent in another way, or judged the same."""
    part = data.draw(st.sampled_from(["domain", "mail_in_scope", "sts", "tlsrpt", "mx", "hosts"]))
    other = replace(one, **{part: getattr(data.draw(silent()), part)})
    silence = silence_of(one)
    if silence is not None and silence == silence_of(other):
        row = assess_in_full(one, registrable, scan_id=rows.SCAN_ID)
        assert assess_in_full(other, registrable, scan_id=rows.SCAN_ID) == replace(
            row, domain=other.domain
        )


def test_hosts_are_worth_another_thing_behind_an_mx_answer_that_is_not_signed() -> None:
    def dane(*, signed: bool) -> DaneOutcome | None:
        answer = rows.mx(DOMAIN, (10, MX1), authenticated=signed)
        evidence = quiet(mx=answer, hosts=(POOL[MX1][4],), mail_in_scope=True)
        assert silence_of(evidence) is not None
        return assess(evidence, registrable, scan_id=rows.SCAN_ID).dane_outcome

    assert [dane(signed=True), dane(signed=False)] == [DaneOutcome.MISMATCH, DaneOutcome.INSECURE]
