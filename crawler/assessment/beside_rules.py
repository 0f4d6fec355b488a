"""Findings about what stands beside MTA-STS: TLS reports (RFC 8460) and DANE (RFC 7672).

A sender that validates DANE gives it precedence over MTA-STS (RFC 8461 section 2), so a DANE
failure refuses mail that the policy would let pass.
"""

from __future__ import annotations

from typing import Final

from crawler.assessment.context import Context
from crawler.assessment.coverage import HostState
from crawler.assessment.dane import keeps_senders_waiting
from crawler.assessment.rule import Chapter, Condition, Rule
from crawler.vocabulary import DaneOutcome, ResultType, Severity, TlsRptOutcome

_REPORTS: Final = "RFC 8460 section 3"


def _dane(outcome: DaneOutcome) -> Condition:
    return lambda context: context.dane is outcome


def _contradict(context: Context) -> bool:
    """Some MX host passes under the policy, and a usable TLSA record of it fails."""
    pairs = zip(context.coverage.states or (), context.host_dane, strict=False)
    return (HostState.PASSING, DaneOutcome.MISMATCH) in pairs


def _bogus(context: Context) -> bool:
    """Some MX host keeps senders that validate DANE waiting."""
    return any(keeps_senders_waiting(context.evidence, host) for host in context.coverage.hosts)


REPORTS: Final = Chapter(
    applies=lambda _: True,
    rules=(
        Rule(
            id="rpt-missing",
            severity=Severity.WARNING,
            holds=lambda c: c.record_exists and c.tlsrpt_outcome is TlsRptOutcome.ABSENT,
            sentence="The domain uses MTA-STS without asking for TLS reports (TLSRPT), so its owner "
            "does not learn of deliveries that fail.",
            fix="Publish a TXT record at _smtp._tls, such as v=TLSRPTv1; rua=mailto: followed by an "
            "address that somebody reads.",
            section=_REPORTS,
        ),
        Rule(
            id="rpt-invalid",
            severity=Severity.WARNING,
            holds=lambda c: c.tlsrpt_outcome in (TlsRptOutcome.MULTIPLE, TlsRptOutcome.SYNTAX),
            sentence="The TLSRPT record at _smtp._tls breaks the rules, or there is more than one, so "
            "no reports are sent.",
            fix="Keep exactly one record that begins with v=TLSRPTv1; and give its rua as a URI, "
            "that is with mailto: or https:// in front.",
            section=_REPORTS,
        ),
        Rule(
            id="rpt-scheme",
            severity=Severity.WARNING,
            holds=lambda c: "unsupported-scheme" in c.tlsrpt_problems,
            sentence="The TLSRPT record asks for reports by a kind of URI that senders do not "
            "support.",
            fix="Use mailto: or https:// URIs in rua.",
            section=_REPORTS,
        ),
    ),
)

DANE: Final = Chapter(
    applies=lambda c: c.dane is not None,
    rules=(
        Rule(
            id="dane-conflict",
            severity=Severity.REFUSED,
            holds=_contradict,
            sentence="An MX host passes under the MTA-STS policy, but fails its own TLSA records. "
            "Senders that validate DANE heed those and refuse to deliver.",
            fix="Bring the TLSA records into line with the certificate in use, and publish new ones "
            "before each change of key.",
            section="RFC 8461 section 2",
            result_type=ResultType.VALIDATION_FAILURE,
        ),
        Rule(
            id="dane-mismatch",
            severity=Severity.REFUSED,
            holds=_dane(DaneOutcome.MISMATCH),
            sentence="An MX host does not present what its TLSA records announce, so senders that "
            "validate DANE refuse to deliver to it.",
            fix="Publish TLSA records for the certificate or key in use; keep the old ones until "
            "they have expired from caches, and publish new ones before they are needed.",
            section="RFC 7672 section 2.2",
            result_type=ResultType.VALIDATION_FAILURE,
        ),
        Rule(
            id="dane-bogus",
            severity=Severity.UNMEASURED,
            holds=_bogus,
            sentence="The zones on the way to an MX host are signed, but its TLSA records cannot be "
            "had: the resolver answers SERVFAIL, as it does when signatures do not validate. Senders "
            "that validate DANE keep mail for that host back.",
            fix="If this persists, check the DNSSEC signatures below _25._tcp of the MX host, also "
            "those that deny its existence, and that all name servers answer TLSA questions.",
            section="RFC 7672 section 2.1.1, RFC 7672 section 2.2",
            result_type=ResultType.DNSSEC_INVALID,
        ),
        Rule(
            id="dane-unusable",
            severity=Severity.WARNING,
            holds=_dane(DaneOutcome.UNUSABLE),
            sentence="The TLSA records of the MX hosts cannot be used for mail: they have a usage, "
            "selector or matching type that senders do not support, or data of the wrong length.",
            fix="Publish TLSA records of the form 3 1 1 (the host's key) or 2 1 1 (an issuer's key), "
            "with a SHA-256 digest.",
            section="RFC 7672 section 3.1",
            result_type=ResultType.TLSA_INVALID,
        ),
        Rule(
            id="dane-insecure",
            severity=Severity.NOTE,
            holds=_dane(DaneOutcome.INSECURE),
            sentence="The MX hosts have TLSA records, but not all DNS answers on the way to them are "
            "signed (DNSSEC), so senders ignore them.",
            fix="Sign the zones of the domain and of its MX hosts; until then the TLSA records do "
            "neither harm nor good.",
            section="RFC 7672 section 2.2.1",
        ),
    ),
)
