"""Findings about the ``_mta-sts`` TXT record (RFC 8461 section 3.1) and the MX beside it.

What is wrong with a string is read by ``protocol.sts_record``; a rule here gives that word its
weight and its sentence.
"""

from __future__ import annotations

from typing import Final

from crawler.assessment.context import Context
from crawler.assessment.lookups import ABSENCE
from crawler.assessment.rule import Chapter, Condition, Rule
from crawler.records import TxtLookup
from crawler.vocabulary import DnsStatus, RecordOutcome, Severity

_SECTION = "RFC 8461 section 3.1"


def _problem(word: str) -> Condition:
    return lambda context: word in context.record_problems


def _is_wildcard(context: Context) -> bool:
    """Unrelated strings that the zone also gives at another name nobody would put them at."""
    sts, tlsrpt = context.evidence.sts, context.evidence.tlsrpt
    if context.record_outcome is not RecordOutcome.ABSENT or sts is None or tlsrpt is None:
        return False
    return bool(sts.records) and _strings(sts) == _strings(tlsrpt)


def _strings(lookup: TxtLookup) -> set[bytes]:
    if lookup.status is not DnsStatus.NOERROR:
        return set()
    return {b"".join(strings) for strings in lookup.records}


def _is_dangling(context: Context) -> bool:
    sts = context.evidence.sts
    return sts is not None and sts.status in ABSENCE and bool(sts.cname_chain)


RECORD: Final = Chapter(
    applies=lambda _: True,
    rules=(
        Rule(
            id="txt-multi",
            severity=Severity.NO_POLICY,
            holds=_problem("multiple"),
            sentence="More than one TXT record at _mta-sts begins with v=STSv1, so senders must "
            "act as if there were none.",
            fix="Keep exactly one TXT record that begins with v=STSv1; and delete the others.",
            section=_SECTION,
        ),
        Rule(
            id="txt-version",
            severity=Severity.NO_POLICY,
            holds=_problem("version"),
            sentence="The TXT record at _mta-sts looks like an MTA-STS record, but does not begin "
            "exactly with v=STSv1; so senders discard it.",
            fix="Begin the record with v=STSv1; in exactly this spelling, without quotes, spaces "
            'or anything else in front of it, such as "v=STSv1; id=20260101;".',
            section=_SECTION,
        ),
        Rule(
            id="txt-no-delim",
            severity=Severity.NO_POLICY,
            holds=_problem("no-delimiter"),
            sentence="The TXT record at _mta-sts has no semicolon directly after v=STSv1, so "
            "senders discard it.",
            fix="Write a semicolon straight after v=STSv1, with no space in between.",
            section=_SECTION,
        ),
        Rule(
            id="txt-no-id",
            severity=Severity.NO_POLICY,
            holds=_problem("no-id"),
            sentence="The MTA-STS record has no id, without which it is invalid.",
            fix="Add an id of 1 to 32 letters and digits, such as id=20260101; and change it "
            "whenever the policy changes.",
            section=_SECTION,
        ),
        Rule(
            id="txt-bad-id",
            severity=Severity.NO_POLICY,
            holds=_problem("bad-id"),
            sentence="The id of the MTA-STS record is not 1 to 32 letters and digits, so the record "
            "is invalid.",
            fix="Use only letters and digits in the id: no hyphens, dots, colons or spaces, and at "
            "most 32 characters.",
            section=_SECTION,
        ),
        Rule(
            id="txt-bad-ext",
            severity=Severity.NO_POLICY,
            holds=_problem("bad-extension"),
            sentence="The MTA-STS record contains something that is neither its version, its id nor "
            "a well-formed extension field, so the record is invalid.",
            fix="Reduce the record to v=STSv1; id=...; and move mode, mx and max_age to the policy "
            "file, where they belong.",
            section=_SECTION,
        ),
        Rule(
            id="txt-non-ascii",
            severity=Severity.NO_POLICY,
            holds=_problem("non-ascii"),
            sentence="The MTA-STS record contains octets outside US-ASCII, so the record is "
            "invalid.",
            fix="Type the record anew in plain ASCII; typographic quotes, dashes and no-break "
            "spaces often come from a copied web page.",
            section=_SECTION,
        ),
        Rule(
            id="txt-dup-field",
            severity=Severity.WARNING,
            holds=_problem("duplicate-field"),
            sentence="The MTA-STS record contains a field twice; senders take the first, but some "
            "software rejects the record.",
            fix="Keep each field once.",
            section="RFC 8461 section 3.2",
        ),
        Rule(
            id="txt-unrelated",
            severity=Severity.WARNING,
            holds=_problem("unrelated"),
            sentence="Other TXT records stand beside the MTA-STS record at _mta-sts; senders ignore "
            "them, but they are probably there by mistake.",
            fix="Move the other TXT records to the names they are meant for, or delete them.",
            section=_SECTION,
        ),
        Rule(
            id="txt-multistring",
            severity=Severity.NOTE,
            holds=_problem("multistring"),
            sentence="The MTA-STS record is published in several character-strings, which senders "
            "join without spaces.",
            fix="Nothing to change, but a record this short fits into one string, which simple "
            "software reads more reliably.",
            section=_SECTION,
        ),
        Rule(
            id="txt-wildcard",
            severity=Severity.NOTE,
            holds=_is_wildcard,
            sentence="The name _mta-sts answers with TXT records that have nothing to do with "
            "MTA-STS and that other names of the domain give as well: a wildcard, most likely.",
            fix="Nothing to change for MTA-STS: the domain does not use it. Consider whether the "
            "wildcard TXT record is wanted at every name.",
            section="RFC 1034 section 4.3.3",
        ),
        Rule(
            id="txt-cname-dangling",
            severity=Severity.NO_POLICY,
            holds=_is_dangling,
            sentence="The name _mta-sts is an alias (CNAME) of a name that has no TXT record, so the "
            "domain has no MTA-STS record.",
            fix="Ask the provider that the alias points to for the record, or remove the alias if "
            "you no longer use that provider.",
            section="RFC 8461 section 8.2",
        ),
        Rule(
            id="txt-dns-error",
            severity=Severity.UNMEASURED,
            holds=lambda c: c.record_outcome is RecordOutcome.UNMEASURED,
            sentence="It could not be found out whether the domain has an MTA-STS record: the "
            "lookup of _mta-sts gave no definite answer, or was not made.",
            fix="If this persists, check that all name servers of the domain answer for _mta-sts, "
            "that an alias there does not loop, and that the DNSSEC signatures are valid.",
            section=_SECTION,
        ),
        Rule(
            id="no-mail",
            severity=Severity.WARNING,
            holds=lambda c: c.record_exists and c.coverage.total == 0,
            sentence="The domain publishes an MTA-STS record, but takes no mail: it has no MX host.",
            fix="Remove the MTA-STS record and policy if the domain is meant to take no mail, or "
            "add the MX record that is missing.",
            section="RFC 7505 section 3",
        ),
    ),
)
