"""What is aimed at, and whether it was reached.  Pure.

A goal compares two clients of one part, or a client with a figure.  It is met or missed only by
runs in which they answered their questions: a client that loses answers is cheap, and so is one
that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.benchmarks.figures import (
    AFTER_START,
    CPU,
    MEMORY,
    RATE,
    Figure,
    Round,
    Spread,
    ratio,
    samples,
    spread,
)

LOSS = 0.001
"""Share of unanswered questions above which a client's speed says nothing."""

Verdict = Literal["met", "missed", "not measured"]


_WORDS: Mapping[Figure, tuple[str, str, str]] = {
    RATE: ("rate", "≥", "/s"),
    CPU: ("CPU", "≤", "CPU-s/M"),
    AFTER_START: ("CPU after start", "≤", "CPU-s/M"),
    MEMORY: ("memory", "≤", "MiB"),
}
"""What each figure is called, which side of its bound is good, and its unit."""


@dataclass(frozen=True)
class Goal:
    """*client*'s figure, divided by *peer*'s if there is one, is to be at the most or at the least
    *bound*.
    """

    part: str
    client: str
    peer: str | None
    figure: Figure
    bound: float

    @property
    def text(self) -> str:
        """The goal in words."""
        what, sign, unit = _WORDS[self.figure]
        bound = f"{self.bound:.3g} × {self.peer}" if self.peer else f"{self.bound:g} {unit}"
        return f"{self.part}: {what} of {self.client} {sign} {bound}"

    @property
    def concerns(self) -> tuple[str, ...]:
        """The clients that have to have run."""
        return (self.client, self.peer) if self.peer else (self.client,)

    def value(self, rounds: Sequence[Round]) -> Spread | None:
        """What is held against the bound."""
        if self.peer:
            return ratio(rounds, self.client, self.peer, self.figure)
        return spread(samples(rounds, self.client), self.figure)

    def holds(self, value: float) -> bool:
        """Whether a value reaches the goal: a rate is to be high, a cost is to be low."""
        return value >= self.bound if self.figure is RATE else value <= self.bound


GOALS = (
    Goal("dns", "ours-udp", "dnsperf", CPU, 1.0),
    Goal("dns", "ours-udp", "massdns", CPU, 0.9),
    Goal("dns", "ours-udp", "dnsperf", RATE, 0.95),
    Goal("resolver", "ours-tcp", "zdns-tuned", RATE, 1.4),
    Goal("resolver", "ours-tcp", "ours-udp", CPU, 0.5),
    Goal("names", "ours-names", "dnsperf", CPU, 8.0),  # a domain of three questions by a query
    Goal("mail", "ours-mail", "loop", CPU, 1.35),
    Goal("mail", "ours-mail", "zgrab2-smtp", CPU, 0.70),
    Goal("mail", "ours-mail", "zgrab2-smtp-tuned", CPU, 0.85),
    Goal("policies", "ours-policies", "zgrab2-http", CPU, 0.70),
    Goal("policies", "ours-policies", "zgrab2-http-tuned", CPU, 1.0),
    Goal("judge", "judge-new", None, AFTER_START, 1000),
    Goal("judge", "judge-seen", None, AFTER_START, 10),
    Goal("tarpits", "ours-tarpits", "ours-alone", RATE, 0.9),
    Goal("tarpits", "ours-tarpits", None, MEMORY, 477),  # 500 MB
    Goal("scan", "ours-scan", "checkdmarc", CPU, 1 / 70),
    Goal("executors", "processes", "local", RATE, 1.7),
    Goal("scan-all", "ours-processes", "ours-scan", CPU, 1.10),
    Goal("scan-all", "ours-scan", None, CPU, 150),
    Goal("scan-all", "ours-scan", None, MEMORY, 300),
)


@dataclass(frozen=True)
class Result:
    """What became of a goal."""

    goal: Goal
    verdict: Verdict
    value: Spread | None
    """The ratio, or the figure; None where there is none."""
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
    value = goal.value(rounds)
    if value is None:
        absent = [n for n in goal.concerns if not samples(rounds, n)]
        return Result(goal, "not measured", None, f"no run of {' and '.join(absent)} counts")
    worst = {n: max(s.loss for s in samples(rounds, n)) for n in goal.concerns}
    lossy = [f"{name} left {loss:.1%} unanswered" for name, loss in worst.items() if loss > LOSS]
    if worst[goal.client] > LOSS:
        return Result(goal, "missed", value, lossy[0])
    if lossy:
        return Result(goal, "not measured", value, lossy[0])
    return Result(goal, "met" if goal.holds(value.median) else "missed", value)


def judge_all(parts: Mapping[str, Sequence[Round]]) -> list[Result]:
    """Every goal whose part was run."""
    return [judge(goal, parts[goal.part]) for goal in GOALS if goal.part in parts]
