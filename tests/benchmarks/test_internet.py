"""The plan for the Internet: its arithmetic by hand, what no course of a simulation may break, and
that the page in the tree is what the script makes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from random import Random

import pytest

from crawler.config import Config, Politeness
from tests.benchmarks import internet, rates
from tests.benchmarks.internet_load import Assumptions, Population, load
from tests.benchmarks.internet_tail import (
    HEAVY,
    Course,
    Limits,
    Shard,
    capped,
    divided,
    heavy_destinations,
    simulate,
    zipf,
)
from tests.benchmarks.rates import NotMeasured, Rates

# --- the page


def test_the_page_in_the_tree_is_what_the_script_makes() -> None:
    """If not: ``python -m tests.benchmarks.internet > tests/benchmarks/INTERNET.md``."""
    assert internet.main(["--check"]) == 0


# --- the arithmetic

RATES = Rates(
    question_cpu=10,
    resolver_cpu=50,
    policy_cpu=1000,
    mail_cpu=2000,
    judging_cpu=100,
    row=dict.fromkeys(
        (
            "domains", "txt_lookups", "mx_lookups", "address_lookups", "tlsa_lookups",
            "policy_fetches", "starttls_sessions", "policy_verdicts", "mail_verdicts", "assessments",
        ),
        10.0,
    ),
    measured=(),
)  # fmt: skip

SMALL = Population(
    name="small",
    domains=1000,
    with_mx=600,
    adopters=100,
    mx_names=200,
    conversations=400,
    largest_policy_host=50,
    sources="",
)


def test_the_load_of_a_thousand_domains() -> None:
    """3 questions a domain, 2 a policy host, 3 an MX host, and so on, by hand."""
    found = load(
        SMALL,
        RATES,
        Config(),
        assumed=Assumptions(asked_again=0.1, upstream=2, certificate_octets=100, variety=2),
    )
    assert found.questions == pytest.approx(1.1 * (3000 + 200 + 600))  # 4,180
    assert found.upstream == pytest.approx(8360)
    assert (found.policies, found.conversations) == (100, 400)
    assert found.octets == pytest.approx(12_540 * 300 + 500 * 8000)
    assert found.crawler_cpu == pytest.approx(0.0418 + 0.1 + 0.8 + 0.1)
    assert found.resolver_cpu == pytest.approx(0.209)
    # 5 rows a domain; 300 hosts looked up and 200 for TLSA; 2 rows a conversation, twice the room;
    # half a certificate each
    assert found.stored == pytest.approx(50_000 + 5_000 + 2 * 500 * 20 + 250 * 100)
    assert found.names_seconds == pytest.approx(4.18)  # 1,000 a second
    assert found.mail_seconds == pytest.approx(2.5)  # 200 a second
    assert found.policy_tail == 100  # one in two seconds
    assert found.seconds == pytest.approx(104.18)


def test_resolvers_divide_the_questions_and_nothing_else() -> None:
    one, four = (load(SMALL, RATES, Config(), resolvers=n) for n in (1, 4))
    assert four.names_seconds == one.names_seconds / 4
    assert (four.questions, four.mail_seconds, four.policy_tail) == (
        one.questions,
        one.mail_seconds,
        one.policy_tail,
    )


def test_the_limits_are_those_of_the_configuration() -> None:
    config = Config(politeness=Politeness(connections_per_second=100.0))
    assert load(SMALL, RATES, config).mail_seconds == 5


# --- rates

SCAN = {
    "stages": {"verdicts and seal": {"cpu": 2.0}},
    "rows": {"domains": 1000, "txt_lookups": 2000, "mx_lookups": 0},
    "octets": {"domains": 5000, "txt_lookups": 30_000, "mx_lookups": 200},
}


def bench(**clients: float) -> dict[str, object]:
    """What ``make bench`` writes, as far as it matters: CPU after the start by client."""
    parts = {
        name.partition("_")[0]: {
            "clients": {
                name.replace("_", "-"): {
                    "rate": {"median": 20_000.0},
                    "cpu_per_million": {"median": cpu},
                    "after_start": {"median": cpu},
                }
            }
        }
        for name, cpu in clients.items()
    }
    parts = {part: {"clients": {f"ours-{part}": c for c in found["clients"].values()}}
             for part, found in parts.items()}  # fmt: skip
    if "resolver" in parts:
        (figures,) = parts["resolver"]["clients"].values()
        parts["resolver"]["clients"] = {"ours-udp": figures}
    machine = {"cpu": "a cpu", "cores": 2, "load_average": 0.0}
    return {"at": "2026-01-01T00:00:00", "machine": machine, "parts": parts}


def test_rates_are_read_from_the_first_file_that_has_them() -> None:
    quiet, busy = bench(names=30.0, resolver=20.0), bench(names=99.0, policies=1500.0, mail=2000.0)
    assert isinstance(busy["parts"], dict)
    busy["parts"]["scan"] = {"rounds": [{"ours-scan": {"details": {"runs": [SCAN]}}}]}
    found = rates.read([quiet, busy])
    assert found.question_cpu == 10  # a third of a domain
    assert found.resolver_cpu == 80  # two cores make 20,000 a second: 100, less the client's 20
    assert (found.policy_cpu, found.mail_cpu, found.judging_cpu) == (1500, 2000, 2000)
    assert found.row == {"domains": 5, "txt_lookups": 15}


def test_a_part_that_is_missing_is_named() -> None:
    with pytest.raises(NotMeasured, match="a whole scan in scan or scan-all"):
        rates.read([bench(names=30.0)])


# --- the simulation

LIMITS = Limits(workers=1, shards_at_once=1, starts_per_second=10.0, interval=2.0)


def random_shards(seed: int) -> list[Shard]:
    rng = Random(seed)
    return [
        Shard(
            light=rng.choice((0.0, rng.uniform(1, 500))),
            heavy=tuple(rng.uniform(1, 300) for _ in range(rng.choice((0, 0, 1, 3)))),
        )
        for _ in range(rng.randrange(1, 30))
    ]


def test_a_course_by_hand() -> None:
    """100 light ones share ten starts a second with one destination of 20, which takes 40 s."""
    course = simulate([Shard(light=95.0, heavy=(20.0,)), Shard(light=10.0)], LIMITS)
    # 9.5 a second for the light ones: done at 10 s, when the other has had 5; alone until 40 s.
    assert course.progress[1] == pytest.approx((10.0, 100.0))
    assert course.progress[2] == pytest.approx((40.0, 115.0))
    assert course.makespan == pytest.approx(41.0)  # and only then the second shard
    assert course.when(0.8) == pytest.approx(10.0)


@pytest.mark.parametrize("seed", range(20))
def test_no_course_breaks_a_limit(seed: int) -> None:
    """Every conversation happens, at no time faster than the scan may, and no address is hurried."""
    rng, shards = Random(seed), random_shards(seed)
    limits = replace(LIMITS, workers=rng.randrange(1, 6), shards_at_once=rng.randrange(1, 5))
    course = simulate(shards, limits)
    total = sum(shard.total for shard in shards)
    assert course.progress[-1] == pytest.approx((course.makespan, total))
    assert list(course.progress) == sorted(course.progress)
    for time, done in course.progress:
        assert done <= time * limits.starts_per_second * (1 + 1e-6) + 1e-6
    longest = max((h for shard in shards for h in shard.heavy), default=0.0)
    assert course.makespan >= longest * limits.interval * (1 - 1e-6)
    assert course == simulate(shards, limits)


def test_more_workers_do_not_hurry_an_address() -> None:
    shards = [Shard(light=50.0, heavy=(1000.0,)), *[Shard(light=50.0)] * 9]
    one, four, sixteen = (simulate(shards, replace(LIMITS, workers=n)) for n in (1, 4, 16))
    assert one.makespan > 2000  # what came behind it waited
    assert four.makespan == pytest.approx(2000)
    assert sixteen.makespan > 2000  # a sixteenth of the starts is less than the address may have


def test_nothing_to_do_takes_no_time() -> None:
    assert simulate([Shard(light=0.0)], LIMITS) == Course(makespan=0.0, progress=((0.0, 0.0),))


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.2])
def test_zipf_divides_the_whole(exponent: float) -> None:
    found = list(zipf(1e6, 20_000, exponent))
    assert sum(found) == pytest.approx(1e6, rel=1e-6)
    assert found[0] / found[9] == pytest.approx(10**exponent)
    assert list(islice(zipf(1e6, 20_000, exponent), 3)) == found[:3]


def test_heavy_destinations_and_the_others_are_all() -> None:
    heavy, light = heavy_destinations(1e6, 20_000, 1.0, even=[5000.0] * 3)
    assert heavy[-3:] == [5000.0] * 3
    assert min(heavy) >= HEAVY
    assert sum(heavy) + light == pytest.approx(1e6 + 15_000)


def test_a_cap_shortens_the_longest_only() -> None:
    assert capped([10.0, 3.0], 5.0) == [5.0, 3.0]
    assert capped([10.0, 3.0], None) == [10.0, 3.0]


def test_shards_hold_every_destination_once_whatever_the_seed() -> None:
    heavy = [float(n) for n in range(1, 50)]
    found = divided(heavy, 100.0, 8, seed=1)
    assert sorted(h for shard in found for h in shard.heavy) == heavy
    assert sum(shard.light for shard in found) == pytest.approx(100.0)
    assert found == divided(heavy, 100.0, 8, seed=1)
    assert found != divided(heavy, 100.0, 8, seed=2)
