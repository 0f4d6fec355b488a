"""Findings about the policy's mx patterns against the MX hosts (RFC 8461 section 4.1).

A sender under the policy does not deliver to an MX host that no pattern covers.  These rules
say that it is so, and why it probably came about; they speak only where a valid policy in mode
testing or enforce meets MX hosts that are known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crawler.assessment.context import Context
from crawler.assessment.relation import (
    Relation,
    names_policy_host,
    other_family,
    relation,
    wrong_depth,
)
from crawler.assessment.rule import Chapter, Condition, Rule
from crawler.protocol.mx_match import matches
from crawler.vocabulary import Mode, ResultType, Severity

_SECTION: Final = "RFC 8461 section 4.1"
_FAILURE: Final = ResultType.VALIDATION_FAILURE


def _compares(context: Context) -> bool:
    policy, coverage = context.policy, context.coverage
    if policy is None or policy.mode not in (Mode.TESTING, Mode.ENFORCE):
        return False
    return bool(coverage.total) and coverage.covered is not None


def _patterns(context: Context) -> tuple[str, ...]:
    return context.policy.mx if context.policy is not None else ()


def _closest_is(wanted: Relation) -> Condition:
    """Some uncovered host has this relation to the patterns, and none that is closer."""
    return lambda c: any(
        relation(host, _patterns(c), c.registrable) is wanted for host in c.coverage.uncovered()
    )


def _some_pair(test: Callable[[str, str], bool]) -> Condition:
    """The *test* holds for some pattern and some uncovered host."""
    return lambda c: any(
        test(pattern, host) for host in c.coverage.uncovered() for pattern in _patterns(c)
    )


def _idle_patterns(context: Context) -> list[str]:
    """The patterns that cover no MX host at all."""
    hosts = [host.host for host in context.coverage.hosts]
    return [p for p in _patterns(context) if not any(matches(p, host) for host in hosts)]


COVERAGE: Final = Chapter(
    applies=_compares,
    rules=(
        Rule(
            id="mxm-all",
            severity=Severity.REFUSED,
            holds=lambda c: not any(c.coverage.covered or ()),
            sentence="No MX host of the domain is covered by the policy. In mode enforce senders "
            "refuse to deliver any mail.",
            fix="Bring the mx lines of the policy into line with the MX records, then change the id "
            "of the _mta-sts record.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-some",
            severity=Severity.REFUSED,
            holds=lambda c: 0 < len(c.coverage.uncovered()) < (c.coverage.total or 0),
            sentence="Some MX hosts of the domain are not covered by the policy. In mode enforce "
            "senders do not deliver to them.",
            fix="Add an mx line for each MX host that is missing, or remove its MX record; then "
            "change the id of the _mta-sts record.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-domain",
            severity=Severity.REFUSED,
            holds=_closest_is(Relation.UNRELATED),
            sentence="An MX host that the policy does not cover belongs to an entirely different "
            "domain than its mx lines name, as after a change of the mail provider.",
            fix="Replace the mx lines with those of the provider that takes your mail now, and "
            "renew them whenever you move.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-3ld",
            severity=Severity.REFUSED,
            holds=_closest_is(Relation.SAME_DOMAIN),
            sentence="An MX host that the policy does not cover lies in the same domain as an mx "
            "line, but under another name.",
            fix="Write the mx line exactly as the MX record has it, or use *. in front of the name "
            "directly above the MX host.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-tld",
            severity=Severity.REFUSED,
            holds=_closest_is(Relation.OTHER_SUFFIX),
            sentence="An MX host that the policy does not cover differs from an mx line in its "
            "top-level domain or public suffix.",
            fix="Correct the ending of the mx line to that of the MX host.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-typo",
            severity=Severity.REFUSED,
            holds=_closest_is(Relation.TYPO),
            sentence="An MX host that the policy does not cover differs from an mx line by few "
            "letters: most likely a typing error.",
            fix="Compare the spelling of the mx lines with that of the MX records.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-wild-depth",
            severity=Severity.REFUSED,
            holds=_some_pair(wrong_depth),
            sentence="An mx line with a wildcard does not cover an MX host that it seems to be meant "
            "for: *. stands for exactly one label, neither for none nor for several.",
            fix="Add an mx line with the full name of the MX host, or move the wildcard to directly "
            "above it.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-policyhost",
            severity=Severity.REFUSED,
            holds=lambda c: (
                bool(c.coverage.uncovered()) and any(map(names_policy_host, _idle_patterns(c)))
            ),
            sentence="An mx line names the host that serves the policy (mta-sts), not one that takes "
            "mail, while an MX host is left uncovered.",
            fix="Put the names of the MX records into the mx lines; mta-sts is not among them.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-family",
            severity=Severity.REFUSED,
            holds=_some_pair(other_family),
            sentence="The mail provider names its MX hosts under two domains, and the policy covers "
            "only one of them.",
            fix="Add the provider's other domain: *.googlemail.com beside the hosts of google.com, "
            "*.mx.microsoft beside *.mail.protection.outlook.com; see the provider's "
            "instructions.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mxm-extra",
            severity=Severity.WARNING,
            holds=lambda c: bool(_idle_patterns(c)),
            sentence="An mx line of the policy matches no current MX host.",
            fix="Remove it if the host will not come back: whoever controls its name could take "
            "part in your mail. Leave it if it is for a planned or stand-by host.",
            section=_SECTION,
        ),
    ),
)
