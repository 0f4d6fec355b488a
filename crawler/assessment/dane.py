"""What DANE for SMTP makes of a domain's MX hosts (RFC 7672).

A session was already held against the TLSA records of its host (``sessions``).  Two things are
only known per domain and are added here: DANE needs the MX answer and the address answer to be
authenticated as well (RFC 7672 sections 2.1 and 2.2), and a usage 2 match may also meet the
next-hop domain's name (RFC 7672 section 3.2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crawler.assessment.coverage import mx_targets
from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.assessment.lookups import has_address
from crawler.assessment.sessions import published_dane
from crawler.protocol.certificate import dns_id_matches
from crawler.records import MailVerdict
from crawler.vocabulary import DaneOutcome, DnsStatus

_LESSER: Final = (DaneOutcome.UNUSABLE, DaneOutcome.INSECURE, DaneOutcome.NONE)
"""What a domain is when no host was held against a TLSA record: the first that any host has."""


def dane_outcome(
    evidence: DomainEvidence, hosts: Sequence[DaneOutcome | None]
) -> DaneOutcome | None:
    """DANE over the MX hosts from that of each; ``None`` when it was out of scope.

    A host that was not looked up while others were (beyond the cap) is unmeasured: skipped by
    us is not the same as having no TLSA record.
    """
    targets = mx_targets(evidence.mx, evidence.domain)
    if evidence.mx is None or not evidence.mail_in_scope:
        return None
    if targets is None:
        return DaneOutcome.UNMEASURED
    if not targets or not hosts:
        return DaneOutcome.NONE
    if all(outcome is None for outcome in hosts):
        return None
    if DaneOutcome.MISMATCH in hosts:
        return DaneOutcome.MISMATCH
    if DaneOutcome.UNMEASURED in hosts or None in hosts:
        return DaneOutcome.UNMEASURED
    if DaneOutcome.MATCH in hosts:
        return DaneOutcome.MATCH if set(hosts) == {DaneOutcome.MATCH} else DaneOutcome.PARTIAL
    return next(outcome for outcome in _LESSER if outcome in hosts)


def host_dane(evidence: DomainEvidence, host: HostEvidence) -> DaneOutcome | None:
    """DANE of one MX host for this domain; ``None`` when its TLSA records were not asked for."""
    if host.tlsa is None:
        return None
    published = published_dane(host.tlsa)
    if published in (DaneOutcome.NONE, DaneOutcome.UNMEASURED):
        return published
    if has_address(host.addresses) is None:
        return DaneOutcome.UNMEASURED
    if not is_signed(evidence, host):
        return DaneOutcome.INSECURE
    if published is not None:
        return published
    return _all_addresses([_for_next_hop(verdict, evidence) for verdict in host.verdicts])


def is_signed(evidence: DomainEvidence, host: HostEvidence) -> bool:
    """Whether DNSSEC leads from the MX answer to the host's address answer."""
    # RFC 7672 sections 2.2.1 and 2.2.2: otherwise an attacker could have named the host, so its TLSA
    # records prove nothing, and a sender does not even ask for them.
    answers = (evidence.mx, host.addresses)
    return all(answer is not None and bool(answer.authenticated) for answer in answers)


def keeps_senders_waiting(evidence: DomainEvidence, host: HostEvidence) -> bool:
    """Whether a sender that validates DANE asked for the host's TLSA records and got SERVFAIL."""
    # RFC 7672 section 2.1.1: what does not validate (bogus) and what cannot be had look the same
    # from behind a resolver, and a sender must not take either for "no TLSA records".
    lookup = host.tlsa
    failed = lookup is not None and lookup.status is DnsStatus.SERVFAIL
    return failed and is_signed(evidence, host)


def _for_next_hop(verdict: MailVerdict, evidence: DomainEvidence) -> DaneOutcome:
    # RFC 7672 section 3.2.2: the next-hop domain, and what its own alias expands to, are
    # reference identifiers beside the TLSA base domain.
    if verdict.dane is not DaneOutcome.MISMATCH:
        return verdict.dane
    aliases = evidence.mx.cname_chain[-1:] if evidence.mx else ()
    names = (evidence.domain, *aliases)
    met = any(dns_id_matches(pattern, name) for pattern in verdict.dane_names for name in names)
    return DaneOutcome.MATCH if met else DaneOutcome.MISMATCH


def _all_addresses(outcomes: Sequence[DaneOutcome]) -> DaneOutcome:
    """A host matches when every address that could be measured does."""
    if DaneOutcome.MISMATCH in outcomes:
        return DaneOutcome.MISMATCH
    return DaneOutcome.MATCH if DaneOutcome.MATCH in outcomes else DaneOutcome.UNMEASURED
