"""One domain's evidence in, one judged row out.

What the judged columns mean is said in ``JUDGEMENT.md``.  Nothing here decides anything: the columns
come from ``context``, ``coverage``, ``dane`` and ``outcome``, the findings from ``rules``; most
domains of a list take the short path of ``quiet``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from crawler.assessment.context import Context, context_of
from crawler.assessment.coverage import HostState
from crawler.assessment.evidence import DomainEvidence
from crawler.assessment.lookups import shows_sign
from crawler.assessment.outcome import Standing, misconfigured, sender_outcome
from crawler.assessment.quiet import Silence, silence_of
from crawler.assessment.relation import Registrable
from crawler.assessment.rules import CHAPTERS, RULES, RULES_VERSION
from crawler.records import Assessment, CatalogueEntry

__all__ = ["assess", "assess_in_full", "catalogue", "shows_sign"]

_JUDGED: Final = tuple(c.name for c in fields(Assessment) if c.name not in ("scan_id", "domain"))


def assess(evidence: DomainEvidence, registrable: Registrable, *, scan_id: str) -> Assessment:
    """Judge one domain; the same evidence always gives the same row.  Never raises.

    *registrable* gives the registrable domain of a name by a public suffix list, ``None`` for a
    public suffix; it is asked only about MX hosts that no pattern covers.
    """
    silence = silence_of(evidence)
    if silence is None:
        return assess_in_full(evidence, registrable, scan_id=scan_id)
    return Assessment(scan_id=scan_id, domain=evidence.domain, **_of_silence(silence))


@lru_cache(maxsize=4_096)  # each a way to be silent at some operator
def _of_silence(silence: Silence) -> Mapping[str, Any]:
    """The judged columns of every domain that is silent in the same way."""
    row = assess_in_full(silence.example, lambda _: None, scan_id="")
    return MappingProxyType({name: getattr(row, name) for name in _JUDGED})


def assess_in_full(
    evidence: DomainEvidence, registrable: Registrable, *, scan_id: str
) -> Assessment:
    """``assess`` without its short path."""
    context = context_of(evidence, registrable)
    standing = _standing(context)
    policy, coverage = context.policy, context.coverage
    return Assessment(
        scan_id=scan_id,
        domain=evidence.domain,
        record_outcome=context.record_outcome,
        record_id=context.record_id,
        policy_outcome=context.policy_outcome,
        policy_lenient=context.judged_body.lenient if context.judged_body else None,
        mode=standing.mode,
        max_age=policy.max_age if policy else None,
        policy_mx=policy.mx if policy else (),
        mx_total=coverage.total,
        mx_covered=standing.mx_covered,
        mx_passing=standing.mx_passing,
        mx_failing=standing.mx_failing,
        mx_unmeasured=coverage.count(HostState.UNKNOWN),
        misconfigured=misconfigured(standing),
        sender_outcome=sender_outcome(standing),
        tlsrpt_outcome=context.tlsrpt_outcome,
        dane_outcome=context.dane,
        findings=tuple(findings(context)),
        rules_version=RULES_VERSION,
    )


def catalogue(scan_id: str) -> list[CatalogueEntry]:
    """Everything the rules can say, in the order of the table."""
    return [
        CatalogueEntry(
            scan_id=scan_id,
            id=rule.id,
            severity=rule.severity,
            result_type=rule.result_type,
            sentence=rule.sentence,
            fix=rule.fix,
            section=rule.section,
            rules_version=RULES_VERSION,
        )
        for rule in RULES
    ]


def findings(context: Context) -> Iterator[str]:
    """The ids of the rules that hold, in the order of the table."""
    for chapter in CHAPTERS:
        if chapter.applies(context):
            for rule in chapter.rules:
                if rule.holds(context):
                    yield rule.id


def _standing(context: Context) -> Standing:
    coverage = context.coverage
    return Standing(
        record_outcome=context.record_outcome,
        policy_outcome=context.policy_outcome,
        mode=context.policy.mode if context.policy else None,
        mx_total=coverage.total,
        mx_covered=None if coverage.covered is None else sum(coverage.covered),
        mx_passing=coverage.count(HostState.PASSING),
        mx_failing=coverage.count(HostState.FAILING),
        shows_bad_certificate=context.mail.hosts_with_bad_certificate > 0,
    )
