"""The short path: domains that publish nothing of MTA-STS or TLSRPT, most of any list.

What is judged of a domain without TXT strings, aliases and fetches rests on very few values of its
own, and on its MX hosts, which are those of many: half a list has its mail at a few operators.  So
it is judged once for each combination of them, in full, and copied for every other domain that has
the same: the row is the one that the long way gives, tests hold the two together, and nothing is
decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crawler.assessment.coverage import mx_coverage
from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.assessment.mail_rules import mx_problems
from crawler.records import TxtLookup
from crawler.vocabulary import DnsStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """All that the judgement of a quiet domain rests on: equal silences are judged alike."""

    sts: DnsStatus | None
    tlsrpt: DnsStatus | None
    mx: DnsStatus | None
    mx_authenticated: bool | None
    mx_total: int | None
    mx_problems: tuple[str, ...]
    mail_in_scope: bool
    hosts: tuple[HostEvidence, ...]
    """The candidate hosts, of which two are equal when they are the same object; none at all where
    nothing is known of any."""
    example: DomainEvidence = field(compare=False)
    """A domain that is silent in this way."""


def silence_of(evidence: DomainEvidence) -> Silence | None:
    """In which way a domain is quiet; ``None`` when it shows anything that has to be looked at."""
    if evidence.policy_addresses is not None or evidence.fetches:
        return None
    if _says_something(evidence.sts) or _says_something(evidence.tlsrpt):
        return None
    coverage = mx_coverage(evidence, ())
    hosts = coverage.hosts if any(map(_has_evidence, coverage.hosts)) else ()
    if any(map(_asks_for_the_domain, hosts)):
        return None
    mx = evidence.mx
    return Silence(
        sts=evidence.sts.status if evidence.sts else None,
        tlsrpt=evidence.tlsrpt.status if evidence.tlsrpt else None,
        mx=mx.status if mx else None,
        mx_authenticated=mx.authenticated if mx else None,
        mx_total=coverage.total,
        mx_problems=mx_problems(mx),
        mail_in_scope=evidence.mail_in_scope,
        hosts=hosts,
        example=evidence,
    )


def _says_something(lookup: TxtLookup | None) -> bool:
    """It has a string or an alias, be it a sign of MTA-STS or TLSRPT or not."""
    return lookup is not None and bool(lookup.records or lookup.cname_chain)


def _has_evidence(host: HostEvidence) -> bool:
    return host.addresses is not None or host.tlsa is not None or bool(host.verdicts)


def _asks_for_the_domain(host: HostEvidence) -> bool:
    """Its TLSA records match if its certificate bears the domain's name (RFC 7672 section 3.2.2)."""
    return any(verdict.dane_names for verdict in host.verdicts)
