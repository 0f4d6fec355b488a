"""The short path: domains that show nothing at all, most of any list.

What is judged of a domain without TXT strings, aliases, fetches and evidence of its MX hosts
rests on very few values.  So it is judged once for each combination of them, in full, and
copied for every other domain that has the same: the row is the one that the long way gives, a
test holds the two together, and nothing is decided here.
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
    mx_total: int | None
    mx_problems: tuple[str, ...]
    mail_in_scope: bool
    example: DomainEvidence = field(compare=False)
    """A domain that is silent in this way."""


def silence_of(evidence: DomainEvidence) -> Silence | None:
    """In which way a domain is quiet; ``None`` when it shows anything that has to be looked at."""
    if evidence.policy_addresses is not None or evidence.fetches:
        return None
    if _says_something(evidence.sts) or _says_something(evidence.tlsrpt):
        return None
    if any(map(_has_evidence, evidence.hosts)):
        return None
    coverage = mx_coverage(evidence, ())
    return Silence(
        sts=evidence.sts.status if evidence.sts else None,
        tlsrpt=evidence.tlsrpt.status if evidence.tlsrpt else None,
        mx=evidence.mx.status if evidence.mx else None,
        mx_total=coverage.total,
        mx_problems=mx_problems(evidence.mx),
        mail_in_scope=evidence.mail_in_scope,
        example=evidence,
    )


def _says_something(lookup: TxtLookup | None) -> bool:
    """It has a string or an alias, be it a sign of MTA-STS or TLSRPT or not."""
    return lookup is not None and bool(lookup.records or lookup.cname_chain)


def _has_evidence(host: HostEvidence) -> bool:
    return host.addresses is not None or host.tlsa is not None or bool(host.verdicts)
