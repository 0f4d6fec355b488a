"""The arithmetic of the benchmarks: medians, ratios within rounds, and what a goal counts."""

from __future__ import annotations

import json
import math

import pytest

from tests.benchmarks import report
from tests.benchmarks.figures import CPU, RATE, Sample, Spread, as_json, ratio, samples, spread
from tests.benchmarks.goals import Goal, judge, judge_all


def sample(cpu: float = 1.0, *, answers: int = 1000, seconds: float = 1.0, **rest: str) -> Sample:
    return Sample(
        questions=1000,
        answers=answers,
        seconds=seconds,
        cpu=cpu,
        rss_mib=10,
        problem=rest.get("problem"),
    )


def test_derived_figures() -> None:
    """Microseconds of CPU for an answer, answers a second, and the share without one."""
    found = sample(0.5, answers=900, seconds=2.0)
    assert found.rate == 450
    assert found.cpu_per_million == pytest.approx(555.6, abs=0.1)
    assert found.loss == pytest.approx(0.1)


def test_ratios_are_of_one_round() -> None:
    """A machine that slows down between rounds changes both figures and not their ratio."""
    rounds = [
        {"a": sample(1.0), "b": sample(2.0)},
        {"a": sample(10.0), "b": sample(20.0)},
        {"a": sample(3.0), "b": sample(5.0)},
    ]
    assert ratio(rounds, "a", "b", CPU) == Spread(0.5, 0.5, 0.6)
    assert spread(samples(rounds, "a"), CPU) == Spread(3000.0, 1000.0, 10000.0)


def test_what_failed_counts_nowhere() -> None:
    """A run that was cut off, or that had no answer, is neither in a median nor in a ratio."""
    rounds = [
        {"a": sample(1.0), "b": sample(4.0, problem="not done within 300 s")},
        {"a": sample(1.0, answers=0), "b": sample(2.0)},
        {"a": sample(1.0), "b": sample(2.0)},
    ]
    assert ratio(rounds, "a", "b", CPU) == Spread(0.5, 0.5, 0.5)
    assert len(samples(rounds, "a")) == 2


CHEAP = Goal("dns", "ours", "peer", CPU, 0.9)
FAST = Goal("dns", "ours", "peer", RATE, 0.95)


@pytest.mark.parametrize(
    ("goal", "ours", "peer", "verdict"),
    [
        (CHEAP, sample(0.9), sample(1.0), "met"),
        (CHEAP, sample(1.0), sample(1.0), "missed"),
        (FAST, sample(seconds=1.0), sample(seconds=0.96), "met"),
        (FAST, sample(seconds=1.0), sample(seconds=0.90), "missed"),
        (CHEAP, sample(0.1, answers=990), sample(1.0), "missed"),  # cheap, for it lost answers
        (CHEAP, sample(0.1), sample(1.0, answers=990), "not measured"),  # the peer lost answers
        (CHEAP, sample(0.1), sample(1.0, problem="ended with 1"), "not measured"),
        (CHEAP, sample(0.1), None, "not measured"),
    ],
)
def test_verdicts(goal: Goal, ours: Sample, peer: Sample | None, verdict: str) -> None:
    """A peer that is not there, or that failed, is never beaten."""
    rounds = [{"ours": ours} if peer is None else {"ours": ours, "peer": peer}]
    result = judge(goal, rounds)
    assert result.verdict == verdict
    assert result.reason or verdict != "not measured"


def test_goals_of_parts_that_were_not_run_are_not_judged() -> None:
    """Nothing is said about them."""
    assert judge_all({}) == []


def test_json_and_table_take_whatever_happened() -> None:
    """Also a client of which no run counts."""
    rounds = [{"dnsperf": sample(), "ours-udp": sample(problem="ended with 1")}]
    kept = json.loads(json.dumps(as_json(rounds, "dnsperf"), allow_nan=False))
    assert kept["clients"]["dnsperf"]["cpu_by_dnsperf"]["median"] == 1.0
    assert kept["clients"]["ours-udp"]["rate"] is None
    assert kept["rounds"][0]["ours-udp"]["problem"] == "ended with 1"
    assert math.isclose(kept["rounds"][0]["dnsperf"]["cpu_per_million"], 1000.0)
    assert "no run counts" in report.table(rounds, "dnsperf")
