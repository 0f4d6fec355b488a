"""Which MX hosts a policy covers, and which of them a sender would use (RFC 8461 sections 4.1, 4.2).

Every MX host of a domain is *failing* (no pattern covers it; or one does, and everything that
was measured of it fails), *passing* (covered, and at least one of its addresses passes) or
*unknown* (covered, but nothing of it was measured).  An uncovered host fails whether or not it
was measured: a sender under the policy never connects to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.assessment.lookups import has_address
from crawler.protocol.mx_match import matches
from crawler.records import MailVerdict, MxLookup
from crawler.vocabulary import DnsStatus, MailOutcome


class HostState(StrEnum):
    """What a sender under the policy would make of an MX host."""

    PASSING = "passing"
    FAILING = "failing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """MX hosts under a policy; the ``mx_`` counts of ``JUDGEMENT.md``.

    ``hosts`` are the candidate hosts in the order of the MX answer.  ``total`` is ``None`` when
    it is not known which they are, ``states`` when no policy says anything about them.
    """

    total: int | None
    hosts: tuple[HostEvidence, ...]
    covered: tuple[bool, ...] | None = None
    states: tuple[HostState, ...] | None = None

    def count(self, state: HostState) -> int | None:
        """How many hosts are in *state*; ``None`` when no policy judges them."""
        return None if self.states is None else self.states.count(state)

    def uncovered(self) -> tuple[str, ...]:
        """Names of the hosts that no pattern covers."""
        if self.covered is None:
            return ()
        return tuple(
            host.host
            for host, is_covered in zip(self.hosts, self.covered, strict=True)
            if not is_covered
        )


def mx_coverage(evidence: DomainEvidence, patterns: Sequence[str]) -> Coverage:
    """Lay *patterns*, the ``mx`` lines of a valid policy (else empty), over the MX hosts."""
    total, hosts = _candidates(evidence)
    if not patterns or total is None:
        return Coverage(total=total, hosts=hosts)
    covered = tuple(any(matches(pattern, host.host) for pattern in patterns) for host in hosts)
    states = tuple(
        host_state(host.verdicts) if is_covered else HostState.FAILING
        for host, is_covered in zip(hosts, covered, strict=True)
    )
    return Coverage(total=total, hosts=hosts, covered=covered, states=states)


def host_state(verdicts: Sequence[MailVerdict]) -> HostState:
    """The state of a covered host from its sessions; one address that passes is enough."""
    outcomes = {verdict.outcome for verdict in verdicts} - {MailOutcome.UNMEASURED}
    if not outcomes:
        return HostState.UNKNOWN
    return HostState.PASSING if MailOutcome.PASS in outcomes else HostState.FAILING


def mx_targets(mx: MxLookup | None, domain: str) -> tuple[str, ...] | None:
    """The candidate hosts of an MX answer, each once, in its order; ``None`` if it did not come.

    Without an MX record the domain itself is the candidate (RFC 5321 section 5.1), though not
    when the name does not exist.  A root target is no host, alone (RFC 7505) or beside others.
    """
    if mx is None:
        return None
    if mx.status is DnsStatus.NXDOMAIN:
        return ()
    if mx.status is DnsStatus.NO_ANSWER or (mx.status is DnsStatus.NOERROR and not mx.hosts):
        return (domain,)
    if mx.status is not DnsStatus.NOERROR:
        return None
    return tuple(dict.fromkeys(target.host for target in mx.hosts if target.host))


def _candidates(evidence: DomainEvidence) -> tuple[int | None, tuple[HostEvidence, ...]]:
    """How many MX hosts there are, and what is known of each."""
    targets = mx_targets(evidence.mx, evidence.domain)
    if targets is None:
        return None, ()
    known = {host.host: host for host in evidence.hosts}
    hosts = tuple(known.get(target) or HostEvidence(host=target) for target in targets)
    if targets and not _has_mx_record(evidence.mx):
        reachable = has_address(hosts[0].addresses)
        return (None, hosts) if reachable is None else (1, hosts) if reachable else (0, ())
    return len(hosts), hosts


def _has_mx_record(mx: MxLookup | None) -> bool:
    return mx is not None and bool(mx.hosts)
