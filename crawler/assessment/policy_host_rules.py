"""Findings about the Policy Host's name and addresses (RFC 8461 section 3.3).

The policy is fetched from ``mta-sts.<domain>``, by whichever of its addresses a sender can use.
What happens once an address is dialled is left to ``fetch_rules``, except where two addresses
have to be compared.
"""

from __future__ import annotations

from typing import Final

from crawler.assessment.context import BODY_JUDGED, Context
from crawler.assessment.lookups import DEFINITE, has_address
from crawler.assessment.rule import Chapter, Condition, Rule
from crawler.vocabulary import IoStatus, PolicyOutcome, RecordOutcome, ResultType, Severity

_SECTION: Final = "RFC 8461 section 3.3"
_FETCH_ERROR: Final = ResultType.STS_POLICY_FETCH_ERROR

_DEAD: Final = frozenset({PolicyOutcome.TCP, PolicyOutcome.TLS, PolicyOutcome.HTTP})
"""Outcomes of a fetch that does not even bring a file."""


def _has_no_address(*, alias: bool) -> Condition:
    """The name surely has no address; it is an alias, or it is not."""

    def holds(context: Context) -> bool:
        lookup = context.evidence.policy_addresses
        is_alias = lookup is not None and bool(lookup.cname_chain)
        return context.policy_outcome is PolicyOutcome.DNS and is_alias is alias

    return holds


def _could_not_be_looked_up(context: Context) -> bool:
    return (
        context.policy_outcome is PolicyOutcome.UNMEASURED
        and context.fetch is None
        and has_address(context.evidence.policy_addresses) is None
    )


def _has_special_address(context: Context) -> bool:
    return any(fetch.status is IoStatus.BLOCKLISTED_TARGET for fetch, _ in context.evidence.fetches)


def _has_ipv6_only(context: Context) -> bool:
    # Where the A lookup failed, there may be IPv4 addresses that we do not know of.
    lookup = context.evidence.policy_addresses
    return (
        lookup is not None
        and bool(lookup.ipv6)
        and not lookup.ipv4
        and lookup.status_ipv4 in DEFINITE
    )


def _is_dead_over_ipv6(context: Context) -> bool:
    """Every IPv6 address that was tried is dead, while one over IPv4 brings a file."""
    ipv4, ipv6 = _outcomes(context, ipv6=False), _outcomes(context, ipv6=True)
    return bool(ipv6) and ipv6 <= _DEAD and not ipv4.isdisjoint(BODY_JUDGED)


def _outcomes(context: Context, *, ipv6: bool) -> set[PolicyOutcome]:
    return {v.outcome for _, v in context.evidence.fetches if (":" in v.address) is ipv6}


POLICY_HOST: Final = Chapter(
    applies=lambda c: c.record_exists,
    rules=(
        Rule(
            id="ph-no-address",
            severity=Severity.NO_POLICY,
            holds=_has_no_address(alias=False),
            sentence="The domain has an MTA-STS record, but its Policy Host mta-sts has no address, "
            "so senders find no policy.",
            fix="Publish an A (and AAAA) record for mta-sts below the domain and serve the policy "
            "there, or remove the _mta-sts record.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="ph-cname-nx",
            severity=Severity.NO_POLICY,
            holds=_has_no_address(alias=True),
            sentence="The Policy Host mta-sts is an alias (CNAME) of a name that has no address, so "
            "senders find no policy.",
            fix="Ask the provider that the alias points to whether it still serves your policy; "
            "remove the alias and the _mta-sts record if you no longer use that provider.",
            section="RFC 8461 section 8.2",
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="ph-dns-error",
            severity=Severity.UNMEASURED,
            holds=_could_not_be_looked_up,
            sentence="The addresses of the Policy Host mta-sts could not be found out: their lookup "
            "gave no definite answer, or was not made.",
            fix="If this persists, check that all name servers answer for mta-sts, that an alias "
            "there does not loop, and that the DNSSEC signatures are valid.",
            section=_SECTION,
        ),
        Rule(
            id="ph-special-ip",
            severity=Severity.NO_POLICY,
            holds=_has_special_address,
            sentence="The Policy Host mta-sts has an address that is not part of the public "
            "Internet, such as a private one, where senders find no policy. It was not contacted.",
            fix="Publish only addresses that everybody can reach; keep internal ones to the "
            "internal view of the zone.",
            section="RFC 6890 section 2.2",
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="ph-v6-only",
            severity=Severity.NOTE,
            holds=_has_ipv6_only,
            sentence="The Policy Host mta-sts has IPv6 addresses only, so senders without IPv6 find "
            "no policy.",
            fix="Add an A record for mta-sts, so that every sender can fetch the policy.",
            section=_SECTION,
        ),
        Rule(
            id="ph-v6-dead",
            severity=Severity.WARNING,
            holds=_is_dead_over_ipv6,
            sentence="The policy can be fetched over IPv4, but not over IPv6, though the Policy Host "
            "mta-sts has an IPv6 address. Senders that do not fall back find no policy.",
            fix="Serve the policy at the IPv6 address too, under the same certificate, or remove "
            "the AAAA record.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
    ),
)

ORPHAN: Final = Chapter(
    applies=lambda c: c.record_outcome is RecordOutcome.ABSENT,
    rules=(
        Rule(
            id="ph-orphan",
            severity=Severity.NOTE,
            holds=lambda c: any(v.outcome is PolicyOutcome.VALID for _, v in c.evidence.fetches),
            sentence="A valid policy is served at mta-sts, but no _mta-sts record announces it, so "
            "senders never fetch it.",
            fix="Publish the TXT record at _mta-sts to put the policy into effect, or stop serving "
            "the policy.",
            section="RFC 8461 section 3.1",
        ),
    ),
)
