"""Findings about the policy file itself (RFC 8461 section 3.2).

What is wrong with a body is read by ``protocol.sts_policy``; a rule here gives that word its
weight and its sentence.
"""

from __future__ import annotations

from typing import Final

from crawler.assessment.context import Context
from crawler.assessment.rule import Chapter, Condition, Rule
from crawler.vocabulary import Mode, PolicyOutcome, ResultType, Severity

_SECTION: Final = "RFC 8461 section 3.2"
_INVALID: Final = ResultType.STS_POLICY_INVALID

_DAY: Final = 24 * 60 * 60
_SHORT: Final = {
    # RFC 8461 section 3.2 wants "weeks or greater"; the figures are those of NCSC's checker.
    Mode.ENFORCE: 14 * _DAY,
    Mode.TESTING: 1 * _DAY,
}
"""Seconds below which a policy does not outlive an attack, by mode."""


def _problem(*words: str) -> Condition:
    wanted = frozenset(words)
    return lambda c: c.judged_body is not None and not wanted.isdisjoint(c.judged_body.problems)


def _is_short(context: Context) -> bool:
    policy = context.policy
    if policy is None or policy.mode is None or policy.max_age is None:
        return False
    return policy.max_age < _SHORT.get(policy.mode, 0)


SYNTAX: Final = Chapter(
    applies=lambda c: c.policy_outcome is PolicyOutcome.SYNTAX,
    rules=(
        Rule(
            id="pol-any",
            severity=Severity.NO_POLICY,
            holds=lambda _: True,
            sentence="What is served as the policy breaks the rules for policy files, so senders must "
            "act as if there were none.",
            fix="Write one field to a line: version: STSv1, mode, max_age and the mx lines, and "
            "nothing else.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-empty",
            severity=Severity.NO_POLICY,
            holds=_problem("empty"),
            sentence="The policy file is empty.",
            fix="Write the policy into the file; if a provider serves it, ask whether your "
            "subscription is still active. To opt out, serve a policy with mode: none.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-version",
            severity=Severity.NO_POLICY,
            holds=_problem("version"),
            sentence="The policy has no line version: STSv1, or another version.",
            fix="Add the line version: STSv1, in exactly this spelling.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-mode",
            severity=Severity.NO_POLICY,
            holds=_problem("mode"),
            sentence="The policy has no mode, or one that is neither enforce, testing nor none.",
            fix="Add a line with one of mode: enforce, mode: testing and mode: none, in lower case.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-max-age",
            severity=Severity.NO_POLICY,
            holds=_problem("max-age"),
            sentence="The policy has no max_age, or one that is not a number of seconds up to "
            "31557600.",
            fix="Add a line such as max_age: 2592000, a number of seconds without a unit, from weeks "
            "up to one year.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-mx-missing",
            severity=Severity.NO_POLICY,
            holds=_problem("mx-missing"),
            sentence="The policy asks for protected delivery, but has no mx line that says to which "
            "hosts.",
            fix="Add one line mx: with the name of each MX host of the domain.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-mx-bad",
            severity=Severity.NO_POLICY,
            holds=_problem("mx-bad"),
            sentence="An mx line of the policy does not contain a host name, or a host name after "
            "one leading *. and so the policy is invalid.",
            fix="Write one host name to an mx line: no preference, no final dot, no address, no "
            "list, no URL, and a * only as the whole first label.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-line-end",
            severity=Severity.NO_POLICY,
            holds=_problem("line-end"),
            sentence="Lines of the policy do not end in a line feed: they are separated by a bare "
            "carriage return or by the two characters \\n written out.",
            fix="Save the file with line ends of Unix (LF) or Windows (CRLF), and check the template "
            "that writes it.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-ws",
            severity=Severity.NO_POLICY,
            holds=_problem("whitespace", "blank-line"),
            sentence="The policy has empty lines, or white space before a field or its colon, where "
            "the grammar allows none. Lenient senders overlook some of that; strict ones do not.",
            fix="Remove empty lines, indentation and the spaces before colons.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-line",
            severity=Severity.NO_POLICY,
            holds=_problem("malformed-line"),
            sentence="A line of the policy is no field: it has no colon, no value, or a name that is "
            "not allowed.",
            fix="Remove everything that is not a field, comments included.",
            section=_SECTION,
            result_type=_INVALID,
        ),
        Rule(
            id="pol-non-ascii",
            severity=Severity.NO_POLICY,
            holds=_problem("non-ascii"),
            sentence="The policy contains octets outside US-ASCII where none are allowed.",
            fix="Save the file as plain ASCII text, and write internationalised host names in their "
            "xn-- form.",
            section=_SECTION,
            result_type=_INVALID,
        ),
    ),
)

FIELDS: Final = Chapter(
    applies=lambda c: c.judged_body is not None,
    rules=(
        Rule(
            id="pol-dup-key",
            severity=Severity.WARNING,
            holds=_problem("duplicate-key"),
            sentence="A field of the policy stands there twice; senders take the first, but some "
            "software rejects the policy.",
            fix="Keep version, mode and max_age once each.",
            section=_SECTION,
        ),
        Rule(
            id="pol-unknown-key",
            severity=Severity.NOTE,
            holds=_problem("unknown-key"),
            sentence="The policy has a field that is not known, which senders ignore.",
            fix="Check its spelling: mx, max_age, mode and version are written in lower case.",
            section=_SECTION,
        ),
        Rule(
            id="pol-max-age-short",
            severity=Severity.WARNING,
            holds=_is_short,
            sentence="The policy is kept by senders for a short time only, so an attacker who "
            "withholds it for that long does away with the protection.",
            fix="Raise max_age to at least two weeks in mode enforce (1209600), and to at least one "
            "day in mode testing (86400).",
            section=_SECTION,
        ),
        Rule(
            id="pol-none",
            severity=Severity.NOTE,
            holds=lambda c: c.policy is not None and c.policy.mode is Mode.NONE,
            sentence="The policy has mode none: it asks senders to treat the domain as if it had no "
            "policy.",
            fix="Nothing to change while MTA-STS is being given up; remove record and policy once "
            "the earlier max_age has passed. Otherwise set mode testing or enforce.",
            section="RFC 8461 section 8.3",
        ),
    ),
)
