"""The catalogue is complete, and its literals are consistent with themselves."""

from __future__ import annotations

from enum import StrEnum

import pytest

from crawler.lab.catalogue import CATALOGUE, FAMILIES
from crawler.lab.export import mail_host_needs_lab, policy_host_needs_lab
from crawler.lab.scenario import Scenario, Truth
from crawler.lab.zone import lines_of
from crawler.vocabulary import (
    DaneOutcome,
    PolicyOutcome,
    RecordOutcome,
    SenderOutcome,
    TlsRptOutcome,
)

FINDINGS = set(
    """
    txt-multi txt-version txt-no-delim txt-no-id txt-bad-id txt-bad-ext txt-non-ascii
    txt-dup-field txt-unrelated txt-multistring txt-wildcard txt-cname-dangling txt-dns-error
    no-mail
    ph-no-address ph-cname-nx ph-dns-error ph-special-ip ph-v6-only ph-v6-dead ph-orphan
    tcp-refused tcp-timeout tcp-reset
    tls-any tls-alert tls-name tls-self-signed tls-untrusted tls-expired tls-not-yet
    tls-chain-incomplete tls-old tls-invalid
    http-any http-404 http-3xx http-bot-wall http-slow http-big http-encoding http-truncated
    http-ctype http-html-200 http-bom
    pol-any pol-empty pol-version pol-mode pol-max-age pol-mx-missing pol-mx-bad pol-line-end
    pol-ws pol-line pol-non-ascii pol-dup-key pol-unknown-key pol-max-age-short pol-none
    mxm-all mxm-some mxm-3ld mxm-tld mxm-typo mxm-domain mxm-wild-depth mxm-policyhost
    mxm-family mxm-extra
    mx-unknown mx-no-starttls mx-tls-fail mx-tls-old mx-cert-any mx-cert-name mx-cert-self
    mx-cert-untrusted mx-cert-expired mx-cert-not-yet mx-chain mx-cert-invalid mx-all-bad
    mx-some-bad mx-ip-split mx-v6-split mx-malformed mx-cname
    rpt-missing rpt-invalid rpt-scheme
    dane-conflict dane-mismatch dane-bogus dane-unusable dane-insecure
    """.split()  # noqa: SIM905
)
"""Every finding that one scan can make, written out, but for those about what other senders would make
of a handshake: the lab's servers are current ones, and their TLS library plays nothing else."""

SCENARIOS = pytest.mark.parametrize("scenario", CATALOGUE.values(), ids=lambda s: s.name)


def truths(scenario: Scenario) -> list[Truth]:
    kinds = (scenario.truth, scenario.unprobed, scenario.both_families)
    return [truth for truth in kinds if truth is not None]


EVERY_TRUTH = [truth for scenario in CATALOGUE.values() for truth in truths(scenario)]


def test_every_finding_has_a_scenario_and_no_other_word_is_used() -> None:
    """A finding without a scenario is a rule that nothing proves."""
    assert frozenset().union(*(t.findings for t in EVERY_TRUTH)) == FINDINGS


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("record_outcome", RecordOutcome),
        ("policy_outcome", PolicyOutcome),
        ("sender_outcome", SenderOutcome),
        ("tlsrpt_outcome", TlsRptOutcome),
        ("dane_outcome", DaneOutcome),
    ],
)
def test_every_outcome_has_a_scenario(column: str, words: type[StrEnum]) -> None:
    """Every word of a judged column is the truth of some domain."""
    assert {getattr(truth, column) for truth in EVERY_TRUTH} - {None} == set(words)


@SCENARIOS
def test_every_scenario_says_why(scenario: Scenario) -> None:
    """A scenario that nobody can explain is not kept."""
    assert scenario.why.endswith(".")
    assert len(scenario.why) > 10


@SCENARIOS
def test_names_fit_into_a_label_and_its_dashed_form(scenario: Scenario) -> None:
    """Scenario names become domain names."""
    assert len(scenario.name) <= 40
    assert scenario.name.replace("-", "").isalnum()
    assert scenario.name == scenario.name.lower()


@SCENARIOS
def test_mx_counts_add_up(scenario: Scenario) -> None:
    """Every MX host is passing, failing or unknown; an uncovered one is failing."""
    for truth in truths(scenario):
        counts = (truth.mx_passing, truth.mx_failing, truth.mx_unmeasured)
        if truth.mx_covered is None:
            assert counts == (None, None, None)
        else:
            assert truth.mx_total == sum(n or 0 for n in counts)
            assert truth.mx_failing is not None
            assert truth.mx_total is not None
            assert truth.mx_failing >= truth.mx_total - truth.mx_covered


@SCENARIOS
def test_mode_and_max_age_belong_to_valid_policies(scenario: Scenario) -> None:
    """They are null for anything else; and no policy is fetched without a record."""
    for truth in truths(scenario):
        valid = truth.policy_outcome is PolicyOutcome.VALID
        assert (truth.mode is not None) == valid
        assert (truth.max_age is not None) == valid
        absent = truth.record_outcome is RecordOutcome.ABSENT
        assert absent == (truth.policy_outcome is PolicyOutcome.NOT_FETCHED)
        assert absent == (truth.sender_outcome is SenderOutcome.ABSENT)


@SCENARIOS
def test_bad_components_are_misconfigured(scenario: Scenario) -> None:
    """``misconfigured`` follows from the other columns and from two groups of findings."""
    for truth in truths(scenario):
        bad_record = truth.record_outcome in (RecordOutcome.MULTIPLE, RecordOutcome.SYNTAX)
        bad_policy = truth.policy_outcome in (
            PolicyOutcome.DNS,
            PolicyOutcome.TCP,
            PolicyOutcome.TLS,
            PolicyOutcome.HTTP,
            PolicyOutcome.SYNTAX,
        )
        bad_mx = bool(truth.findings & {"mxm-all", "mxm-some", "mx-cert-any"})
        bad: bool | None = bad_record or bad_policy or bad_mx
        if truth.record_outcome is RecordOutcome.ABSENT:
            bad = False
        if truth.record_outcome is RecordOutcome.UNMEASURED:
            bad = None
        assert truth.misconfigured is bad


@SCENARIOS
def test_hosts_of_the_zone_and_of_the_scenario_are_the_same(scenario: Scenario) -> None:
    """Every persona has an address in the zone, and the other way round."""
    for key, persona in scenario.mail.items():
        wanted = "{v6}" if persona.ipv6 else f"{{{key}}}"
        assert wanted in scenario.zone
    if any("{policy}" in rdata or "{provider}" in rdata for _, _, rdata in lines_of(scenario.zone)):
        assert scenario.policy is not None


@SCENARIOS
def test_only_signless_domains_have_a_truth_out_of_scope(scenario: Scenario) -> None:
    """A domain with a sign of MTA-STS or TLSRPT is in every scope."""
    sign = any(
        owner in ("_mta-sts", "_smtp._tls") and ("v=" in rdata.lower() or rdtype == "CNAME")
        for owner, rdtype, rdata in lines_of(scenario.zone)
    )
    assert (scenario.unprobed is None) == sign


def test_the_catalogue_joins_all_families() -> None:
    """Names are unique over all of them."""
    assert len(CATALOGUE) == sum(map(len, FAMILIES.values())) >= 75


def test_most_hosts_can_be_played_by_real_servers() -> None:
    """What cannot is told with its reason; the rest is what an export is for."""
    reasons = [policy_host_needs_lab(s.policy) for s in CATALOGUE.values() if s.policy]
    reasons += [mail_host_needs_lab(m) for s in CATALOGUE.values() for m in s.mail.values()]
    assert 0 < sum(reason is not None for reason in reasons) < len(reasons) / 4
