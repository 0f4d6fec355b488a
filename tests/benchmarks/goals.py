"""What is aimed at, and whether it was reached.  Pure.

A goal compares two clients of one part.  It is met or missed only by runs in which both answered
their questions: a client that loses answers is cheap, and so is one that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.benchmarks.figures import CPU, RATE, Figure, Round, Spread, ratio, samples

LOSS = 0.001
"""Share of unanswered questions above which a client's speed says nothing."""

Verdict = Literal["met", "missed", "not measured"]


@dataclass(frozen=True)
class Goal:
    """*client*'s figure, divided by *peer*'s, is to be at the most or at the least *bound*."""

    part: str
    client: str
    peer: str
    figure: Figure
    bound: float

    @property
    def text(self) -> str:
        """The goal in words."""
        what, sign = ("rate", "≥") if self.figure is RATE else ("CPU", "≤")
        return f"{self.part}: {what} of {self.client} {sign} {self.bound:g} × {self.peer}"

    def holds(self, value: float) -> bool:
        """Whether a ratio reaches the goal: a rate is to be high, a cost is to be low."""
        return value >= self.bound if self.figure is RATE else value <= self.bound


GOALS = (
    Goal("dns", "ours-udp", "dnsperf", CPU, 1.0),
    Goal("dns", "ours-udp", "massdns", CPU, 0.9),
    Goal("dns", "ours-udp", "dnsperf", RATE, 0.95),
    Goal("resolver", "ours-tcp", "zdns-tuned", RATE, 1.4),
    Goal("resolver", "ours-tcp", "ours-udp", CPU, 0.5),
    Goal("names", "ours-names", "dnsperf", CPU, 8.0),  # a domain of three questions by a query
)


@dataclass(frozen=True)
class Result:
    """What became of a goal."""

    goal: Goal
    verdict: Verdict
    value: Spread | None
    """The ratio; None where there is none."""
    reason: str | None = None
    """Why there is no verdict, or none by the figure."""

    def as_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "goal": self.goal.text,
            "bound": self.goal.bound,
            "verdict": self.verdict,
            "value": None if self.value is None else self.value.median,
            "reason": self.reason,
        }


def judge(goal: Goal, rounds: Sequence[Round]) -> Result:
    """Hold a goal against the rounds of its part."""
    value = ratio(rounds, goal.client, goal.peer, goal.figure)
    if value is None:
        absent = [n for n in (goal.client, goal.peer) if not samples(rounds, n)]
        return Result(goal, "not measured", None, f"no run of {' and '.join(absent)} counts")
    worst = {n: max(s.loss for s in samples(rounds, n)) for n in (goal.client, goal.peer)}
    lossy = [f"{name} left {loss:.1%} unanswered" for name, loss in worst.items() if loss > LOSS]
    if worst[goal.client] > LOSS:
        return Result(goal, "missed", value, lossy[0])
    if lossy:
        return Result(goal, "not measured", value, lossy[0])
    return Result(goal, "met" if goal.holds(value.median) else "missed", value)


def judge_all(parts: Mapping[str, Sequence[Round]]) -> list[Result]:
    """Every goal whose part was run."""
    return [judge(goal, parts[goal.part]) for goal in GOALS if goal.part in parts]
