"""The short path gives the row that the long way gives, and only quiet domains take it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.assessment.assess import assess, assess_in_full, shows_sign
from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.assessment.quiet import silence_of
from crawler.records import MxLookup, TxtLookup
from crawler.vocabulary import DnsStatus, TxtKind
from tests import rows
from tests.assessment.domains import (
    DOMAIN,
    MX1,
    domain,
    fetched,
    mx_host,
    quiet,
    registrable,
    seen,
    sts,
    tlsrpt,
)

targets = st.sampled_from([MX1, "mx2.example.com", DOMAIN, "192.0.2.1", "_a.example", "com", ""])
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
    shown = draw(st.sampled_from([False, False, True]))
    hosts = tuple(
        mx_host(name, seen(name)) if shown else HostEvidence(host=name)
        for name in named
        if draw(st.booleans())
    )
    return DomainEvidence(
        domain=draw(st.sampled_from([DOMAIN, "other.example"])),
        mail_in_scope=draw(st.booleans()),
        sts=draw(st.none() | txt(TxtKind.MTA_STS)),
        tlsrpt=draw(st.none() | txt(TxtKind.TLS_RPT)),
        mx=mx,
        hosts=hosts,
    )


@given(silent())
@settings(max_examples=1000)
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
    "an MX host that was greeted": {"hosts": (mx_host(MX1, seen()),)},
    "an MX host that was looked up": {"hosts": (mx_host(MX1),)},
    "TLSA records": {"hosts": (HostEvidence(host=MX1, tlsa=rows.tlsa(MX1)),)},
}


@pytest.mark.parametrize("case", LOUD)
def test_who_shows_anything_does_not_take_it(case: str) -> None:
    assert silence_of(quiet(**LOUD[case])) is None


def test_who_shows_nothing_takes_it() -> None:
    assert silence_of(quiet()) is not None
    assert silence_of(domain()) is None


def test_domains_that_are_silent_alike_are_judged_alike_but_for_their_names() -> None:
    one, other = quiet(), replace(quiet(), domain="other.example")
    assert silence_of(one) == silence_of(other)
    assert assess(other, registrable, scan_id="a") == replace(
        assess(one, registrable, scan_id="b"), domain="other.example", scan_id="a"
    )
