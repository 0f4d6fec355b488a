"""What the MX hosts of a domain show, whatever a policy says about them.

The facts behind the findings of the MX hosts, gathered in one walk over their sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crawler.assessment.evidence import HostEvidence
from crawler.records import MailVerdict
from crawler.vocabulary import CertificateProblem, MailOutcome, TlsWeakness


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFacts:
    """The MX hosts of one domain at a glance; without any when they were not looked up."""

    outcomes: frozenset[MailOutcome] = frozenset()
    """Of every session."""
    problems: frozenset[CertificateProblem] = frozenset()
    """Of every chain that was shown."""
    weaknesses: frozenset[TlsWeakness] = frozenset()
    """Of every handshake that stood."""
    some_sender_refuses: bool = False
    """Some session passes, and some sender would by its defaults break its handshake off."""
    some_sender_needs_another: bool = False
    """Some session passes with what some sender does not offer by its defaults."""
    hosts: int = 0
    hosts_with_bad_certificate: int = 0
    """Hosts that show a certificate that fails, at any of their addresses."""
    some_unmeasured: bool = False
    """Of some host no session could be measured."""
    addresses_disagree: bool = False
    """Some host's addresses of one family were measured with different outcomes."""
    families_disagree: bool = False
    """Some host was measured over IPv4 and IPv6, with different outcomes."""
    some_alias: bool = False
    """Some host is an alias."""


NOTHING: Final = MailFacts()
"""Where the hosts were not looked up."""


def mail_facts(hosts: Sequence[HostEvidence]) -> MailFacts:
    """Gather the facts of a domain's candidate hosts; ``NOTHING`` when they are out of scope."""
    if not any(host.addresses is not None or host.verdicts for host in hosts):
        return NOTHING
    measured = [verdict for host in hosts for verdict in host.verdicts if _is_measured(verdict)]
    passing = [verdict for verdict in measured if verdict.outcome is MailOutcome.PASS]
    by_family = [(_outcomes(host, ipv6=False), _outcomes(host, ipv6=True)) for host in hosts]
    return MailFacts(
        outcomes=frozenset(verdict.outcome for verdict in measured),
        problems=frozenset(p for verdict in measured for p in verdict.certificate_problems),
        weaknesses=frozenset(w for verdict in measured for w in verdict.tls_weaknesses),
        some_sender_refuses=any(verdict.refusing_senders for verdict in passing),
        some_sender_needs_another=any(verdict.unoffered_by for verdict in passing),
        hosts=len(hosts),
        hosts_with_bad_certificate=sum(
            any(map(_shows_bad_certificate, host.verdicts)) for host in hosts
        ),
        some_unmeasured=any(not v4 and not v6 for v4, v6 in by_family),
        addresses_disagree=any(len(family) > 1 for pair in by_family for family in pair),
        families_disagree=any(v4 and v6 and v4 != v6 for v4, v6 in by_family),
        some_alias=any(host.addresses and host.addresses.cname_chain for host in hosts),
    )


def _is_measured(verdict: MailVerdict) -> bool:
    return verdict.outcome is not MailOutcome.UNMEASURED


def _shows_bad_certificate(verdict: MailVerdict) -> bool:
    """A certificate that fails, be it behind an old TLS version or a handshake that fails too."""
    shown = verdict.certificate_problems or verdict.outcome is MailOutcome.CERTIFICATE
    return _is_measured(verdict) and bool(shown)


def _outcomes(host: HostEvidence, *, ipv6: bool) -> set[MailOutcome]:
    """The outcomes that one family of a host was measured with."""
    return {
        verdict.outcome
        for verdict in host.verdicts
        if (":" in verdict.address) is ipv6 and _is_measured(verdict)
    }
