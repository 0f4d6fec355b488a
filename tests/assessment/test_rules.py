"""The table of rules: what it contains, and that every entry can be read by a domain's owner."""

from __future__ import annotations

import re

import pytest

from crawler.assessment.assess import catalogue
from crawler.assessment.rule import Rule
from crawler.assessment.rules import RULES, RULES_VERSION
from crawler.vocabulary import ResultType, Severity
from tests import rows

# Ids are never renamed, never reused and never change their severity in silence: a change here
# is a change of what two snapshots can be compared by, and belongs into the changelog.
GOLDEN = """
    txt-multi no-policy
    txt-version no-policy
    txt-no-delim no-policy
    txt-no-id no-policy
    txt-bad-id no-policy
    txt-bad-ext no-policy
    txt-non-ascii no-policy
    txt-dup-field warning
    txt-unrelated warning
    txt-multistring note
    txt-wildcard note
    txt-cname-dangling no-policy
    txt-dns-error unmeasured
    no-mail warning
    ph-no-address no-policy
    ph-cname-nx no-policy
    ph-dns-error unmeasured
    ph-special-ip no-policy
    ph-v6-only note
    ph-v6-dead warning
    ph-orphan note
    tcp-refused no-policy
    tcp-timeout no-policy
    tcp-reset no-policy
    tls-any no-policy
    tls-alert no-policy
    tls-name no-policy
    tls-self-signed no-policy
    tls-untrusted no-policy
    tls-expired no-policy
    tls-not-yet no-policy
    tls-chain-incomplete no-policy
    tls-old no-policy
    tls-invalid no-policy
    tls-sender-refuses no-policy
    tls-no-secure-renegotiation warning
    tls-weak-dh warning
    tls-no-forward-secrecy warning
    tls-unoffered note
    http-any no-policy
    http-404 no-policy
    http-3xx no-policy
    http-bot-wall no-policy
    http-slow no-policy
    http-big no-policy
    http-encoding no-policy
    http-truncated no-policy
    http-ctype warning
    http-html-200 no-policy
    http-bom no-policy
    pol-any no-policy
    pol-empty no-policy
    pol-version no-policy
    pol-mode no-policy
    pol-max-age no-policy
    pol-mx-missing no-policy
    pol-mx-bad no-policy
    pol-line-end no-policy
    pol-ws no-policy
    pol-line no-policy
    pol-non-ascii no-policy
    pol-dup-key warning
    pol-unknown-key note
    pol-max-age-short warning
    pol-none note
    mxm-all refused
    mxm-some refused
    mxm-domain refused
    mxm-3ld refused
    mxm-tld refused
    mxm-typo refused
    mxm-wild-depth refused
    mxm-policyhost refused
    mxm-family refused
    mxm-extra warning
    mx-unknown unmeasured
    mx-no-starttls refused
    mx-tls-fail refused
    mx-tls-old refused
    mx-cert-any refused
    mx-cert-name refused
    mx-cert-self refused
    mx-cert-untrusted refused
    mx-cert-expired refused
    mx-cert-not-yet refused
    mx-chain refused
    mx-cert-invalid refused
    mx-all-bad refused
    mx-some-bad refused
    mx-sender-refuses refused
    mx-no-secure-renegotiation warning
    mx-weak-dh warning
    mx-no-forward-secrecy warning
    mx-tls-unoffered note
    mx-ip-split warning
    mx-v6-split warning
    mx-cname warning
    mx-malformed warning
    rpt-missing warning
    rpt-invalid warning
    rpt-scheme warning
    dane-conflict refused
    dane-mismatch refused
    dane-bogus unmeasured
    dane-unusable warning
    dane-insecure note
"""


def test_golden() -> None:
    listed = [tuple(line.split()) for line in GOLDEN.split("\n") if line.strip()]
    assert [(rule.id, rule.severity.value) for rule in RULES] == listed


def test_ids_are_unique_and_in_kebab_case() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", each) for each in ids)


def test_the_version_says_when() -> None:
    assert re.fullmatch(r"20\d\d\.\d{1,2}\.\d+", RULES_VERSION)


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_what_a_reader_is_told(rule: Rule) -> None:
    for text in (rule.sentence, rule.fix):
        assert text == " ".join(text.split()), "one line, single spaces"
        assert text.endswith(".")
        assert text[0].isupper()
    assert rule.fix != rule.sentence
    assert re.fullmatch(
        r"RFC \d{4} section \d+(\.\d+)*(, RFC \d{4} section \d+(\.\d+)*)?", rule.section
    )


def test_no_two_rules_say_the_same() -> None:
    assert len({rule.sentence for rule in RULES}) == len(RULES)


def test_only_what_a_sender_would_report_has_a_result_type() -> None:
    """RFC 8460 section 4.3 is about failures: no note is one, and of what could not be measured
    only an answer that a sender could not have had either.
    """
    told = (Severity.REFUSED, Severity.NO_POLICY, Severity.WARNING)
    reported = [rule for rule in RULES if rule.result_type is not None]
    assert [rule.id for rule in reported if rule.severity not in told] == ["dane-bogus"]
    # What a sender itself is configured to insist on is not seen from outside.
    unused = {ResultType.DANE_REQUIRED}
    assert {rule.result_type for rule in RULES} - {None} == set(ResultType) - unused


def test_the_catalogue_is_the_table() -> None:
    entries = catalogue(rows.SCAN_ID)
    assert [(e.id, e.severity, e.sentence, e.fix, e.section, e.result_type) for e in entries] == [
        (r.id, r.severity, r.sentence, r.fix, r.section, r.result_type) for r in RULES
    ]
    assert {(e.scan_id, e.rules_version) for e in entries} == {(rows.SCAN_ID, RULES_VERSION)}
