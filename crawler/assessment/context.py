"""Everything the rules look at, worked out once per domain.

A rule is a condition over this record and nothing else.  The record and policy are read by
``protocol``; this module only puts the readings of one domain side by side, so that a condition
is a line that a person can check against its section.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crawler.assessment.coverage import Coverage, mx_coverage
from crawler.assessment.dane import dane_outcome, host_dane
from crawler.assessment.evidence import DomainEvidence
from crawler.assessment.lookups import ABSENCE, has_address
from crawler.assessment.mail import MailFacts, mail_facts
from crawler.assessment.relation import Registrable
from crawler.protocol import sts_record, tlsrpt
from crawler.records import PolicyFetch, PolicyVerdict, TxtLookup
from crawler.vocabulary import (
    DaneOutcome,
    DnsStatus,
    IoStatus,
    PolicyOutcome,
    RecordOutcome,
    TlsRptOutcome,
)

RECORD_EXISTS: Final = frozenset(
    {RecordOutcome.VALID, RecordOutcome.MULTIPLE, RecordOutcome.SYNTAX}
)

BODY_JUDGED: Final = frozenset({PolicyOutcome.SYNTAX, PolicyOutcome.VALID})


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One domain's evidence with what was read out of it."""

    evidence: DomainEvidence
    registrable: Registrable
    record_outcome: RecordOutcome
    record_id: str | None
    record_problems: tuple[str, ...]
    policy_outcome: PolicyOutcome
    fetch: PolicyFetch | None
    """The fetch from the chosen address."""
    verdict: PolicyVerdict | None
    """Its verdict."""
    tlsrpt_outcome: TlsRptOutcome
    tlsrpt_problems: tuple[str, ...]
    coverage: Coverage
    mail: MailFacts
    host_dane: tuple[DaneOutcome | None, ...]
    """DANE of each candidate host, in the order of ``coverage.hosts``."""
    dane: DaneOutcome | None
    """DANE over all of them."""

    @property
    def policy(self) -> PolicyVerdict | None:
        """The verdict again, where the policy is valid."""
        return self.verdict if self.policy_outcome is PolicyOutcome.VALID else None

    @property
    def judged_body(self) -> PolicyVerdict | None:
        """The verdict again, where it was reached by reading a policy file."""
        return self.verdict if self.policy_outcome in BODY_JUDGED else None

    @property
    def record_exists(self) -> bool:
        """Whether the domain publishes something that is, or was meant as, a record."""
        return self.record_outcome in RECORD_EXISTS


def context_of(evidence: DomainEvidence, registrable: Registrable) -> Context:
    """Read one domain's evidence."""
    record_outcome, record_id, record_problems = _read_record(evidence.sts)
    tlsrpt_outcome, tlsrpt_problems = _read_tlsrpt(evidence.tlsrpt)
    fetch, verdict = _chosen(evidence)
    outcome = _policy_outcome(record_outcome, evidence, verdict)
    patterns = verdict.mx if verdict is not None and outcome is PolicyOutcome.VALID else ()
    coverage = mx_coverage(evidence, patterns)
    per_host = tuple(host_dane(evidence, host) for host in coverage.hosts)
    return Context(
        evidence=evidence,
        registrable=registrable,
        record_outcome=record_outcome,
        record_id=record_id,
        record_problems=record_problems,
        policy_outcome=outcome,
        fetch=fetch,
        verdict=verdict,
        tlsrpt_outcome=tlsrpt_outcome,
        tlsrpt_problems=tlsrpt_problems,
        coverage=coverage,
        mail=mail_facts(coverage.hosts),
        host_dane=per_host,
        dane=dane_outcome(evidence, per_host),
    )


def _read_record(lookup: TxtLookup | None) -> tuple[RecordOutcome, str | None, tuple[str, ...]]:
    """RFC 8461 section 3.1, with what DNS said about the name."""
    if lookup is not None and lookup.status in ABSENCE:
        return RecordOutcome.ABSENT, None, ()
    if lookup is None or lookup.status is not DnsStatus.NOERROR:
        return RecordOutcome.UNMEASURED, None, ()
    record = sts_record.select(lookup.records)
    return RecordOutcome(record.outcome), record.id, tuple(record.problems)


def _read_tlsrpt(lookup: TxtLookup | None) -> tuple[TlsRptOutcome, tuple[str, ...]]:
    """RFC 8460 section 3, with what DNS said about the name."""
    if lookup is not None and lookup.status in ABSENCE:
        return TlsRptOutcome.ABSENT, ()
    if lookup is None or lookup.status is not DnsStatus.NOERROR:
        return TlsRptOutcome.UNMEASURED, ()
    record = tlsrpt.select(lookup.records)
    return TlsRptOutcome(record.outcome), tuple(record.problems)


def _chosen(evidence: DomainEvidence) -> tuple[PolicyFetch | None, PolicyVerdict | None]:
    """The fetch that speaks for the policy: the first, unless we refused to dial its address."""
    dialled = (
        pair for pair in evidence.fetches if pair[0].status is not IoStatus.BLOCKLISTED_TARGET
    )
    return next(dialled, evidence.fetches[0] if evidence.fetches else (None, None))


def _policy_outcome(
    record: RecordOutcome, evidence: DomainEvidence, verdict: PolicyVerdict | None
) -> PolicyOutcome:
    """How far fetching the policy came.  RFC 8461 section 3.3: without a record nobody fetches.

    Where it is not known whether there is a record, the policy is judged if it was asked for.
    """
    if record is RecordOutcome.ABSENT:
        return PolicyOutcome.NOT_FETCHED
    if verdict is not None:
        return verdict.outcome
    if record is RecordOutcome.UNMEASURED and evidence.policy_addresses is None:
        return PolicyOutcome.NOT_FETCHED
    if has_address(evidence.policy_addresses) is False:
        return PolicyOutcome.DNS
    return PolicyOutcome.UNMEASURED
