"""The population is deterministic, lazy, invertible, and roughly as common as published."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import islice

import pytest

from crawler.lab.catalogue import CATALOGUE
from crawler.lab.population import SHOWS_EVERYTHING_FROM, Placement, Population
from crawler.vocabulary import Mode, PolicyOutcome, RecordOutcome


def seen(placement: Placement) -> tuple[str, str, str, bool, int]:
    return (
        placement.domain,
        placement.scenario.name,
        placement.operator.domain,
        placement.reports,
        placement.generation,
    )


def test_the_seed_decides_everything() -> None:
    """Two populations of one seed are equal; another seed makes another world."""
    one, same, other = (Population(domains=500, seed=seed) for seed in (7, 7, 8))
    assert list(map(seen, one)) == list(map(seen, same))
    assert list(map(seen, one)) != list(map(seen, other))


@pytest.mark.parametrize("domains", [SHOWS_EVERYTHING_FROM, 301, 2000, 7777])
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_scenario_appears(domains: int, epoch: int) -> None:
    """At any size from ``SHOWS_EVERYTHING_FROM`` and at any age."""
    population = Population(domains=domains, seed=1, epoch=epoch)
    assert {placement.scenario.name for placement in population} == set(CATALOGUE)


def test_names_are_distinct_and_lead_back() -> None:
    """A name gives its domain back, without a table."""
    population = Population(domains=3000, seed=3)
    placements = list(population)
    assert len({p.domain for p in placements}) == 3000
    assert all(population.find(p.domain) == p for p in placements)


@pytest.mark.parametrize(
    "name",
    [
        "d003000.com",  # beyond the last
        "d000000.museum",  # a TLD that the lab does not have
        "d1.com",
        "com",
        "",
        "own-enforce.com",  # of the other kind of world
    ],
)
def test_other_names_are_nobodys(name: str) -> None:
    """The name server says NXDOMAIN to these."""
    assert Population(domains=3000, seed=3).find(name) is None


def test_only_scenarios_has_each_once_under_its_name() -> None:
    """For tests of single scenarios."""
    population = Population(domains=0, seed=1, only_scenarios=True)
    assert [p.domain for p in population] == [f"{name}.com" for name in CATALOGUE]
    found = population.find("own-enforce.com")
    assert found is not None
    assert found.scenario.name == "own-enforce"


def test_without_ipv6_its_scenarios_are_left_out() -> None:
    """A machine without ::1 shows the rest."""
    names = {p.scenario.name for p in Population(domains=2000, seed=1, ipv6=False)}
    assert names == {s.name for s in CATALOGUE.values() if not s.needs_ipv6}


def test_a_million_domains_need_no_memory() -> None:
    """They are made one by one; the first and the last cost the same."""
    population = Population(domains=1_000_000, seed=1)
    list(islice(population, 100))
    tracemalloc.start()
    for index in range(0, 1_000_000, 50):
        population._at(index)  # what iterating does
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.fixture(scope="module")
def adopters() -> list[Placement]:
    """The adopters among 60,000 domains."""
    everybody = Population(domains=60_000, seed=1)
    return [p for p in everybody if p.truth.record_outcome is not RecordOutcome.ABSENT]


def test_about_twelve_per_cent_adopt(adopters: list[Placement]) -> None:
    """Oversampled on purpose, and more common at the top of the list."""
    assert 0.10 < len(adopters) / 60_000 < 0.15
    top = sum(p.rank <= 6000 for p in adopters)
    bottom = sum(p.rank > 54_000 for p in adopters)
    assert top > 1.8 * bottom


def share(adopters: list[Placement], *findings: str) -> float:
    return sum(bool(p.truth.findings & set(findings)) for p in adopters) / len(adopters)


@pytest.mark.parametrize(
    ("findings", "published"),
    [
        (("tls-name",), 0.16),  # A25: 8,385 of the self-hosted, and what is unclassified
        (("http-404",), 0.006),
        (("txt-bad-id",), 0.003),
        (("mxm-domain",), 0.015),
        (("mxm-policyhost",), 0.009),
        (("mxm-typo",), 0.0009),
        (("mx-cert-name", "mx-cert-self", "mx-cert-expired"), 0.025),
        (("rpt-missing",), 0.3),
    ],
)
def test_prevalences_are_of_the_published_order(
    adopters: list[Placement], findings: tuple[str, ...], published: float
) -> None:
    """Within a factor of three of what the 2025 study counted."""
    assert published / 3 < share(adopters, *findings) < published * 3


def test_about_thirty_per_cent_are_misconfigured(adopters: list[Placement]) -> None:
    """29.6 % in the study, five sixths of them by the policy."""
    bad = [p for p in adopters if p.truth.misconfigured]
    assert 0.2 < len(bad) / len(adopters) < 0.4
    behind = sum(p.truth.policy_outcome is not PolicyOutcome.VALID for p in bad)
    assert behind / len(bad) > 0.6


def test_few_operators_receive_most_mail(adopters: list[Placement]) -> None:
    """Pareto-like: the largest has several times the share of the tenth."""
    counts = [n for _, n in Counter(p.operator.domain for p in adopters).most_common()]
    assert counts[0] > 5 * counts[9]
    assert counts[0] / sum(counts) > 0.25


def test_the_world_ages() -> None:
    """Testing becomes enforce, policies go stale, customers leave, ids change; most stays."""
    young, old = (list(Population(domains=20_000, seed=1, epoch=e)) for e in (0, 4))
    assert [p.domain for p in young] == [p.domain for p in old]
    steps = Counter(
        (a.scenario.name, b.scenario.name)
        for a, b in zip(young, old, strict=True)
        if a.scenario is not b.scenario
    )
    assert steps["own-testing", "own-enforce"] > 10
    assert steps["managed-testing", "managed-enforce"] > 10
    assert steps["operator-enforce", "mxm-stale"] + steps["own-enforce", "mxm-stale-own"] > 0
    assert steps["managed-testing", "txt-cname-dangling"] > 0
    assert sum(steps.values()) < 0.1 * len(young)
    assert sum(b.generation > 0 for b in old) > 100


def test_ageing_is_step_by_step() -> None:
    """Epoch 4 is epoch 3 and one step more: what has changed by then stays changed or goes on."""
    third, fourth = (list(Population(domains=5000, seed=1, epoch=e)) for e in (3, 4))
    later = [(a.generation, b.generation) for a, b in zip(third, fourth, strict=True)]
    assert all(b - a in (0, 1) for a, b in later)


def test_reports_are_left_out_only_where_they_decide_nothing() -> None:
    """Without a record TLSRPT may be the only sign, so it stays."""
    for placement in Population(domains=5000, seed=2):
        if not placement.reports:
            assert placement.scenario.truth.record_outcome is not RecordOutcome.ABSENT
            assert "rpt-missing" in placement.truth.findings


def test_both_modes_are_common(adopters: list[Placement]) -> None:
    """About half of the adopters stay in testing (U26)."""
    modes = Counter(p.truth.mode for p in adopters)
    assert modes[Mode.TESTING] > 0.3 * modes[Mode.ENFORCE]
